//! The Arrow field of an array column, and back.

use arrow::datatypes::{DataType, Field, TimeUnit};
use atlas_store::DType;
use datafusion::error::{DataFusionError, Result};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// The metadata key of an extension type's name.
pub const EXTENSION_NAME: &str = "ARROW:extension:name";
/// The metadata key of an extension type's parameters.
pub const EXTENSION_METADATA: &str = "ARROW:extension:metadata";
/// The metadata key of the dimension names of a column that is not a tensor: a JSON list.
pub const DIMS: &str = "atlas.dims";
/// The metadata key of the shape of a column that is not a tensor: a JSON list.
pub const SHAPE: &str = "atlas.shape";
/// The metadata key of the fill value, as text; absent where there is none, or where datasets differ.
pub const FILL_VALUE: &str = "atlas.fill_value";
/// The metadata key that is `false` where no dataset has a fill value. Without it and [`FILL_VALUE`], nobody knows.
pub const HAS_FILL_VALUE: &str = "atlas.has_fill_value";

pub(super) const FIXED: &str = "arrow.fixed_shape_tensor";
pub(super) const VARIABLE: &str = "arrow.variable_shape_tensor";

/// How the values of an array column lie in Arrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// Rank 0: the plain type.
    Scalar,
    /// One shape: a `FixedSizeList`.
    Fixed(Vec<u64>),
    /// Of rank 1, each of its own length, and not numbers: a `List`.
    List,
    /// Each of its own shape: a struct of `data` and `shape`; `None` where not even the rank is the same.
    Variable(Option<usize>),
}

impl Form {
    /// The layout of values that all have this shape.
    ///
    /// Without a cell it is that of values which differ in shape: several kernels of arrow-rs take the number of rows of
    /// a `FixedSizeList` from its cells, so that sorting or joining lists of size 0 loses them.
    pub(crate) fn of_shape(shape: &[u64], cell: &DataType) -> Form {
        match shape {
            [] => Form::Scalar,
            [0] if !is_number(cell) => Form::List,
            _ if shape.contains(&0) => Form::Variable(Some(shape.len())),
            _ => Form::Fixed(shape.to_vec()),
        }
    }
}

/// What an array column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// The Arrow type of a cell.
    pub(crate) cell: DataType,
    /// The layout.
    pub(crate) form: Form,
    /// The names of the dimensions; `None` where datasets differ.
    pub(crate) dims: Option<Vec<String>>,
    /// The fill value as text; `None` where there is none, or datasets differ.
    pub(crate) fill_value: Option<String>,
    /// Whether no dataset has a fill value.
    pub(crate) never_filled: bool,
}

/// The Arrow type of a cell of `dtype`.
pub fn data_type(dtype: DType) -> DataType {
    match dtype {
        DType::Bool => DataType::Boolean,
        DType::Int8 => DataType::Int8,
        DType::Int16 => DataType::Int16,
        DType::Int32 => DataType::Int32,
        DType::Int64 => DataType::Int64,
        DType::UInt8 => DataType::UInt8,
        DType::UInt16 => DataType::UInt16,
        DType::UInt32 => DataType::UInt32,
        DType::UInt64 => DataType::UInt64,
        DType::Float32 => DataType::Float32,
        DType::Float64 => DataType::Float64,
        DType::TimestampNanoseconds => DataType::Timestamp(TimeUnit::Nanosecond, None),
        DType::String => DataType::Utf8,
        DType::Binary => DataType::Binary,
    }
}

/// The field of a column whose values are arrays of one shape (without the leading axis of datasets).
///
/// # Errors
/// A plan error where the shape has more cells than a `FixedSizeList` can hold (2^31 - 1).
pub fn field_for(name: &str, dtype: DType, dims: &[String], shape: &[u64]) -> Result<Field> {
    let form = if shape.is_empty() { Form::Scalar } else { Form::Fixed(shape.to_vec()) };
    Tensor { cell: data_type(dtype), form, dims: Some(dims.to_vec()), fill_value: None, never_filled: false }
        .field(name)
}

/// The number of cells of a `FixedSizeList` of this shape.
pub(crate) fn list_size(name: &str, shape: &[u64]) -> Result<i32> {
    let cells = shape.iter().try_fold(1u64, |cells, extent| cells.checked_mul(*extent));
    cells.and_then(|cells| i32::try_from(cells).ok()).ok_or_else(|| {
        DataFusionError::Plan(format!("{name}: shape {shape:?} has more cells than a column can hold ({})", i32::MAX))
    })
}

/// Whether cells of this type can be in a tensor.
fn is_number(cell: &DataType) -> bool {
    cell.is_numeric()
}

impl Tensor {
    /// The field of a column of this kind.
    pub(crate) fn field(&self, name: &str) -> Result<Field> {
        let item = Arc::new(Field::new_list_field(self.cell.clone(), true));
        let data_type = match &self.form {
            Form::Scalar => self.cell.clone(),
            Form::Fixed(shape) => DataType::FixedSizeList(item, list_size(name, shape)?),
            Form::List => DataType::List(item),
            Form::Variable(rank) => DataType::Struct(
                vec![Field::new("data", DataType::List(item), true), Field::new("shape", shape_type(*rank), true)]
                    .into(),
            ),
        };
        Ok(Field::new(name, data_type, true).with_metadata(self.metadata()))
    }

