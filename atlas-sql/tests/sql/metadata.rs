//! What the field of an array says (extension, dimensions, fill value) through every operator, in the plan and in batches.

use crate::fleet::{Fleet, empty, fleet, integers, query, write};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use atlas_store::{ArrayData, ArraySchema, DType, Scalar};
use std::collections::HashMap;

const ARRAYS: [&str; 5] = ["temp", "ragged", "label", "instant", "slice(temp, [1, 2], [2, 3])"];

/// Queries with one column; `{}` is an array of `datasets`.
const SURVIVES: [&str; 30] = [
    "SELECT {} FROM datasets",
    "SELECT {} AS t FROM datasets WHERE depth > 200 AND station <> 'S1'",
    "SELECT {} AS t FROM datasets WHERE element(level, 0) > 3",
    "SELECT {} AS t FROM datasets ORDER BY depth DESC",
    "SELECT {} AS t FROM datasets ORDER BY station, depth LIMIT 3 OFFSET 1",
    "SELECT t FROM (SELECT {} AS t, station AS s FROM datasets) WHERE s = 'S0'",
    "SELECT u AS t FROM (SELECT t AS u FROM (SELECT {} AS t FROM datasets) AS x) AS y",
    "WITH c AS (SELECT {} AS t, depth FROM datasets) SELECT t FROM c WHERE depth > 100",
    "SELECT x.t FROM (SELECT dataset, {} AS t FROM datasets) x JOIN catalog c ON x.dataset = c.dataset",
    "SELECT x.t FROM catalog c LEFT JOIN (SELECT dataset, {} AS t FROM datasets WHERE depth > 500) x ON x.dataset = c.dataset",
    "SELECT x.t FROM (SELECT dataset, {} AS t FROM datasets) x FULL JOIN catalog c ON x.dataset = c.dataset",
    "SELECT x.t FROM (SELECT depth, {} AS t FROM datasets) x JOIN catalog c ON x.depth > c.depth + 900",
    "SELECT x.t FROM (SELECT {} AS t FROM datasets) x CROSS JOIN (VALUES (1), (2)) v(n)",
    "SELECT {} AS t FROM datasets WHERE dataset IN (SELECT dataset FROM attributes WHERE key = 'half')",
    "SELECT {} AS t FROM datasets d WHERE NOT EXISTS (SELECT 1 FROM attributes a WHERE a.dataset = d.dataset AND a.key = 'half')",
    "SELECT {} AS t FROM datasets WHERE depth = (SELECT max(depth) FROM datasets)",
    "SELECT (SELECT {} FROM datasets WHERE dataset = 'cast_00') AS t",
    "SELECT {} AS t FROM datasets UNION ALL SELECT {} FROM datasets",
    "SELECT {} AS t FROM datasets UNION SELECT {} FROM datasets",
    "SELECT {} AS t FROM datasets INTERSECT SELECT {} FROM datasets",
    "SELECT {} AS t FROM datasets EXCEPT SELECT {} FROM datasets WHERE depth > 300",
    "SELECT DISTINCT {} AS t FROM datasets",
    "SELECT t FROM (SELECT {} AS t, count(*) AS n FROM datasets GROUP BY {})",
    "SELECT first_value({} ORDER BY depth) AS t FROM datasets",
    "SELECT last_value({}) AS t FROM datasets GROUP BY station",
    "SELECT DISTINCT ON (station) {} AS t FROM datasets ORDER BY station, depth",
    "SELECT first_value({}) OVER (PARTITION BY station ORDER BY depth) AS t FROM datasets",
    "SELECT lag({}) OVER (ORDER BY depth) AS t FROM datasets",
    "SELECT t FROM (SELECT {} AS t, row_number() OVER (ORDER BY depth) AS n FROM datasets) WHERE n < 4",
    "SELECT x.t FROM datasets d, LATERAL (SELECT {} AS t FROM datasets e WHERE e.dataset = d.dataset) x",
];

async fn one(fleet: &Fleet, sql: &str) -> Result<(Field, RecordBatch), String> {
    let frame = fleet.context.sql(sql).await.map_err(|error| format!("planning: {error}"))?;
    let planned = frame.schema().field(0).as_ref().clone();
    let batches = frame.collect().await.map_err(|error| format!("running: {error}"))?;
    let batch = batches.into_iter().next().ok_or("no rows")?;
    Ok((planned, batch))
}

fn metadata(fields: &Field) -> HashMap<String, String> {
    fields.metadata().clone()
}

