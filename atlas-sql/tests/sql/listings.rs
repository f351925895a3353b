//! The tables `attributes` and `chunks`, against what the store itself says.

use crate::fleet::{DATASETS, Fleet, empty, fleet, floats, integers, names, query, strings};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use atlas_store::{ArrayData, ArraySchema, Attribute, DType, Scalar};

const NODE: &str = "AtlasListExec";

/// The one listing of a plan.
async fn plan(fleet: &Fleet, sql: &str) -> String {
    let lines = fleet.plan_lines(&format!("EXPLAIN {sql}"), NODE).await;
    assert_eq!(lines.len(), 1, "{sql}");
    lines[0].clone()
}

fn text_rows(batch: &RecordBatch) -> Vec<Vec<Option<String>>> {
    let columns: Vec<_> = batch.columns().iter().map(strings).collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
}

#[tokio::test]
async fn attributes_are_rows() {
    let fleet = fleet();
    let snapshot = fleet.store.snapshot();
    let mut expected = Vec::new();
    for row in 0..DATASETS as u32 {
        for (key, value) in snapshot.attributes(row) {
            let kind = match value {
                Attribute::Bool(_) => "bool",
                Attribute::Int64(_) => "int64",
                Attribute::Float64(_) => "float64",
                Attribute::String(_) => "string",
                Attribute::Timestamp(_) => "timestamp_nanoseconds",
            };
            let texts = [snapshot.dataset_name(row).to_string(), key, kind.to_string(), value.to_string()];
            expected.push(texts.map(Some).to_vec());
        }
    }
    expected.sort();
    let batch = fleet.query("SELECT dataset, key, type, value FROM attributes ORDER BY 1, 2").await;
    assert_eq!(text_rows(&batch), expected);
    let count = fleet.query("SELECT count(*) FROM attributes").await;
    assert_eq!(integers(count.column(0)), [Some(expected.len() as i64)]);
    assert!(fleet.plan_lines("EXPLAIN SELECT count(*) FROM attributes WHERE key = 'half'", NODE).await.is_empty());
    let batch = fleet
        .query("SELECT number FROM attributes WHERE key IN ('depth', 'half') AND dataset = 'cast_03' ORDER BY key")
        .await;
    assert_eq!(floats(batch.column(0)), [Some(300.0), Some(1.5)]);
    let batch = fleet.query("SELECT count(number) FROM attributes WHERE key IN ('station', 'flagged', 'when')").await;
    assert_eq!(integers(batch.column(0)), [Some(0)]);
}

#[tokio::test]
async fn attributes_are_chosen_before_they_are_made() {
    let fleet = fleet();
    let all = 4 * DATASETS + 6;
    for (predicate, left, rows) in [
        ("key = 'half'", "→6", 6),
        ("dataset = 'cast_07'", "→4", 4),
        ("dataset < 'cast_03' AND key LIKE 'h%'", "→3", 3),
        ("type = 'bool' AND dataset IN ('cast_01', 'cast_02')", "→2", 2),
        ("key = 'half' AND dataset = 'cast_09'", "→0", 0),
        ("1 = 0 OR key = 'nothing'", "→0", 0),
        ("(dataset = 'cast_01' AND key = 'depth') OR (dataset = 'cast_02' AND key = 'half')", "→≤18", 2),
        ("key = 'depth' AND number > 500", "→12", 6),
    ] {
        let sql = format!("SELECT dataset, value FROM attributes WHERE {predicate}");
        assert_eq!(fleet.query(&sql).await.num_rows(), rows, "{predicate}");
        let line = plan(&fleet, &sql).await;
        if predicate.contains("OR (") {
            assert!(line.contains("pair_filter=["), "{line}");
            continue;
        }
        assert!(line.ends_with(&format!("attributes={all}{left}")), "{predicate}: {line}");
        let count = fleet.query(&format!("SELECT count(*) FROM attributes WHERE {predicate}")).await;
        assert_eq!(integers(count.column(0)), [Some(rows as i64)], "{predicate}");
    }
    let batch = fleet.query("SELECT value FROM attributes WHERE key = 'depth' LIMIT 3").await;
    assert_eq!(batch.num_rows(), 3);
    let batch = fleet.query("SELECT dataset FROM attributes WHERE number >= 600 LIMIT 2").await;
    assert_eq!(names(&batch), ["cast_06", "cast_07"]);
    let analyzed =
        fleet.plan_lines("EXPLAIN ANALYZE SELECT value FROM attributes WHERE key = 'depth' LIMIT 3", NODE).await;
    assert!(analyzed[0].contains("attributes_listed=3"), "{}", analyzed[0]);
}

