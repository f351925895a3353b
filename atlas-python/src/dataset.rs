//! `atlas.DatasetView`: one dataset of a store.

use crate::attribute;
use crate::error::{checked, exception, raised};
use crate::from_numpy;
use crate::interrupt;
use crate::memory;
use crate::near;
use crate::process;
use crate::region::{extents, region};
use crate::scalar;
use crate::store::{Atlas, Pickled};
use crate::to_numpy;
use atlas_store::{ArraySchema, Current, DType, Error, Region, Result, Statistics, Sum};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// One dataset of a store: its arrays and attributes. Made by :meth:`Atlas.create_dataset` and :meth:`Atlas.open_dataset`.
///
/// It goes by its name: what is changed, through whichever view, all of them see. One whose dataset was deleted reads as
/// empty. ``array in view`` tells whether the dataset has an array. Threads may share it, and it can be pickled once the
/// store is flushed.
#[pyclass(module = "atlas._atlas", frozen)]
pub(crate) struct DatasetView {
    atlas: Py<Atlas>,
    name: String,
}

impl DatasetView {
    pub(crate) fn new(atlas: Py<Atlas>, name: String) -> Self {
        DatasetView { atlas, name }
    }

    /// What `look` finds about the dataset; nothing where it was deleted.
    fn look<T: Send>(&self, py: Python<'_>, look: impl FnOnce(&Current<'_>, u32) -> T + Send) -> PyResult<Option<T>> {
        self.atlas.get().look(py, |current| Some(look(&current, current.dataset_row(&self.name).ok()?)))
    }

    /// The declaration of an array, with its statistics where they are known.
    fn find(&self, py: Python<'_>, array: &str) -> PyResult<Option<(ArraySchema, Option<Statistics>)>> {
        let found = self.look(py, |current, row| {
            current.find_array(row, array).map(|(entry, schema)| (schema.clone(), entry.statistics()))
        });
        Ok(found?.flatten())
    }

    /// As [`Self::find`], for calls that need the array.
    fn declaration(&self, py: Python<'_>, array: &str) -> PyResult<ArraySchema> {
        if let Some((schema, _)) = self.find(py, array)? {
            return Ok(schema);
        }
        let names = |current: &Current<'_>, row| near::hint(array, current.array_names(row).into_iter());
        match self.look(py, names)? {
            Some(hint) => {
                let error = Error::not_found("array", format!("{array} in dataset {}", self.name));
                Err(exception(py, &error, &hint))
            }
            None => {
                let error = Error::not_found("dataset", &*self.name);
                Err(self.atlas.get().dataset_error(py, &self.name, &error))
            }
        }
    }

    fn named(&self, array: &str) -> String {
        format!("{array} of dataset {}", self.name)
    }

    /// Refuses what cannot fit in memory; regions outside of their arrays are left to the plan to refuse.
    fn check_memory(&self, py: Python<'_>, arrays: &[&str], region: Option<&Region>) -> PyResult<()> {
        for array in arrays {
            let Some((schema, _)) = self.find(py, array)? else { continue };
            if region.is_some_and(|region| region.check(array, &schema.shape).is_err()) {
                continue;
            }
            let shape = region.map_or(&schema.shape[..], |region| region.shape());
            let named = || format!("cells of shape {shape:?} of array {}", self.named(array));
            memory::check(py, memory::bytes_of(shape, schema.dtype), named)?;
        }
        Ok(())
    }

    /// Reads a region of each of these arrays, which the dataset has.
    fn read<'py>(&self, py: Python<'py>, arrays: &[&str], region: Option<&Region>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let (store, name) = (self.atlas.get().store(py)?, &self.name);
        self.check_memory(py, arrays, region)?;
        let read = if self.atlas.get().is_changed(py)? {
            let read = || arrays.iter().map(|array| store.read_array(name, array, region)).collect::<Result<Vec<_>>>();
            checked(py, py.detach(|| process::run(read))?)?
        } else {
            let snapshot = store.snapshot();
            let plan = py.detach(|| snapshot.plan_arrays(snapshot.dataset_row(name)?, arrays, region));
            let plan = checked(py, plan)?;
            interrupt::run(py, plan.output_bytes(), |hooks| plan.execute(hooks))?
        };
        read.into_iter().map(|data| to_numpy::array(py, data)).collect()
    }
}

