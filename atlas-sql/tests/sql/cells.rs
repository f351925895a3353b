//! The tables `cells_<dims>`, against brute force over the store.

use crate::fleet::{empty, floats, integers, query, strings, write};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::util::display::array_value_to_string;
use atlas_store::{ArrayData, ArraySchema, Attribute, Cells, DType, Scalar, Store};
use datafusion::prelude::SessionContext;

/// A generator of numbers, the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Each row as text, sorted.
pub(crate) fn rows(batch: &RecordBatch) -> Vec<String> {
    let cell = |column: &ArrayRef, row: usize| match column.is_null(row) {
        true => "NULL".to_string(),
        false => array_value_to_string(column, row).unwrap(),
    };
    let row = |row| batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join("|");
    let mut rows: Vec<String> = (0..batch.num_rows()).map(row).collect();
    rows.sort();
    rows
}

/// The lines of the plan that scan cells.
pub(crate) async fn scans(context: &SessionContext, sql: &str) -> Vec<String> {
    let plan = query(context, &format!("EXPLAIN {sql}")).await;
    let text: String = strings(plan.column(1)).into_iter().flatten().collect::<Vec<_>>().join("\n");
    text.lines().filter(|line| line.contains("AtlasCellsExec")).map(|line| line.trim().to_string()).collect()
}

async fn failure_of(context: &SessionContext, sql: &str) -> String {
    match context.sql(sql).await {
        Ok(frame) => frame.collect().await.expect_err(sql).to_string(),
        Err(error) => error.to_string(),
    }
}

/// Six grids of `lat` × `lon`: `t` float32 with a fill value and NaN, `n` int16 in some, coordinates but in the last.
fn grids() -> (Store, tempfile::TempDir) {
    let (store, directory) = empty();
    let mut random = Random(7);
    for index in 0..6u64 {
        let name = format!("g{index}");
        store.create_dataset(&name).unwrap();
        store.set_attribute(&name, "month", Attribute::Int64(index as i64)).unwrap();
        let (lat, lon) = (4 + index % 3, 7);
        let cells: Vec<f32> = (0..lat * lon)
            .map(|cell| match random.below(12) {
                0 => -9.0,
                1 if index == 3 => f32::NAN,
                2 => -0.0,
                _ => index as f32 * 10.0 + cell as f32 / 4.0,
            })
            .collect();
        let schema = ArraySchema::new(DType::Float32, &["lat", "lon"], &[lat, lon])
            .with_chunk_shape(&[2, 3])
            .with_fill_value(Scalar::Float32(-9.0));
        write(&store, &name, "t", schema, ArrayData::from_numbers(vec![lat, lon], cells).unwrap());
        if index % 2 == 0 {
            // One row fewer than the grid has.
            let schema = ArraySchema::new(DType::Int16, &["lat", "lon"], &[lat - 1, lon]).with_chunk_shape(&[3, 2]);
            let cells: Vec<i16> = (0..(lat - 1) * lon).map(|cell| cell as i16 - 5).collect();
            write(&store, &name, "n", schema, ArrayData::from_numbers(vec![lat - 1, lon], cells).unwrap());
        }
        if index < 5 {
            let schema = ArraySchema::new(DType::Float64, &["lat"], &[lat]);
            let sign = if index % 2 == 0 { 1.0 } else { -1.0 };
            let cells = (0..lat).map(|at| sign * at as f64 * 10.0).collect();
            write(&store, &name, "lat", schema, ArrayData::from_numbers::<f64>(vec![lat], cells).unwrap());
        }
        let schema = ArraySchema::new(DType::TimestampNanoseconds, &["instant"], &[3]);
        let times = Cells::I64(vec![index as i64, i64::MIN, 86_400_000_000_000]);
        write(
            &store,
            &name,
            "instant",
            schema,
            ArrayData::try_new(DType::TimestampNanoseconds, vec![3], times).unwrap(),
        );
        let schema = ArraySchema::new(DType::Float32, &["none"], &[0]);
        write(&store, &name, "nothing", schema, ArrayData::from_numbers::<f32>(vec![0], vec![]).unwrap());
    }
    store.flush().unwrap();
    (store, directory)
}

