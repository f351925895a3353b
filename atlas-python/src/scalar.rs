//! Fill values and statistics as Python values.

use crate::error::raised;
use atlas_store::{DType, Scalar};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};

/// A value of a cell: bool, int (times: nanoseconds since the epoch), float, str or bytes.
pub(crate) fn to_python<'py>(py: Python<'py>, scalar: &Scalar) -> PyResult<Bound<'py, PyAny>> {
    Ok(match scalar {
        Scalar::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Scalar::Int(value) | Scalar::Timestamp(value) => value.into_pyobject(py)?.into_any(),
        Scalar::UInt(value) => value.into_pyobject(py)?.into_any(),
        Scalar::Float32(value) => PyFloat::new(py, f64::from(*value)).into_any(),
        Scalar::Float64(value) => PyFloat::new(py, *value).into_any(),
        Scalar::String(value) => PyString::new(py, value).into_any(),
        Scalar::Binary(value) => PyBytes::new(py, value).into_any(),
    })
}

/// A fill value: as [`to_python`], but float32 as the shortest float that rounds to it, which is the one that was given.
pub(crate) fn fill_to_python<'py>(py: Python<'py>, fill: &Scalar) -> PyResult<Bound<'py, PyAny>> {
    match fill {
        Scalar::Float32(value) => match value.to_string().parse::<f64>() {
            Ok(shortest) => Ok(PyFloat::new(py, shortest).into_any()),
            Err(_) => to_python(py, fill),
        },
        _ => to_python(py, fill),
    }
}

/// The fill value of an array of this dtype.
///
/// # Errors
/// `DTypeError` where its type does not fit, `ValueRangeError` where its size does not.
pub(crate) fn fill_value(py: Python<'_>, array: &str, dtype: DType, given: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    let misfit = || {
        let kind = given.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
        raised(py, "DTypeError", &format!("fill value {given} of array {array} is {kind}: the dtype is {dtype}"))
    };
    let beyond =
        || raised(py, "ValueRangeError", &format!("fill value {given} of array {array} is out of range of {dtype}"));
    let is_bool = is_bool(given);
    let scalar = match dtype {
        DType::Bool if is_bool => Scalar::Bool(given.is_truthy()?),
        DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 | DType::TimestampNanoseconds if !is_bool => {
            let given = &nanoseconds(given)?.unwrap_or_else(|| given.clone());
            match given.extract::<i64>() {
                Ok(value) if dtype == DType::TimestampNanoseconds => Scalar::Timestamp(value),
                Ok(value) => Scalar::Int(value),
                Err(error) if error.is_instance_of::<PyOverflowError>(py) => return Err(beyond()),
                Err(_) => return Err(misfit()),
            }
        }
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 if !is_bool => match given.extract::<u64>() {
            Ok(value) => Scalar::UInt(value),
            Err(error) if error.is_instance_of::<PyOverflowError>(py) => return Err(beyond()),
            Err(_) => return Err(misfit()),
        },
        DType::Float32 | DType::Float64 if !is_bool && given.cast::<PyString>().is_err() => {
            let value = given
                .extract::<f64>()
                .map_err(|error| if error.is_instance_of::<PyOverflowError>(py) { beyond() } else { misfit() })?;
            match dtype {
                DType::Float64 => Scalar::Float64(value),
                _ => Scalar::Float32(float32(value).ok_or_else(beyond)?),
            }
        }
        DType::String => match given.cast::<PyString>() {
            Ok(text) => Scalar::String(crate::from_numpy::text(text)?.into()),
            Err(_) => return Err(misfit()),
        },
        DType::Binary => match given.cast::<PyBytes>() {
            Ok(bytes) => Scalar::Binary(bytes.as_bytes().into()),
            Err(_) => return Err(misfit()),
        },
        _ => return Err(misfit()),
    };
    if scalar.fits(dtype) { Ok(scalar) } else { Err(beyond()) }
}

/// The float32 that a number rounds to; `None` where it is finite and beyond all of them.
pub(crate) fn float32(value: f64) -> Option<f32> {
    #[allow(clippy::cast_possible_truncation, reason = "rounding is what float32 does")]
    let short = value as f32;
    (short.is_finite() || !value.is_finite()).then_some(short)
}

/// Whether a value is a bool, of Python or of numpy.
pub(crate) fn is_bool(given: &Bound<'_, PyAny>) -> bool {
    given.is_instance_of::<PyBool>() || numpy_kind(given) == Some('b')
}

/// The kind of a numpy scalar's dtype: `b`, `i`, `u`, `f`, `M`, ….
pub(crate) fn numpy_kind(given: &Bound<'_, PyAny>) -> Option<char> {
    if given.is_instance_of::<PyInt>() || given.is_instance_of::<PyString>() {
        return None;
    }
    let scalar = given.py().import("numpy").and_then(|numpy| numpy.getattr("generic")).ok()?;
    if !given.is_instance(&scalar).unwrap_or(false) {
        return None;
    }
    given.getattr("dtype").ok()?.getattr("kind").ok()?.extract().ok()
}

/// A `numpy.datetime64`, or a `datetime` of the standard library, as the int of its nanoseconds since the epoch; not-a-time
/// as the smallest int.
pub(crate) fn nanoseconds<'py>(given: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = given.py();
    let is_time = numpy_kind(given) == Some('M')
        || given.is_instance(&py.import("datetime")?.getattr("datetime")?).unwrap_or(false);
    if !is_time {
        return Ok(None);
    }
    Ok(Some(py.import("atlas._times")?.call_method1("nanoseconds", (given,))?))
}
