//! From datasets to the boxes in them that can satisfy the predicates: along axes by coordinates and indices, which is
//! exact, then chunk by chunk by zone maps.

use super::boxes::{Piece, join};
use super::prune::{ByStatistics, CONTAINERS, Left};
use super::read;
use super::table::{CellsTable, Column};
use crate::cut::with_axis;
use crate::scan::Predicate;
use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::{and, prep_null_mask_filter};
use atlas_store::{CancelToken, Region};
use datafusion::error::Result;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Datasets whose coordinates are read at once.
const DATASETS: usize = 1024;
/// Coordinates that are read at once, and the most of one dataset that a predicate is tried on while planning.
const COORDINATES: u64 = 1 << 22;
/// The most boxes that one dataset is cut into for its zone maps.
const MOST_TILES: usize = 1 << 18;

/// Cuts the pieces, which are whole datasets, to what can satisfy the predicates; replaces what is `left`.
pub(crate) fn narrow(
    table: &CellsTable,
    by_statistics: &ByStatistics,
    by_axis: &[(usize, &Predicate)],
    pieces: Vec<Piece>,
    left: &mut Left,
    cancel: &CancelToken,
) -> Result<()> {
    left.pieces.clear();
    let mut tiles = Tiles { table, by_statistics, cancel, waiting: Vec::new(), too_long: 0, too_many: 0 };
    let extent = |piece: &Piece, axis: usize| piece.region.shape()[axis];
    let mut start = 0;
    while start < pieces.len() {
        let mut end = start;
        let mut coordinates = 0u64;
        while end < pieces.len() && end - start < DATASETS && (end == start || coordinates < COORDINATES) {
            coordinates =
                by_axis.iter().fold(coordinates, |sum, (axis, _)| sum.saturating_add(extent(&pieces[end], *axis)));
            end += 1;
        }
        let batch = &pieces[start..end];
        let masks = tiles.masks(by_axis, batch)?;
        for (piece, masks) in batch.iter().zip(&masks) {
            tiles.cut(piece, masks, &mut left.pieces)?;
        }
        start = end;
    }
    tiles.decide(&mut left.pieces)?;
    if tiles.too_long > 0 {
        left.notes.push(format!("{} datasets by their dimensions: over {COORDINATES} long", tiles.too_long));
    }
    if tiles.too_many > 0 {
        left.notes.push(format!("{} datasets by zone maps: over {MOST_TILES} chunks", tiles.too_many));
    }
    Ok(())
}

/// Which indices along an axis can satisfy the predicates.
type Masks = BTreeMap<usize, BooleanArray>;

struct Tiles<'a> {
    table: &'a CellsTable,
    by_statistics: &'a ByStatistics,
    cancel: &'a CancelToken,
    /// Boxes that zone maps are still to decide, by dataset.
    waiting: Vec<Piece>,
    too_long: usize,
    too_many: usize,
}

