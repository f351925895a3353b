//! The messages of Flight SQL in every shape that clients send: parameters, filters, commands, and what is none of these.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array,
    Int64Array, LargeStringArray, NullArray, RecordBatch, StringArray, StringViewArray, TimestampNanosecondArray,
    UnionArray,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, UnionFields};
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::{FlightSqlServiceClient, PreparedStatement};
use arrow_flight::sql::{
    Any, CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
    CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandStatementQuery, CommandStatementUpdate,
    ProstMessageExt, SqlInfo,
};
use arrow_flight::{FlightData, FlightDescriptor};
use flight_fixture::{Fixture, announced, fetch};
use futures::{TryStreamExt, stream};
use prost::Message;
use std::sync::Arc;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// The text of the one value that a prepared query with one parameter gives.
async fn answer(fixture: &Fixture, statement: &mut PreparedStatement<Channel>, value: ArrayRef) -> Option<String> {
    let row = RecordBatch::try_from_iter_with_nullable([("0", value, true)]).unwrap();
    statement.set_parameters(row).unwrap();
    let info = statement.execute().await.unwrap();
    let (_, batches) = fetch(&mut fixture.flight().await, info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let batch = &batches[0];
    assert_eq!((batches.len(), batch.num_rows()), (1, 1));
    let text = batch.column(0).as_string_opt::<i32>().expect("text");
    (!arrow::array::Array::is_null(text, 0)).then(|| text.value(0).to_string())
}

/// A dense union of one row, as flightsql-dbapi sends it; null where there is no value.
fn union(value: Option<ArrayRef>) -> ArrayRef {
    let empty: [ArrayRef; 4] = [
        Arc::new(StringArray::from(Vec::<&str>::new())),
        Arc::new(Int64Array::from(Vec::<i64>::new())),
        Arc::new(Float64Array::from(Vec::<f64>::new())),
        Arc::new(BooleanArray::from(Vec::<bool>::new())),
    ];
    let nothing: ArrayRef = Arc::new(Int64Array::from(vec![None]));
    let value = value.unwrap_or(nothing);
    let place = empty.iter().position(|child| child.data_type() == value.data_type()).unwrap();
    let fields = empty.iter().enumerate().map(|(id, child)| {
        let name = child.data_type().to_string();
        (i8::try_from(id).unwrap(), Arc::new(Field::new(name, child.data_type().clone(), true)))
    });
    let fields: UnionFields = fields.collect();
    let children =
        empty.iter().enumerate().map(|(id, child)| if id == place { value.clone() } else { child.clone() }).collect();
    let ids = ScalarBuffer::from(vec![i8::try_from(place).unwrap()]);
    Arc::new(UnionArray::try_new(fields, ids, Some(ScalarBuffer::from(vec![0i32])), children).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_every_type_come_plain_sliced_and_in_unions() {
    let fixture = Fixture::start().await;
    let mut client = FlightSqlServiceClient::new(fixture.channel().await);
    let mut statement = client.prepare("SELECT CAST(? AS VARCHAR) AS t".into(), None).await.unwrap();
    let plain: [(ArrayRef, Option<&str>); 12] = [
        (Arc::new(StringArray::from(vec!["é"])), Some("é")),
        (Arc::new(LargeStringArray::from(vec!["x"])), Some("x")),
        (Arc::new(StringViewArray::from(vec!["a text that is not inlined"])), Some("a text that is not inlined")),
        (Arc::new(Int64Array::from(vec![-7])), Some("-7")),
        (Arc::new(Int32Array::from(vec![7])), Some("7")),
        (Arc::new(Float64Array::from(vec![1.5])), Some("1.5")),
        (Arc::new(BooleanArray::from(vec![true])), Some("true")),
        (Arc::new(Date32Array::from(vec![1])), Some("1970-01-02")),
        (Arc::new(TimestampNanosecondArray::from(vec![1])), Some("1970-01-01T00:00:00.000000001")),
        (Arc::new(Decimal128Array::from(vec![125]).with_precision_and_scale(5, 2).unwrap()), Some("1.25")),
        (Arc::new(DictionaryArray::<Int32Type>::from_iter(["d"])), Some("d")),
        (Arc::new(NullArray::new(1)), None),
    ];
    for (value, expected) in plain {
        let data_type = value.data_type().clone();
        let got = answer(&fixture, &mut statement, value.clone()).await;
        assert_eq!(got.as_deref(), expected, "{data_type}");
        // The middle row of three.
        let around = arrow::compute::concat(&[&value, &value, &value]).unwrap();
        let got = answer(&fixture, &mut statement, around.slice(1, 1)).await;
        assert_eq!(got.as_deref(), expected, "{data_type}, sliced");
    }
    for (value, expected) in [
        (Some(Arc::new(StringArray::from(vec!["é"])) as ArrayRef), Some("é")),
        (Some(Arc::new(Int64Array::from(vec![7]))), Some("7")),
        (Some(Arc::new(Float64Array::from(vec![0.5]))), Some("0.5")),
        (Some(Arc::new(BooleanArray::from(vec![false]))), Some("false")),
        (None, None),
    ] {
        assert_eq!(answer(&fixture, &mut statement, union(value)).await.as_deref(), expected);
    }
    let (one, two) =
        (union(Some(Arc::new(Int64Array::from(vec![1])))), union(Some(Arc::new(StringArray::from(vec!["2"])))));
    let both = arrow::compute::concat(&[&one, &two]).unwrap();
    assert_eq!(answer(&fixture, &mut statement, both.slice(1, 1)).await.as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_rows_of_parameters_are_refused_for_a_query() {
    let fixture = Fixture::start().await;
    let mut client = FlightSqlServiceClient::new(fixture.channel().await);
    let mut statement = client.prepare("SELECT ?".into(), None).await.unwrap();
    let rows: [(&str, ArrayRef); 1] = [("0", Arc::new(Int64Array::from(vec![1, 2])))];
    statement.set_parameters(RecordBatch::try_from_iter(rows).unwrap()).unwrap();
    let Err(FlightError::Tonic(status)) = statement.execute().await else { panic!("two rows were taken") };
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("one row of parameters"), "{status}");
    let two: [(&str, ArrayRef); 2] =
        [("0", Arc::new(Int64Array::from(vec![1]))), ("1", Arc::new(Int64Array::from(vec![2])))];
    statement.set_parameters(RecordBatch::try_from_iter(two).unwrap()).unwrap();
    let Err(FlightError::Tonic(status)) = statement.execute().await else { panic!("two values were taken") };
    assert!(status.message().contains("1 parameters, 2 are bound"), "{status}");
}

async fn put(fixture: &Fixture, messages: Vec<FlightData>) -> Status {
    let results = match fixture.flight().await.do_put(stream::iter(messages)).await {
        Err(status) => return status,
        Ok(results) => results.into_inner(),
    };
    results.try_collect::<Vec<_>>().await.expect_err("it was taken")
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_puts_are_invalid_arguments() {
    let fixture = Fixture::start().await;
    let mut client = FlightSqlServiceClient::new(fixture.channel().await);
    let statement = client.prepare("SELECT ?".into(), None).await.unwrap();
    drop(statement);
    let prepared = {
        use arrow_flight::Action;
        use arrow_flight::sql::{ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult};
        let request = ActionCreatePreparedStatementRequest { query: "SELECT ?".into(), transaction_id: None };
        let action = Action::new("CreatePreparedStatement", request.as_any().encode_to_vec());
        let results = fixture.flight().await.do_action(action).await.unwrap().into_inner();
        let body = results.try_collect::<Vec<_>>().await.unwrap().remove(0).body;
        let result: ActionCreatePreparedStatementResult = Any::decode(body).unwrap().unpack().unwrap().unwrap();
        CommandPreparedStatementQuery { prepared_statement_handle: result.prepared_statement_handle }
    };
    let bind = || FlightDescriptor::new_cmd(prepared.as_any().encode_to_vec());
    let broken = Any { type_url: CommandStatementUpdate::type_url().into(), value: vec![0x0a, 0xff, 0xff].into() };
    let of = |descriptor| FlightData::new().with_descriptor(descriptor);
    let garbage = || FlightData { data_header: vec![0xff; 40].into(), ..FlightData::default() };
    let schema: FlightData = {
        let schema = arrow::datatypes::Schema::new(vec![Field::new("0", DataType::Int64, true)]);
        arrow_flight::SchemaAsIpc::new(&schema, &arrow::ipc::writer::IpcWriteOptions::default()).into()
    };
    for (what, messages) in [
        ("no message", vec![]),
        ("no descriptor", vec![FlightData::default()]),
        ("no protobuf", vec![of(FlightDescriptor::new_cmd(vec![0xff; 7]))]),
        ("a broken command", vec![of(FlightDescriptor::new_cmd(broken.encode_to_vec()))]),
        ("a header that is no Arrow message", vec![FlightData { data_header: vec![0xff; 40].into(), ..of(bind()) }]),
        ("a batch without schema", vec![of(bind()), garbage()]),
        ("a body that is no batch", vec![schema.clone().with_descriptor(bind()), garbage()]),
        ("a made-up handle", {
            let made_up = CommandPreparedStatementQuery { prepared_statement_handle: "x".into() };
            vec![of(FlightDescriptor::new_cmd(made_up.as_any().encode_to_vec()))]
        }),
    ] {
        let status = put(&fixture, messages).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        let message = status.message();
        assert!(!message.contains("DecodeError") && !message.contains("ParseError"), "{what}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_a_schema_and_can_be_polled() {
    let fixture = Fixture::start().await;
    let mut flight = fixture.flight().await;
    let table = || "datasets".to_string();
    let any = |message: &dyn Fn() -> Any| message();
    let commands = [
        any(&|| CommandStatementQuery { query: "SELECT * FROM datasets".into(), transaction_id: None }.as_any()),
        any(&|| CommandGetCatalogs {}.as_any()),
        any(&|| CommandGetDbSchemas::default().as_any()),
        any(&|| CommandGetTables::default().as_any()),
        any(&|| CommandGetTables { include_schema: true, ..CommandGetTables::default() }.as_any()),
        any(&|| CommandGetTableTypes {}.as_any()),
        any(&|| CommandGetSqlInfo::default().as_any()),
        any(&|| CommandGetXdbcTypeInfo::default().as_any()),
        any(&|| CommandGetXdbcTypeInfo { data_type: Some(12) }.as_any()),
        any(&|| CommandGetPrimaryKeys { table: table(), ..Default::default() }.as_any()),
        any(&|| CommandGetPrimaryKeys { table: "absent".into(), ..Default::default() }.as_any()),
        any(&|| CommandGetExportedKeys { table: table(), ..Default::default() }.as_any()),
        any(&|| CommandGetImportedKeys { table: "absent".into(), ..Default::default() }.as_any()),
        any(&|| CommandGetCrossReference { pk_table: table(), fk_table: table(), ..Default::default() }.as_any()),
    ];
    for command in commands {
        let descriptor = FlightDescriptor::new_cmd(command.encode_to_vec());
        let name = &command.type_url;
        let info = flight.get_flight_info(descriptor.clone()).await.unwrap().into_inner();
        let schema = flight.get_schema(descriptor.clone()).await.unwrap().into_inner();
        assert_eq!(schema.schema, info.schema, "{name}");
        let poll = flight.poll_flight_info(descriptor).await.unwrap().into_inner();
        assert_eq!((poll.progress, poll.flight_descriptor), (Some(1.0), None), "{name}");
        for info in [&info, &poll.info.unwrap()] {
            let (delivered, _) = fetch(&mut flight, info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
            assert_eq!(*delivered, announced(info), "{name}");
        }
    }
    let exchanged = flight.do_exchange(stream::iter([FlightData::default()])).await.unwrap_err();
    assert_eq!(exchanged.code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_filtered_by_every_field() {
    let fixture = Fixture::start().await;
    let mut client = FlightSqlServiceClient::new(fixture.channel().await);
    for (catalog, schema, table, expected) in [
        (None, None, Some("cells\\_depth"), vec!["cells_depth"]),
        (None, None, Some("cells_dept_"), vec!["cells_depth"]),
        (None, None, Some("cells\\_dept\\_"), vec![]),
        (Some("atlas"), Some("fleet"), Some("c%g"), vec!["catalog"]),
        (Some("atlas"), Some("fl\\_et"), Some("catalog"), vec![]),
        (Some(""), None, Some("catalog"), vec![]),
        (Some("other"), None, Some("catalog"), vec![]),
        (None, Some(""), Some("catalog"), vec![]),
        (None, Some("FLEET"), Some("catalog"), vec![]),
        (None, None, Some(""), vec![]),
    ] {
        let command = CommandGetTables {
            catalog: catalog.map(Into::into),
            db_schema_filter_pattern: schema.map(Into::into),
            table_name_filter_pattern: table.map(Into::into),
            ..CommandGetTables::default()
        };
        let info = client.get_tables(command).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let (_, batches) = fetch(&mut fixture.flight().await, ticket).await.unwrap();
        let names: Vec<&str> = batches
            .iter()
            .flat_map(|batch| batch.column_by_name("table_name").unwrap().as_string::<i32>().iter().flatten())
            .collect();
        assert_eq!(names, expected, "{catalog:?} {schema:?} {table:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_what_it_does() {
    let fixture = Fixture::start().await;
    let mut client = FlightSqlServiceClient::new(fixture.channel().await);
    let codes = vec![SqlInfo::FlightSqlServerCancel, SqlInfo::SqlMaxConnections, SqlInfo::SqlMaxStatementLength];
    let info = client.get_sql_info(codes).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let (_, batches) = fetch(&mut fixture.flight().await, ticket).await.unwrap();
    let values = batches[0].column(1).as_union();
    assert!(values.value(0).as_boolean().value(0));
    let numbers = [1, 2].map(|row| values.value(row).as_primitive::<arrow::datatypes::Int64Type>().value(0));
    assert_eq!(numbers, [1024, 1 << 20]);
}
