//! Fetching pages, verifying them, and decoding them.

use super::plan::{COALESCE_GAP_BYTES, add_ranges, coalesce};
use super::segment::{Segment, View};
use crate::cells::{Cells, Element, VarCells};
use crate::codec::{BlockDecoder, decode_text_page};
use crate::dtype::{DType, Physical};
use crate::error::{Error, Result};
use crate::with_physical;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// The bytes of some ranges of segments, by where they begin.
#[derive(Default)]
pub(crate) struct Fetched {
    /// Of each segment: (offset, bytes), ascending.
    ranges: HashMap<u32, Vec<(u64, Bytes)>>,
}

impl Fetched {
    /// Ranges of one segment, number 0, ascending.
    pub(crate) fn from_parts(parts: Vec<(u64, Bytes)>) -> Self {
        Fetched { ranges: HashMap::from([(0, parts)]) }
    }

    /// Reads the pages of these cells of these segments, neighbours together.
    pub(crate) fn fetch(segments: &[Arc<Segment>], wanted: impl Iterator<Item = (u32, Range<u64>)>) -> Result<Self> {
        let mut ranges: HashMap<u32, BTreeSet<(u64, u64)>> = HashMap::new();
        for (segment, cells) in wanted {
            add_ranges(segments[segment as usize].index()?, &cells, ranges.entry(segment).or_default());
        }
        let mut fetched = Fetched::default();
        for (number, ranges) in ranges {
            let segment = &segments[number as usize];
            let ranges = coalesce(&ranges, COALESCE_GAP_BYTES);
            let parts = segment.read_many(&ranges)?;
            fetched.ranges.insert(number, ranges.iter().map(|range| range.start).zip(parts).collect());
        }
        Ok(fetched)
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
    fn page<'b>(&self, fetched: &'b Fetched, number: u32, page: usize) -> Result<&'b [u8]> {
        let range = self.index.page_bytes(page);
        let stored = fetched.bytes(number, range.clone());
        if crc32c::crc32c(stored) != self.index.page_crc[page] {
            let message = format!("the checksum of page {page} does not match");
            return Err(Error::corrupt(self.object, range.start, message));
        }
        Ok(stored)
    }

    /// A verified block header.
    fn header<'b>(&self, fetched: &'b Fetched, number: u32, block: usize) -> Result<&'b [u8]> {
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

    fn corrupt_page(&self, page: usize, message: String) -> Error {
        Error::corrupt(self.object, self.index.page_offset[page], message)
    }
}

/// Decodes numbers out of fetched pages; keeps the last block's decoder and the last page, which neighbours share.
pub(crate) struct NumberReader<'a, T: Element> {
    fetched: &'a Fetched,
    block: Option<((u32, usize), BlockDecoder<T>)>,
    page: Option<(u32, usize)>,
    page_cells: Vec<T>,
}

impl<'a, T: Element> NumberReader<'a, T> {
    pub(crate) fn new(fetched: &'a Fetched) -> Self {
        NumberReader { fetched, block: None, page: None, page_cells: Vec::new() }
    }

    /// Decodes `cells` of segment `number` into `out`, which is as long.
    pub(crate) fn read(&mut self, number: u32, view: View<'_>, cells: &Range<u64>, out: &mut [T]) -> Result<()> {
        let index = view.index;
        for page in index.pages_of(cells) {
            let own = index.page_cells(page);
            let (from, to) = (own.start.max(cells.start), own.end.min(cells.end));
            #[allow(clippy::cast_possible_truncation, reason = "the cells are in memory")]
            let target = &mut out[(from - cells.start) as usize..(to - cells.start) as usize];
            if self.page != Some((number, page)) {
                let stored = view.page(self.fetched, number, page)?;
                let failed = |message: String| view.corrupt_page(page, message);
                let decoder = self.decoder(number, view, index.block_of(page))?;
                if from == own.start && to == own.end {
                    decoder.decode(stored, target).map_err(failed)?;
                    continue;
                }
                #[allow(clippy::cast_possible_truncation, reason = "a page has at most MAX_PAGE_CELLS cells")]
                let count = (own.end - own.start) as usize;
                let mut page_cells = std::mem::take(&mut self.page_cells);
                self.page = None;
                page_cells.resize(count, T::default());
                self.decoder(number, view, index.block_of(page))?.decode(stored, &mut page_cells).map_err(failed)?;
                self.page_cells = page_cells;
                self.page = Some((number, page));
            }
            #[allow(clippy::cast_possible_truncation, reason = "the page is in memory")]
            let source = (from - own.start) as usize..(to - own.start) as usize;
            target.copy_from_slice(&self.page_cells[source]);
        }
        Ok(())
    }

    fn decoder(&mut self, number: u32, view: View<'_>, block: usize) -> Result<&mut BlockDecoder<T>> {
        let key = (number, block);
        let decoder = match self.block.take() {
            Some((last, decoder)) if last == key => decoder,
            _ => {
                let header = view.header(self.fetched, number, block)?;
                BlockDecoder::new(view.index.block_encoding[block], header)
                    .map_err(|message| Error::corrupt(view.object, view.index.block_offset[block], message))?
            }
        };
        Ok(&mut self.block.insert((key, decoder)).1)
    }
}

/// Decodes strings and binary out of fetched pages; keeps the last page, which neighbours share.
pub(crate) struct TextReader<'a> {
    fetched: &'a Fetched,
    dtype: DType,
    page: Option<((u32, usize), Arc<VarCells>)>,
}

