//! Numbers of tensors: the smallest cell, their mean, and so on.

use super::field::data_type;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, UInt64Array};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use atlas_store::DType;
use datafusion::error::{DataFusionError, Result};
use std::ops::Range;
use std::sync::Arc;

/// A number of the cells of one tensor: of those that are neither missing nor NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reduction {
    /// The smallest cell.
    Min,
    /// The largest cell.
    Max,
    /// Their mean.
    Mean,
    /// Their sum; NULL where it is of integers and passes an `i64`.
    Sum,
    /// The standard deviation of the population.
    Std,
    /// How many there are.
    Count,
}

impl Reduction {
    pub(crate) const ALL: [Reduction; 6] = [Self::Min, Self::Max, Self::Mean, Self::Sum, Self::Std, Self::Count];

    /// The function's name.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Reduction::Min => "tensor_min",
            Reduction::Max => "tensor_max",
            Reduction::Mean => "tensor_mean",
            Reduction::Sum => "tensor_sum",
            Reduction::Std => "tensor_std",
            Reduction::Count => "tensor_count",
        }
    }

    /// The type of the result over cells of type `cell`; `None` where such cells have none.
    pub(crate) fn data_type(self, cell: &DataType) -> Option<DataType> {
        if !DType::ALL.into_iter().any(|dtype| data_type(dtype) == *cell) {
            return None;
        }
        let sums = cell.is_numeric() || *cell == DataType::Boolean;
        match self {
            Reduction::Min | Reduction::Max => Some(cell.clone()),
            Reduction::Count => Some(DataType::Int64),
            Reduction::Mean | Reduction::Std => sums.then_some(DataType::Float64),
            Reduction::Sum if cell.is_floating() => Some(DataType::Float64),
            Reduction::Sum => sums.then_some(DataType::Int64),
        }
    }
}

/// A cell that can be added.
trait Number: Copy + PartialOrd {
    const IS_FLOAT: bool;
    fn integer(self) -> i128;
    fn float(self) -> f64;
}

macro_rules! integers {
    ($($native:ty),*) => {$(
        impl Number for $native {
            const IS_FLOAT: bool = false;
            fn integer(self) -> i128 {
                i128::from(self)
            }
            fn float(self) -> f64 {
                i128::from(self) as f64
            }
        }
    )*};
}
integers!(bool, i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! floats {
    ($($native:ty),*) => {$(
        impl Number for $native {
            const IS_FLOAT: bool = true;
            fn integer(self) -> i128 {
                0
            }
            fn float(self) -> f64 {
                f64::from(self)
            }
        }
    )*};
}
floats!(f32, f64);

/// The reduction of each run of cells: one value per range, NULL where there is none. Cells that are NULL or NaN do not
/// count.
///
/// # Missing
/// Over no cell at all `Count` is 0, and the others are NULL.
///
/// # Errors
/// An execution error where cells of this type have no such number.
pub(crate) fn reduce(reduction: Reduction, cells: &ArrayRef, ranges: &[Option<Range<usize>>]) -> Result<ArrayRef> {
    macro_rules! primitive {
        ($kind:ty) => {{
            let values = cells.as_primitive::<$kind>().values();
            numbers(reduction, cells, ranges, |index| values[index])
        }};
    }
    match cells.data_type() {
        DataType::Boolean => {
            let values = cells.as_boolean();
            numbers(reduction, cells, ranges, |index| values.value(index))
        }
        DataType::Int8 => primitive!(Int8Type),
        DataType::Int16 => primitive!(Int16Type),
        DataType::Int32 => primitive!(Int32Type),
        DataType::Int64 => primitive!(Int64Type),
        DataType::UInt8 => primitive!(UInt8Type),
        DataType::UInt16 => primitive!(UInt16Type),
        DataType::UInt32 => primitive!(UInt32Type),
        DataType::UInt64 => primitive!(UInt64Type),
        DataType::Float32 => primitive!(Float32Type),
        DataType::Float64 => primitive!(Float64Type),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let values = cells.as_primitive::<TimestampNanosecondType>().values();
            ordered(reduction, cells, ranges, |index| values[index])
        }
        DataType::Utf8 => {
            let values = cells.as_string::<i32>();
            ordered(reduction, cells, ranges, |index| values.value(index))
        }
        DataType::Binary => {
            let values = cells.as_binary::<i32>();
            ordered(reduction, cells, ranges, |index| values.value(index))
        }
        other => Err(none(reduction, other)),
    }
}

fn none(reduction: Reduction, cell: &DataType) -> DataFusionError {
    DataFusionError::Execution(format!("{}: cells of {cell} have none", reduction.function()))
}

/// The cells of a run that count.
fn valid<T: PartialOrd>(
    cells: &ArrayRef,
    range: &Range<usize>,
    at: &impl Fn(usize) -> T,
) -> impl Iterator<Item = (usize, T)> {
    let nulls = cells.nulls();
    range.clone().filter_map(move |index| {
        let cell = at(index);
        // NaN alone does not compare with itself.
        (nulls.is_none_or(|nulls| nulls.is_valid(index)) && cell.partial_cmp(&cell).is_some()).then_some((index, cell))
    })
}

