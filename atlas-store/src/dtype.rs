//! The types of cells.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The type of an array's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variants are their own description")]
pub enum DType {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    #[serde(rename = "uint8")]
    UInt8,
    #[serde(rename = "uint16")]
    UInt16,
    #[serde(rename = "uint32")]
    UInt32,
    #[serde(rename = "uint64")]
    UInt64,
    Float32,
    Float64,
    /// Nanoseconds since 1970-01-01T00:00:00Z; `i64::MIN` is not-a-time.
    TimestampNanoseconds,
    /// UTF-8 text of any length.
    String,
    /// Bytes of any length.
    Binary,
}

impl DType {
    /// Every dtype.
    pub const ALL: [DType; 14] = [
        DType::Bool,
        DType::Int8,
        DType::Int16,
        DType::Int32,
        DType::Int64,
        DType::UInt8,
        DType::UInt16,
        DType::UInt32,
        DType::UInt64,
        DType::Float32,
        DType::Float64,
        DType::TimestampNanoseconds,
        DType::String,
        DType::Binary,
    ];

    /// The name that the file format, SQL and Python use.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::Int8 => "int8",
            DType::Int16 => "int16",
            DType::Int32 => "int32",
            DType::Int64 => "int64",
            DType::UInt8 => "uint8",
            DType::UInt16 => "uint16",
            DType::UInt32 => "uint32",
            DType::UInt64 => "uint64",
            DType::Float32 => "float32",
            DType::Float64 => "float64",
            DType::TimestampNanoseconds => "timestamp_nanoseconds",
            DType::String => "string",
            DType::Binary => "binary",
        }
    }

    /// The type that cells of this dtype have in memory and on disk.
    pub fn physical(self) -> Physical {
        match self {
            DType::Bool | DType::UInt8 => Physical::U8,
            DType::Int8 => Physical::I8,
            DType::Int16 => Physical::I16,
            DType::Int32 => Physical::I32,
            DType::Int64 | DType::TimestampNanoseconds => Physical::I64,
            DType::UInt16 => Physical::U16,
            DType::UInt32 => Physical::U32,
            DType::UInt64 => Physical::U64,
            DType::Float32 => Physical::F32,
            DType::Float64 => Physical::F64,
            DType::String | DType::Binary => Physical::Var,
        }
    }

    /// Bytes per cell; `None` for strings and binary.
    pub fn cell_bytes(self) -> Option<usize> {
        self.physical().cell_bytes()
    }

    /// Whether cells are floating point.
    pub fn is_float(self) -> bool {
        matches!(self, DType::Float32 | DType::Float64)
    }

    /// Whether cells are numbers (integers or floats; neither bool nor time).
    pub fn is_number(self) -> bool {
        !matches!(self, DType::Bool | DType::TimestampNanoseconds | DType::String | DType::Binary)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = Error;

    /// Accepts [`DType::name`] and the short forms of numpy (`f4` is not one; `f32` is).
    fn from_str(text: &str) -> Result<Self> {
        let long = match text {
            "i8" => "int8",
            "i16" => "int16",
            "i32" => "int32",
            "i64" => "int64",
            "u8" => "uint8",
            "u16" => "uint16",
            "u32" => "uint32",
            "u64" => "uint64",
            "f32" => "float32",
            "f64" => "float64",
            "timestamp_ns" | "datetime64[ns]" => "timestamp_nanoseconds",
            "str" | "utf8" => "string",
            "bytes" => "binary",
            other => other,
        };
        DType::ALL.into_iter().find(|dtype| dtype.name() == long).ok_or_else(|| {
            let names: Vec<_> = DType::ALL.iter().map(|dtype| dtype.name()).collect();
            Error::invalid(format!("unknown dtype {text:?}: expected one of {}", names.join(", ")))
        })
    }
}

/// The machine type behind a [`DType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are their own description")]
pub enum Physical {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    /// Byte strings of any length.
    Var,
}

impl Physical {
    /// Bytes per cell; `None` for byte strings.
    pub fn cell_bytes(self) -> Option<usize> {
        match self {
            Physical::I8 | Physical::U8 => Some(1),
            Physical::I16 | Physical::U16 => Some(2),
            Physical::I32 | Physical::U32 | Physical::F32 => Some(4),
            Physical::I64 | Physical::U64 | Physical::F64 => Some(8),
            Physical::Var => None,
        }
    }
}
