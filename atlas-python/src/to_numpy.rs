//! Cells as numpy arrays.

use atlas_store::{ArrayData, Cells, DType, Element, with_physical};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// The array in numpy: numbers, bools and times in the memory that they were read into, text as an object array of str
/// and binary as one of bytes.
pub(crate) fn array(py: Python<'_>, data: ArrayData) -> PyResult<Bound<'_, PyAny>> {
    let dtype = data.dtype();
    let shape = data.shape().iter().map(|extent| usize::try_from(*extent)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|error| PyOverflowError::new_err(error.to_string()))?;
    let cells = data.into_cells();
    let array = with_physical!(dtype.physical(), T => {
        numbers::<T>(py, T::unwrap_owned(cells).unwrap_or_default(), shape)?
    }, var => objects(py, dtype, &cells, shape)?);
    match dtype {
        DType::Bool => array.call_method1("view", ("bool",)),
        DType::TimestampNanoseconds => array.call_method1("view", ("datetime64[ns]",)),
        _ => Ok(array),
    }
}

fn numbers<T: Element + numpy::Element>(
    py: Python<'_>,
    cells: Vec<T>,
    shape: Vec<usize>,
) -> PyResult<Bound<'_, PyAny>> {
    Ok(PyArray1::from_vec(py, cells).reshape(shape)?.into_any())
}

fn objects<'py>(py: Python<'py>, dtype: DType, cells: &Cells, shape: Vec<usize>) -> PyResult<Bound<'py, PyAny>> {
    let Cells::Var(cells) = cells else { return numbers::<u8>(py, Vec::new(), shape) };
    let object = |cell: &[u8]| match dtype {
        // The store has checked that strings are UTF-8.
        DType::String => PyString::new(py, &String::from_utf8_lossy(cell)).into_any().unbind(),
        _ => PyBytes::new(py, cell).into_any().unbind(),
    };
    let cells: Vec<Py<PyAny>> = cells.iter().map(object).collect();
    Ok(PyArray1::from_vec(py, cells).reshape(shape)?.into_any())
}
