//! Putting decoded cells in their place.

use super::decode::{NumberReader, TextReader};
use super::fetch::Fetched;
use super::layout::{Layout, runs};
use super::output::{Target, check_memory, lock};
use super::place::{Part, for_each_part};
use super::plan::{FamilyPlan, Piece, Slot};
use crate::cells::{Cells, Element, VarCells};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::region::Region;
use crate::scalar::Scalar;
use crate::with_physical;
use std::ops::Range;

/// Decodes these slots, which lie in what was fetched.
pub(crate) fn read_slots(family: &FamilyPlan, slots: Vec<(&Slot, Target<'_>)>, fetched: &Fetched) -> Result<()> {
    with_physical!(family.dtype.physical(), T => {
        let mut reader = NumberReader::<T>::new(fetched);
        let mut scratch = Vec::new();
        for (slot, target) in slots {
            read_numbers(family, slot, target, &mut reader, &mut scratch)?;
        }
    }, var => {
        let mut reader = TextReader::new(fetched, family.dtype);
        for (slot, target) in slots {
            target.put_text(read_text(family, slot, &mut reader)?);
        }
    });
    Ok(())
}

fn read_numbers<T: Element>(
    family: &FamilyPlan,
    slot: &Slot,
    target: Target<'_>,
    reader: &mut NumberReader<'_, T>,
    scratch: &mut Vec<T>,
) -> Result<()> {
    let layout = &family.layouts[slot.layout];
    match target {
        Target::Own(bytes) => {
            let out = bytemuck::try_cast_slice_mut(bytes)
                .map_err(|error| Error::invalid(format!("the output of array {}: {error}", family.array)))?;
            let is_placed = reader.fetched().is_beside_places() && slot.is_complete(layout);
            decode_into(family, slot, reader, out, is_placed)
        }
        Target::Shared { room, whole } => {
            scratch.clear();
            scratch.resize(layout.cells, T::default());
            decode_into(family, slot, reader, scratch, false)?;
            let bytes: &[u8] = bytemuck::cast_slice(scratch);
            let mut room = lock(room);
            runs(&layout.region, &layout.region, whole).for_each(|from, to, count| {
                let width = size_of::<T>();
                room[to * width..(to + count) * width].copy_from_slice(&bytes[from * width..(from + count) * width]);
            });
            Ok(())
        }
        Target::Text { .. } => Ok(()),
    }
}

/// Decodes the wanted cells of one slot's chunks into `out`, the cells of its layout's region; those aside that were read
/// into their place, if some were.
fn decode_into<T: Element>(
    family: &FamilyPlan,
    slot: &Slot,
    reader: &mut NumberReader<'_, T>,
    out: &mut [T],
    is_placed: bool,
) -> Result<()> {
    let layout = &family.layouts[slot.layout];
    if !slot.is_complete(layout) {
        out.fill(layout.fill.as_ref().and_then(T::from_scalar).unwrap_or_default());
    }
    for piece in &family.pieces[slot.pieces.clone()] {
        let view = family.segments[piece.segment as usize].view()?;
        for_each_wanted(piece, layout, |run, to| {
            let mut read = |cells: Range<u64>| {
                let to = to + cells_in(&(run.start..cells.start));
                reader.read(piece.segment, view, &cells, &mut out[to..to + cells_in(&cells)])
            };
            if !is_placed {
                return read(run.clone());
            }
            for_each_part(view.index, &run, size_of::<T>() as u64, |part| match part {
                Part::Placed { .. } => Ok(()),
                Part::Decoded(cells) => read(cells),
            })
        })?;
    }
    Ok(())
}

#[allow(clippy::cast_possible_truncation, reason = "the cells are those of an output in memory")]
fn cells_in(cells: &Range<u64>) -> usize {
    (cells.end - cells.start) as usize
}

/// Calls `read` with each run of a chunk's wanted cells (in the segment's cells) and its place in the layout's region.
pub(super) fn for_each_wanted(
    piece: &Piece,
    layout: &Layout,
    mut read: impl FnMut(Range<u64>, usize) -> Result<()>,
) -> Result<()> {
    let mut result = Ok(());
    layout.touched[piece.touched as usize].wanted.for_each(|from, to, count| {
        if result.is_ok() {
            let first = piece.first_cell + from as u64;
            result = read(first..first + count as u64, to);
        }
    });
    result
}

fn read_text(family: &FamilyPlan, slot: &Slot, reader: &mut TextReader<'_>) -> Result<VarCells> {
    let layout = &family.layouts[slot.layout];
    let fill = layout.fill.as_ref().and_then(Scalar::as_bytes).unwrap_or_default();
    let mut texts = VarCells::with_capacity(layout.cells);
    // Of each run: the place of its first cell in the region, and in `texts`.
    let mut runs = Vec::new();
    for piece in &family.pieces[slot.pieces.clone()] {
        let view = family.segments[piece.segment as usize].view()?;
        for_each_wanted(piece, layout, |cells, to| {
            runs.push((to, texts.len(), cells_in(&cells)));
            reader.read(piece.segment, view, &cells, &mut texts)
        })?;
    }
    let in_order = runs.iter().all(|(to, from, _)| to == from);
    if in_order && texts.len() == layout.cells {
        return Ok(texts);
    }
    let mut cells: Vec<&[u8]> = vec![fill; layout.cells];
    for (to, from, count) in runs {
        (0..count).for_each(|k| cells[to + k] = texts.get(from + k));
    }
    Ok(cells.into_iter().collect())
}

/// `count` cells that hold the fill value (zero, or the empty string, without one).
///
/// # Errors
/// `LimitExceeded` where they do not fit in memory.
pub(crate) fn fill_cells(dtype: DType, fill: Option<&Scalar>, count: usize) -> Result<Cells> {
    check_memory((count as u64).saturating_mul(dtype.cell_bytes().unwrap_or(8) as u64))?;
    Ok(with_physical!(dtype.physical(), T => {
        T::wrap(vec![fill.and_then(T::from_scalar).unwrap_or_default(); count])
    }, var => Cells::Var(std::iter::repeat_n(fill.and_then(Scalar::as_bytes).unwrap_or_default(), count).collect())))
}

/// Copies the cells that two boxes share from `source` (the cells of box `from`) to `target` (those of box `to`).
pub(crate) fn scatter(source: &Cells, from: &Region, target: &mut Cells, to: &Region) {
    let Some(shared) = from.intersection(to) else { return };
    let shared = runs(from, &shared, to);
    if let (Cells::Var(source), Cells::Var(target)) = (source, &mut *target) {
        let mut cells: Vec<&[u8]> = target.iter().collect();
        shared.for_each(|from, to, count| {
            (0..count).for_each(|k| cells[to + k] = source.get(from + k));
        });
        let merged: VarCells = cells.into_iter().collect();
        *target = merged;
        return;
    }
    with_physical!(source.physical(), T => {
        if let (Some(source), Some(target)) = (T::unwrap(source), T::unwrap_mut(target)) {
            shared.for_each(|from, to, count| {
                target[to..to + count].copy_from_slice(&source[from..from + count]);
            });
        }
    }, var => {});
}
