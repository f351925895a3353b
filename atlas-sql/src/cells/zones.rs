//! What is known of the cells of some boxes without reading them, as DataFusion's pruning takes it.

use super::boxes::{Piece, cells};
use super::prune::CONTAINERS;
use super::table::{CellsTable, Column};
use crate::columns::scalars;
use crate::error::from_store;
use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array, UInt64Array};
use arrow::compute::{concat, take};
use atlas_store::{ArrayData, ArraySchema, Cells, DType, Element, Region, Scalar, Statistics, with_physical};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column as ColumnName, ScalarValue};
use datafusion::error::Result;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Chunks of an array in one box of another array that are looked at; of more, nothing is known.
const MOST_CHUNKS: u64 = 4096;

/// What is known of some cells, as SQL sees them.
#[derive(Debug, Clone, PartialEq)]
enum Zone {
    AllNull,
    /// Bounds in the order that SQL compares by; `None` where there is no bound, or NaN, which is beyond all.
    Values {
        min: Option<Scalar>,
        max: Option<Scalar>,
        has_null: bool,
    },
}

impl Zone {
    fn of(dtype: DType, known: &Statistics, fill: Option<&Scalar>) -> Zone {
        let nan_is_null =
            dtype == DType::TimestampNanoseconds || fill.and_then(Scalar::as_f64).is_some_and(f64::is_nan);
        let nulls = known.null_count + if nan_is_null { known.nan_count } else { 0 };
        if nulls >= known.row_count {
            return Zone::AllNull;
        }
        let has_nan = known.nan_count > 0 && !nan_is_null;
        let bound = |bound: &Option<Scalar>| bound.clone().filter(|_| !has_nan);
        // -0.0 comes before 0.0, and statistics do not tell them apart.
        let min = bound(&known.min).map(|min| match min {
            Scalar::Float32(0.0) => Scalar::Float32(-0.0),
            Scalar::Float64(0.0) => Scalar::Float64(-0.0),
            min => min,
        });
        let max = bound(&known.max).map(|max| match max {
            Scalar::Float32(0.0) => Scalar::Float32(0.0),
            Scalar::Float64(0.0) => Scalar::Float64(0.0),
            max => max,
        });
        Zone::Values { min, max, has_null: nulls > 0 }
    }

    /// What is known of the cells of both.
    fn with(self, other: Zone) -> Zone {
        match (self, other) {
            (Zone::AllNull, Zone::AllNull) => Zone::AllNull,
            (Zone::Values { min, max, .. }, Zone::AllNull) | (Zone::AllNull, Zone::Values { min, max, .. }) => {
                Zone::Values { min, max, has_null: true }
            }
            (Zone::Values { min, max, has_null }, Zone::Values { min: low, max: high, has_null: other }) => {
                Zone::Values {
                    min: outer(min, low, Ordering::Less),
                    max: outer(max, high, Ordering::Greater),
                    has_null: has_null || other,
                }
            }
        }
    }
}