#[pymethods]
impl DatasetView {
    /// The name of the dataset.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The store that the dataset is of.
    #[getter]
    fn store(&self, py: Python<'_>) -> Py<Atlas> {
        self.atlas.clone_ref(py)
    }

    /// The names of the dataset's arrays, in the order in which they were declared.
    fn list_arrays(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let names = |current: &Current<'_>, row| current.array_names(row).into_iter().map(String::from).collect();
        Ok(self.look(py, names)?.unwrap_or_default())
    }

    /// Declares an array, in memory until :meth:`Atlas.flush`. Cells that are never written read as the fill value (zero,
    /// ``""`` or 1970 without one).
    ///
    /// Args:
    ///     name: The array's name: not empty, no ``/``, no leading ``_``.
    ///     dtype: ``"int8"`` to ``"int64"``, ``"uint8"`` to ``"uint64"``, ``"float32"``, ``"float64"``, ``"bool"``,
    ///         ``"timestamp_nanoseconds"``, ``"string"`` or ``"binary"``; short forms (``"f32"``), ``"datetime64[ns]"`` and
    ///         numpy dtypes too. All arrays of one name in a store have one dtype.
    ///     dims: The name of each dimension.
    ///     shape: The extent of each dimension; empty for a scalar.
    ///     chunk_shape: The extent of a chunk, which is read and decoded as one; the whole array without it.
    ///     fill_value: What unwritten cells read as; cells equal to it count as null. An int for integers and times (in
    ///         nanoseconds), a float for floats, a str, a bool, bytes.
    ///
    /// Raises:
    ///     AlreadyExistsError: The dataset has an array of that name.
    ///     DTypeError: The fill value is of another type, or the array has another dtype in other datasets.
    ///     ValueRangeError: The fill value is out of range.
    ///     InvalidArgumentError: Of a bad name, an unknown dtype, or ranks that differ.
    ///     UnsupportedError: The dtype cannot be stored.
    ///     NotFoundError: The dataset was deleted.
    #[pyo3(signature = (name, dtype, dims, shape, chunk_shape=None, fill_value=None))]
    #[allow(clippy::too_many_arguments, reason = "the signature is that of the Python method")]
    fn define_array(
        &self,
        py: Python<'_>,
        name: &str,
        dtype: &Bound<'_, PyAny>,
        dims: Vec<String>,
        shape: &Bound<'_, PyAny>,
        chunk_shape: Option<&Bound<'_, PyAny>>,
        fill_value: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let dtype = dtype_of(py, dtype)?;
        let shape = extents(py, "shape", shape)?;
        let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
        let mut schema = ArraySchema::new(dtype, &dims, &shape);
        if let Some(chunk_shape) = chunk_shape {
            schema = schema.with_chunk_shape(&extents(py, "chunk_shape", chunk_shape)?);
        }
        if let Some(fill_value) = fill_value {
            schema = schema.with_fill_value(scalar::fill_value(py, name, dtype, fill_value)?);
        }
        self.atlas.get().run_on(py, &self.name, |store| store.define_array(&self.name, name, schema))
    }

    /// Writes a box of cells, in memory (whole chunks encoded) until :meth:`Atlas.flush`. Later writes win.
    ///
    /// Args:
    ///     name: The array.
    ///     start: Where the box begins along each dimension.
    ///     data: A C-contiguous numpy array of exactly the array's dtype; its shape is that of the box. Times are
    ///         ``datetime64[ns]`` or their int64; text is object (of str or bytes), ``U``, ``S`` or ``StringDType``.
    ///         Masked cells become the array's fill value.
    ///
    /// Raises:
    ///     DTypeError: The data has another dtype (nothing is converted), or masked cells where there is no fill value.
    ///     NotContiguousError: The data is not C-contiguous.
    ///     OutOfBoundsError: The box does not lie in the array.
    ///     NotFoundError: The dataset or array does not exist.
    fn write_array(
        &self,
        py: Python<'_>,
        name: &str,
        start: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let schema = self.declaration(py, name)?;
        let start = extents(py, "start", start)?;
        let data = from_numpy::array_data(py, &self.named(name), &schema, data)?;
        self.atlas.get().run_on(py, &self.name, |store| store.write_array(&self.name, name, &start, data))
    }

