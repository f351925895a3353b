//! One array of many datasets in one call.

use crate::error::{checked, exception};
use crate::interrupt;
use crate::memory;
use crate::near;
use crate::region::region;
use crate::store::Atlas;
use crate::to_numpy;
use atlas_store::{ArrayData, ArraySchema, Current, Error, ReadHooks, Region, Result, Snapshot, Store};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyList;
use std::collections::HashMap;

type Bounds<'a, 'py> = (Option<&'a Bound<'py, PyAny>>, Option<&'a Bound<'py, PyAny>>);

/// The region of each dataset that has the array, as a list with None for the others.
pub(crate) fn across<'py>(
    py: Python<'py>,
    atlas: &Atlas,
    array: &str,
    names: &[PyBackedStr],
    bounds: Bounds<'_, 'py>,
) -> PyResult<Bound<'py, PyList>> {
    if !atlas.look(py, |current| current.families().any(|name| name == array))? {
        return Err(array_error(py, atlas, array, &Error::not_found("array", array)));
    }
    let mut read: Vec<Option<ArrayData>> = vec![None; names.len()];
    for (region, places) in groups(py, atlas, array, names, bounds)? {
        let region = region.as_ref();
        let names: Vec<&str> = places.iter().map(|place| &*names[*place]).collect();
        for (place, data) in places.iter().zip(read_across(py, atlas, array, &names, region)?) {
            read[*place] = data;
        }
    }
    let arrays = read.into_iter().map(|data| data.map(|data| to_numpy::array(py, data)).transpose());
    PyList::new(py, arrays.collect::<PyResult<Vec<_>>>()?)
}

/// The datasets, by their places in `names`, of which the same region is read: all of them, unless each array is read to
/// its own end.
fn groups(
    py: Python<'_>,
    atlas: &Atlas,
    array: &str,
    names: &[PyBackedStr],
    (start, shape): Bounds<'_, '_>,
) -> PyResult<Vec<(Option<Region>, Vec<usize>)>> {
    if start.is_none() || shape.is_some() {
        return Ok(vec![(region(py, start, shape, || None)?, (0..names.len()).collect())]);
    }
    let mut by_shape: HashMap<Vec<u64>, Vec<usize>> = HashMap::new();
    atlas.look(py, |current| {
        for (place, name) in names.iter().enumerate() {
            let found = current.dataset_row(name).ok().and_then(|row| current.find_array(row, array));
            if let Some((_, schema)) = found {
                by_shape.entry(schema.shape.clone()).or_default().push(place);
            }
        }
    })?;
    let group = |(extent, places)| Ok((region(py, start, shape, || Some(extent))?, places));
    by_shape.into_iter().map(group).collect()
}

/// Bytes of these arrays' cells in memory. Regions outside of them are left to the plan to refuse.
fn bytes_of<'a>(array: &str, schemas: impl Iterator<Item = &'a ArraySchema>, region: Option<&Region>) -> u64 {
    let of_one = |schema: &ArraySchema| {
        let is_inside = region.is_none_or(|region| region.check(array, &schema.shape).is_ok());
        if is_inside {
            memory::bytes_of(region.map_or(&schema.shape, |region| region.shape()), schema.dtype)
        } else {
            0
        }
    };
    // Of neighbours, mostly that of all.
    let mut last: Option<(&ArraySchema, u64)> = None;
    let mut total = 0u64;
    for schema in schemas {
        let bytes = match last {
            Some((known, bytes)) if std::ptr::eq(known, schema) => bytes,
            _ => of_one(schema),
        };
        last = Some((schema, bytes));
        total = total.saturating_add(bytes);
    }
    total
}

/// Refuses to read more than fits in memory. `datasets` were asked for, those of `rows` have the array.
fn check_memory(
    py: Python<'_>,
    snapshot: &Snapshot,
    array: &str,
    (rows, datasets): (&[u32], usize),
    region: Option<&Region>,
) -> PyResult<()> {
    let Some(family) = snapshot.find_family(array) else { return Ok(()) };
    let schemas = rows.iter().filter_map(|row| Some(snapshot.schema(family.entry(*row)?)));
    let bytes = py.detach(|| bytes_of(array, schemas, region));
    refuse(py, bytes, array, datasets)
}