/// The rows of `cells_lat_lon` of that store: dataset, month, lat, lon, n, t.
fn expected(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot();
    let mut rows = Vec::new();
    for row in 0..6u32 {
        let name = snapshot.dataset_name(row).to_string();
        let t = snapshot.read(&name, "t", None).unwrap();
        let n = snapshot.read(&name, "n", None).ok();
        let lat = snapshot.read(&name, "lat", None).ok();
        let cells = t.as_numbers::<f32>().unwrap();
        for (at, cell) in cells.iter().enumerate() {
            let (y, x) = (at / 7, at % 7);
            let lat = lat.as_ref().map_or("NULL".into(), |lat| format!("{:?}", lat.as_numbers::<f64>().unwrap()[y]));
            let n = n.as_ref().and_then(|n| n.as_numbers::<i16>().unwrap().get(at).copied());
            let n = n.map_or("NULL".into(), |n| n.to_string());
            let t = if *cell == -9.0 { "NULL".into() } else { format!("{cell:?}") };
            rows.push(format!("{name}|{row}|{lat}|{x}|{n}|{t}"));
        }
    }
    rows.sort();
    rows
}

#[tokio::test]
async fn a_row_is_a_cell() {
    let (store, _directory) = grids();
    let context = atlas_sql::session(&[("g".to_string(), store.clone())]).unwrap();
    let batch = query(&context, "SELECT * FROM cells_lat_lon").await;
    let schema = batch.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["dataset", "month", "lat", "lon", "n", "t"]);
    assert_eq!(rows(&batch), expected(&store));
    let tables = query(&context, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'g'").await;
    let mut tables: Vec<String> = strings(tables.column(0)).into_iter().flatten().collect();
    tables.retain(|table| table.starts_with("cells"));
    tables.sort();
    assert_eq!(tables, ["cells_instant", "cells_lat", "cells_lat_lon", "cells_none"]);
    // A dimension with a coordinate is one column of the table of that dimension; not-a-time is NULL.
    let batch = query(&context, "SELECT * FROM cells_instant WHERE dataset = 'g1'").await;
    assert_eq!(batch.num_columns(), 3);
    assert_eq!(batch.column(2).null_count(), 1);
    assert_eq!(query(&context, "SELECT * FROM cells_none").await.num_rows(), 0);
    let batch = query(&context, "SELECT none, nothing FROM cells_none WHERE nothing > 3").await;
    assert_eq!((batch.num_rows(), batch.num_columns()), (0, 2));
}

#[tokio::test]
async fn counts_and_limits_read_nothing_or_little() {
    let (store, _directory) = grids();
    let context = atlas_sql::session(&[("g".to_string(), store)]).unwrap();
    let sql = "SELECT count(*) FROM cells_lat_lon WHERE month < 3";
    assert!(scans(&context, sql).await.is_empty());
    assert_eq!(integers(query(&context, sql).await.column(0)), [Some((4 + 5 + 6) * 7)]);
    let sql = "SELECT t FROM cells_lat_lon LIMIT 9";
    assert_eq!(query(&context, sql).await.num_rows(), 9);
    let scans = scans(&context, sql).await;
    assert!(scans[0].contains("limit=9, datasets=6→1, chunks=48→3, bytes="), "{}", scans[0]);
    assert_eq!(query(&context, "SELECT t FROM cells_lat_lon LIMIT 100 OFFSET 205").await.num_rows(), 5);
}

#[tokio::test]
async fn only_wanted_arrays_are_read() {
    let (store, _directory) = grids();
    let context = atlas_sql::session(&[("g".to_string(), store)]).unwrap();
    for (sql, numbers) in [
        ("SELECT t FROM cells_lat_lon", "datasets=6→6, chunks=48→48, bytes="),
        ("SELECT dataset, month, lon FROM cells_lat_lon", "datasets=6→6, chunks=0→0, bytes=0"),
        ("SELECT lat FROM cells_lat_lon", "datasets=6→6, chunks=5→5, bytes="),
        ("SELECT t FROM cells_lat_lon WHERE month IN (1, 2) OR dataset = 'g5'", "datasets=6→3, chunks=48→27, bytes="),
    ] {
        let scans = scans(&context, sql).await;
        assert!(scans[0].contains(numbers), "{sql}: {}", scans[0]);
    }
    let analyzed = query(&context, "EXPLAIN ANALYZE SELECT t FROM cells_lat_lon WHERE month = 1").await;
    let text: String = strings(analyzed.column(1)).into_iter().flatten().collect();
    let line = text.lines().find(|line| line.contains("AtlasCellsExec")).unwrap();
    assert!(line.contains("chunks_read=9") && line.contains("output_rows=35"), "{line}");
}

