//! What predicates over cells and coordinates leave to read: by the numbers of EXPLAIN, and against a scan of everything.

use crate::cells::{Random, rows, scans};
use crate::fleet::{empty, integers, query, strings, write};
use arrow::array::RecordBatch;
use atlas_store::{ArrayData, ArraySchema, Attribute, Cells, DType, Scalar, Store};
use datafusion::prelude::SessionContext;

/// Four datasets with `v` of 8 × 8 in four chunks, 100 × month + 8 y + x, and descending `x`, 70 … 0.
fn squares() -> (Store, tempfile::TempDir) {
    let (store, directory) = empty();
    for month in 0..4u64 {
        let name = format!("s{month}");
        store.create_dataset(&name).unwrap();
        store.set_attribute(&name, "month", Attribute::Int64(month as i64)).unwrap();
        let schema = ArraySchema::new(DType::Float32, &["y", "x"], &[8, 8]).with_chunk_shape(&[4, 4]);
        let cells = (0..64).map(|cell| (month * 100 + cell) as f32).collect();
        write(&store, &name, "v", schema, ArrayData::from_numbers::<f32>(vec![8, 8], cells).unwrap());
        let cells = (0..8).map(|x| 70.0 - f64::from(x) * 10.0).collect();
        let schema = ArraySchema::new(DType::Float64, &["x"], &[8]);
        write(&store, &name, "x", schema, ArrayData::from_numbers::<f64>(vec![8], cells).unwrap());
    }
    store.flush().unwrap();
    (store, directory)
}

#[tokio::test]
async fn predicates_leave_the_chunks_that_can_satisfy_them() {
    let (store, _directory) = squares();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    for (predicate, numbers) in [
        ("v > 350", "datasets=4→1, chunks=16→2, bytes="),
        ("v = 105", "datasets=4→1, chunks=16→2, bytes="),
        ("v BETWEEN 130 AND 135", "datasets=4→1, chunks=16→2, bytes="),
        ("v IN (0, 363)", "datasets=4→2, chunks=16→2, bytes="),
        ("v IS NULL", "datasets=4→0, chunks=16→0, bytes=0"),
        ("v IS NOT NULL AND v < 100", "datasets=4→1, chunks=16→4, bytes="),
        ("y BETWEEN 4 AND 5", "datasets=4→4, chunks=16→8, bytes="),
        ("y % 5 = 4 AND month > 1", "datasets=4→2, chunks=16→4, bytes="),
        ("x < 15", "datasets=4→4, chunks=20→12, bytes="),
        ("x < 15 AND v > 350", "datasets=4→1, chunks=20→2, bytes="),
        ("month = 2 AND v > 0", "datasets=4→1, chunks=16→4, bytes="),
        ("v > 350 OR month = 0", "datasets=4→2, chunks=16→6, bytes="),
        ("NOT (v <= 350)", "datasets=4→1, chunks=16→2, bytes="),
        ("v > 1000 AND month = 3", "datasets=4→0, chunks=16→0, bytes=0"),
        ("sqrt(v) > 100", "not_pruned=[sqrt("),
        ("v + x > 100000", "statistics cannot decide it], datasets=4→4, chunks=20→20"),
    ] {
        let scans = scans(&context, &format!("SELECT v FROM cells_y_x WHERE {predicate}")).await;
        assert!(scans[0].contains(numbers), "{predicate}: {}", scans[0]);
    }
    let sql = "EXPLAIN ANALYZE SELECT v FROM cells_y_x WHERE v > 350";
    let text: String = strings(query(&context, sql).await.column(1)).into_iter().flatten().collect();
    let line = text.lines().find(|line| line.contains("AtlasCellsExec")).unwrap();
    assert!(line.contains("chunks_read=2") && line.contains("output_rows=32"), "{line}");
}