/// The one of two bounds that is `wanted` of the other; none where one is missing.
fn outer(a: Option<Scalar>, b: Option<Scalar>, wanted: Ordering) -> Option<Scalar> {
    let (a, b) = (a?, b?);
    let order = match (&a, &b) {
        (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
        (Scalar::Int(a), Scalar::Int(b)) | (Scalar::Timestamp(a), Scalar::Timestamp(b)) => a.cmp(b),
        (Scalar::UInt(a), Scalar::UInt(b)) => a.cmp(b),
        (Scalar::Float32(a), Scalar::Float32(b)) => a.total_cmp(b),
        (Scalar::Float64(a), Scalar::Float64(b)) => a.total_cmp(b),
        (Scalar::String(a), Scalar::String(b)) => a.cmp(b),
        (Scalar::Binary(a), Scalar::Binary(b)) => a.cmp(b),
        _ => return None,
    };
    Some(if order == wanted { a } else { b })
}

/// The zone maps of one array of one dataset.
struct ChunkZones {
    shape: Vec<u64>,
    chunk_shape: Vec<u64>,
    /// By the first cell of the chunk.
    zones: HashMap<Vec<u64>, Zone>,
    unwritten: Zone,
}

impl ChunkZones {
    fn new(table: &CellsTable, name: &str, row: u32, schema: &ArraySchema) -> Result<Self> {
        let fill = schema.fill_value.as_ref();
        let chunks = table.view.snapshot.chunks(row, name).map_err(from_store)?;
        let zone = |statistics: &Statistics| Zone::of(schema.dtype, statistics, fill);
        let zones = chunks.iter().map(|chunk| (chunk.region.start().to_vec(), zone(chunk.statistics))).collect();
        let cell = with_physical!(schema.dtype.physical(), T => {
            <T as Element>::wrap(vec![fill.and_then(<T as Element>::from_scalar).unwrap_or_default()])
        }, var => Cells::Var(std::iter::once(fill.and_then(Scalar::as_bytes).unwrap_or_default()).collect()));
        let cell = ArrayData::try_new(schema.dtype, vec![1], cell).map_err(from_store)?;
        Ok(ChunkZones {
            shape: schema.shape.clone(),
            chunk_shape: schema.chunk_shape.clone(),
            zones,
            unwritten: zone(&Statistics::of(&cell, fill)),
        })
    }

    /// What is known of a region, which can reach beyond the array.
    fn of(&self, region: &Region) -> Zone {
        let inside = Region::full(&self.shape).intersection(region).filter(|inside| !inside.is_empty());
        let Some(inside) = inside else { return Zone::AllNull };
        let count = (0..inside.rank()).fold(1u64, |count, axis| {
            let chunk = self.chunk_shape[axis];
            count.saturating_mul((inside.end(axis) - 1) / chunk - inside.start()[axis] / chunk + 1)
        });
        if count > MOST_CHUNKS {
            return Zone::Values { min: None, max: None, has_null: true };
        }
        let mut known = (inside != *region).then_some(Zone::AllNull);
        let first = |axis: usize| inside.start()[axis] / self.chunk_shape[axis] * self.chunk_shape[axis];
        let mut start: Vec<u64> = (0..inside.rank()).map(first).collect();
        loop {
            let next = self.zones.get(&start).unwrap_or(&self.unwritten).clone();
            known = Some(match known {
                Some(known) => known.with(next),
                None => next,
            });
            let mut axis = inside.rank();
            loop {
                if axis == 0 {
                    return known.unwrap_or(Zone::AllNull);
                }
                axis -= 1;
                start[axis] = start[axis].saturating_add(self.chunk_shape[axis]);
                if start[axis] < inside.end(axis) {
                    break;
                }
                start[axis] = first(axis);
            }
        }
    }
}

/// What is known of some boxes: a container each.
pub(crate) struct Zones {
    columns: HashMap<String, Known>,
    rows: ArrayRef,
}

/// What is known of a column in each box.
#[derive(Debug, Clone)]
struct Known {
    min: ArrayRef,
    max: ArrayRef,
    nulls: ArrayRef,
}

/// What is known of the arrays of whole datasets, by column, for all datasets of a table; made when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct WholeZones(Mutex<HashMap<usize, Option<Known>>>);

impl Zones {
    /// The zones of these columns: of pieces that are whole datasets, or with `by_chunk` of any from their zone maps.
    ///
    /// # Cost
    /// One pass over the statistics of all datasets the first time. By chunk, segment indexes and zone maps, the first
    /// time.
    pub(crate) fn new(
        table: &CellsTable,
        columns: impl IntoIterator<Item = usize>,
        pieces: &[Piece],
        by_chunk: bool,
    ) -> Result<Zones> {
        let counts: Vec<u64> = pieces.iter().map(Piece::cells).collect();
        let mut known = HashMap::new();
        for position in columns {
            let column = table.columns[position];
            let own = match column {
                Column::Dataset | Column::Attribute(_) => of_catalog(table, column, pieces, &counts)?,
                Column::Index(axis) => of_index(axis, pieces),
                Column::Coordinate(..) | Column::Array(_) if !by_chunk => of_whole(table, position, pieces)?,
                Column::Coordinate(..) | Column::Array(_) => of_array(table, column, pieces, &counts, true)?,
            };
            if let Some(own) = own {
                known.insert(table.schema.field(position).name().clone(), own);
            }
        }
        Ok(Zones { columns: known, rows: Arc::new(UInt64Array::from(counts)) })
    }
}

fn of_catalog(table: &CellsTable, column: Column, pieces: &[Piece], counts: &[u64]) -> Result<Option<Known>> {
    let Some(source) = column.source() else { return Ok(None) };
    let rows = UInt32Array::from_iter_values(pieces.iter().map(|piece| piece.row));
    let values = take(&table.view.column(&source)?, &rows, None)?;
    let nulls = counts.iter().enumerate().map(|(at, count)| if values.is_null(at) { *count } else { 0 });
    let nulls: ArrayRef = Arc::new(UInt64Array::from_iter_values(nulls));
    Ok(Some(Known { min: Arc::clone(&values), max: values, nulls }))
}

fn of_index(axis: usize, pieces: &[Piece]) -> Option<Known> {
    let bound = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
    let first = pieces.iter().map(|piece| bound(piece.region.start()[axis]));
    let last = pieces.iter().map(|piece| bound(piece.region.end(axis).saturating_sub(1)));
    Some(Known {
        min: Arc::new(Int64Array::from_iter_values(first)),
        max: Arc::new(Int64Array::from_iter_values(last)),
        nulls: Arc::new(UInt64Array::from(vec![0; pieces.len()])),
    })
}

/// What is known of pieces that are whole datasets.
fn of_whole(table: &CellsTable, position: usize, pieces: &[Piece]) -> Result<Option<Known>> {
    let mut made = table.zones.0.lock().unwrap_or_else(PoisonError::into_inner);
    let known = match made.get(&position) {
        Some(known) => known.clone(),
        None => {
            let known = of_all(table, table.columns[position])?;
            made.insert(position, known.clone());
            known
        }
    };
    drop(made);
    let Some(Known { min, max, nulls }) = known else { return Ok(None) };
    let places: UInt32Array = pieces.iter().map(|piece| table.layout.place(piece.row)).collect();
    let pick = |column: &ArrayRef| -> Result<ArrayRef> {
        let (first, last) = (places.values().first(), places.values().last());
        Ok(match (first, last) {
            // Pieces ascend, so that as many as lie between are all.
            (Some(first), Some(last)) if (last - first) as usize + 1 == places.len() && places.null_count() == 0 => {
                column.slice(*first as usize, places.len())
            }
            _ => take(column, &places, None)?,
        })
    };
    Ok(Some(Known { min: pick(&min)?, max: pick(&max)?, nulls: pick(&nulls)? }))
}

/// What is known of all datasets of the table.
fn of_all(table: &CellsTable, column: Column) -> Result<Option<Known>> {
    let mut parts = Vec::new();
    for rows in table.layout.rows().chunks(CONTAINERS) {
        let piece = |row: &u32| Some(Piece { row: *row, region: Arc::clone(table.layout.grid(*row)?) });
        let pieces: Vec<Piece> = rows.iter().filter_map(piece).collect();
        let counts: Vec<u64> = pieces.iter().map(Piece::cells).collect();
        let Some(known) = of_array(table, column, &pieces, &counts, false)? else { return Ok(None) };
        parts.push(known);
    }
    let join =
        |part: fn(&Known) -> &ArrayRef| concat(&parts.iter().map(|known| part(known).as_ref()).collect::<Vec<_>>());
    if parts.is_empty() {
        return Ok(None);
    }
    Ok(Some(Known {
        min: join(|known| &known.min)?,
        max: join(|known| &known.max)?,
        nulls: join(|known| &known.nulls)?,
    }))
}

fn of_array(
    table: &CellsTable,
    column: Column,
    pieces: &[Piece],
    counts: &[u64],
    by_chunk: bool,
) -> Result<Option<Known>> {
    let Some(family) = column.family() else { return Ok(None) };
    let stored = table.view.family(family)?;
    let (mut mins, mut maxs, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
    let mut chunks: Option<(u32, ChunkZones)> = None;
    for (piece, count) in pieces.iter().zip(counts) {
        let declared = table.declaration(column, piece.row)?;
        let zone = match declared.as_ref().map(|declared| (declared.schema, declared.axes.region(&piece.region))) {
            None => Some(Zone::AllNull),
            Some((schema, region)) if by_chunk => {
                if !matches!(&chunks, Some((row, _)) if *row == piece.row) {
                    chunks = Some((piece.row, ChunkZones::new(table, stored.name(), piece.row, schema)?));
                }
                chunks.as_ref().map(|(_, chunks)| chunks.of(&region))
            }
            Some((schema, region)) => {
                let known = stored.entry(piece.row).and_then(|entry| entry.statistics());
                let known = known.map(|known| Zone::of(schema.dtype, &known, schema.fill_value.as_ref()));
                let covers =
                    Region::full(&schema.shape).intersection(&region).as_ref().map(cells) == Some(cells(&region));
                known.map(|known| if covers { known } else { known.with(Zone::AllNull) })
            }
        };
        let (min, max, null) = match zone {
            None => (None, None, None),
            Some(Zone::AllNull) => (None, None, Some(*count)),
            Some(Zone::Values { min, max, has_null }) => (min, max, (!has_null).then_some(0)),
        };
        mins.push(min);
        maxs.push(max);
        nulls.push(null);
    }
    Ok(Some(Known {
        min: scalars(stored.dtype(), &mins)?,
        max: scalars(stored.dtype(), &maxs)?,
        nulls: Arc::new(UInt64Array::from(nulls)),
    }))
}

impl PruningStatistics for Zones {
    fn min_values(&self, column: &ColumnName) -> Option<ArrayRef> {
        self.columns.get(&column.name).map(|known| Arc::clone(&known.min))
    }

    fn max_values(&self, column: &ColumnName) -> Option<ArrayRef> {
        self.columns.get(&column.name).map(|known| Arc::clone(&known.max))
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &ColumnName) -> Option<ArrayRef> {
        self.columns.get(&column.name).map(|known| Arc::clone(&known.nulls))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::clone(&self.rows))
    }

    fn contained(&self, _: &ColumnName, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
