//! Each limit of a server, passed on purpose, and what is within it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{ActionCreatePreparedStatementRequest, CommandStatementQuery, ProstMessageExt};
use arrow_flight::{Action, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, Ticket};
use atlas_flight::Limits;
use atlas_flight::auth::{Users, hash_password};
use atlas_flight::bulk::criteria::ListRequest;
use atlas_flight::bulk::request::StackedRequest;
use atlas_flight::server::ServerOptions;
use atlas_store::{ArraySchema, DType};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flight_fixture::{DATASETS, Fixture, announced, dataset, fetch};
use futures::future::join_all;
use futures::{TryStreamExt, stream};
use prost::Message;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// No limit but those of the test.
fn unlimited() -> Limits {
    Limits { timeout: None, memory_bytes: None, ..Limits::default() }
}

async fn ticket(fixture: &Fixture, sql: &str) -> Ticket {
    let command = CommandStatementQuery { query: sql.into(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = fixture.flight().await.get_flight_info(descriptor).await.unwrap().into_inner();
    announced(&info);
    info.endpoint[0].ticket.clone().unwrap()
}

/// How many rows a query gives.
async fn rows(fixture: &Fixture, sql: &str) -> Result<usize, Status> {
    let (_, batches) = fetch(&mut fixture.flight().await, ticket(fixture, sql).await).await?;
    Ok(batches.iter().map(|batch| batch.num_rows()).sum())
}

async fn assert_exhausted(fixture: &Fixture, sql: &str, part: &str) {
    let status = rows(fixture, sql).await.expect_err(sql);
    assert_eq!(status.code(), Code::ResourceExhausted, "{sql}: {status}");
    assert!(status.message().contains(part) && status.message().contains("limit of this server"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_have_a_size() {
    let fixture = Fixture::start_within(Limits { result_rows: Some(3), ..unlimited() }).await;
    assert_exhausted(&fixture, "SELECT dataset FROM datasets", "more than 3 rows").await;
    assert_eq!(rows(&fixture, "SELECT dataset FROM datasets LIMIT 3").await.unwrap(), 3);
    let fixture = Fixture::start_within(Limits { result_bytes: Some(10_000), ..unlimited() }).await;
    assert_exhausted(&fixture, "SELECT value FROM generate_series(1, 5000)", "more than 10000 bytes").await;
    assert_eq!(rows(&fixture, "SELECT value FROM generate_series(1, 1000)").await.unwrap(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_would_read_is_limited() {
    let fixture = Fixture::start_within(Limits { read_bytes: Some(10), ..unlimited() }).await;
    for sql in [
        "SELECT temperature FROM datasets",
        "SELECT max(temperature * 2) FROM cells_depth_time",
        "SELECT a.dataset FROM datasets a JOIN (SELECT * FROM datasets WHERE element(temperature, 0, 0) > 1) b USING (dataset)",
        "EXPLAIN ANALYZE SELECT temperature FROM datasets",
    ] {
        assert_exhausted(&fixture, sql, "would read").await;
    }
    let catalog = "SELECT dataset, stat_max(temperature) FROM datasets ORDER BY 2";
    assert_eq!(rows(&fixture, catalog).await.unwrap(), DATASETS as usize);
    assert_eq!(rows(&fixture, "EXPLAIN SELECT temperature FROM datasets").await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_time_of_a_query_are_limited() {
    let fixture = Fixture::start_within(Limits { memory_bytes: Some(32 << 20), ..unlimited() }).await;
    let join = "SELECT count(*) FROM generate_series(1, 2000000) a JOIN generate_series(1, 2000000) b USING (value)";
    assert_exhausted(&fixture, join, "more than 33554432 bytes of memory").await;
    // What can be is spilled.
    let sorted = "SELECT max(number) FROM \
                  (SELECT row_number() OVER (ORDER BY value DESC) AS number FROM generate_series(1, 5000000))";
    assert_eq!(rows(&fixture, sorted).await.unwrap(), 1);
    let fixture = Fixture::start_within(Limits { timeout: Some(Duration::from_millis(500)), ..unlimited() }).await;
    assert_exhausted(&fixture, "SELECT count(*) FROM generate_series(1, 1000000000000)", "longer than 500ms").await;
    assert_eq!(rows(&fixture, "SELECT 1").await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_wait_for_each_other_and_are_turned_away() {
    let fixture = Fixture::start_within(Limits { queries: 1, waiting_queries: 1, ..unlimited() }).await;
    let endless = ticket(&fixture, "SELECT value FROM generate_series(1, 1000000000000)").await;
    let mut held = fixture.flight().await.do_get(endless).await.unwrap().into_inner();
    assert!(held.message().await.unwrap().is_some());
    let short = ticket(&fixture, "SELECT 1").await;
    let mut client = fixture.flight().await;
    let waiting = {
        let short = short.clone();
        tokio::spawn(async move { fetch(&mut client, short).await })
    };
    // Of these and the one above, one waits and the others are turned away; the one that waits is not waited for here.
    let mut others = Vec::new();
    for _ in 0..3 {
        let (short, mut client) = (short.clone(), fixture.flight().await);
        others.push(tokio::spawn(async move { fetch(&mut client, short).await }));
    }
    let all: Vec<_> = others.into_iter().chain([waiting]).collect();
    let mut refused = 0;
    let (done, mut results) = tokio::sync::mpsc::unbounded_channel();
    for task in all {
        let done = done.clone();
        tokio::spawn(async move { done.send(task.await.unwrap()).unwrap() });
    }
    for _ in 0..3 {
        let status = results.recv().await.unwrap().expect_err("turned away");
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("1 queries run and 1 wait"), "{status}");
        refused += 1;
    }
    assert_eq!(refused, 3);
    // Once the long one is gone, it is its turn.
    drop(held);
    assert!(results.recv().await.unwrap().is_ok());
}

fn stacked(arrays: &[&str], where_: Option<&str>) -> FlightDescriptor {
    let arrays = arrays.iter().map(ToString::to_string).collect();
    let where_ = where_.map(Into::into);
    let request = StackedRequest { store: "fleet".into(), arrays, where_, ..StackedRequest::default() };
    FlightDescriptor::new_cmd(request.to_command())
}

fn assert_limit(status: &Status, part: &str) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains(part) && status.message().contains("limit of this server"), "{status}");
}

async fn info(fixture: &Fixture, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
    Ok(fixture.flight().await.get_flight_info(descriptor).await?.into_inner())
}

/// A predicate that takes a while.
const SLOW: &str = "month < length(repeat('x', 50000000))";

/// A server with an array of 16 MiB in each dataset, none of it written.
async fn wide(limits: Limits) -> Fixture {
    let fixture = Fixture::start_within(limits).await;
    for row in 0..DATASETS {
        let schema = ArraySchema::new(DType::Float32, &["y", "x"], &[2048, 2048]);
        fixture.store.define_array(&dataset(row), "wide", schema).unwrap();
    }
    fixture.store.flush().unwrap();
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn planning_is_under_the_timeout() {
    let timeout = Some(Duration::from_millis(1));
    let fixture = Fixture::start_within(Limits { timeout, ..unlimited() }).await;
    let long = format!("SELECT 1{}", " + 1".repeat(900));
    let command = CommandStatementQuery { query: long.clone(), transaction_id: None };
    let statement = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    for descriptor in [statement, stacked(&["temperature"], Some(SLOW))] {
        assert_limit(&info(&fixture, descriptor).await.unwrap_err(), "longer than 1ms");
    }
    let prepare = ActionCreatePreparedStatementRequest { query: long, transaction_id: None };
    let action = Action::new("CreatePreparedStatement", prepare.as_any().encode_to_vec());
    assert_limit(&fixture.flight().await.do_action(action).await.unwrap_err(), "longer than 1ms");
    let request = ListRequest { store: Some("fleet".into()), where_: Some(SLOW.into()), ..Default::default() };
    let criteria = Criteria { expression: request.to_expression().into() };
    assert_limit(&fixture.flight().await.list_flights(criteria).await.unwrap_err(), "longer than 1ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_counted_apart_from_queries_and_turned_away() {
    let fixture = Fixture::start_within(Limits { plans: 1, queries: 1, waiting_queries: 0, ..unlimited() }).await;
    let endless = ticket(&fixture, "SELECT value FROM generate_series(1, 1000000000000)").await;
    let mut held = fixture.flight().await.do_get(endless).await.unwrap().into_inner();
    assert!(held.message().await.unwrap().is_some());
    // A query that runs keeps none from being planned.
    let one = ticket(&fixture, "SELECT 1").await;
    let status = fetch(&mut fixture.flight().await, one.clone()).await.unwrap_err();
    assert!(status.message().starts_with("1 queries run and 0 wait"), "{status}");
    drop(held);
    let slow = || async { info(&fixture, stacked(&["temperature"], Some(SLOW))).await };
    let refused = loop {
        let planned = join_all((0..12).map(|_| slow())).await;
        if let Some(refused) = planned.into_iter().find_map(Result::err) {
            break refused;
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().starts_with("1 plans are made and 4 wait"), "{refused}");
    info(&fixture, stacked(&["temperature"], None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stacked_reads_have_the_limits_of_results_and_of_what_is_read() {
    let fixture = Fixture::start_within(Limits { read_bytes: Some(10), ..unlimited() }).await;
    let status = info(&fixture, stacked(&["temperature"], None)).await.unwrap_err();
    assert_limit(&status, "would read");
    assert_limit(&status, "10 bytes:");
    info(&fixture, stacked(&["temperature"], Some("month = 99"))).await.unwrap();
    let fixture = Fixture::start_within(Limits { result_rows: Some(4), ..unlimited() }).await;
    assert_limit(&info(&fixture, stacked(&["temperature"], None)).await.unwrap_err(), "would have 10 rows");
    info(&fixture, stacked(&["temperature"], Some("month = 0"))).await.unwrap();
    let fixture = Fixture::start_within(Limits { result_bytes: Some(200), ..unlimited() }).await;
    assert_limit(&info(&fixture, stacked(&["temperature"], None)).await.unwrap_err(), "would have 1");
    // How long texts are is seen when they are read.
    let texts = info(&fixture, stacked(&["note"], None)).await.unwrap();
    let ticket = texts.endpoint[0].ticket.clone().unwrap();
    assert_limit(&fetch(&mut fixture.flight().await, ticket).await.unwrap_err(), "more than 200 bytes");
    // Flights that pass a limit are not listed.
    let listed = fixture.flight().await.list_flights(Criteria::default()).await.unwrap().into_inner();
    let listed: Vec<FlightInfo> = listed.try_collect().await.unwrap();
    assert!(!listed.is_empty() && listed.len() < 7, "{}", listed.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn stacked_reads_wait_for_each_other_and_are_turned_away() {
    let fixture = wide(Limits { bulk_reads: 1, waiting_queries: 0, ..unlimited() }).await;
    let wide = info(&fixture, stacked(&["wide"], None)).await.unwrap().endpoint[0].ticket.clone().unwrap();
    let mut held = fixture.flight().await.do_get(wide.clone()).await.unwrap().into_inner();
    assert!(held.message().await.unwrap().is_some());
    let refused = fixture.flight().await.do_get(wide).await.unwrap_err();
    let listed = fixture.flight().await.list_flights(Criteria::default()).await.unwrap_err();
    for status in [refused, listed] {
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().starts_with("1 stacked reads run and 0 wait"), "{status}");
    }
    assert_eq!(rows(&fixture, "SELECT 1").await.unwrap(), 1, "queries are counted apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_cut_off() {
    let idle_timeout = Some(Duration::from_millis(300));
    let fixture = wide(Limits { queries: 1, bulk_reads: 1, idle_timeout, ..unlimited() }).await;
    let wide = info(&fixture, stacked(&["wide"], None)).await.unwrap().endpoint[0].ticket.clone().unwrap();
    let endless = ticket(&fixture, "SELECT value FROM generate_series(1, 1000000000000)").await;
    let small = info(&fixture, stacked(&["temperature"], None)).await.unwrap().endpoint[0].ticket.clone().unwrap();
    for (large, small) in [(endless, ticket(&fixture, "SELECT 1").await), (wide, small)] {
        let mut held = fixture.flight().await.do_get(large).await.unwrap().into_inner();
        assert!(held.message().await.unwrap().is_some());
        // The next one's turn comes when the first is cut off.
        fetch(&mut fixture.flight().await, small).await.unwrap();
        let status = loop {
            match held.message().await {
                Ok(message) => assert!(message.is_some(), "it ended well"),
                Err(status) => break status,
            }
        };
        assert_limit(&status, "took nothing for 300ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_requests_have_a_size() {
    let fixture = Fixture::start_within(Limits { message_bytes: 1 << 20, ..unlimited() }).await;
    let large = vec![b'x'; 2 << 20];
    let mut flight = fixture.flight().await;
    let descriptor = FlightDescriptor::new_cmd(large.clone());
    assert_limit(&flight.get_flight_info(descriptor.clone()).await.unwrap_err(), "larger than 1048576 bytes");
    let put = stream::iter([FlightData::new().with_descriptor(descriptor)]);
    assert_limit(&flight.do_put(put).await.unwrap_err(), "larger than 1048576 bytes");
    flight.list_actions(Empty {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn further_connections_are_closed() {
    let fixture = Fixture::start_within(Limits { connections: 1, ..unlimited() }).await;
    let first = fixture.channel().await;
    FlightServiceClient::new(first.clone()).list_actions(Empty {}).await.unwrap();
    let lazy = || Channel::from_shared(fixture.address.clone()).unwrap().connect_lazy();
    // How the client sees it depends on how far it was when it was closed.
    FlightServiceClient::new(lazy()).list_actions(Empty {}).await.expect_err("closed");
    drop(first);
    // Once the server has seen that it is gone, another has its place.
    while FlightServiceClient::new(lazy()).list_actions(Empty {}).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_are_limited() {
    let text = format!("[users.ann]\npassword = {:?}\nstores = {{}}", hash_password("secret").unwrap());
    let limits = Limits { login_failures: Some(2), ..unlimited() };
    let users = Some(Users::parse(&text).unwrap());
    let fixture = Fixture::serve(&["fleet"], ServerOptions { users, limits, ..ServerOptions::default() }).await;
    let login = async |password: &str| {
        let mut request = Request::new(stream::iter([HandshakeRequest::default()]));
        let basic = format!("Basic {}", STANDARD.encode(format!("ann:{password}")));
        request.metadata_mut().insert("authorization", basic.parse().unwrap());
        fixture.flight().await.handshake(request).await.map(drop)
    };
    for _ in 0..2 {
        assert_eq!(login("wrong").await.unwrap_err().code(), Code::Unauthenticated);
    }
    for password in ["wrong", "secret"] {
        let status = login(password).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("2 wrong passwords within a minute, the limit is 2"), "{status}");
    }
}
