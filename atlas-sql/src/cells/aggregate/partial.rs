//! What an aggregate wants to know of one dataset's cells, and what statistics tell of it.

use crate::cells::axes::Axes;
use crate::cells::boxes::{Piece, cells};
use crate::cells::exec::CellsScanExec;
use crate::cells::table::{CellsTable, Column};
use crate::columns::Source;
use arrow::array::Array;
use arrow::datatypes::DataType;
use atlas_store::{DType, Scalar, Sum};
use datafusion::error::Result;
use datafusion::functions_aggregate::average::Avg;
use datafusion::functions_aggregate::count::Count;
use datafusion::functions_aggregate::min_max::{Max, Min};
use datafusion::functions_aggregate::sum::Sum as SumFunction;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column as ColumnExpr, Literal};
use std::any::Any;
use std::sync::Arc;

/// An aggregate whose partial result statistics can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The rows.
    Rows,
    /// The values of a column that are not NULL.
    Count(Column),
    Min(Column),
    Max(Column),
    /// The smallest or largest value of a column of the catalog, which has one value in each dataset.
    Value(Source),
    /// Their sum, of the type of its state.
    Sum(Column, DataType),
    /// Their number and their sum.
    Avg(Column),
}

/// A partial result; `None` within is NULL.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Partial {
    Count(u64),
    Bound(Option<Scalar>),
    Sum(Option<Sum>),
    Avg(u64, Option<Sum>),
}

impl Wanted {
    /// What an aggregate over a scan wants; `None` where statistics cannot tell it of any dataset.
    pub(super) fn of(
        scan: &CellsScanExec,
        aggregate: &AggregateFunctionExpr,
        arguments: &[Arc<dyn PhysicalExpr>],
    ) -> Option<Wanted> {
        let [argument] = arguments else { return None };
        if aggregate.is_distinct() || !aggregate.order_bys().is_empty() {
            return None;
        }
        let function: &dyn Any = aggregate.fun().inner().as_ref();
        if let Some(literal) = argument.downcast_ref::<Literal>() {
            return (function.is::<Count>() && !literal.value().is_null()).then_some(Wanted::Rows);
        }
        // What adds up has its argument cast to the type of the sum, which loses nothing that a sum would keep.
        let adds = function.is::<SumFunction>() || function.is::<Avg>();
        let argument = match argument.downcast_ref::<CastExpr>() {
            Some(cast) if adds && is_sum(cast.target_field().data_type()) => cast.expr(),
            _ => argument,
        };
        let column = scan.column_of(argument.downcast_ref::<ColumnExpr>()?.index())?;
        let state = aggregate.state_fields().ok()?;
        let types: Vec<&DataType> = state.iter().map(|field| field.data_type()).collect();
        let is_added = column.source().is_none() && scan.table().adds_up(column);
        if let ([_], Some(source)) = (types.as_slice(), column.source())
            && (function.is::<Min>() || function.is::<Max>())
        {
            return Some(Wanted::Value(source));
        }
        match types.as_slice() {
            [DataType::Int64] if function.is::<Count>() => Some(Wanted::Count(column)),
            [_] if function.is::<Min>() => Some(Wanted::Min(column)),
            [_] if function.is::<Max>() => Some(Wanted::Max(column)),
            [sum] if function.is::<SumFunction>() && is_added && is_sum(sum) => {
                Some(Wanted::Sum(column, (*sum).clone()))
            }
            [DataType::UInt64, DataType::Float64] if function.is::<Avg>() && is_added => Some(Wanted::Avg(column)),
            _ => None,
        }
    }

    /// The column of which something must be known.
    fn column(&self) -> Option<Column> {
        match self {
            Wanted::Rows | Wanted::Value(_) => None,
            Wanted::Count(column)
            | Wanted::Min(column)
            | Wanted::Max(column)
            | Wanted::Sum(column, _)
            | Wanted::Avg(column) => Some(*column),
        }
    }

    /// The partial result of one dataset, of a column of which this is known; `None` where it does not tell it.
    fn partial(&self, known: &Known) -> Option<Partial> {
        let bound = |bound: &Option<Scalar>| match known.count {
            0 => Some(Partial::Bound(None)),
            _ => bound.clone().map(|bound| Partial::Bound(Some(bound))),
        };
        match self {
            Wanted::Rows | Wanted::Value(_) => None,
            Wanted::Count(_) => Some(Partial::Count(known.count)),
            Wanted::Min(_) => bound(&known.min),
            Wanted::Max(_) => bound(&known.max),
            Wanted::Sum(_, to) => known.sum(to).map(Partial::Sum),
            Wanted::Avg(_) => Some(Partial::Avg(known.count, known.sum(&DataType::Float64)?)),
        }
    }
}

