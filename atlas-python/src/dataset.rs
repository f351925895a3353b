//! `atlas.DatasetView`: one dataset of a store.

use crate::attribute;
use crate::error::{checked, exception, raised};
use crate::from_numpy;
use crate::interrupt;
use crate::near;
use crate::process;
use crate::region::{extents, region};
use crate::scalar;
use crate::store::Atlas;
use crate::to_numpy;
use atlas_store::{ArraySchema, Current, DType, Error, Region, Statistics, Sum, cell_count};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A dataset; see `_atlas.pyi`.
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
    fn look<T: Send>(&self, py: Python<'_>, look: impl FnOnce(&Current<'_>, u32) -> T + Send) -> Option<T> {
        let store = self.atlas.get().store();
        py.detach(|| store.look(|current| Some(look(&current, current.dataset_row(&self.name).ok()?))))
    }

    /// The declaration of an array, with its statistics where they are known.
    fn find(&self, py: Python<'_>, array: &str) -> Option<(ArraySchema, Option<Statistics>)> {
        self.look(py, |current, row| {
            current.find_array(row, array).map(|(entry, schema)| (schema.clone(), entry.statistics()))
        })
        .flatten()
    }

    /// As [`Self::find`], for calls that need the array.
    fn declaration(&self, py: Python<'_>, array: &str) -> PyResult<ArraySchema> {
        if let Some((schema, _)) = self.find(py, array) {
            return Ok(schema);
        }
        let names = |current: &Current<'_>, row| near::hint(array, current.array_names(row).into_iter());
        match self.look(py, names) {
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

    /// Reads the arrays that the dataset has, in one plan where nothing is unflushed.
    fn read<'py>(
        &self,
        py: Python<'py>,
        wanted: &[(String, Option<Region>)],
    ) -> PyResult<Vec<(String, Option<Bound<'py, PyAny>>)>> {
        let atlas = self.atlas.get();
        let mut read = Vec::with_capacity(wanted.len());
        for (array, region) in wanted {
            let Some((schema, _)) = self.find(py, array) else {
                read.push((array.clone(), None));
                continue;
            };
            let cells = cell_count(region.as_ref().map_or(&schema.shape, |region| region.shape())).unwrap_or(u64::MAX);
            let bytes = cells.saturating_mul(schema.dtype.cell_bytes().unwrap_or(16) as u64);
            let (store, name) = (atlas.store(), &self.name);
            let data = if store.is_changed() {
                let data = py.detach(|| process::run(|| store.read_array(name, array, region.as_ref())))?;
                checked(py, data)?
            } else {
                let snapshot = store.snapshot();
                interrupt::run(py, bytes, |hooks| {
                    let plan = snapshot.plan_arrays(snapshot.dataset_row(name)?, &[array], region.as_ref())?;
                    let read = plan.execute(hooks)?.into_iter().next();
                    read.ok_or_else(|| Error::invalid("a read gave nothing"))
                })?
            };
            read.push((array.clone(), Some(to_numpy::array(py, data)?)));
        }
        Ok(read)
    }
}

#[pymethods]
impl DatasetView {
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    #[getter]
    fn store(&self, py: Python<'_>) -> Py<Atlas> {
        self.atlas.clone_ref(py)
    }

    fn list_arrays(&self, py: Python<'_>) -> Vec<String> {
        let names = |current: &Current<'_>, row| current.array_names(row).into_iter().map(String::from).collect();
        self.look(py, names).unwrap_or_default()
    }

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

    fn write_array(
        &self,
        py: Python<'_>,
        name: &str,
        start: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let schema = self.declaration(py, name)?;
        let start = extents(py, "start", start)?;
        let data = from_numpy::array_data(py, &self.named(name), schema.dtype, data)?;
        self.atlas.get().run_on(py, &self.name, |store| store.write_array(&self.name, name, &start, &data))
    }

    #[pyo3(signature = (name, start=None, shape=None))]
    fn read_array<'py>(
        &self,
        py: Python<'py>,
        name: String,
        start: Option<&Bound<'py, PyAny>>,
        shape: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((schema, _)) = self.find(py, &name) else { return Ok(None) };
        let region = region(py, start, shape, || Some(schema.shape))?;
        Ok(self.read(py, &[(name, region)])?.into_iter().next().and_then(|(_, array)| array))
    }

    #[pyo3(signature = (names, start=None, shape=None))]
    fn read_arrays<'py>(
        &self,
        py: Python<'py>,
        names: Vec<String>,
        start: Option<&Bound<'py, PyAny>>,
        shape: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let mut wanted = Vec::with_capacity(names.len());
        for name in names {
            let found = self.find(py, &name);
            wanted.push((name, region(py, start, shape, || found.map(|(schema, _)| schema.shape))?));
        }
        let arrays = PyDict::new(py);
        for (name, array) in self.read(py, &wanted)? {
            arrays.set_item(name, array)?;
        }
        Ok(arrays)
    }

    fn delete_array(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.declaration(py, name)?;
        self.atlas.get().run_on(py, &self.name, |store| store.delete_array(&self.name, name))
    }

    fn array_meta<'py>(&self, py: Python<'py>, array: &str) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some((schema, _)) = self.find(py, array) else { return Ok(None) };
        let meta = PyDict::new(py);
        meta.set_item("dtype", schema.dtype.name())?;
        meta.set_item("shape", schema.shape)?;
        meta.set_item("chunk_shape", schema.chunk_shape)?;
        meta.set_item("dimension_names", schema.dims)?;
        Ok(Some(meta))
    }

    #[pyo3(signature = (array, extended=false))]
    fn array_stats<'py>(&self, py: Python<'py>, array: &str, extended: bool) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some((_, Some(known))) = self.find(py, array) else { return Ok(None) };
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

    fn array_fill_value<'py>(&self, py: Python<'py>, array: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((schema, _)) = self.find(py, array) else { return Ok(None) };
        schema.fill_value.as_ref().map(|fill| scalar::fill_to_python(py, fill)).transpose()
    }

    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let attributes = PyDict::new(py);
        for (key, value) in self.look(py, |current, row| current.attributes(row)).unwrap_or_default() {
            attributes.set_item(key, attribute::to_python(py, &value)?)?;
        }
        Ok(attributes)
    }

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

    fn get_attribute<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let value = self.look(py, |current, row| current.attribute(row, key)).flatten();
        value.map(|value| attribute::to_python(py, &value)).transpose()
    }

    fn remove_attribute(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        self.atlas.get().run_on(py, &self.name, |store| store.remove_attribute(&self.name, key))
    }

    fn __contains__(&self, py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(array) = array.extract::<String>() else { return Ok(false) };
        Ok(self.find(py, &array).is_some())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<DatasetView name={:?} arrays={}>", self.name, self.list_arrays(py).len())
    }

    fn _repr_html_<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("atlas._repr")?.call_method1("dataset_html", (slf,))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Py<Atlas>, &str))> {
        Ok((py.import("atlas._pickle")?.getattr("open_dataset")?, (self.atlas.clone_ref(py), self.name.as_str())))
    }
}

/// The dtype that a name, or a dtype of numpy, names.
fn dtype_of(py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<DType> {
    let name: String = match given.extract() {
        Ok(name) => name,
        Err(_) => py.import("numpy")?.getattr("dtype")?.call1((given,))?.getattr("name")?.extract()?,
    };
    let name = name.trim().to_lowercase();
    if name.starts_with("list[") || name.starts_with("fixed_size_list[") {
        return Err(raised(py, "UnsupportedError", &format!("dtype {name} cannot be stored")));
    }
    checked(py, name.parse())
}
