//! Aggregates over tables of cells that the catalog answers: by the plan, and against the same over all rows.

use crate::cells::{Random, rows};
use crate::cells_pruning::random_store;
use crate::fleet::{empty, query, strings, write};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use atlas_store::{ArrayData, ArraySchema, Attribute, Cells, DType, Scalar, Store};
use datafusion::prelude::SessionContext;

/// The lines of the plan that scan cells, or do without.
async fn leaves(context: &SessionContext, sql: &str) -> Vec<String> {
    let plan = query(context, &format!("EXPLAIN {sql}")).await;
    let text: String = strings(plan.column(1)).into_iter().flatten().collect::<Vec<_>>().join("\n");
    let is_leaf = |line: &&str| line.contains("AtlasCellsExec") || line.contains("AtlasStatisticsExec");
    text.lines().filter(is_leaf).map(|line| line.trim().to_string()).collect()
}

/// Ten datasets: `t` float32 with a fill value, 4 × 3 in two chunks, `n` uint8 of one row fewer in some, `depth` as a
/// coordinate, `station` text along y, `instant` a time of each dataset; in dataset 7 a cell of `t` is NaN.
fn casts() -> (Store, tempfile::TempDir) {
    let (store, directory) = empty();
    for index in 0..10u64 {
        let name = format!("c{index}");
        store.create_dataset(&name).unwrap();
        store.set_attribute(&name, "month", Attribute::Int64(index as i64 % 3)).unwrap();
        if index % 2 == 0 {
            store.set_attribute(&name, "ship", Attribute::String(format!("S{}", index % 4))).unwrap();
        }
        let mut cells: Vec<f32> = (0..12).map(|cell| index as f32 + cell as f32 * 0.25).collect();
        cells[index as usize] = -9.0;
        if index == 7 {
            cells[0] = f32::NAN;
        }
        let schema = ArraySchema::new(DType::Float32, &["depth", "x"], &[4, 3])
            .with_chunk_shape(&[2, 3])
            .with_fill_value(Scalar::Float32(-9.0));
        write(&store, &name, "t", schema, ArrayData::from_numbers(vec![4, 3], cells).unwrap());
        if index % 3 == 0 {
            let schema = ArraySchema::new(DType::UInt8, &["depth", "x"], &[3, 3]);
            let cells = (0..9).map(|cell| (cell * 20 + index) as u8).collect();
            write(&store, &name, "n", schema, ArrayData::from_numbers::<u8>(vec![3, 3], cells).unwrap());
        }
        if index > 2 {
            let schema = ArraySchema::new(DType::Float64, &["depth"], &[4]);
            let cells = (0..4).map(|at| (at * at) as f64 - index as f64).collect();
            write(&store, &name, "depth", schema, ArrayData::from_numbers::<f64>(vec![4], cells).unwrap());
        }
        // Longer than the grid in dataset 5: what is beyond it is in no row.
        let length = if index == 5 { 6 } else { 4 };
        let schema = ArraySchema::new(DType::String, &["depth"], &[length]).with_fill_value(Scalar::String("".into()));
        let texts = (0..length).map(|at| if at == 1 { String::new() } else { format!("s{}", at * 7 % 5) });
        write(&store, &name, "station", schema, ArrayData::from_strings(vec![length], texts).unwrap());
        let schema = ArraySchema::new(DType::TimestampNanoseconds, &[], &[]);
        let when = if index == 4 { i64::MIN } else { index as i64 * 1_000_000_007 };
        let when = ArrayData::try_new(DType::TimestampNanoseconds, vec![], Cells::I64(vec![when])).unwrap();
        write(&store, &name, "instant", schema, when);
    }
    // What was overwritten and deleted is in no statistic.
    let late = ArrayData::from_numbers(vec![1, 3], vec![100f32, -9.0, -100.0]).unwrap();
    store.flush().unwrap();
    store.write_array("c8", "t", &[3, 0], &late).unwrap();
    store.delete_dataset("c9").unwrap();
    store.flush().unwrap();
    (store, directory)
}

/// Whether two columns hold the same, floats but for rounding.
fn same(a: &ArrayRef, b: &ArrayRef) -> bool {
    let float = |column: &ArrayRef| match column.data_type() {
        DataType::Float64 => Some(column.as_primitive::<Float64Type>().iter().collect::<Vec<_>>()),
        _ => None,
    };
    match (float(a), float(b)) {
        (Some(a), Some(b)) => {
            let near =
                |a: f64, b: f64| a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) || a.is_nan() && b.is_nan();
            a.len() == b.len()
                && a.iter().zip(&b).all(|pair| match pair {
                    (Some(a), Some(b)) => near(*a, *b),
                    (a, b) => a.is_none() && b.is_none(),
                })
        }
        _ => a.as_ref() == b.as_ref(),
    }
}

