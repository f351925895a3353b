//! What is read, by the numbers of EXPLAIN and EXPLAIN ANALYZE.

use crate::fleet::{DATASETS, fleet, floats, names, query, strings, write};
use arrow::array::Array;
use atlas_store::{ArrayData, ArraySchema, DType};

#[tokio::test]
async fn catalog_predicates_are_decided_before_reading() {
    let fleet = fleet();
    // 9 datasets have temp, in 4 chunks each.
    for (sql, left) in [
        (
            "SELECT dataset, stat_max(temp) AS t FROM datasets WHERE stat_max(temp) > 60 ORDER BY t DESC LIMIT 5",
            "datasets=12→5, chunks=36→0, bytes=0",
        ),
        (
            "SELECT dataset, stat_max(temp) FROM datasets WHERE station = 'S1' AND NOT flagged",
            "datasets=12→2, chunks=36→0, bytes=0",
        ),
        (
            "SELECT stat_min(temp) FROM datasets WHERE station LIKE 'S%' AND depth BETWEEN 100 AND 300",
            "datasets=12→3, chunks=36→0, bytes=0",
        ),
        (
            "SELECT stat_min(temp) FROM datasets WHERE depth IN (100, 1100) OR upper(station) = 'S2'",
            "datasets=12→5, chunks=36→0, bytes=0",
        ),
        (
            "SELECT stat_min(temp) FROM datasets WHERE shape(ragged)[1] = 3 AND dtype(temp) = 'float32'",
            "datasets=12→3, chunks=48→0, bytes=0",
        ),
        (
            "SELECT stat_min(temp) FROM datasets WHERE dims(temp) = ['depth', 'time']",
            "datasets=12→9, chunks=36→0, bytes=0",
        ),
        (
            "SELECT stat_min(temp) FROM datasets WHERE when > TIMESTAMP '1970-01-05'",
            "datasets=12→7, chunks=36→0, bytes=0",
        ),
        (
            "SELECT stat_min(temp) FROM datasets WHERE stat_mean(temp) * 2 + depth > 500 AND half IS NULL",
            "datasets=12→4, chunks=36→0, bytes=0",
        ),
        ("SELECT count(*) FROM catalog WHERE temp_max IS NULL", "datasets=12→3, chunks=36→0, bytes=0"),
    ] {
        let scans = fleet.scans(sql).await;
        if sql.contains("count(*)") && scans.is_empty() {
            continue;
        }
        assert_eq!(scans.len(), 1, "{sql}");
        assert!(scans[0].ends_with(left), "{sql}: {}", scans[0]);
    }
    let batch = fleet.query("SELECT count(*) FROM catalog WHERE temp_max IS NULL").await;
    assert_eq!(floats(batch.column(0)), [Some(3.0)]);
}

#[tokio::test]
async fn a_slice_costs_the_chunks_it_touches() {
    let fleet = fleet();
    for (sql, chunks) in [
        ("SELECT slice(temp, [0, 0], [2, 3]) FROM datasets", "chunks=36→9"),
        ("SELECT slice(temp, [1, 2], [2, 3]) FROM datasets", "chunks=36→36"),
        ("SELECT element(temp, 3, 5) FROM datasets WHERE depth < 300", "chunks=36→3"),
        (
            "SELECT dataset, s FROM (SELECT dataset, station, slice(temp, [0, 0], [1, 1]) AS s FROM datasets) WHERE station = 'S0'",
            "chunks=36→3",
        ),
        ("SELECT temp FROM datasets WHERE stat_max(temp) > 100", "chunks=36→8"),
        ("SELECT temp FROM datasets LIMIT 2", "chunks=36→8"),
        ("SELECT ragged FROM datasets WHERE depth > 1000", "chunks=24→2"),
        ("SELECT dataset FROM datasets", "chunks=0→0"),
        ("SELECT dataset, array, stored_bytes, codec FROM arrays WHERE array = 'temp'", "arrays=81→9, chunks=0→0"),
    ] {
        let scans = fleet.scans(sql).await;
        assert_eq!(scans.len(), 1, "{sql}");
        // Chunks of one array can be stored as less than its grid; compare against the store's own totals.
        if sql.contains("ragged") {
            let rows: Vec<u32> = (0..DATASETS as u32).collect();
            let (all, _) = fleet.store.snapshot().chunk_totals("ragged", &rows).unwrap();
            let (left, _) = fleet.store.snapshot().chunk_totals("ragged", &[11]).unwrap();
            assert!(scans[0].contains(&format!("chunks={all}→{left},")), "{}", scans[0]);
            continue;
        }
        assert!(scans[0].contains(&format!("{chunks},")), "{sql}: {}", scans[0]);
    }
}

