//! Pages of codec `none`, read from storage straight into their place of the output.
//!
//! Their stored bytes are the cells. Where all cells of a page are wanted, one after another, they need no copy: the
//! request that would fetch the page puts it where it belongs, and its checksum is verified there. What else the request
//! reads (pages that are wanted in part or encoded otherwise, headers, what lies between) is fetched as ever.

use super::assemble::for_each_wanted;
use super::fetch::Fetched;
use super::output::Target;
use super::pages::{coalesce, ranges_of};
use super::plan::{FamilyPlan, Slot};
use super::segment::Segment;
use crate::codec::Encoding;
use crate::error::Result;
use crate::format::segment::SegmentIndex;
use bytes::Bytes;
use std::io::IoSliceMut;
use std::ops::Range;

/// Fewer bytes are copied: a place of its own costs about as much.
const MIN_PLACED_BYTES: u64 = 4 << 10;

/// A part of a run of wanted cells.
pub(super) enum Part {
    /// All cells of these pages, which lie in one block and are stored as they are.
    Placed { pages: Range<usize>, cells: Range<u64> },
    /// Cells to be decoded.
    Decoded(Range<u64>),
}

/// Cuts a run of wanted cells, of `width` bytes each, into what is read into its place and what is decoded.
pub(super) fn for_each_part(
    index: &SegmentIndex,
    cells: &Range<u64>,
    width: u64,
    mut each: impl FnMut(Part) -> Result<()>,
) -> Result<()> {
    let is_enough = |cells: &Range<u64>| (cells.end - cells.start).saturating_mul(width) >= MIN_PLACED_BYTES;
    let mut left = cells.start;
    let mut pages = if is_enough(cells) { index.pages_of(cells) } else { 0..0 };
    while !pages.is_empty() {
        let block = index.block_of(pages.start);
        let mut whole = pages.start..pages.end.min(index.block_first_page[block + 1] as usize);
        pages.start = whole.end;
        // Only the ends of the run can share pages with others.
        whole.start += usize::from(index.page_first_cell[whole.start] < cells.start);
        whole.end -= usize::from(index.page_first_cell[whole.end] > cells.end);
        if whole.is_empty() || index.block_encoding[block] != Encoding::None {
            continue;
        }
        let placed = index.page_first_cell[whole.start]..index.page_first_cell[whole.end];
        if is_enough(&placed) && index.page_stored[whole.clone()] == index.page_raw[whole.clone()] {
            if left < placed.start {
                each(Part::Decoded(left..placed.start))?;
            }
            left = placed.end;
            each(Part::Placed { pages: whole, cells: placed })?;
        }
    }
    if left < cells.end { each(Part::Decoded(left..cells.end)) } else { Ok(()) }
}

/// Pages, and the part of the output that is theirs.
struct Place<'t> {
    segment: u32,
    pages: Range<usize>,
    /// Where they begin in the segment.
    offset: u64,
    bytes: &'t mut [u8],
}