#[tokio::test]
async fn every_value_of_an_attribute_has_a_text_of_its_own() {
    let (store, _directory) = empty();
    let values = [
        (Attribute::Float64(f64::NAN), "NaN"),
        (Attribute::Float64(f64::INFINITY), "inf"),
        (Attribute::Float64(f64::NEG_INFINITY), "-inf"),
        (Attribute::Float64(-0.0), "-0.0"),
        (Attribute::Float64(0.1 + 0.2), "0.30000000000000004"),
        (Attribute::Float64(3.0), "3.0"),
        (Attribute::Float64(5e-324), "5e-324"),
        (Attribute::Int64(i64::MIN), "-9223372036854775808"),
        (Attribute::Int64(3), "3"),
        (Attribute::Timestamp(1_700_000_000_000_000_001), "2023-11-14T22:13:20.000000001Z"),
        (Attribute::Timestamp(0), "1970-01-01T00:00:00Z"),
        (Attribute::Timestamp(i64::MIN), "NaT"),
        (Attribute::String("NaN".into()), "NaN"),
        (Attribute::String(String::new()), ""),
        (Attribute::Bool(true), "true"),
    ];
    for (index, (value, _)) in values.iter().enumerate() {
        let name = format!("d{index:02}");
        store.create_dataset(&name).unwrap();
        store.set_attribute(&name, "mixed", value.clone()).unwrap();
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    let batch = query(&context, "SELECT value, number FROM attributes ORDER BY dataset").await;
    let expected: Vec<&str> = values.iter().map(|(_, text)| *text).collect();
    assert_eq!(names(&batch), expected);
    let numbers = floats(batch.column(1));
    assert!(numbers[0].unwrap().is_nan() && numbers[1] == Some(f64::INFINITY) && numbers[8] == Some(3.0));
    assert!(numbers[9..].iter().all(Option::is_none));
}

#[tokio::test]
async fn many_keys_are_made_in_batches() {
    let (store, _directory) = empty();
    let (keys, datasets) = (300, 100);
    for dataset in 0..datasets {
        let name = format!("d{dataset:03}");
        store.create_dataset(&name).unwrap();
        for key in 0..keys {
            store.set_attribute(&name, &format!("k{key:03}"), Attribute::Int64(dataset * keys + key)).unwrap();
        }
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    let batches = context.sql("SELECT * FROM attributes").await.unwrap().collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.num_rows() <= 8192));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 30_000);
    let batch =
        query(&context, "SELECT sum(number), count(*), count(DISTINCT key), count(DISTINCT dataset) FROM attributes")
            .await;
    assert_eq!(floats(batch.column(0)), [Some((0..30_000).sum::<i64>() as f64)]);
    assert_eq!(integers(batch.column(2)), [Some(300)]);
    let mut stream = context.sql("SELECT * FROM attributes").await.unwrap().execute_stream().await.unwrap();
    assert_eq!(futures::StreamExt::next(&mut stream).await.unwrap().unwrap().num_rows(), 8192);
}

fn list(batch: &RecordBatch, column: usize, row: usize) -> Vec<u64> {
    let list = batch.column(column).as_list::<i32>().value(row);
    list.as_primitive::<Int64Type>().values().iter().map(|extent| *extent as u64).collect()
}

