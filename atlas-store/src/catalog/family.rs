//! An array family: the arrays of one name, across the datasets that have it.

use crate::dtype::DType;
use crate::stats::Statistics;
use std::hash::{BuildHasher, RandomState};

/// The arrays of one name and dtype, stored together.
#[derive(Debug, Clone)]
pub struct Family {
    name: String,
    dtype: DType,
    pub(crate) directory: String,
    /// The number of the next segment.
    pub(crate) next_segment: u32,
    /// Live segments, oldest first: of two that hold a chunk, the later one counts.
    pub(crate) segments: Vec<SegmentRef>,
    rows: Vec<u32>,
    entries: Vec<ArrayEntry>,
}

/// One array of one dataset.
#[derive(Debug, Clone)]
pub struct ArrayEntry {
    /// Unique in the life of the store: what a segment's chunks are listed under.
    pub(crate) id: u64,
    pub(crate) schema: u32,
    pub(crate) statistics: Option<Statistics>,
}

/// A segment as the catalog names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentRef {
    pub(crate) object: String,
    pub(crate) bytes: u64,
    /// The checksum in the segment's footer: ties the file to this catalog.
    pub(crate) crc32c: u32,
    /// The smallest and largest array id with a chunk in it.
    pub(crate) first_id: u64,
    pub(crate) last_id: u64,
}

impl SegmentRef {
    /// Whether chunks of this array can be in it.
    pub(crate) fn may_hold(&self, id: u64) -> bool {
        (self.first_id..=self.last_id).contains(&id)
    }
}

impl ArrayEntry {
    /// The statistics of the array; `None` until the flush after its last change.
    pub fn statistics(&self) -> Option<&Statistics> {
        self.statistics.as_ref()
    }
}

impl Family {
    pub(crate) fn new(name: String, dtype: DType, directory: String) -> Self {
        Family { name, dtype, directory, next_segment: 0, segments: Vec::new(), rows: Vec::new(), entries: Vec::new() }
    }

    /// The arrays' name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arrays' dtype.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// How many datasets have the array.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no dataset has it (any more).
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The arrays, with their datasets' rows, by row.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (u32, &ArrayEntry)> {
        self.rows.iter().copied().zip(&self.entries)
    }

    /// The rows of the datasets that have the array, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The array of one dataset.
    pub fn entry(&self, row: u32) -> Option<&ArrayEntry> {
        // Where every dataset has the array, its place is its row.
        match self.rows.get(row as usize) {
            Some(found) if *found == row => self.entries.get(row as usize),
            _ => self.entries.get(self.rows.binary_search(&row).ok()?),
        }
    }

    pub(crate) fn entry_mut(&mut self, row: u32) -> Option<&mut ArrayEntry> {
        let at = self.rows.binary_search(&row).ok()?;
        self.entries.get_mut(at)
    }

    /// Bytes of the live segments.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.bytes))
    }

    /// The object name of the next segment, which it uses up. Where writers can race, two of them must not choose one
    /// name: it then gets a random part.
    pub(crate) fn take_segment_name(&mut self, is_shared: bool) -> String {
        let name = match is_shared {
            true => {
                let (directory, number) = (&self.directory, self.next_segment);
                format!("{directory}/data.{number}-{:016x}.af", RandomState::new().hash_one(number))
            }
            false => self.segment_name(),
        };
        self.next_segment += 1;
        name
    }

    /// The plain object name of the next segment.
    pub(crate) fn segment_name(&self) -> String {
        match self.next_segment {
            0 => format!("{}/data.af", self.directory),
            number => format!("{}/data.{number}.af", self.directory),
        }
    }

    pub(crate) fn insert(&mut self, row: u32, entry: ArrayEntry) {
        match self.rows.last() {
            Some(last) if *last >= row => match self.rows.binary_search(&row) {
                Ok(at) => self.entries[at] = entry,
                Err(at) => {
                    self.rows.insert(at, row);
                    self.entries.insert(at, entry);
                }
            },
            _ => {
                self.rows.push(row);
                self.entries.push(entry);
            }
        }
    }

    pub(crate) fn remove(&mut self, row: u32) {
        if let Ok(at) = self.rows.binary_search(&row) {
            self.rows.remove(at);
            self.entries.remove(at);
        }
    }

    pub(crate) fn renumber(&mut self, renumber: &impl Fn(u32) -> Option<u32>) {
        let kept = self.rows.iter().zip(std::mem::take(&mut self.entries));
        let kept: Vec<(u32, ArrayEntry)> = kept.filter_map(|(row, entry)| Some((renumber(*row)?, entry))).collect();
        (self.rows, self.entries) = kept.into_iter().unzip();
    }

    pub(crate) fn map_schemas(&mut self, numbers: &[u32]) {
        for entry in &mut self.entries {
            entry.schema = numbers[entry.schema as usize];
        }
    }
}
