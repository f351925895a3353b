//! The values of one column over some pieces; and what reading them costs, without doing it.

use super::axes::{Axes, Declared};
use super::boxes::{Piece, cells};
use super::repeated;
use super::table::{CellsTable, Column};
use crate::error::from_store;
use crate::scan::Touched;
use crate::tensor::{cells_array, data_type, null_cells, read_cells};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use atlas_store::{CancelToken, ReadPlan, Region, Scalar};
use datafusion::error::{DataFusionError, Result};
use std::sync::Arc;

/// What one read covers.
struct Request<'a> {
    /// The datasets, for which the region is the same.
    rows: Vec<u32>,
    /// `None` is all of an array, whatever its shape.
    region: Option<Region>,
    /// The cells of each dataset, and its fill value.
    counts: Vec<(usize, Option<&'a Scalar>)>,
}

/// What gives the cells of a run of pieces.
enum Run<'a> {
    Read(Request<'a>),
    /// The pieces' dataset lacks the array, for so many cells.
    Missing(usize),
    /// The array ends within the piece: the positions of the read cells among the piece's.
    Clipped(Request<'a>, UInt32Array),
}

/// The runs that make up a column which is read: for each piece, the cells of the array's own region.
fn runs<'a>(table: &'a CellsTable, column: Column, pieces: &[Piece]) -> Result<Vec<Run<'a>>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    for piece in pieces {
        let declared = table.declaration(column, piece.row)?;
        let region = axes(column, declared.as_ref()).region(&piece.region);
        let count = length(cells(&region))?;
        let Some(Declared { schema, .. }) = declared else {
            match runs.last_mut() {
                Some(Run::Missing(before)) => *before += count,
                _ => runs.push(Run::Missing(count)),
            }
            continue;
        };
        let own = Region::full(&schema.shape);
        let fill = schema.fill_value.as_ref();
        match own.intersection(&region) {
            Some(inside) if inside == region => {
                let wanted = (region != own).then_some(region);
                if let Some(Run::Read(before)) = runs.last_mut()
                    && before.region == wanted
                {
                    before.rows.push(piece.row);
                    before.counts.push((count, fill));
                } else {
                    runs.push(Run::Read(Request {
                        rows: vec![piece.row],
                        region: wanted,
                        counts: vec![(count, fill)],
                    }));
                }
            }
            Some(inside) if !inside.is_empty() => {
                let positions = positions(&region, &inside)?;
                let counts = vec![(length(cells(&inside))?, fill)];
                let request = Request { rows: vec![piece.row], region: Some(inside), counts };
                runs.push(Run::Clipped(request, positions));
            }
            _ => runs.push(Run::Missing(count)),
        }
    }
    Ok(runs)
}

/// The axes that a column has in a dataset, where that lacks it too.
fn axes(column: Column, declared: Option<&Declared<'_>>) -> Axes {
    match (declared, column.axis()) {
        (Some(declared), _) => declared.axes.clone(),
        (None, Some(axis)) => Axes::Some(vec![axis]),
        (None, None) => Axes::All,
    }
}

/// For each cell of `region`, in row-major order, its position among those of `inside`; NULL where it is not there.
fn positions(region: &Region, inside: &Region) -> Result<UInt32Array> {
    let mut positions: Vec<Option<u32>> = Vec::with_capacity(length(cells(region))?);
    let mut index = region.start().to_vec();
    let mut next = 0u32;
    for _ in 0..cells(region) {
        let is_inside = (0..index.len()).all(|axis| (inside.start()[axis]..inside.end(axis)).contains(&index[axis]));
        positions.push(is_inside.then_some(next));
        next += u32::from(is_inside);
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < region.end(axis) {
                break;
            }
            index[axis] = region.start()[axis];
        }
    }
    Ok(UInt32Array::from(positions))
}

fn plan(table: &CellsTable, family: usize, request: &Request<'_>) -> Result<ReadPlan> {
    let name = &table.view.families[family].name;
    table.view.snapshot.plan_across(&[name], &request.rows, request.region.as_ref()).map_err(from_store)
}

/// Bytes in memory of a cell of a column in one dataset: of text, the mean of the pages that hold it.
pub(crate) fn cell_bytes(table: &CellsTable, column: Column, row: u32) -> Result<u64> {
    let Some(family) = column.family() else { return Ok(8) };
    if let Some(bytes) = table.view.families[family].dtype.cell_bytes() {
        return Ok(bytes as u64);
    }
    let Some(declared) = table.declaration(column, row)? else { return Ok(8) };
    let request = Request { rows: vec![row], region: None, counts: Vec::new() };
    let mean = plan(table, family, &request)?.decoded_bytes().div_ceil(declared.schema.cell_count().max(1));
    Ok(mean.saturating_add(8))
}

/// What reading a column for these pieces would touch.
pub(crate) fn touched(table: &CellsTable, column: Column, pieces: &[Piece]) -> Result<Touched> {
    let mut touched = Touched::default();
    let Some(family) = column.family() else { return Ok(touched) };
    for run in runs(table, column, pieces)? {
        if let Run::Read(request) | Run::Clipped(request, _) = run {
            touched += Touched::of(&plan(table, family, &request)?);
        }
    }
    Ok(touched)
}