#[tokio::test]
async fn chunks_are_rows() {
    let fleet = fleet();
    let snapshot = fleet.store.snapshot();
    let batch = fleet
        .query("SELECT dataset, array, dtype, chunk, start, shape, row_count, null_count, nan_count, min, max, sum, min_text, max_text, sum_text, segment, \"offset\", stored_bytes, codec FROM chunks ORDER BY dataset, array, chunk")
        .await;
    let mut at = 0;
    for row in 0..DATASETS as u32 {
        for family in snapshot.families().filter(|family| family.entry(row).is_some()) {
            for chunk in snapshot.chunks(row, family.name()).unwrap() {
                let text = |column: usize| strings(&batch.column(column).slice(at, 1))[0].clone();
                let integer = |column: usize| integers(&batch.column(column).slice(at, 1))[0];
                let float = |column: usize| floats(&batch.column(column).slice(at, 1))[0];
                let known = chunk.statistics;
                assert_eq!(text(0).as_deref(), Some(snapshot.dataset_name(row)));
                assert_eq!(
                    (text(1).as_deref(), text(2).as_deref()),
                    (Some(family.name()), Some(family.dtype().name()))
                );
                assert_eq!(integer(3), Some(chunk.index.into()));
                assert_eq!(
                    (list(&batch, 4, at), list(&batch, 5, at)),
                    (chunk.region.start().to_vec(), chunk.region.shape().to_vec())
                );
                let counts = [known.row_count, known.null_count, known.nan_count].map(|count| Some(count as i64));
                assert_eq!([6, 7, 8].map(integer), counts);
                assert_eq!(float(9), known.min.as_ref().and_then(Scalar::as_f64));
                assert_eq!(float(10), known.max.as_ref().and_then(Scalar::as_f64));
                let sum = known.sum.filter(|_| known.valid_count() > 0);
                assert_eq!(float(11), sum.map(atlas_store::Sum::as_f64));
                assert_eq!(text(12), known.min.as_ref().map(ToString::to_string));
                assert_eq!(text(13), known.max.as_ref().map(ToString::to_string));
                assert_eq!(text(14).is_some(), sum.is_some());
                assert_eq!(
                    (text(15).as_deref(), text(18).as_deref()),
                    (Some(chunk.segment), Some(chunk.codec.as_str()))
                );
                assert_eq!((integer(16), integer(17)), (Some(chunk.offset as i64), Some(chunk.stored_bytes as i64)));
                at += 1;
            }
        }
    }
    assert_eq!(batch.num_rows(), at);
    let count = fleet.query("SELECT count(*) FROM chunks").await;
    assert_eq!(integers(count.column(0)), [Some(at as i64)]);
    let batch = fleet.query("SELECT a.array, a.row_count, sum(c.row_count) FROM arrays a JOIN chunks c ON a.dataset = c.dataset AND a.array = c.array GROUP BY a.dataset, a.array, a.row_count").await;
    assert_eq!(integers(batch.column(1)), integers(batch.column(2)));
}

#[tokio::test]
async fn chunks_are_looked_up_for_the_arrays_that_are_left() {
    let fleet = fleet();
    let all = 6 * DATASETS + 9;
    for (predicate, left, listed, rows) in [
        ("array = 'temp'", "→9", 9, 36),
        ("dtype = 'float32' AND dataset = 'cast_02'", "→1", 1, 4),
        ("dataset = 'cast_03'", "→6", 6, 6),
        ("array = 'temp' AND dataset = 'cast_03'", "→0", 0, 0),
        ("array = 'temp' AND max > 100", "→9", 9, 5),
        ("(dataset = 'cast_01' AND array = 'temp') OR (dataset = 'cast_02' AND array = 'level')", "→≤", 2, 5),
        ("array = 'temp' AND chunk = 0 AND \"start\"[1] = 0", "→9", 9, 9),
    ] {
        let sql = format!("SELECT dataset, chunk, max FROM chunks WHERE {predicate}");
        assert_eq!(fleet.query(&sql).await.num_rows(), rows, "{predicate}");
        let line = plan(&fleet, &sql).await;
        assert!(line.contains(&format!("arrays={all}{left}")), "{predicate}: {line}");
        let analyzed = fleet.plan_lines(&format!("EXPLAIN ANALYZE {sql}"), NODE).await;
        assert!(analyzed[0].contains(&format!("arrays_listed={listed}")), "{predicate}: {}", analyzed[0]);
        let count = fleet.query(&format!("SELECT count(*) FROM chunks WHERE {predicate}")).await;
        assert_eq!(integers(count.column(0)), [Some(rows as i64)], "{predicate}");
    }
    let analyzed = fleet.plan_lines("EXPLAIN ANALYZE SELECT max FROM chunks WHERE array = 'temp' LIMIT 3", NODE).await;
    assert!(analyzed[0].contains("arrays_listed=3"), "{}", analyzed[0]);
}

