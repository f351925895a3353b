//! Cells as Arrow arrays, without a copy where the layouts agree.

use super::field::{Form, Tensor, data_type, list_size};
use crate::error::from_store;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, FixedSizeListArray, Int32Array, ListArray,
    PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::datatypes::{FieldRef, Fields};
use atlas_store::{
    ArrayData, CancelToken, Cells, DType, Element, ReadHooks, ReadPlan, Scalar, VarCells, with_physical,
};
use datafusion::error::{DataFusionError, Result};
use std::sync::Arc;

/// Which cells are null: one entry per cell, or none where no cell is.
pub(crate) type NullCells = Option<NullBuffer>;

/// The values of a column from an array with a leading axis: one value per index of that axis.
///
/// The cells are as stored: fill values stay, nothing is NULL.
///
/// # Errors
/// An execution error where the array has rank 0, or a value has more cells than a `FixedSizeList` can hold.
pub fn array_from(data: ArrayData) -> Result<ArrayRef> {
    let dtype = data.dtype();
    let Some((&rows, shape)) = data.shape().split_first() else {
        return Err(DataFusionError::Execution("an array of rank 0 has no leading axis".into()));
    };
    let (rows, shape) = (extent(rows)?, shape.to_vec());
    let values = cells_array(dtype, data.into_cells(), None)?;
    if shape.is_empty() { Ok(values) } else { fixed_size_list(values, &shape, rows, None) }
}

/// An extent as a length in memory.
fn extent(extent: u64) -> Result<usize> {
    usize::try_from(extent).map_err(|_| DataFusionError::Execution(format!("extent {extent} does not fit in memory")))
}

/// Lists of `shape` cells each, over the cells of `rows` values.
pub(crate) fn fixed_size_list(
    values: ArrayRef,
    shape: &[u64],
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let item: FieldRef = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let size = list_size("array", shape)?;
    Ok(Arc::new(FixedSizeListArray::try_new_with_length(item, size, values, nulls, rows)?))
}

/// Values that each have their own shape (or are missing).
pub(crate) fn variable(tensor: &Tensor, values: ArrayRef, shapes: &[Option<Vec<u64>>]) -> Result<ArrayRef> {
    let nulls = NullBuffer::from_iter(shapes.iter().map(Option::is_some));
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    let item: FieldRef = Arc::new(Field::new_list_field(tensor.cell.clone(), true));
    let lengths = shapes.iter().map(|shape| match shape {
        Some(shape) => shape.iter().try_fold(1u64, |cells, extent| cells.checked_mul(*extent)),
        None => Some(0),
    });
    let data = ListArray::try_new(Arc::clone(&item), offsets(lengths)?, values, nulls.clone())?;
    if tensor.form == Form::List {
        return Ok(Arc::new(data));
    }
    let mut extents = Vec::new();
    let missing = vec![0; tensor.rank().unwrap_or(0)];
    for shape in shapes {
        for extent in shape.as_ref().unwrap_or(&missing) {
            let extent = i32::try_from(*extent)
                .map_err(|_| DataFusionError::Execution(format!("extent {extent} does not fit a tensor's shape")))?;
            extents.push(extent);
        }
    }
    let extents: ArrayRef = Arc::new(Int32Array::from(extents));
    let extent: FieldRef = Arc::new(Field::new_list_field(DataType::Int32, true));
    let shape: ArrayRef = match tensor.form {
        Form::Variable(Some(rank)) => {
            let rank = i32::try_from(rank).map_err(|error| DataFusionError::Execution(error.to_string()))?;
            Arc::new(FixedSizeListArray::try_new_with_length(extent, rank, extents, nulls.clone(), shapes.len())?)
        }
        _ => {
            let ranks = shapes.iter().map(|shape| Some(shape.as_ref().map_or(0, Vec::len) as u64));
            Arc::new(ListArray::try_new(extent, offsets(ranks)?, extents, nulls.clone())?)
        }
    };
    let fields: Fields =
        vec![Field::new("data", data.data_type().clone(), true), Field::new("shape", shape.data_type().clone(), true)]
            .into();
    Ok(Arc::new(StructArray::try_new(fields, vec![Arc::new(data), shape], nulls)?))
}

/// The offsets of lists of these lengths; `None` is a length past 2^64.
fn offsets(lengths: impl Iterator<Item = Option<u64>>) -> Result<OffsetBuffer<i32>> {
    let mut ends = vec![0i32];
    let mut end = 0u64;
    for length in lengths {
        end = length.and_then(|length| end.checked_add(length)).unwrap_or(u64::MAX);
        ends.push(i32::try_from(end).map_err(|_| too_many_cells())?);
    }
    Ok(OffsetBuffer::new(ends.into()))
}

fn too_many_cells() -> DataFusionError {
    DataFusionError::Execution(format!(
        "one batch of the column holds more than {} cells: select a slice of the array",
        i32::MAX
    ))
}

/// The cells of a plan of one array, datasets one after another.
pub(crate) fn read_cells(plan: &ReadPlan, cancel: &CancelToken) -> Result<Cells> {
    let mut read = plan.execute_joined(ReadHooks::new().cancelled_by(cancel)).map_err(from_store)?;
    match (read.pop(), read.is_empty()) {
        (Some(cells), true) => Ok(cells),
        _ => Err(DataFusionError::Internal("a read was not planned for one array".into())),
    }
}

