//! Questions to cells: datasets of one (50, 168) array with its coordinates.

use crate::compare::Compare;
use crate::duckdb::DuckDb;
use crate::engines::{DataFusion, Engine, Query};
use crate::flat::{self, Column};
use arrow::array::StringArray;
use arrow::array::{ArrayRef, DictionaryArray, Float32Array, Int64Array, TimestampNanosecondArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use atlas_benches::cells::mixed;
use atlas_store::{ArrayData, ArraySchema, Attribute, Cells, CreateOptions, DType, Scalar, Store};
use std::ops::Range;
use std::sync::Arc;

const DEPTHS: u64 = 50;
const TIMES: u64 = 168;
const CELLS: u64 = DEPTHS * TIMES;
/// Datasets in a block, of which one is warm.
const BLOCK: u64 = 1000;
const WARM: u64 = 7;
/// Datasets that are written to Parquet at once.
const PART: u64 = 16;

fn name_of(number: u64) -> String {
    format!("profile{number:06}")
}

fn cruise_of(number: u64) -> String {
    format!("AT{:03}", number / 100)
}

/// Metres.
fn depths() -> Vec<f32> {
    (0..DEPTHS).map(|at| at as f32 * 10.0).collect()
}

/// Hours from the beginning of 2020.
fn times() -> Vec<i64> {
    (0..TIMES as i64).map(|at| 1_577_836_800_000_000_000 + at * 3_600_000_000_000).collect()
}

/// Smooth along both dimensions with noise, three decimals; one cell in fifty is missing.
fn temperature(number: u64) -> Vec<f32> {
    let base = if number % BLOCK == WARM { 35.0 } else { 20.0 };
    let cell = |at: u64| {
        let noise = mixed(at + number * CELLS);
        if noise.is_multiple_of(50) {
            return f32::NAN;
        }
        let (depth, time) = ((at / TIMES) as f64, (at % TIMES) as f64);
        let value = base - depth * 0.3 + (time / 24.0).sin() + (noise >> 54) as f64 / 1024.0;
        (value * 1000.0).round() as f32 / 1000.0
    };
    (0..CELLS).map(cell).collect()
}

fn add(store: &Store, number: u64) {
    let name = name_of(number);
    store.create_dataset(&name).unwrap();
    store.set_attribute(&name, "cruise", Attribute::String(cruise_of(number))).unwrap();
    store.set_attribute(&name, "station", Attribute::Int64(number as i64)).unwrap();
    store.set_attribute(&name, "place", Attribute::Int64((number % BLOCK) as i64)).unwrap();
    let write = |array: &str, schema: ArraySchema, data: ArrayData| {
        let start = vec![0; schema.shape.len()];
        store.define_array(&name, array, schema).unwrap();
        store.write_array(&name, array, &start, &data).unwrap();
    };
    let depth = ArraySchema::new(DType::Float32, &["depth"], &[DEPTHS]);
    write("depth", depth, ArrayData::from_numbers(vec![DEPTHS], depths()).unwrap());
    let time = ArraySchema::new(DType::TimestampNanoseconds, &["time"], &[TIMES]);
    let data = ArrayData::try_new(DType::TimestampNanoseconds, vec![TIMES], Cells::I64(times())).unwrap();
    write("time", time, data);
    let schema = ArraySchema::new(DType::Float32, &["depth", "time"], &[DEPTHS, TIMES]);
    let schema = schema.with_fill_value(Scalar::Float32(f32::NAN));
    write("temperature", schema, ArrayData::from_numbers(vec![DEPTHS, TIMES], temperature(number)).unwrap());
}

/// The long table of some datasets.
fn columns(numbers: Range<u64>) -> Vec<Column> {
    let cells = || numbers.clone().flat_map(|number| (0..CELLS).map(move |at| (number, at)));
    let text = |value: fn(u64) -> String| -> ArrayRef {
        let keys = UInt32Array::from_iter_values(cells().map(|(number, _)| (number - numbers.start) as u32));
        let values = Arc::new(StringArray::from_iter_values(numbers.clone().map(value)));
        Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, values).unwrap())
    };
    let (depths, times) = (depths(), times());
    let temperature = numbers.clone().flat_map(temperature).map(|cell| (!cell.is_nan()).then_some(cell));
    let stations = cells().map(|(number, _)| number as i64);
    let places = cells().map(|(number, _)| (number % BLOCK) as i64);
    vec![
        ("dataset".into(), text(name_of)),
        ("cruise".into(), text(cruise_of)),
        ("station".into(), Arc::new(Int64Array::from_iter_values(stations))),
        ("place".into(), Arc::new(Int64Array::from_iter_values(places))),
        (
            "depth".into(),
            Arc::new(cells().map(|(_, at)| Some(depths[(at / TIMES) as usize])).collect::<Float32Array>()),
        ),
        (
            "time".into(),
            Arc::new(TimestampNanosecondArray::from_iter_values(cells().map(|(_, at)| times[(at % TIMES) as usize]))),
        ),
        ("temperature".into(), Arc::new(temperature.collect::<Float32Array>())),
    ]
}

