//! Stored statistics as columns.

use super::declaration::as_i64;
use super::source::Statistic;
use super::view::View;
use crate::tensor::cells_array;
use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use atlas_store::{Cells, Compact, DType, Element, Family, Scalar, Statistics, Sum, with_physical};
use datafusion::error::Result;

/// One statistic of an array in every dataset; NULL where the dataset lacks the array.
pub(crate) fn of_family(view: &View, family: usize, statistic: Statistic) -> Result<ArrayRef> {
    let datasets = view.snapshot.dataset_count();
    let arrays = view.family(family)?;
    let known = arrays.statistics();
    match statistic {
        // The catalog has these as the column that is wanted.
        Statistic::Min => bounds(arrays, datasets, known.mins(), &known.has_exact_min()),
        Statistic::Max => bounds(arrays, datasets, known.maxs(), &known.has_exact_max()),
        _ => {
            let mut values = vec![None; datasets];
            for (row, entry) in arrays.entries() {
                values[row as usize] = entry.statistics().and_then(|statistics| value(&statistics, statistic));
            }
            scalars(statistic.dtype(arrays.dtype()), &values)
        }
    }
}

/// Bounds of a family's arrays over all datasets; NULL where there is none, or no array.
fn bounds(family: &Family, datasets: usize, cells: &Cells, present: &Compact<bool>) -> Result<ArrayRef> {
    let mut valid = vec![false; datasets];
    for (row, present) in family.rows().iter().zip(present.iter()) {
        valid[*row as usize] = present;
    }
    let everywhere = with_physical!(family.dtype().physical(), T => {
        let mut everywhere = vec![T::default(); datasets];
        for (row, cell) in family.rows().iter().zip(<T as Element>::unwrap(cells).unwrap_or_default()) {
            everywhere[*row as usize] = *cell;
        }
        <T as Element>::wrap(everywhere)
    }, var => {
        let mut everywhere: Vec<&[u8]> = vec![&[]; datasets];
        if let Cells::Var(cells) = cells {
            for (row, cell) in family.rows().iter().zip(cells.iter()) {
                everywhere[*row as usize] = cell;
            }
        }
        Cells::Var(everywhere.into_iter().collect())
    });
    let nulls = NullBuffer::from(valid);
    cells_array(family.dtype(), everywhere, (nulls.null_count() > 0).then_some(nulls))
}

/// One statistic; `None` where no cell has a value, or where only a bound is kept (of long text).
pub(crate) fn value(statistics: &Statistics, statistic: Statistic) -> Option<Scalar> {
    match statistic {
        Statistic::Min => statistics.min.clone().filter(|_| statistics.min_exact),
        Statistic::Max => statistics.max.clone().filter(|_| statistics.max_exact),
        Statistic::Mean => statistics.mean().map(Scalar::Float64),
        Statistic::Sum if statistics.valid_count() == 0 => None,
        Statistic::Sum => statistics.sum.map(|sum| match sum {
            Sum::Int(sum) => Scalar::Int(sum),
            Sum::Float(sum) => Scalar::Float64(sum),
        }),
        Statistic::NullCount => Some(Scalar::Int(as_i64(statistics.null_count))),
        Statistic::RowCount => Some(Scalar::Int(as_i64(statistics.row_count))),
    }
}

/// Scalars of one dtype as a column.
pub(crate) fn scalars(dtype: DType, values: &[Option<Scalar>]) -> Result<ArrayRef> {
    let nulls = NullBuffer::from_iter(values.iter().map(Option::is_some));
    let cells = with_physical!(dtype.physical(), T => {
        let cell = |value: &Option<Scalar>| value.as_ref().and_then(<T as Element>::from_scalar).unwrap_or_default();
        <T as Element>::wrap(values.iter().map(cell).collect())
    }, var => {
        let cell = |value: &Option<Scalar>| value.as_ref().and_then(Scalar::as_bytes).unwrap_or_default().to_vec();
        Cells::Var(values.iter().map(cell).collect())
    });
    cells_array(dtype, cells, (nulls.null_count() > 0).then_some(nulls))
}
