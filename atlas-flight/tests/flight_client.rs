//! The client library against a running server: streams, reads that are cut, parameters, what a server refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;
mod flight_fixture;
mod flight_proxy;

use arrow::array::{ArrayRef, AsArray, FixedSizeListArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float32Type, Int64Type, Schema};
use arrow::error::ArrowError;
use arrow_flight::FlightDescriptor;
use atlas_flight::Limits;
use atlas_flight::bulk::request::StackedRequest;
use atlas_flight::client::{Client, Ingest, IngestMode, ReadOptions, SessionValue, TableName, parameters};
use atlas_flight::server::ServerOptions;
use atlas_store::{ArrayData, ArraySchema, CreateOptions, DType, Store};
use cli_support::{at, home, serve};
use datafusion::common::ScalarValue;
use flight_fixture::{DATASETS, Fixture, dataset, temperature};
use flight_proxy::Proxy;
use futures::{TryStreamExt, stream};
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

/// The datasets of a store that takes several messages to read, and the bytes of each one's array.
const LARGE_DATASETS: u32 = 40;
const LARGE_BYTES: usize = 1 << 20;

async fn client(fixture: &Fixture) -> Client {
    Client::connect(&fixture.address).await.unwrap()
}

fn large_store(home: &tempfile::TempDir) -> String {
    let location = at(home, "large");
    let store = Store::create(&location, CreateOptions::default()).unwrap();
    let cells = (LARGE_BYTES / 4) as u64;
    for row in 0..LARGE_DATASETS {
        let name = dataset(row);
        store.create_dataset(&name).unwrap();
        store.define_array(&name, "t", ArraySchema::new(DType::Float32, &["x"], &[cells])).unwrap();
        let values = (0..cells).map(|cell| temperature(row, 0, cell)).collect();
        store.write_array(&name, "t", &[0], ArrayData::from_numbers::<f32>(vec![cells], values).unwrap()).unwrap();
    }
    store.flush().unwrap();
    location
}

fn whole_of(partitions: u32) -> StackedRequest {
    StackedRequest { store: "large".into(), arrays: vec!["t".into()], partitions, ..StackedRequest::default() }
}

/// Checks that these batches are the whole of the large store, in order.
fn check_large(batches: &[RecordBatch]) {
    let whole = concat_batches(&batches[0].schema(), batches).unwrap();
    let names: Vec<String> = (0..LARGE_DATASETS).map(dataset).collect();
    assert!(whole.column(0).as_string::<i32>().iter().flatten().eq(names.iter().map(String::as_str)));
    for row in 0..LARGE_DATASETS {
        let cells = whole.column(1).as_fixed_size_list().value(row as usize);
        assert_eq!(cells.as_primitive::<Float32Type>().value(7), temperature(row, 0, 7));
    }
}