fn assert_same(a: &RecordBatch, b: &RecordBatch, sql: &str) {
    assert_eq!(a.num_rows(), b.num_rows(), "{sql}");
    let all = a.columns().iter().zip(b.columns()).all(|(a, b)| same(a, b));
    assert!(all, "{sql}: {:?} and {:?}", rows(a), rows(b));
    for (a, b) in a.schema().fields().iter().zip(b.schema().fields()) {
        assert_eq!((a.name(), a.data_type()), (b.name(), b.data_type()), "{sql}");
    }
}

/// A context in which the table is plain rows.
async fn plainly(context: &SessionContext, table: &str) -> SessionContext {
    let all = query(context, &format!("SELECT * FROM {table}")).await;
    let plain = SessionContext::new();
    plain.register_batch(table, all).unwrap();
    plain
}

#[tokio::test]
async fn statistics_answer_what_they_know() {
    let (store, _directory) = casts();
    let context = atlas_sql::session(&[("c".to_string(), store)]).unwrap();
    let plain = plainly(&context, "cells_depth_x").await;
    // What the plan says of the statistics, and of the datasets that are read.
    let none = "";
    for (sql, known, read) in [
        (
            "SELECT count(*), count(t), count(n), count(ship) FROM cells_depth_x WHERE month = 0",
            "datasets=9→3, chunks=21→0, bytes=0",
            none,
        ),
        (
            "SELECT min(n), max(n), sum(n), avg(n), count(n) FROM cells_depth_x",
            "datasets=9→9, chunks=3→0, bytes=0",
            none,
        ),
        (
            "SELECT max(t) AS m, min(t), sum(t), avg(t) FROM cells_depth_x",
            "datasets=9→8, chunks=18→0, bytes=0",
            "datasets=9→1, chunks=18→2,",
        ),
        (
            "SELECT month, max(t), count(*) FROM cells_depth_x WHERE dataset <> 'c7' GROUP BY month ORDER BY month",
            "datasets=9→8, chunks=18→0, bytes=0",
            none,
        ),
        (
            "SELECT month + 1 AS m, ship, sum(t) FROM cells_depth_x WHERE month > 1 GROUP BY 1, ship ORDER BY 1, ship",
            "datasets=9→3, chunks=18→0, bytes=0",
            none,
        ),
        (
            "SELECT dataset, avg(t) AS a FROM cells_depth_x GROUP BY dataset HAVING avg(t) > 4 ORDER BY a DESC LIMIT 3",
            "datasets=9→8, chunks=18→0, bytes=0",
            "datasets=9→1, chunks=18→2,",
        ),
        (
            "SELECT min(depth), max(depth), count(depth), sum(depth), avg(depth) FROM cells_depth_x",
            "datasets=9→9, chunks=6→0, bytes=0",
            none,
        ),
        (
            "SELECT min(x), max(x), count(x), sum(x), avg(x) FROM cells_depth_x",
            "datasets=9→9, chunks=0→0, bytes=0",
            none,
        ),
        (
            "SELECT min(station), max(station), count(station) FROM cells_depth_x",
            "datasets=9→8, chunks=9→0, bytes=0",
            "datasets=9→1, chunks=9→1,",
        ),
        (
            "SELECT month, min(instant), max(instant), count(instant) FROM cells_depth_x GROUP BY month ORDER BY month",
            "datasets=9→9, chunks=9→0, bytes=0",
            none,
        ),
        (
            "SELECT min(month), max(ship), max(dataset), count(month) FROM cells_depth_x",
            "datasets=9→9, chunks=0→0, bytes=0",
            none,
        ),
        ("SELECT DISTINCT ship FROM cells_depth_x ORDER BY ship", "datasets=9→9, chunks=0→0, bytes=0", none),
        (
            "SELECT max(warmest) FROM (SELECT dataset, max(v) AS warmest FROM (SELECT dataset, t AS v FROM cells_depth_x WHERE month = 2) GROUP BY dataset)",
            "datasets=9→3, chunks=18→0, bytes=0",
            none,
        ),
        (
            "SELECT month, max(t) FROM cells_depth_x WHERE month = 17 GROUP BY month",
            "datasets=9→0, chunks=18→0, bytes=0",
            none,
        ),
    ] {
        let leaves = leaves(&context, sql).await;
        let line = |node: &str| leaves.iter().find(|leaf| leaf.starts_with(node)).map_or("", String::as_str);
        let (answered, rest) = (line("AtlasStatisticsExec"), line("AtlasCellsExec"));
        assert!(answered.ends_with(known), "{sql}: {leaves:?}");
        assert!(rest.contains(read) && rest.is_empty() == read.is_empty(), "{sql}: {leaves:?}");
        assert_same(&query(&context, sql).await, &query(&plain, sql).await, sql);
    }
}