impl Tiles<'_> {
    /// The masks of each of these datasets.
    fn masks(&mut self, by_axis: &[(usize, &Predicate)], pieces: &[Piece]) -> Result<Vec<Masks>> {
        let mut masks: Vec<Masks> = vec![Masks::new(); pieces.len()];
        let is_short = |piece: &Piece, axis: usize| piece.region.shape()[axis] <= COORDINATES;
        for (axis, predicate) in by_axis {
            let wanted: Vec<usize> = (0..pieces.len()).filter(|at| is_short(&pieces[*at], *axis)).collect();
            self.too_long += pieces.len() - wanted.len();
            let along: Vec<Piece> = wanted.iter().map(|at| one_line(&pieces[*at], *axis)).collect();
            let Some(column) = predicate.columns.first().map(|column| self.table.columns[*column]) else { continue };
            let values = self.values(column, &along)?;
            let satisfied = predicate.evaluate(vec![Arc::clone(&values)], values.len())?;
            let satisfied = if satisfied.null_count() > 0 { prep_null_mask_filter(&satisfied) } else { satisfied };
            let mut offset = 0;
            for (at, piece) in wanted.into_iter().zip(&along) {
                let length = usize::try_from(piece.region.shape()[*axis]).unwrap_or(usize::MAX);
                let own = satisfied.slice(offset, length);
                offset += length;
                let joined = match masks[at].get(axis) {
                    Some(before) => and(before, &own)?,
                    None => own,
                };
                masks[at].insert(*axis, joined);
            }
        }
        Ok(masks)
    }

    /// The values of a dimension's column along its axis.
    fn values(&self, column: Column, along: &[Piece]) -> Result<ArrayRef> {
        Ok(match column {
            Column::Index(_) => read::column(self.table, column, along, self.cancel)?.0,
            _ => read::stored(self.table, column, along, self.cancel)?.0,
        })
    }

    /// Cuts a dataset along its masks and, if zone maps can decide a predicate, its chunks.
    fn cut(&mut self, piece: &Piece, masks: &Masks, left: &mut Vec<Piece>) -> Result<()> {
        let region = &piece.region;
        let tile = self.tile(piece)?;
        let mut lines: Vec<Vec<Range<u64>>> = Vec::with_capacity(region.rank());
        let mut count = 1usize;
        let mut is_coarse = false;
        for axis in 0..region.rank() {
            let (extent, tile) = (region.shape()[axis], tile.get(axis).copied().unwrap_or(u64::MAX).max(1));
            let mask = masks.get(&axis);
            let is_cut = mask.is_some() || !self.by_statistics.is_empty();
            let parts = usize::try_from(extent.div_ceil(tile)).unwrap_or(usize::MAX);
            let line = if !is_cut || count.saturating_mul(parts) > MOST_TILES {
                is_coarse |= is_cut;
                std::iter::once(0..extent).filter_map(|range| satisfied(mask, range)).collect()
            } else {
                let part = |at: u64| at * tile..(at * tile).saturating_add(tile).min(extent);
                (0..parts as u64).filter_map(|at| satisfied(mask, part(at))).collect::<Vec<_>>()
            };
            count = count.saturating_mul(line.len());
            lines.push(line);
        }
        self.too_many += usize::from(is_coarse);
        if count == 0 {
            return Ok(());
        }
        let is_whole = count == 1 && lines.iter().zip(region.shape()).all(|(line, extent)| line[0] == (0..*extent));
        if is_whole {
            // Its statistics were compared already, or there is nothing to compare.
            self.decide(left)?;
            left.push(piece.clone());
            return Ok(());
        }
        let boxes = product(region, &lines);
        if self.by_statistics.is_empty() {
            left.extend(join(boxes).into_iter().map(|region| Piece { row: piece.row, region: Arc::new(region) }));
            return Ok(());
        }
        self.waiting.extend(boxes.into_iter().map(|region| Piece { row: piece.row, region: Arc::new(region) }));
        if self.waiting.len() >= CONTAINERS { self.decide(left) } else { Ok(()) }
    }

    /// Lets zone maps decide what is waiting, and joins what is left of each dataset.
    fn decide(&mut self, left: &mut Vec<Piece>) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut kept = Vec::new();
        self.by_statistics.keep(self.table, &self.waiting, true, &mut kept)?;
        self.waiting.clear();
        for own in kept.chunk_by(|a, b| a.row == b.row) {
            let boxes = own.iter().map(|piece| piece.region.as_ref().clone()).collect();
            let row = own[0].row;
            left.extend(join(boxes).into_iter().map(|region| Piece { row, region: Arc::new(region) }));
        }
        Ok(())
    }

    /// The chunk shape of the first array that predicates are about, else of the group's first.
    fn tile(&self, piece: &Piece) -> Result<Vec<u64>> {
        let about = self.by_statistics.columns.iter().map(|column| self.table.columns[*column]);
        let about = about.filter(|column| matches!(column, Column::Array(_)));
        let any = self.table.group.families.iter().map(|family| Column::Array(*family));
        for column in about.chain(any) {
            if let Some(tile) = self.table.tile(column, piece.row)? {
                return Ok(tile.to_vec());
            }
        }
        Ok(piece.region.shape().to_vec())
    }
}

/// One line of a dataset's cells along an axis.
fn one_line(piece: &Piece, axis: usize) -> Piece {
    let mut region = piece.region.as_ref().clone();
    for other in (0..region.rank()).filter(|other| *other != axis) {
        region = with_axis(&region, other, 0, 1);
    }
    Piece { row: piece.row, region: Arc::new(region) }
}

/// The part of a range from its first to its last index that satisfies the mask; `None` where none does.
fn satisfied(mask: Option<&BooleanArray>, range: Range<u64>) -> Option<Range<u64>> {
    let Some(mask) = mask else { return Some(range) };
    let start = usize::try_from(range.start).ok()?;
    let length = usize::try_from(range.end - range.start).ok()?;
    let mut set = mask.values().slice(start, length);
    let first = set.set_indices().next()?;
    set = set.slice(first, length - first);
    let last = first + (0..set.len()).rev().find(|at| set.value(*at))?;
    Some(range.start + first as u64..range.start + last as u64 + 1)
}

/// The boxes that these ranges along each axis make, in row-major order.
fn product(region: &Region, lines: &[Vec<Range<u64>>]) -> Vec<Region> {
    let mut boxes = vec![region.clone()];
    for (axis, line) in lines.iter().enumerate() {
        let cut =
            |own: &Region| line.iter().map(|range| with_axis(own, axis, range.start, range.end)).collect::<Vec<_>>();
        boxes = boxes.iter().flat_map(cut).collect();
    }
    boxes
}
