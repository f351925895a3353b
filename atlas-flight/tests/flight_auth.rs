//! Who may call what: every call, with every kind of credentials, against a running server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    Any, CommandGetDbSchemas, CommandGetTables, CommandPreparedStatementQuery, CommandStatementIngest,
    CommandStatementQuery, CommandStatementUpdate, ProstMessageExt, TableDefinitionOptions,
};
use arrow_flight::{Action, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, Ticket};
use atlas_flight::Limits;
use atlas_flight::auth::{Key, StaticToken, Users, hash_password};
use atlas_flight::bulk::request::StackedRequest;
use atlas_flight::client::{Client, ConnectOptions};
use atlas_flight::server::ServerOptions;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use flight_fixture::{Fixture, fetch};
use futures::{TryStreamExt, stream};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// The methods of Arrow Flight.
const METHODS: [&str; 10] = [
    "Handshake",
    "ListFlights",
    "GetFlightInfo",
    "PollFlightInfo",
    "GetSchema",
    "DoGet",
    "DoPut",
    "DoExchange",
    "DoAction",
    "ListActions",
];

/// A server of the stores `fleet` and `secret` with three users: `ann` may read both and write `fleet`, `bob` may read
/// `fleet`, `eve` nothing. The password of each is their name twice; bob has a static token, too.
struct Secured {
    fixture: Fixture,
    token: String,
}

impl Secured {
    async fn start() -> Secured {
        Self::with(Duration::from_secs(3600), None).await
    }

    async fn with(token_lifetime: Duration, key: Option<Key>) -> Secured {
        let token = StaticToken::random().unwrap();
        let user = |name: &str, more: String| {
            format!("[users.{name}]\npassword = \"{}\"\n{more}\n", hash_password(&name.repeat(2)).unwrap())
        };
        let text = [
            user("ann", "stores = { \"*\" = \"read\", fleet = \"write\" }".into()),
            user("bob", format!("tokens = [\"{}\"]\nstores = {{ fleet = \"read\" }}", token.hash())),
            user("eve", "stores = {}".into()),
        ]
        .concat();
        let users = Some(Users::parse(&text).unwrap());
        let limits = Limits { login_failures: None, ..Limits::default() };
        let options = ServerOptions { users, key, token_lifetime, limits, ..ServerOptions::default() };
        Secured { fixture: Fixture::serve(&["fleet", "secret"], options).await, token: token.secret().to_string() }
    }

    /// A connection that sends this authorization with every call.
    async fn as_(&self, authorization: &str) -> Calls {
        Calls { channel: self.fixture.channel().await, authorization: authorization.to_string() }
    }

    async fn user(&self, name: &str) -> Calls {
        self.as_(&basic(name, &name.repeat(2))).await
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Calls with the same credentials; no header where they are empty.
struct Calls {
    channel: Channel,
    authorization: String,
}

impl Calls {
    fn with<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if !self.authorization.is_empty() {
            request.metadata_mut().insert("authorization", self.authorization.parse().unwrap());
        }
        request
    }

    fn flight(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.channel.clone())
    }

    async fn info(&self, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
        Ok(self.flight().get_flight_info(self.with(descriptor)).await?.into_inner())
    }

    async fn get(&self, ticket: Ticket) -> Result<usize, Status> {
        let messages = self.flight().do_get(self.with(ticket)).await?.into_inner();
        Ok(messages.try_collect::<Vec<_>>().await?.len())
    }

    async fn act(&self, action: Action) -> Result<Vec<arrow_flight::Result>, Status> {
        self.flight().do_action(self.with(action)).await?.into_inner().try_collect().await
    }

    async fn put(&self, data: FlightData) -> Result<(), Status> {
        let results = self.flight().do_put(self.with(stream::iter([data]))).await?.into_inner();
        results.try_collect::<Vec<_>>().await.map(drop)
    }

    /// The text of a query's first column.
    async fn query(&self, sql: &str) -> Result<Vec<String>, Status> {
        let info = self.info(statement(sql)).await?;
        let request = self.with(info.endpoint[0].ticket.clone().unwrap());
        let messages = self.flight().do_get(request).await?.into_inner();
        let decoded = arrow_flight::decode::FlightRecordBatchStream::new_from_flight_data(
            messages.map_err(|status| arrow_flight::error::FlightError::Tonic(Box::new(status))),
        );
        let batches: Vec<RecordBatch> = decoded.try_collect().await.map_err(|error| match error {
            arrow_flight::error::FlightError::Tonic(status) => *status,
            other => panic!("{other}"),
        })?;
        let texts = batches.iter().flat_map(|batch| {
            let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
            column.as_string::<i32>().iter().map(|text| text.unwrap_or("NULL").to_string()).collect::<Vec<_>>()
        });
        Ok(texts.collect())
    }

