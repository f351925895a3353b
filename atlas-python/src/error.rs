//! Errors of the store as the exceptions of `atlas.errors`.

use atlas_store::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The exception for an error; `hint` follows its message.
pub(crate) fn exception(py: Python<'_>, error: &Error, hint: &str) -> PyErr {
    let class = match (error.kind(), error) {
        (ErrorKind::NotFound, Error::NotFound { what: "store", .. }) => "StoreNotFoundError",
        (ErrorKind::NotFound, _) => "NotFoundError",
        (ErrorKind::AlreadyExists, _) => "AlreadyExistsError",
        (ErrorKind::InvalidArgument, _) => "InvalidArgumentError",
        (ErrorKind::DtypeMismatch, _) => "DTypeError",
        (ErrorKind::OutOfBounds, _) => "OutOfBoundsError",
        (ErrorKind::Conflict, _) => "ConflictError",
        (ErrorKind::Corrupt, _) => "CorruptError",
        (ErrorKind::UnsupportedVersion, _) => "UnsupportedVersionError",
        (ErrorKind::LimitExceeded, _) => "LimitExceededError",
        (ErrorKind::Cancelled, _) => "CancelledError",
        (ErrorKind::Storage, _) => "StorageError",
    };
    raised(py, class, &format!("{error}{hint}"))
}

/// An exception of a class of `atlas.errors`.
pub(crate) fn raised(py: Python<'_>, class: &str, message: &str) -> PyErr {
    static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    // One line, also where a name or a value has several.
    let message = message.chars().fold(String::with_capacity(message.len()), |mut line, letter| {
        if letter.is_control() {
            line.extend(letter.escape_default())
        } else {
            line.push(letter)
        }
        line
    });
    let made = ERRORS
        .get_or_try_init(py, || Ok(py.import("atlas.errors")?.unbind()))
        .and_then(|errors| errors.bind(py).getattr(class)?.call1((message,)));
    match made {
        Ok(value) => PyErr::from_value(value),
        Err(error) => error,
    }
}

/// The result of the store as one of Python.
pub(crate) fn checked<T>(py: Python<'_>, result: atlas_store::Result<T>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error, ""))
}
