//! Random queries over `cells_*`: pruning, and aggregates that statistics can answer, change no result.

use crate::cells::Random;
use crate::fleet::{empty, query, strings, write};
use crate::generate::{Pool, Query, pick};
use crate::properties::{Pair, seed};
use crate::random::{attribute, cells, fill};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use atlas_store::{ArrayData, ArraySchema, Attribute, Cells, DType, Store, VarCells};

const FAMILIES: [(&str, DType); 9] = [
    ("f", DType::Float32),
    ("g", DType::Float64),
    ("i", DType::Int32),
    ("k", DType::Int64),
    ("u", DType::UInt64),
    ("b", DType::Bool),
    ("t", DType::TimestampNanoseconds),
    ("s", DType::String),
    ("v", DType::Binary),
];

/// Cells without NaN and infinities, with numbers whose sums pass their type.
fn tame(random: &mut Random, dtype: DType, shape: &[u64]) -> ArrayData {
    let count = shape.iter().product::<u64>();
    let small = |random: &mut Random| random.below(24) as f64 - 9.0;
    let cells = match dtype {
        DType::Float32 => Cells::F32((0..count).map(|_| small(random) as f32 / 4.0).collect()),
        DType::Float64 => Cells::F64((0..count).map(|_| small(random)).collect()),
        DType::Int64 => Cells::I64((0..count).map(|_| i64::MAX / 4 + random.below(9) as i64).collect()),
        DType::UInt64 => Cells::U64((0..count).map(|_| u64::MAX - random.below(3)).collect()),
        _ => return self::cells(random, dtype, shape),
    };
    ArrayData::try_new(dtype, shape.to_vec(), cells).unwrap()
}

/// Cells of few neighbouring numbers, so that bounds rule out much, with NaN among them.
fn narrow(random: &mut Random, dtype: DType, shape: &[u64]) -> ArrayData {
    let base = random.below(24) as f64 - 8.0;
    let count = shape.iter().product::<u64>();
    let mut floats = || {
        let cell = |random: &mut Random| if random.below(12) == 0 { f64::NAN } else { base + random.below(3) as f64 };
        (0..count).map(|_| cell(random)).collect::<Vec<f64>>()
    };
    let cells = match dtype {
        DType::Float32 => Cells::F32(floats().into_iter().map(|cell| cell as f32).collect()),
        DType::Float64 => Cells::F64(floats()),
        DType::Int32 => Cells::I32((0..count).map(|_| base as i32 + random.below(3) as i32).collect()),
        DType::String => {
            // Of text this long the statistics hold bounds only.
            let texts: Vec<String> = (0..3).map(|last| format!("{}{last}", "A".repeat(70))).collect();
            Cells::Var((0..count).map(|_| texts[random.below(3) as usize].as_bytes()).collect::<VarCells>())
        }
        _ => return self::cells(random, dtype, shape),
    };
    ArrayData::try_new(dtype, shape.to_vec(), cells).unwrap()
}