/// Reductions of cells that can be compared.
fn ordered<T: PartialOrd>(
    reduction: Reduction,
    cells: &ArrayRef,
    ranges: &[Option<Range<usize>>],
    at: impl Fn(usize) -> T,
) -> Result<ArrayRef> {
    let is_better = |own: &T, best: &T| if reduction == Reduction::Min { own < best } else { own > best };
    match reduction {
        Reduction::Count => {
            let counts = ranges.iter().map(|range| {
                let count = valid(cells, range.as_ref()?, &at).count();
                i64::try_from(count).ok()
            });
            Ok(Arc::new(Int64Array::from_iter(counts)))
        }
        Reduction::Min | Reduction::Max => {
            let best = ranges.iter().map(|range| {
                let best = valid(cells, range.as_ref()?, &at)
                    .reduce(|best, own| if is_better(&own.1, &best.1) { own } else { best });
                best.map(|(index, _)| index as u64)
            });
            Ok(arrow::compute::take(cells, &UInt64Array::from_iter(best), None)?)
        }
        _ => Err(none(reduction, cells.data_type())),
    }
}

/// Reductions of cells that can be added.
fn numbers<T: Number>(
    reduction: Reduction,
    cells: &ArrayRef,
    ranges: &[Option<Range<usize>>],
    at: impl Fn(usize) -> T,
) -> Result<ArrayRef> {
    let floats = |of: &dyn Fn(&Range<usize>) -> Option<f64>| -> ArrayRef {
        Arc::new(Float64Array::from_iter(ranges.iter().map(|range| of(range.as_ref()?))))
    };
    Ok(match reduction {
        Reduction::Min | Reduction::Max | Reduction::Count => return ordered(reduction, cells, ranges, at),
        Reduction::Mean => floats(&|range| mean(cells, range, &at).map(|(mean, _)| mean)),
        Reduction::Std => floats(&|range| {
            // Two passes: the sum of squares less the square of the sum would cancel.
            let (mean, count) = mean(cells, range, &at)?;
            let squares: f64 = valid(cells, range, &at).map(|(_, cell)| (cell.float() - mean).powi(2)).sum();
            Some((squares / count).sqrt())
        }),
        Reduction::Sum if T::IS_FLOAT => {
            floats(&|range| valid(cells, range, &at).map(|(_, cell)| cell.float()).reduce(|sum, cell| sum + cell))
        }
        Reduction::Sum => Arc::new(Int64Array::from_iter(ranges.iter().map(|range| {
            let sum = valid(cells, range.as_ref()?, &at).map(|(_, cell)| cell.integer()).reduce(|sum, cell| sum + cell);
            i64::try_from(sum?).ok()
        }))),
    })
}

/// The mean of a run, and of how many cells; of integers from their exact sum.
fn mean<T: Number>(cells: &ArrayRef, range: &Range<usize>, at: &impl Fn(usize) -> T) -> Option<(f64, f64)> {
    let (mut count, mut integer, mut float) = (0u64, 0i128, 0.0);
    for (_, cell) in valid(cells, range, at) {
        count += 1;
        if T::IS_FLOAT {
            float += cell.float();
        } else {
            integer += cell.integer();
        }
    }
    let sum = if T::IS_FLOAT { float } else { integer as f64 };
    (count > 0).then(|| (sum / count as f64, count as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(reduction: Reduction, cells: ArrayRef) -> ArrayRef {
        let range = 0..cells.len();
        reduce(reduction, &cells, &[Some(range), Some(0..0), None]).unwrap()
    }

    #[test]
    fn sums_of_integers_are_exact_or_null() {
        let sum = |cells: Vec<i64>| of(Reduction::Sum, Arc::new(Int64Array::from(cells)));
        assert_eq!(sum(vec![i64::MAX, 5, -5]).as_primitive::<Int64Type>().iter().next(), Some(Some(i64::MAX)));
        assert!(sum(vec![i64::MAX, 1]).is_null(0));
        let means = of(Reduction::Mean, Arc::new(UInt64Array::from(vec![u64::MAX, u64::MAX])));
        assert_eq!(means.as_primitive::<Float64Type>().value(0), u64::MAX as f64);
        let std = of(Reduction::Std, Arc::new(Float64Array::from(vec![1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0])));
        assert!((std.as_primitive::<Float64Type>().value(0) - (2.0f64 / 3.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_counted_as_nothing() {
        let cells: ArrayRef = Arc::new(Float64Array::from(vec![Some(f64::NAN), None]));
        for reduction in Reduction::ALL {
            let value = of(reduction, Arc::clone(&cells));
            assert!(value.is_null(2));
            if reduction == Reduction::Count {
                assert_eq!(&value.as_primitive::<Int64Type>().values()[..2], &[0, 0]);
            } else {
                assert!(value.is_null(0) && value.is_null(1), "{reduction:?}");
            }
        }
    }
}
