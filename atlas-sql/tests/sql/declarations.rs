//! The tables as schemas: `arrays`, `catalog`, `information_schema`, several stores.

use crate::fleet::{DATASETS, fleet, floats, integers, names, query, strings};
use arrow::array::Array;
use datafusion::prelude::SessionContext;

#[tokio::test]
async fn arrays_are_rows() {
    let fleet = fleet();
    let batch = fleet
        .query("SELECT array, dtype, fill_value, min, max, min_text, mean, null_count, row_count, chunk_count, stored_bytes, raw_bytes, codec, dims[2] AS d, shape[1] AS n, chunk_shape[1] AS c FROM arrays WHERE dataset = 'cast_02' ORDER BY array")
        .await;
    let snapshot = fleet.store.snapshot();
    assert_eq!(names(&batch), ["good", "instant", "label", "level", "ragged", "single", "temp"]);
    assert_eq!(strings(batch.column(1))[6].as_deref(), Some("float32"));
    assert_eq!(strings(batch.column(2))[6].as_deref(), Some("NaN"));
    assert_eq!(floats(batch.column(3))[6], Some(20.0));
    assert_eq!(floats(batch.column(4))[6], Some(31.5));
    assert_eq!(floats(batch.column(3))[2], None);
    assert_eq!(strings(batch.column(5))[2].as_deref(), Some("L2"));
    assert_eq!(integers(batch.column(7))[6], Some(1));
    assert_eq!(integers(batch.column(8))[6], Some(24));
    assert_eq!(integers(batch.column(9))[6], Some(4));
    let (_, stored) = snapshot.chunk_totals("temp", &[2]).unwrap();
    assert_eq!(integers(batch.column(10))[6], Some(stored as i64));
    assert_eq!(integers(batch.column(11))[6], Some(96));
    assert_eq!(integers(batch.column(11))[2], None);
    assert_eq!(strings(batch.column(12))[6], Some(snapshot.array_codec(2, "temp").unwrap()));
    assert_eq!(strings(batch.column(13))[6].as_deref(), Some("time"));
    assert_eq!(integers(batch.column(14))[6], Some(4));
    assert_eq!(integers(batch.column(15))[6], Some(2));
    let total = fleet.query("SELECT count(*), sum(stored_bytes) FROM arrays").await;
    assert_eq!(integers(total.column(0)), [Some(6 * DATASETS as i64 + 9)]);
}

#[tokio::test]
async fn catalog_has_scalars_only() {
    let fleet = fleet();
    let batch = fleet.query("SELECT * FROM catalog ORDER BY dataset").await;
    assert_eq!(batch.num_columns(), 1 + 5 + 7 * 6);
    assert!(fleet.scans("SELECT * FROM catalog").await[0].ends_with("→0, bytes=0"));
    let means = fleet.query("SELECT temp_mean, label_mean, temp_shape[2] AS n FROM catalog ORDER BY dataset").await;
    assert!(floats(means.column(0))[0].is_some() && means.column(1).null_count() == DATASETS);
    assert_eq!(integers(means.column(2))[0], Some(6));
}

#[tokio::test]
async fn information_schema_lists_the_stores() {
    let (first, second) = (fleet(), fleet());
    let stores = [("one".to_string(), first.store.clone()), ("Two".to_string(), second.store.clone())];
    let context = atlas_sql::session(&stores).unwrap();
    let tables = query(&context, "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema <> 'information_schema' AND table_name NOT LIKE 'cells%' ORDER BY 1").await;
    assert_eq!(
        names(&tables),
        ["Two", "one"]
            .iter()
            .flat_map(|store| {
                ["arrays", "attributes", "catalog", "chunks", "datasets"].map(|table| format!("{store}.{table}"))
            })
            .collect::<Vec<_>>()
    );
    let columns = query(&context, "SELECT column_name FROM information_schema.columns WHERE table_schema = 'one' AND table_name = 'datasets' ORDER BY ordinal_position").await;
    assert_eq!(columns.num_rows(), 1 + 5 + 7);
    let joined = query(&context, r#"SELECT a.dataset, stat_max(a.temp), stat_max(b.temp) FROM datasets a JOIN "Two".datasets b ON a.dataset = b.dataset ORDER BY 1"#).await;
    assert_eq!(floats(joined.column(1)), floats(joined.column(2)));
    assert!(
        atlas_sql::session(&[("x".to_string(), first.store.clone()), ("x".to_string(), second.store.clone())]).is_err()
    );
}

#[tokio::test]
async fn a_store_mounts_in_a_context_of_ones_own() {
    let fleet = fleet();
    let context = SessionContext::new();
    query(&context, "CREATE TABLE side AS VALUES ('cast_01', 1)").await;
    atlas_sql::register(&context, "mine", &fleet.store).unwrap();
    atlas_sql::register(&context, "again", &fleet.store).unwrap();
    let batch = query(
        &context,
        "SELECT d.dataset, element(d.level, 0) FROM mine.datasets d JOIN side ON d.dataset = side.column1",
    )
    .await;
    assert_eq!(names(&batch), ["cast_01"]);
    let batch = query(&context, "SELECT [1, 2][2], make_array(1, 2)[1], array_length([1, 2, 3])").await;
    assert_eq!(integers(batch.column(0)), [Some(2)]);
    assert_eq!(integers(batch.column(2)), [Some(3)]);
}