/// The cells of an array in its own region, or of a coordinate along its axis, piece after piece.
pub(crate) fn stored(
    table: &CellsTable,
    column: Column,
    pieces: &[Piece],
    cancel: &CancelToken,
) -> Result<(ArrayRef, Touched)> {
    let mut touched = Touched::default();
    let Some(family) = column.family() else {
        return Err(DataFusionError::Internal(format!("{column:?} is not stored")));
    };
    let dtype = table.view.families[family].dtype;
    let mut read = |request: &Request<'_>| -> Result<ArrayRef> {
        let plan = plan(table, family, request)?;
        touched += Touched::of(&plan);
        let cells = read_cells(&plan, cancel)?;
        let nulls = null_cells(dtype, &cells, &request.counts);
        cells_array(dtype, cells, nulls)
    };
    let mut parts: Vec<ArrayRef> = Vec::new();
    for run in runs(table, column, pieces)? {
        parts.push(match &run {
            Run::Read(request) => read(request)?,
            Run::Missing(count) => new_null_array(&data_type(dtype), *count),
            Run::Clipped(request, positions) => take(&read(request)?, positions, None)?,
        });
    }
    let joined = match parts.as_slice() {
        [] => new_null_array(&data_type(dtype), 0),
        [one] => Arc::clone(one),
        _ => concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?,
    };
    Ok((joined, touched))
}

/// The values of a column for each cell of the pieces.
pub(crate) fn column(
    table: &CellsTable,
    column: Column,
    pieces: &[Piece],
    cancel: &CancelToken,
) -> Result<(ArrayRef, Touched)> {
    match column {
        Column::Array(_) | Column::Coordinate(..) => {
            let (values, touched) = stored(table, column, pieces, cancel)?;
            Ok(match positions_of(table, column, pieces)? {
                Some(positions) => (spread(&values, &positions)?, touched),
                None => (values, touched),
            })
        }
        Column::Index(axis) => {
            let mut indices = Vec::with_capacity(total(pieces)?);
            let mut positions = Vec::new();
            for piece in pieces {
                narrow(piece.cells())?;
                positions.clear();
                Axes::Some(vec![axis]).positions(&piece.region, 0, &mut positions);
                let start = i64::try_from(piece.region.start()[axis]).unwrap_or(i64::MAX);
                indices.extend(positions.iter().map(|position| start.saturating_add(i64::from(*position))));
            }
            Ok((Arc::new(Int64Array::from(indices)), Touched::default()))
        }
        Column::Dataset | Column::Attribute(_) => {
            let Some(source) = column.source() else {
                return Err(DataFusionError::Internal(format!("{column:?} is not in the catalog")));
            };
            let rows: Vec<u32> = pieces.iter().map(|piece| piece.row).collect();
            let counts = pieces.iter().map(|piece| length(piece.cells())).collect::<Result<Vec<_>>>()?;
            let values = match rows.as_slice() {
                [row] => table.view.column_at(&source, &[*row])?,
                _ => take(&table.view.column(&source)?, &UInt32Array::from(rows), None)?,
            };
            Ok((repeated::each(&values, &counts)?, Touched::default()))
        }
    }
}

/// For each cell of the pieces, the position of its value among those that are stored; `None` where each has its own.
fn positions_of(table: &CellsTable, column: Column, pieces: &[Piece]) -> Result<Option<UInt32Array>> {
    let axes = pieces
        .iter()
        .map(|piece| Ok(axes(column, table.declaration(column, piece.row)?.as_ref())))
        .collect::<Result<Vec<_>>>()?;
    if axes.iter().all(|axes| *axes == Axes::All) {
        return Ok(None);
    }
    let mut positions: Vec<u32> = Vec::with_capacity(total(pieces)?);
    let mut first = 0u32;
    // Pieces of one shape are alike but for where their values begin.
    let mut alike: Option<(&Piece, &Axes, Vec<u32>)> = None;
    for (piece, axes) in pieces.iter().zip(&axes) {
        narrow(piece.cells())?;
        let own = match alike.take() {
            Some((before, same, own)) if before.region.shape() == piece.region.shape() && same == axes => own,
            _ => {
                let mut own = Vec::with_capacity(length(piece.cells())?);
                axes.positions(&piece.region, 0, &mut own);
                own
            }
        };
        positions.extend(own.iter().map(|position| first + position));
        alike = Some((piece, axes, own));
        first += narrow(cells(&axes.region(&piece.region)))?;
    }
    Ok(Some(UInt32Array::from(positions)))
}

/// The values at these positions; an error where text would pass what 32-bit offsets reach.
fn spread(values: &ArrayRef, positions: &UInt32Array) -> Result<ArrayRef> {
    if matches!(values.data_type(), DataType::Utf8 | DataType::Binary) {
        let longest = (0..values.len()).map(|at| text_bytes(values, at)).max().unwrap_or(0);
        if longest.saturating_mul(positions.len() as u64) > u64::from(i32::MAX.unsigned_abs()) {
            let bytes: u64 = positions.values().iter().map(|at| text_bytes(values, *at as usize)).sum();
            if i32::try_from(bytes).is_err() {
                return Err(DataFusionError::Execution(format!("one batch of a column holds {bytes} bytes of text")));
            }
        }
    }
    Ok(take(values, positions, None)?)
}

/// Bytes of one value of a text or binary column; 0 of any other.
pub(crate) fn text_bytes(values: &ArrayRef, at: usize) -> u64 {
    let length = match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value_length(at),
        DataType::Binary => values.as_binary::<i32>().value_length(at),
        _ => 0,
    };
    u64::try_from(length).unwrap_or(0)
}

fn total(pieces: &[Piece]) -> Result<usize> {
    length(pieces.iter().fold(0, |sum: u64, piece| sum.saturating_add(piece.cells())))
}

fn length(cells: u64) -> Result<usize> {
    usize::try_from(cells).map_err(|_| DataFusionError::Execution(format!("{cells} cells do not fit in memory")))
}

fn narrow(extent: u64) -> Result<u32> {
    u32::try_from(extent).map_err(|_| DataFusionError::Execution(format!("a batch of {extent} cells is too large")))
}