    /// The handle of a new prepared statement.
    async fn prepare(&self, sql: &str) -> Result<bytes::Bytes, Status> {
        let request = ActionCreatePreparedStatementRequest { query: sql.into(), transaction_id: None };
        let body = request.as_any().encode_to_vec();
        let results = self.act(Action::new("CreatePreparedStatement", body)).await?;
        let result: ActionCreatePreparedStatementResult =
            Any::decode(results[0].body.clone()).unwrap().unpack().unwrap().unwrap();
        Ok(result.prepared_statement_handle)
    }

    /// One call of a method, with what is good for a user who may read `fleet`.
    async fn call(&self, method: &str) -> Result<(), Status> {
        let mut flight = self.flight();
        let path = || FlightDescriptor::new_path(vec!["fleet".into(), "temperature".into()]);
        match method {
            "Handshake" => {
                flight.handshake(self.with(stream::iter([HandshakeRequest::default()]))).await?;
            }
            "ListFlights" => {
                let flights = flight.list_flights(self.with(Criteria::default())).await?.into_inner();
                flights.try_collect::<Vec<_>>().await?;
            }
            "GetFlightInfo" => drop(flight.get_flight_info(self.with(path())).await?),
            "PollFlightInfo" => drop(flight.poll_flight_info(self.with(path())).await?),
            "GetSchema" => drop(flight.get_schema(self.with(path())).await?),
            "DoGet" => {
                let command = CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: None };
                self.get(Ticket::new(command.as_any().encode_to_vec())).await?;
            }
            "DoPut" => self.put(update("DELETE FROM datasets")).await?,
            "DoExchange" => {
                let exchanged = flight.do_exchange(self.with(stream::iter([FlightData::default()]))).await?;
                exchanged.into_inner().try_collect::<Vec<_>>().await?;
            }
            "DoAction" => drop(self.act(Action::new("GetSessionOptions", "")).await?),
            "ListActions" => {
                flight.list_actions(self.with(Empty {})).await?.into_inner().try_collect::<Vec<_>>().await?;
            }
            other => panic!("{other}"),
        }
        Ok(())
    }
}

