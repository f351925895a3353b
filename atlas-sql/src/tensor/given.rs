//! Columns that come in: arrays and their declarations from Arrow fields and values, the inverse of [`super::field`].

use super::field::{DIMS, EXTENSION_METADATA, EXTENSION_NAME, FILL_VALUE, FIXED, SHAPE, VARIABLE, data_type};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use atlas_store::{ArrayData, Cells, DType, Element, Scalar, VarCells};
use datafusion::error::{DataFusionError, Result};
use serde_json::Value;
use std::ops::Range;

/// The metadata key of a chunk shape to write an array with: a JSON list. It says nothing of columns that are read.
pub const CHUNK_SHAPE: &str = "atlas.chunk_shape";

/// An array column that comes in: what its field declares.
///
/// A column of arrays is a tensor (fixed or variable shape), lists or lists of lists, a struct of `data` and `shape`, or a plain
/// column whose metadata has [`SHAPE`] `[]`. What [`super::field_for`] and the tables of a store make is among them.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenArray {
    name: String,
    /// The type of the cells.
    pub dtype: DType,
    /// The names of the dimensions, where the field has them.
    pub dims: Option<Vec<String>>,
    /// The fill value, where the field has one. NULL cells become it.
    pub fill_value: Option<Scalar>,
    /// The chunk shape, where the field has one.
    pub chunk_shape: Option<Vec<u64>>,
    layout: Layout,
}

/// Where the cells of a value are.
#[derive(Debug, Clone, PartialEq)]
enum Layout {
    /// The value is the cell.
    Scalar,
    /// A list of so many cells, in the order of `axes` where they are not row-major: `axes[i]` is where dimension `i` of
    /// what is stored stands in the shape.
    Fixed { shape: Vec<u64>, axes: Option<Vec<usize>> },
    /// Lists of lists, so deep.
    Nested(usize),
    /// A struct of `data` and `shape`.
    Variable,
}

/// The values of one batch of a [`GivenArray`].
#[derive(Debug)]
pub struct GivenValues<'a> {
    array: &'a GivenArray,
    column: ArrayRef,
    /// All cells of the batch, in the Arrow type of the dtype.
    cells: ArrayRef,
}

impl GivenArray {
    /// What the column of this field holds; `None` where it holds no arrays.
    ///
    /// # Errors
    /// A plan error that names the column, where its type or metadata cannot be an array.
    pub fn of(field: &Field) -> Result<Option<GivenArray>> {
        let name = field.name();
        let metadata = field.metadata();
        let json = |key: &str| -> Result<Option<Value>> {
            let Some(text) = metadata.get(key).filter(|text| !text.is_empty()) else { return Ok(None) };
            let failed = |error| DataFusionError::Plan(format!("column {name}: metadata {key} is not JSON: {error}"));
            serde_json::from_str(text).map(Some).map_err(failed)
        };
        let extension = metadata.get(EXTENSION_NAME).map(String::as_str);
        let parameters = match extension {
            Some(FIXED | VARIABLE) => json(EXTENSION_METADATA)?.unwrap_or_default(),
            _ => Value::Null,
        };
        let parameter = |key: &str| parameters.get(key).filter(|value| !value.is_null()).cloned();
        let shape = match parameter("shape") {
            None => json(SHAPE)?,
            given => given,
        };
        let shape = shape.map(|shape| extents(name, "shape", shape)).transpose()?;
        let (cell, layout) = match (field.data_type(), shape) {
            (DataType::FixedSizeList(item, size), Some(shape))
                if extension == Some(FIXED) || !is_list(item.data_type()) =>
            {
                let axes = parameter("permutation").map(|axes| permutation(name, axes, shape.len())).transpose()?;
                check_size(name, &shape, *size)?;
                (item.data_type(), Layout::Fixed { shape, axes: axes.flatten() })
            }
            (DataType::Struct(fields), _) => match (fields.find("data"), fields.find("shape")) {
                (Some((_, data)), Some((_, shape))) if fields.len() == 2 && is_list(shape.data_type()) => {
                    if let Some(axes) = parameter("permutation")
                        && permutation(name, axes, usize::MAX)?.is_some()
                    {
                        let message =
                            format!("column {name}: a variable-shape tensor with a permutation is not supported");
                        return Err(DataFusionError::Plan(message));
                    }
                    let Some(item) = item_of(data.data_type()) else { return Ok(None) };
                    (item, Layout::Variable)
                }
                _ => return Ok(None),
            },
            (list, _) if is_list(list) => {
                let (mut cell, mut depth) = (list, 0);
                while let Some(item) = item_of(cell) {
                    (cell, depth) = (item, depth + 1);
                }
                (cell, Layout::Nested(depth))
            }
            (cell, Some(shape)) if shape.is_empty() => (cell, Layout::Scalar),
            _ => return Ok(None),
        };
        let dtype = dtype_of(cell).ok_or_else(|| {
            DataFusionError::Plan(format!("column {name}: cells of type {cell} cannot be stored in an array"))
        })?;
        let dims = match parameter("dim_names") {
            None => json(DIMS)?,
            given => given,
        };
        let names = |dims| serde_json::from_value(dims).map_err(|_| not_a_list(name, "dimension names", "text"));
        let mut dims: Option<Vec<String>> = dims.map(names).transpose()?;
        if let (Some(dims), Layout::Fixed { axes: Some(axes), .. }) = (&mut dims, &layout) {
            *dims = axes.iter().filter_map(|axis| dims.get(*axis).cloned()).collect();
        }
        let fill_value = metadata.get(FILL_VALUE).map(|text| fill_value(name, dtype, text)).transpose()?;
        let chunk_shape = json(CHUNK_SHAPE)?.map(|shape| extents(name, CHUNK_SHAPE, shape)).transpose()?;
        Ok(Some(GivenArray { name: name.clone(), dtype, dims, fill_value, chunk_shape, layout }))
    }

