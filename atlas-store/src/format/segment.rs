//! The segment file: header, blocks, index section, zone section, footer.
//!
//! A segment is one long run of cells, cut into blocks (encoded together) and those into pages (decoded on their own).
//! A chunk is a range of these cells.

use super::FORMAT_VERSION;
use super::wire::{Columns, put_u32s, put_u64s};
use crate::codec::{Encoding, MAX_PAGE_CELLS};
use crate::dtype::DType;
use std::io::Read;
use std::ops::Range;

pub(crate) const HEADER_BYTES: u64 = 16;
pub(crate) const FOOTER_BYTES: u64 = 64;
const HEADER_MAGIC: &[u8; 8] = b"ATLASSEG";
const FOOTER_MAGIC: &[u8; 8] = b"ATLASEND";
/// zstd cannot expand one byte to more than this (a 4-byte block of 128 KiB).
const MAX_EXPANSION: u64 = 1 << 16;
/// `none` blocks begin at a multiple of this.
pub(crate) const ALIGNMENT: u64 = 64;

/// Where a section lies and what it must hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Section {
    pub(crate) offset: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) crc32c: u32,
}

/// The last 64 bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) dtype: DType,
    pub(crate) index: Section,
    pub(crate) zones: Section,
}

pub(crate) fn encode_header() -> Vec<u8> {
    let mut out = HEADER_MAGIC.to_vec();
    put_u32s(&mut out, [FORMAT_VERSION]);
    let crc = crc32c::crc32c(&out);
    put_u32s(&mut out, [crc]);
    out
}

/// Why a header or footer is refused: damaged, or of a version that this build does not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Corrupt(String),
    Version(u32),
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Refusal::Corrupt(message)
    }
}

pub(crate) fn decode_header(bytes: &[u8]) -> Result<(), Refusal> {
    let mut columns = Columns::new(bytes);
    let magic = columns.bytes(8)?;
    let (version, crc) = (columns.u32()?, columns.u32()?);
    columns.finish()?;
    if magic != HEADER_MAGIC {
        return Err(Refusal::Corrupt("the segment header's magic is wrong".into()));
    }
    if crc32c::crc32c(&bytes[..12]) != crc {
        return Err(Refusal::Corrupt("the segment header's checksum does not match".into()));
    }
    if version > FORMAT_VERSION { Err(Refusal::Version(version)) } else { Ok(()) }
}

/// The part of a footer that its checksum is of. (The checksum of a footer with its checksum would be a constant.)
pub(crate) const FOOTER_CHECKED_BYTES: usize = 48;

impl Footer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put_u64s(&mut out, [self.index.stored_bytes, self.index.raw_bytes]);
        put_u64s(&mut out, [self.zones.stored_bytes, self.zones.raw_bytes]);
        put_u32s(&mut out, [self.index.crc32c, self.zones.crc32c]);
        put_u32s(&mut out, [self.dtype as u32, FORMAT_VERSION]);
        let crc = crc32c::crc32c(&out);
        put_u32s(&mut out, [crc, 0]);
        out.extend_from_slice(FOOTER_MAGIC);
        out
    }

    /// From the last 64 bytes of a segment of `file_bytes`.
    pub(crate) fn decode(bytes: &[u8], file_bytes: u64) -> Result<Footer, Refusal> {
        let mut columns = Columns::new(bytes);
        let sizes = columns.u64s(4)?;
        let crcs = columns.u32s(2)?;
        let (dtype, version, crc, zero) = (columns.u32()?, columns.u32()?, columns.u32()?, columns.u32()?);
        let magic = columns.bytes(8)?;
        columns.finish()?;
        if magic != FOOTER_MAGIC || zero != 0 {
            return Err(Refusal::Corrupt("the segment footer's magic is wrong (a truncated file?)".into()));
        }
        if crc32c::crc32c(&bytes[..FOOTER_CHECKED_BYTES]) != crc {
            return Err(Refusal::Corrupt("the segment footer's checksum does not match".into()));
        }
        if version > FORMAT_VERSION {
            return Err(Refusal::Version(version));
        }
        let dtype = DType::ALL
            .into_iter()
            .find(|candidate| *candidate as u32 == dtype)
            .ok_or_else(|| format!("unknown dtype code {dtype}"))?;
        let zones_offset = (file_bytes - FOOTER_BYTES).checked_sub(sizes[2]);
        let index_offset = zones_offset.and_then(|offset| offset.checked_sub(sizes[0]));
        let (Some(zones_offset), Some(index_offset)) = (zones_offset, index_offset) else {
            return Err(Refusal::Corrupt("the index is larger than the file".into()));
        };
        Ok(Footer {
            dtype,
            index: Section { offset: index_offset, stored_bytes: sizes[0], raw_bytes: sizes[1], crc32c: crcs[0] },
            zones: Section { offset: zones_offset, stored_bytes: sizes[2], raw_bytes: sizes[3], crc32c: crcs[1] },
        })
    }
}