fn queries(datasets: u64) -> Vec<Query> {
    let cells = datasets * CELLS;
    let query = |name, sql| Query::new(name, sql, cells);
    let scan = "SELECT count(*) AS cells, count(temperature) AS present, max(temperature * 2) AS most \
        FROM cells_depth_time";
    let warm = "SELECT dataset, count(*) AS cells, max(temperature) AS most FROM cells_depth_time \
        WHERE temperature > 30 GROUP BY dataset";
    let both = |name, atlas: &str, flat: &str| Query { atlas: atlas.into(), ..Query::new(name, flat, datasets) };
    vec![
        query("cells: scan", scan),
        query(
            "cells: scan by depth",
            "SELECT depth, sum(CASE WHEN time >= TIMESTAMP '2020-01-04' THEN 1 ELSE 0 END) AS late, \
             avg(temperature) AS mean FROM cells_depth_time GROUP BY depth",
        ),
        query(
            "cells: scan by dataset",
            "SELECT dataset, max(temperature * 2) AS most FROM cells_depth_time GROUP BY dataset",
        ),
        query(
            "cells: scan by attribute",
            "SELECT cruise, avg(temperature * 2) AS mean FROM cells_depth_time GROUP BY cruise",
        ),
        query(
            "cells: aggregates that statistics know",
            "SELECT cruise, count(temperature) AS present, max(temperature) AS most FROM cells_depth_time GROUP BY cruise",
        ),
        query("cells: filter, 1 in 1000", warm),
        Query { in_new_session: true, ..query("cells: filter, 1 in 1000, new session", warm) },
        query(
            "cells: filter on an attribute, 1 in 1000",
            "SELECT count(*) AS cells, max(temperature * 2) AS most FROM cells_depth_time WHERE place = 7",
        ),
        both(
            "element of 1 in 1000",
            "SELECT dataset, element(temperature, 10, 100) AS cell FROM datasets WHERE place = 7",
            "SELECT dataset, temperature AS cell FROM cells_depth_time \
             WHERE place = 7 AND depth = 100 AND time = TIMESTAMP '2020-01-05 04:00:00'",
        ),
        both(
            "slice of 1 in 1000",
            "SELECT dataset, tensor_count(slice(temperature, [0, 0], [12, 42])) AS present, \
             tensor_max(slice(temperature, [0, 0], [12, 42])) AS most FROM datasets WHERE place = 7",
            "SELECT dataset, count(temperature) AS present, max(temperature) AS most FROM cells_depth_time \
             WHERE place = 7 AND depth < 120 AND time < TIMESTAMP '2020-01-02 18:00:00' GROUP BY dataset",
        ),
    ]
}

/// Makes so many datasets, and measures.
pub(crate) fn measure(compare: &Compare, datasets: u64) {
    let queries = compare.wanted(queries(datasets));
    if queries.is_empty() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("profiles");
    let store = Store::create(path.to_str().unwrap(), CreateOptions::default()).unwrap();
    (0..datasets).for_each(|number| add(&store, number));
    let report = store.flush().unwrap();
    drop(store);
    let store = Store::open(path.to_str().unwrap()).unwrap();

    let file = temp.path().join("cells.parquet");
    let starts = (0..datasets.div_ceil(PART)).map(|at| at * PART);
    let file_bytes = flat::write(&file, starts.map(|start| columns(start..datasets.min(start + PART))));
    let mut engines: Vec<Box<dyn Engine>> =
        vec![Box::new(DataFusion::atlas(&store)), Box::new(DataFusion::parquet("cells_depth_time", &file))];
    engines.extend(DuckDb::open("cells_depth_time", &file).map(|duckdb| Box::new(duckdb) as Box<dyn Engine>));
    let mib = |bytes: u64| bytes as f64 / 1048576.0;
    let sizes = format!(
        "store {:.1} MiB, Parquet {:.1} MiB",
        mib(report.catalog_bytes + report.segment_bytes),
        mib(file_bytes)
    );
    let title = format!("Cells of {datasets} datasets, {:.1} M cells ({sizes})", (datasets * CELLS) as f64 / 1e6);
    compare.measure(&title, &mut engines, &queries);
}