    /// Reads an array, or a region of it; unflushed writes are seen. Only the chunks that hold the region are read and decoded.
    ///
    /// Args:
    ///     name: The array.
    ///     start: The first cell along each dimension; the origin without it.
    ///     shape: How many cells along each dimension; to the end of the array without it.
    ///
    /// Returns:
    ///     A new numpy array: times ``datetime64[ns]``, text objects of str, binary objects of bytes; 0-D for scalars. None
    ///     where the dataset has no such array.
    ///
    /// Raises:
    ///     OutOfBoundsError: The region does not lie in the array.
    ///     CorruptError: The stored bytes are damaged.
    #[pyo3(signature = (name, start=None, shape=None))]
    fn read_array<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        start: Option<&Bound<'py, PyAny>>,
        shape: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((schema, _)) = self.find(py, name)? else { return Ok(None) };
        let region = region(py, start, shape, || Some(schema.shape))?;
        Ok(self.read(py, &[name], region.as_ref())?.pop())
    }

    /// Reads the same region of several arrays, as :meth:`read_array` does: a dict by name, None for those that the dataset
    /// does not have.
    #[pyo3(signature = (names, start=None, shape=None))]
    fn read_arrays<'py>(
        &self,
        py: Python<'py>,
        names: Vec<String>,
        start: Option<&Bound<'py, PyAny>>,
        shape: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let arrays = PyDict::new(py);
        // Arrays of which the same region is read, together.
        let mut groups: Vec<(Option<Region>, Vec<&str>)> = Vec::new();
        for name in &names {
            let found = self.find(py, name)?;
            arrays.set_item(name, py.None())?;
            let Some((schema, _)) = found else { continue };
            let region = region(py, start, shape, || Some(schema.shape))?;
            match groups.iter_mut().find(|(other, _)| *other == region) {
                Some((_, group)) => group.push(name),
                None => groups.push((region, vec![name])),
            }
        }
        for (region, group) in groups {
            for (name, array) in group.iter().zip(self.read(py, &group, region.as_ref())?) {
                arrays.set_item(name, array)?;
            }
        }
        Ok(arrays)
    }

    /// Deletes an array of this dataset. Its bytes stay until :meth:`Atlas.compact`.
    ///
    /// Raises:
    ///     NotFoundError: There is no such array.
    fn delete_array(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.declaration(py, name)?;
        self.atlas.get().run_on(py, &self.name, |store| store.delete_array(&self.name, name))
    }

    /// The declaration of an array: ``dtype`` (str), ``shape``, ``chunk_shape`` (lists of int) and ``dimension_names`` (list of str); None where there is no such array.
    fn array_meta<'py>(&self, py: Python<'py>, array: &str) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some((schema, _)) = self.find(py, array)? else { return Ok(None) };
        let meta = PyDict::new(py);
        meta.set_item("dtype", schema.dtype.name())?;
        meta.set_item("shape", schema.shape)?;
        meta.set_item("chunk_shape", schema.chunk_shape)?;
        meta.set_item("dimension_names", schema.dims)?;
        Ok(Some(meta))
    }

    /// The statistics of an array as of the last flush: ``row_count`` (cells), ``null_count`` (cells equal to the fill value),
    /// ``min`` and ``max``; None where there is no such array or it was not flushed since it was written to.
    ///
    /// No cells are read. Minimum and maximum leave out nulls and NaN, and are None where nothing is left; times are
    /// nanoseconds since the epoch. With ``extended`` also ``nan_count``, ``sum`` and ``mean`` (of what is neither null nor
    /// NaN; None for times and text), ``min_exact`` and ``max_exact`` (whether they are cells, not the cut ends of long text).
    #[pyo3(signature = (array, extended=false))]
    fn array_stats<'py>(&self, py: Python<'py>, array: &str, extended: bool) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some((_, Some(known))) = self.find(py, array)? else { return Ok(None) };
        let stats = PyDict::new(py);
        stats.set_item("row_count", known.row_count)?;
        stats.set_item("null_count", known.null_count)?;
        stats.set_item("min", known.min.as_ref().map(|min| scalar::to_python(py, min)).transpose()?)?;
        stats.set_item("max", known.max.as_ref().map(|max| scalar::to_python(py, max)).transpose()?)?;
        if extended {
            stats.set_item("nan_count", known.nan_count)?;
            match known.sum {
                Some(Sum::Int(sum)) => stats.set_item("sum", sum)?,
                Some(Sum::Float(sum)) => stats.set_item("sum", sum)?,
                None => stats.set_item("sum", py.None())?,
            }
            stats.set_item("mean", known.mean())?;
            stats.set_item("min_exact", known.min_exact)?;
            stats.set_item("max_exact", known.max_exact)?;
        }
        Ok(Some(stats))
    }

    /// The fill value of an array; None where it has none or there is no such array.
    fn array_fill_value<'py>(&self, py: Python<'py>, array: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((schema, _)) = self.find(py, array)? else { return Ok(None) };
        schema.fill_value.as_ref().map(|fill| scalar::fill_to_python(py, fill)).transpose()
    }

    /// All attributes, by key. Times are ints: nanoseconds since the epoch.
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let attributes = PyDict::new(py);
        for (key, value) in self.look(py, |current, row| current.attributes(row))?.unwrap_or_default() {
            attributes.set_item(key, attribute::to_python(py, &value)?)?;
        }
        Ok(attributes)
    }

    /// Sets an attribute, whatever it was before; in memory until :meth:`Atlas.flush`.
    ///
    /// Args:
    ///     key: Any text but ``""``.
    ///     value: A bool, int (64 bits), float, str or time; numpy's scalars of these too.
    ///     dtype: The type to store it as: ``"bool"``, ``"int8"`` to ``"uint64"`` (checked, stored as int64),
    ///         ``"float32"``, ``"float64"``, ``"string"`` or ``"timestamp_nanoseconds"`` (an int is nanoseconds).
    ///
    /// Raises:
    ///     AttributeTypeError: The value cannot be an attribute.
    ///     DTypeError: It is not of that dtype.
    ///     ValueRangeError: It is out of range.
    ///     NotFoundError: The dataset was deleted.
    #[pyo3(signature = (key, value, dtype=None))]
    fn set_attribute(
        &self,
        py: Python<'_>,
        key: &str,
        value: &Bound<'_, PyAny>,
        dtype: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let dtype = dtype.map(|dtype| dtype_of(py, dtype)).transpose()?;
        let value = attribute::from_python(py, key, value, dtype)?;
        self.atlas.get().run_on(py, &self.name, |store| store.set_attribute(&self.name, key, value))
    }

    /// The value of an attribute; None where it is not set. A time is the int of its nanoseconds since the epoch.
    fn get_attribute<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let value = self.look(py, |current, row| current.attribute(row, key))?.flatten();
        value.map(|value| attribute::to_python(py, &value)).transpose()
    }

    /// Removes an attribute; tells whether there was one.
    fn remove_attribute(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        self.atlas.get().run_on(py, &self.name, |store| store.remove_attribute(&self.name, key))
    }

    fn __contains__(&self, py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(array) = array.extract::<String>() else { return Ok(false) };
        Ok(self.find(py, &array)?.is_some())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<DatasetView name={:?} arrays={}>", self.name, self.list_arrays(py)?.len()))
    }

    fn _repr_html_<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("atlas._repr")?.call_method1("dataset_html", (slf,))
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Pickled<'py, (Py<Atlas>, &str)>> {
        Ok((py.import("atlas._pickle")?.getattr("open_dataset")?, (self.atlas.clone_ref(py), self.name.as_str())))
    }
}

/// The dtype that a name, or a dtype of numpy, names.
fn dtype_of(py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<DType> {
    let name: String = match given.extract() {
        Ok(name) => name,
        Err(_) if given.is_none() => return Err(raised(py, "DTypeError", "dtype is None: expected its name")),
        Err(_) => py.import("numpy")?.getattr("dtype")?.call1((given,))?.getattr("name")?.extract()?,
    };
    let name = name.trim().to_lowercase();
    if name.starts_with("list[") || name.starts_with("fixed_size_list[") {
        return Err(raised(py, "UnsupportedError", &format!("dtype {name} cannot be stored")));
    }
    checked(py, name.parse())
}
