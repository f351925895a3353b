//! A store in whichever process asks for it, and asking it without the interpreter's lock.

use crate::error::{checked, exception};
use crate::near;
use crate::process;
use crate::source;
use crate::store::Atlas;
use atlas_store::{Current, Error, Result, Store};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use std::sync::{Mutex, PoisonError};

/// A store, and the process that opened it.
pub(crate) struct Opened {
    process: u32,
    store: Store,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // A forked process must not undo what its parent is writing: one more owner, and the store is never dropped.
            std::mem::forget(self.store.clone());
        }
    }
}

impl Atlas {
    pub(crate) fn opened(source: &Bound<'_, PyAny>, store: Store) -> PyResult<Self> {
        let opened = Opened { process: std::process::id(), store };
        Ok(Atlas { opened, forked: Mutex::new(None), source: source::lasting(source)? })
    }

    /// Where the store is.
    pub(crate) fn location_text(&self) -> String {
        self.opened.store.location()
    }

    /// The store, in this process. Its locks may be held for as long as a flush takes, which may wait for the interpreter
    /// in turn: ask it with [`Self::run`], [`Self::look`] and [`Self::is_changed`], or detached.
    pub(crate) fn store(&self, py: Python<'_>) -> PyResult<Store> {
        let here = std::process::id();
        if self.opened.process == here {
            return Ok(self.opened.store.clone());
        }
        let mut forked = self.forked.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*forked
            && opened.process == here
        {
            return Ok(opened.store.clone());
        }
        let store = open(py, self.source.bind(py))?;
        *forked = Some(Opened { process: here, store: store.clone() });
        Ok(store)
    }

    /// What `look` finds in the metadata, unflushed changes included.
    pub(crate) fn look<T: Send>(&self, py: Python<'_>, look: impl FnOnce(Current<'_>) -> T + Send) -> PyResult<T> {
        let store = self.store(py)?;
        Ok(py.detach(|| store.look(look)))
    }

    pub(crate) fn is_changed(&self, py: Python<'_>) -> PyResult<bool> {
        let store = self.store(py)?;
        Ok(py.detach(|| store.is_changed()))
    }

    /// What `work` makes of the store, while other threads of Python go on.
    pub(crate) fn run<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&Store) -> Result<T> + Send) -> PyResult<T> {
        let store = self.store(py)?;
        let result = py.detach(|| process::run(|| work(&store)))?;
        checked(py, result)
    }

    /// As [`Self::run`]; where `name` is no dataset the error proposes one.
    pub(crate) fn run_on<T: Send>(
        &self,
        py: Python<'_>,
        name: &str,
        work: impl FnOnce(&Store) -> Result<T> + Send,
    ) -> PyResult<T> {
        let store = self.store(py)?;
        let result = py.detach(|| process::run(|| work(&store)))?;
        result.map_err(|error| self.dataset_error(py, name, &error))
    }

    /// An error about a dataset; where there is no such dataset it proposes one.
    pub(crate) fn dataset_error(&self, py: Python<'_>, name: &str, error: &Error) -> PyErr {
        let hint = match error {
            Error::NotFound { what: "dataset", .. } => {
                self.look(py, |current| near::hint(name, current.dataset_names())).unwrap_or_default()
            }
            _ => String::new(),
        };
        exception(py, error, &hint)
    }
}

/// Opens the store at a source.
pub(crate) fn open(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Store> {
    let storage = source::storage(py, source)?;
    let opened = py.detach(|| process::run(|| Store::open_on(storage)))?;
    checked(py, opened)
}
