//! Attributes from Arrow columns and from JSON.

use crate::status;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType};
use atlas_store::{Attribute, AttributeType, Snapshot};
use serde_json::Value;
use tonic::{Code, Status};

/// The type of the attributes that a column of this type gives; `None` where it gives none.
///
/// Integers become 64 bits wide, floats and decimals doubles, dates and times of any unit nanoseconds since 1970 (UTC).
pub(super) fn kind_of(data_type: &DataType) -> Option<AttributeType> {
    Some(match data_type {
        DataType::Boolean => AttributeType::Bool,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            AttributeType::Float64
        }
        integer if integer.is_integer() => AttributeType::Int64,
        float if float.is_floating() => AttributeType::Float64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => AttributeType::String,
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => AttributeType::TimestampNanoseconds,
        DataType::Dictionary(_, values) => kind_of(values)?,
        _ => return None,
    })
}

/// The type of an attribute in a store, where all datasets have the same.
pub(crate) fn known_kind(snapshot: &Snapshot, name: &str) -> Option<AttributeType> {
    let mut kinds = AttributeType::ALL.into_iter().filter(|kind| snapshot.attribute_column(name, *kind).is_some());
    kinds.next().filter(|_| kinds.next().is_none())
}

/// A column in the Arrow type of its attributes.
///
/// # Errors
/// `INVALID_ARGUMENT` for a value that the type cannot hold.
pub(super) fn canonical(column: &ArrayRef, kind: AttributeType) -> Result<ArrayRef, Status> {
    let wanted = match kind {
        AttributeType::Bool => DataType::Boolean,
        AttributeType::Int64 => DataType::Int64,
        AttributeType::Float64 => DataType::Float64,
        AttributeType::String => DataType::Utf8,
        AttributeType::TimestampNanoseconds => DataType::Timestamp(TimeUnit::Nanosecond, None),
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, &wanted, &options).map_err(|error| status::from_arrow(&error))
}

/// The attribute of one row of a [`canonical`] column; `None` where it is NULL.
pub(super) fn value(column: &ArrayRef, kind: AttributeType, row: usize) -> Option<Attribute> {
    if column.is_null(row) {
        return None;
    }
    Some(match kind {
        AttributeType::Bool => Attribute::Bool(column.as_boolean().value(row)),
        AttributeType::Int64 => Attribute::Int64(column.as_primitive::<Int64Type>().value(row)),
        AttributeType::Float64 => Attribute::Float64(column.as_primitive::<Float64Type>().value(row)),
        AttributeType::String => Attribute::String(column.as_string::<i32>().value(row).into()),
        AttributeType::TimestampNanoseconds => {
            Attribute::Timestamp(column.as_primitive::<TimestampNanosecondType>().value(row))
        }
    })
}

/// An attribute from JSON: true or false, a number (whole ones are int64), text, `{"timestamp": "2026-01-31T00:00:00Z"}`;
/// `None` for null.
///
/// # Errors
/// `INVALID_ARGUMENT` that names the key, for anything else.
pub(super) fn from_json(key: &str, value: &Value) -> Result<Option<Attribute>, Status> {
    let invalid = |what: &str| {
        let message = format!("attribute {key}: {value} {what}");
        status::status(Code::InvalidArgument, &message)
    };
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Bool(value) => Attribute::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Attribute::Int64(value),
            (None, Some(value)) if !number.is_u64() => Attribute::Float64(value),
            _ => return Err(invalid("is larger than an int64 holds")),
        },
        Value::String(text) => Attribute::String(text.clone()),
        Value::Object(object) => match object.get("timestamp").and_then(Value::as_str) {
            Some(text) if object.len() == 1 => {
                Attribute::Timestamp(string_to_timestamp_nanos(text).map_err(|_| invalid("is no time"))?)
            }
            _ => return Err(invalid("is neither a value nor {\"timestamp\": \"...\"}")),
        },
        Value::Array(_) => return Err(invalid("is a list: an attribute is one value")),
    }))
}
