//! One array of many datasets in one call.

use crate::error::{checked, exception};
use crate::interrupt;
use crate::region::region;
use crate::store::Atlas;
use crate::to_numpy;
use atlas_store::{ArrayData, Error, ReadHooks, Region, Result, Snapshot, Store};
use pyo3::prelude::*;
use pyo3::types::PyList;

type Bounds<'a, 'py> = (Option<&'a Bound<'py, PyAny>>, Option<&'a Bound<'py, PyAny>>);

/// The region of each dataset that has the array, as a list with None for the others.
pub(crate) fn across<'py>(
    py: Python<'py>,
    atlas: &Atlas,
    array: &str,
    names: &[String],
    bounds: Bounds<'_, 'py>,
) -> PyResult<Bound<'py, PyList>> {
    let region = bulk_region(py, atlas, array, names, bounds)?;
    let region = region.as_ref();
    let store = atlas.store();
    if !atlas.look(py, |current| current.families().any(|name| name == array)) {
        return Err(array_error(py, atlas, array, &Error::not_found("array", array)));
    }
    let read = if atlas.is_changed(py) {
        atlas.run(py, |store| names.iter().map(|name| read_one(store, name, array, region)).collect::<Result<_>>())?
    } else {
        let snapshot = store.snapshot();
        let family = checked(py, snapshot.family(array))?;
        let row = |name: &String| snapshot.find_dataset(name).filter(|row| family.entry(*row).is_some());
        let rows: Vec<Option<u32>> = names.iter().map(row).collect();
        let found: Vec<u32> = rows.iter().copied().flatten().collect();
        let plan = checked(py, py.detach(|| snapshot.plan_across(array, &found, region)))?;
        let mut read = interrupt::run(py, plan.output_bytes(), |hooks| plan.execute(hooks))?.into_iter();
        rows.into_iter().map(|row| row.and_then(|_| read.next())).collect::<Vec<Option<ArrayData>>>()
    };
    let arrays = read.into_iter().map(|data| data.map(|data| to_numpy::array(py, data)).transpose());
    PyList::new(py, arrays.collect::<PyResult<Vec<_>>>()?)
}

/// The region of all datasets as one array with a leading axis.
pub(crate) fn stacked<'py>(
    py: Python<'py>,
    atlas: &Atlas,
    array: &str,
    names: &[String],
    bounds: Bounds<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let region = bulk_region(py, atlas, array, names, bounds)?;
    let region = region.as_ref();
    let store = atlas.store();
    if atlas.is_changed(py) {
        // The cells that were not flushed are not in a snapshot: they are put beside one another here.
        let parts = atlas.run(py, |store| {
            names.iter().map(|name| store.read_array(name, array, region)).collect::<Result<Vec<_>>>()
        });
        let parts = parts?.into_iter().map(|data| to_numpy::array(py, data)).collect::<PyResult<Vec<_>>>()?;
        return py.import("atlas._stack")?.call_method1("stack", (array, names, parts));
    }
    let snapshot = store.snapshot();
    if !has_family(&snapshot, array) {
        return Err(array_error(py, atlas, array, &Error::not_found("array", array)));
    }
    let rows = rows(py, atlas, &snapshot, names)?;
    let plan = py.detach(|| snapshot.plan_stacked(array, &rows, region));
    let plan = plan.map_err(|error| array_error(py, atlas, array, &error))?;
    let read = interrupt::run(py, plan.output_bytes(), |hooks: ReadHooks<'_>| plan.execute(hooks))?;
    match read.into_iter().next() {
        Some(data) => to_numpy::array(py, data),
        None => Err(exception(py, &Error::invalid("a stacked read gave nothing"), "")),
    }
}

/// An array that no dataset has gives nothing to read, whether or not one ever had it.
fn has_family(snapshot: &Snapshot, array: &str) -> bool {
    snapshot.find_family(array).is_some_and(|family| !family.is_empty())
}

fn read_one(store: &Store, name: &str, array: &str, region: Option<&Region>) -> Result<Option<ArrayData>> {
    let exists = store.look(|current| current.find_array(current.dataset_row(name).ok()?, array).map(drop));
    exists.is_some().then(|| store.read_array(name, array, region)).transpose()
}

/// The region of a bulk read; without a shape it ends where the first dataset's array does.
fn bulk_region(
    py: Python<'_>,
    atlas: &Atlas,
    array: &str,
    names: &[String],
    (start, shape): Bounds<'_, '_>,
) -> PyResult<Option<Region>> {
    region(py, start, shape, || {
        atlas.look(py, |current| {
            names.iter().find_map(|name| {
                let (_, schema) = current.find_array(current.dataset_row(name).ok()?, array)?;
                Some(schema.shape.clone())
            })
        })
    })
}

fn rows(py: Python<'_>, atlas: &Atlas, snapshot: &Snapshot, names: &[String]) -> PyResult<Vec<u32>> {
    let mut rows = Vec::with_capacity(names.len());
    for name in names {
        rows.push(snapshot.dataset_row(name).map_err(|error| atlas.dataset_error(py, name, &error))?);
    }
    Ok(rows)
}

fn array_error(py: Python<'_>, atlas: &Atlas, array: &str, error: &Error) -> PyErr {
    let is_unknown = atlas.look(py, |current| !current.families().any(|name| name == array));
    let hint = match error {
        Error::NotFound { what: "array", .. } if is_unknown => {
            atlas.look(py, |current| crate::near::hint(array, current.families()))
        }
        _ => String::new(),
    };
    exception(py, error, &hint)
}
