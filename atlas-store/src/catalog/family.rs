//! An array family: the arrays of one name, across the datasets that have it.

use super::compact::{Compact, retain};
use super::statistics::StatisticsColumns;
use crate::dtype::DType;
use crate::stats::Statistics;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

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
    /// Shared with the other columns that every dataset has a value in.
    rows: Arc<Vec<u32>>,
    ids: Vec<u64>,
    schemas: Compact<u32>,
    statistics: StatisticsColumns,
}

/// One array of one dataset.
#[derive(Debug, Clone, Copy)]
pub struct ArrayEntry<'a> {
    /// Unique in the life of the store: what a segment's chunks are listed under.
    pub(crate) id: u64,
    pub(crate) schema: u32,
    family: &'a Family,
    at: usize,
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

impl ArrayEntry<'_> {
    /// The statistics of the array; `None` until the flush after its last change. [`Family::statistics`] has those of
    /// all arrays.
    pub fn statistics(&self) -> Option<Statistics> {
        self.family.statistics.get(self.at)
    }
}

impl Family {
    pub(crate) fn new(name: String, dtype: DType, directory: String) -> Self {
        Family {
            name,
            dtype,
            directory,
            next_segment: 0,
            segments: Vec::new(),
            rows: Arc::default(),
            ids: Vec::new(),
            schemas: Compact::new(),
            statistics: StatisticsColumns::new(dtype),
        }
    }

    /// The same with these arrays; all columns are as long as `rows`, which ascends.
    pub(crate) fn with_arrays(
        self,
        rows: Arc<Vec<u32>>,
        ids: Vec<u64>,
        schemas: Compact<u32>,
        statistics: StatisticsColumns,
    ) -> Self {
        Family { rows, ids, schemas, statistics, ..self }
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
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (u32, ArrayEntry<'_>)> {
        self.rows.iter().enumerate().map(|(at, row)| (*row, self.entry_at(at)))
    }

    /// The rows of the datasets that have the array, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    pub(super) fn shared_rows(&self) -> &Arc<Vec<u32>> {
        &self.rows
    }

    /// The statistics of the arrays, parallel to [`Self::rows`].
    pub fn statistics(&self) -> &StatisticsColumns {
        &self.statistics
    }

    /// The ids of the arrays, parallel to [`Self::rows`].
    pub(crate) fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// The schema numbers of the arrays, parallel to [`Self::rows`].
    pub(crate) fn schemas(&self) -> &Compact<u32> {
        &self.schemas
    }

    /// The array of one dataset.
    pub fn entry(&self, row: u32) -> Option<ArrayEntry<'_>> {
        self.place(row).ok().map(|at| self.entry_at(at))
    }

    fn entry_at(&self, at: usize) -> ArrayEntry<'_> {
        // The columns are as long as the rows.
        ArrayEntry { id: self.ids[at], schema: self.schemas.get(at).unwrap_or_default(), family: self, at }
    }

    /// Where a row's array is, or belongs.
    fn place(&self, row: u32) -> Result<usize, usize> {
        // Where every dataset has the array, its place is its row.
        match self.rows.get(row as usize) {
            Some(found) if *found == row => Ok(row as usize),
            _ if self.rows.last().is_none_or(|last| *last < row) => Err(self.rows.len()),
            _ => self.rows.binary_search(&row),
        }
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

    /// Adds the array of a dataset that has none.
    pub(crate) fn insert(&mut self, row: u32, id: u64, schema: u32) {
        if let Err(at) = self.place(row) {
            Arc::make_mut(&mut self.rows).insert(at, row);
            self.ids.insert(at, id);
            self.schemas.insert(at, schema);
            self.statistics.insert(at);
        }
    }

    /// Forgets the statistics of an array that is about to change.
    pub(crate) fn forget_statistics(&mut self, row: u32) {
        if let Ok(at) = self.place(row) {
            self.statistics.forget(at);
        }
    }

    /// Sets the statistics of the arrays of these rows, all at once.
    pub(crate) fn set_statistics(&mut self, known: Vec<(u32, Statistics)>) {
        let known = known.into_iter().filter_map(|(row, known)| Some((self.place(row).ok()?, known)));
        let mut known: Vec<(usize, Statistics)> = known.collect();
        known.sort_by_key(|(at, _)| *at);
        self.statistics.set(&known);
    }

    pub(crate) fn remove(&mut self, row: u32) {
        self.renumber(&|other| (other != row).then_some(other));
    }

    /// Keeps the arrays whose row has a new number.
    pub(crate) fn renumber(&mut self, renumber: &impl Fn(u32) -> Option<u32>) {
        let keep: Vec<bool> = self.rows.iter().map(|row| renumber(*row).is_some()).collect();
        self.rows = Arc::new(self.rows.iter().filter_map(|row| renumber(*row)).collect());
        retain(&mut self.ids, &keep);
        self.schemas.retain(&keep);
        self.statistics.retain(&keep);
    }

    pub(super) fn rows_mut(&mut self) -> &mut Arc<Vec<u32>> {
        &mut self.rows
    }

    pub(crate) fn map_schemas(&mut self, numbers: &[u32]) {
        self.schemas.map(|schema| numbers[schema as usize]);
    }
}