/// Datasets of random shapes, chunks, fill values and coordinates, some cells of which were never written.
pub(crate) fn random_store(random: &mut Random) -> (Store, tempfile::TempDir) {
    let (store, directory) = empty();
    for index in 0..12 {
        let name = format!("d{index:02}");
        store.create_dataset(&name).unwrap();
        if random.below(4) > 0 {
            store.set_attribute(&name, "month", Attribute::Int64(random.below(5) as i64)).unwrap();
        }
        let (ny, nx) = (random.below(9), 1 + random.below(9));
        let base = random.below(40) as f32;
        let chunk = [1 + random.below(5), 1 + random.below(5)];
        let mut values = |count: u64| -> Vec<f32> {
            let special = [f32::NAN, -f32::NAN, -0.0, 0.0, -9.0, f32::INFINITY];
            (0..count)
                .map(|_| match random.below(10) {
                    0 => special[random.below(6) as usize],
                    _ => base + random.below(20) as f32 - 10.0,
                })
                .collect()
        };
        let (f, g) = (values(ny * nx), values(ny * nx));
        let fill = [None, Some(f32::NAN), Some(-9.0), Some(0.0)][random.below(4) as usize].map(Scalar::Float32);
        let schema =
            ArraySchema::new(DType::Float32, &["y", "x"], &[ny, nx]).with_chunk_shape(&chunk).with_fill_value(fill);
        if random.below(3) > 0 || ny == 0 {
            write(&store, &name, "f", schema, ArrayData::from_numbers(vec![ny, nx], f).unwrap());
        } else {
            // Only the first row is written.
            store.define_array(&name, "f", schema).unwrap();
            let row = ArrayData::from_numbers(vec![1, nx], f[..nx as usize].to_vec()).unwrap();
            store.write_array(&name, "f", &[0, 0], &row).unwrap();
        }
        if random.below(3) > 0 {
            let rows = ny.saturating_sub(random.below(2));
            let schema = ArraySchema::new(DType::Int32, &["y", "x"], &[rows, nx])
                .with_chunk_shape(&[chunk[1], chunk[0]])
                .with_fill_value(Scalar::Int(3));
            let cells = g[..(rows * nx) as usize].iter().map(|cell| *cell as i32).collect();
            write(&store, &name, "i", schema, ArrayData::from_numbers::<i32>(vec![rows, nx], cells).unwrap());
        }
        if random.below(2) > 0 {
            let schema = ArraySchema::new(DType::String, &["y", "x"], &[ny, nx])
                .with_chunk_shape(&chunk)
                .with_fill_value(Scalar::String("".into()));
            let texts: Vec<String> = f_texts(random, ny * nx);
            write(&store, &name, "s", schema, ArrayData::from_strings(vec![ny, nx], texts).unwrap());
        }
        let days: Vec<i64> = match random.below(4) {
            0 => (0..ny as i64).collect(),
            1 => (0..ny as i64).rev().collect(),
            2 => (0..ny).map(|_| random.below(6) as i64).collect(),
            _ => Vec::new(),
        };
        if !days.is_empty() {
            let cells = days.iter().map(|day| if *day == 5 { i64::MIN } else { day * 86_400_000_000_000 }).collect();
            let schema = ArraySchema::new(DType::TimestampNanoseconds, &["y"], &[ny]).with_chunk_shape(&[2]);
            let times = ArrayData::try_new(DType::TimestampNanoseconds, vec![ny], Cells::I64(cells)).unwrap();
            write(&store, &name, "y", schema, times);
        }
    }
    store.flush().unwrap();
    (store, directory)
}

fn f_texts(random: &mut Random, count: u64) -> Vec<String> {
    let letter = |random: &mut Random| ["", "a", "ab", "b", "é"][random.below(5) as usize].to_string();
    (0..count).map(|_| letter(random)).collect()
}

