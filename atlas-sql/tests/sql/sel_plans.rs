//! What `sel` reads, by the numbers of EXPLAIN and EXPLAIN ANALYZE: the chunks that it touches, and the coordinates.

use crate::fleet::{Fleet, empty, names, query, write};
use crate::grids::{Bounds, float64, grids, region, sel};
use arrow::array::{Array, RecordBatch};
use atlas_store::{ArrayData, ArraySchema, DType, Region};
use std::collections::HashMap;

/// Chunks and bytes of reading the regions of `t`, equal regions together, and these coordinates.
fn cost(grids: &Fleet, datasets: &[&str], bounds: &[Bounds<'_>], coordinates: &[&str]) -> (u64, u64) {
    let snapshot = grids.store.snapshot();
    let mut rows_of: HashMap<Region, Vec<u32>> = HashMap::new();
    let mut cost = (0, 0);
    let mut rows = Vec::new();
    for dataset in datasets {
        let row = snapshot.dataset_row(dataset).unwrap();
        if let Some(region) = region(&grids.store, dataset, bounds) {
            rows_of.entry(region).or_default().push(row);
            rows.push(row);
        }
    }
    let mut add = |array: &str, rows: &[u32], region: Option<&Region>| {
        let plan = snapshot.plan_across(&[array], rows, region).unwrap();
        cost = (cost.0 + plan.chunks(), cost.1 + plan.bytes());
    };
    for (region, rows) in &rows_of {
        add("t", rows, Some(region));
    }
    for coordinate in coordinates {
        add(coordinate, &rows, None);
    }
    cost
}

/// The line of the one scan of a query, as planned and as run.
async fn scans(grids: &Fleet, sql: &str) -> [String; 2] {
    let planned = grids.scans(sql).await;
    assert_eq!(planned.len(), 1, "{sql}");
    let run = grids.plan_lines(&format!("EXPLAIN ANALYZE {sql}"), "AtlasScanExec").await;
    [planned[0].clone(), run[0].clone()]
}

#[tokio::test]
async fn a_selection_costs_its_chunks_and_its_coordinates() {
    let grids = grids();
    let datasets = ["ascending", "descending", "short", "twin", "bare", "none"];
    let filter = "dataset NOT IN ('unsorted', 'gap')";
    let one: &[Bounds] = &[("lat", Some(0.0), Some(10.0))];
    let two: &[Bounds] = &[("lat", Some(0.0), Some(10.0)), ("lon", Some(0.3), None)];
    let nothing: &[Bounds] = &[("lat", Some(100.0), None)];
    for (bounds, coordinates) in [(one, &["lat"][..]), (two, &["lat", "lon"]), (nothing, &["lat"])] {
        let (chunks, bytes) = cost(&grids, &datasets, bounds, coordinates);
        for column in [sel(bounds), format!("tensor_mean({})", sel(bounds))] {
            let [planned, run] = scans(&grids, &format!("SELECT {column} FROM datasets WHERE {filter}")).await;
            assert!(planned.contains(&format!("columns=[{column}]")), "{planned}");
            assert!(planned.contains("datasets=8→6"), "{planned}");
            // t has 4 chunks in each of 7 datasets, lat 2 in each of 6 and 1 in `none`, lon 1 in each of 8.
            let all = 28 + 13 + if coordinates.len() == 2 { 8 } else { 0 };
            assert!(planned.ends_with(&format!("chunks={all}→{chunks}, bytes={bytes}")), "{planned}: {bytes}");
            assert!(run.contains(&format!("chunks_read={chunks}")), "{run}");
        }
    }
    // Of the two latitudes that one chunk of each grid holds, half of the columns.
    assert_eq!(cost(&grids, &["ascending", "twin"], two, &[]).0, 2);
}

#[tokio::test]
async fn predicates_choose_datasets_before_their_columns_are_read() {
    let grids = grids();
    let bounds: &[Bounds] = &[("lat", Some(10.0), Some(10.0))];
    let (chunks, bytes) = cost(&grids, &["twin"], bounds, &["lat"]);
    let sql = format!("SELECT {} FROM datasets WHERE dataset = 'twin'", sel(bounds));
    let [planned, run] = scans(&grids, &sql).await;
    assert!(planned.ends_with(&format!("datasets=8→1, chunks=41→{chunks}, bytes={bytes}")), "{planned}");
    assert!(run.contains(&format!("chunks_read={chunks}")) && run.contains(&format!("bytes_read={bytes}")), "{run}");
    // The predicate reads both datasets, the column those that are left.
    let sql =
        format!("SELECT {0} FROM datasets WHERE tensor_max({0}) > 0 AND dataset IN ('twin', 'short')", sel(bounds));
    let [planned, run] = scans(&grids, &sql).await;
    assert!(
        planned.contains("cell_filter=[tensor_max(sel(t, 'lat', 10, 10)) > ") && planned.contains("→≤"),
        "{planned}"
    );
    let both = cost(&grids, &["twin", "short"], bounds, &["lat"]).0;
    // short has no such latitude.
    assert!(run.contains(&format!("chunks_read={}", both + chunks)), "{run}");
    let batch = grids.query(&sql).await;
    assert_eq!(batch.num_rows(), 1);
    // Another array of the datasets that are left.
    let sql =
        format!("SELECT dataset, lon FROM datasets WHERE tensor_max({}) > 400 AND dataset <> 'unsorted'", sel(bounds));
    let [_, run] = scans(&grids, &sql).await;
    let all = cost(&grids, &["ascending", "descending", "gap", "short", "twin", "bare"], bounds, &["lat"]).0;
    assert_eq!(names(&grids.query(&sql).await), ["twin"]);
    assert!(run.contains(&format!("chunks_read={}", all + 1)), "{run}");
}

#[tokio::test]
async fn top_k_by_the_catalog_selects_from_the_winners_only() {
    let grids = grids();
    let bounds: &[Bounds] = &[("lat", Some(10.0), Some(20.0))];
    let sql = format!("SELECT dataset, {} FROM datasets ORDER BY stat_max(t) DESC NULLS LAST LIMIT 1", sel(bounds));
    // Neither `unsorted` nor `gap`, which have gaps between such labels.
    assert_eq!(names(&grids.query(&sql).await), ["bare"]);
    let [planned, _] = scans(&grids, &sql).await;
    assert!(planned.contains("datasets=8→1"), "{planned}");
}

#[tokio::test]
async fn batches_are_bounded_by_what_is_selected() {
    let (store, _directory) = empty();
    for index in 0..8u32 {
        let name = format!("big_{index}");
        store.create_dataset(&name).unwrap();
        let cells: Vec<f32> = (0..1_000_000u32).map(|cell| (cell + index) as f32).collect();
        let schema = ArraySchema::new(DType::Float32, &["y", "x"], &[1000, 1000]).with_chunk_shape(&[100, 1000]);
        write(&store, &name, "a", schema, ArrayData::from_numbers(vec![1000, 1000], cells).unwrap());
        // Every dataset has a region of its own.
        let labels: Vec<f64> = (0..1000).map(|at| f64::from(at + index)).collect();
        write(&store, &name, "y", ArraySchema::new(DType::Float64, &["y"], &[1000]), float64(&labels));
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("big".to_string(), store)]).unwrap();
    let run = async |sql: &str| -> Vec<RecordBatch> { context.sql(sql).await.unwrap().collect().await.unwrap() };
    let batches = run("SELECT sel(a, 'y', 10, 990) FROM datasets").await;
    assert!(batches.len() >= 4 && batches.iter().all(|batch| batch.num_rows() <= 2), "{}", batches.len());
    let first = query(&context, "SELECT dataset, element(sel(a, 'y', 10, 990), 0, 0) FROM datasets ORDER BY 1").await;
    let expected: Vec<Option<f64>> = (0..8u32).map(|index| Some(f64::from((10 - index) * 1000 + index))).collect();
    assert_eq!(crate::fleet::floats(first.column(1)), expected);
    assert_eq!(first.column(1).null_count(), 0);
    let mut stream =
        context.sql("SELECT sel(a, 'y', 10, 990) FROM datasets").await.unwrap().execute_stream().await.unwrap();
    assert_eq!(futures::StreamExt::next(&mut stream).await.unwrap().unwrap().num_columns(), 1);
    drop(stream);
}