fn statement(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery { query: sql.into(), transaction_id: None };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

fn update(sql: &str) -> FlightData {
    let command = CommandStatementUpdate { query: sql.into(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    FlightData::default().with_descriptor(descriptor)
}

fn ingest(store: &str) -> FlightData {
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions { if_not_exist: 1, if_exists: 1 }),
        table: "datasets".into(),
        schema: Some(store.into()),
        catalog: None,
        temporary: false,
        transaction_id: None,
        options: std::collections::HashMap::new(),
    };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    FlightData::default().with_descriptor(descriptor)
}

fn stacked(store: &str) -> FlightDescriptor {
    let request = StackedRequest { store: store.into(), arrays: vec!["temperature".into()], ..Default::default() };
    FlightDescriptor::new_cmd(request.to_command())
}

fn code<T>(result: Result<T, Status>) -> Code {
    result.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// The gRPC status that a call of any path is answered with, sent as bytes.
async fn raw(channel: &mut Channel, path: &str, authorization: Option<&str>) -> String {
    let mut request = http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Body::empty()).unwrap();
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let response = channel.call(request).await.unwrap();
    response.headers().get("grpc-status").map_or("none".into(), |status| status.to_str().unwrap().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_needs_credentials() {
    let secured = Secured::start().await;
    let expired = {
        // A server with the same key whose tokens live no time.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, [7; 32]).unwrap();
        (Secured::with(Duration::ZERO, Some(Key::read(&path).unwrap())).await, directory)
    };
    let ann = expired.0.user("ann").await;
    let mut sql = FlightSqlServiceClient::new(ann.channel.clone());
    sql.handshake("ann", "annann").await.unwrap();
    let old_token = format!("Bearer {}", sql.token().unwrap());
    for method in METHODS {
        for bad in [
            String::new(),
            basic("ann", "wrong"),
            basic("ann", ""),
            basic("nobody", "annann"),
            basic("ANN", "annann"),
            "Bearer".into(),
            "Bearer anonymous".into(),
            format!("Bearer {}", STANDARD.encode([0; 64])),
            format!("Bearer {}x", secured.token),
            format!("Basic {}", secured.token),
            old_token.clone(),
        ] {
            let status = secured.as_(&bad).await.call(method).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{method} {bad}: {status:?}");
            assert!(!status.message().contains("annann") && !status.message().contains('\n'), "{status:?}");
        }
        let status = expired.0.as_(&old_token).await.call(method).await.unwrap_err();
        assert_eq!((status.code(), status.message().contains("expired")), (Code::Unauthenticated, true), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_takes_every_kind_of_credentials() {
    let secured = Secured::start().await;
    let mut sql = FlightSqlServiceClient::new(secured.fixture.channel().await);
    sql.handshake("bob", "bobbob").await.unwrap();
    let session = format!("Bearer {}", sql.token().unwrap());
    let padless = format!("basic {}", STANDARD_NO_PAD.encode("bob:bobbob"));
    let static_token = format!("Bearer {}", secured.token);
    for method in METHODS {
        for good in [&basic("bob", "bobbob"), &padless, &session, &static_token] {
            let got = code(secured.as_(good).await.call(method).await);
            let expected = match method {
                "DoPut" => Code::PermissionDenied,
                "DoExchange" => Code::Unimplemented,
                _ => Code::Ok,
            };
            assert_eq!(got, expected, "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_without_a_role_are_let_in_and_see_nothing() {
    let secured = Secured::start().await;
    let eve = secured.user("eve").await;
    for method in METHODS {
        let expected = match method {
            "GetFlightInfo" | "PollFlightInfo" | "GetSchema" => Code::NotFound,
            "DoPut" => Code::PermissionDenied,
            "DoExchange" => Code::Unimplemented,
            _ => Code::Ok,
        };
        assert_eq!(code(eve.call(method).await), expected, "{method}");
    }
    assert_eq!(code(eve.query("SELECT * FROM datasets").await), Code::NotFound);
    assert_eq!(code(eve.query("SELECT * FROM fleet.datasets").await), Code::NotFound);
    assert_eq!(eve.query("SELECT 1").await.unwrap(), ["1"]);
}

/// Methods that do not exist are refused as those that do: what comes before routing cannot forget one.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_checked_before_the_method_is_looked_up() {
    let secured = Secured::start().await;
    let mut channel = secured.fixture.channel().await;
    let base = &secured.fixture.address;
    for method in METHODS.iter().chain(&["Unheard"]) {
        let path = format!("{base}/arrow.flight.protocol.FlightService/{method}");
        assert_eq!(raw(&mut channel, &path, None).await, "16", "{method}");
    }
    let path = format!("{base}/arrow.flight.protocol.FlightService/Unheard");
    assert_eq!(raw(&mut channel, &path, Some(&basic("ann", "annann"))).await, "12");
    let mut health = HealthClient::new(channel);
    let service = "arrow.flight.protocol.FlightService".to_string();
    health.check(HealthCheckRequest { service }).await.expect("health is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_does_not_make_a_token_live_longer() {
    let secured = Secured::start().await;
    let mut sql = FlightSqlServiceClient::new(secured.fixture.channel().await);
    sql.handshake("bob", "bobbob").await.unwrap();
    for token in [sql.token().unwrap().clone(), secured.token.clone()] {
        let calls = secured.as_(&format!("Bearer {token}")).await;
        let request = calls.with(stream::iter([HandshakeRequest::default()]));
        let response = calls.flight().handshake(request).await.unwrap();
        assert_eq!(response.metadata().get("authorization").unwrap().to_str().unwrap(), format!("Bearer {token}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_the_stores_that_it_may_read_and_no_others() {
    let secured = Secured::start().await;
    let (ann, bob) = (secured.user("ann").await, secured.user("bob").await);
    for sql in [
        "SELECT DISTINCT table_schema FROM information_schema.tables ORDER BY 1",
        "SELECT DISTINCT table_schema FROM information_schema.columns ORDER BY 1",
        "SELECT DISTINCT schema_name FROM information_schema.schemata ORDER BY 1",
    ] {
        let of = |names: Vec<String>| names.into_iter().filter(|name| name != "information_schema").collect::<Vec<_>>();
        assert_eq!(of(ann.query(sql).await.unwrap()), ["fleet", "secret"], "{sql}");
        assert_eq!(of(bob.query(sql).await.unwrap()), ["fleet"], "{sql}");
    }
    for sql in [
        "SELECT * FROM secret.datasets",
        "SELECT * FROM atlas.secret.datasets",
        "SELECT * FROM \"secret\".\"catalog\"",
        "EXPLAIN SELECT * FROM secret.datasets",
        "EXPLAIN ANALYZE SELECT * FROM secret.datasets",
        "DESCRIBE secret.datasets",
        "SHOW COLUMNS FROM secret.datasets",
        "SELECT d.dataset FROM datasets d WHERE EXISTS (SELECT 1 FROM secret.datasets)",
        "WITH s AS (SELECT * FROM secret.datasets) SELECT * FROM s",
        "SELECT 1 UNION ALL SELECT count(*) FROM secret.chunks",
    ] {
        let hidden = bob.query(sql).await.unwrap_err();
        // Nobody can tell a store that may not be read from one that is not there.
        let absent = bob.query(&sql.replace("secret", "absent")).await.unwrap_err();
        assert_eq!(hidden.code(), absent.code(), "{sql}");
        assert_eq!(hidden.message().replace("secret", "absent"), absent.message(), "{sql}");
        if !sql.starts_with("SHOW") && !sql.starts_with("DESC") {
            assert_eq!(hidden.code(), Code::NotFound, "{sql}: {hidden:?}");
            ann.query(sql).await.unwrap_or_else(|status| panic!("{sql}: {status:?}"));
        }
    }
    for (calls, schemas) in [(&ann, vec!["fleet", "secret"]), (&bob, vec!["fleet"])] {
        let flights = calls.flight().list_flights(calls.with(Criteria::default())).await.unwrap().into_inner();
        let flights: Vec<FlightInfo> = flights.try_collect().await.unwrap();
        let mut stores: Vec<_> =
            flights.iter().map(|info| info.flight_descriptor.clone().unwrap().path[0].clone()).collect();
        stores.dedup();
        assert_eq!(stores, schemas);
        for include_schema in [false, true] {
            let command = CommandGetTables { include_schema, ..CommandGetTables::default() };
            let ticket = Ticket::new(command.as_any().encode_to_vec());
            let messages = calls.flight().do_get(calls.with(ticket)).await.unwrap().into_inner();
            let bytes: Vec<FlightData> = messages.try_collect().await.unwrap();
            let seen = bytes.iter().any(|data| data.data_body.windows(6).any(|bytes| bytes == b"secret"));
            assert_eq!(seen, schemas.contains(&"secret"));
        }
    }
    for descriptor in [
        stacked("secret"),
        FlightDescriptor::new_path(vec!["secret".into(), "temperature".into()]),
        FlightDescriptor::new_path(vec!["secret".into(), "temperature".into(), "cast_00".into()]),
    ] {
        let status = bob.info(descriptor.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), "no such store: secret; served are fleet");
        let info = ann.info(descriptor).await.unwrap();
        let status = bob.get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_to_a_server_that_only_reads() {
    let secured = Secured::start().await;
    let (ann, bob) = (secured.user("ann").await, secured.user("bob").await);
    for (calls, store) in [(&ann, "fleet"), (&ann, "secret"), (&bob, "fleet"), (&bob, "secret"), (&bob, "absent")] {
        let status = calls.put(ingest(store)).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains("only reads"), "{store}: {}", status.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_and_handles_are_of_use_to_their_user_only() {
    let secured = Secured::start().await;
    let (ann, bob) = (secured.user("ann").await, secured.user("bob").await);
    for descriptor in [statement("SELECT dataset FROM datasets"), stacked("fleet")] {
        let ticket = ann.info(descriptor).await.unwrap().endpoint[0].ticket.clone().unwrap();
        assert_eq!(code(bob.get(ticket.clone()).await), Code::PermissionDenied);
        assert_eq!(code(secured.as_("").await.get(ticket.clone()).await), Code::Unauthenticated);
        for _ in 0..2 {
            ann.get(ticket.clone()).await.unwrap();
        }
        let mut changed = ticket.ticket.to_vec();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert_eq!(code(ann.get(Ticket::new(changed)).await), Code::PermissionDenied);
    }
    let handle = ann.prepare("SELECT dataset FROM datasets WHERE month = ?").await.unwrap();
    let close = |handle: bytes::Bytes| {
        let request = ActionClosePreparedStatementRequest { prepared_statement_handle: handle };
        Action::new("ClosePreparedStatement", request.as_any().encode_to_vec())
    };
    let query = CommandPreparedStatementQuery { prepared_statement_handle: handle.clone() }.as_any().encode_to_vec();
    let descriptor = FlightDescriptor::new_cmd(query.clone());
    let bind = FlightData::default().with_descriptor(descriptor.clone());
    assert_eq!(code(bob.info(descriptor.clone()).await), Code::PermissionDenied);
    assert_eq!(code(bob.flight().get_schema(bob.with(descriptor.clone())).await), Code::PermissionDenied);
    assert_eq!(code(bob.get(Ticket::new(query)).await), Code::PermissionDenied);
    assert_eq!(code(bob.put(bind).await), Code::PermissionDenied);
    assert_eq!(code(bob.act(close(handle.clone())).await), Code::PermissionDenied);
    assert_eq!(code(ann.flight().get_schema(ann.with(descriptor.clone())).await), Code::Ok);
    assert_eq!(code(ann.act(close(handle)).await), Code::Ok);
    // A handle that somebody makes up.
    for forged in ["statement-0", "", &"x".repeat(200)] {
        let forged = CommandPreparedStatementQuery { prepared_statement_handle: forged.to_string().into() };
        let status = ann.info(FlightDescriptor::new_cmd(forged.as_any().encode_to_vec())).await.unwrap_err();
        assert!(matches!(status.code(), Code::PermissionDenied | Code::InvalidArgument), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_the_same_key_take_each_others_tokens_tickets_and_statements() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "a key of at least thirty-two bytes, shared\n").unwrap();
    let key = || Some(Key::read(&path).unwrap());
    let one = Fixture::serve(&["fleet"], ServerOptions { key: key(), ..ServerOptions::default() }).await;
    let two = Fixture::serve(&["fleet"], ServerOptions { key: key(), ..ServerOptions::default() }).await;
    let other = Fixture::start().await;
    let calls = |channel| Calls { channel, authorization: String::new() };
    let first = calls(one.channel().await);
    let info = first.info(stacked("fleet")).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    fetch(&mut two.flight().await, ticket.clone()).await.unwrap();
    let refused = fetch(&mut other.flight().await, ticket).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("ask for a new one"), "{}", refused.message());
    // Prepared here, bound here, run there.
    let mut statement = FlightSqlServiceClient::new(one.channel().await)
        .prepare("SELECT dataset FROM datasets WHERE month = ?".into(), None)
        .await
        .unwrap();
    let values: [(&str, ArrayRef); 1] = [("0", Arc::new(Int64Array::from(vec![1])))];
    statement.set_parameters(RecordBatch::try_from_iter(values).unwrap()).unwrap();
    let info = statement.execute().await.unwrap();
    let (_, batches) = fetch(&mut two.flight().await, info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    let handle = first.prepare("SELECT dataset FROM datasets").await.unwrap();
    let command = CommandPreparedStatementQuery { prepared_statement_handle: handle };
    let second = calls(two.channel().await);
    second.info(FlightDescriptor::new_cmd(command.as_any().encode_to_vec())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_logs_in() {
    let secured = Secured::start().await;
    let uri = secured.fixture.address.replace("http", "grpc");
    let login = |user: &str, password: &str| ConnectOptions {
        login: Some((user.into(), password.into())),
        ..ConnectOptions::default()
    };
    let client = Client::connect_with(&uri, login("bob", "bobbob")).await.unwrap();
    assert_eq!(client.query("SELECT dataset FROM datasets").await.unwrap()[0].num_rows(), 10);
    let options = ConnectOptions { token: Some(secured.token.clone()), ..ConnectOptions::default() };
    assert!(!format!("{options:?}").contains(&secured.token));
    let client = Client::connect_with(&uri, options).await.unwrap();
    assert_eq!(client.query("SELECT 1 FROM fleet.datasets").await.unwrap()[0].num_rows(), 10);
    assert!(!format!("{client:?}").contains(&secured.token));
    let error = Client::connect_with(&uri, login("bob", "wrong")).await.unwrap_err().to_string();
    assert_eq!(error, "the user name or the password is wrong");
    let nobody = Client::connect(&uri).await.unwrap();
    assert!(nobody.query("SELECT 1").await.unwrap_err().to_string().contains("log in"));
}
