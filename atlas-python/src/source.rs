//! Where a store is: a path, a URL, or a handle of obstore.

use crate::error::{checked, raised};
use crate::handle::HandleStorage;
use atlas_store::{LocalStorage, ObjectOptions, ObjectStorage, Storage, storage_at};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3_object_store::PyExternalObjectStore;
use std::sync::Arc;

/// The storage at a source.
///
/// # Errors
/// `InvalidArgumentError` where its text is no location; `TypeError` where it is none of these.
pub(crate) fn storage(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Arc<dyn Storage>> {
    if let Some(location) = location(source)? {
        return checked(py, storage_at(&location));
    }
    let class = source.get_type().name()?.to_string();
    if class == "LocalStore" {
        // Object stores on local files replace nothing conditionally; the store's own way with files does.
        let prefix = source.getattr("prefix")?;
        if prefix.is_none() {
            return Err(raised(py, "InvalidArgumentError", "a LocalStore without a prefix is no place for a store"));
        }
        return Ok(Arc::new(LocalStorage::new(prefix.str()?.to_string())));
    }
    if class == "MemoryStore" {
        return Ok(Arc::new(HandleStorage::new(source)?));
    }
    let store: PyExternalObjectStore = source.extract().map_err(|error: PyErr| {
        let message = format!("{class} is no place for a store: expected a path, a URL or a handle of obstore");
        let refused = PyTypeError::new_err(message);
        refused.set_cause(py, Some(error));
        refused
    })?;
    let options = checked(py, ObjectOptions::from_env())?;
    let storage = checked(py, ObjectStorage::with_options(store.into(), "", &options))?;
    Ok(Arc::new(storage.named(source.repr()?.to_string())))
}

/// What names the place of `source` also where the working directory is another one: an absolute path.
pub(crate) fn lasting(source: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    match location(source)? {
        Some(location) => Ok(location.into_pyobject(source.py())?.into_any().unbind()),
        None => Ok(source.clone().unbind()),
    }
}

/// The URL or absolute path; `None` for anything but a str and what has a path (`os.PathLike`).
fn location(source: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let text: String = if source.is_instance_of::<PyString>() {
        source.extract()?
    } else if source.hasattr("__fspath__")? {
        source.call_method0("__fspath__")?.extract()?
    } else {
        return Ok(None);
    };
    if text.is_empty() || text.contains("://") {
        return Ok(Some(text));
    }
    let absolute = std::path::absolute(&text)?;
    absolute.into_os_string().into_string().map(Some).map_err(|_| PyValueError::new_err("the path is not UTF-8"))
}
