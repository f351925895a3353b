//! Bounds of coordinate labels, and which indices have labels within them.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, UInt64Type};
use arrow::error::ArrowError;
use atlas_store::DType;
use datafusion::common::ScalarValue;
use std::fmt;
use std::ops::Range;

/// The smallest and the largest label that is wanted, as the query gives them; NULL is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    pub(crate) low: ScalarValue,
    pub(crate) high: ScalarValue,
}

/// Bounds as values of the labels' type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Limits {
    /// Of integers, and of times in nanoseconds.
    Integer(Between<i128>),
    Float(Between<f64>),
    Text(Between<String>),
}

/// An interval with both ends; `None` is open.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Between<T> {
    low: Option<T>,
    high: Option<T>,
}

/// The indices whose labels are within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    first: u64,
    last: u64,
    count: u64,
}

impl<T: PartialOrd> Between<T> {
    fn contains(&self, label: &T) -> bool {
        self.low.as_ref().is_none_or(|low| label >= low) && self.high.as_ref().is_none_or(|high| label <= high)
    }

    fn is_reversed(&self) -> bool {
        matches!((&self.low, &self.high), (Some(low), Some(high)) if low > high)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", text(&self.low), text(&self.high))
    }
}

/// A label as SQL has it.
pub(crate) fn text(label: &ScalarValue) -> String {
    if label.is_null() {
        return "NULL".into();
    }
    match label.try_as_str() {
        Some(text) => format!("'{}'", text.unwrap_or_default()),
        None if label.data_type().is_temporal() => match label.cast_to(&DataType::Utf8) {
            Ok(ScalarValue::Utf8(Some(text))) => format!("'{text}'"),
            _ => label.to_string(),
        },
        None => label.to_string(),
    }
}

impl Bounds {
    /// The bounds for labels of a dtype; `None` is the index.
    ///
    /// # Errors
    /// Why no label can be compared with them, or why they hold nothing.
    pub(crate) fn limits(&self, labels: Option<DType>) -> Result<Limits, String> {
        let limits = match labels {
            Some(DType::TimestampNanoseconds) => {
                Limits::Integer(self.both(|label| time(label).ok_or_else(|| format!("{} is no time", text(label))))?)
            }
            Some(DType::String) => Limits::Text(self.both(|label| {
                let own = label.try_as_str().flatten().map(str::to_string);
                own.ok_or_else(|| format!("{} is no text", text(label)))
            })?),
            Some(dtype @ (DType::Bool | DType::Binary)) => return Err(format!("{} has no labels", dtype.name())),
            labels => self.numbers(labels)?,
        };
        let is_reversed = match &limits {
            Limits::Integer(between) => between.is_reversed(),
            Limits::Float(between) => between.is_reversed(),
            Limits::Text(between) => between.is_reversed(),
        };
        if is_reversed {
            return Err("the bounds are reversed: the lower one comes first".into());
        }
        Ok(limits)
    }

    fn numbers(&self, labels: Option<DType>) -> Result<Limits, String> {
        let wrong = |label: &ScalarValue| format!("{} is no number", text(label));
        let is_float = |label: &ScalarValue| !label.is_null() && !label.data_type().is_integer();
        if !labels.is_some_and(DType::is_float) && !is_float(&self.low) && !is_float(&self.high) {
            return Ok(Limits::Integer(self.both(|label| integer(label).ok_or_else(|| wrong(label)))?));
        }
        // As in numpy, 0.3 is the float32 nearest to it where labels are float32.
        let is_single = labels == Some(DType::Float32);
        let between = self.both(|label| {
            let number = float(label).ok_or_else(|| wrong(label))?;
            if number.is_nan() {
                return Err("NaN is no bound".into());
            }
            Ok(if is_single { f64::from(to_single(number)) } else { number })
        })?;
        Ok(Limits::Float(between))
    }

    fn both<T>(&self, convert: impl Fn(&ScalarValue) -> Result<T, String>) -> Result<Between<T>, String> {
        let one = |label: &ScalarValue| if label.is_null() { Ok(None) } else { convert(label).map(Some) };
        Ok(Between { low: one(&self.low)?, high: one(&self.high)? })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
fn to_single(number: f64) -> f32 {
    number as f32
}

fn integer(label: &ScalarValue) -> Option<i128> {
    let is_integer = label.data_type().is_integer();
    match (is_integer, label) {
        (true, ScalarValue::UInt64(number)) => number.map(i128::from),
        (true, label) => match label.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(number)) => number.map(i128::from),
            _ => None,
        },
        _ => None,
    }
}