/// Grids of ragged arrays with coordinates of all sorts, in several segments; parts are overwritten, deleted, or never
/// written.
fn store(random: &mut Random, datasets: u64, is_tame: bool) -> (Store, tempfile::TempDir) {
    let (store, directory) = empty();
    let (one_fill, is_long) = (random.below(2) == 0, random.below(2) == 0);
    let common: Vec<_> = FAMILIES.iter().map(|(_, dtype)| fill(random, *dtype)).collect();
    let made = |random: &mut Random, dtype, shape: &[u64]| match is_tame {
        true => tame(random, dtype, shape),
        false if random.below(2) == 0 || (is_long && dtype == DType::String) => narrow(random, dtype, shape),
        false => cells(random, dtype, shape),
    };
    for index in 0..datasets {
        let dataset = format!("d{index:02}");
        store.create_dataset(&dataset).unwrap();
        for key in ["n", "x", "label", "seen"] {
            let kind = ["n", "f", "s", "seen"][["n", "x", "label", "seen"].iter().position(|own| *own == key).unwrap()];
            if let Some(value) = attribute(random, kind) {
                store.set_attribute(&dataset, if key == "x" { "any" } else { key }, value).unwrap();
            }
        }
        store.set_attribute(&dataset, "group", Attribute::Int64(random.below(3) as i64)).unwrap();
        let grid = [random.below(8), 1 + random.below(7)];
        for ((name, dtype), common) in FAMILIES.iter().zip(&common) {
            if random.below(4) == 0 {
                continue;
            }
            let mut shape = grid.to_vec();
            if random.below(4) == 0 {
                shape[0] = shape[0].saturating_sub(1);
            }
            let dims: &[&str] = if random.below(7) == 0 { &["y"] } else { &["y", "x"] };
            shape.truncate(dims.len());
            if dims.len() == 1 && random.below(2) == 0 {
                // Beyond the grid, which is that of the arrays with both dimensions.
                shape[0] += 2;
            }
            let chunk: Vec<u64> = shape.iter().map(|_| 1 + random.below(4)).collect();
            let own_fill = if one_fill { common.clone() } else { fill(random, *dtype) };
            let schema = ArraySchema::new(*dtype, dims, &shape).with_chunk_shape(&chunk).with_fill_value(own_fill);
            store.define_array(&dataset, name, schema).unwrap();
            let start = vec![0; shape.len()];
            if random.below(5) > 0 {
                store.write_array(&dataset, name, &start, made(random, *dtype, &shape)).unwrap();
            }
            if random.below(5) == 0 {
                store.flush().unwrap();
            }
            if random.below(4) == 0 {
                let part: Vec<u64> = shape.iter().map(|extent| random.below(extent + 1)).collect();
                store.write_array(&dataset, name, &start, made(random, *dtype, &part)).unwrap();
            }
            if random.below(12) == 0 {
                store.delete_array(&dataset, name).unwrap();
            }
        }
        // Ascending, descending, unsorted with NULL and NaN, or none.
        let along: Vec<f64> = match random.below(4) {
            0 => (0..grid[0]).map(|at| at as f64 * 2.0).collect(),
            1 => (0..grid[0]).rev().map(|at| at as f64 * 2.0).collect(),
            2 => (0..grid[0])
                .map(|_| match random.below(9) {
                    0 if !is_tame => f64::NAN,
                    1 => -9.0,
                    other => other as f64,
                })
                .collect(),
            _ => continue,
        };
        let length = along.len() as u64;
        let schema = ArraySchema::new(DType::Float64, &["y"], &[length])
            .with_chunk_shape(&[3])
            .with_fill_value(atlas_store::Scalar::Float64(-9.0));
        write(&store, &dataset, "y", schema, ArrayData::from_numbers(vec![length], along).unwrap());
    }
    store.flush().unwrap();
    (store, directory)
}

/// What expressions over a table of cells are made of; whether grouped aggregates of a number are to be trusted, as
/// DataFusion's of NaN and infinities are not.
async fn pool(pair: &Pair, table: &str) -> (Pool, Vec<(String, DataType, bool)>) {
    let all = query(&pair.store, &format!("SELECT * FROM {table}")).await;
    let mut pool = Pool { table: table.into(), range: 24, ..Pool::default() };
    let mut columns = Vec::new();
    let mut names = Vec::new();
    for (field, column) in all.schema().fields().iter().zip(all.columns()) {
        let name = format!("\"{}\"", field.name());
        names.push(name.clone());
        columns.push((name.clone(), field.data_type().clone(), is_finite(column)));
        match field.data_type() {
            DataType::Utf8 => pool.texts.push(name.clone()),
            DataType::Boolean => pool.bools.push(name.clone()),
            DataType::Timestamp(..) => pool.times.push(name.clone()),
            DataType::Binary => pool.others.push(name.clone()),
            _ => pool.numbers.push(name.clone()),
        }
        if !field.data_type().is_floating() && *field.data_type() != DataType::Binary {
            pool.keys.push(name);
        }
    }
    pool.unique = names.join(", ");
    (pool, columns)
}

fn is_finite(column: &ArrayRef) -> bool {
    if !column.data_type().is_floating() {
        return true;
    }
    let floats = arrow::compute::cast(column, &DataType::Float64).unwrap();
    floats.as_primitive::<arrow::datatypes::Float64Type>().iter().flatten().all(f64::is_finite)
}