    /// The shape of every value, where the field says it.
    pub fn shape(&self) -> Option<Vec<u64>> {
        match &self.layout {
            Layout::Scalar => Some(Vec::new()),
            Layout::Fixed { shape, axes: None } => Some(shape.clone()),
            Layout::Fixed { shape, axes: Some(axes) } => Some(axes.iter().map(|axis| shape[*axis]).collect()),
            Layout::Nested(_) | Layout::Variable => None,
        }
    }

    /// The values of a batch's column.
    ///
    /// # Errors
    /// Where the column is of another type than the field, or a cell does not fit the dtype (a time out of range).
    pub fn values(&self, column: &ArrayRef) -> Result<GivenValues<'_>> {
        let mut cells = column.clone();
        match &self.layout {
            Layout::Scalar => {}
            Layout::Fixed { .. } => cells = items(&cells)?,
            Layout::Nested(depth) => {
                for _ in 0..*depth {
                    cells = items(&cells)?;
                }
            }
            Layout::Variable => cells = items(member(&cells, "data")?)?,
        }
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let cells = cast_with_options(&cells, &data_type(self.dtype), &options)?;
        Ok(GivenValues { array: self, column: column.clone(), cells })
    }
}

impl GivenValues<'_> {
    /// The array of one row; `None` where it is NULL. NULL cells are the fill value, in floats without one NaN, and
    /// not-a-time in times.
    ///
    /// # Errors
    /// An execution error that names the column, for lists that are not rectangular, a shape that does not fit its cells, or
    /// a NULL cell for which there is no value.
    pub fn value(&self, row: usize) -> Result<Option<ArrayData>> {
        self.value_with(row, self.array.fill_value.as_ref())
    }

    /// The same, where NULL cells become this fill value, if there is one, and not the field's.
    ///
    /// # Errors
    /// As [`GivenValues::value`].
    pub fn value_with(&self, row: usize, fill: Option<&Scalar>) -> Result<Option<ArrayData>> {
        if self.column.is_null(row) {
            return Ok(None);
        }
        let (range, shape) = match &self.array.layout {
            Layout::Scalar => (row..row + 1, Vec::new()),
            Layout::Fixed { shape, .. } => (item_range(&self.column, row)?, shape.clone()),
            Layout::Nested(depth) => self.nested(row, *depth)?,
            Layout::Variable => self.variable(row)?,
        };
        let expected = atlas_store::cell_count(&shape);
        if expected != Some(range.len() as u64) {
            let (name, cells) = (&self.array.name, range.len());
            return Err(failed(format!("column {name}, row {row}: shape {shape:?} does not fit {cells} cells")));
        }
        let data = self.cells_of(range, shape, fill)?;
        match &self.array.layout {
            Layout::Fixed { axes: Some(axes), .. } => transposed(&data, axes).map(Some),
            _ => Ok(Some(data)),
        }
    }

    /// The values of all rows as one array, its leading dimension the rows; NULL cells as in [`GivenValues::value`].
    ///
    /// # Errors
    /// As [`GivenValues::value`]; also where a value is NULL, or the field does not say the shape of all.
    pub fn stacked(&self) -> Result<ArrayData> {
        let rows = self.column.len();
        let (shape, axes) = match &self.array.layout {
            Layout::Scalar => return self.cells_of(0..rows, vec![rows as u64], self.array.fill_value.as_ref()),
            Layout::Fixed { shape, axes } => (shape, axes),
            Layout::Nested(_) | Layout::Variable => {
                return Err(failed(format!("column {}: its values may differ in shape", self.array.name)));
            }
        };
        if let Some(row) = (0..rows).find(|row| self.column.is_null(*row)) {
            return Err(failed(format!("column {}, row {row}: it is NULL, and an array has no gaps", self.array.name)));
        }
        let range = match rows.checked_sub(1) {
            Some(last) => item_range(&self.column, 0)?.start..item_range(&self.column, last)?.end,
            None => 0..0,
        };
        let shape = std::iter::once(rows as u64).chain(shape.iter().copied()).collect();
        let data = self.cells_of(range, shape, self.array.fill_value.as_ref())?;
        match axes {
            Some(axes) => {
                let axes: Vec<usize> = std::iter::once(0).chain(axes.iter().map(|axis| axis + 1)).collect();
                transposed(&data, &axes)
            }
            None => Ok(data),
        }
    }

    /// Where the cells of a list of lists are, and its shape.
    fn nested(&self, row: usize, depth: usize) -> Result<(Range<usize>, Vec<u64>)> {
        let mut list = self.column.clone();
        let mut range = row..row + 1;
        let mut shape = Vec::with_capacity(depth);
        for _ in 0..depth {
            let mut extent: Option<u64> = None;
            let (start, end) = (range.start, range.end);
            let mut inner = 0..0;
            for at in start..end {
                if list.is_null(at) {
                    return Err(failed(format!("column {}, row {row}: a list in it is NULL", self.array.name)));
                }
                let items = item_range(&list, at)?;
                let length = items.len() as u64;
                if extent.is_some_and(|extent| extent != length) {
                    return Err(failed(format!(
                        "column {}, row {row}: lists of {} and of {length} side by side are no array",
                        self.array.name,
                        extent.unwrap_or(0)
                    )));
                }
                extent = Some(length);
                inner = if at == start { items } else { inner.start..items.end };
            }
            shape.push(extent.unwrap_or(0));
            range = inner;
            list = items(&list)?;
        }
        Ok((range, shape))
    }

    fn variable(&self, row: usize) -> Result<(Range<usize>, Vec<u64>)> {
        let range = item_range(member(&self.column, "data")?, row)?;
        let shapes = member(&self.column, "shape")?;
        let extents = item_range(shapes, row)?;
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let shape =
            cast_with_options(&items(shapes)?.slice(extents.start, extents.len()), &DataType::UInt64, &options)?;
        if shape.null_count() > 0 {
            return Err(failed(format!("column {}, row {row}: its shape has a NULL", self.array.name)));
        }
        Ok((range, shape.as_primitive::<UInt64Type>().values().to_vec()))
    }

    fn cells_of(&self, range: Range<usize>, shape: Vec<u64>, fill: Option<&Scalar>) -> Result<ArrayData> {
        let GivenArray { name, dtype, .. } = self.array;
        let cells = self.cells.slice(range.start, range.len());
        let fill = match (fill, dtype) {
            _ if cells.null_count() == 0 => None,
            (Some(fill), _) => Some(fill.clone()),
            (None, DType::Float32) => Some(Scalar::Float32(f32::NAN)),
            (None, DType::Float64) => Some(Scalar::Float64(f64::NAN)),
            (None, DType::TimestampNanoseconds) => Some(Scalar::Timestamp(i64::MIN)),
            (None, _) => {
                let message =
                    format!("column {name}: a cell is NULL, and the array has no fill value (metadata {FILL_VALUE})");
                return Err(failed(message));
            }
        };
        let fill = fill.as_ref();
        let cells = match dtype {
            DType::Bool => {
                let fill = fill.is_some_and(|fill| *fill == Scalar::Bool(true));
                Cells::U8(cells.as_boolean().iter().map(|cell| u8::from(cell.unwrap_or(fill))).collect())
            }
            DType::Int8 => primitive::<Int8Type>(&cells, fill),
            DType::Int16 => primitive::<Int16Type>(&cells, fill),
            DType::Int32 => primitive::<Int32Type>(&cells, fill),
            DType::Int64 => primitive::<Int64Type>(&cells, fill),
            DType::UInt8 => primitive::<UInt8Type>(&cells, fill),
            DType::UInt16 => primitive::<UInt16Type>(&cells, fill),
            DType::UInt32 => primitive::<UInt32Type>(&cells, fill),
            DType::UInt64 => primitive::<UInt64Type>(&cells, fill),
            DType::Float32 => primitive::<Float32Type>(&cells, fill),
            DType::Float64 => primitive::<Float64Type>(&cells, fill),
            DType::TimestampNanoseconds => primitive::<TimestampNanosecondType>(&cells, fill),
            DType::String => {
                let fill = fill.and_then(Scalar::as_bytes).unwrap_or_default();
                packed(cells.as_string::<i32>().iter().map(|cell| cell.map_or(fill, str::as_bytes)))
            }
            DType::Binary => {
                let fill = fill.and_then(Scalar::as_bytes).unwrap_or_default();
                packed(cells.as_binary::<i32>().iter().map(|cell| cell.unwrap_or(fill)))
            }
        };
        ArrayData::try_new(*dtype, shape, cells).map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

fn primitive<T: ArrowPrimitiveType<Native: Element>>(cells: &ArrayRef, fill: Option<&Scalar>) -> Cells {
    let cells = cells.as_primitive::<T>();
    let values = match fill.and_then(<T::Native as Element>::from_scalar) {
        Some(fill) => cells.iter().map(|cell| cell.unwrap_or(fill)).collect(),
        None => cells.values().to_vec(),
    };
    <T::Native as Element>::wrap(values)
}

fn packed<'a>(cells: impl Iterator<Item = &'a [u8]>) -> Cells {
    Cells::Var(cells.collect::<VarCells>())
}