/// As [`check_memory`], where changes were not flushed.
fn check_current<S: AsRef<str> + Sync>(
    py: Python<'_>,
    atlas: &Atlas,
    array: &str,
    names: &[S],
    region: Option<&Region>,
) -> PyResult<()> {
    let bytes = atlas.look(py, |current| {
        let schema = |name: &S| Some(current.find_array(current.dataset_row(name.as_ref()).ok()?, array)?.1);
        bytes_of(array, names.iter().filter_map(schema), region)
    })?;
    refuse(py, bytes, array, names.len())
}

fn refuse(py: Python<'_>, bytes: u64, array: &str, datasets: usize) -> PyResult<()> {
    memory::check(py, bytes, || format!("cells of array {array} of {datasets} datasets"))
}

fn read_across(
    py: Python<'_>,
    atlas: &Atlas,
    array: &str,
    names: &[&str],
    region: Option<&Region>,
) -> PyResult<Vec<Option<ArrayData>>> {
    if atlas.is_changed(py)? {
        check_current(py, atlas, array, names, region)?;
        return atlas.run(py, |store| names.iter().map(|name| read_one(store, name, array, region)).collect());
    }
    let snapshot = atlas.store(py)?.snapshot();
    let family = checked(py, snapshot.family(array))?;
    let row = |name: &&str| snapshot.find_dataset(name).filter(|row| family.entry(*row).is_some());
    let rows: Vec<Option<u32>> = names.iter().map(row).collect();
    let found: Vec<u32> = rows.iter().copied().flatten().collect();
    check_memory(py, &snapshot, array, (&found, names.len()), region)?;
    let plan = checked(py, py.detach(|| snapshot.plan_across(&[array], &found, region)))?;
    let mut read = interrupt::run(py, plan.output_bytes(), |hooks| plan.execute(hooks))?.into_iter();
    Ok(rows.into_iter().map(|row| row.and_then(|_| read.next())).collect())
}

/// The region of all datasets as one array with a leading axis.
pub(crate) fn stacked<'py>(
    py: Python<'py>,
    atlas: &Atlas,
    array: &str,
    names: &[PyBackedStr],
    bounds: Bounds<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let region = bulk_region(py, atlas, array, names, bounds)?;
    let region = region.as_ref();
    if atlas.is_changed(py)? {
        check_current(py, atlas, array, names, region)?;
        // The cells that were not flushed are not in a snapshot: they are put beside one another here.
        let parts = atlas.run(py, |store| {
            names.iter().map(|name| store.read_array(name, array, region)).collect::<Result<Vec<_>>>()
        });
        let parts = parts?.into_iter().map(|data| to_numpy::array(py, data)).collect::<PyResult<Vec<_>>>()?;
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        return py.import("atlas._stack")?.call_method1("stack", (array, names, parts));
    }
    let snapshot = atlas.store(py)?.snapshot();
    if !has_family(&snapshot, array) {
        return Err(array_error(py, atlas, array, &Error::not_found("array", array)));
    }
    let rows = rows(py, atlas, &snapshot, names)?;
    check_memory(py, &snapshot, array, (&rows, names.len()), region)?;
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
    names: &[PyBackedStr],
    (start, shape): Bounds<'_, '_>,
) -> PyResult<Option<Region>> {
    region(py, start, shape, || {
        let first = |current: Current<'_>| {
            names.iter().find_map(|name| {
                let (_, schema) = current.find_array(current.dataset_row(name).ok()?, array)?;
                Some(schema.shape.clone())
            })
        };
        atlas.look(py, first).ok().flatten()
    })
}

fn rows(py: Python<'_>, atlas: &Atlas, snapshot: &Snapshot, names: &[PyBackedStr]) -> PyResult<Vec<u32>> {
    let mut rows = Vec::with_capacity(names.len());
    for name in names {
        rows.push(snapshot.dataset_row(name).map_err(|error| atlas.dataset_error(py, name, &error))?);
    }
    Ok(rows)
}

fn array_error(py: Python<'_>, atlas: &Atlas, array: &str, error: &Error) -> PyErr {
    let hint = match error {
        Error::NotFound { what: "array", .. } => atlas.look(py, |current| {
            let is_unknown = !current.families().any(|name| name == array);
            is_unknown.then(|| near::hint(array, current.families()))
        }),
        _ => Ok(None),
    };
    exception(py, error, &hint.ok().flatten().unwrap_or_default())
}
