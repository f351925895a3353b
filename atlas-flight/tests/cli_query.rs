//! `atlas query`: results in every format, files, several statements.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Int64Type};
use cli_support::{at, atlas, home, small_store};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use std::fs::File;

#[test]
fn tables_shorten_arrays() {
    let home = home();
    let store = small_store(&home);
    let table = atlas(&["query", &store, "SELECT dataset, t, stat_max(t) AS top FROM datasets ORDER BY dataset"]).ok();
    assert!(table.contains("| dataset | t "), "{table}");
    assert!(table.contains("2×3 [10.0, 11.0, 12.0, 13.0, 14.0, NaN]"), "{table}");
    assert!(table.lines().any(|line| line.contains("| c ") && line.contains("NULL")), "{table}");
    let empty = atlas(&["query", &store, "SELECT dataset FROM datasets WHERE month > 99"]).ok();
    assert!(empty.contains("dataset"), "{empty}");
}

#[test]
fn csv_holds_arrays_as_json_text() {
    let home = home();
    let store = small_store(&home);
    let sql = "SELECT dataset, slice(t, [0,0], [2,2]) AS s FROM datasets WHERE dataset <> 'c' ORDER BY dataset";
    let csv = atlas(&["query", &store, sql, "--format", "csv"]).ok();
    assert_eq!(csv, "dataset,s\na,\"[[0.0,1.0],[3.0,4.0]]\"\nb,\"[[10.0,11.0],[13.0,14.0]]\"\n");
    let empty = atlas(&["query", &store, "SELECT dataset FROM datasets WHERE month > 99", "--format", "csv"]).ok();
    assert_eq!(empty, "dataset\n");
}

#[test]
fn json_is_an_array_of_objects() {
    let home = home();
    let store = small_store(&home);
    let sql = "SELECT dataset, month, slice(t, [0,1], [2,1]) AS s FROM datasets ORDER BY dataset";
    let rows = atlas(&["query", &store, sql, "--format", "json"]).json();
    assert_eq!(rows[1], json!({"dataset": "b", "month": 2, "s": [[11.0], [14.0]]}));
    assert_eq!(rows[2], json!({"dataset": "c", "month": 3, "s": null}));
    let sql = "SELECT dataset FROM datasets WHERE false";
    assert_eq!(atlas(&["query", &store, sql, "--format", "json"]).json(), json!([]));
}

#[test]
fn arrow_is_a_stream_in_a_pipe_and_a_file_with_o() {
    let home = home();
    let store = small_store(&home);
    let sql = "SELECT dataset, slice(t, [0,0], [1,3]) AS s FROM datasets WHERE month < 3 ORDER BY dataset";
    let run = atlas(&["query", &store, sql, "--format", "arrow"]);
    let stream = arrow::ipc::reader::StreamReader::try_new(&run.bytes[..], None).unwrap();
    assert_eq!(stream.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 2);

    let path = at(&home, "answer.arrow");
    assert_eq!(atlas(&["query", &store, sql, "-o", &path]).ok(), "");
    let file = arrow::ipc::reader::FileReader::try_new(File::open(&path).unwrap(), None).unwrap();
    let field = file.schema().field(1).clone();
    assert_eq!(field.metadata()["ARROW:extension:name"], "arrow.fixed_shape_tensor");
    let batches: Vec<_> = file.map(Result::unwrap).collect();
    let cells = batches[0].column(1).as_fixed_size_list().value(0);
    assert_eq!(cells.as_primitive::<Float32Type>().values(), &[0.0, 1.0, 2.0]);
}

#[test]
fn parquet_is_chosen_by_the_ending() {
    let home = home();
    let store = small_store(&home);
    let path = at(&home, "answer.parquet");
    atlas(&["query", &store, "SELECT dataset, month FROM datasets ORDER BY month", "-o", &path]).ok();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().values(), &[1, 2, 3]);
}

