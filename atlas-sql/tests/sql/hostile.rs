//! Stores whose names and sizes are what nobody would choose: everything is reached, by its own name, in every table.

use crate::fleet::{empty, integers, query, strings, write};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::util::display::array_value_to_string;
use atlas_store::{ArrayData, ArraySchema, Attribute, DType, Scalar, Store};
use datafusion::prelude::SessionContext;
use std::collections::{BTreeMap, BTreeSet};

/// A name in double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(column: &ArrayRef, row: usize) -> String {
    match column.is_null(row) {
        true => "NULL".into(),
        false => array_value_to_string(column, row).unwrap(),
    }
}

/// The values of a column, each with how often it is there.
fn counted(column: &ArrayRef) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    (0..column.len()).for_each(|row| *counts.entry(text(column, row)).or_default() += 1);
    counts
}

async fn count(context: &SessionContext, sql: &str) -> i64 {
    integers(query(context, sql).await.column(0))[0].unwrap()
}

/// The tables of a store.
async fn tables(context: &SessionContext, store: &str) -> Vec<String> {
    let store = store.replace('\'', "''");
    let sql = format!("SELECT table_name FROM information_schema.tables WHERE table_schema = '{store}' ORDER BY 1");
    strings(query(context, &sql).await.column(0)).into_iter().flatten().collect()
}

/// The columns of each table of a store, as `information_schema` has them.
async fn columns(context: &SessionContext, store: &str) -> BTreeMap<String, Vec<String>> {
    let store = store.replace('\'', "''");
    let sql = format!(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '{store}' ORDER BY ordinal_position"
    );
    let batch = query(context, &sql).await;
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column) in strings(batch.column(0)).into_iter().zip(strings(batch.column(1))) {
        columns.entry(table.unwrap()).or_default().push(column.unwrap());
    }
    columns
}

/// Asks for columns of a table by their names, in each clause; gives all of the table.
async fn check_table(
    context: &SessionContext,
    store: &str,
    table: &str,
    listed: &[String],
    is_asked: impl Fn(usize) -> bool,
) -> RecordBatch {
    let name = format!("{}.{}", quoted(store), quoted(table));
    let all = query(context, &format!("SELECT * FROM {name}")).await;
    let schema = all.schema();
    let fields: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
    assert_eq!(listed.iter().collect::<Vec<_>>(), fields, "{table}");
    for at in (0..all.num_columns()).filter(|at| is_asked(*at)) {
        let (field, column) = (schema.field(at), all.column(at));
        let own = quoted(field.name());
        let what = format!("{own} of {name}");
        // Arrays have no order.
        let order = if field.data_type().is_nested() { String::new() } else { format!(" ORDER BY {own} DESC") };
        let selected = query(context, &format!("SELECT {own} FROM {name}{order}")).await;
        assert_eq!(selected.schema().field(0).name(), field.name(), "{what}");
        assert_eq!(counted(selected.column(0)), counted(column), "{what}");
        let qualified =
            query(context, &format!("SELECT t.{own} AS c FROM {name} AS t WHERE t.{own} IS NOT NULL")).await;
        assert_eq!(qualified.num_rows(), column.len() - column.null_count(), "{what}");
        let groups = query(context, &format!("SELECT {own}, count(*) AS how_many FROM {name} GROUP BY {own}")).await;
        let sizes: BTreeMap<String, usize> = (0..groups.num_rows())
            .map(|row| (text(groups.column(0), row), integers(groups.column(1))[row].unwrap() as usize))
            .collect();
        assert_eq!(sizes, counted(column), "{what}");
    }
    all
}

const NAMES: [&str; 25] = [
    "T",
    "t",
    "dataset",
    "TEMP",
    "TEMP_min",
    "TEMP_null_count",
    "x@attribute",
    "x",
    "dataset@array",
    "dataset@attribute",
    "a.b",
    "a",
    "say \"hi\"",
    "it's",
    "größe",
    "日本 😀",
    "line\nbreak",
    "SELECT",
    "*",
    " ",
    "1",
    "$1",
    "a -- b",
    "count(*)",
    "x'; DROP TABLE datasets",
];
/// Names that the store takes for attributes and dimensions only.
const MORE: [&str; 4] = ["__atlas_1", "/", "..", "_min"];
const DATASETS: [&str; 6] = ["d'1", "D'1", "a.b", "new\nline", "ÿ \"", "%_"];

/// Every dataset has every key and lacks most arrays; each value tells what it is of.
fn hostile() -> (Store, tempfile::TempDir) {
    let (store, directory) = empty();
    for (row, dataset) in DATASETS.iter().enumerate() {
        store.create_dataset(dataset).unwrap();
        for (key, name) in NAMES.iter().chain(&MORE).enumerate() {
            store.set_attribute(dataset, name, Attribute::Int64((1000 + key * 10 + row) as i64)).unwrap();
        }
        for (array, name) in NAMES.iter().enumerate().filter(|(array, _)| (array + row) % 4 == 0) {
            // Several dimensions of any name, in differing ranks.
            let dims = [NAMES[(array + 5) % 25], MORE[array % 4], ""];
            let dims = &dims[..1 + (array + row) / 4 % 3];
            let shape = vec![1; dims.len()];
            let data = ArrayData::from_numbers(shape.clone(), vec![(5000 + array * 10 + row) as i64]).unwrap();
            write(&store, dataset, name, ArraySchema::new(DType::Int64, dims, &shape), data);
        }
    }
    store.flush().unwrap();
    (store, directory)
}

