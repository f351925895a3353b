//! `atlas.Atlas`: a store.

use crate::bulk;
use crate::dataset::DatasetView;
use crate::error::{checked, raised};
use crate::home::{Opened, open};
use crate::process;
use crate::source;
use atlas_store::{CompactOptions, CreateOptions, Problem, Store, VarCells};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyList};
use std::sync::Mutex;
use std::time::Duration;

/// A store: named datasets, each a bundle of arrays and attributes.
///
/// Made by :meth:`create` and :meth:`open`. What is changed is seen by this handle at once, by others and on disk after
/// :meth:`flush`, which the end of a ``with`` block is too; a handle that is dropped without it loses its changes.
///
/// Has a length, and gives the names of its datasets when it is iterated over; ``name in store`` and ``store[name]``
/// (:meth:`open_dataset`) work. Threads may share it. It can be pickled once it is flushed: it is then opened where it is
/// unpickled.
#[pyclass(module = "atlas._atlas", frozen)]
pub(crate) struct Atlas {
    pub(crate) opened: Opened,
    /// The store as a forked process opened it: what its parent had open belongs to that, locks and unflushed changes
    /// included.
    pub(crate) forked: Mutex<Option<Opened>>,
    /// What it was opened with, to open it in another process.
    pub(crate) source: Py<PyAny>,
}

/// What makes an object again from a pickle, and its arguments.
pub(crate) type Pickled<'py, A> = (Bound<'py, PyAny>, A);

/// The data of a pickle are committed ones.
///
/// # Errors
/// `ConflictError` where there are unflushed changes, which another process could not see.
fn check_flushed(py: Python<'_>, atlas: &Atlas) -> PyResult<()> {
    if atlas.is_changed(py)? {
        let location = atlas.location_text();
        let message = format!("store {location} has unflushed changes: flush them before it is pickled");
        return Err(raised(py, "ConflictError", &message));
    }
    Ok(())
}

/// Names of datasets, not copied.
type Names = Vec<PyBackedStr>;