/// Cells as the plain Arrow type of `dtype`; numbers and times share the buffer.
pub(crate) fn cells_array(dtype: DType, cells: Cells, nulls: NullCells) -> Result<ArrayRef> {
    fn plain<T: ArrowPrimitiveType>(cells: Vec<T::Native>, nulls: NullCells) -> Result<ArrayRef> {
        Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(cells), nulls)?))
    }
    match (dtype, cells) {
        (DType::Bool, Cells::U8(cells)) => {
            let bits = BooleanBuffer::collect_bool(cells.len(), |index| cells[index] != 0);
            Ok(Arc::new(BooleanArray::new(bits, nulls)))
        }
        (DType::TimestampNanoseconds, Cells::I64(cells)) => plain::<TimestampNanosecondType>(cells, nulls),
        (DType::String, Cells::Var(cells)) => {
            let (offsets, bytes) = var_parts(cells)?;
            Ok(Arc::new(StringArray::try_new(offsets, bytes.into(), nulls)?))
        }
        (DType::Binary, Cells::Var(cells)) => {
            let (offsets, bytes) = var_parts(cells)?;
            Ok(Arc::new(BinaryArray::try_new(offsets, bytes.into(), nulls)?))
        }
        (_, Cells::I8(cells)) => plain::<Int8Type>(cells, nulls),
        (_, Cells::I16(cells)) => plain::<Int16Type>(cells, nulls),
        (_, Cells::I32(cells)) => plain::<Int32Type>(cells, nulls),
        (_, Cells::I64(cells)) => plain::<Int64Type>(cells, nulls),
        (_, Cells::U8(cells)) => plain::<UInt8Type>(cells, nulls),
        (_, Cells::U16(cells)) => plain::<UInt16Type>(cells, nulls),
        (_, Cells::U32(cells)) => plain::<UInt32Type>(cells, nulls),
        (_, Cells::U64(cells)) => plain::<UInt64Type>(cells, nulls),
        (_, Cells::F32(cells)) => plain::<Float32Type>(cells, nulls),
        (_, Cells::F64(cells)) => plain::<Float64Type>(cells, nulls),
        (dtype, Cells::Var(_)) => {
            Err(DataFusionError::Execution(format!("cells of any length cannot be {}", data_type(dtype))))
        }
    }
}

/// Byte strings with the 32-bit offsets that `Utf8` and `Binary` have.
fn var_parts(cells: VarCells) -> Result<(OffsetBuffer<i32>, Vec<u8>)> {
    let (offsets, bytes) = cells.into_parts();
    let narrow: std::result::Result<Vec<i32>, _> = offsets.into_iter().map(i32::try_from).collect();
    let narrow = narrow.map_err(|_| {
        DataFusionError::Execution(format!("one batch of the column holds more than {} bytes of text", i32::MAX))
    })?;
    Ok((OffsetBuffer::new(narrow.into()), bytes))
}

/// Which cells are null: those of each value, so many of them, against its fill value. Not-a-time is null whatever the
/// fill value is.
pub(crate) fn null_cells(dtype: DType, cells: &Cells, values: &[(usize, Option<&Scalar>)]) -> NullCells {
    if values.iter().all(|(_, fill)| fill.is_none()) && dtype != DType::TimestampNanoseconds {
        return None;
    }
    // Values of one declaration share their fill value, so that runs of them are one loop.
    let mut runs: Vec<(usize, Option<&Scalar>)> = Vec::new();
    for &(count, fill) in values {
        match runs.last_mut() {
            Some((before, own)) if own.map(std::ptr::from_ref) == fill.map(std::ptr::from_ref) => *before += count,
            _ => runs.push((count, fill)),
        }
    }
    let mut valid = BooleanBufferBuilder::new(cells.len());
    let mut start = 0;
    for (count, fill) in runs {
        let own = start..start + count;
        start += count;
        valid.append_buffer(&with_physical!(dtype.physical(), T => {
            let fill = fill.and_then(<T as Element>::from_scalar);
            let not_a_time = if dtype == DType::TimestampNanoseconds {
                <T as Element>::from_scalar(&Scalar::Timestamp(i64::MIN))
            } else {
                None
            };
            let own = &<T as Element>::unwrap(cells).unwrap_or(&[])[own];
            match (fill, not_a_time) {
                (None, None) => BooleanBuffer::new_set(count),
                (Some(fill), None) if fill.is_nan() => BooleanBuffer::collect_bool(count, |at| !own[at].is_nan()),
                (Some(fill), None) => BooleanBuffer::collect_bool(count, |at| own[at] != fill),
                (None, Some(none)) => BooleanBuffer::collect_bool(count, |at| own[at] != none),
                (Some(fill), Some(none)) => {
                    BooleanBuffer::collect_bool(count, |at| own[at] != fill && own[at] != none)
                }
            }
        }, var => {
            match (cells, fill.and_then(Scalar::as_bytes)) {
                (Cells::Var(all), Some(fill)) => BooleanBuffer::collect_bool(count, |at| all.get(own.start + at) != fill),
                _ => BooleanBuffer::new_set(count),
            }
        }));
    }
    let nulls = NullBuffer::new(valid.finish());
    (nulls.null_count() > 0).then_some(nulls)
}