fn float(label: &ScalarValue) -> Option<f64> {
    if !label.data_type().is_numeric() {
        return None;
    }
    match label.cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(number)) => number,
        _ => None,
    }
}

/// Nanoseconds since the epoch; a time without a zone is in UTC.
fn time(label: &ScalarValue) -> Option<i128> {
    let in_unit = |number: &Option<i64>, nanoseconds: i128| number.map(|number| i128::from(number) * nanoseconds);
    match label {
        ScalarValue::TimestampSecond(number, _) => in_unit(number, 1_000_000_000),
        ScalarValue::TimestampMillisecond(number, _) | ScalarValue::Date64(number) => in_unit(number, 1_000_000),
        ScalarValue::TimestampMicrosecond(number, _) => in_unit(number, 1_000),
        ScalarValue::TimestampNanosecond(number, _) => in_unit(number, 1),
        ScalarValue::Date32(days) => days.map(|days| i128::from(days) * 86_400_000_000_000),
        label => {
            let own = ScalarValue::Utf8(label.try_as_str()?.map(str::to_string));
            // Years past 2262 are bounds too.
            [TimeUnit::Nanosecond, TimeUnit::Microsecond]
                .into_iter()
                .find_map(|unit| own.cast_to(&DataType::Timestamp(unit, None)).ok())
                .and_then(|parsed| time(&parsed))
        }
    }
}

impl Limits {
    /// Which of the labels from index `offset` on are within: joined to what was `found` before. Missing labels and NaN
    /// are not.
    ///
    /// # Errors
    /// Where the labels are of another type than the limits were made for.
    pub(crate) fn find(
        &self,
        labels: &ArrayRef,
        offset: u64,
        found: Option<Found>,
    ) -> Result<Option<Found>, ArrowError> {
        Ok(match self {
            Limits::Integer(between) if *labels.data_type() == DataType::UInt64 => {
                let values = labels.as_primitive::<UInt64Type>().values();
                each(labels, offset, found, |index| between.contains(&i128::from(values[index])))
            }
            Limits::Integer(between) => {
                let integers = cast(labels, &DataType::Int64)?;
                let values = integers.as_primitive::<Int64Type>().values();
                each(labels, offset, found, |index| between.contains(&i128::from(values[index])))
            }
            Limits::Float(between) => {
                let floats = cast(labels, &DataType::Float64)?;
                let values = floats.as_primitive::<Float64Type>().values();
                each(labels, offset, found, |index| !values[index].is_nan() && between.contains(&values[index]))
            }
            Limits::Text(between) => {
                let wrong = || ArrowError::CastError(format!("labels of type {} are no text", labels.data_type()));
                let values = labels.as_string_opt::<i32>().ok_or_else(wrong)?;
                each(labels, offset, found, |index| {
                    let label = values.value(index);
                    between.low.as_deref().is_none_or(|low| label >= low)
                        && between.high.as_deref().is_none_or(|high| label <= high)
                })
            }
        })
    }

    /// Which of the indices below `extent` are within.
    pub(crate) fn indices(&self, extent: u64) -> Range<u64> {
        let (start, end) = match self {
            Limits::Integer(between) => (
                first(extent, |index| between.low.is_none_or(|low| i128::from(index) >= low)),
                first(extent, |index| between.high.is_some_and(|high| i128::from(index) > high)),
            ),
            Limits::Float(between) => (
                first(extent, |index| between.low.is_none_or(|low| index as f64 >= low)),
                first(extent, |index| between.high.is_some_and(|high| index as f64 > high)),
            ),
            Limits::Text(_) => (0, 0),
        };
        start..end.max(start)
    }
}

/// The first index below `extent` from which on the condition holds; `extent` where it never does.
fn first(extent: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, extent);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

fn each(labels: &ArrayRef, offset: u64, found: Option<Found>, within: impl Fn(usize) -> bool) -> Option<Found> {
    let nulls = labels.nulls();
    let mut found = found;
    for (at, index) in (offset..).zip(0..labels.len()) {
        if nulls.is_none_or(|nulls| nulls.is_valid(index)) && within(index) {
            let before = found.unwrap_or(Found { first: at, last: at, count: 0 });
            found = Some(Found { first: before.first, last: at, count: before.count + 1 });
        }
    }
    found
}

