//! Session options: whose they are, what they do, and that tickets do not depend on them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, CommandPreparedStatementQuery,
    CommandStatementQuery, ProstMessageExt,
};
use arrow_flight::{Action, FlightDescriptor, FlightInfo, Ticket};
use atlas_flight::auth::{Key, Users, hash_password};
use atlas_flight::server::ServerOptions;
use atlas_store::Attribute;
use bytes::Bytes;
use flight_fixture::{Fixture, dataset, fetch};
use futures::TryStreamExt;
use prost::Message;
use std::collections::HashMap;
use tonic::{Code, Request, Response, Status};

/// `SessionOptionValue` of `Flight.proto`, its text alone.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct SetOptions {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct SetResult {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, SetError>,
}

#[derive(Clone, PartialEq, Message)]
struct SetError {
    #[prost(int32, tag = "1")]
    value: i32,
}

const INVALID_NAME: i32 = 1;
const INVALID_VALUE: i32 = 2;

/// A client that sends these headers, and remembers the cookie that it is given.
struct Calls<'a> {
    fixture: &'a Fixture,
    headers: Vec<(&'static str, String)>,
    cookie: Option<String>,
}

impl<'a> Calls<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        Calls { fixture, headers: Vec::new(), cookie: None }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (name, value) in &self.headers {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        if let Some(cookie) = &self.cookie {
            request.metadata_mut().insert("cookie", cookie.parse().unwrap());
        }
        request
    }

    async fn act(&mut self, name: &str, body: impl Into<Bytes>) -> Result<Bytes, Status> {
        let mut flight = self.fixture.flight().await;
        let response: Response<_> = flight.do_action(self.request(Action::new(name, body))).await?;
        if let Some(cookie) = response.metadata().get("set-cookie") {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_string());
        }
        let results: Vec<arrow_flight::Result> = response.into_inner().try_collect().await?;
        Ok(results.into_iter().next().map(|result| result.body).unwrap_or_default())
    }

    /// Sets options, and gives what was wrong with which.
    async fn set(&mut self, options: &[(&str, Option<&str>)]) -> HashMap<String, i32> {
        let value = |text: &Option<&str>| Value { text: text.map(str::to_string) };
        let options = options.iter().map(|(name, text)| (name.to_string(), value(text))).collect();
        let body = self.act("SetSessionOptions", SetOptions { options }.encode_to_vec()).await.unwrap();
        let errors = SetResult::decode(body).unwrap().errors;
        errors.into_iter().map(|(name, error)| (name, error.value)).collect()
    }

    async fn options(&mut self) -> Result<Vec<(String, String)>, Status> {
        let options = Options::decode(self.act("GetSessionOptions", "").await?).unwrap().options;
        let mut options: Vec<_> = options.into_iter().map(|(name, value)| (name, value.text.unwrap())).collect();
        options.sort();
        Ok(options)
    }

    async fn option(&mut self, wanted: &str) -> String {
        self.options().await.unwrap().into_iter().find(|(name, _)| name == wanted).unwrap().1
    }

    async fn info(&self, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
        Ok(self.fixture.flight().await.get_flight_info(self.request(descriptor)).await?.into_inner())
    }

    /// The one batch of a query.
    async fn query(&self, sql: &str) -> Result<RecordBatch, Status> {
        let info = self.info(statement(sql)).await?;
        let messages = self
            .fixture
            .flight()
            .await
            .do_get(self.request(info.endpoint[0].ticket.clone().unwrap()))
            .await?
            .into_inner();
        let decoded = arrow_flight::decode::FlightRecordBatchStream::new_from_flight_data(
            messages.map_err(|status| arrow_flight::error::FlightError::Tonic(Box::new(status))),
        );
        let batches: Vec<RecordBatch> = decoded.try_collect().await.map_err(|error| match error {
            arrow_flight::error::FlightError::Tonic(status) => *status,
            other => panic!("{other}"),
        })?;
        Ok(arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap())
    }

    async fn count(&self) -> i64 {
        number(&self.query(COUNT).await.unwrap())
    }
}

/// How many datasets of the default schema have month 12: one of the first store's, none of the other's.
const COUNT: &str = "SELECT count(*) FROM datasets WHERE month = 12";

fn number(batch: &RecordBatch) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

