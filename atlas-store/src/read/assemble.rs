//! Executing a plan: tasks of neighbouring datasets are fetched, decoded and put in the output in parallel.

use super::fetch::{Fetched, NumberReader, TextReader, check_bools};
use super::plan::{Layout, Piece, ReadPlan};
use super::segment::View;
use crate::cells::{ArrayData, Cells, Element, VarCells};
use crate::dtype::{DType, Physical};
use crate::error::{Error, Result};
use crate::region::{Region, cell_count, for_each_run};
use crate::scalar::Scalar;
use crate::with_physical;
use rayon::prelude::*;

/// Output bytes that one task makes, about: enough for the planning of a task not to count, little enough that the
/// fetched bytes of a few tasks do not.
const TASK_BYTES: usize = 1 << 20;

/// Checks that so much memory is to be had: a failed allocation would end the process.
fn check_memory(bytes: u64) -> Result<()> {
    let is_there = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if is_there { Ok(()) } else { Err(Error::LimitExceeded { message: format!("{bytes} bytes do not fit in memory") }) }
}

/// Reads what the plan says.
pub(crate) fn execute(plan: &ReadPlan) -> Result<ArrayData> {
    check_memory(plan.output_bytes())?;
    let cells = if plan.dtype.physical() == Physical::Var {
        Cells::Var(read_text(plan)?)
    } else {
        with_physical!(plan.dtype.physical(), T => T::wrap(read_numbers::<T>(plan)?), var => Cells::Var(VarCells::default()))
    };
    check_bools(plan.dtype, &cells, &plan.array)?;
    Ok(ArrayData::new_unchecked(plan.dtype, plan.shape.clone(), cells))
}

/// The slots in the order in which their cells lie in the segments, cut into tasks.
fn tasks(plan: &ReadPlan, slot_bytes: usize) -> Vec<Vec<usize>> {
    let place = |slot: &usize| {
        let pieces = &plan.pieces[plan.slots[*slot].pieces.clone()];
        pieces.first().map(|piece| (piece.segment, piece.first_cell))
    };
    let mut order: Vec<usize> = (0..plan.slots.len()).collect();
    if !order.is_sorted_by_key(place) {
        order.sort_by_key(place);
    }
    let per_task = (TASK_BYTES / slot_bytes.max(1)).max(1);
    order.chunks(per_task).map(<[usize]>::to_vec).collect()
}

fn pieces_of(plan: &ReadPlan, slot: usize) -> impl Iterator<Item = (&Piece, &Layout)> {
    let slot = &plan.slots[slot];
    let layout = &plan.layouts[slot.layout as usize];
    plan.pieces[slot.pieces.clone()].iter().map(move |piece| (piece, layout))
}

impl ReadPlan {
    fn view(&self, piece: &Piece) -> Result<View<'_>> {
        self.segments[piece.segment as usize].view()
    }
}

fn fetch_task(plan: &ReadPlan, task: &[usize]) -> Result<Fetched> {
    let pieces = task.iter().flat_map(|slot| pieces_of(plan, *slot));
    let wanted = pieces.map(|(piece, layout)| (piece.segment, piece.cells(&layout.touched[piece.touched as usize])));
    Fetched::fetch(&plan.segments, wanted)
}

#[allow(clippy::cast_possible_truncation, reason = "the plan was checked to fit in memory")]
fn slot_cells(plan: &ReadPlan) -> usize {
    cell_count(&plan.shape[1..]).unwrap_or(0) as usize
}

fn read_numbers<T: Element>(plan: &ReadPlan) -> Result<Vec<T>> {
    let slot_cells = slot_cells(plan);
    let mut out = vec![T::default(); slot_cells * plan.slots.len()];
    if slot_cells == 0 {
        return Ok(out);
    }
    if plan.slots.len() == 1 && plan.pieces.len() > 1 {
        read_one_array(plan, &mut out)?;
        return Ok(out);
    }
    let mut slots: Vec<Option<&mut [T]>> = out.chunks_exact_mut(slot_cells).map(Some).collect();
    let tasks: Vec<Vec<(usize, &mut [T])>> = tasks(plan, slot_cells * size_of::<T>())
        .into_iter()
        .map(|task| task.into_iter().filter_map(|slot| Some((slot, slots[slot].take()?))).collect())
        .collect();
    tasks.into_par_iter().try_for_each(|task| {
        let order: Vec<usize> = task.iter().map(|(slot, _)| *slot).collect();
        let fetched = fetch_task(plan, &order)?;
        let mut reader = NumberReader::<T>::new(&fetched);
        let mut scratch = Vec::new();
        for (slot, out) in task {
            let layout = &plan.layouts[plan.slots[slot].layout as usize];
            if plan.slots[slot].pieces.len() < layout.touched.len() {
                out.fill(layout.fill.as_ref().and_then(T::from_scalar).unwrap_or_default());
            }
            for (piece, layout) in pieces_of(plan, slot) {
                read_piece(&mut reader, plan.view(piece)?, piece, layout, out, &mut scratch)?;
            }
        }
        Ok(())
    })?;
    Ok(out)
}