#[tokio::test]
async fn the_others_read_cells() {
    let (store, _directory) = casts();
    let context = atlas_sql::session(&[("c".to_string(), store)]).unwrap();
    let plain = plainly(&context, "cells_depth_x").await;
    for sql in [
        "SELECT max(t) FROM cells_depth_x WHERE t < 3",
        "SELECT x, max(t) FROM cells_depth_x WHERE dataset <> 'c7' GROUP BY x ORDER BY x",
        "SELECT max(t * 2), max(t + x) FROM cells_depth_x WHERE dataset <> 'c7'",
        "SELECT count(DISTINCT t) FROM cells_depth_x",
        "SELECT stddev(n) FROM cells_depth_x",
        "SELECT sum(n) FILTER (WHERE x = 1) FROM cells_depth_x",
        "SELECT max(CAST(n AS VARCHAR)) FROM cells_depth_x",
        "SELECT month, count(t), grouping(month) FROM cells_depth_x GROUP BY ROLLUP(month) ORDER BY month NULLS FIRST",
        "SELECT sum(month), avg(month) FROM cells_depth_x WHERE x = 0 OR x > 0",
        "SELECT max(t) FROM (SELECT t FROM cells_depth_x WHERE dataset = 'c1' LIMIT 1000)",
    ] {
        let leaves = leaves(&context, sql).await;
        assert!(
            leaves.iter().all(|leaf| leaf.starts_with("AtlasCellsExec")) && !leaves.is_empty(),
            "{sql}: {leaves:?}"
        );
        assert_same(&query(&context, sql).await, &query(&plain, sql).await, sql);
    }
}

#[tokio::test]
async fn sums_that_pass_an_integer_are_added_as_sql_does() {
    let (store, _directory) = empty();
    for (name, cells) in [("a", vec![i64::MAX, 1]), ("b", vec![i64::MAX - 3, 3]), ("c", vec![i64::MIN, -1])] {
        store.create_dataset(name).unwrap();
        let schema = ArraySchema::new(DType::Int64, &["x"], &[2]);
        write(&store, name, "v", schema, ArrayData::from_numbers(vec![2], cells).unwrap());
        let schema = ArraySchema::new(DType::UInt64, &["x"], &[2]);
        write(&store, name, "u", schema, ArrayData::from_numbers(vec![2], vec![u64::MAX / 2, 7]).unwrap());
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    let plain = plainly(&context, "cells_x").await;
    for sql in [
        "SELECT dataset, sum(v), sum(u), avg(u), min(u), max(v) FROM cells_x GROUP BY dataset ORDER BY dataset",
        "SELECT sum(u), avg(u) FROM cells_x WHERE dataset <> 'c'",
        "SELECT sum(CAST(v AS DOUBLE)) FROM cells_x WHERE dataset = 'b'",
    ] {
        assert_same(&query(&context, sql).await, &query(&plain, sql).await, sql);
    }
}

#[tokio::test]
async fn answers_from_statistics_change_no_result() {
    let mut random = Random(77);
    let mut answered = 0;
    for _ in 0..8 {
        let (store, _directory) = random_store(&mut random);
        let context = atlas_sql::session(&[("r".to_string(), store)]).unwrap();
        let plain = plainly(&context, "cells_y_x").await;
        for _ in 0..40 {
            let mut aggregates = Vec::new();
            for _ in 0..1 + random.below(4) {
                let column = ["f", "i", "s", "x", "y", "month", "dataset"][random.below(7) as usize];
                let adds = matches!(column, "f" | "i" | "x");
                let function = ["count", "min", "max", "sum", "avg"][random.below(if adds { 5 } else { 3 }) as usize];
                // Which of two zeros, or whether NaN, is the smallest depends on the order of rows.
                aggregates.push(match (column, function) {
                    ("f", "min" | "max") => format!("count({column})"),
                    _ => format!("{function}({column})"),
                });
            }
            aggregates.push("count(*)".into());
            let group = ["", "", "dataset", "month", "month % 2", "dataset, month"][random.below(6) as usize];
            let predicate = [
                "",
                " WHERE month < 3",
                " WHERE month IS NULL OR dataset > 'd05'",
                " WHERE dataset LIKE '%1' AND NOT month = 2",
                " WHERE x < 4",
                " WHERE month = 17",
            ][random.below(6) as usize];
            let aggregates = aggregates.join(", ");
            let sql = match group {
                "" => format!("SELECT {aggregates} FROM cells_y_x{predicate}"),
                _ => {
                    format!("SELECT {group}, {aggregates} FROM cells_y_x{predicate} GROUP BY {group} ORDER BY {group}")
                }
            };
            // A store may lack a column; a column of one type may be another there.
            if plain.sql(&sql).await.is_err() {
                continue;
            }
            assert_same(&query(&context, &sql).await, &query(&plain, &sql).await, &sql);
            let leaves = leaves(&context, &sql).await;
            answered += usize::from(leaves.iter().any(|leaf| leaf.starts_with("AtlasStatisticsExec")));
        }
    }
    assert!(answered > 100, "{answered}");
}
