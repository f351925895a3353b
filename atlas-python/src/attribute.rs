//! Attributes as Python values.

use crate::error::raised;
use crate::scalar::{float32, is_bool, nanoseconds, numpy_kind};
use atlas_store::{Attribute, DType};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

/// An attribute as bool, int, float or str; a time is the int of its nanoseconds since the epoch.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Attribute) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Attribute::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Attribute::Int64(value) | Attribute::Timestamp(value) => value.into_pyobject(py)?.into_any(),
        Attribute::Float64(value) => PyFloat::new(py, *value).into_any(),
        Attribute::String(value) => PyString::new(py, value).into_any(),
    })
}

/// An attribute of the type that `dtype` names; without it of the type that the value has.
///
/// # Errors
/// `DTypeError` where the value cannot be an attribute, or not of this dtype; `ValueRangeError` where it is out of range.
pub(crate) fn from_python(
    py: Python<'_>,
    key: &str,
    value: &Bound<'_, PyAny>,
    dtype: Option<DType>,
) -> PyResult<Attribute> {
    let given = Given { py, key, value };
    match dtype {
        Some(dtype) => given.of(dtype),
        None => given.inferred(),
    }
}

struct Given<'a, 'py> {
    py: Python<'py>,
    key: &'a str,
    value: &'a Bound<'py, PyAny>,
}

impl Given<'_, '_> {
    fn kind(&self) -> String {
        self.value.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string())
    }

    fn inferred(&self) -> PyResult<Attribute> {
        if is_bool(self.value) {
            return self.of(DType::Bool);
        }
        if self.value.is_instance_of::<PyString>() {
            return self.of(DType::String);
        }
        if self.value.is_instance_of::<PyInt>() {
            return self.of(DType::Int64);
        }
        if self.value.is_instance_of::<PyFloat>() {
            return self.of(DType::Float64);
        }
        if nanoseconds(self.value)?.is_some() {
            return self.of(DType::TimestampNanoseconds);
        }
        match numpy_kind(self.value) {
            Some('i' | 'u') => self.of(DType::Int64),
            Some('f') => self.of(DType::Float64),
            _ => {
                let kind = self.kind();
                let message = format!("attribute {} is {kind}: expected bool, int, float, str or a time", self.key);
                Err(raised(self.py, "AttributeTypeError", &message))
            }
        }
    }

    fn of(&self, dtype: DType) -> PyResult<Attribute> {
        let value = self.value;
        match dtype {
            DType::Bool if is_bool(value) => Ok(Attribute::Bool(value.is_truthy()?)),
            DType::Int8 => self.int(dtype, i8::MIN.into(), i8::MAX.into()),
            DType::Int16 => self.int(dtype, i16::MIN.into(), i16::MAX.into()),
            DType::Int32 => self.int(dtype, i32::MIN.into(), i32::MAX.into()),
            DType::Int64 => self.int(dtype, i64::MIN, i64::MAX),
            DType::UInt8 => self.int(dtype, 0, u8::MAX.into()),
            DType::UInt16 => self.int(dtype, 0, u16::MAX.into()),
            DType::UInt32 => self.int(dtype, 0, u32::MAX.into()),
            DType::UInt64 => self.int(dtype, 0, i64::MAX),
            DType::Float32 | DType::Float64 if !is_bool(value) && !value.is_instance_of::<PyString>() => {
                self.float(dtype)
            }
            DType::TimestampNanoseconds => {
                let time = nanoseconds(value)?;
                let given = Given { py: self.py, key: self.key, value: time.as_ref().unwrap_or(value) };
                match given.int(dtype, i64::MIN, i64::MAX)? {
                    Attribute::Int64(value) => Ok(Attribute::Timestamp(value)),
                    other => Ok(other),
                }
            }
            DType::String => match value.cast::<PyString>() {
                Ok(text) => Ok(Attribute::String(crate::from_numpy::text(text)?)),
                Err(_) => Err(self.misfit(dtype)),
            },
            _ => Err(self.misfit(dtype)),
        }
    }

    fn int(&self, dtype: DType, low: i64, high: i64) -> PyResult<Attribute> {
        let value = self.value.extract::<i64>().map_err(|error| {
            if error.is_instance_of::<PyOverflowError>(self.py) { self.beyond(dtype) } else { self.misfit(dtype) }
        })?;
        if (low..=high).contains(&value) { Ok(Attribute::Int64(value)) } else { Err(self.beyond(dtype)) }
    }

    fn float(&self, dtype: DType) -> PyResult<Attribute> {
        let value = self.value.extract::<f64>().map_err(|error| {
            if error.is_instance_of::<PyOverflowError>(self.py) { self.beyond(dtype) } else { self.misfit(dtype) }
        })?;
        if dtype == DType::Float64 {
            return Ok(Attribute::Float64(value));
        }
        let short = float32(value).ok_or_else(|| self.beyond(dtype))?;
        Ok(Attribute::Float64(short.into()))
    }

    fn misfit(&self, dtype: DType) -> PyErr {
        raised(self.py, "DTypeError", &format!("attribute {} is {}, expected {dtype}", self.key, self.kind()))
    }

    fn beyond(&self, dtype: DType) -> PyErr {
        let value = self.value.to_string();
        raised(self.py, "ValueRangeError", &format!("attribute {} is {value}: out of range of {dtype}", self.key))
    }
}
