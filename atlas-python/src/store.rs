//! `atlas.Atlas`: a store.

use crate::bulk;
use crate::dataset::DatasetView;
use crate::error::{checked, exception, raised};
use crate::near;
use crate::process;
use crate::source;
use atlas_store::{CompactOptions, CreateOptions, Error, Problem, Result, Store};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::time::Duration;

/// A store of datasets; see `_atlas.pyi`.
#[pyclass(module = "atlas._atlas", frozen)]
pub(crate) struct Atlas {
    store: Store,
    /// What it was opened with, to open it in another process.
    source: Py<PyAny>,
}

impl Atlas {
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// What `work` makes of the store, while other threads of Python go on.
    pub(crate) fn run<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&Store) -> Result<T> + Send) -> PyResult<T> {
        let result = py.detach(|| process::run(|| work(&self.store)))?;
        checked(py, result)
    }

    /// As [`Self::run`]; where `name` is no dataset the error proposes one.
    pub(crate) fn run_on<T: Send>(
        &self,
        py: Python<'_>,
        name: &str,
        work: impl FnOnce(&Store) -> Result<T> + Send,
    ) -> PyResult<T> {
        let result = py.detach(|| process::run(|| work(&self.store)))?;
        result.map_err(|error| self.dataset_error(py, name, &error))
    }

    /// An error about a dataset; where there is no such dataset it proposes one.
    pub(crate) fn dataset_error(&self, py: Python<'_>, name: &str, error: &Error) -> PyErr {
        let hint = match error {
            Error::NotFound { what: "dataset", .. } => {
                py.detach(|| self.store.look(|current| near::hint(name, current.dataset_names())))
            }
            _ => String::new(),
        };
        exception(py, error, &hint)
    }
}

/// The data of a pickle are committed ones.
///
/// # Errors
/// `ConflictError` where there are unflushed changes, which another process could not see.
fn check_flushed(py: Python<'_>, store: &Store) -> PyResult<()> {
    if store.is_changed() {
        let message = format!("store {} has unflushed changes: flush them before it is pickled", store.location());
        return Err(raised(py, "ConflictError", &message));
    }
    Ok(())
}

/// The datasets of a bulk read, under either name of the argument.
fn given_names(py: Python<'_>, names: Option<Vec<String>>, alias: Option<Vec<String>>) -> PyResult<Vec<String>> {
    match (names, alias) {
        (Some(names), None) | (None, Some(names)) if names.is_empty() => {
            Err(raised(py, "InvalidArgumentError", "dataset_names is empty"))
        }
        (Some(names), None) | (None, Some(names)) => Ok(names),
        _ => Err(PyTypeError::new_err("expected the argument dataset_names, once")),
    }
}

#[pymethods]
impl Atlas {
    #[staticmethod]
    #[pyo3(signature = (source, codec="auto", meta_format="json", meta_compression="none"))]
    fn create(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        codec: &str,
        meta_format: &str,
        meta_compression: &str,
    ) -> PyResult<Self> {
        let options = CreateOptions {
            codec: checked(py, codec.to_lowercase().parse())?,
            meta_format: checked(py, meta_format.to_lowercase().parse())?,
            meta_compression: checked(py, meta_compression.to_lowercase().parse())?,
        };
        let storage = source::storage(py, source)?;
        let created = py.detach(|| process::run(|| Store::create_on(storage, options)))?;
        Ok(Atlas { store: checked(py, created)?, source: source.clone().unbind() })
    }

    #[staticmethod]
    #[pyo3(signature = (source))]
    fn open(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Self> {
        let storage = source::storage(py, source)?;
        let opened = py.detach(|| process::run(|| Store::open_on(storage)))?;
        Ok(Atlas { store: checked(py, opened)?, source: source.clone().unbind() })
    }

    #[getter]
    fn location(&self) -> String {
        self.store.location()
    }

    #[getter]
    fn snapshot(&self) -> u64 {
        self.store.snapshot().number()
    }

    #[getter]
    fn codec(&self, py: Python<'_>) -> &'static str {
        py.detach(|| self.store.options().codec.name())
    }

    fn create_dataset(slf: Bound<'_, Self>, name: String) -> PyResult<DatasetView> {
        slf.get().run(slf.py(), |store| store.create_dataset(&name))?;
        Ok(DatasetView::new(slf.unbind(), name))
    }

    fn open_dataset(slf: Bound<'_, Self>, name: String) -> PyResult<DatasetView> {
        slf.get().run_on(slf.py(), &name, |store| store.look(|current| current.dataset_row(&name)))?;
        Ok(DatasetView::new(slf.unbind(), name))
    }

    fn delete_dataset(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.run_on(py, name, |store| store.delete_dataset(name))
    }

    fn list_datasets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let names: Vec<String> =
            py.detach(|| self.store.look(|current| current.dataset_names().map(String::from).collect()));
        PyList::new(py, names)
    }

    fn list_arrays(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.store.look(|current| current.families().map(String::from).collect()))
    }

