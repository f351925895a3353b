//! Sets of pages, and the byte ranges that they are read in.

use crate::format::segment::SegmentIndex;
use std::ops::Range;

/// Bytes that are read although nobody asked, where that saves a request: about what a positional read costs.
pub(crate) const COALESCE_GAP_BYTES: u64 = 4 << 10;

/// Pages of some segments.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// (segment, page), in the order in which they were added.
    found: Vec<(u32, u32)>,
    /// Of each segment, the page that was added last.
    last: Vec<Option<u32>>,
}

impl Pages {
    /// Adds pages of a segment.
    pub(crate) fn add(&mut self, segment: u32, mut pages: Range<u32>) {
        let number = segment as usize;
        if number >= self.last.len() {
            self.last.resize(number + 1, None);
        }
        // Neighbours share pages.
        if self.last[number] == Some(pages.start) {
            pages.start += 1;
        }
        if !pages.is_empty() {
            self.last[number] = Some(pages.end - 1);
        }
        self.found.extend(pages.map(|page| (segment, page)));
    }

    /// The pages of each segment, both ascending, each once.
    pub(crate) fn by_segment(mut self) -> Vec<(u32, Vec<usize>)> {
        if !self.found.is_sorted_by(|a, b| a < b) {
            self.found.sort_unstable();
            self.found.dedup();
        }
        let of_one = self.found.chunk_by(|a, b| a.0 == b.0);
        of_one.map(|pages| (pages[0].0, pages.iter().map(|(_, page)| *page as usize).collect())).collect()
    }
}

/// The bytes of these pages (ascending) and of their blocks' headers, ascending.
pub(crate) fn ranges_of(index: &SegmentIndex, pages: &[usize]) -> Vec<Range<u64>> {
    let mut ranges = Vec::with_capacity(pages.len());
    let mut block_end = 0;
    for &page in pages {
        if page >= block_end {
            let block = index.block_of(page);
            block_end = index.block_first_page[block + 1] as usize;
            let header = index.header_bytes(block);
            if !header.is_empty() {
                ranges.push(header);
            }
        }
        ranges.push(index.page_bytes(page));
    }
    ranges
}

/// Joins ranges (ascending) whose gap is small.
pub(crate) fn coalesce(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end + COALESCE_GAP_BYTES => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_become_one_request() {
        let far = COALESCE_GAP_BYTES + 1;
        let ranges = vec![0..10, 12..20, 20 + far..30 + far, 30 + far..40 + far];
        assert_eq!(coalesce(ranges), [0..20, 20 + far..40 + far]);
    }
}