impl<'a> TextReader<'a> {
    pub(crate) fn new(fetched: &'a Fetched, dtype: DType) -> Self {
        TextReader { fetched, dtype, page: None }
    }

    /// Decodes `cells` of segment `number`.
    pub(crate) fn read(&mut self, number: u32, view: View<'_>, cells: &Range<u64>) -> Result<VarCells> {
        let index = view.index;
        #[allow(clippy::cast_possible_truncation, reason = "the cells are in memory")]
        let mut out = VarCells::with_capacity((cells.end - cells.start) as usize);
        for page in index.pages_of(cells) {
            let own = index.page_cells(page);
            let decoded = match &self.page {
                Some((key, decoded)) if *key == (number, page) => decoded.clone(),
                _ => {
                    let decoded = Arc::new(self.decode(number, view, page)?);
                    self.page = Some(((number, page), decoded.clone()));
                    decoded
                }
            };
            let (from, to) = (own.start.max(cells.start), own.end.min(cells.end));
            for cell in from - own.start..to - own.start {
                #[allow(clippy::cast_possible_truncation, reason = "the page is in memory")]
                out.push(decoded.get(cell as usize));
            }
        }
        Ok(out)
    }

    fn decode(&self, number: u32, view: View<'_>, page: usize) -> Result<VarCells> {
        let index = view.index;
        let failed = |message: String| view.corrupt_page(page, message);
        let stored = view.page(self.fetched, number, page)?;
        let block = index.block_of(page);
        view.header(self.fetched, number, block)?;
        let cells = index.page_cells(page);
        #[allow(clippy::cast_possible_truncation, reason = "a page has at most MAX_PAGE_CELLS cells")]
        let count = (cells.end - cells.start) as usize;
        let encoding = index.block_encoding[block];
        let decoded = decode_text_page(encoding, stored, count, index.page_raw[page] as usize).map_err(failed)?;
        let is_text = self.dtype != DType::String || decoded.iter().all(|cell| std::str::from_utf8(cell).is_ok());
        if is_text { Ok(decoded) } else { Err(failed("a string cell is not valid UTF-8".into())) }
    }
}

/// All cells of one chunk of a segment.
pub(crate) fn read_chunk(segment: &Arc<Segment>, dtype: DType, cells: &Range<u64>) -> Result<Cells> {
    let fetched = Fetched::fetch(std::slice::from_ref(segment), std::iter::once((0, cells.clone())))?;
    decode_chunk(segment.view()?, dtype, cells, &fetched)
}

/// All cells of one chunk, from the fetched bytes of segment number 0.
pub(crate) fn decode_chunk(view: View<'_>, dtype: DType, cells: &Range<u64>, fetched: &Fetched) -> Result<Cells> {
    if dtype.physical() == Physical::Var {
        return TextReader::new(fetched, dtype).read(0, view, cells).map(Cells::Var);
    }
    #[allow(clippy::cast_possible_truncation, reason = "a chunk is held in memory")]
    let count = (cells.end - cells.start) as usize;
    with_physical!(dtype.physical(), T => {
        let mut out = vec![T::default(); count];
        NumberReader::<T>::new(fetched).read(0, view, cells, &mut out)?;
        let cells = T::wrap(out);
        check_bools(dtype, &cells, view.object)?;
        Ok(cells)
    }, var => Ok(Cells::Var(VarCells::default())))
}

/// All cells of some chunks, given as (segment, entry). Neighbours in a segment share what they decode.
pub(crate) fn read_chunks(segments: &[Arc<Segment>], dtype: DType, places: &[(usize, usize)]) -> Result<Vec<Cells>> {
    let mut wanted = Vec::with_capacity(places.len());
    for &(segment, entry) in places {
        #[allow(clippy::cast_possible_truncation, reason = "segments are numbered by a u32 when they are written")]
        wanted.push((segment as u32, segments[segment].index()?.chunk_place(entry).cells));
    }
    let fetched = Fetched::fetch(segments, wanted.iter().cloned())?;
    if dtype.physical() == Physical::Var {
        let mut reader = TextReader::new(&fetched, dtype);
        let read = |(number, cells): (u32, Range<u64>)| {
            reader.read(number, segments[number as usize].view()?, &cells).map(Cells::Var)
        };
        return wanted.into_iter().map(read).collect();
    }
    with_physical!(dtype.physical(), T => {
        let mut reader = NumberReader::<T>::new(&fetched);
        wanted.into_iter().map(|(number, cells)| {
            #[allow(clippy::cast_possible_truncation, reason = "a chunk is held in memory")]
            let mut out = vec![T::default(); (cells.end - cells.start) as usize];
            let view = segments[number as usize].view()?;
            reader.read(number, view, &cells, &mut out)?;
            let cells = T::wrap(out);
            check_bools(dtype, &cells, view.object)?;
            Ok(cells)
        }).collect()
    }, var => Ok(Vec::new()))
}

/// Bool cells are 0 or 1, whatever a file says.
pub(crate) fn check_bools(dtype: DType, cells: &Cells, what: &str) -> Result<()> {
    match (dtype, cells) {
        (DType::Bool, Cells::U8(bools)) if bools.iter().any(|cell| *cell > 1) => {
            Err(Error::corrupt(what, 0, "a bool cell is neither 0 nor 1"))
        }
        _ => Ok(()),
    }
}
