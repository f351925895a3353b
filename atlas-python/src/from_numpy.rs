//! Numpy arrays as cells.

use crate::error::{checked, raised};
use atlas_store::{ArrayData, ArraySchema, Cells, DType, Element, VarCells, with_physical};
use numpy::{PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyString};
use std::borrow::Cow;

/// The cells of a numpy array for an array of this schema, which `named` names in errors.
///
/// # Cost
/// One copy of the cells.
///
/// # Errors
/// `DTypeError` where it is no numpy array, of another dtype, or not in C order.
pub(crate) fn array_data(
    py: Python<'_>,
    named: &str,
    schema: &ArraySchema,
    given: &Bound<'_, PyAny>,
) -> PyResult<ArrayData> {
    let dtype = schema.dtype;
    let wrong = |message: String| raised(py, "DTypeError", &message);
    let numpy_scalar = given.is_instance(&py.import("numpy")?.getattr("generic")?)?;
    let given = if numpy_scalar { given.call_method1("__array__", ())? } else { given.clone() };
    let Ok(array) = given.cast::<PyUntypedArray>() else {
        let kind = given.get_type().name()?;
        return Err(wrong(format!("the data for array {named} is {kind}: expected a numpy.ndarray of {dtype}")));
    };
    let descr = array.dtype();
    if !fits(dtype, descr.kind(), descr.itemsize(), &descr.str()?.to_string()) {
        let cells = if dtype == DType::TimestampNanoseconds { "datetime64[ns]" } else { dtype.name() };
        return Err(wrong(format!("array {named} is {cells}, the data is {descr}: convert it with astype")));
    }
    if descr.is_native_byteorder() == Some(false) {
        return Err(wrong(format!("the data for array {named} is {descr}: not in this machine's byte order")));
    }
    if !array.is_c_contiguous() && dtype.cell_bytes().is_some() {
        let message = format!("the data for array {named} must be C-contiguous: use numpy.ascontiguousarray");
        return Err(raised(py, "NotContiguousError", &message));
    }
    let unmasked = unmasked(py, named, schema, &given)?;
    let given = unmasked.as_ref().unwrap_or(&given);
    let shape = array.shape().iter().map(|extent| *extent as u64).collect();
    let cells = with_physical!(dtype.physical(), T => {
        // Times and bools as the integers that they are in memory.
        let plain = match dtype {
            DType::TimestampNanoseconds => given.call_method1("view", ("int64",))?,
            DType::Bool => given.call_method1("view", ("uint8",))?,
            _ => given.clone(),
        };
        T::wrap(numbers::<T>(&plain)?)
    }, var => {
        // Another order or dtype is copied on the way.
        let objects = PyDict::new(py);
        objects.set_item("order", "C")?;
        objects.set_item("copy", false)?;
        let objects = given.call_method("astype", ("object",), Some(&objects))?;
        Cells::Var(texts(py, named, dtype, &objects)?)
    });
    checked(py, ArrayData::try_new(dtype, shape, cells))
}

/// The cells of a masked array that has masked ones, with the fill value in their place.
fn unmasked<'py>(
    py: Python<'py>,
    named: &str,
    schema: &ArraySchema,
    given: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let masked = py.import("numpy.ma")?;
    if !given.is_instance(&masked.getattr("MaskedArray")?)?
        || !masked.call_method1("is_masked", (given,))?.is_truthy()?
    {
        return Ok(None);
    }
    let Some(fill) = &schema.fill_value else {
        let message = format!("the data for array {named} has masked cells: the array has no fill value for them");
        return Err(raised(py, "DTypeError", &message));
    };
    let fill = crate::scalar::to_python(py, fill)?;
    let is_time = given.getattr("dtype")?.getattr("kind")?.extract::<char>()? == 'M';
    let fill = match schema.dtype {
        DType::TimestampNanoseconds if is_time => py.import("numpy")?.call_method1("datetime64", (fill, "ns"))?,
        _ => fill,
    };
    Ok(Some(given.call_method1("filled", (fill,))?))
}

/// Whether cells of a numpy dtype can be stored as they are.
fn fits(dtype: DType, kind: u8, itemsize: usize, spelled: &str) -> bool {
    let expected = match dtype {
        DType::Bool => b'b',
        DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => b'i',
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => b'u',
        DType::Float32 | DType::Float64 => b'f',
        DType::TimestampNanoseconds if kind == b'i' => b'i',
        DType::TimestampNanoseconds => return kind == b'M' && spelled.ends_with("[ns]"),
        DType::String => return matches!(kind, b'O' | b'U' | b'S' | b'T'),
        DType::Binary => return matches!(kind, b'O' | b'S'),
    };
    kind == expected && dtype.cell_bytes() == Some(itemsize)
}

fn numbers<T: Element + numpy::Element>(array: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    let mut array = array.clone();
    if !array.getattr("flags")?.getattr("aligned")?.is_truthy()? {
        // Cells in the middle of a message, say: they are copied to where they can be read.
        array = array.call_method0("copy")?;
    }
    let array = array.cast::<PyArrayDyn<T>>()?;
    let cells = array.try_readonly().map_err(|error| PyBufferError::new_err(error.to_string()))?;
    Ok(cells.as_slice()?.to_vec())
}

/// The bytes of str and bytes objects.
fn texts(py: Python<'_>, named: &str, dtype: DType, array: &Bound<'_, PyAny>) -> PyResult<VarCells> {
    let array = array.cast::<PyArrayDyn<Py<PyAny>>>()?;
    let cells = array.try_readonly().map_err(|error| PyBufferError::new_err(error.to_string()))?;
    let cells = cells.as_slice()?;
    let mut packed = VarCells::with_capacity(cells.len());
    for (index, cell) in cells.iter().enumerate() {
        let cell = cell.bind(py);
        if let Ok(string) = cell.cast::<PyString>()
            && dtype == DType::String
        {
            match string.to_str() {
                Ok(plain) => packed.push(plain.as_bytes()),
                Err(_) => packed.push(text(string)?.as_bytes()),
            }
        } else if cell.is_instance_of::<PyBytes>() || cell.is_instance_of::<PyByteArray>() {
            let bytes: Cow<'_, [u8]> = cell.extract()?;
            match dtype {
                DType::String => packed.push(String::from_utf8_lossy(&bytes).as_bytes()),
                _ => packed.push(&bytes),
            }
        } else {
            let (kind, expected) = (cell.get_type().name()?, if dtype == DType::String { "str" } else { "bytes" });
            let message = format!("cell {index} of the data for array {named} is {kind}: expected {expected}");
            return Err(raised(py, "DTypeError", &message));
        }
    }
    Ok(packed)
}

/// Text as it can be stored. What netCDF could not decode, lone surrogates that stand for bytes, becomes those bytes
/// again where they are UTF-8 then; any other lone surrogate becomes U+FFFD.
pub(crate) fn text(string: &Bound<'_, PyString>) -> PyResult<String> {
    if let Ok(plain) = string.to_str() {
        return Ok(plain.to_owned());
    }
    if let Ok(escaped) = string.call_method1("encode", ("utf-8", "surrogateescape"))
        && let Ok(repaired) = String::from_utf8(escaped.extract::<Vec<u8>>()?)
    {
        return Ok(repaired);
    }
    let units = string.call_method1("encode", ("utf-16-le", "surrogatepass"))?.extract::<Vec<u8>>()?;
    let units: Vec<u16> = units.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    Ok(String::from_utf16_lossy(&units))
}