/// The array whose dimension `i` is dimension `axes[i]` of `data`.
fn transposed(data: &ArrayData, axes: &[usize]) -> Result<ArrayData> {
    let shape: Vec<u64> = axes.iter().map(|axis| data.shape()[*axis]).collect();
    let mut strides = vec![1usize; axes.len()];
    for axis in (1..axes.len()).rev() {
        strides[axis - 1] = strides[axis] * usize::try_from(data.shape()[axis]).unwrap_or(usize::MAX);
    }
    let count = data.cells().len();
    let mut order = Vec::with_capacity(count);
    let mut index = vec![0u64; shape.len()];
    for _ in 0..count {
        let place = |(position, axis): (&u64, &usize)| usize::try_from(*position).unwrap_or(0) * strides[*axis];
        order.push(index.iter().zip(axes).map(place).sum::<usize>());
        for (position, extent) in index.iter_mut().zip(&shape).rev() {
            *position += 1;
            if *position < *extent {
                break;
            }
            *position = 0;
        }
    }
    let cells = atlas_store::with_physical!(data.dtype().physical(), T => {
        let cells = <T as Element>::unwrap(data.cells()).unwrap_or(&[]);
        <T as Element>::wrap(order.iter().map(|at| cells[*at]).collect())
    }, var => match data.cells() {
        Cells::Var(cells) => packed(order.iter().map(|at| cells.get(*at))),
        other => other.clone(),
    });
    ArrayData::try_new(data.dtype(), shape, cells).map_err(|error| DataFusionError::External(Box::new(error)))
}

