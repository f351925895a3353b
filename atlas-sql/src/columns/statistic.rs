//! Stored statistics as columns.

use super::declaration::as_i64;
use super::source::Statistic;
use super::view::View;
use crate::tensor::cells_array;
use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use atlas_store::{Cells, DType, Element, Scalar, Statistics, Sum, with_physical};
use datafusion::error::Result;

/// One statistic of an array in every dataset; NULL where the dataset lacks the array.
pub(crate) fn of_family(view: &View, family: usize, statistic: Statistic) -> Result<ArrayRef> {
    let mut values = vec![None; view.snapshot.dataset_count()];
    for (row, entry) in view.family(family)?.entries() {
        values[row as usize] = entry.statistics().and_then(|statistics| value(statistics, statistic));
    }
    scalars(statistic.dtype(view.families[family].dtype), &values)
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