#[tokio::test]
async fn chunks_that_were_not_written_are_no_rows_and_large_arrays_come_in_batches() {
    let (store, _directory) = empty();
    for name in ["a", "b"] {
        store.create_dataset(name).unwrap();
        let schema = ArraySchema::new(DType::Int64, &["x"], &[20_000]).with_chunk_shape(&[1]);
        store.define_array(name, "x", schema).unwrap();
    }
    let cells: Vec<i64> = (0..10_000).map(|cell| (1 << 53) + 1 + cell).collect();
    store.write_array("a", "x", &[5_000], ArrayData::from_numbers(vec![10_000], cells).unwrap()).unwrap();
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    let batches = context.sql("SELECT * FROM chunks").await.unwrap().collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.num_rows() <= 8192));
    let sizes: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(sizes, 10_000);
    let batch = query(&context, "SELECT count(*), min(chunk), max(chunk), count(DISTINCT dataset) FROM chunks").await;
    assert_eq!(
        (0..4).map(|column| integers(batch.column(column))[0].unwrap()).collect::<Vec<_>>(),
        [10_000, 5_000, 14_999, 1]
    );
    let batch = query(&context, "SELECT min_text, sum_text FROM chunks WHERE chunk = 5000").await;
    assert_eq!(text_rows(&batch), [[Some("9007199254740993".to_string()), Some("9007199254740993".to_string())]]);
}

#[tokio::test]
async fn listings_of_an_empty_store_and_bad_columns() {
    let (store, _directory) = empty();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    for table in ["attributes", "chunks"] {
        let batch = query(&context, &format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(integers(batch.column(0)), [Some(0)]);
        assert_eq!(query(&context, &format!("SELECT * FROM {table}")).await.num_rows(), 0);
    }
    let fleet = fleet();
    assert!(fleet.failure("SELECT nothing FROM chunks").await.contains("nothing"));
    let batch = fleet
        .query("SELECT d.dataset, a.value, stat_max(d.temp) FROM datasets d JOIN attributes a ON a.dataset = d.dataset WHERE a.key = 'depth' AND d.station = 'S1' AND d.temp IS NOT NULL ORDER BY 1")
        .await;
    assert_eq!(names(&batch), ["cast_01", "cast_04", "cast_10"]);
    assert_eq!(batch.column(1).null_count(), 0);
}

#[tokio::test]
async fn long_listings_are_made_in_parallel_and_whole() {
    let (store, _directory) = empty();
    let count = 30_000i64;
    for index in 0..count {
        let name = format!("d{index:05}");
        store.create_dataset(&name).unwrap();
        store.set_attribute(&name, "a", Attribute::Int64(index)).unwrap();
        if index % 3 > 0 {
            store.set_attribute(&name, "b", Attribute::Int64(-index)).unwrap();
        }
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("long".to_string(), store)]).unwrap();
    query(&context, "SET datafusion.execution.target_partitions = 4").await;
    let sql = "SELECT key, count(*), count(DISTINCT dataset), sum(number) FROM attributes";
    for (predicate, of_a, of_b) in [
        ("", (0..count).collect::<Vec<_>>(), (0..count).filter(|index| index % 3 > 0).collect::<Vec<_>>()),
        (
            " WHERE dataset LIKE '%5'",
            (0..count).filter(|index| index % 10 == 5).collect(),
            (0..count).filter(|index| index % 10 == 5 && index % 3 > 0).collect(),
        ),
        (" WHERE dataset > 'd29998' AND number > 0", vec![29_999], vec![]),
    ] {
        let batch = query(&context, &format!("{sql}{predicate} GROUP BY key ORDER BY key")).await;
        let mut expected = Vec::new();
        for (key, own, sign) in [("a", of_a, 1), ("b", of_b, -1)] {
            if !own.is_empty() {
                let length = own.len().to_string();
                let sum = format!("{:?}", (sign * own.iter().sum::<i64>()) as f64);
                expected.push(vec![Some(key.to_string()), Some(length.clone()), Some(length), Some(sum)]);
            }
        }
        assert_eq!(text_rows(&batch), expected, "{predicate}");
    }
    let scan = context.sql("SELECT * FROM attributes").await.unwrap().create_physical_plan().await.unwrap();
    assert_eq!(scan.properties().partitioning.partition_count(), 3);
}