/// Compresses a section; its offset is the caller's.
pub(crate) fn encode_section(raw: &[u8], offset: u64) -> std::io::Result<(Section, Vec<u8>)> {
    let stored = zstd::bulk::compress(raw, 3)?;
    let section = Section {
        offset,
        stored_bytes: stored.len() as u64,
        raw_bytes: raw.len() as u64,
        crc32c: crc32c::crc32c(&stored),
    };
    Ok((section, stored))
}

/// How far a section expands whose size is believed: more is allocated only as it comes.
const BELIEVED_EXPANSION: u64 = 64;

/// Verifies and decompresses a section. Allocates what its stored bytes justify, not whatever a size field claims.
pub(crate) fn decode_section(section: &Section, stored: &[u8]) -> Result<Vec<u8>, String> {
    if crc32c::crc32c(stored) != section.crc32c {
        return Err("the section's checksum does not match".into());
    }
    if section.raw_bytes / MAX_EXPANSION > section.stored_bytes {
        return Err(format!("{} bytes cannot hold a section of {}", section.stored_bytes, section.raw_bytes));
    }
    let raw = match usize::try_from(section.raw_bytes) {
        // At once and without a copy: this is a good part of the first read of a store.
        Ok(bytes) if section.raw_bytes / BELIEVED_EXPANSION <= stored.len() as u64 => {
            zstd::bulk::decompress(stored, bytes).map_err(|error| error.to_string())?
        }
        _ => {
            let mut raw = Vec::new();
            let decoder = zstd::stream::read::Decoder::new(stored).map_err(|error| error.to_string())?;
            decoder.take(section.raw_bytes + 1).read_to_end(&mut raw).map_err(|error| error.to_string())?;
            raw
        }
    };
    if raw.len() as u64 == section.raw_bytes {
        Ok(raw)
    } else {
        Err(format!("the section holds {} bytes, expected {}", raw.len(), section.raw_bytes))
    }
}

/// What a segment holds, and where. Columns by block, page and chunk, with the running totals that find things.
#[derive(Debug, Default)]
pub(crate) struct SegmentIndex {
    pub(crate) block_encoding: Vec<Encoding>,
    pub(crate) block_header_bytes: Vec<u32>,
    pub(crate) block_header_crc: Vec<u32>,
    /// The first page of each block, and one past the last of all.
    pub(crate) block_first_page: Vec<u32>,
    pub(crate) block_offset: Vec<u64>,
    pub(crate) page_stored: Vec<u32>,
    pub(crate) page_raw: Vec<u32>,
    pub(crate) page_crc: Vec<u32>,
    pub(crate) page_offset: Vec<u64>,
    /// The first cell of each page, and one past the last of all.
    pub(crate) page_first_cell: Vec<u64>,
    pub(crate) chunk_array: Vec<u64>,
    pub(crate) chunk_index: Vec<u32>,
    /// The first cell of each chunk, and one past the last of all.
    pub(crate) chunk_first_cell: Vec<u64>,
    /// Chunk entries by (array, chunk), the last written of equal ones first.
    order: Vec<u32>,
}

/// A chunk's entry in a segment, and its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChunkPlace {
    pub(crate) entry: usize,
    pub(crate) cells: Range<u64>,
}