/// The columns that hold a number.
fn holding(batch: &RecordBatch, number: i64) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let texts = (0..column.len()).map(|row| text(column, row));
        let is_it = |text: &String| text.split(|c: char| !c.is_ascii_digit()).any(|part| part == number.to_string());
        found.extend(texts.enumerate().filter(|(_, text)| is_it(text)).map(|(row, _)| (field.name().clone(), row)));
    }
    found
}

#[tokio::test]
async fn hostile_names_are_reached_in_every_table() {
    let (store, _directory) = hostile();
    let name = "the \"store\".x";
    let context = atlas_sql::session(&[(name.to_string(), store.clone())]).unwrap();
    let tables = tables(&context, name).await;
    assert!(tables.len() > 20, "{tables:?}");
    let listed = columns(&context, name).await;
    let mut cells_found = BTreeSet::new();
    for (number, table) in tables.iter().enumerate() {
        // There are many tables of cells, with the same attributes, and many columns of the catalog.
        let share = if table == "catalog" { 4 } else { 9 };
        let is_asked = |at: usize| !(table == "catalog" || table.starts_with("cells")) || at % share == number % share;
        let all = check_table(&context, name, table, &listed[table], is_asked).await;
        let columns: BTreeSet<_> = all.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(columns.len(), all.num_columns(), "{table}");
        match table.as_str() {
            "datasets" | "catalog" => {
                for (row, dataset) in DATASETS.iter().enumerate() {
                    let at = (0..all.num_rows()).find(|at| text(all.column(0), *at) == *dataset).unwrap();
                    for (key, own) in NAMES.iter().chain(&MORE).enumerate() {
                        let found = holding(&all, (1000 + key * 10 + row) as i64);
                        assert!(
                            found.len() == 1 && found[0].1 == at && found[0].0.starts_with(own),
                            "{own}: {found:?}"
                        );
                    }
                    for (array, own) in NAMES.iter().enumerate().filter(|(array, _)| (array + row) % 4 == 0) {
                        let found = holding(&all, (5000 + array * 10 + row) as i64);
                        let count = if table == "datasets" { 1 } else { 3 };
                        assert_eq!(found.len(), count, "{own}: {found:?}");
                        assert!(
                            found.iter().all(|found| found.1 == at && found.0.starts_with(own)),
                            "{own}: {found:?}"
                        );
                    }
                }
            }
            "attributes" => assert_eq!(all.num_rows(), DATASETS.len() * (NAMES.len() + MORE.len())),
            "arrays" | "chunks" => assert_eq!(all.num_rows(), holding_arrays()),
            _ => {
                for (row, _) in DATASETS.iter().enumerate() {
                    for (array, own) in NAMES.iter().enumerate() {
                        for (column, _) in holding(&all, (5000 + array * 10 + row) as i64) {
                            assert!(column.starts_with(own), "{own}: {column}");
                            cells_found.insert((array, row));
                        }
                    }
                }
            }
        }
    }
    assert_eq!(cells_found.len(), holding_arrays());
}

fn holding_arrays() -> usize {
    (0..DATASETS.len()).map(|row| (0..NAMES.len()).filter(|array| (array + row) % 4 == 0).count()).sum()
}

#[tokio::test]
async fn hostile_names_work_in_calls_and_filters() {
    let (store, _directory) = hostile();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    for (array, name) in NAMES.iter().enumerate() {
        let column = if *name == "dataset" { "dataset@array@array" } else { name };
        let own = quoted(column);
        let has = (0..DATASETS.len()).filter(|row| (array + row) % 4 == 0).count();
        let sql = format!(
            "SELECT dataset, stat_max({own}), dims({own}), {own} FROM datasets WHERE {own} IS NOT NULL AND stat_min({own}) >= {} ORDER BY stat_max({own})",
            5000 + array * 10
        );
        let batch = query(&context, &sql).await;
        assert_eq!(batch.num_rows(), has, "{sql}");
        let text = name.replace('\'', "''");
        let sql = format!("SELECT max(max), count(*) FROM arrays WHERE array = '{text}'");
        let batch = query(&context, &sql).await;
        assert_eq!(integers(batch.column(1)), [Some(has as i64)], "{sql}");
        let sql = format!("SELECT count(*) FROM attributes WHERE key = '{text}' AND number BETWEEN 1000 AND 2000");
        assert_eq!(count(&context, &sql).await, DATASETS.len() as i64, "{sql}");
    }
    for dataset in DATASETS {
        let text = dataset.replace('\'', "''");
        for table in ["datasets", "catalog"] {
            assert_eq!(count(&context, &format!("SELECT count(*) FROM {table} WHERE dataset = '{text}'")).await, 1);
        }
        let sql = format!("SELECT count(DISTINCT key) FROM attributes WHERE dataset IN ('{text}')");
        assert_eq!(count(&context, &sql).await, (NAMES.len() + MORE.len()) as i64);
    }
    // What the analyzer names columns by is no trap for an attribute of that name.
    let batch = query(
        &context,
        "SELECT * FROM (SELECT \"__atlas_1\", \"T\", dataset FROM datasets) WHERE stat_max(\"T\") > 0 AND \"__atlas_1\" > 0 ORDER BY stat_min(\"T\")",
    )
    .await;
    assert_eq!((batch.num_rows(), batch.num_columns()), (2, 3));
    assert!(integers(batch.column(0)).iter().all(|value| (1250..1260).contains(&value.unwrap())));
}

