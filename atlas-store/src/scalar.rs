//! One cell's value: fill values, minima and maxima.

use crate::dtype::DType;
use crate::error::{Error, Result};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// One value of a cell. Integers of every width share a variant; the dtype beside it says the width.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the variants are their own description")]
pub enum Scalar {
    Bool(bool),
    /// int8 … int64.
    Int(i64),
    /// uint8 … uint64.
    UInt(u64),
    Float32(f32),
    Float64(f64),
    /// Nanoseconds since the epoch.
    Timestamp(i64),
    String(Box<str>),
    Binary(Box<[u8]>),
}

/// Equal means the same bits: NaN equals itself, 0.0 does not equal -0.0.
impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Scalar::Bool(a), Scalar::Bool(b)) => a == b,
            (Scalar::Int(a), Scalar::Int(b)) | (Scalar::Timestamp(a), Scalar::Timestamp(b)) => a == b,
            (Scalar::UInt(a), Scalar::UInt(b)) => a == b,
            (Scalar::Float32(a), Scalar::Float32(b)) => a.to_bits() == b.to_bits(),
            (Scalar::Float64(a), Scalar::Float64(b)) => a.to_bits() == b.to_bits(),
            (Scalar::String(a), Scalar::String(b)) => a == b,
            (Scalar::Binary(a), Scalar::Binary(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Scalar {}

impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Scalar::Bool(value) => value.hash(state),
            Scalar::Int(value) | Scalar::Timestamp(value) => value.hash(state),
            Scalar::UInt(value) => value.hash(state),
            Scalar::Float32(value) => value.to_bits().hash(state),
            Scalar::Float64(value) => value.to_bits().hash(state),
            Scalar::String(value) => value.hash(state),
            Scalar::Binary(value) => value.hash(state),
        }
    }
}

impl Scalar {
    /// Whether this value can be a cell of `dtype`: same kind, and in range.
    pub fn fits(&self, dtype: DType) -> bool {
        let int = |low: i64, high: i64| matches!(self, Scalar::Int(value) if (low..=high).contains(value));
        let uint = |high: u64| matches!(self, Scalar::UInt(value) if *value <= high);
        match dtype {
            DType::Bool => matches!(self, Scalar::Bool(_)),
            DType::Int8 => int(i8::MIN.into(), i8::MAX.into()),
            DType::Int16 => int(i16::MIN.into(), i16::MAX.into()),
            DType::Int32 => int(i32::MIN.into(), i32::MAX.into()),
            DType::Int64 => int(i64::MIN, i64::MAX),
            DType::UInt8 => uint(u8::MAX.into()),
            DType::UInt16 => uint(u16::MAX.into()),
            DType::UInt32 => uint(u32::MAX.into()),
            DType::UInt64 => uint(u64::MAX),
            DType::Float32 => matches!(self, Scalar::Float32(_)),
            DType::Float64 => matches!(self, Scalar::Float64(_)),
            DType::TimestampNanoseconds => matches!(self, Scalar::Timestamp(_)),
            DType::String => matches!(self, Scalar::String(_)),
            DType::Binary => matches!(self, Scalar::Binary(_)),
        }
    }

    /// A string or binary cell as a scalar; bytes that are not UTF-8 in a string become U+FFFD.
    pub fn from_bytes(dtype: DType, bytes: &[u8]) -> Self {
        match dtype {
            DType::String => Scalar::String(String::from_utf8_lossy(bytes).into()),
            _ => Scalar::Binary(bytes.into()),
        }
    }