#[tokio::test]
async fn bytes_are_those_of_the_read_plan_and_of_the_read() {
    let fleet = fleet();
    let snapshot = fleet.store.snapshot();
    let region = atlas_store::Region::try_new(vec![0, 0], vec![2, 3]).unwrap();
    let plan = snapshot.plan_stacked("temp", &[8, 9, 10], Some(&region)).unwrap();
    let sql = "SELECT slice(temp, [0, 0], [2, 3]) FROM datasets WHERE stat_max(temp) > 80";
    let scans = fleet.scans(sql).await;
    assert!(scans[0].ends_with(&format!("datasets=12→3, chunks=36→3, bytes={}", plan.bytes())), "{}", scans[0]);
    let analyzed = fleet.query(&format!("EXPLAIN ANALYZE {sql}")).await;
    let text: String = strings(analyzed.column(1)).into_iter().flatten().collect();
    let line = text.lines().find(|line| line.contains("AtlasScanExec")).unwrap();
    assert!(line.contains("chunks_read=3") && line.contains("output_rows=3"), "{line}");
    assert!(line.contains(&format!("bytes_read={}", plan.bytes())), "{line}");
}

#[tokio::test]
async fn cell_predicates_read_other_arrays_of_survivors_only() {
    let fleet = fleet();
    let sql = "SELECT dataset, temp FROM datasets WHERE element(temp, 0, 0) > 75 AND stat_max(temp) < 105";
    let batch = fleet.query(&format!("{sql} ORDER BY dataset")).await;
    assert_eq!(names(&batch), ["cast_08", "cast_09"]);
    let scans = fleet.scans(sql).await;
    assert!(scans[0].contains("cell_filter=[") && scans[0].contains("datasets=12→≤8, chunks=72→≤40,"), "{}", scans[0]);
    let analyzed = fleet.query(&format!("EXPLAIN ANALYZE {sql}")).await;
    let text: String = strings(analyzed.column(1)).into_iter().flatten().collect();
    let line = text.lines().find(|line| line.contains("AtlasScanExec")).unwrap();
    // One chunk of each of 8 datasets for the predicate, then the 4 chunks of the 2 that are left.
    assert!(line.contains("chunks_read=16"), "{line}");
    let batch = fleet.query("SELECT dataset FROM datasets WHERE element(level, 0) >= 4 LIMIT 3").await;
    assert_eq!(names(&batch), ["cast_04", "cast_05", "cast_06"]);
    assert_eq!(
        fleet.query("SELECT dataset FROM datasets WHERE random() < 2 AND element(level, 0) > 100").await.num_rows(),
        0
    );
}

#[tokio::test]
async fn unused_arrays_are_not_read_and_counts_are_free() {
    let fleet = fleet();
    let scans = fleet.scans("SELECT dataset, level FROM (SELECT * FROM datasets)").await;
    assert!(scans[0].contains("columns=[dataset, level]"), "{}", scans[0]);
    assert!(fleet.scans("SELECT count(*) FROM datasets WHERE station = 'S0'").await.is_empty());
    assert_eq!(floats(fleet.query("SELECT count(*) FROM datasets WHERE station = 'S0'").await.column(0)), [Some(4.0)]);
}