#[tokio::test]
async fn names_that_collide_stay_apart() {
    let (store, _directory) = empty();
    let one = |store: &Store, dataset: &str, array: &str, dims: &[&str], shape: &[u64]| {
        let count = shape.iter().product::<u64>();
        let cells = (0..count).map(|cell| cell as f32).collect();
        write(
            store,
            dataset,
            array,
            ArraySchema::new(DType::Float32, dims, shape),
            ArrayData::from_numbers(shape.to_vec(), cells).unwrap(),
        );
    };
    store.create_dataset("a").unwrap();
    store.create_dataset("b").unwrap();
    store.set_attribute("a", "y", Attribute::Int64(1)).unwrap();
    store.set_attribute("a", "x", Attribute::String("text".into())).unwrap();
    one(&store, "a", "x", &["y", "x"], &[2, 3]);
    one(&store, "b", "x", &["x"], &[4]);
    one(&store, "a", "single", &[], &[]);
    one(&store, "a", "p", &["a_b", "c"], &[1, 2]);
    one(&store, "b", "p", &["a", "b_c"], &[2, 1]);
    one(&store, "a", "é", &["Größe", "it's \"x\""], &[2, 2]);
    one(&store, "b", "dataset", &["dataset"], &[2]);
    store.flush().unwrap();
    let context = atlas_sql::session(&[("h".to_string(), store)]).unwrap();
    for (table, names, count) in [
        ("cells_y_x", vec!["dataset", "x@attribute", "y", "y@dim", "x@dim", "x", "single"], 6),
        ("cells_x", vec!["dataset", "x@attribute", "y", "x"], 4),
        ("cells", vec!["dataset", "x@attribute", "y", "single"], 1),
        ("cells_a_b_c", vec!["dataset", "x@attribute", "y", "a", "b_c", "p"], 2),
        ("cells_a_b_c@2", vec!["dataset", "x@attribute", "y", "a_b", "c", "p", "single"], 2),
        ("cells_Größe_it's \"\"x\"\"", vec!["dataset", "x@attribute", "y", "Größe", "it's \"x\"", "é", "single"], 4),
        ("cells_dataset", vec!["dataset", "x@attribute", "y", "dataset@dim"], 2),
    ] {
        let batch = query(&context, &format!("SELECT * FROM \"{table}\"")).await;
        let schema = batch.schema();
        assert_eq!(schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>(), names, "{table}");
        assert_eq!(batch.num_rows(), count, "{table}");
    }
    let text = failure_of(&context, "SELECT * FROM cells_nowhere").await;
    assert!(text.contains("cells_nowhere"), "{text}");
    let batch = query(&context, "SELECT x FROM cells_x WHERE x >= 2").await;
    assert_eq!(floats(batch.column(0)), [Some(2.0), Some(3.0)]);
}

#[tokio::test]
async fn large_datasets_come_in_bounded_batches() {
    let (store, _directory) = empty();
    store.create_dataset("big").unwrap();
    let schema = ArraySchema::new(DType::Float32, &["y", "x"], &[3000, 1000]).with_chunk_shape(&[256, 300]);
    let cells: Vec<f32> = (0..3_000_000).map(|cell| (cell % 1000) as f32).collect();
    write(&store, "big", "v", schema, ArrayData::from_numbers(vec![3000, 1000], cells).unwrap());
    for index in 0..200 {
        let name = format!("small_{index}");
        store.create_dataset(&name).unwrap();
        let schema = ArraySchema::new(DType::Float32, &["y", "x"], &[2, 2]);
        write(&store, &name, "v", schema, ArrayData::from_numbers(vec![2, 2], vec![1f32; 4]).unwrap());
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("big".to_string(), store)]).unwrap();
    let batches = context.sql("SELECT y, x, v FROM cells_y_x").await.unwrap().collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.num_rows() <= 8192));
    assert!(batches.len() < 3_000_000 / 4096);
    let batch = query(&context, "SELECT count(*), sum(v), sum(x), sum(y), count(DISTINCT v) FROM cells_y_x").await;
    let sums: Vec<_> = batch.columns().iter().map(|column| floats(column)[0].unwrap()).collect();
    assert_eq!(sums[..2], [3_000_800.0, 3000.0 * 499_500.0 + 800.0]);
    assert_eq!(sums[2..], [3000.0 * 499_500.0 + 400.0, 1000.0 * 2999.0 * 1500.0 + 400.0, 1000.0]);
    let wrong = query(&context, "SELECT count(*) FROM cells_y_x WHERE v <> x AND dataset = 'big'").await;
    assert_eq!(integers(wrong.column(0)), [Some(0)]);
    let mut stream = context.sql("SELECT v FROM cells_y_x").await.unwrap().execute_stream().await.unwrap();
    assert!(futures::StreamExt::next(&mut stream).await.unwrap().unwrap().num_rows() > 0);
    drop(stream);
}
