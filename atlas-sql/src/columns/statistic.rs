//! Stored statistics as columns.

use super::declaration::as_i64;
use super::source::Statistic;
use super::spread::Spread;
use super::view::View;
use crate::tensor::cells_array;
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use arrow::buffer::NullBuffer;
use atlas_store::{
    Cells, Compact, DType, Element, Family, Scalar, Statistics, StatisticsColumns, Sum, Sums, with_physical,
};
use datafusion::error::Result;
use std::sync::Arc;

/// One statistic of an array in every dataset; NULL where the dataset lacks the array.
pub(crate) fn of_family(view: &View, family: usize, statistic: Statistic) -> Result<ArrayRef> {
    let datasets = view.snapshot.dataset_count();
    let arrays = view.family(family)?;
    let known = arrays.statistics();
    let floats = |values: &mut dyn Iterator<Item = Option<f64>>| -> ArrayRef {
        let mut column = Spread::new(datasets);
        column.put(arrays.rows(), values);
        let (values, nulls) = column.finish();
        Arc::new(Float64Array::new(values.into(), nulls))
    };
    let integers = |values: &mut dyn Iterator<Item = Option<i64>>| -> ArrayRef {
        let mut column = Spread::new(datasets);
        column.put(arrays.rows(), values);
        let (values, nulls) = column.finish();
        Arc::new(Int64Array::new(values.into(), nulls))
    };
    let counts = |counts: &Compact<u64>| {
        let known = known.is_known();
        integers(&mut counts.iter().zip(known.iter()).map(|(count, known)| known.then(|| as_i64(count))))
    };
    Ok(match (statistic, known.sums()) {
        // The catalog has these as the column that is wanted.
        (Statistic::Min, _) => bounds(arrays, datasets, known.mins(), &known.has_exact_min())?,
        (Statistic::Max, _) => bounds(arrays, datasets, known.maxs(), &known.has_exact_max())?,
        (Statistic::NullCount, _) => counts(known.null_counts()),
        (Statistic::RowCount, _) => counts(known.row_counts()),
        (Statistic::Mean, Sums::None) => floats(&mut std::iter::empty()),
        (Statistic::Mean, Sums::Int(sums)) => {
            let mean = |(sum, count): (&i64, u64)| (count > 0).then(|| *sum as f64 / count as f64);
            floats(&mut sums.iter().zip(summed(known)).map(mean))
        }
        (Statistic::Mean, Sums::Float(sums)) => {
            let mean = |(sum, count): (&f64, u64)| (count > 0).then(|| *sum / count as f64);
            floats(&mut sums.iter().zip(summed(known)).map(mean))
        }
        (Statistic::Sum, Sums::None) => integers(&mut std::iter::empty()),
        (Statistic::Sum, Sums::Int(sums)) => {
            integers(&mut sums.iter().zip(summed(known)).map(|(sum, count)| (count > 0).then_some(*sum)))
        }
        (Statistic::Sum, Sums::Float(sums)) => {
            floats(&mut sums.iter().zip(summed(known)).map(|(sum, count)| (count > 0).then_some(*sum)))
        }
    })
}

/// How many cells each array's sum is of; 0 where there is no sum.
fn summed(known: &StatisticsColumns) -> impl Iterator<Item = u64> {
    let missing = known.null_counts().iter().zip(known.nan_counts().iter());
    let counts = known.row_counts().iter().zip(missing).zip(known.has_sum().iter().collect::<Vec<_>>());
    counts.map(
        |((cells, (nulls, nans)), has_sum)| {
            if has_sum { cells.saturating_sub(nulls).saturating_sub(nans) } else { 0 }
        },
    )
}

/// Bounds of a family's arrays over all datasets; NULL where there is none, or no array.
fn bounds(family: &Family, datasets: usize, cells: &Cells, present: &Compact<bool>) -> Result<ArrayRef> {
    let (everywhere, nulls) = with_physical!(family.dtype().physical(), T => {
        let cells = <T as Element>::unwrap(cells).unwrap_or_default();
        let mut column = Spread::<T>::new(datasets);
        column.put(family.rows(), cells.iter().zip(present.iter()).map(|(cell, present)| present.then_some(*cell)));
        let (everywhere, nulls) = column.finish();
        (<T as Element>::wrap(everywhere), nulls)
    }, var => {
        let mut valid = vec![false; datasets];
        let mut everywhere: Vec<&[u8]> = vec![&[]; datasets];
        if let Cells::Var(cells) = cells {
            for ((row, cell), present) in family.rows().iter().zip(cells.iter()).zip(present.iter()) {
                everywhere[*row as usize] = cell;
                valid[*row as usize] = present;
            }
        }
        let nulls = NullBuffer::from(valid);
        (Cells::Var(everywhere.into_iter().collect()), (nulls.null_count() > 0).then_some(nulls))
    });
    cells_array(family.dtype(), everywhere, nulls)
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
