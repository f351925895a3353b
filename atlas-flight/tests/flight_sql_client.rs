//! Every method of arrow-flight's own Flight SQL client, in the order in which a program would call them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, CommandStatementIngest, EndTransaction, SqlInfo,
    TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use arrow_flight::{Action, FlightDescriptor, FlightInfo};
use atlas_flight::auth::{Users, hash_password};
use atlas_flight::server::ServerOptions;
use flight_fixture::{DATASETS, Fixture, announced};
use futures::{TryStreamExt, stream};
use std::sync::Arc;
use tonic::Code;
use tonic::transport::Channel;

type Sql = FlightSqlServiceClient<Channel>;

/// All rows of a FlightInfo's one endpoint, which have the schema that it announces.
async fn rows(client: &mut Sql, info: FlightInfo) -> RecordBatch {
    assert_eq!(info.endpoint.len(), 1);
    let schema = Arc::new(announced(&info));
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await.unwrap() {
        assert_eq!(batch.schema(), schema);
        batches.push(batch);
    }
    assert_eq!(stream.schema(), Some(&schema));
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn texts<'a>(batch: &'a RecordBatch, column: &str) -> Vec<&'a str> {
    batch.column_by_name(column).unwrap().as_string::<i32>().iter().flatten().collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, FlightError>, code: Code) {
    match result.unwrap_err() {
        FlightError::Tonic(status) => assert_eq!(status.code(), code, "{status}"),
        FlightError::ExternalError(error) => panic!("{error}"),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_changes_what_it_may() {
    let options = ServerOptions { writable: true, ..ServerOptions::default() };
    let fixture = Fixture::serve(&["fleet"], options).await;
    let mut client = FlightSqlServiceClient::new(fixture.channel().await);
    let changed = client.execute_update("UPDATE datasets SET month = 7 WHERE station = 's1'".into(), None).await;
    assert_eq!(changed.unwrap(), 5);
    let names: Arc<StringArray> = Arc::new(StringArray::from(vec!["x", "y"]));
    let batch = RecordBatch::try_from_iter([("dataset", names as _)]).unwrap();
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Fail.into(),
            if_exists: TableExistsOption::Append.into(),
        }),
        table: "datasets".into(),
        ..CommandStatementIngest::default()
    };
    assert_eq!(client.execute_ingest(command, stream::iter([Ok(batch)])).await.unwrap(), 2);
    let mut statement = client.prepare("DELETE FROM datasets WHERE month = 7".into(), None).await.unwrap();
    assert_eq!(statement.execute_update().await.unwrap(), 5);
    let info = client.execute("SELECT dataset FROM datasets".into(), None).await.unwrap();
    assert_eq!(rows(&mut client, info).await.num_rows(), DATASETS as usize - 5 + 2);
}