/// The columns of which something must be known, each once.
pub(super) fn columns(wanted: &[Wanted]) -> Vec<Column> {
    let mut columns = Vec::new();
    for column in wanted.iter().filter_map(Wanted::column) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}

/// What is known of some columns in the rows of one dataset.
pub(super) struct Facts<'a> {
    columns: &'a [Column],
    known: Vec<Option<Known>>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(table: &CellsTable, columns: &'a [Column], piece: &Piece) -> Result<Self> {
        let known = columns.iter().map(|column| Known::of(table, *column, piece)).collect::<Result<_>>()?;
        Ok(Facts { columns, known })
    }

    /// A partial result; `None` where what is known does not tell it.
    pub(super) fn partial(&self, wanted: &Wanted, piece: &Piece) -> Option<Partial> {
        match (wanted, wanted.column()) {
            (Wanted::Rows, _) => Some(Partial::Count(piece.cells())),
            (_, None) => Some(Partial::Bound(None)),
            (_, Some(column)) => {
                let at = self.columns.iter().position(|own| *own == column)?;
                wanted.partial(self.known.get(at)?.as_ref()?)
            }
        }
    }
}

/// Whether sums are of this type.
fn is_sum(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::UInt64 | DataType::Float64)
}

/// What is known of a column's values in the rows of one dataset.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    /// The values that are not NULL.
    count: u64,
    /// The smallest of them, where it is known exactly.
    min: Option<Scalar>,
    max: Option<Scalar>,
    /// The sum of the cells that are stored, where it is known; in how many rows each of them is.
    sum: Option<Sum>,
    repeats: u64,
}

impl Known {
    /// What the catalog knows; `None` where that is not about the rows, or not as SQL counts and compares.
    fn of(table: &CellsTable, column: Column, piece: &Piece) -> Result<Option<Known>> {
        let rows = piece.cells();
        if let Column::Index(axis) = column {
            let extent = piece.region.shape()[axis];
            let Ok(last) = i64::try_from(extent.saturating_sub(1)) else { return Ok(None) };
            let sum = i128::from(last) * i128::from(extent) / 2;
            return Ok(Some(Known {
                count: rows,
                min: Some(Scalar::Int(0)),
                max: Some(Scalar::Int(last)),
                sum: i64::try_from(sum).ok().map(Sum::Int),
                repeats: rows / extent.max(1),
            }));
        }
        if let Some(source) = column.source() {
            let is_null = table.view.column(&source)?.is_null(piece.row as usize);
            let count = if is_null { 0 } else { rows };
            return Ok(Some(Known { count, min: None, max: None, sum: None, repeats: rows }));
        }
        let none = Known { count: 0, min: None, max: None, sum: None, repeats: 0 };
        let Some(declared) = table.declaration(column, piece.row)? else { return Ok(Some(none)) };
        let Some(family) = column.family() else { return Ok(None) };
        let schema = declared.schema;
        // The part of the array beyond the grid is in its statistics, and in no row.
        let own = declared.axes.region(&piece.region);
        let is_inside = schema.shape.iter().zip(own.shape()).all(|(extent, grid)| extent <= grid);
        let statistics = table.view.family(family)?.entry(piece.row).and_then(|entry| entry.statistics());
        let Some(known) = statistics.filter(|known| is_inside && known.row_count == schema.cell_count()) else {
            return Ok(None);
        };
        let fill_is_nan = schema.fill_value.as_ref().and_then(Scalar::as_f64).is_some_and(f64::is_nan);
        let nan_is_null = fill_is_nan || schema.dtype == DType::TimestampNanoseconds;
        if known.nan_count > 0 && !nan_is_null {
            return Ok(None);
        }
        let repeats = match declared.axes {
            Axes::All => 1,
            Axes::Some(_) => rows / cells(&own).max(1),
        };
        let Some(count) = known.valid_count().checked_mul(repeats) else { return Ok(None) };
        Ok(Some(Known {
            count,
            min: known.min.filter(|_| known.min_exact),
            max: known.max.filter(|_| known.max_exact),
            sum: known.sum,
            repeats,
        }))
    }

    /// The sum of the values as one of this type, NULL where there are none.
    fn sum(&self, to: &DataType) -> Option<Option<Sum>> {
        if self.count == 0 {
            return Some(None);
        }
        let sum = match (self.sum?, to) {
            (sum, DataType::Float64) => Sum::Float(sum.as_f64() * self.repeats as f64),
            (Sum::Int(sum), _) => {
                let sum = sum.checked_mul(i64::try_from(self.repeats).ok()?)?;
                Sum::Int(Some(sum).filter(|sum| *to == DataType::Int64 || *sum >= 0)?)
            }
            (Sum::Float(_), _) => return None,
        };
        Some(Some(sum))
    }
}