/// Aggregates of columns as they are, which statistics may answer.
fn aggregate(random: &mut Random, pool: &Pool, columns: &[(String, DataType, bool)]) -> Query {
    let group = match random.below(3) {
        0 => None,
        1 => Some(pick(random, &["dataset", "\"group\"", "label", "n", "seen", "\"group\" % 2", "lower(label)"])),
        _ => Some("\"group\", label".to_string()),
    };
    let group = group.filter(|_| random.below(2) == 0);
    let mut aggregates = Vec::new();
    for at in 0..1 + random.below(5) {
        let (name, data_type, is_finite) = &columns[random.below(columns.len() as u64) as usize];
        let functions: &[&str] = match data_type {
            DataType::Utf8 | DataType::Boolean | DataType::Timestamp(..) => &["min", "max", "count"],
            DataType::Binary => &["count"],
            _ if *is_finite || group.is_none() => &["min", "max", "sum", "avg", "count"],
            _ => &["sum", "avg", "count"],
        };
        let function = pick(random, functions);
        aggregates.push(match random.below(9) {
            0 => format!("count(*) AS a{at}"),
            1 => format!("{function}({name}) FILTER (WHERE \"group\" > 0) AS a{at}"),
            _ => format!("{function}({name}) AS a{at}"),
        });
    }
    let attributes = Pool {
        numbers: vec!["n".into(), "\"group\"".into()],
        texts: vec!["dataset".into(), "label".into()],
        times: vec!["seen".into()],
        keys: vec!["n".into()],
        range: 4,
        ..Pool::default()
    };
    let condition = match random.below(5) {
        0 | 1 => String::new(),
        2 | 3 => format!(" WHERE {}", attributes.predicate(random, 1)),
        _ => format!(" WHERE {}", pool.predicate(random, 1)),
    };
    let aggregates = aggregates.join(", ");
    let table = &pool.table;
    let sql = match group {
        Some(keys) => format!("SELECT {keys}, {aggregates} FROM {table}{condition} GROUP BY {keys}"),
        None => format!("SELECT {aggregates} FROM {table}{condition}"),
    };
    Query { sql, is_ordered: false, is_rounded: true }
}

#[tokio::test]
async fn pushdown_to_cells_changes_no_result() {
    let mut random = seed(41);
    let (mut compared, mut refused) = (0, 0);
    for round in 0..4 {
        let datasets = 4 + random.below(8);
        let (store, _directory) = store(&mut random, datasets, round % 2 == 0);
        let pair = Pair::new(&store);
        let tables =
            query(&pair.store, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'r'").await;
        for table in strings(tables.column(0)).into_iter().flatten().filter(|table| table.starts_with("cells")) {
            let (pool, columns) = pool(&pair, &table).await;
            pair.copy(&pool).await;
            for at in 0..if table == "cells_y_x" { 90 } else { 15 } {
                let query = if at % 2 == 0 { aggregate(&mut random, &pool, &columns) } else { pool.query(&mut random) };
                match pair.compare(&query).await {
                    true => compared += 1,
                    false => refused += 1,
                }
            }
        }
    }
    eprintln!("{compared} were compared, {refused} could not be");
    assert!(compared > 4 * refused, "{compared} were compared, {refused} could not be");
}

/// DataFusion's `=` takes the two zeros for one, its lists tell them apart; zone maps do neither.
#[tokio::test]
async fn zeros_in_lists_are_those_of_datafusion() {
    let (store, _directory) = empty();
    for (name, zero) in [("minus", -0.0), ("plus", 0.0)] {
        store.create_dataset(name).unwrap();
        let schema = ArraySchema::new(DType::Float64, &["n"], &[2]);
        write(&store, name, "f", schema, ArrayData::from_numbers(vec![2], vec![zero, zero]).unwrap());
    }
    store.flush().unwrap();
    let pair = Pair::new(&store);
    let (pool, _) = pool(&pair, "cells_n").await;
    pair.copy(&pool).await;
    for zero in ["0.0", "-0.0", "0"] {
        for column in ["f", "CAST(n AS DOUBLE)", "n"] {
            for operator in ["=", "<>", "<", "<=", "IS DISTINCT FROM"] {
                let sql = format!("SELECT * FROM cells_n WHERE {column} {operator} {zero}");
                assert!(pair.compare(&Query { sql, is_ordered: false, is_rounded: false }).await);
            }
            for list in [format!("({zero}, 7)"), format!("({zero}, 7, 8, 9, 10)")] {
                for not in ["", "NOT"] {
                    let sql = format!("SELECT * FROM cells_n WHERE {column} {not} IN {list}");
                    assert!(pair.compare(&Query { sql, is_ordered: false, is_rounded: false }).await);
                }
            }
        }
    }
}
