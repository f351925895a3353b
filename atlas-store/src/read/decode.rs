//! Decoding fetched pages.

use super::fetch::Fetched;
use super::segment::{Segment, View};
use crate::cells::{Cells, Element, VarCells};
use crate::codec::{BlockDecoder, decode_text_page};
use crate::dtype::{DType, Physical};
use crate::error::{Error, Result};
use crate::with_physical;
use std::ops::Range;
use std::sync::Arc;

/// Decodes numbers out of fetched pages; keeps the last block's decoder and the last page, which neighbours share.
pub(crate) struct NumberReader<'a, T: Element> {
    fetched: &'a Fetched,
    block: Option<((u32, usize), BlockDecoder<T>)>,
    page: Option<Page<T>>,
}

/// A decoded page that is wanted in part.
struct Page<T> {
    segment: u32,
    /// The page's cells in the segment.
    place: Range<u64>,
    cells: PageCells<T>,
}

enum PageCells<T> {
    Own(Vec<T>),
    Kept(Arc<Cells>),
}

impl<T: Element> PageCells<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            PageCells::Own(cells) => cells,
            PageCells::Kept(cells) => T::unwrap(cells).unwrap_or_default(),
        }
    }
}

/// Copies what `cells` want of the page at `place` to their place in `out`.
fn copy_part<T: Copy>(page: &[T], place: &Range<u64>, cells: &Range<u64>, out: &mut [T]) {
    let (from, to) = (place.start.max(cells.start), place.end.min(cells.end));
    #[allow(clippy::cast_possible_truncation, reason = "the page and the cells are in memory")]
    let (source, target) = (
        (from - place.start) as usize..(to - place.start) as usize,
        (from - cells.start) as usize..(to - cells.start) as usize,
    );
    out[target].copy_from_slice(&page[source]);
}

impl<'a, T: Element> NumberReader<'a, T> {
    pub(crate) fn new(fetched: &'a Fetched) -> Self {
        NumberReader { fetched, block: None, page: None }
    }

    /// What it decodes.
    pub(crate) fn fetched(&self) -> &'a Fetched {
        self.fetched
    }

    /// Decodes `cells` of segment `number` into `out`, which is as long.
    pub(crate) fn read(&mut self, number: u32, view: View<'_>, cells: &Range<u64>, out: &mut [T]) -> Result<()> {
        if let Some(page) = &self.page
            && page.segment == number
            && page.place.start <= cells.start
            && cells.end <= page.place.end
        {
            copy_part(page.cells.as_slice(), &page.place, cells, out);
            return Ok(());
        }
        for page in view.index.pages_of(cells) {
            let place = view.index.page_cells(page);
            if let Some(last) = &self.page
                && (last.segment, &last.place) == (number, &place)
            {
                copy_part(last.cells.as_slice(), &place, cells, out);
                continue;
            }
            if let Some(decoded) = self.fetched.decoded(number, page) {
                copy_part(T::unwrap(decoded).unwrap_or_default(), &place, cells, out);
                self.page = Some(Page { segment: number, place, cells: PageCells::Kept(decoded.clone()) });
                continue;
            }
            if cells.start <= place.start && place.end <= cells.end {
                #[allow(clippy::cast_possible_truncation, reason = "the cells are in memory")]
                let target = &mut out[(place.start - cells.start) as usize..(place.end - cells.start) as usize];
                self.decode(number, view, page, target)?;
                if self.fetched.keeps() {
                    self.fetched.keep(number, page, Arc::new(T::wrap(target.to_vec())));
                }
                continue;
            }
            #[allow(clippy::cast_possible_truncation, reason = "a page has at most MAX_PAGE_CELLS cells")]
            let count = (place.end - place.start) as usize;
            let mut own = match self.page.take() {
                Some(Page { cells: PageCells::Own(cells), .. }) => cells,
                _ => Vec::new(),
            };
            own.resize(count, T::default());
            self.decode(number, view, page, &mut own)?;
            copy_part(&own, &place, cells, out);
            let cells = if self.fetched.keeps() {
                let kept = Arc::new(T::wrap(own));
                self.fetched.keep(number, page, kept.clone());
                PageCells::Kept(kept)
            } else {
                PageCells::Own(own)
            };
            self.page = Some(Page { segment: number, place, cells });
        }
        Ok(())
    }

    /// Decodes a whole page.
    fn decode(&mut self, number: u32, view: View<'_>, page: usize, out: &mut [T]) -> Result<()> {
        let stored = view.page(self.fetched, number, page)?;
        let decoder = self.decoder(number, view, view.index.block_of(page))?;
        decoder.decode(stored, out).map_err(|message| view.corrupt_page(page, message))
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
    page: Option<((u32, usize), Arc<Cells>)>,
}