    fn dataset_exists(&self, py: Python<'_>, name: &str) -> bool {
        py.detach(|| self.store.dataset_exists(name))
    }

    #[pyo3(signature = (ds, name, chunks=None))]
    fn add_xr_dataset(
        slf: Bound<'_, Self>,
        ds: &Bound<'_, PyAny>,
        name: &str,
        chunks: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        py.import("atlas._xarray")?.call_method1("add_xr_dataset", (slf, ds, name, chunks))?;
        Ok(())
    }

    fn to_xarray<'py>(slf: Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("atlas._xarray")?.call_method1("to_xarray", (slf, name))
    }

    #[pyo3(signature = (names, concat_dim="dataset", parallel=true))]
    fn to_xarray_many<'py>(
        slf: Bound<'py, Self>,
        names: &Bound<'py, PyAny>,
        concat_dim: &str,
        parallel: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("atlas._xarray")?.call_method1("to_xarray_many", (slf, names, concat_dim, parallel))
    }

    #[pyo3(signature = (array, dataset_names=None, start=None, shape=None, *, names=None))]
    fn read_array_across<'py>(
        &self,
        py: Python<'py>,
        array: &str,
        dataset_names: Option<Vec<String>>,
        start: Option<&Bound<'py, PyAny>>,
        shape: Option<&Bound<'py, PyAny>>,
        names: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, PyList>> {
        bulk::across(py, self, array, &given_names(py, dataset_names, names)?, (start, shape))
    }

    #[pyo3(signature = (array, dataset_names=None, start=None, shape=None, *, names=None))]
    fn read_array_across_stacked<'py>(
        &self,
        py: Python<'py>,
        array: &str,
        dataset_names: Option<Vec<String>>,
        start: Option<&Bound<'py, PyAny>>,
        shape: Option<&Bound<'py, PyAny>>,
        names: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        bulk::stacked(py, self, array, &given_names(py, dataset_names, names)?, (start, shape))
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, Store::flush).map(drop)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.flush(py)
    }

    fn abandon(&self, py: Python<'_>) {
        py.detach(|| self.store.abandon());
    }

    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        self.run(py, Store::refresh)
    }

    fn rebase(&self, py: Python<'_>) -> PyResult<bool> {
        self.run(py, Store::rebase)
    }

    #[pyo3(signature = (retention=3600.0))]
    fn compact<'py>(&self, py: Python<'py>, retention: f64) -> PyResult<Bound<'py, PyDict>> {
        let retention = Duration::try_from_secs_f64(retention)
            .map_err(|error| raised(py, "InvalidArgumentError", &format!("retention {retention}: {error}")))?;
        let report = self.run(py, |store| {
            // What is pending is part of what is compacted.
            store.flush()?;
            store.compact(CompactOptions { retention })
        })?;
        let told = PyDict::new(py);
        told.set_item("families", report.families)?;
        told.set_item("reclaimed_bytes", report.reclaimed_bytes())?;
        told.set_item("deleted_objects", report.deleted_objects)?;
        told.set_item("deleted_bytes", report.deleted_bytes)?;
        told.set_item("retained_bytes", report.retained_bytes)?;
        Ok(told)
    }

    fn verify(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let report = self.run(py, Store::verify)?;
        let line = |problem: &Problem| match problem.offset {
            Some(offset) => format!("{} at byte {offset}: {}", problem.object, problem.message),
            None => format!("{}: {}", problem.object, problem.message),
        };
        Ok(report.problems.iter().map(line).collect())
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        self.flush(py)?;
        Ok(false)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.store.look(|current| current.dataset_count()))
    }

    fn __contains__(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<String>().is_ok_and(|name| self.dataset_exists(py, &name))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.list_datasets(py)?.try_iter()?.into_any())
    }

    fn __getitem__(slf: Bound<'_, Self>, name: String) -> PyResult<DatasetView> {
        Self::open_dataset(slf, name)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<Atlas datasets={}>", self.__len__(py))
    }

    fn _repr_html_<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("atlas._repr")?.call_method1("atlas_html", (slf,))
    }

    fn __reduce__<'py>(slf: Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Py<PyAny>, u64))> {
        let py = slf.py();
        let this = slf.get();
        check_flushed(py, &this.store)?;
        Ok((py.import("atlas._pickle")?.getattr("open_store")?, (this.source.clone_ref(py), this.snapshot())))
    }
}