/// The datasets of a bulk read, under either name of the argument.
fn given_names(py: Python<'_>, names: Option<Names>, alias: Option<Names>) -> PyResult<Names> {
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
    /// Creates an empty store, with missing directories, and opens it.
    ///
    /// Args:
    ///     source: A path, a URL (``file://``, ``s3://``, ``gs://``, ``az://``, ``memory://``) or a handle of obstore.
    ///     codec: How cells are encoded: ``"auto"`` (numbers pco, text zstd), ``"zstd"``, ``"lz4"``, ``"pco"`` or
    ///         ``"none"``. Cells read back the same, bit for bit, whichever it is.
    ///     meta_format: How the catalog is written: ``"json"`` or ``"msgpack"`` (smaller, faster to open).
    ///     meta_compression: ``"none"``, ``"zstd"`` or ``"lz4"``.
    ///
    /// Raises:
    ///     AlreadyExistsError: There is a store, which is left as it is.
    ///     InvalidArgumentError: Of an unknown codec, format, compression or kind of URL.
    ///     StorageError: The place cannot be written to.
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
        Atlas::opened(source, checked(py, created)?)
    }

    /// Opens the store at a path, a URL or a handle of obstore. Its format, compression and codecs are found there.
    ///
    /// One read of the catalog; no cells are read. The handle sees the store as of now until :meth:`refresh`, or its own
    /// changes.
    ///
    /// Raises:
    ///     StoreNotFoundError: There is no store.
    ///     CorruptError: The catalog is damaged.
    ///     UnsupportedVersionError: The store is of a newer format, or of another implementation of atlas.
    #[staticmethod]
    #[pyo3(signature = (source))]
    fn open(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Self> {
        Atlas::opened(source, open(py, source)?)
    }

    /// Where the store is: the path or URL, or the repr of the handle.
    #[getter]
    fn location(&self) -> String {
        self.location_text()
    }

    /// The number of the commit that this handle sees: 0 for an empty store, one more after each flush that had changes.
    #[getter]
    fn snapshot(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.store(py)?.snapshot().number())
    }

    /// Which catalog file this handle sees: its ETag or checksum. Unlike ``snapshot`` it also tells stores apart that were
    /// made one after the other in one place.
    #[getter]
    fn catalog_version(&self, py: Python<'_>) -> PyResult<String> {
        self.run(py, |store| Ok(store.catalog_version()))
    }

    /// How new cells are encoded, as given to :meth:`create`.
    #[getter]
    fn codec(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.run(py, |store| Ok(store.options().codec.name()))
    }

    /// Creates a dataset, in memory until :meth:`flush`.
    ///
    /// Raises:
    ///     AlreadyExistsError: There is one of that name.
    ///     InvalidArgumentError: The name is empty, ``.`` or ``..``, begins with ``_``, or has ``/`` or NUL in it.
    ///     ConflictError: Another writer is at work on the store.
    fn create_dataset(slf: Bound<'_, Self>, name: String) -> PyResult<DatasetView> {
        slf.get().run(slf.py(), |store| store.create_dataset(&name))?;
        Ok(DatasetView::new(slf.unbind(), name))
    }

    /// A dataset of the store. Nothing is read.
    ///
    /// Raises:
    ///     NotFoundError: There is none of that name; the message proposes similar ones.
    fn open_dataset(slf: Bound<'_, Self>, name: String) -> PyResult<DatasetView> {
        slf.get().run_on(slf.py(), &name, |store| store.look(|current| current.dataset_row(&name)))?;
        Ok(DatasetView::new(slf.unbind(), name))
    }

    /// Deletes a dataset with its arrays and attributes. Its bytes stay until :meth:`compact`.
    ///
    /// Raises:
    ///     NotFoundError: There is none of that name.
    ///     ConflictError: Another writer is at work on the store.
    fn delete_dataset(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.run_on(py, name, |store| store.delete_dataset(name))
    }

    /// The names of all datasets, in the order in which they were created; unflushed ones included.
    fn list_datasets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        // A look at what is unflushed runs without the interpreter: objects are made after it.
        let names: VarCells = self.look(py, |current| current.dataset_names().collect())?;
        let names = names.iter().map(|name| std::str::from_utf8(name).unwrap_or_default());
        PyList::new(py, names.collect::<Vec<&str>>())
    }

    /// The distinct names of the arrays that any dataset has, sorted.
    fn list_arrays(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.look(py, |current| current.families().map(String::from).collect())
    }

    /// Whether there is a dataset of that name, flushed or not.
    fn dataset_exists(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        self.look(py, |current| current.dataset_row(name).is_ok())
    }

    /// Writes an :class:`xarray.Dataset` as a new dataset, in memory until :meth:`flush`.
    ///
    /// Each variable becomes an array; attributes of variables are stored as ``{variable}.{attribute}``. A ``_FillValue``
    /// becomes the array's fill value. Variables backed by dask are computed and written one block at a time.
    ///
    /// Args:
    ///     ds: What to write. It is not changed.
    ///     name: The name of the dataset.
    ///     chunks: The chunk shape by variable, for those that are not to be one chunk (or, backed by dask, one a block).
    ///
    /// Raises:
    ///     AlreadyExistsError: There is a dataset of that name.
    ///     UnsupportedError: A variable's dtype or index cannot be stored. Nothing of the dataset is kept then.
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

    /// A dataset as an :class:`xarray.Dataset`, identical to the one that was written.
    ///
    /// Arrays of more than one chunk come back backed by dask, one task a stored chunk; the others are read at once.
    ///
    /// Raises:
    ///     NotFoundError: There is no such dataset.
    fn to_xarray<'py>(slf: Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("atlas._xarray")?.call_method1("to_xarray", (slf, name))
    }

    /// Several datasets as one :class:`xarray.Dataset`, along a new leading dimension whose coordinate is ``names``.
    ///
    /// All variables get the new dimension; a coordinate does where it differs between the datasets. Attributes are those of
    /// the first. Datasets whose indexes differ are aligned as :func:`xarray.concat` does it, with missing values where one
    /// has no such label.
    ///
    /// Each variable is one bulk read, into memory; datasets that have to be aligned are read one by one.
    ///
    /// Args:
    ///     names: The datasets, in the order that the result has.
    ///     concat_dim: The name of the new dimension.
    ///     parallel: Whether to read several variables at a time.
    ///
    /// Raises:
    ///     InvalidArgumentError: ``names`` is empty, or lengths differ without an index to align by; it names the dataset.
    ///     NotFoundError: A dataset does not exist, or lacks an array that others have.
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

    /// The same region of one array of many datasets, each as an array of its own: shapes may differ.
    ///
    /// All of them are read at once, on all cores, touching only the chunks that hold the region.
    ///
    /// Args:
    ///     array: The array's name.
    ///     dataset_names: The datasets, in the order of the result.
    ///     start: The first cell along each dimension; the origin without it.
    ///     shape: How many cells along each dimension; to the end of the first dataset's array without it.
    ///     names: The same as ``dataset_names``.
    ///
    /// Returns:
    ///     One numpy array for each dataset; None for those that do not exist or lack the array.
    ///
    /// Raises:
    ///     NotFoundError: No dataset has the array.
    ///     OutOfBoundsError: The region does not lie in one of the arrays, which it names.
    #[pyo3(signature = (array, dataset_names=None, start=None, shape=None, *, names=None))]
    fn read_array_across<'py>(
        &self,
        py: Python<'py>,
        array: &str,
        dataset_names: Option<Names>,
        start: Option<&Bound<'py, PyAny>>,
        shape: Option<&Bound<'py, PyAny>>,
        names: Option<Names>,
    ) -> PyResult<Bound<'py, PyList>> {
        bulk::across(py, self, array, &given_names(py, dataset_names, names)?, (start, shape))
    }

    /// The same region of one array of many datasets, as one array.
    ///
    /// This is the fastest read there is: the cells are decoded on all cores, straight into the result, touching only the
    /// chunks that hold the region.
    ///
    /// Args:
    ///     array: The array's name.
    ///     dataset_names: The datasets, in the order of the result.
    ///     start: The first cell along each dimension; the origin without it.
    ///     shape: How many cells along each dimension; to the end of the first dataset's array without it.
    ///     names: The same as ``dataset_names``.
    ///
    /// Returns:
    ///     A numpy array of shape ``(len(dataset_names), *region)``.
    ///
    /// Raises:
    ///     NotFoundError: A dataset does not exist or lacks the array; it names the first.
    ///     InvalidArgumentError: The shapes differ; it names the first dataset that differs.
    ///     OutOfBoundsError: The region does not lie in one of the arrays, which it names.
    #[pyo3(signature = (array, dataset_names=None, start=None, shape=None, *, names=None))]
    fn read_array_across_stacked<'py>(
        &self,
        py: Python<'py>,
        array: &str,
        dataset_names: Option<Names>,
        start: Option<&Bound<'py, PyAny>>,
        shape: Option<&Bound<'py, PyAny>>,
        names: Option<Names>,
    ) -> PyResult<Bound<'py, PyAny>> {
        bulk::stacked(py, self, array, &given_names(py, dataset_names, names)?, (start, shape))
    }

    /// Makes all changes since the last flush durable and visible to others, together. Before it nothing is; a crash at any
    /// moment leaves the old state or the new one.
    ///
    /// Costs one file for each array name that was written to and one rewrite of the catalog, however many datasets changed.
    ///
    /// Raises:
    ///     StorageError: The storage failed. The changes stay: flush again, or :meth:`abandon` them.
    ///     ConflictError: Another writer has committed in between: :meth:`rebase` and flush again, or abandon.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, Store::flush).map(drop)
    }

    /// The same as :meth:`flush`. The handle can still be used.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.flush(py)
    }

    /// Drops all changes since the last flush.
    fn abandon(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, |store| {
            store.abandon();
            Ok(())
        })
    }

    /// Moves the handle to what others have committed in between; tells whether there was something.
    ///
    /// Raises:
    ///     ConflictError: There are unflushed changes.
    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        self.run(py, Store::refresh)
    }

    /// Moves unflushed changes onto what another writer has committed, after a ``ConflictError`` of :meth:`flush`; tells whether
    /// there was something.
    ///
    /// Raises:
    ///     ConflictError: Both changed the same array. The changes stay as they were.
    fn rebase(&self, py: Python<'_>) -> PyResult<bool> {
        self.run(py, Store::rebase)
    }

    /// Flushes, rewrites the files that hold deleted or overwritten chunks, and deletes what no reader needs any more.
    ///
    /// Args:
    ///     retention: How many seconds files that are no longer live are kept for readers that opened the store earlier.
    ///
    /// Returns:
    ///     ``families`` (array names rewritten), ``reclaimed_bytes`` (by which live files became smaller),
    ///     ``deleted_objects`` and ``deleted_bytes`` (files deleted), ``retained_bytes`` (kept until their retention is over).
    ///
    /// Raises:
    ///     ConflictError: Another writer, or another thread with this handle, is at work on the store.
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

    /// Reads everything and checks every checksum, index and statistic; gives a line for each problem, none if all is well.
    fn verify(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let report = self.run(py, Store::verify)?;
        let line = |problem: &Problem| match problem.offset {
            Some(offset) => format!("{} at byte {offset}: {}", problem.object, problem.message),
            None => format!("{}: {}", problem.object, problem.message),
        };
        Ok(report.problems.iter().map(line).collect())
    }

    /// The store itself; leaving the block is :meth:`close`, also by an exception.
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

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.look(py, |current| current.dataset_count())
    }

    fn __contains__(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        name.extract::<String>().map_or(Ok(false), |name| self.dataset_exists(py, &name))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.list_datasets(py)?.try_iter()?.into_any())
    }

    fn __getitem__(slf: Bound<'_, Self>, name: String) -> PyResult<DatasetView> {
        Self::open_dataset(slf, name)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<Atlas datasets={}>", self.__len__(py)?))
    }

    fn _repr_html_<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("atlas._repr")?.call_method1("atlas_html", (slf,))
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }

    fn __reduce__<'py>(slf: Bound<'py, Self>) -> PyResult<Pickled<'py, (Py<PyAny>,)>> {
        let py = slf.py();
        let this = slf.get();
        check_flushed(py, this)?;
        Ok((py.import("atlas._pickle")?.getattr("open_store")?, (this.source.clone_ref(py),)))
    }
}