fn statement(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery { query: sql.into(), transaction_id: None };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

async fn serve(names: &[&str], options: ServerOptions) -> Fixture {
    let fixture = Fixture::serve(names, options).await;
    fixture.store.set_attribute(&dataset(4), "month", Attribute::Int64(12)).unwrap();
    fixture.store.flush().unwrap();
    fixture
}

async fn redeem(fixture: &Fixture, ticket: Ticket) -> i64 {
    let (_, batches) = fetch(&mut fixture.flight().await, ticket).await.unwrap();
    number(&batches[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_the_default_of_its_session_alone() {
    let fixture = serve(&["fleet", "other"], ServerOptions::default()).await;
    let (mut one, mut two) = (Calls::new(&fixture), Calls::new(&fixture));
    assert!(one.set(&[("schema", Some("other"))]).await.is_empty());
    assert!(two.set(&[("catalog", Some("atlas"))]).await.is_empty());
    assert_ne!(one.cookie, two.cookie);
    assert_eq!((one.count().await, two.count().await, Calls::new(&fixture).count().await), (0, 1, 1));
    assert_eq!(number(&one.query(&COUNT.replace("datasets", "fleet.datasets")).await.unwrap()), 1);
    assert_eq!((one.option("schema").await.as_str(), two.option("schema").await.as_str()), ("other", "fleet"));
    assert_eq!(one.option("catalog").await, "atlas");
    // Without a value, it is as if it had not been set.
    assert!(one.set(&[("schema", None)]).await.is_empty());
    assert_eq!(one.count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ticket_or_statement_means_is_settled_when_it_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, [7; 32]).unwrap();
    let options = || ServerOptions { key: Some(Key::read(&path).unwrap()), ..ServerOptions::default() };
    let fixture = serve(&["fleet", "other"], options()).await;
    // It has the same stores, and another default.
    let replica = Fixture::serve(&["other", "fleet"], options()).await;
    let mut calls = Calls::new(&fixture);
    let of_default = calls.info(statement(COUNT)).await.unwrap().endpoint[0].ticket.clone().unwrap();
    calls.set(&[("schema", Some("other")), ("out_of_bounds", Some("null"))]).await;
    let of_other = calls.info(statement(COUNT)).await.unwrap().endpoint[0].ticket.clone().unwrap();
    let query = format!("{COUNT} AND slice(temperature, [0, 0], [9, 9]) IS NULL");
    let prepare = ActionCreatePreparedStatementRequest { query, transaction_id: None };
    let body = calls.act("CreatePreparedStatement", prepare.as_any().encode_to_vec()).await.unwrap();
    let prepared: ActionCreatePreparedStatementResult = Any::decode(body).unwrap().unpack().unwrap().unwrap();
    calls.act("CloseSession", "").await.unwrap();
    assert_eq!((redeem(&fixture, of_default.clone()).await, redeem(&fixture, of_other.clone()).await), (1, 0));
    let command = CommandPreparedStatementQuery { prepared_statement_handle: prepared.prepared_statement_handle };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = Calls::new(&fixture).info(descriptor).await.unwrap();
    let of_prepared = info.endpoint[0].ticket.clone().unwrap();
    assert_eq!(redeem(&fixture, of_prepared.clone()).await, 0);
    // The replica's `fleet` has no such month; its `other` is marked now, and is its default.
    replica.store.set_attribute(&dataset(5), "month", Attribute::Int64(12)).unwrap();
    replica.store.flush().unwrap();
    assert_eq!((redeem(&replica, of_default).await, redeem(&replica, of_other).await), (0, 1));
    assert_eq!(redeem(&replica, of_prepared).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_bounds_fails_or_is_null_as_the_session_says() {
    let fixture = Fixture::start().await;
    let mut calls = Calls::new(&fixture);
    for sql in [
        "SELECT slice(temperature, [0, 0], [9, 9]) FROM datasets",
        "SELECT element(temperature, 9, 9) FROM datasets",
        "SELECT element(temperature, 9, 9) AS t FROM datasets WHERE element(temperature, 9, 9) IS NULL",
    ] {
        assert!(calls.set(&[("out_of_bounds", Some("error"))]).await.is_empty());
        assert_eq!(calls.query(sql).await.unwrap_err().code(), Code::InvalidArgument, "{sql}");
        assert!(calls.set(&[("out_of_bounds", Some("NULL"))]).await.is_empty());
        assert_eq!(calls.option("out_of_bounds").await, "null");
        let batch = calls.query(sql).await.unwrap_or_else(|status| panic!("{sql}: {status}"));
        assert_eq!((batch.num_rows(), batch.column(0).logical_null_count()), (10, 10), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_goes_before_the_sessions_array_format() {
    let fixture = Fixture::start().await;
    let sql = "SELECT temperature FROM datasets LIMIT 1";
    let mut calls = Calls::new(&fixture);
    assert!(calls.set(&[("array_format", Some("json"))]).await.is_empty());
    let type_of = |batch: RecordBatch| batch.schema().field(0).data_type().clone();
    assert_eq!(type_of(calls.query(sql).await.unwrap()), DataType::Utf8);
    let mut asking = Calls { cookie: calls.cookie.clone(), ..Calls::new(&fixture) }.with("array_format", "nested");
    assert!(matches!(type_of(asking.query(sql).await.unwrap()), DataType::FixedSizeList(..) | DataType::List(_)));
    assert_eq!(asking.option("array_format").await, "nested");
    assert!(calls.set(&[("array_format", None)]).await.is_empty());
    assert!(matches!(type_of(calls.query(sql).await.unwrap()), DataType::FixedSizeList(..)));
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_cannot_be_set_say_why_and_the_others_are_set() {
    let fixture = Fixture::serve(&["fleet", "other"], ServerOptions::default()).await;
    let mut calls = Calls::new(&fixture);
    let errors = calls
        .set(&[
            ("catalog", Some("other")),
            ("schema", Some("absent")),
            ("array_format", Some("xml")),
            ("out_of_bounds", Some("maybe")),
            ("memory", Some("all")),
            ("nothing", None),
        ])
        .await;
    let expected = [
        ("catalog", INVALID_VALUE),
        ("schema", INVALID_VALUE),
        ("array_format", INVALID_VALUE),
        ("out_of_bounds", INVALID_VALUE),
        ("memory", INVALID_NAME),
        ("nothing", INVALID_NAME),
    ];
    assert_eq!(errors, expected.into_iter().map(|(name, kind)| (name.to_string(), kind)).collect());
    let errors = calls.set(&[("schema", Some("other")), ("memory", Some("all"))]).await;
    assert_eq!(errors, [("memory".to_string(), INVALID_NAME)].into());
    let text = |name: &str, value: &str| (name.to_string(), value.to_string());
    let expected = [
        text("array_format", "tensor"),
        text("catalog", "atlas"),
        text("out_of_bounds", "error"),
        text("schema", "other"),
    ];
    assert_eq!(calls.options().await.unwrap(), expected);
    for action in ["SetSessionOptions", "CancelFlightInfo", "RenewFlightEndpoint"] {
        let status = calls.act(action, vec![0xff; 9]).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_session_is_not_taken_for_one_without_options() {
    let fixture = serve(&["fleet", "other"], ServerOptions::default()).await;
    let mut calls = Calls::new(&fixture);
    calls.set(&[("schema", Some("other"))]).await;
    let cookie = calls.cookie.clone();
    calls.act("CloseSession", "").await.unwrap();
    let mut stale = Calls { cookie, ..Calls::new(&fixture) };
    for status in [stale.query(COUNT).await.unwrap_err(), stale.options().await.unwrap_err()] {
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().contains("session is not known"), "{status}");
    }
    // It closes once more, and can be begun anew.
    let old = stale.cookie.clone();
    stale.act("CloseSession", "").await.unwrap();
    stale.cookie = old.clone();
    stale.set(&[("schema", Some("other"))]).await;
    assert_ne!(stale.cookie, old);
    assert_eq!(stale.count().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_has_its_own_session_and_no_other_users() {
    let user = |name: &str, stores: &str| {
        format!("[users.{name}]\npassword = \"{}\"\nstores = {stores}\n", hash_password(name).unwrap())
    };
    let text = user("ann", "{ \"*\" = \"read\" }") + &user("bob", "{ fleet = \"read\" }");
    let users = Some(Users::parse(&text).unwrap());
    let fixture = serve(&["fleet", "other"], ServerOptions { users, ..ServerOptions::default() }).await;
    let login = async |name: &str| {
        let mut sql = FlightSqlServiceClient::new(fixture.channel().await);
        sql.handshake(name, name).await.unwrap();
        format!("Bearer {}", sql.token().unwrap())
    };
    let (first, second, bob) = (login("ann").await, login("ann").await, login("bob").await);
    let as_ = |token: &str| Calls::new(&fixture).with("authorization", token);
    let mut calls = as_(&first);
    assert!(calls.set(&[("schema", Some("other"))]).await.is_empty());
    // Its token is enough; where what it names is lost, the cookie says that there was something.
    assert_eq!(calls.cookie.as_deref(), Some("arrow_flight_session_id=login"));
    assert_eq!(calls.count().await, 0);
    let lost = Calls { cookie: calls.cookie.clone(), ..as_(&second) };
    assert_eq!(lost.query(COUNT).await.unwrap_err().code(), Code::NotFound, "it is not the default");
    assert_eq!((as_(&first).count().await, as_(&second).count().await, as_(&bob).count().await), (0, 1, 1));
    let errors = as_(&bob).set(&[("schema", Some("other"))]).await;
    assert_eq!(errors, [("schema".to_string(), INVALID_VALUE)].into(), "what may not be read is not there");
    // With the password in every call, the cookie names the session, for its user.
    let basic = |name: &str| {
        use base64::Engine;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{name}")))
    };
    let mut calls = as_(&basic("ann"));
    calls.set(&[("schema", Some("other"))]).await;
    assert_eq!(calls.count().await, 0);
    let stolen = Calls { cookie: calls.cookie.clone(), ..as_(&basic("bob")) };
    assert_eq!(stolen.query(COUNT).await.unwrap_err().code(), Code::NotFound);
}