#[tokio::test]
async fn whether_a_dataset_has_an_array_is_known_without_reading() {
    let fleet = fleet();
    for (sql, scan, count) in [
        ("SELECT count(*) FROM (SELECT dataset FROM datasets WHERE temp IS NULL)", "", 3.0),
        ("SELECT count(dataset) FROM datasets WHERE temp IS NOT NULL AND depth > 100", "", 7.0),
        ("SELECT count(temp) FROM datasets", "datasets=12→12, chunks=36→0, bytes=0", 9.0),
        ("SELECT count(ragged) FILTER (WHERE depth > 800) FROM datasets", "→0, bytes=0", 3.0),
        ("SELECT count(t) FROM (SELECT temp AS t FROM datasets WHERE flagged)", "chunks=36→0, bytes=0", 6.0),
        // A single cell is NULL where it is missing, which only reading tells.
        ("SELECT count(single) FROM datasets", "chunks=12→12,", 11.0),
    ] {
        let scans = fleet.scans(sql).await;
        assert!(scans.iter().all(|line| line.contains(scan) && !line.contains("cell_filter")), "{sql}: {scans:?}");
        assert_eq!(floats(fleet.query(sql).await.column(0)), [Some(count)], "{sql}");
    }
}

#[tokio::test]
async fn a_query_sees_the_snapshot_of_its_planning() {
    let fleet = fleet();
    let before = fleet.context.sql("SELECT dataset FROM datasets").await.unwrap();
    fleet.store.create_dataset("late").unwrap();
    assert_eq!(fleet.query("SELECT dataset FROM datasets").await.num_rows(), DATASETS);
    fleet.store.flush().unwrap();
    assert_eq!(fleet.query("SELECT dataset FROM datasets").await.num_rows(), DATASETS + 1);
    let rows: usize = before.collect().await.unwrap().iter().map(arrow::array::RecordBatch::num_rows).sum();
    assert_eq!(rows, DATASETS);
}

#[tokio::test]
async fn batches_are_bounded_and_a_dropped_stream_ends() {
    let (store, _directory) = crate::fleet::empty();
    for index in 0..6 {
        let name = format!("big_{index}");
        store.create_dataset(&name).unwrap();
        let cells: Vec<f32> = (0..1_000_000).map(|cell| (cell * (index + 1)) as f32).collect();
        let schema = ArraySchema::new(DType::Float32, &["x"], &[1_000_000]);
        write(&store, &name, "x", schema, ArrayData::from_numbers(vec![1_000_000], cells).unwrap());
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("big".to_string(), store)]).unwrap();
    let batches = context.sql("SELECT x FROM datasets").await.unwrap().collect().await.unwrap();
    assert!(batches.len() >= 3 && batches.iter().all(|batch| batch.num_rows() <= 2));
    let mut stream = context.sql("SELECT x FROM datasets").await.unwrap().execute_stream().await.unwrap();
    assert_eq!(futures::StreamExt::next(&mut stream).await.unwrap().unwrap().num_columns(), 1);
    drop(stream);
    let sum = query(&context, "SELECT count(*) FROM datasets WHERE element(x, 2) > 3").await;
    assert_eq!(floats(sum.column(0)), [Some(5.0)]);
    assert_eq!(sum.column(0).null_count(), 0);
}

#[tokio::test]
async fn top_k_by_the_catalog_reads_the_winners_only() {
    let fleet = fleet();
    for (sql, chunks, winners) in [
        (
            "SELECT dataset, stat_max(temp) AS t, temp FROM datasets ORDER BY t DESC NULLS LAST LIMIT 2",
            "→8,",
            ["cast_10", "cast_09"],
        ),
        (
            "SELECT dataset, temp FROM datasets WHERE station = 'S2' ORDER BY depth DESC LIMIT 2",
            "→4,",
            ["cast_11", "cast_08"],
        ),
        (
            "SELECT dataset, level FROM datasets WHERE element(temp, 0, 0) < 75 ORDER BY stat_max(temp) DESC LIMIT 2",
            "limit=2",
            ["cast_06", "cast_05"],
        ),
    ] {
        assert_eq!(names(&fleet.query(sql).await), winners, "{sql}");
        let scans = fleet.scans(sql).await;
        assert!(scans[0].contains(chunks), "{sql}: {}", scans[0]);
    }
    let batch =
        fleet.query("SELECT dataset, temp FROM datasets ORDER BY station DESC, dataset LIMIT 100 OFFSET 1").await;
    let mut expected: Vec<usize> = (0..DATASETS).collect();
    expected.sort_by_key(|index| (2 - index % 3, *index));
    assert_eq!(names(&batch), expected[1..].iter().map(|index| format!("cast_{index:02}")).collect::<Vec<_>>());
}