/// The dtype that stores values of an Arrow type.
fn dtype_of(cell: &DataType) -> Option<DType> {
    Some(match cell {
        DataType::Boolean => DType::Bool,
        DataType::Int8 => DType::Int8,
        DataType::Int16 => DType::Int16,
        DataType::Int32 => DType::Int32,
        DataType::Int64 => DType::Int64,
        DataType::UInt8 => DType::UInt8,
        DataType::UInt16 => DType::UInt16,
        DataType::UInt32 => DType::UInt32,
        DataType::UInt64 => DType::UInt64,
        DataType::Float16 | DataType::Float32 => DType::Float32,
        DataType::Float64 => DType::Float64,
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => DType::TimestampNanoseconds,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DType::String,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DType::Binary,
        DataType::Dictionary(_, values) => dtype_of(values)?,
        _ => return None,
    })
}

/// A fill value from its text, as [`Scalar`]'s `Display` writes it.
fn fill_value(name: &str, dtype: DType, text: &str) -> Result<Scalar> {
    let unfit = || DataFusionError::Plan(format!("column {name}: fill value {text:?} is no {dtype}"));
    let scalar = match dtype {
        DType::Bool => Scalar::Bool(text.parse().map_err(|_| unfit())?),
        DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => Scalar::Int(text.parse().map_err(|_| unfit())?),
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => {
            Scalar::UInt(text.parse().map_err(|_| unfit())?)
        }
        DType::Float32 => Scalar::Float32(text.parse().map_err(|_| unfit())?),
        DType::Float64 => Scalar::Float64(text.parse().map_err(|_| unfit())?),
        DType::TimestampNanoseconds if text == "NaT" => Scalar::Timestamp(i64::MIN),
        DType::TimestampNanoseconds => Scalar::Timestamp(string_to_timestamp_nanos(text).map_err(|_| unfit())?),
        DType::String => Scalar::String(text.into()),
        DType::Binary => Scalar::Binary(unhex(text).ok_or_else(unfit)?.into()),
    };
    if scalar.fits(dtype) { Ok(scalar) } else { Err(unfit()) }
}

