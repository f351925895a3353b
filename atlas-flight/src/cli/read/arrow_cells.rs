//! Arrow columns of a stacked read as cells, and their type and fill value from its field.

use crate::cli::Failure;
use atlas_flight::arrays::fixed_shape;
use atlas_sql::tensor::{FILL_VALUE, data_type};
use atlas_store::{ArrayData, Cells, DType, Scalar, VarCells};
use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use datafusion::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use datafusion::arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

/// What one column of a stacked read holds.
pub(super) struct Column {
    pub(super) dtype: DType,
    /// The shape of one dataset's array.
    pub(super) shape: Vec<u64>,
    pub(super) fill_value: Option<Scalar>,
}

impl Column {
    /// What the column of this field holds; `None` where shapes differ from dataset to dataset.
    ///
    /// # Errors
    /// `Failed` for a column that no array has.
    pub(super) fn of(field: &Field) -> Result<Option<Self>, Failure> {
        if matches!(field.data_type(), DataType::Struct(_)) {
            return Ok(None);
        }
        let cell = match field.data_type() {
            DataType::FixedSizeList(item, _) => item.data_type(),
            other => other,
        };
        let dtype = DType::ALL.into_iter().find(|dtype| data_type(*dtype) == *cell);
        let (Some(dtype), Some(shape)) = (dtype, fixed_shape(field)) else {
            return Err(Failure::failed(format!("the server sent {} as {}", field.name(), field.data_type())));
        };
        let fill_value = field.metadata().get(FILL_VALUE).and_then(|text| scalar(dtype, text));
        Ok(Some(Column { dtype, shape: shape.into_iter().map(|extent| extent as u64).collect(), fill_value }))
    }

    /// The cells of some datasets, as one array with a leading axis.
    ///
    /// # Errors
    /// `Failed` for values of another type or shape.
    pub(super) fn cells(&self, values: &ArrayRef) -> Result<ArrayData, Failure> {
        let shape = std::iter::once(values.len() as u64).chain(self.shape.iter().copied()).collect();
        let cells = match values.as_fixed_size_list_opt() {
            Some(list) => cells(self.dtype, list.values()),
            None => cells(self.dtype, values),
        };
        let cells = cells.ok_or_else(|| Failure::failed(format!("the server sent {}", values.data_type())))?;
        Ok(ArrayData::try_new(self.dtype, shape, cells)?)
    }
}

fn cells(dtype: DType, values: &ArrayRef) -> Option<Cells> {
    fn numbers<T: ArrowPrimitiveType>(values: &ArrayRef) -> Option<Vec<T::Native>> {
        Some(values.as_primitive_opt::<T>()?.values().to_vec())
    }
    fn packed<'a>(cells: impl ExactSizeIterator<Item = Option<&'a [u8]>>) -> Cells {
        let mut packed = VarCells::with_capacity(cells.len());
        cells.for_each(|cell| packed.push(cell.unwrap_or_default()));
        Cells::Var(packed)
    }
    Some(match dtype {
        DType::Bool => Cells::U8(values.as_boolean_opt()?.values().iter().map(u8::from).collect()),
        DType::Int8 => Cells::I8(numbers::<Int8Type>(values)?),
        DType::Int16 => Cells::I16(numbers::<Int16Type>(values)?),
        DType::Int32 => Cells::I32(numbers::<Int32Type>(values)?),
        DType::Int64 => Cells::I64(numbers::<Int64Type>(values)?),
        DType::UInt8 => Cells::U8(numbers::<UInt8Type>(values)?),
        DType::UInt16 => Cells::U16(numbers::<UInt16Type>(values)?),
        DType::UInt32 => Cells::U32(numbers::<UInt32Type>(values)?),
        DType::UInt64 => Cells::U64(numbers::<UInt64Type>(values)?),
        DType::Float32 => Cells::F32(numbers::<Float32Type>(values)?),
        DType::Float64 => Cells::F64(numbers::<Float64Type>(values)?),
        DType::TimestampNanoseconds => Cells::I64(numbers::<TimestampNanosecondType>(values)?),
        DType::String => packed(values.as_string_opt::<i32>()?.iter().map(|cell| cell.map(str::as_bytes))),
        DType::Binary => packed(values.as_binary_opt::<i32>()?.iter()),
    })
}

/// The value that a fill value's text stands for.
fn scalar(dtype: DType, text: &str) -> Option<Scalar> {
    Some(match dtype {
        DType::Bool => Scalar::Bool(text.parse().ok()?),
        DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => Scalar::Int(text.parse().ok()?),
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => Scalar::UInt(text.parse().ok()?),
        DType::Float32 => Scalar::Float32(text.parse().ok()?),
        DType::Float64 => Scalar::Float64(text.parse().ok()?),
        DType::TimestampNanoseconds => Scalar::Timestamp(string_to_timestamp_nanos(text).ok()?),
        DType::String => Scalar::String(text.into()),
        DType::Binary => {
            let digits = text.strip_prefix("0x")?.as_bytes().chunks(2);
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            Scalar::Binary(digits.map(byte).collect::<Option<Vec<u8>>>()?.into())
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn fill_values_survive_their_text() {
        for (dtype, value) in [
            (DType::Bool, Scalar::Bool(true)),
            (DType::Int8, Scalar::Int(-9)),
            (DType::UInt64, Scalar::UInt(u64::MAX)),
            (DType::Float32, Scalar::Float32(9.969_21e36)),
            (DType::Float64, Scalar::Float64(-1e-300)),
            (DType::TimestampNanoseconds, Scalar::Timestamp(1_700_000_000_000_000_001)),
            (DType::String, Scalar::String("n/a".into())),
            (DType::Binary, Scalar::Binary([0, 255, 16].into())),
        ] {
            assert_eq!(scalar(dtype, &value.to_string()), Some(value));
        }
        assert!(matches!(scalar(DType::Float32, "NaN"), Some(Scalar::Float32(nan)) if nan.is_nan()));
    }
}