    /// The bytes of a string or binary value.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Scalar::String(text) => Some(text.as_bytes()),
            Scalar::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The value as a float, where it is a number or a bool.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Scalar::Bool(value) => Some(u8::from(*value).into()),
            Scalar::Int(value) => Some(*value as f64),
            Scalar::UInt(value) => Some(*value as f64),
            Scalar::Float32(value) => Some((*value).into()),
            Scalar::Float64(value) => Some(*value),
            Scalar::Timestamp(_) | Scalar::String(_) | Scalar::Binary(_) => None,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bool(value) => write!(f, "{value}"),
            Scalar::Int(value) => write!(f, "{value}"),
            Scalar::UInt(value) => write!(f, "{value}"),
            Scalar::Float32(value) => write!(f, "{value}"),
            Scalar::Float64(value) => write!(f, "{value}"),
            Scalar::Timestamp(value) => f.write_str(&crate::timestamp::to_text(*value)),
            Scalar::String(value) => f.write_str(value),
            Scalar::Binary(value) => {
                f.write_str("0x")?;
                value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// A float as the catalog stores it: a number, `"NaN"`, `"inf"`, `"-inf"`, or `"0x…"` for the bits of another NaN.
pub(crate) fn float_text(value: f64, bits: u64, canonical_nan: u64) -> Option<String> {
    if value.is_nan() {
        Some(if bits == canonical_nan { "NaN".into() } else { format!("0x{bits:x}") })
    } else if value.is_infinite() {
        Some(if value > 0.0 { "inf".into() } else { "-inf".into() })
    } else {
        None
    }
}

/// The inverse of [`float_text`] for words; bits are the caller's.
pub(crate) fn float_word(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn hex_bits(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// The bytes behind an even number of hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// A scalar as it stands in a catalog, whose dtype stands elsewhere: numbers as numbers, and as text what JSON cannot
/// say. See [`StoredScalar::resolve`].
#[derive(Clone)]
pub(crate) enum StoredScalar {
    Bool(bool),
    Int(i64),
    UInt(u64),
    /// Written with no more digits than a `float32` needs; parsed as [`StoredScalar::Float`].
    Float32(f32),
    Float(f64),
    Text(Box<str>),
}

impl StoredScalar {
    pub(crate) fn new(scalar: &Scalar) -> Self {
        let text = |text: String| StoredScalar::Text(text.into());
        match scalar {
            Scalar::Bool(value) => StoredScalar::Bool(*value),
            Scalar::Int(value) | Scalar::Timestamp(value) => StoredScalar::Int(*value),
            Scalar::UInt(value) => StoredScalar::UInt(*value),
            Scalar::Float32(value) => float_text((*value).into(), value.to_bits().into(), f32::NAN.to_bits().into())
                .map_or(StoredScalar::of_f32(*value), text),
            Scalar::Float64(value) => {
                float_text(*value, value.to_bits(), f64::NAN.to_bits()).map_or(StoredScalar::Float(*value), text)
            }
            Scalar::String(value) => StoredScalar::Text(value.clone()),
            Scalar::Binary(value) => {
                StoredScalar::Text(value.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
            }
        }
    }

    /// A `float32` in as few digits as it needs, if parsing those as a `float64` and rounding gives it back. It does
    /// between 10⁻³ and 10⁹: no decimal of nine digits is there so close to the middle between two `float32` that the
    /// `float64` next to it is the middle. It does not for 7.038531e-26.
    fn of_f32(value: f32) -> Self {
        let has_short = value == 0.0 || (1e-3..1e9).contains(&value.abs());
        if has_short { StoredScalar::Float32(value) } else { StoredScalar::Float(value.into()) }
    }

    /// The scalar of `dtype`; `None` where the stored value cannot be one.
    pub(crate) fn resolve(self, dtype: DType) -> Option<Scalar> {
        let as_int = |stored: &StoredScalar| match stored {
            StoredScalar::Int(value) => Some(*value),
            StoredScalar::UInt(value) => i64::try_from(*value).ok(),
            _ => None,
        };
        let as_float = |stored: &StoredScalar| match stored {
            StoredScalar::Float(value) => Some(*value),
            StoredScalar::Float32(value) => Some((*value).into()),
            StoredScalar::Int(value) => Some(*value as f64),
            StoredScalar::UInt(value) => Some(*value as f64),
            StoredScalar::Text(text) => float_word(text),
            StoredScalar::Bool(_) => None,
        };
        let scalar = match (dtype, self) {
            (DType::Bool, StoredScalar::Bool(value)) => Scalar::Bool(value),
            (DType::TimestampNanoseconds, stored) => Scalar::Timestamp(as_int(&stored)?),
            (DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64, stored) => Scalar::Int(as_int(&stored)?),
            (DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64, stored) => match stored {
                StoredScalar::Int(value) => Scalar::UInt(u64::try_from(value).ok()?),
                StoredScalar::UInt(value) => Scalar::UInt(value),
                _ => return None,
            },
            (DType::Float32, StoredScalar::Text(text)) if text.starts_with("0x") => {
                Scalar::Float32(f32::from_bits(u32::try_from(hex_bits(&text)?).ok()?))
            }
            (DType::Float64, StoredScalar::Text(text)) if text.starts_with("0x") => {
                Scalar::Float64(f64::from_bits(hex_bits(&text)?))
            }
            #[allow(clippy::cast_possible_truncation, reason = "an f32 was widened when it was stored")]
            (DType::Float32, stored) => Scalar::Float32(as_float(&stored)? as f32),
            (DType::Float64, stored) => Scalar::Float64(as_float(&stored)?),
            (DType::String, StoredScalar::Text(text)) => Scalar::String(text),
            (DType::Binary, StoredScalar::Text(text)) => Scalar::Binary(unhex(&text)?.into()),
            _ => return None,
        };
        scalar.fits(dtype).then_some(scalar)
    }
}

impl Serialize for StoredScalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            StoredScalar::Bool(value) => serializer.serialize_bool(*value),
            StoredScalar::Int(value) => serializer.serialize_i64(*value),
            StoredScalar::UInt(value) => serializer.serialize_u64(*value),
            StoredScalar::Float32(value) => serializer.serialize_f32(*value),
            StoredScalar::Float(value) => serializer.serialize_f64(*value),
            StoredScalar::Text(value) => serializer.serialize_str(value),
        }
    }
}

/// Takes each primitive as it comes: an untagged enum would buffer every one of millions.
impl<'de> Deserialize<'de> for StoredScalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar;
        impl Visitor<'_> for AnyScalar {
            type Value = StoredScalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a bool, a number or a text")
            }
            fn visit_bool<E>(self, value: bool) -> Result<StoredScalar, E> {
                Ok(StoredScalar::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<StoredScalar, E> {
                Ok(StoredScalar::Int(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<StoredScalar, E> {
                Ok(StoredScalar::UInt(value))
            }
            fn visit_f64<E>(self, value: f64) -> Result<StoredScalar, E> {
                Ok(StoredScalar::Float(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<StoredScalar, E> {
                Ok(StoredScalar::Text(value.into()))
            }
        }
        deserializer.deserialize_any(AnyScalar)
    }
}

/// Checks that a fill value can be a cell of `dtype`.
pub(crate) fn check_fill(array: &str, dtype: DType, fill: Option<&Scalar>) -> Result<()> {
    match fill {
        Some(fill) if !fill.fits(dtype) => {
            Err(Error::invalid(format!("fill value {fill} of array {array} does not fit dtype {dtype}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_float32_survives_json_and_msgpack() {
        let spread = (0..u32::MAX).step_by(20_011).map(f32::from_bits);
        let odd = [0.1, -0.0, 1e-3, 999_999_936.0, 1e9, 7.038_531e-26, f32::MIN_POSITIVE, 1e-45];
        for value in spread.chain(odd) {
            let stored = StoredScalar::new(&Scalar::Float32(value));
            let json = serde_json::to_vec(&stored).unwrap();
            let msgpack = rmp_serde::to_vec(&stored).unwrap();
            for parsed in [
                serde_json::from_slice::<StoredScalar>(&json).unwrap(),
                rmp_serde::from_slice::<StoredScalar>(&msgpack).unwrap(),
            ] {
                assert_eq!(parsed.resolve(DType::Float32), Some(Scalar::Float32(value)), "{value:e}");
            }
        }
        let json = |value: f32| serde_json::to_string(&StoredScalar::new(&Scalar::Float32(value))).unwrap();
        assert_eq!(json(0.1), "0.1");
    }
}