#[tokio::test]
async fn stores_of_any_name_are_schemas() {
    let names = ["", "Über \"x\"", "a.b", "information", "it's", "SELECT"];
    let stores: Vec<_> = names
        .iter()
        .map(|name| {
            let (store, directory) = empty();
            store.create_dataset(&format!("of {name}")).unwrap();
            store.flush().unwrap();
            ((*name).to_string(), store, directory)
        })
        .collect();
    let mounted: Vec<_> = stores.iter().map(|(name, store, _)| (name.clone(), store.clone())).collect();
    let context = atlas_sql::session(&mounted).unwrap();
    for name in names {
        let batch = query(&context, &format!("SELECT dataset FROM {}.datasets", quoted(name))).await;
        assert_eq!(strings(batch.column(0)), [Some(format!("of {name}"))]);
        assert_eq!(tables(&context, name).await, ["arrays", "attributes", "catalog", "chunks", "datasets"]);
    }
}

/// As many keys as nobody can list; each dataset has its own, a few of mixed types.
#[tokio::test]
async fn five_thousand_keys_are_quick() {
    let (store, _directory) = empty();
    for dataset in 0..20 {
        let name = format!("d{dataset:02}");
        store.create_dataset(&name).unwrap();
        for key in (dataset % 10..5000).step_by(10) {
            let value = match (key % 7, dataset) {
                (0, 10..) => Attribute::String(format!("text {key}")),
                (1, 10..) => Attribute::Float64(key as f64 + 0.5),
                _ => Attribute::Int64(key),
            };
            store.set_attribute(&name, &format!("Key {key:04}"), value).unwrap();
        }
        let schema = ArraySchema::new(DType::Int64, &["n"], &[4]).with_fill_value(Scalar::Int(-1));
        write(&store, &name, "v", schema, ArrayData::from_numbers(vec![4], vec![dataset, 1, -1, 2]).unwrap());
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    // DataFusion resolves the columns of `SELECT *` in time that is quadratic in their number; a table by itself does not.
    for (table, columns, rows) in [("datasets", 5002, 20), ("catalog", 5007, 20), ("cells_n", 5003, 80)] {
        let batches = context.table(table).await.unwrap().collect().await.unwrap();
        let batch = concat_batches(&batches[0].schema(), &batches).unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (rows, columns), "{table}");
        for key in [0usize, 7, 1234, 4999] {
            let column = batch.column(1 + key);
            assert_eq!(batch.schema().field(1 + key).name(), &format!("Key {key:04}"));
            assert_eq!(column.len() - column.null_count(), rows / 10, "{table}");
            let values = counted(column).into_keys().collect::<String>();
            assert!(values.contains(&key.to_string()), "{table}: {values}");
        }
    }
    let keys = (0..5000).step_by(500).map(|key| format!("\"Key {key:04}\"")).collect::<Vec<_>>();
    let sql = format!(
        "SELECT {}, v, stat_max(v) FROM datasets WHERE \"Key 4999\" > 3 AND stat_min(v) < 100",
        keys.join(", ")
    );
    let batch = query(&context, &sql).await;
    assert_eq!((batch.num_rows(), batch.num_columns()), (2, 12));
    let sql = "SELECT dataset, v FROM cells_n WHERE v > 1 AND \"Key 0012\" = 12 ORDER BY \"Key 4992\", v";
    assert_eq!(query(&context, sql).await.num_rows(), 4);
    let counts = keys.iter().map(|key| format!("count({key})")).collect::<Vec<_>>().join(", ");
    let counts = query(&context, &format!("SELECT {counts} FROM catalog")).await;
    assert!(counts.columns().iter().all(|column| column.as_primitive::<Int64Type>().values() == &[2]));
    let listed = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'datasets'";
    assert_eq!(count(&context, listed).await, 5002);
    assert_eq!(count(&context, "SELECT count(DISTINCT key) FROM attributes").await, 5000);
    let rows = "SELECT count(*) FROM attributes WHERE key LIKE 'Key 12%' AND type <> 'string'";
    assert_eq!(count(&context, rows).await, 2 * 100 - 14);
}
