//! Flight SQL through a running server, with arrow-flight's client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, UnionArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, UInt32Type, UnionFields};
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    Any, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, CommandStatementQuery, ProstMessageExt, SqlInfo,
};
use arrow_flight::{Action, FlightDescriptor, FlightInfo, Ticket};
use atlas_store::Attribute;
use flight_fixture::{Fixture, announced, dataset, fetch};
use futures::TryStreamExt;
use prost::Message;
use std::sync::Arc;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

async fn client(fixture: &Fixture) -> FlightSqlServiceClient<Channel> {
    FlightSqlServiceClient::new(fixture.channel().await)
}

/// Reads a FlightInfo's one endpoint, and checks that what comes is what was announced.
async fn rows(fixture: &Fixture, info: &FlightInfo) -> Result<RecordBatch, Status> {
    assert_eq!(info.endpoint.len(), 1);
    assert!(info.endpoint[0].location.is_empty());
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let (schema, batches) = fetch(&mut fixture.flight().await, ticket).await?;
    assert_eq!(*schema, announced(info), "delivered is announced");
    assert!(batches.iter().all(|batch| batch.schema() == schema));
    Ok(arrow::compute::concat_batches(&schema, &batches).unwrap())
}

async fn query(fixture: &Fixture, sql: &str) -> Result<RecordBatch, Status> {
    let info = client(fixture).await.execute(sql.to_string(), None).await.map_err(status_of)?;
    rows(fixture, &info).await
}

/// The status inside the client's error.
fn status_of(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => panic!("{other}"),
    }
}