#[test]
fn a_failed_query_leaves_the_old_file() {
    let home = home();
    let store = small_store(&home);
    let path = at(&home, "answer.csv");
    std::fs::write(&path, "old").unwrap();
    atlas(&["query", &store, "SELECT slice(t, [0,0], [9,9]) FROM datasets", "-o", &path]).fails(1, &["t", "9"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
}

#[test]
fn statements_run_in_order() {
    let home = home();
    let store = small_store(&home);
    let sql = "CREATE VIEW late AS SELECT * FROM catalog WHERE month > 1; SELECT count(*) AS n FROM late;";
    assert_eq!(atlas(&["query", &store, sql, "--format", "csv"]).ok(), "n\n2\n");
    let tables = atlas(&["query", &store, "SELECT 1 AS one; SELECT 2 AS two"]).ok();
    assert!(tables.contains("one") && tables.contains("two"), "{tables}");
    atlas(&["query", &store, "SELECT 1; SELECT 2", "--format", "json"]).fails(2, &["one result"]);
    atlas(&["query", &store, " ; "]).fails(2, &["no statement"]);
}

#[test]
fn copy_writes_files_that_can_be_joined() {
    let home = home();
    let store = small_store(&home);
    let path = at(&home, "catalog.parquet");
    atlas(&["query", &store, &format!("COPY (SELECT dataset, t_max FROM catalog) TO '{path}'")]).ok();
    let sql = format!(
        "CREATE EXTERNAL TABLE side STORED AS PARQUET LOCATION '{path}'; \
         SELECT d.ship, side.t_max FROM datasets d JOIN side ON d.dataset = side.dataset WHERE d.month = 2"
    );
    assert_eq!(atlas(&["query", &store, &sql, "--format", "csv"]).ok(), "ship,t_max\nMeteor,14.0\n");
    let sql = format!("SELECT count(*) AS n FROM datasets d JOIN '{path}' AS side ON d.dataset = side.dataset");
    assert_eq!(atlas(&["query", &store, &sql, "--format", "csv"]).ok(), "n\n3\n");
    atlas(&["query", &store, "CREATE VIEW datasets AS SELECT 1"]).fails(1, &["datasets"]);
    for sql in [
        "DROP TABLE catalog",
        "DROP VIEW IF EXISTS arrays",
        "DELETE FROM datasets",
        "TRUNCATE TABLE attributes",
        "INSERT INTO chunks SELECT * FROM chunks",
        "UPDATE catalog SET month = 1",
    ] {
        atlas(&["query", &store, sql]).fails(1, &["table of the store"]);
    }
    let own = "CREATE TABLE own AS SELECT dataset FROM datasets; INSERT INTO own VALUES ('d'); \
               SELECT count(*) AS n FROM own; DROP TABLE own";
    assert!(atlas(&["query", &store, own]).ok().contains("| 4 |"));
    let nowhere = at(&home, "nowhere.csv");
    atlas(&["query", &store, &format!("SELECT * FROM '{nowhere}'")]).fails(1, &["nowhere.csv", "no such file"]);
}

#[test]
fn the_ending_of_a_file_says_its_format() {
    let home = home();
    let store = small_store(&home);
    for (name, begins) in [("a.json", "[{"), ("a.csv", "one\n"), ("a.txt", "+---"), ("a", "+---")] {
        let path = at(&home, name);
        atlas(&["query", &store, "SELECT 1 AS one", "-o", &path]).ok();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.replace('\n', "").starts_with(&begins.replace('\n', "")), "{name}: {text}");
    }
    let path = at(&home, "a.xyz");
    atlas(&["query", &store, "SELECT 1 AS one", "-o", &path]).fails(2, &["a.xyz", "--format"]);
    atlas(&["query", &store, "SELECT 1 AS one", "-o", &path, "--format", "csv"]).ok();
}

#[test]
fn the_store_has_its_directory_s_name() {
    let home = home();
    let store = small_store(&home);
    let csv = atlas(&["query", &store, "SELECT count(*) AS n FROM small.datasets", "--format", "csv"]).ok();
    assert_eq!(csv, "n\n3\n");
}
