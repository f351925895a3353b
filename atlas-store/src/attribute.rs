//! Attribute values and their types.

use crate::error::{Error, Result};
use std::fmt;

/// A dataset attribute's value. The type survives storage: `1.0` stays a float, a text that looks like a time stays a
/// text, NaN and infinities survive.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the variants are their own description")]
pub enum Attribute {
    Bool(bool),
    Int64(i64),
    Float64(f64),
    String(String),
    /// Nanoseconds since the epoch.
    Timestamp(i64),
}

/// The type of an [`Attribute`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the variants are their own description")]
pub enum AttributeType {
    Bool,
    Int64,
    Float64,
    String,
    TimestampNanoseconds,
}

impl AttributeType {
    /// Every type.
    pub const ALL: [AttributeType; 5] = [
        AttributeType::Bool,
        AttributeType::Int64,
        AttributeType::Float64,
        AttributeType::String,
        AttributeType::TimestampNanoseconds,
    ];

    /// The name that the file format and SQL use.
    pub fn name(self) -> &'static str {
        match self {
            AttributeType::Bool => "bool",
            AttributeType::Int64 => "int64",
            AttributeType::Float64 => "float64",
            AttributeType::String => "string",
            AttributeType::TimestampNanoseconds => "timestamp_nanoseconds",
        }
    }
}

impl Attribute {
    /// The type.
    pub fn kind(&self) -> AttributeType {
        match self {
            Attribute::Bool(_) => AttributeType::Bool,
            Attribute::Int64(_) => AttributeType::Int64,
            Attribute::Float64(_) => AttributeType::Float64,
            Attribute::String(_) => AttributeType::String,
            Attribute::Timestamp(_) => AttributeType::TimestampNanoseconds,
        }
    }
}

/// Equal means the same type and, for floats, the same bits.
impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Attribute::Bool(a), Attribute::Bool(b)) => a == b,
            (Attribute::Int64(a), Attribute::Int64(b)) | (Attribute::Timestamp(a), Attribute::Timestamp(b)) => a == b,
            (Attribute::Float64(a), Attribute::Float64(b)) => a.to_bits() == b.to_bits(),
            (Attribute::String(a), Attribute::String(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Bool(value) => write!(f, "{value}"),
            Attribute::Int64(value) => write!(f, "{value}"),
            // `{:?}` keeps the point of 1.0.
            Attribute::Float64(value) => write!(f, "{value:?}"),
            Attribute::String(value) => f.write_str(value),
            Attribute::Timestamp(value) => f.write_str(&crate::timestamp::to_text(*value)),
        }
    }
}

impl From<bool> for Attribute {
    fn from(value: bool) -> Self {
        Attribute::Bool(value)
    }
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Self {
        Attribute::Int64(value)
    }
}

impl From<f64> for Attribute {
    fn from(value: f64) -> Self {
        Attribute::Float64(value)
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Attribute::String(value.into())
    }
}

impl From<String> for Attribute {
    fn from(value: String) -> Self {
        Attribute::String(value)
    }
}

/// Checks an attribute's key: any text but the empty one.
pub(crate) fn check_key(key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(Error::invalid("attribute key is empty"));
    }
    Ok(())
}