    fn metadata(&self) -> HashMap<String, String> {
        let mut metadata = HashMap::new();
        let mut put = |key: &str, value: String| metadata.insert(key.to_string(), value);
        let is_tensor = is_number(&self.cell) && !matches!(self.form, Form::Scalar | Form::Variable(None));
        if is_tensor {
            let mut parameters = Map::new();
            if let Form::Fixed(shape) = &self.form {
                parameters.insert("shape".into(), json!(shape));
            }
            if let Some(dims) = &self.dims {
                parameters.insert("dim_names".into(), json!(dims));
            }
            put(EXTENSION_NAME, if matches!(self.form, Form::Fixed(_)) { FIXED } else { VARIABLE }.into());
            put(EXTENSION_METADATA, Value::Object(parameters).to_string());
        } else {
            match &self.form {
                Form::Fixed(shape) => put(SHAPE, json!(shape).to_string()),
                Form::Scalar => put(SHAPE, "[]".into()),
                Form::List | Form::Variable(_) => None,
            };
            if let Some(dims) = &self.dims {
                put(DIMS, json!(dims).to_string());
            }
        }
        if let Some(fill) = &self.fill_value {
            put(FILL_VALUE, fill.clone());
        }
        if self.never_filled {
            put(HAS_FILL_VALUE, "false".into());
        }
        metadata
    }

    /// What the column of this field is; `None` where it does not hold arrays.
    pub(crate) fn of(field: &Field) -> Option<Tensor> {
        let metadata = field.metadata();
        let list = |key: &str| serde_json::from_str::<Value>(metadata.get(key)?).ok();
        let parameters = list(EXTENSION_METADATA);
        let dims = match &parameters {
            Some(parameters) => parameters.get("dim_names").cloned(),
            None => list(DIMS),
        };
        let dims = dims.and_then(|dims| serde_json::from_value(dims).ok());
        let shape = match &parameters {
            Some(parameters) => parameters.get("shape").cloned(),
            None => list(SHAPE),
        };
        let shape: Option<Vec<u64>> = shape.and_then(|shape| serde_json::from_value(shape).ok());
        let fill_value = metadata.get(FILL_VALUE).cloned();
        let (cell, form) = match (field.data_type(), shape) {
            (DataType::FixedSizeList(item, _), Some(shape)) => (item.data_type(), Form::Fixed(shape)),
            (DataType::List(item), None) if metadata.contains_key(DIMS) => (item.data_type(), Form::List),
            (DataType::Struct(fields), None) => match (fields.find("data"), fields.find("shape")) {
                (Some((_, data)), Some((_, shape))) => match (data.data_type(), shape.data_type()) {
                    (DataType::List(item), DataType::FixedSizeList(_, rank)) => {
                        (item.data_type(), Form::Variable(usize::try_from(*rank).ok()))
                    }
                    (DataType::List(item), DataType::List(_)) => (item.data_type(), Form::Variable(None)),
                    _ => return None,
                },
                _ => return None,
            },
            (cell, Some(shape)) if shape.is_empty() => (cell, Form::Scalar),
            _ => return None,
        };
        let never_filled = metadata.get(HAS_FILL_VALUE).is_some_and(|has| has == "false");
        Some(Tensor { cell: cell.clone(), form, dims, fill_value, never_filled })
    }

    /// The rank, where all values have the same.
    pub(crate) fn rank(&self) -> Option<usize> {
        match &self.form {
            Form::Scalar => Some(0),
            Form::Fixed(shape) => Some(shape.len()),
            Form::List => Some(1),
            Form::Variable(rank) => *rank,
        }
    }

    /// The shape, where all values have the same.
    pub(crate) fn shape(&self) -> Option<&[u64]> {
        match &self.form {
            Form::Scalar => Some(&[]),
            Form::Fixed(shape) => Some(shape),
            Form::List | Form::Variable(_) => None,
        }
    }

    /// The same, cut to a region of this shape.
    pub(crate) fn sliced(&self, shape: &[u64]) -> Tensor {
        // Of another rank there is no region, and every value is NULL.
        let dims = self.dims.clone().filter(|dims| dims.len() == shape.len() || shape.is_empty());
        Tensor { form: Form::of_shape(shape, &self.cell), dims, ..self.clone() }
    }

    /// The same, where each value is cut to a shape of its own.
    pub(crate) fn ragged(&self) -> Tensor {
        let form = match self.rank() {
            Some(0) => Form::Scalar,
            Some(1) if !is_number(&self.cell) => Form::List,
            rank => Form::Variable(rank),
        };
        Tensor { form, ..self.clone() }
    }

    /// Whether missing cells can be told from the others: they are NULL, or the fill value is known.
    pub(crate) fn knows_missing(&self) -> bool {
        !self.is_tensor() || self.fill_value.is_some() || self.never_filled
    }

    /// Whether cells are numbers in a list, which are never null.
    pub(crate) fn is_tensor(&self) -> bool {
        is_number(&self.cell) && self.form != Form::Scalar
    }
}

/// The type of the `shape` of values that differ in shape.
fn shape_type(rank: Option<usize>) -> DataType {
    let extent = Arc::new(Field::new_list_field(DataType::Int32, true));
    match rank.and_then(|rank| i32::try_from(rank).ok()) {
        Some(rank) => DataType::FixedSizeList(extent, rank),
        None => DataType::List(extent),
    }
}