/// The cells of a page of text.
fn text(cells: &Cells) -> Option<&VarCells> {
    match cells {
        Cells::Var(cells) => Some(cells),
        _ => None,
    }
}

impl<'a> TextReader<'a> {
    pub(crate) fn new(fetched: &'a Fetched, dtype: DType) -> Self {
        TextReader { fetched, dtype, page: None }
    }

    /// Decodes `cells` of segment `number`, and appends them to `out`.
    pub(crate) fn read(&mut self, number: u32, view: View<'_>, cells: &Range<u64>, out: &mut VarCells) -> Result<()> {
        for page in view.index.pages_of(cells) {
            let decoded = match &self.page {
                Some((key, decoded)) if *key == (number, page) => decoded.clone(),
                _ => {
                    let decoded = self.page(number, view, page)?;
                    self.page = Some(((number, page), decoded.clone()));
                    decoded
                }
            };
            let place = view.index.page_cells(page);
            let (from, to) = (place.start.max(cells.start), place.end.min(cells.end));
            #[allow(clippy::cast_possible_truncation, reason = "the page is in memory")]
            let wanted = (from - place.start) as usize..(to - place.start) as usize;
            if let Some(page) = text(&decoded) {
                out.extend_from(page, wanted);
            }
        }
        Ok(())
    }

    fn page(&self, number: u32, view: View<'_>, page: usize) -> Result<Arc<Cells>> {
        if let Some(decoded) = self.fetched.decoded(number, page) {
            return Ok(decoded.clone());
        }
        let decoded = Arc::new(Cells::Var(self.decode(number, view, page)?));
        self.fetched.keep(number, page, decoded.clone());
        Ok(decoded)
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
        let is_text = self.dtype != DType::String || decoded.is_utf8();
        if is_text { Ok(decoded) } else { Err(failed("a string cell is not valid UTF-8".into())) }
    }
}

/// All cells of one chunk of a segment.
pub(crate) fn read_chunk(segment: &Arc<Segment>, dtype: DType, cells: &Range<u64>) -> Result<Cells> {
    let fetched = Fetched::cells(std::slice::from_ref(segment), std::iter::once((0, cells.clone())))?;
    decode_chunk(segment.view()?, dtype, cells, &fetched)
}

/// All cells of one chunk, from the fetched bytes of segment number 0.
pub(crate) fn decode_chunk(view: View<'_>, dtype: DType, cells: &Range<u64>, fetched: &Fetched) -> Result<Cells> {
    if dtype.physical() == Physical::Var {
        return chunk_text(&mut TextReader::new(fetched, dtype), 0, view, cells);
    }
    with_physical!(dtype.physical(), T => {
        chunk_numbers(&mut NumberReader::<T>::new(fetched), dtype, 0, view, cells)
    }, var => Ok(Cells::Var(VarCells::default())))
}

fn chunk_text(reader: &mut TextReader<'_>, number: u32, view: View<'_>, cells: &Range<u64>) -> Result<Cells> {
    let mut out = VarCells::default();
    reader.read(number, view, cells, &mut out)?;
    Ok(Cells::Var(out))
}

fn chunk_numbers<T: Element>(
    reader: &mut NumberReader<'_, T>,
    dtype: DType,
    number: u32,
    view: View<'_>,
    cells: &Range<u64>,
) -> Result<Cells> {
    #[allow(clippy::cast_possible_truncation, reason = "a chunk is held in memory")]
    let mut out = vec![T::default(); (cells.end - cells.start) as usize];
    reader.read(number, view, cells, &mut out)?;
    let cells = T::wrap(out);
    check_bools(dtype, &cells, view.object)?;
    Ok(cells)
}

/// All cells of some chunks, given as (segment, entry). Neighbours in a segment share what they decode.
pub(crate) fn read_chunks(segments: &[Arc<Segment>], dtype: DType, places: &[(usize, usize)]) -> Result<Vec<Cells>> {
    let mut wanted = Vec::with_capacity(places.len());
    for &(segment, entry) in places {
        #[allow(clippy::cast_possible_truncation, reason = "segments are numbered by a u32 when they are written")]
        wanted.push((segment as u32, segments[segment].index()?.chunk_place(entry).cells));
    }
    let fetched = Fetched::cells(segments, wanted.iter().cloned())?;
    let view = |number: u32| segments[number as usize].view();
    if dtype.physical() == Physical::Var {
        let mut reader = TextReader::new(&fetched, dtype);
        let read = |(number, cells): (u32, Range<u64>)| chunk_text(&mut reader, number, view(number)?, &cells);
        return wanted.into_iter().map(read).collect();
    }
    with_physical!(dtype.physical(), T => {
        let mut reader = NumberReader::<T>::new(&fetched);
        let read = |(number, cells): (u32, Range<u64>)| {
            chunk_numbers(&mut reader, dtype, number, view(number)?, &cells)
        };
        wanted.into_iter().map(read).collect()
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
