//! Fetching pages: out of the store's cache, or from storage, neighbours together.

use super::find::page_numbers;
use super::pages::{Pages, coalesce, ranges_of};
use super::segment::{Segment, View};
use crate::cells::Cells;
use crate::error::{Error, Result};
use crate::io::PendingRead;
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Pages of some segments: stored bytes, or cells where they were decoded before.
#[derive(Default)]
pub(crate) struct Fetched {
    /// Of each segment: (offset, bytes), ascending.
    ranges: HashMap<u32, Vec<(u64, Bytes)>>,
    /// (segment, page) → cells.
    cells: HashMap<(u32, usize), Arc<Cells>>,
    /// Where decoded pages are kept.
    kept_by: Option<Keep>,
    /// What could be read into its place is there already.
    is_beside_places: bool,
}

/// The segments whose caches take what is decoded.
type Keep = Arc<[Arc<Segment>]>;

/// Pages that are being fetched.
pub(crate) struct PendingFetch {
    fetched: Fetched,
    reads: Vec<(u32, Vec<Range<u64>>, PendingRead)>,
}

impl PendingFetch {
    /// Waits for the pages.
    pub(crate) fn wait(self) -> Result<Fetched> {
        let mut fetched = self.fetched;
        for (segment, ranges, read) in self.reads {
            let parts = ranges.iter().map(|range| range.start).zip(read.wait()?);
            fetched.ranges.insert(segment, parts.collect());
        }
        Ok(fetched)
    }
}

impl Fetched {
    /// Ranges of one segment, number 0, ascending.
    pub(crate) fn from_parts(parts: Vec<(u64, Bytes)>) -> Self {
        Fetched { ranges: HashMap::from([(0, parts)]), ..Fetched::default() }
    }

    /// Begins to fetch pages of these segments. Through the cache, if `keep`: what is there is not read, and what is
    /// decoded goes there.
    pub(crate) fn begin(segments: &[Arc<Segment>], pages: Pages, keep: bool) -> Result<PendingFetch> {
        let mut fetched = Fetched::default();
        if keep {
            fetched.kept_by = Some(segments.into());
        }
        let mut reads = Vec::new();
        for (number, mut pages) in pages.by_segment() {
            let segment = &segments[number as usize];
            pages.retain(|page| match segment.cached(*page) {
                Some(cells) => fetched.cells.insert((number, *page), cells).is_some(),
                None => true,
            });
            let ranges = coalesce(ranges_of(segment.index()?, &pages));
            if !ranges.is_empty() {
                let read = segment.begin_read(&ranges)?;
                reads.push((number, ranges, read));
            }
        }
        Ok(PendingFetch { fetched, reads })
    }

    /// What is read beside pages that are put in their places, and nothing of it yet.
    pub(super) fn beside_places() -> Self {
        Fetched { is_beside_places: true, ..Fetched::default() }
    }

    /// Whether the pages that have a place are there, and not here.
    pub(super) fn is_beside_places(&self) -> bool {
        self.is_beside_places
    }

    /// Puts ranges of a segment here, ascending.
    pub(super) fn put(&mut self, segment: u32, parts: Vec<(u64, Bytes)>) {
        self.ranges.insert(segment, parts);
    }

    /// Fetches the pages of these cells of these segments, past the cache.
    pub(crate) fn cells(segments: &[Arc<Segment>], wanted: impl Iterator<Item = (u32, Range<u64>)>) -> Result<Self> {
        let mut pages = Pages::default();
        for (segment, cells) in wanted {
            pages.add(segment, page_numbers(&segments[segment as usize].index()?.pages_of(&cells)));
        }
        Self::begin(segments, pages, false)?.wait()
    }

    /// The cells of a page that was decoded before.
    pub(crate) fn decoded(&self, segment: u32, page: usize) -> Option<&Arc<Cells>> {
        if self.cells.is_empty() { None } else { self.cells.get(&(segment, page)) }
    }

    /// Whether pages that are decoded now are to be kept.
    pub(crate) fn keeps(&self) -> bool {
        self.kept_by.is_some()
    }

    /// Keeps a page for the next read.
    pub(crate) fn keep(&self, segment: u32, page: usize, cells: Arc<Cells>) {
        if let Some(segments) = &self.kept_by {
            segments[segment as usize].cache(page, cells);
        }
    }

    /// A range that was asked for.
    fn bytes(&self, segment: u32, range: Range<u64>) -> &[u8] {
        let parts = self.ranges.get(&segment).map_or(&[][..], Vec::as_slice);
        let at = parts.partition_point(|(start, _)| *start <= range.start);
        let Some((start, bytes)) = at.checked_sub(1).and_then(|at| parts.get(at)) else { return &[] };
        #[allow(clippy::cast_possible_truncation, reason = "the range lies in bytes that are in memory")]
        let part = (range.start - start) as usize..(range.end - start) as usize;
        bytes.get(part).unwrap_or_default()
    }
}

impl View<'_> {
    /// A verified page's stored bytes.
    pub(crate) fn page<'b>(&self, fetched: &'b Fetched, number: u32, page: usize) -> Result<&'b [u8]> {
        let stored = fetched.bytes(number, self.index.page_bytes(page));
        self.check_page(page, stored)?;
        Ok(stored)
    }

    /// Verifies a page's stored bytes.
    pub(crate) fn check_page(&self, page: usize, stored: &[u8]) -> Result<()> {
        if crc32c::crc32c(stored) == self.index.page_crc[page] {
            return Ok(());
        }
        Err(self.corrupt_page(page, format!("the checksum of page {page} does not match")))
    }

    /// A verified block header.
    pub(crate) fn header<'b>(&self, fetched: &'b Fetched, number: u32, block: usize) -> Result<&'b [u8]> {
        let range = self.index.header_bytes(block);
        if range.is_empty() {
            return Ok(&[]);
        }
        let header = fetched.bytes(number, range.clone());
        if crc32c::crc32c(header) != self.index.block_header_crc[block] {
            let message = format!("the checksum of the header of block {block} does not match");
            return Err(Error::corrupt(self.object, range.start, message));
        }
        Ok(header)
    }

    pub(crate) fn corrupt_page(&self, page: usize, message: String) -> Error {
        Error::corrupt(self.object, self.index.page_offset[page], message)
    }
}