#[tokio::test]
async fn metadata_survives() {
    let fleet = fleet();
    let mut lost = Vec::new();
    for array in ARRAYS {
        let (field, _) = one(&fleet, &format!("SELECT {array} FROM datasets")).await.unwrap();
        assert!(!metadata(&field).is_empty());
        for sql in SURVIVES {
            let sql = sql.replace("{}", array);
            match one(&fleet, &sql).await {
                Ok((planned, batch)) => {
                    if metadata(&planned) != metadata(&field) {
                        lost.push(format!("plan: {sql}: {:?}", metadata(&planned)));
                    }
                    if metadata(batch.schema().field(0)) != metadata(&field) {
                        lost.push(format!("batch: {sql}: {:?}", metadata(batch.schema().field(0))));
                    }
                    if batch.schema().field(0).data_type() != field.data_type() {
                        lost.push(format!("type: {sql}: {:?}", batch.schema().field(0).data_type()));
                    }
                }
                Err(error) => lost.push(format!("{sql}: {error}")),
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

#[tokio::test]
async fn an_expression_of_several_values_is_a_plain_list() {
    let fleet = fleet();
    let (field, _) = one(&fleet, "SELECT temp FROM datasets").await.unwrap();
    for expression in
        ["coalesce(temp, temp)", "CASE WHEN depth > 300 THEN temp END", "nullif(temp, NULL)", "nth_value(temp, 2)"]
    {
        let (planned, batch) = one(&fleet, &format!("SELECT {expression} AS t FROM datasets")).await.unwrap();
        assert_eq!(planned.data_type(), field.data_type(), "{expression}");
        assert_eq!(planned.metadata(), batch.schema().field(0).metadata(), "{expression}");
        assert!(planned.metadata().is_empty(), "{expression}");
        // It says so rather than taking it for something else.
        let sql = format!("SELECT tensor_mean(t) FROM (SELECT {expression} AS t FROM datasets)");
        let error = fleet.failure(&sql).await;
        assert!(error.contains("expected an array column") && error.contains("FixedSizeList"), "{error}");
    }
    let (planned, batch) = one(&fleet, "SELECT array_agg(temp) AS t FROM datasets GROUP BY station").await.unwrap();
    let inner = |field: &Field| match field.data_type() {
        DataType::List(item) => item.metadata().clone(),
        other => panic!("{other}"),
    };
    assert!(inner(&planned).is_empty() && inner(batch.schema().field(0)).is_empty());
}

#[tokio::test]
async fn views_and_tables_made_of_a_query_keep_metadata() {
    let fleet = fleet();
    let (field, _) = one(&fleet, "SELECT temp FROM datasets").await.unwrap();
    // The schema of a store holds the store's tables only.
    let error = fleet.failure("CREATE VIEW v AS SELECT temp FROM datasets").await;
    assert_eq!(error, "v: schema fleet has the tables of a store only: CREATE SCHEMA makes one for others");
    query(&fleet.context, "CREATE SCHEMA mine").await;
    let kept = "SELECT dataset, temp, depth FROM datasets WHERE depth < 900";
    for (statement, table) in [("CREATE VIEW mine.v AS", "mine.v"), ("CREATE TABLE mine.t AS", "mine.t")] {
        query(&fleet.context, &format!("{statement} {kept}")).await;
        let sql = format!("SELECT temp FROM {table} WHERE depth > 100 ORDER BY depth");
        let (planned, batch) = one(&fleet, &sql).await.unwrap();
        assert_eq!(metadata(&planned), metadata(&field), "{table}");
        assert_eq!(metadata(batch.schema().field(0)), metadata(&field), "{table}");
        let sql = format!("SELECT element(temp, 0, 1) AS e FROM {table} ORDER BY depth");
        let values = query(&fleet.context, &sql).await;
        assert_eq!(crate::fleet::floats(values.column(0))[..3], [Some(0.5), Some(10.5), None], "{table}");
    }
    // A view is followed to the store; a copy is not.
    let scans = fleet.scans("SELECT element(temp, 0, 1) FROM mine.v WHERE stat_max(temp) > 40").await;
    assert!(scans[0].contains("datasets=12→") && scans[0].contains("element(temp, 0, 1)"), "{}", scans[0]);
    assert!(fleet.failure("SELECT stat_max(temp) FROM mine.t").await.contains("not an array column of a store"));
}

#[tokio::test]
async fn metadata_passes_through_ipc_streams() {
    let fleet = fleet();
    let arrays = ["temp", "ragged", "label", "instant", "good", "single", "level"].join(", ");
    let frame = fleet.context.sql(&format!("SELECT dataset, {arrays} FROM datasets ORDER BY dataset")).await.unwrap();
    let batches = frame.collect().await.unwrap();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    let reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
    assert_eq!(reader.schema(), batches[0].schema());
    let read: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    assert_eq!(read, batches);
    // What comes back is an array again.
    let plain = datafusion::prelude::SessionContext::new();
    atlas_sql::register(&plain, "unused", &fleet.store).unwrap();
    let table = datafusion::datasource::MemTable::try_new(read[0].schema(), vec![read]).unwrap();
    plain.register_table("back", std::sync::Arc::new(table)).unwrap();
    let sql = "SELECT element(temp, 0, 1), tensor_max(temp), dims(ragged), shape(label), tensor_count(level) FROM {} ORDER BY dataset";
    let back = query(&plain, &sql.replace("{}", "back")).await;
    let store = fleet.query(&sql.replace("{}", "datasets")).await;
    assert_eq!(back.columns(), store.columns());
}

#[tokio::test]
async fn a_cell_that_may_be_missing_is_not_taken_for_a_value() {
    let (store, _directory) = empty();
    for (dataset, fill) in [("a", -1), ("b", -2)] {
        store.create_dataset(dataset).unwrap();
        let schema = ArraySchema::new(DType::Int32, &["n"], &[3]).with_fill_value(Scalar::Int(fill));
        write(&store, dataset, "v", schema, ArrayData::from_numbers(vec![3], vec![-1, -2, 5]).unwrap());
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    let batch = query(&context, "SELECT element(v, 0), element(v, 1) FROM datasets ORDER BY dataset").await;
    assert_eq!(integers(batch.column(0)), [None, Some(-1)]);
    assert_eq!(integers(batch.column(1)), [Some(-2), None]);
    for call in ["element(v, 0)", "tensor_min(v)"] {
        let error = context.sql(&format!("SELECT {call} FROM (SELECT v FROM datasets GROUP BY v)")).await;
        let error = match error {
            Ok(frame) => frame.collect().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().contains("are missing is not known here"), "{error}");
    }
}