/// Decodes one chunk's wanted cells into their place in the dataset's output.
fn read_piece<T: Element>(
    reader: &mut NumberReader<'_, T>,
    view: View<'_>,
    piece: &Piece,
    layout: &Layout,
    out: &mut [T],
    scratch: &mut Vec<T>,
) -> Result<()> {
    let touched = &layout.touched[piece.touched as usize];
    let span = touched.span_cells();
    let mut runs = 0;
    let mut place = 0;
    placements(&touched.cells, &touched.wanted, &layout.region, |_, to, _| {
        runs += 1;
        place = to;
    });
    let cells = piece.cells(touched);
    if runs == 1 {
        return reader.read(piece.segment, view, &cells, &mut out[place..place + span]);
    }
    scratch.resize(span, T::default());
    reader.read(piece.segment, view, &cells, scratch)?;
    let first = touched.first_cell();
    placements(&touched.cells, &touched.wanted, &layout.region, |from, to, count| {
        out[to..to + count].copy_from_slice(&scratch[from - first..from - first + count]);
    });
    Ok(())
}

/// Calls `copy(from, to, count)` for each run of `wanted` cells: from the chunk `cells` to the output `region`.
fn placements(cells: &Region, wanted: &Region, region: &Region, copy: impl FnMut(usize, usize, usize)) {
    let relative =
        |to: &Region| -> Vec<u64> { wanted.start().iter().zip(to.start()).map(|(at, start)| at - start).collect() };
    for_each_run((cells.shape(), &relative(cells)), (region.shape(), &relative(region)), wanted.shape(), copy);
}

/// One array in many chunks: they are decoded in parallel, a few at a time, and copied into place.
fn read_one_array<T: Element>(plan: &ReadPlan, out: &mut [T]) -> Result<()> {
    let layout = &plan.layouts[plan.slots[0].layout as usize];
    if plan.pieces.len() < layout.touched.len() {
        out.fill(layout.fill.as_ref().and_then(T::from_scalar).unwrap_or_default());
    }
    for wave in plan.pieces.chunks(rayon::current_num_threads() * 2) {
        let decoded: Vec<Vec<T>> = wave
            .par_iter()
            .map(|piece| {
                let touched = &layout.touched[piece.touched as usize];
                let cells = piece.cells(touched);
                let fetched = Fetched::fetch(&plan.segments, std::iter::once((piece.segment, cells.clone())))?;
                let mut decoded = vec![T::default(); touched.span_cells()];
                NumberReader::new(&fetched).read(piece.segment, plan.view(piece)?, &cells, &mut decoded)?;
                Ok(decoded)
            })
            .collect::<Result<_>>()?;
        for (piece, decoded) in wave.iter().zip(decoded) {
            let touched = &layout.touched[piece.touched as usize];
            let first = touched.first_cell();
            placements(&touched.cells, &touched.wanted, &layout.region, |from, to, count| {
                out[to..to + count].copy_from_slice(&decoded[from - first..from - first + count]);
            });
        }
    }
    Ok(())
}

fn read_text(plan: &ReadPlan) -> Result<VarCells> {
    let slot_cells = slot_cells(plan);
    let tasks = tasks(plan, slot_cells * 16);
    let texts: Vec<Vec<(usize, VarCells)>> = tasks
        .into_par_iter()
        .map(|task| {
            let fetched = fetch_task(plan, &task)?;
            let mut reader = TextReader::new(&fetched, plan.dtype);
            task.into_iter().map(|slot| Ok((slot, read_text_slot(plan, slot, slot_cells, &mut reader)?))).collect()
        })
        .collect::<Result<_>>()?;
    let mut by_slot: Vec<(usize, VarCells)> = texts.into_iter().flatten().collect();
    by_slot.sort_by_key(|(slot, _)| *slot);
    if by_slot.len() == 1 {
        return Ok(by_slot.remove(0).1);
    }
    let mut out = VarCells::with_capacity(slot_cells * plan.slots.len());
    by_slot.iter().flat_map(|(_, cells)| cells.iter()).for_each(|cell| out.push(cell));
    Ok(out)
}

fn read_text_slot(plan: &ReadPlan, slot: usize, slot_cells: usize, reader: &mut TextReader<'_>) -> Result<VarCells> {
    let layout = &plan.layouts[plan.slots[slot].layout as usize];
    let fill = layout.fill.as_ref().and_then(Scalar::as_bytes).unwrap_or_default();
    let mut decoded = Vec::new();
    for (piece, layout) in pieces_of(plan, slot) {
        let touched = &layout.touched[piece.touched as usize];
        decoded.push((touched, reader.read(piece.segment, plan.view(piece)?, &piece.cells(touched))?));
    }
    let mut cells: Vec<&[u8]> = vec![fill; slot_cells];
    for (touched, texts) in &decoded {
        let first = touched.first_cell();
        placements(&touched.cells, &touched.wanted, &layout.region, |from, to, count| {
            for k in 0..count {
                cells[to + k] = texts.get(from - first + k);
            }
        });
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
    let place = |within: &Region| -> Vec<u64> {
        shared.start().iter().zip(within.start()).map(|(at, start)| at - start).collect()
    };
    let (place_in, place_out) = (place(from), place(to));
    if let (Cells::Var(source), Cells::Var(target)) = (source, &mut *target) {
        let mut cells: Vec<&[u8]> = target.iter().collect();
        for_each_run((from.shape(), &place_in), (to.shape(), &place_out), shared.shape(), |from, to, count| {
            (0..count).for_each(|k| cells[to + k] = source.get(from + k));
        });
        let merged: VarCells = cells.into_iter().collect();
        *target = merged;
        return;
    }
    with_physical!(source.physical(), T => {
        if let (Some(source), Some(target)) = (T::unwrap(source), T::unwrap_mut(target)) {
            for_each_run((from.shape(), &place_in), (to.shape(), &place_out), shared.shape(), |from, to, count| {
                target[to..to + count].copy_from_slice(&source[from..from + count]);
            });
        }
    }, var => {});
}
