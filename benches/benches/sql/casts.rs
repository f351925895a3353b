//! Questions to the catalog: many datasets of 10 attributes and 5 arrays of a few cells.

use crate::compare::Compare;
use crate::duckdb::DuckDb;
use crate::engines::{DataFusion, Engine, Query};
use crate::flat::{self, Column, ROW_GROUP};
use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, StringArray, TimestampNanosecondArray};
use atlas_benches::casts::{ARRAYS, CELLS, Cast};
use atlas_store::{Codec, CreateOptions, Store};
use std::ops::Range;
use std::sync::Arc;

/// The columns of `catalog` for some datasets, from the data itself.
fn columns(numbers: Range<u64>) -> Vec<Column> {
    let casts: Vec<Cast> = numbers.map(Cast::new).collect();
    fn text<'a>(values: impl Iterator<Item = &'a String>) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(values))
    }
    let mut columns: Vec<Column> = vec![
        ("dataset".into(), text(casts.iter().map(|cast| &cast.name))),
        ("cruise".into(), text(casts.iter().map(|cast| &cast.cruise))),
        ("station".into(), text(casts.iter().map(|cast| &cast.station))),
    ];
    for key in 0..4 {
        let ints = casts.iter().map(|cast| cast.ints[key]);
        columns.push((format!("int{key}"), Arc::new(Int64Array::from_iter_values(ints))));
        let floats = casts.iter().map(|cast| cast.floats[key]);
        columns.push((format!("float{key}"), Arc::new(Float64Array::from_iter_values(floats))));
    }
    for (at, array) in ARRAYS.into_iter().enumerate() {
        let present = |cast: &Cast| cast.cells[at].iter().copied().filter(|cell| !cell.is_nan()).collect::<Vec<f32>>();
        let mean = |cells: Vec<f32>| cells.iter().map(|cell| f64::from(*cell)).sum::<f64>() / cells.len() as f64;
        let mins = casts.iter().map(|cast| present(cast).into_iter().fold(f32::INFINITY, f32::min));
        let maxs = casts.iter().map(|cast| present(cast).into_iter().fold(f32::NEG_INFINITY, f32::max));
        let means = casts.iter().map(|cast| mean(present(cast)));
        let nulls = casts.iter().map(|cast| CELLS as i64 - present(cast).len() as i64);
        columns.extend([
            (format!("{array}_min"), Arc::new(Float32Array::from_iter_values(mins)) as ArrayRef),
            (format!("{array}_max"), Arc::new(Float32Array::from_iter_values(maxs)) as ArrayRef),
            (format!("{array}_mean"), Arc::new(Float64Array::from_iter_values(means)) as ArrayRef),
            (format!("{array}_null_count"), Arc::new(Int64Array::from_iter_values(nulls)) as ArrayRef),
            (format!("{array}_row_count"), Arc::new(Int64Array::from(vec![CELLS as i64; casts.len()])) as ArrayRef),
        ]);
    }
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(casts.iter().map(|cast| cast.time)));
    columns.push(("time_min".into(), Arc::clone(&times)));
    columns.push(("time_max".into(), times));
    columns
}

fn queries(datasets: u64) -> Vec<Query> {
    let filter = "SELECT dataset, temperature_max FROM catalog WHERE int0 < 100 AND temperature_max > 39.5";
    let group = "SELECT cruise, count(*) AS casts, max(temperature_max) AS warmest, avg(salinity_mean) AS saltiest \
        FROM catalog WHERE int1 < 500 AND temperature_max > 30 GROUP BY cruise";
    let top = "SELECT dataset, temperature_max FROM catalog WHERE int2 >= 500 \
        ORDER BY temperature_max DESC, dataset LIMIT 10";
    let new = |name, sql| Query { in_new_session: true, ..Query::new(name, sql, datasets) };
    vec![
        Query::new("catalog: filter", filter, datasets),
        Query::new("catalog: filter and group", group, datasets),
        Query::new("catalog: filter and top ten", top, datasets),
        new("catalog: filter, new session", filter),
        new("catalog: filter and group, new session", group),
    ]
}

/// Makes so many datasets, and measures.
pub(crate) fn measure(compare: &Compare, datasets: u64) {
    let queries = compare.wanted(queries(datasets));
    if queries.is_empty() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("casts");
    let options = CreateOptions { codec: Codec::None, ..CreateOptions::default() };
    let store = Store::create(path.to_str().unwrap(), options).unwrap();
    (0..datasets).for_each(|number| Cast::new(number).add_to(&store));
    let catalog_bytes = store.flush().unwrap().catalog_bytes;
    drop(store);
    let store = Store::open(path.to_str().unwrap()).unwrap();

    let file = temp.path().join("catalog.parquet");
    let part = ROW_GROUP as u64;
    let starts = (0..datasets.div_ceil(part)).map(|at| at * part);
    let file_bytes = flat::write(&file, starts.map(|start| columns(start..datasets.min(start + part))));
    let mut engines: Vec<Box<dyn Engine>> = vec![
        Box::new(DataFusion::atlas(&store)),
        Box::new(DataFusion::memory("catalog", &file)),
        Box::new(DataFusion::parquet("catalog", &file)),
    ];
    engines.extend(DuckDb::open("catalog", &file).map(|duckdb| Box::new(duckdb) as Box<dyn Engine>));
    let mib = |bytes: u64| bytes as f64 / 1048576.0;
    let sizes = format!("catalog {:.1} MiB, Parquet {:.1} MiB", mib(catalog_bytes), mib(file_bytes));
    compare.measure(&format!("Catalog of {datasets} datasets ({sizes})"), &mut engines, &queries);
}
