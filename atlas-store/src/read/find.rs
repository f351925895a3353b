//! Finding the chunks of a read in segments.

use super::layout::Touched;
use super::plan::Piece;
use super::segment::Segment;
use crate::error::Result;
use crate::format::segment::ChunkPlace;
use std::ops::Range;
use std::sync::Arc;

/// Segments number their pages by a u32.
#[allow(clippy::cast_possible_truncation, reason = "checked when a segment's index is read")]
pub(super) fn page_numbers(pages: &Range<usize>) -> Range<u32> {
    pages.start as u32..pages.end as u32
}

/// Finds chunks in segments, without a search where one lies after the other.
pub(super) struct Finder<'a> {
    segments: &'a [Arc<Segment>],
    /// Of each segment, the place of the entry after the last that was found.
    next: Vec<usize>,
    /// The last page that holds wanted cells. Neighbours share pages.
    last_page: Option<(u32, usize)>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(segments: &'a [Arc<Segment>]) -> Self {
        Finder { segments, next: vec![0; segments.len()], last_page: None }
    }

    /// Finds a chunk of array `id` in the newest segment that holds it. `at` is the number of `touched` in its layout. Adds
    /// the chunk's pages to the bytes that are stored, and to those that are decoded if the chunk before did not need them.
    pub(super) fn piece(
        &mut self,
        id: u64,
        at: u32,
        touched: &Touched,
        (stored, decoded): (&mut u64, &mut u64),
    ) -> Result<Option<Piece>> {
        for (number, segment) in self.segments.iter().enumerate().rev() {
            if !segment.reference.may_hold(id) {
                continue;
            }
            let index = segment.index()?;
            let Some(place) = index.find_next(id, touched.chunk, &mut self.next[number]) else { continue };
            check_extent(segment, id, touched.chunk, &place, touched.cells)?;
            // Segments are numbered by a u32 when they are written.
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let mut piece = Piece { segment: number, touched: at, first_cell: place.cells.start, pages: 0..0 };
            let mut near = self.last_page.map_or(0, |(_, page)| page);
            let (mut first, mut end) = (None, 0);
            for span in piece.spans(touched) {
                let pages = index.pages_near(&span, near);
                first = first.or(Some(pages.start));
                (near, end) = (pages.end - 1, pages.end);
                for page in pages {
                    *stored += u64::from(index.page_stored[page]);
                    if self.last_page.replace((number, page)) != Some((number, page)) {
                        *decoded += u64::from(index.page_raw[page]);
                    }
                }
            }
            piece.pages = page_numbers(&(first.unwrap_or(end)..end));
            return Ok(Some(piece));
        }
        Ok(None)
    }
}

/// Checks that a chunk in a segment holds as many cells as the array's declaration says.
pub(crate) fn check_extent(segment: &Segment, id: u64, chunk: u32, place: &ChunkPlace, expected: u64) -> Result<()> {
    let holds = place.cells.end - place.cells.start;
    if holds == expected {
        return Ok(());
    }
    Err(segment.corrupt(0, format!("chunk {chunk} of array {id} holds {holds} cells, expected {expected}")))
}