/// Fetches what these slots need, and puts what can be in its place; `None`, and nothing was read, where nothing can.
///
/// # Errors
/// `Corrupt` where a checksum does not match, `Storage` where a segment cannot be read: the output then holds anything.
pub(super) fn fetch_in_place(family: &FamilyPlan, slots: &mut [(&Slot, Target<'_>)]) -> Result<Option<Fetched>> {
    let Some(width) = family.dtype.cell_bytes() else { return Ok(None) };
    let is_small = |(slot, _): &(&Slot, Target<'_>)| {
        family.layouts[slot.layout].longest_run.saturating_mul(width as u64) < MIN_PLACED_BYTES
    };
    if slots.iter().all(is_small) {
        return Ok(None);
    }
    let pages = family.pages_of(slots.iter().map(|(slot, _)| *slot))?;
    let places = places_of(family, slots, width)?;
    // What two places want (a dataset that was asked for twice) is read once, and copied.
    let overlap = |pair: &[Place<'_>]| pair[0].segment == pair[1].segment && pair[1].pages.start < pair[0].pages.end;
    if places.is_empty() || places.windows(2).any(overlap) {
        return Ok(None);
    }
    let mut places = places.into_iter().peekable();
    let mut fetched = Fetched::beside_places();
    for (number, pages) in pages.by_segment() {
        let mut own = Vec::new();
        while let Some(place) = places.next_if(|place| place.segment == number) {
            own.push(place);
        }
        let segment = &family.segments[number as usize];
        fetched.put(number, read(segment, &pages, &mut own)?);
        verify(segment, &fetched, &own)?;
    }
    Ok(Some(fetched))
}

/// The places of all pages that can be put there, in the order in which they are stored.
#[allow(clippy::cast_possible_truncation, reason = "the cells are those of an output in memory")]
fn places_of<'t>(family: &FamilyPlan, slots: &'t mut [(&Slot, Target<'_>)], width: usize) -> Result<Vec<Place<'t>>> {
    let mut places = Vec::new();
    let mut found = Vec::new();
    for (slot, target) in slots {
        let Target::Own(room) = target else { continue };
        let layout = &family.layouts[slot.layout];
        if !slot.is_complete(layout) {
            // It is filled first, all of it.
            continue;
        }
        for piece in &family.pieces[slot.pieces.clone()] {
            let index = family.segments[piece.segment as usize].index()?;
            for_each_wanted(piece, layout, |cells, to| {
                for_each_part(index, &cells, width as u64, |part| {
                    if let Part::Placed { pages, cells: placed } = part {
                        let bytes = |cells: Range<u64>| (cells.end - cells.start) as usize * width;
                        let start = to * width + bytes(cells.start..placed.start);
                        found.push((start..start + bytes(placed), piece.segment, pages));
                    }
                    Ok(())
                })
            })?;
        }
        found.sort_unstable_by_key(|(bytes, ..)| bytes.start);
        let (mut rest, mut at): (&mut [u8], usize) = (room, 0);
        for (bytes, segment, pages) in found.drain(..) {
            let (own, after) = std::mem::take(&mut rest)[bytes.start - at..].split_at_mut(bytes.end - bytes.start);
            (rest, at) = (after, bytes.end);
            let offset = family.segments[segment as usize].index()?.page_offset[pages.start];
            places.push(Place { segment, pages, offset, bytes: own });
        }
    }
    places.sort_unstable_by_key(|place| (place.segment, place.offset));
    Ok(places)
}

/// Reads these pages of a segment, those that have a place into it; gives the other bytes: (offset, bytes), ascending.
#[allow(clippy::cast_possible_truncation, reason = "what is read goes to memory that is there")]
fn read(segment: &Segment, pages: &[usize], places: &mut [Place<'_>]) -> Result<Vec<(u64, Bytes)>> {
    let ranges = coalesce(ranges_of(segment.index()?, pages));
    let all: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    let placed: usize = places.iter().map(|place| place.bytes.len()).sum();
    let mut others = vec![0; (all as usize).saturating_sub(placed)];
    let mut parts = Vec::new();
    let mut rest = &mut others[..];
    let mut places = places.iter_mut().peekable();
    for range in ranges {
        let mut targets = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let next = places.peek().map_or(range.end, |place| place.offset.min(range.end));
            if at < next {
                let (own, after) = std::mem::take(&mut rest).split_at_mut((next - at) as usize);
                rest = after;
                targets.push(IoSliceMut::new(own));
                parts.push((at, (next - at) as usize));
                at = next;
            } else if let Some(place) = places.next() {
                at += place.bytes.len() as u64;
                targets.push(IoSliceMut::new(place.bytes));
            }
        }
        segment.read_into(range.start, &mut targets)?;
    }
    let mut others = Bytes::from(others);
    Ok(parts.into_iter().map(|(offset, len)| (offset, others.split_to(len))).collect())
}

/// Checks the pages that were put in their place, and the headers of their blocks.
fn verify(segment: &Segment, fetched: &Fetched, places: &[Place<'_>]) -> Result<()> {
    let view = segment.view()?;
    let mut last_block = None;
    for place in places {
        let block = view.index.block_of(place.pages.start);
        if last_block.replace(block) != Some(block) {
            view.header(fetched, place.segment, block)?;
        }
        let mut rest = &*place.bytes;
        for page in place.pages.clone() {
            let (stored, after) = rest.split_at(rest.len().min(view.index.page_stored[page] as usize));
            view.check_page(page, stored)?;
            rest = after;
        }
    }
    Ok(())
}
