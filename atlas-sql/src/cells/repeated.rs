//! A dataset's one value for each of its cells.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanBufferBuilder, PrimitiveArray, StringArray, UInt32Array,
    downcast_primitive_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use std::iter::repeat_n;
use std::sync::Arc;

/// Each value so many times, one after another.
///
/// # Errors
/// An execution error where text would pass what 32-bit offsets reach.
pub(super) fn each(values: &ArrayRef, counts: &[usize]) -> Result<ArrayRef> {
    if values.data_type() == &DataType::Utf8 {
        return text(values.as_string(), counts);
    }
    let values: &dyn Array = values;
    if values.null_count() == 0 {
        downcast_primitive_array!(values => return Ok(primitive(values, counts)), _ => {});
    }
    let mut positions: Vec<u32> = Vec::with_capacity(counts.iter().sum());
    (0u32..).zip(counts).for_each(|(at, count)| positions.extend(repeat_n(at, *count)));
    Ok(take(values, &UInt32Array::from(positions), None)?)
}

fn primitive<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>, counts: &[usize]) -> ArrayRef {
    let mut repeated: Vec<T::Native> = Vec::with_capacity(counts.iter().sum());
    values.values().iter().zip(counts).for_each(|(value, count)| repeated.extend(repeat_n(*value, *count)));
    Arc::new(PrimitiveArray::<T>::new(repeated.into(), None).with_data_type(values.data_type().clone()))
}

fn text(values: &StringArray, counts: &[usize]) -> Result<ArrayRef> {
    let value = |at: usize| if values.is_null(at) { &[][..] } else { values.value(at).as_bytes() };
    let lengths = counts.iter().enumerate().map(|(at, count)| value(at).len().saturating_mul(*count));
    let bytes = lengths.fold(0usize, usize::saturating_add);
    if i32::try_from(bytes).is_err() {
        return Err(DataFusionError::Execution(format!("one batch of a column holds {bytes} bytes of text")));
    }
    let cells = counts.iter().sum();
    let mut text: Vec<u8> = Vec::with_capacity(bytes);
    let mut offsets: Vec<i32> = Vec::with_capacity(cells + 1);
    offsets.push(0);
    for (at, count) in counts.iter().enumerate() {
        let (start, value) = (text.len(), value(at));
        let end = start + value.len() * count;
        if end > start {
            text.extend_from_slice(value);
        }
        // What is there is copied until it is enough.
        while text.len() < end {
            text.extend_from_within(start..start + (end - text.len()).min(text.len() - start));
        }
        let ends = (1..=*count).map(|number| start + number * value.len());
        // All ends are within `bytes`.
        offsets.extend(ends.map(|end| i32::try_from(end).unwrap_or(i32::MAX)));
    }
    let nulls = values.nulls().map(|nulls| {
        let mut valid = BooleanBufferBuilder::new(cells);
        nulls.iter().zip(counts).for_each(|(own, count)| valid.append_n(*count, own));
        NullBuffer::new(valid.finish())
    });
    Ok(Arc::new(StringArray::try_new(OffsetBuffer::new(offsets.into()), text.into(), nulls)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BooleanArray, Float64Array, TimestampNanosecondArray};

    #[test]
    fn values_are_repeated_as_by_their_positions() {
        let counts = [3, 0, 1, 5];
        let columns: [ArrayRef; 5] = [
            Arc::new(StringArray::from(vec!["a", "left out", "", "däta"])),
            Arc::new(StringArray::from(vec![Some("a"), None, None, Some("b")])),
            Arc::new(TimestampNanosecondArray::from(vec![1, 2, 3, 4]).with_timezone("+00:00")),
            Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::NAN), None])),
            Arc::new(BooleanArray::from(vec![true, false, true, false])),
        ];
        for column in columns {
            let positions = UInt32Array::from(vec![0, 0, 0, 2, 3, 3, 3, 3, 3]);
            assert_eq!(&each(&column, &counts).unwrap(), &take(&column, &positions, None).unwrap());
        }
    }

    #[test]
    fn text_past_what_offsets_reach_is_an_error() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["0123456789"]));
        let error = each(&column, &[300_000_000]).unwrap_err().to_string();
        assert!(error.contains("3000000000 bytes of text"), "{error}");
    }
}