async fn logged_in() -> (Fixture, Sql) {
    let users = format!("[users.ann]\npassword = {:?}\nstores = {{ \"*\" = \"read\" }}", hash_password("pw").unwrap());
    let options = ServerOptions { users: Some(Users::parse(&users).unwrap()), ..ServerOptions::default() };
    let fixture = Fixture::serve(&["fleet"], options).await;
    let mut client = FlightSqlServiceClient::new(fixture.channel().await);
    refused(client.execute("SELECT 1".into(), None).await, Code::Unauthenticated);
    assert!(client.handshake("ann", "wrong").await.is_err());
    let token = client.handshake("ann", "pw").await.unwrap();
    assert_eq!(client.token().unwrap().as_bytes(), token);
    (fixture, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_logs_in_and_reads() {
    let (_fixture, mut client) = logged_in().await;
    let info = client.execute("SELECT dataset, temperature FROM datasets".into(), None).await.unwrap();
    assert_eq!(rows(&mut client, info).await.num_rows(), DATASETS as usize);
    client.set_header("array_format", "json");
    let info = client.execute("SELECT temperature FROM datasets LIMIT 1".into(), None).await.unwrap();
    assert!(rows(&mut client, info).await.column(0).as_string::<i32>().value(0).starts_with("[["));
    let mut other = FlightSqlServiceClient::new_from_inner(client.inner().clone());
    other.set_token(client.token().unwrap().clone());
    let info = other.execute("SELECT 1 AS one".into(), None).await.unwrap();
    assert_eq!(rows(&mut other, info).await.num_rows(), 1);
    other.clear_token();
    refused(other.execute("SELECT 1".into(), None).await, Code::Unauthenticated);
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_browses() {
    let (_fixture, mut client) = logged_in().await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(texts(&rows(&mut client, info).await, "catalog_name"), ["atlas"]);
    let info = client.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    assert!(texts(&rows(&mut client, info).await, "db_schema_name").contains(&"fleet"));
    for include_schema in [false, true] {
        let command = CommandGetTables {
            table_name_filter_pattern: Some("data%".into()),
            include_schema,
            ..CommandGetTables::default()
        };
        let info = client.get_tables(command).await.unwrap();
        let tables = rows(&mut client, info).await;
        assert_eq!(texts(&tables, "table_name"), ["datasets"]);
        assert_eq!(tables.column_by_name("table_schema").is_some(), include_schema);
    }
    let info = client.get_table_types().await.unwrap();
    assert_eq!(texts(&rows(&mut client, info).await, "table_type"), ["TABLE"]);
    let table = || "datasets".to_string();
    let info = client.get_primary_keys(CommandGetPrimaryKeys { table: table(), ..Default::default() }).await.unwrap();
    assert_eq!(texts(&rows(&mut client, info).await, "column_name"), ["dataset"]);
    let exported = CommandGetExportedKeys { table: table(), ..Default::default() };
    let info = client.get_exported_keys(exported).await.unwrap();
    assert_eq!(rows(&mut client, info).await.num_rows(), 0);
    let imported = CommandGetImportedKeys { table: table(), ..Default::default() };
    let info = client.get_imported_keys(imported).await.unwrap();
    assert_eq!(rows(&mut client, info).await.num_rows(), 0);
    let crossed = CommandGetCrossReference { pk_table: table(), fk_table: "catalog".into(), ..Default::default() };
    let info = client.get_cross_reference(crossed).await.unwrap();
    assert_eq!(rows(&mut client, info).await.num_rows(), 0);
    let info = client.get_sql_info(vec![SqlInfo::FlightSqlServerName]).await.unwrap();
    assert_eq!(rows(&mut client, info).await.num_rows(), 1);
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
    assert!(rows(&mut client, info).await.num_rows() > 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_prepares_statements() {
    let (_fixture, mut client) = logged_in().await;
    let sql = "SELECT count(*) AS n FROM datasets WHERE month = $1 AND station = $2".to_string();
    let mut statement = client.prepare(sql, None).await.unwrap();
    assert_eq!(statement.dataset_schema().unwrap().field(0).name(), "n");
    assert_eq!(statement.parameter_schema().unwrap().fields().len(), 2);
    for (month, station, expected) in [(0, "s0", 2), (1, "s1", 2), (7, "s1", 0)] {
        let values = RecordBatch::try_from_iter([
            ("$1", Arc::new(Int64Array::from(vec![month])) as _),
            ("$2", Arc::new(StringArray::from(vec![station])) as _),
        ]);
        statement.set_parameters(values.unwrap()).unwrap();
        let info = statement.execute().await.unwrap();
        let counted = rows(&mut client, info).await;
        assert_eq!(counted.column(0).as_primitive::<Int64Type>().value(0), expected);
    }
    refused(statement.execute_update().await, Code::InvalidArgument);
    statement.close().await.unwrap();
    refused(client.prepare("DELETE FROM datasets".into(), None).await, Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_would_change_is_refused() {
    let (_fixture, mut client) = logged_in().await;
    refused(client.execute_update("DELETE FROM datasets".into(), None).await, Code::PermissionDenied);
    let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as _)]).unwrap();
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Create.into(),
            if_exists: TableExistsOption::Append.into(),
        }),
        table: "numbers".into(),
        schema: Some("fleet".into()),
        ..CommandStatementIngest::default()
    };
    refused(client.execute_ingest(command, stream::iter([Ok(batch.clone())])).await, Code::PermissionDenied);
    let path = FlightDescriptor::new_path(vec!["fleet".into()]);
    let encoder = FlightDataEncoderBuilder::new().with_flight_descriptor(Some(path));
    let messages: Vec<_> = encoder.build(stream::iter([Ok(batch)])).try_collect().await.unwrap();
    refused(client.do_put(stream::iter(messages)).await, Code::PermissionDenied);
    refused(client.do_action(Action::new("NoSuchAction", "")).await.map(drop), Code::Unimplemented);
    refused(client.begin_transaction().await, Code::Unimplemented);
    refused(client.end_transaction("id".into(), EndTransaction::Rollback).await, Code::Unimplemented);
    let transaction = Some("id".into());
    refused(client.execute("SELECT 1".into(), transaction).await, Code::Unimplemented);
}