fn predicate(random: &mut Random, depth: u64) -> String {
    if depth > 0 && random.below(3) > 0 {
        let (a, b) = (predicate(random, depth - 1), predicate(random, depth - 1));
        return match random.below(5) {
            0 => format!("NOT ({a})"),
            1 | 2 => format!("({a} OR {b})"),
            _ => format!("({a} AND {b})"),
        };
    }
    let op = ["<", "<=", ">", ">=", "=", "<>"][random.below(6) as usize];
    let n = random.below(50) as i64 - 12;
    match random.below(13) {
        0 => format!("f {op} {n}"),
        1 => format!("f {op} {n}.5"),
        2 => format!(
            "f {op} {}",
            ["0.0", "CAST('NaN' AS DOUBLE)", "CAST('-0.0' AS FLOAT)", "-9"][random.below(4) as usize]
        ),
        3 => format!("f BETWEEN {n} AND {}", n + 6),
        4 => format!(
            "{} IS {}NULL",
            ["f", "i", "s", "y", "month"][random.below(5) as usize],
            ["", "NOT "][random.below(2) as usize]
        ),
        5 => format!("i {op} {n}"),
        6 => format!("i IN ({n}, {}, 3)", n + 1),
        7 => format!("s {op} '{}'", ["", "a", "ab", "é"][random.below(4) as usize]),
        8 => format!("s LIKE '{}%'", ["a", "b", "é"][random.below(3) as usize]),
        9 => format!("x {op} {}", random.below(9)),
        10 => format!("y {op} TIMESTAMP '1970-01-0{}'", 1 + random.below(8)),
        11 => format!("month {op} {}", random.below(5)),
        _ => format!("dataset {op} 'd0{}'", random.below(9)),
    }
}

#[tokio::test]
async fn pruning_changes_no_result() {
    let mut random = Random(2024);
    let mut pruned = 0;
    for _ in 0..6 {
        let (store, _directory) = random_store(&mut random);
        let context = atlas_sql::session(&[("r".to_string(), store)]).unwrap();
        let all = query(&context, "SELECT * FROM cells_y_x").await;
        let plain = SessionContext::new();
        plain.register_batch("cells_y_x", all).unwrap();
        for _ in 0..60 {
            let sql = format!("SELECT * FROM cells_y_x WHERE {}", predicate(&mut random, 2));
            // A store may lack a column.
            if plain.sql(&sql).await.is_err() {
                continue;
            }
            assert_eq!(rows(&query(&context, &sql).await), rows(&query(&plain, &sql).await), "{sql}");
            let scans = scans(&context, &sql).await;
            pruned += scans.iter().filter(|scan| scan.contains("prune=") && !scan.contains("datasets=12→12")).count();
        }
    }
    assert!(pruned > 50, "{pruned}");
}

#[tokio::test]
async fn grids_that_are_declared_and_not_written_cost_little() {
    let (store, _directory) = empty();
    store.create_dataset("wide").unwrap();
    let schema =
        ArraySchema::new(DType::Float32, &["a", "b"], &[1 << 20, 1 << 10]).with_chunk_shape(&[1 << 10, 1 << 10]);
    store.define_array("wide", "v", schema).unwrap();
    store.flush().unwrap();
    let context = atlas_sql::session(&[("w".to_string(), store)]).unwrap();
    let count = |batch: &RecordBatch| integers(batch.column(0))[0].unwrap();
    assert_eq!(count(&query(&context, "SELECT count(*) FROM cells_a_b").await), 1 << 30);
    assert_eq!(query(&context, "SELECT * FROM cells_a_b LIMIT 5").await.num_rows(), 5);
    assert_eq!(count(&query(&context, "SELECT count(*) FROM cells_a_b WHERE v > 3").await), 0);
    let last = query(&context, "SELECT a, b, v FROM cells_a_b WHERE a = 1048575 AND b IN (3, 700)").await;
    assert_eq!(rows(&last), ["1048575|3|0.0", "1048575|700|0.0"]);
    let two = query(&context, "SELECT count(*) FROM cells_a_b WHERE a % 524288 = 1 AND b = 1023 AND v = 0").await;
    assert_eq!(count(&two), 2);
}
