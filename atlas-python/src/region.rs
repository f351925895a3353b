//! Lists of extents, and the regions that calls name by `start` and `shape`.

use crate::error::{checked, raised};
use atlas_store::Region;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;

/// Non-negative integers, of any iterable: lists, tuples, numpy arrays.
pub(crate) fn extents(py: Python<'_>, what: &str, given: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    let wrong = |error: PyErr| raised(py, "DTypeError", &format!("{what} must be a sequence of integers: {error}"));
    let mut extents = Vec::new();
    for each in given.try_iter().map_err(wrong)? {
        let each = each?;
        let extent = each.extract::<i128>().map_err(|error| {
            if error.is_instance_of::<PyOverflowError>(py) {
                outside(py, what, &each)
            } else if error.is_instance_of::<PyTypeError>(py) {
                wrong(error)
            } else {
                // What the value itself raised.
                error
            }
        })?;
        extents.push(u64::try_from(extent).map_err(|_| outside(py, what, &each))?);
    }
    Ok(extents)
}

fn outside(py: Python<'_>, what: &str, given: &Bound<'_, PyAny>) -> PyErr {
    raised(py, "ValueRangeError", &format!("{what} has {given}: expected integers from 0"))
}

/// The region that `start` and `shape` name of an array of this shape, which is known where there is one: without
/// `start` it begins at the origin, without `shape` it ends with the array; `None` without both.
pub(crate) fn region(
    py: Python<'_>,
    start: Option<&Bound<'_, PyAny>>,
    shape: Option<&Bound<'_, PyAny>>,
    array: impl FnOnce() -> Option<Vec<u64>>,
) -> PyResult<Option<Region>> {
    let start = start.map(|start| extents(py, "start", start)).transpose()?;
    let shape = shape.map(|shape| extents(py, "shape", shape)).transpose()?;
    let (start, shape) = match (start, shape) {
        (None, None) => return Ok(None),
        (Some(start), Some(shape)) => (start, shape),
        (None, Some(shape)) => (vec![0; shape.len()], shape),
        (Some(start), None) => {
            let Some(extent) = array() else {
                return Err(raised(py, "InvalidArgumentError", "start is given without shape"));
            };
            if extent.len() != start.len() {
                let message = format!("start {start:?} has rank {}, the array has shape {extent:?}", start.len());
                return Err(raised(py, "InvalidArgumentError", &message));
            }
            // Beyond the end nothing is left: the start is then refused with the rest.
            let shape = extent.iter().zip(&start).map(|(extent, start)| extent.saturating_sub(*start)).collect();
            (start, shape)
        }
    };
    checked(py, Region::try_new(start, shape)).map(Some)
}