impl SegmentIndex {
    pub(crate) fn new() -> Self {
        SegmentIndex {
            block_first_page: vec![0],
            page_first_cell: vec![0],
            chunk_first_cell: vec![0],
            ..SegmentIndex::default()
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let counts = [self.block_encoding.len(), self.page_stored.len(), self.chunk_array.len()];
        put_u64s(&mut out, counts.map(|count| count as u64));
        out.extend(self.block_encoding.iter().map(|encoding| *encoding as u8));
        put_u32s(&mut out, self.block_first_page.windows(2).map(|pair| pair[1] - pair[0]));
        put_u32s(&mut out, self.block_header_bytes.iter().copied());
        put_u32s(&mut out, self.block_header_crc.iter().copied());
        #[allow(clippy::cast_possible_truncation, reason = "a page has at most MAX_PAGE_CELLS cells")]
        put_u32s(&mut out, self.page_first_cell.windows(2).map(|pair| (pair[1] - pair[0]) as u32));
        put_u32s(&mut out, self.page_stored.iter().copied());
        put_u32s(&mut out, self.page_raw.iter().copied());
        put_u32s(&mut out, self.page_crc.iter().copied());
        put_u64s(&mut out, self.chunk_array.iter().copied());
        put_u32s(&mut out, self.chunk_index.iter().copied());
        put_u64s(&mut out, self.chunk_first_cell.windows(2).map(|pair| pair[1] - pair[0]));
        out
    }

    /// Parses the index of a segment whose blocks end at `blocks_end`, and checks that all of it hangs together.
    pub(crate) fn decode(raw: &[u8], dtype: DType, blocks_end: u64) -> Result<Self, String> {
        let mut columns = Columns::new(raw);
        let mut count = || -> Result<usize, String> {
            let count = columns.u64()?;
            // Every block, page and chunk takes at least 12 bytes of the index.
            usize::try_from(count)
                .ok()
                .filter(|count| count.checked_mul(12).is_some_and(|bytes| bytes <= raw.len()))
                .ok_or_else(|| format!("an index of {} bytes cannot list {count} entries", raw.len()))
        };
        let (blocks, pages, chunks) = (count()?, count()?, count()?);
        let mut index = SegmentIndex::new();
        index.page_offset.reserve_exact(pages);
        index.page_first_cell.reserve_exact(pages);
        index.chunk_first_cell.reserve_exact(chunks);
        for &code in columns.bytes(blocks)? {
            index.block_encoding.push(Encoding::from_code(code).ok_or_else(|| format!("unknown encoding {code}"))?);
        }
        let block_pages = columns.u32s(blocks)?;
        index.block_header_bytes = columns.u32s(blocks)?;
        index.block_header_crc = columns.u32s(blocks)?;
        let page_cells = columns.u32s(pages)?;
        index.page_stored = columns.u32s(pages)?;
        index.page_raw = columns.u32s(pages)?;
        index.page_crc = columns.u32s(pages)?;
        index.chunk_array = columns.u64s(chunks)?;
        index.chunk_index = columns.u32s(chunks)?;
        let chunk_cells = columns.u64s(chunks)?;
        columns.finish()?;
        index.check_pages(dtype, &page_cells)?;
        index.place(&block_pages, &page_cells, pages, blocks_end)?;
        let mut at = 0u64;
        for cells in chunk_cells {
            at = at.checked_add(cells).ok_or("chunk sizes overflow")?;
            index.chunk_first_cell.push(at);
        }
        if index.page_first_cell.last() != Some(&at) {
            return Err(format!("chunks hold {at} cells, pages {:?}", index.page_first_cell.last()));
        }
        index.sort();
        Ok(index)
    }

    fn check_pages(&self, dtype: DType, page_cells: &[u32]) -> Result<(), String> {
        for (page, &cells) in page_cells.iter().enumerate() {
            let (raw, stored) = (u64::from(self.page_raw[page]), u64::from(self.page_stored[page]));
            let fits = match dtype.cell_bytes() {
                Some(width) => raw == u64::from(cells) * width as u64,
                None => raw >= u64::from(cells) * 4 && raw / MAX_EXPANSION <= stored,
            };
            if cells as usize > MAX_PAGE_CELLS || cells == 0 || !fits {
                return Err(format!("page {page} cannot hold {cells} cells in {raw} bytes, {stored} stored"));
            }
        }
        Ok(())
    }

    /// Lays blocks and pages out from the end of the header on.
    fn place(&mut self, block_pages: &[u32], page_cells: &[u32], pages: usize, blocks_end: u64) -> Result<(), String> {
        let mut offset = HEADER_BYTES;
        let mut page = 0usize;
        let mut cell = 0u64;
        for (block, &count) in block_pages.iter().enumerate() {
            self.block_offset.push(offset);
            offset += u64::from(self.block_header_bytes[block]);
            let end = page + count as usize;
            if end > pages {
                return Err(format!("block {block} lists pages up to {end}, there are {pages}"));
            }
            for (stored, cells) in self.page_stored[page..end].iter().zip(&page_cells[page..end]) {
                self.page_offset.push(offset);
                offset += u64::from(*stored);
                cell += u64::from(*cells);
                self.page_first_cell.push(cell);
            }
            page = end;
            self.block_first_page.push(u32::try_from(page).map_err(|_| "too many pages")?);
        }
        if page != pages || offset != blocks_end {
            return Err(format!("blocks end at byte {offset} after {page} of {pages} pages, expected {blocks_end}"));
        }
        Ok(())
    }

    /// Builds the order by which chunks are found; call after entries were added.
    pub(crate) fn sort(&mut self) {
        let key = |entry: &u32| {
            let entry = *entry as usize;
            (self.chunk_array[entry], self.chunk_index[entry], std::cmp::Reverse(entry))
        };
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the index of 2^32 chunks would not have fitted in a section"
        )]
        let mut order: Vec<u32> = (0..self.chunk_array.len() as u32).collect();
        if !order.is_sorted_by_key(key) {
            order.sort_unstable_by_key(key);
        }
        self.order = order;
    }

    /// Where chunk `chunk` of array `array` lies, the last written if there are several.
    pub(crate) fn find(&self, array: u64, chunk: u32) -> Option<ChunkPlace> {
        let mut next = 0;
        self.find_next(array, chunk, &mut next)
    }

    /// As [`Self::find`], without a search where the chunk comes next after the one that `next` was set for.
    pub(crate) fn find_next(&self, array: u64, chunk: u32, next: &mut usize) -> Option<ChunkPlace> {
        let key = |entry: u32| (self.chunk_array[entry as usize], self.chunk_index[entry as usize]);
        let key_at = |at: usize| self.order.get(at).map(|entry| key(*entry));
        let wanted = (array, chunk);
        let is_next = key_at(*next) == Some(wanted) && (*next == 0 || key_at(*next - 1) != Some(wanted));
        let at = if is_next { *next } else { self.order.partition_point(|entry| key(*entry) < wanted) };
        if key_at(at) != Some(wanted) {
            return None;
        }
        *next = at + 1;
        Some(self.chunk_place(self.order[at] as usize))
    }

    pub(crate) fn chunk_place(&self, entry: usize) -> ChunkPlace {
        ChunkPlace { entry, cells: self.chunk_first_cell[entry]..self.chunk_first_cell[entry + 1] }
    }

    /// The entries of an array's chunks: (chunk, entry), by chunk, the last written of each.
    pub(crate) fn chunks_of(&self, array: u64) -> impl Iterator<Item = (u32, usize)> {
        let at = self.order.partition_point(|&entry| self.chunk_array[entry as usize] < array);
        let mut last = None;
        self.order[at..]
            .iter()
            .map(|&entry| entry as usize)
            .take_while(move |&entry| self.chunk_array[entry] == array)
            .filter_map(move |entry| {
                let chunk = self.chunk_index[entry];
                (last.replace(chunk) != Some(chunk)).then_some((chunk, entry))
            })
    }

    /// The pages that hold these cells.
    pub(crate) fn pages_of(&self, cells: &Range<u64>) -> Range<usize> {
        self.pages_near(cells, 0)
    }

    /// As [`Self::pages_of`], without a search where the cells lie in one page, which is `near` or the one after it.
    pub(crate) fn pages_near(&self, cells: &Range<u64>, near: usize) -> Range<usize> {
        if cells.is_empty() {
            return 0..0;
        }
        let begins = |page: &usize| match self.page_first_cell.get(*page..page + 2) {
            Some(page) => page[0] <= cells.start && cells.start < page[1],
            None => false,
        };
        let search = || self.page_first_cell.partition_point(|&first| first <= cells.start) - 1;
        let first = [near, near + 1].into_iter().find(begins).unwrap_or_else(search);
        let after = &self.page_first_cell[first + 1..];
        match after.first() {
            Some(end) if cells.end <= *end => first..first + 1,
            _ => first..first + after.partition_point(|&first| first < cells.end) + 1,
        }
    }

    /// The block that holds a page.
    pub(crate) fn block_of(&self, page: usize) -> usize {
        self.block_first_page.partition_point(|&first| first as usize <= page) - 1
    }

    pub(crate) fn page_bytes(&self, page: usize) -> Range<u64> {
        self.page_offset[page]..self.page_offset[page] + u64::from(self.page_stored[page])
    }

    pub(crate) fn header_bytes(&self, block: usize) -> Range<u64> {
        self.block_offset[block]..self.block_offset[block] + u64::from(self.block_header_bytes[block])
    }

    pub(crate) fn page_cells(&self, page: usize) -> Range<u64> {
        self.page_first_cell[page]..self.page_first_cell[page + 1]
    }

    /// The stored bytes of a range of cells; of a page that they share with others, their part of it, rounded up.
    pub(crate) fn stored_bytes_of(&self, cells: &Range<u64>) -> u64 {
        self.pages_of(cells)
            .map(|page| {
                let own = self.page_cells(page);
                let part = own.end.min(cells.end) - own.start.max(cells.start);
                (u64::from(self.page_stored[page]) * part).div_ceil((own.end - own.start).max(1))
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Wherever the last look-up ended, the next one finds what a search through all entries finds.
        #[test]
        fn hints_change_nothing(
            chunks in prop::collection::vec((0u64..5, 0u32..3, 1u64..40), 1..30),
            pages in prop::collection::vec(1u64..30, 1..40),
            hints in prop::collection::vec(0usize..45, 1..60),
        ) {
            let mut index = SegmentIndex::new();
            for (array, chunk, cells) in &chunks {
                index.chunk_array.push(*array);
                index.chunk_index.push(*chunk);
                index.chunk_first_cell.push(index.chunk_first_cell.last().unwrap() + cells);
            }
            index.sort();
            let total: u64 = *index.chunk_first_cell.last().unwrap();
            for cells in pages.iter().chain([&total]) {
                let first = index.page_first_cell.last().unwrap();
                let end = (first + cells).min(total);
                if end > *first {
                    index.page_first_cell.push(end);
                }
            }
            let mut next = 0;
            let wanted = (0..6).flat_map(|array| (0..4).map(move |chunk| (array, chunk)));
            for ((array, chunk), hint) in wanted.zip(hints.iter().cycle()) {
                if hint % 3 == 0 {
                    next = *hint;
                }
                let last = chunks.iter().rposition(|(own, number, _)| (*own, *number) == (array, chunk));
                let found = index.find_next(array, chunk, &mut next);
                prop_assert_eq!(&found, &last.map(|entry| index.chunk_place(entry)));
                prop_assert_eq!(&found, &index.find(array, chunk));
                let Some(place) = found else { continue };
                let holds = |page: &usize| {
                    let own = index.page_cells(*page);
                    own.start < place.cells.end && place.cells.start < own.end
                };
                let pages: Vec<usize> = (0..index.page_first_cell.len() - 1).filter(holds).collect();
                prop_assert_eq!(index.pages_near(&place.cells, *hint).collect::<Vec<_>>(), pages);
            }
        }
    }
}