impl Found {
    /// The range of them.
    ///
    /// # Errors
    /// What lies between, where they are not neighbours.
    pub(crate) fn range(self) -> Result<Range<u64>, String> {
        let Found { first, last, count } = self;
        let length = last - first + 1;
        if count == length {
            return Ok(first..last + 1);
        }
        Err(format!("not neighbours: they are {count} of the {length} labels from index {first} to {last}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float32Array, Float64Array, Int64Array, StringArray, TimestampNanosecondArray, UInt64Array};
    use std::sync::Arc;

    fn range(labels: ArrayRef, dtype: DType, low: ScalarValue, high: ScalarValue) -> Result<Range<u64>, String> {
        let limits = Bounds { low, high }.limits(Some(dtype))?;
        limits.find(&labels, 0, None).unwrap().map_or(Ok(0..0), Found::range)
    }

    fn float(number: f64) -> ScalarValue {
        ScalarValue::from(number)
    }

    #[test]
    fn both_ends_are_within_in_any_order_of_labels() {
        let down: ArrayRef = Arc::new(Float64Array::from(vec![40.0, 30.0, 20.0, 10.0]));
        assert_eq!(range(Arc::clone(&down), DType::Float64, float(10.0), float(30.0)), Ok(1..4));
        assert_eq!(range(Arc::clone(&down), DType::Float64, float(11.0), float(19.0)), Ok(0..0));
        assert_eq!(range(Arc::clone(&down), DType::Float64, ScalarValue::Null, float(20.0)), Ok(2..4));
        assert_eq!(range(down, DType::Float64, ScalarValue::from(15i64), ScalarValue::Null), Ok(0..3));
        let mixed: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), Some(9), None, Some(4)]));
        assert_eq!(range(Arc::clone(&mixed), DType::Int64, float(8.5), float(9.5)), Ok(1..2));
        let error = range(mixed, DType::Int64, ScalarValue::from(3i64), ScalarValue::from(4i64)).unwrap_err();
        assert!(error.contains("2 of the 4 labels from index 0 to 3"), "{error}");
    }

    #[test]
    fn bounds_are_of_the_labels_type() {
        let tenths: ArrayRef = Arc::new(Float32Array::from(vec![0.1f32, 0.2, 0.3, f32::NAN]));
        assert_eq!(range(tenths, DType::Float32, float(0.1), float(0.3)), Ok(0..3));
        let huge: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX - 1, u64::MAX]));
        assert_eq!(range(huge, DType::UInt64, ScalarValue::from(u64::MAX), ScalarValue::Null), Ok(1..2));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        assert_eq!(range(names, DType::String, ScalarValue::from("b"), ScalarValue::from("bz")), Ok(1..2));
        let days: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![0, 86_400_000_000_000]));
        let day = ScalarValue::from("1970-01-02");
        assert_eq!(
            range(Arc::clone(&days), DType::TimestampNanoseconds, day, ScalarValue::from("9999-12-31")),
            Ok(1..2)
        );
        for (dtype, low, high, says) in [
            (DType::Float64, ScalarValue::from("10"), ScalarValue::Null, "'10' is no number"),
            (DType::Float64, float(f64::NAN), ScalarValue::Null, "NaN"),
            (DType::Float64, float(2.0), float(1.0), "reversed"),
            (DType::String, ScalarValue::from(1i64), ScalarValue::Null, "1 is no text"),
            (DType::TimestampNanoseconds, ScalarValue::from(1i64), ScalarValue::Null, "1 is no time"),
            (DType::TimestampNanoseconds, ScalarValue::from("soon"), ScalarValue::Null, "'soon' is no time"),
            (DType::Bool, ScalarValue::Null, ScalarValue::Null, "bool"),
        ] {
            let error = Bounds { low, high }.limits(Some(dtype)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn indices_are_labels_too() {
        let indices = |low, high| Bounds { low, high }.limits(None).unwrap().indices(10);
        assert_eq!(indices(ScalarValue::from(2i64), ScalarValue::from(4i64)), 2..5);
        assert_eq!(indices(float(2.5), float(99.0)), 3..10);
        assert_eq!(indices(ScalarValue::from(-4i64), ScalarValue::from(-2i64)), 0..0);
        assert_eq!(indices(ScalarValue::Null, ScalarValue::Null), 0..10);
        assert!(indices(ScalarValue::from(20i64), ScalarValue::Null).is_empty());
    }
}