fn quickly(parts_at_a_time: usize, attempts: u32) -> ReadOptions {
    ReadOptions { parts_at_a_time, attempts, first_wait: Duration::from_millis(1) }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_have_their_schema_before_their_rows() {
    let fixture = Fixture::start().await;
    let client = client(&fixture).await;
    let mut rows = client.query_stream("SELECT dataset, temperature FROM datasets").await.unwrap();
    assert_eq!(rows.schema().field(1).name(), "temperature");
    let mut count = 0;
    while let Some(batch) = rows.try_next().await.unwrap() {
        assert_eq!(batch.schema(), rows.schema());
        count += batch.num_rows();
    }
    assert_eq!(count, DATASETS as usize);
    let none = client.query("SELECT dataset FROM datasets WHERE month > 99").await.unwrap();
    assert_eq!((none.len(), none[0].num_rows(), none[0].num_columns()), (1, 0, 1));
    let schema = client.query_schema("SELECT dataset, count FROM datasets").await.unwrap();
    assert_eq!(schema.fields().len(), 2);
    let path = FlightDescriptor::new_path(vec!["fleet".into(), "temperature".into()]);
    assert_eq!(client.schema(path).await.unwrap().field(0).name(), "dataset");
    let error = client.query("SELECT nothing FROM datasets").await.unwrap_err();
    assert_eq!((error.code(), error.is_lost()), (Code::InvalidArgument, false));
    assert!(error.message().contains("nothing"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_polls_holds_the_server_back_and_dropping_it_stops_it() {
    let fixture = Fixture::start_within(Limits { queries: 2, ..Limits::default() }).await;
    let proxy = Proxy::start(&fixture.address).await;
    let slow = Client::connect(&proxy.uri()).await.unwrap();
    let endless = "SELECT value FROM generate_series(1, 1000000000000)";
    let mut rows = slow.query_stream(endless).await.unwrap();
    let first = rows.try_next().await.unwrap().unwrap();
    assert_eq!(first.column(0).as_primitive::<Int64Type>().value(0), 1);
    // Others are served meanwhile; what is sent to the first is what its window holds.
    let others = client(&fixture).await;
    for _ in 0..50 {
        others.query("SELECT count(*) FROM cells_depth_time").await.unwrap();
    }
    assert!(proxy.bytes() < 40 << 20, "{} bytes were sent to a client that does not read", proxy.bytes());
    drop(rows);
    // Two queries run at a time: these would wait for ever if the dropped ones still ran.
    for _ in 0..3 {
        drop(slow.query_stream(endless).await.unwrap().try_next().await.unwrap());
    }
    assert_eq!(others.query("SELECT 1").await.unwrap()[0].num_rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_cut_goes_on_where_it_was() {
    let home = home();
    let served = serve(&["--store", &format!("large={}", large_store(&home))]);
    for (partitions, parts_at_a_time) in [(1, 1), (5, 1), (7, 3)] {
        let proxy = Proxy::start(&format!("http://{}", served.address())).await;
        let client = Client::connect(&proxy.uri()).await.unwrap();
        let options = quickly(parts_at_a_time, 5);
        let mut batches = client.stacked_stream_with(&whole_of(partitions), &options).await.unwrap();
        assert_eq!(batches.total_rows(), Some(u64::from(LARGE_DATASETS)));
        // Two times so much passes, and then everything. One batch is of 4 MiB at most.
        proxy.cut_after(&[14 << 20, 27 << 20]);
        let mut read = Vec::new();
        while let Some(batch) = batches.try_next().await.unwrap() {
            read.push(batch);
        }
        assert_eq!(proxy.cuts(), 2);
        check_large(&read);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_goes_on_after_the_server_was_killed_and_started_again() {
    let home = home();
    let store = format!("large={}", large_store(&home));
    let key = at(&home, "key");
    std::fs::write(&key, [7; 32]).unwrap();
    let mut served = serve(&["--store", &store, "--key", &key]);
    let address = served.address().to_owned();
    let client = Client::connect(&served.uri).await.unwrap();
    let mut batches = client.stacked_stream_with(&whole_of(4), &quickly(2, 12)).await.unwrap();
    let mut read = vec![batches.try_next().await.unwrap().unwrap()];
    served.kill();
    let again = serve(&["--store", &store, "--key", &key, "--listen", &address]);
    while let Some(batch) = batches.try_next().await.unwrap() {
        read.push(batch);
    }
    check_large(&read);
    // A query is not repeated, and a later one works.
    assert_eq!(client.query("SELECT dataset FROM datasets").await.unwrap()[0].num_rows(), LARGE_DATASETS as usize);
    drop(again);
    let error = client.stacked_stream_with(&whole_of(1), &quickly(1, 2)).await.unwrap_err();
    assert_eq!((error.code(), error.is_lost()), (Code::Unavailable, true));
    assert!(!error.message().contains('\n'), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_end() {
    let home = home();
    let served = serve(&["--store", &format!("large={}", large_store(&home))]);
    let proxy = Proxy::start(&format!("http://{}", served.address())).await;
    let client = Client::connect(&proxy.uri()).await.unwrap();
    let batches = client.stacked_stream_with(&whole_of(1), &quickly(1, 3)).await.unwrap();
    proxy.cut_after(&[0; 100]);
    let error = batches.into_batches().await.unwrap_err();
    assert_eq!((error.code(), error.is_lost()), (Code::Unavailable, true));
    // The request for the first batch, and three attempts.
    assert_eq!(proxy.cuts(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_bound_by_position_until_others_are() {
    let fixture = Fixture::start().await;
    let client = client(&fixture).await;
    let sql = "SELECT dataset, month FROM datasets WHERE month = ? AND station = ? ORDER BY dataset";
    let mut statement = client.prepare(sql).await.unwrap();
    assert_eq!((statement.schema().fields().len(), statement.parameter_schema().fields().len()), (2, 2));
    let names = |batches: Vec<RecordBatch>| -> Vec<String> {
        let texts =
            |batch: &RecordBatch| batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
        batches.iter().flat_map(|batch: &RecordBatch| -> Vec<String> { texts(batch) }).collect()
    };
    for (month, station) in [(1, 1), (0, 0), (2, 1)] {
        let row = [ScalarValue::Int64(Some(month)), ScalarValue::Utf8(Some(format!("s{station}")))];
        statement.bind(parameters(&row).unwrap()).await.unwrap();
        let chosen = |row: &u32| i64::from(row % 3) == month && row % 2 == station;
        let expected: Vec<String> = (0..DATASETS).filter(chosen).map(dataset).collect();
        assert_eq!(names(statement.query().await.unwrap()), expected);
    }
    let error = statement.bind(parameters(&[ScalarValue::Int64(Some(1))]).unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    statement.close().await.unwrap();
    let error = client.prepare("SELEC 1").await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_reads_refuses_each_way_to_write() {
    let fixture = Fixture::start().await;
    let client = client(&fixture).await;
    let numbers: Arc<Int64Array> = Arc::new(Int64Array::from(vec![1, 2]));
    let rows = RecordBatch::try_from_iter([("n", numbers as _)]).unwrap();
    let batches = || stream::iter([Ok(rows.clone())]);
    let ingest = |mode| Ingest { table: "numbers".into(), store: Some("fleet".into()), mode };
    let mut refused = vec![
        client.execute_update("DELETE FROM datasets").await.map(drop),
        client.put(&["fleet"], rows.schema(), batches()).await.map(drop),
        client.put(&["fleet", "cast_00"], rows.schema(), batches()).await.map(drop),
    ];
    for mode in [IngestMode::Create, IngestMode::Append, IngestMode::Replace, IngestMode::CreateAppend] {
        refused.push(client.ingest(&ingest(mode), rows.schema(), batches()).await.map(drop));
    }
    refused.push(client.prepare("DELETE FROM datasets WHERE month = ?").await.map(drop));
    refused.push(client.action("compact", r#"{"store": "fleet"}"#).await.map(drop));
    for error in refused {
        let error = error.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied, "{error}");
        assert!(!error.message().contains('\n'));
    }
    let statement = client.prepare("SELECT $1 AS n").await.unwrap();
    let error = statement.execute_update(rows).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
}

/// Rows of `dataset`, `month` and a tensor.
fn casts(names: &[&str], month: i64) -> RecordBatch {
    let field = atlas_sql::tensor::field_for("wind", DType::Float32, &["hour".into()], &[2]).unwrap();
    let cells = vec![ScalarValue::Float32(Some(3.5)); 2 * names.len()];
    let cells = ScalarValue::iter_to_array(cells).unwrap();
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let tensors = FixedSizeListArray::try_new(item, 2, cells, None).unwrap();
    let fields = vec![Field::new("dataset", DataType::Utf8, false), Field::new("month", DataType::Int64, true), field];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(names.to_vec())),
        Arc::new(Int64Array::from(vec![month; names.len()])),
        Arc::new(tensors),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

async fn count(client: &Client, condition: &str) -> i64 {
    let batches = client.query(&format!("SELECT count(*) AS n FROM datasets WHERE {condition}")).await.unwrap();
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_changes_is_written_to() {
    let options = ServerOptions { writable: true, ..ServerOptions::default() };
    let fixture = Fixture::serve(&["fleet"], options).await;
    let client = client(&fixture).await;
    let schema = casts(&["p"], 20).schema();
    let batches = stream::iter([Ok(casts(&["p", "q"], 20)), Ok(casts(&["r"], 20))]);
    let answers = client.put(&["fleet"], schema.clone(), batches).await.unwrap();
    assert_eq!(answers.len(), 1);
    assert_eq!(count(&client, "month = 20 AND stat_max(wind) = 3.5").await, 3);

    let ingest = Ingest { table: "datasets".into(), store: None, mode: IngestMode::Append };
    let loaded = client.ingest(&ingest, schema.clone(), stream::iter([Ok(casts(&["s"], 21))])).await.unwrap();
    assert_eq!((loaded, count(&client, "month = 21").await), (Some(1), 1));

    for _ in 0..20 {
        let broke = ArrowError::ComputeError("the source broke".into());
        let failing = stream::iter([Ok(casts(&["t"], 22)), Err(broke)]);
        let error = client.put(&["fleet"], schema.clone(), failing).await.unwrap_err();
        assert!(error.message().contains("the source broke"), "{error}");
    }

    assert_eq!(client.execute_update("UPDATE datasets SET month = 30 WHERE month = 20").await.unwrap(), Some(3));
    let statement = client.prepare("UPDATE datasets SET month = ? WHERE dataset = ?").await.unwrap();
    let months: ArrayRef = Arc::new(Int64Array::from(vec![31, 32]));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["p", "s"]));
    let rows = RecordBatch::try_from_iter([("0", months), ("1", names)]).unwrap();
    assert_eq!(statement.execute_update(rows).await.unwrap(), Some(2));
    assert_eq!((count(&client, "month = 31").await, count(&client, "month = 32").await), (1, 1));
    let delete = client.prepare("DELETE FROM datasets WHERE month > 29").await.unwrap();
    assert_eq!(delete.execute_update(parameters(&[]).unwrap()).await.unwrap(), Some(4));
    assert_eq!(count(&client, "month = 22").await, 0, "a stream that broke leaves nothing");
    assert_eq!(count(&client, "true").await, i64::from(DATASETS));
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_and_tables_are_listed() {
    let fixture = Fixture::serve(&["fleet", "my_fleet"], ServerOptions::default()).await;
    let client = client(&fixture).await;
    assert_eq!(client.stores().await.unwrap(), ["fleet", "my_fleet"]);
    let tables = client.tables(Some("my_fleet")).await.unwrap();
    assert!(tables.iter().all(|table| table.store == "my_fleet"), "_ is no wildcard: {tables:?}");
    assert!(tables.contains(&TableName { store: "my_fleet".into(), table: "datasets".into() }));
    assert_eq!(client.tables(None).await.unwrap().len(), 2 * tables.len());
    let flights: Vec<_> = client.list_flights("").await.unwrap().try_collect().await.unwrap();
    assert!(flights.len() >= 12);
    let batches = client.read(flights[0].clone(), &ReadOptions::default()).unwrap().into_batches().await.unwrap();
    assert_eq!(batches[0].num_rows(), DATASETS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_have_options_and_actions_have_names() {
    let fixture = Fixture::start().await;
    let client = client(&fixture).await;
    assert!(client.list_actions().await.unwrap().iter().any(|action| action.r#type == "SetSessionOptions"));
    let options = client.session_options().await.unwrap();
    assert_eq!(options["schema"], SessionValue::from("fleet"));
    client.set_session_options(&[("schema", "fleet".into())]).await.unwrap();
    let error = client.set_session_options(&[("no_such_option", SessionValue::Bool(true))]).await.unwrap_err();
    assert!(error.code() == Code::InvalidArgument && error.message().contains("no_such_option"), "{error}");
    client.use_store("fleet").await.unwrap();
    assert_eq!(client.default_store().await.unwrap(), "fleet");
    let error = client.use_store("nowhere").await.unwrap_err();
    assert_eq!(error.to_string(), "no such store: nowhere; served are fleet");
    assert_eq!(error.code(), Code::NotFound);
    let path = FlightDescriptor::new_path(vec!["fleet".into(), "depth".into()]);
    client.cancel_flight_info(client.flight_info(path).await.unwrap()).await.unwrap();
    assert_eq!(client.action("NoSuchAction", "").await.unwrap_err().code(), Code::Unimplemented);
    client.close_session().await.unwrap();
}