/// The bytes of `0x…`.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len().is_multiple_of(2) { digits.chunks(2).map(byte).collect() } else { None }
}

fn extents(name: &str, what: &str, value: Value) -> Result<Vec<u64>> {
    serde_json::from_value(value).map_err(|_| not_a_list(name, what, "whole numbers"))
}

/// Where each stored dimension stands in the shape; `None` where that is its own place.
fn permutation(name: &str, value: Value, rank: usize) -> Result<Option<Vec<usize>>> {
    let axes: Vec<usize> =
        serde_json::from_value(value).map_err(|_| not_a_list(name, "permutation", "whole numbers"))?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..axes.len()) || (rank != usize::MAX && axes.len() != rank) {
        return Err(DataFusionError::Plan(format!("column {name}: permutation {axes:?} is none of its dimensions")));
    }
    Ok((axes != sorted).then_some(axes))
}

fn not_a_list(name: &str, what: &str, of: &str) -> DataFusionError {
    DataFusionError::Plan(format!("column {name}: {what} is not a list of {of}"))
}

fn check_size(name: &str, shape: &[u64], size: i32) -> Result<()> {
    let cells = atlas_store::cell_count(shape);
    if cells.and_then(|cells| i32::try_from(cells).ok()) == Some(size) {
        return Ok(());
    }
    Err(DataFusionError::Plan(format!("column {name}: shape {shape:?} does not fit lists of {size}")))
}

fn failed(message: String) -> DataFusionError {
    DataFusionError::Execution(message)
}

fn is_list(data_type: &DataType) -> bool {
    item_of(data_type).is_some()
}

fn item_of(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(item.data_type()),
        _ => None,
    }
}

/// The items of all lists of a column.
fn items(lists: &ArrayRef) -> Result<ArrayRef> {
    match lists.data_type() {
        DataType::List(_) => Ok(lists.as_list::<i32>().values().clone()),
        DataType::LargeList(_) => Ok(lists.as_list::<i64>().values().clone()),
        DataType::FixedSizeList(_, _) => Ok(lists.as_fixed_size_list().values().clone()),
        other => Err(failed(format!("a column of {other} has no lists"))),
    }
}

/// Which of [`items`] are those of one list.
fn item_range(lists: &ArrayRef, row: usize) -> Result<Range<usize>> {
    let outside = |_| failed("a list's offset is negative".into());
    match lists.data_type() {
        DataType::List(_) => {
            let offsets = lists.as_list::<i32>().value_offsets();
            Ok(usize::try_from(offsets[row]).map_err(outside)?..usize::try_from(offsets[row + 1]).map_err(outside)?)
        }
        DataType::LargeList(_) => {
            let offsets = lists.as_list::<i64>().value_offsets();
            Ok(usize::try_from(offsets[row]).map_err(outside)?..usize::try_from(offsets[row + 1]).map_err(outside)?)
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).map_err(outside)?;
            Ok(row * size..(row + 1) * size)
        }
        other => Err(failed(format!("a column of {other} has no lists"))),
    }
}

fn member<'a>(structs: &'a ArrayRef, name: &str) -> Result<&'a ArrayRef> {
    let column = structs.as_struct_opt().and_then(|structs| structs.column_by_name(name));
    column.ok_or_else(|| failed(format!("a tensor without {name}")))
}