/// The status of a statement, called as a plain Flight client does.
async fn refused(fixture: &Fixture, sql: &str) -> Status {
    let command = CommandStatementQuery { query: sql.into(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    match fixture.flight().await.get_flight_info(descriptor).await {
        Err(status) => status,
        Ok(info) => {
            let ticket = info.into_inner().endpoint[0].ticket.clone().unwrap();
            fetch(&mut fixture.flight().await, ticket).await.expect_err(sql)
        }
    }
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap();
    column.as_string::<i32>().iter().map(|text| text.unwrap_or("NULL").to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_deliver_the_schema_that_they_announce() {
    let fixture = Fixture::start().await;
    for (sql, expected) in [
        ("SELECT * FROM datasets", 10),
        ("SELECT * FROM catalog", 10),
        ("SELECT * FROM arrays", 69),
        ("SELECT * FROM datasets WHERE month = 77", 0),
        ("SELECT * FROM datasets LIMIT 0", 0),
        ("SELECT * FROM datasets WHERE 1 = 0", 0),
        ("SELECT count(*), avg(month), max(station) FROM datasets", 1),
        ("SELECT dataset, slice(temperature, [0, 0], [2, 3]) AS s FROM fleet.datasets ORDER BY dataset DESC", 10),
        ("SELECT dataset, stat_max(temperature) FROM datasets UNION ALL SELECT 'x', 1", 11),
        ("SELECT a.dataset, b.temperature FROM datasets a JOIN datasets b ON a.dataset = b.dataset", 10),
        ("SELECT NULL AS n, arrow_cast('x', 'Utf8View') AS v, arrow_cast('y', 'Dictionary(Int8, Utf8)') AS d", 1),
        ("SELECT arrow_cast(1.5, 'Float16') AS h, [1, 2] AS l, {a: arrow_cast('x', 'Utf8View')} AS s", 1),
        ("EXPLAIN SELECT * FROM datasets", 2),
        ("SHOW TABLES", -1),
        ("SELECT * FROM information_schema.tables", -1),
        ("DESCRIBE datasets", -1),
        ("VALUES (1, 'a'), (2, NULL)", 2),
    ] {
        let batch = query(&fixture, sql).await.unwrap_or_else(|status| panic!("{sql}: {status:?}"));
        if expected >= 0 {
            assert_eq!(batch.num_rows(), expected as usize, "{sql}");
        }
        for field in batch.schema().fields() {
            let awkward = matches!(
                field.data_type(),
                DataType::Utf8View | DataType::BinaryView | DataType::Dictionary(_, _) | DataType::Float16
            );
            assert!(!awkward, "{sql}: {field:?}");
        }
    }
    let tensors = query(&fixture, "SELECT temperature FROM datasets").await.unwrap();
    assert_eq!(tensors.schema().field(0).metadata()["ARROW:extension:name"], "arrow.fixed_shape_tensor");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_results_come_in_messages_that_every_client_takes() {
    let fixture = Fixture::start().await;
    let sql = "SELECT a.value AS n, repeat('x', 100) AS t FROM generate_series(1, 100000) a";
    let mut small = arrow_flight::flight_service_client::FlightServiceClient::new(fixture.channel().await);
    let command = CommandStatementQuery { query: sql.into(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = small.get_flight_info(descriptor).await.unwrap().into_inner();
    // This client has gRPC's default limit of 4 MiB.
    let (_, batches) = fetch(&mut small, info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 100_000);
    assert!(batches.len() >= 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_queries_have_clear_codes() {
    let fixture = Fixture::start().await;
    for (sql, code) in [
        ("SELEC 1", Code::InvalidArgument),
        ("", Code::InvalidArgument),
        ("SELECT nothing FROM datasets", Code::InvalidArgument),
        ("SELECT * FROM nothing", Code::NotFound),
        ("SELECT * FROM other.datasets", Code::NotFound),
        ("SELECT * FROM '/etc/passwd'", Code::NotFound),
        ("SELECT no_such_function(1)", Code::InvalidArgument),
        ("SELECT 1 / 0", Code::InvalidArgument),
        ("SELECT CAST('x' AS INT)", Code::InvalidArgument),
        ("SELECT * FROM datasets WHERE month = $1", Code::InvalidArgument),
        ("SELECT slice(temperature, [0], [1]) FROM datasets", Code::InvalidArgument),
        ("SELECT slice(temperature, [0, 0], [9, 9]) FROM datasets", Code::InvalidArgument),
        ("CREATE TABLE t (a INT)", Code::PermissionDenied),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", Code::PermissionDenied),
        ("CREATE VIEW v AS SELECT 1", Code::PermissionDenied),
        ("CREATE SCHEMA s", Code::PermissionDenied),
        ("DROP TABLE datasets", Code::PermissionDenied),
        ("INSERT INTO datasets (dataset) VALUES ('x')", Code::PermissionDenied),
        ("DELETE FROM datasets", Code::PermissionDenied),
        ("UPDATE datasets SET month = 1", Code::PermissionDenied),
        ("COPY datasets TO '/tmp/stolen.csv'", Code::PermissionDenied),
        ("EXPLAIN ANALYZE COPY datasets TO '/tmp/stolen.csv'", Code::PermissionDenied),
        ("SET datafusion.execution.batch_size = 1", Code::PermissionDenied),
        ("PREPARE p AS SELECT 1", Code::PermissionDenied),
        ("BEGIN", Code::PermissionDenied),
    ] {
        let status = refused(&fixture, sql).await;
        assert_eq!(status.code(), code, "{sql}: {status:?}");
        assert!(!status.message().is_empty() && !status.message().contains('\n'), "{sql}: {status:?}");
        assert!(status.message().len() < 4096, "{sql}");
    }
    assert!(!std::path::Path::new("/tmp/stolen.csv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_take_parameters_by_position() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    let sql = "SELECT dataset, '?' AS q FROM datasets WHERE month = ? AND station = ? ORDER BY dataset";
    let mut statement = client.prepare(sql.to_string(), None).await.unwrap();
    assert_eq!(statement.dataset_schema().unwrap().fields().len(), 2);
    let parameters = statement.parameter_schema().unwrap();
    let types: Vec<_> = parameters.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types, [DataType::Int64, DataType::Utf8]);
    let status = status_of(statement.execute().await.unwrap_err());
    assert_eq!(status.code(), Code::InvalidArgument);
    for (month, station, expected) in [(1, "s1", vec![1, 7]), (2, "s0", vec![2, 8])] {
        let values: [(&str, ArrayRef); 2] =
            [("0", Arc::new(Int64Array::from(vec![month]))), ("1", Arc::new(StringArray::from(vec![station])))];
        statement.set_parameters(RecordBatch::try_from_iter(values).unwrap()).unwrap();
        let info = statement.execute().await.unwrap();
        let batch = rows(&fixture, &info).await.unwrap();
        assert_eq!(texts(&batch, "dataset"), expected.into_iter().map(dataset).collect::<Vec<_>>());
    }
    statement.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_keeps_the_values_that_it_was_given_for() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    let mut statement = client.prepare("SELECT $1 AS a, $2 AS b, $1 AS c".into(), None).await.unwrap();
    let bind = |a: i64, b: f64| {
        let values: [(&str, ArrayRef); 2] =
            [("x", Arc::new(Int64Array::from(vec![a]))), ("x2", Arc::new(Float64Array::from(vec![b])))];
        RecordBatch::try_from_iter(values).unwrap()
    };
    statement.set_parameters(bind(1, 0.5)).unwrap();
    let first = statement.execute().await.unwrap();
    statement.set_parameters(bind(2, 1.5)).unwrap();
    let second = statement.execute().await.unwrap();
    statement.close().await.unwrap();
    for (info, expected) in [(second, 2), (first, 1)] {
        let batch = rows(&fixture, &info).await.unwrap();
        assert_eq!(batch.column(2).as_primitive::<Int64Type>().value(0), expected);
        assert_eq!(batch.num_columns(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_may_be_dense_unions() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    let mut statement = client.prepare("SELECT count(*) FROM datasets WHERE month = ?".into(), None).await.unwrap();
    let fields: UnionFields = [
        (0i8, Arc::new(Field::new("text", DataType::Utf8, true))),
        (1i8, Arc::new(Field::new("int", DataType::Int64, true))),
    ]
    .into_iter()
    .collect();
    let children: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(Vec::<&str>::new())), Arc::new(Int64Array::from(vec![1]))];
    let union = UnionArray::try_new(fields, ScalarBuffer::from(vec![1i8]), Some(ScalarBuffer::from(vec![0])), children);
    let values: [(&str, ArrayRef); 1] = [("0", Arc::new(union.unwrap()))];
    statement.set_parameters(RecordBatch::try_from_iter(values).unwrap()).unwrap();
    let info = statement.execute().await.unwrap();
    let batch = rows(&fixture, &info).await.unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn eleven_parameters_are_bound_in_order() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    let marks = ["?"; 11].join(", ");
    let mut statement = client.prepare(format!("SELECT {marks}"), None).await.unwrap();
    let values = (0..11).map(|n| (n.to_string(), Arc::new(Int64Array::from(vec![n])) as ArrayRef));
    statement.set_parameters(RecordBatch::try_from_iter(values).unwrap()).unwrap();
    let info = statement.execute().await.unwrap();
    let batch = rows(&fixture, &info).await.unwrap();
    let got: Vec<i64> = batch.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect();
    assert_eq!(got, (0..11).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_and_transactions_are_refused() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    let status = status_of(client.execute_update("DELETE FROM datasets".into(), None).await.unwrap_err());
    assert_eq!(status.code(), Code::PermissionDenied);
    let status = status_of(client.prepare("DROP TABLE datasets".into(), None).await.err().unwrap());
    assert_eq!(status.code(), Code::PermissionDenied);
    let status = status_of(client.begin_transaction().await.unwrap_err());
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogs_schemas_and_tables_are_listed() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(texts(&rows(&fixture, &info).await.unwrap(), "catalog_name"), ["atlas"]);
    for (catalog, pattern, expected) in [
        (None, None, vec!["fleet"]),
        (Some("atlas"), Some("fl%"), vec!["fleet"]),
        (Some("atlas"), Some("f_eet"), vec!["fleet"]),
        (Some(""), None, vec![]),
        (None, Some("x%"), vec![]),
    ] {
        let command =
            CommandGetDbSchemas { catalog: catalog.map(Into::into), db_schema_filter_pattern: pattern.map(Into::into) };
        let info = client.get_db_schemas(command).await.unwrap();
        assert_eq!(texts(&rows(&fixture, &info).await.unwrap(), "db_schema_name"), expected, "{catalog:?} {pattern:?}");
    }
    let cells = ["cells", "cells_depth", "cells_depth_time", "cells_level", "cells_line", "cells_time"];
    let all = [&["arrays", "attributes", "catalog"][..], &cells, &["chunks", "datasets"]].concat();
    for (name, types, expected) in [
        (None, vec![], all.clone()),
        (None, vec!["table"], all.clone()),
        (None, vec!["BASE TABLE", "table"], all.clone()),
        (None, vec!["VIEW"], vec![]),
        (Some("data%"), vec![], vec!["datasets"]),
        (Some("data\\%"), vec![], vec![]),
        (Some("SELECT * FROM datasets WHERE a = '(['"), vec![], vec![]),
    ] {
        for include_schema in [false, true] {
            let command = CommandGetTables {
                table_name_filter_pattern: name.map(Into::into),
                table_types: types.iter().map(ToString::to_string).collect(),
                include_schema,
                ..CommandGetTables::default()
            };
            let info = client.get_tables(command).await.unwrap();
            let batch = rows(&fixture, &info).await.unwrap();
            assert_eq!(texts(&batch, "table_name"), expected, "{name:?} {types:?}");
            assert_eq!(batch.num_columns(), if include_schema { 5 } else { 4 });
        }
    }
    let info = client.get_table_types().await.unwrap();
    assert_eq!(texts(&rows(&fixture, &info).await.unwrap(), "table_type"), ["TABLE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tables_schema_is_that_of_selecting_all_of_it() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    let command = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    let info = client.get_tables(command).await.unwrap();
    let batch = rows(&fixture, &info).await.unwrap();
    for (row, table) in texts(&batch, "table_name").iter().enumerate() {
        let bytes = batch.column_by_name("table_schema").unwrap().as_binary::<i32>().value(row).to_vec();
        let schema = Schema::try_from(arrow_flight::IpcMessage(bytes.into())).unwrap();
        let selected = query(&fixture, &format!("SELECT * FROM {table} LIMIT 0")).await.unwrap();
        assert_eq!(schema.fields(), selected.schema().fields(), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_types_and_server_info_are_given() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    for (table, expected) in [("datasets", vec!["dataset"]), ("catalog", vec!["dataset"]), ("arrays", vec![])] {
        let command = CommandGetPrimaryKeys { table: table.into(), ..CommandGetPrimaryKeys::default() };
        let info = client.get_primary_keys(command).await.unwrap();
        assert_eq!(texts(&rows(&fixture, &info).await.unwrap(), "column_name"), expected);
    }
    let table = || "datasets".to_string();
    let exported = CommandGetExportedKeys { table: table(), ..CommandGetExportedKeys::default() };
    let imported = CommandGetImportedKeys { table: table(), ..CommandGetImportedKeys::default() };
    let cross =
        CommandGetCrossReference { pk_table: table(), fk_table: table(), ..CommandGetCrossReference::default() };
    for info in [
        client.get_exported_keys(exported).await.unwrap(),
        client.get_imported_keys(imported).await.unwrap(),
        client.get_cross_reference(cross).await.unwrap(),
    ] {
        let batch = rows(&fixture, &info).await.unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (0, 13));
    }
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: Some(-5) }).await.unwrap();
    let batch = rows(&fixture, &info).await.unwrap();
    assert_eq!(batch.column_by_name("data_type").unwrap().as_primitive::<Int32Type>().values().to_vec(), [-5, -5]);
    let codes = vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerTransaction];
    let info = client.get_sql_info(codes).await.unwrap();
    let batch = rows(&fixture, &info).await.unwrap();
    assert_eq!(batch.column(0).as_primitive::<UInt32Type>().values().to_vec(), [0, 8]);
    assert_eq!(batch.column(1).as_union().value(1).as_primitive::<Int32Type>().value(0), 0);
    let info = client.get_sql_info(vec![]).await.unwrap();
    assert!(rows(&fixture, &info).await.unwrap().num_rows() > 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_give_a_token_though_nobody_needs_one() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    client.handshake("ann", "secret").await.unwrap();
    assert_eq!(client.token().unwrap(), "anonymous");
    client.execute("SELECT 1".into(), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_given_without_running_anything() {
    let fixture = Fixture::start().await;
    let mut flight = fixture.flight().await;
    let command = CommandStatementQuery { query: "SELECT dataset FROM datasets".into(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = flight.get_flight_info(descriptor.clone()).await.unwrap().into_inner();
    let schema = flight.get_schema(descriptor.clone()).await.unwrap().into_inner();
    assert_eq!(schema.schema, info.schema);
    let poll = flight.poll_flight_info(descriptor).await.unwrap().into_inner();
    assert_eq!((poll.progress, poll.flight_descriptor), (Some(1.0), None));
    assert_eq!(poll.info.unwrap().schema, info.schema);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_are_invalid_arguments() {
    let fixture = Fixture::start().await;
    let mut flight = fixture.flight().await;
    let broken = Any { type_url: CommandStatementQuery::type_url().into(), value: vec![0x0a, 0xff, 0xff].into() };
    let unknown = Any { type_url: "type.googleapis.com/nothing".into(), value: vec![].into() };
    for bytes in [vec![], vec![0xff; 7], broken.encode_to_vec(), unknown.encode_to_vec()] {
        let status = flight.get_flight_info(FlightDescriptor::new_cmd(bytes.clone())).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        let status = flight.do_get(Ticket::new(bytes.clone())).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        let action = Action::new("CreatePreparedStatement", bytes);
        let status = flight.do_action(action).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    let status = flight.do_action(Action::new("defragment", "")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let listed = flight.list_actions(arrow_flight::Empty {}).await.unwrap().into_inner();
    let listed: Vec<_> = listed.try_collect().await.unwrap();
    assert!(listed.iter().any(|action| action.r#type == "GetSessionOptions"));
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_statements_and_settings_of_others_are_gone() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    let mut statement = client.prepare("SELECT 1".into(), None).await.unwrap();
    let info = statement.execute().await.unwrap();
    statement.close().await.unwrap();
    assert_eq!(rows(&fixture, &info).await.unwrap().num_rows(), 1, "a ticket outlives its statement");
    let batch = query(&fixture, "SHOW datafusion.execution.batch_size").await.unwrap();
    assert_eq!(texts(&batch, "value"), ["8192"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_see_what_was_flushed_before_them() {
    let fixture = Fixture::start().await;
    let sql = "SELECT dataset FROM datasets WHERE month = 12";
    assert_eq!(query(&fixture, sql).await.unwrap().num_rows(), 0);
    fixture.store.set_attribute(&dataset(4), "month", Attribute::Int64(12)).unwrap();
    assert_eq!(query(&fixture, sql).await.unwrap().num_rows(), 0);
    fixture.store.flush().unwrap();
    assert_eq!(texts(&query(&fixture, sql).await.unwrap(), "dataset"), [dataset(4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_that_it_is_healthy() {
    let fixture = Fixture::start().await;
    let mut health = HealthClient::new(fixture.channel().await);
    for service in ["", "arrow.flight.protocol.FlightService"] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }
}
