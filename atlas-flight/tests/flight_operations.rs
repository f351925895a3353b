//! What an operator relies on: a server that follows writers, tells what it does, and says when it stops.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{FlightDescriptor, FlightInfo};
use atlas_flight::auth::{StaticToken, Users};
use atlas_flight::server::ServerOptions;
use atlas_store::Store;
use flight_fixture::{DATASETS, Fixture, fetch};
use futures::StreamExt;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Longer than anything that is waited for takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// 10 000 rows of 2000 bytes: more than a client that does not read is sent.
const LONG: &str = "SELECT repeat('x', 2000) FROM datasets a, datasets b, datasets c, datasets d";

fn observed() -> ServerOptions {
    ServerOptions { metrics: Some("127.0.0.1:0".into()), ..ServerOptions::default() }
}

/// The status line and the body of an answer over HTTP.
fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: atlas\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// The value of a series, or 0 where there is none yet.
fn metric(address: SocketAddr, series: &str) -> f64 {
    let (status, text) = get(address, "/metrics");
    assert!(status.contains(" 200 "), "{status}");
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::task::yield_now().await;
    }
}

async fn sql(fixture: &Fixture) -> FlightSqlServiceClient<tonic::transport::Channel> {
    FlightSqlServiceClient::new(fixture.channel().await)
}

/// Runs a statement; the number of its rows.
async fn rows(fixture: &Fixture, statement: &str) -> usize {
    let mut client = sql(fixture).await;
    let info = client.execute(statement.into(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let batches: Vec<_> = client.do_get(ticket).await.unwrap().collect().await;
    batches.into_iter().map(|batch| batch.unwrap().num_rows()).sum()
}

async fn stacked(fixture: &Fixture) -> FlightInfo {
    let command = r#"{"stacked": {"store": "fleet", "arrays": ["temperature"], "partitions": 4}}"#;
    let descriptor = FlightDescriptor::new_cmd(command);
    fixture.flight().await.get_flight_info(descriptor).await.unwrap().into_inner()
}

async fn stacked_rows(fixture: &Fixture, info: &FlightInfo) -> Result<usize, tonic::Status> {
    let mut rows = 0;
    for endpoint in &info.endpoint {
        let (_, batches) = fetch(&mut fixture.flight().await, endpoint.ticket.clone().unwrap()).await?;
        rows += batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>();
    }
    Ok(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_follows_a_writer_and_keeps_what_tickets_are_for() {
    let options = ServerOptions { refresh: Some(Duration::from_millis(10)), ..observed() };
    let fixture = Fixture::serve(&["fleet"], options).await;
    let address = fixture.metrics.unwrap();
    let before = stacked(&fixture).await;
    let snapshot = metric(address, "atlas_store_snapshot{store=\"fleet\"}");
    let writer = Store::open(&fixture.store.location()).unwrap();
    writer.delete_dataset(&flight_fixture::dataset(0)).unwrap();
    writer.flush().unwrap();
    let left = DATASETS as usize - 1;
    until("the deletion is seen", async || rows(&fixture, "SELECT dataset FROM datasets").await == left).await;
    assert_eq!(metric(address, "atlas_store_snapshot{store=\"fleet\"}"), snapshot + 1.0);
    assert_eq!(metric(address, "atlas_store_datasets{store=\"fleet\"}"), left as f64);
    until("the change is counted", async || {
        metric(address, "atlas_refreshes_total{store=\"fleet\",outcome=\"changed\"}") == 1.0
    })
    .await;
    assert_eq!(stacked_rows(&fixture, &before).await.unwrap(), DATASETS as usize, "as it was planned");
    assert_eq!(stacked_rows(&fixture, &stacked(&fixture).await).await.unwrap(), left);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_fails_leaves_the_old_snapshot() {
    let options = ServerOptions { refresh: Some(Duration::from_millis(10)), ..observed() };
    let fixture = Fixture::serve(&["fleet"], options).await;
    let address = fixture.metrics.unwrap();
    let catalog = std::path::Path::new(&fixture.store.location()).join("atlas.json");
    let content = std::fs::read(&catalog).unwrap();
    std::fs::write(&catalog, "nonsense").unwrap();
    let failed = "atlas_refreshes_total{store=\"fleet\",outcome=\"failed\"}";
    until("a refresh fails", async || metric(address, failed) > 0.0).await;
    assert_eq!(rows(&fixture, "SELECT dataset FROM datasets").await, DATASETS as usize);
    std::fs::write(&catalog, content).unwrap();
    let failures = metric(address, failed);
    let unchanged = "atlas_refreshes_total{store=\"fleet\",outcome=\"unchanged\"}";
    let changed = "atlas_refreshes_total{store=\"fleet\",outcome=\"changed\"}";
    let looks = metric(address, unchanged) + metric(address, changed);
    until("it works again", async || metric(address, unchanged) + metric(address, changed) > looks).await;
    assert!(metric(address, failed) <= failures + 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_queries_are_counted() {
    let fixture = Fixture::serve(&["fleet"], observed()).await;
    let address = fixture.metrics.unwrap();
    assert_eq!(rows(&fixture, "SELECT dataset, temperature FROM datasets WHERE month = 1").await, 3);
    stacked_rows(&fixture, &stacked(&fixture).await).await.unwrap();
    sql(&fixture).await.execute("SELECT nothing FROM nowhere".into(), None).await.unwrap_err();
    // Calls are counted when their streams are over, which clients may see first.
    until("all calls are over", async || metric(address, "atlas_calls_running") == 0.0).await;
    for (series, value) in [
        ("atlas_queries_total{kind=\"sql\",code=\"OK\"}", 1.0),
        ("atlas_queries_total{kind=\"stacked\",code=\"OK\"}", 4.0),
        ("atlas_rows_sent_total{kind=\"sql\"}", 3.0),
        ("atlas_rows_sent_total{kind=\"stacked\"}", 10.0),
        ("atlas_batches_sent_total{kind=\"stacked\"}", 4.0),
        ("atlas_chunks_read_total{kind=\"sql\"}", 3.0),
        ("atlas_chunks_read_total{kind=\"stacked\"}", 10.0),
        ("atlas_datasets_pruned_total{kind=\"sql\"}", 7.0),
        ("atlas_query_duration_seconds_count{kind=\"sql\"}", 1.0),
        ("atlas_calls_total{method=\"GetFlightInfo\",code=\"OK\"}", 2.0),
        ("atlas_calls_total{method=\"GetFlightInfo\",code=\"NOT_FOUND\"}", 1.0),
        ("atlas_calls_total{method=\"DoGet\",code=\"OK\"}", 5.0),
        ("atlas_queries_running", 0.0),
        ("atlas_authentication_failures_total", 0.0),
    ] {
        assert_eq!(metric(address, series), value, "{series}");
    }
    // Ten temperatures of 96 bytes, and what is around them.
    assert!(metric(address, "atlas_sent_bytes_total{method=\"DoGet\"}") > 960.0);
    assert!(metric(address, "atlas_read_bytes_total{kind=\"stacked\"}") > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_is_counted_as_that() {
    let fixture = Fixture::serve(&["fleet"], observed()).await;
    let address = fixture.metrics.unwrap();
    let mut client = sql(&fixture).await;
    let info = client.execute(LONG.into(), None).await.unwrap();
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(metric(address, "atlas_queries_running"), 1.0);
    drop(stream);
    let cancelled = "atlas_queries_total{kind=\"sql\",code=\"CANCELLED\"}";
    until("the stream is over", async || metric(address, cancelled) == 1.0).await;
    until("the query is over", async || metric(address, "atlas_queries_running") == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_counted() {
    let token = StaticToken::random().unwrap();
    let users = format!("[users.u]\ntokens = [{:?}]\nstores = {{ \"*\" = \"read\" }}", token.hash());
    let options = ServerOptions { users: Some(Users::parse(&users).unwrap()), ..observed() };
    let fixture = Fixture::serve(&["fleet"], options).await;
    let address = fixture.metrics.unwrap();
    let mut client = sql(&fixture).await;
    client.execute("SELECT 1".into(), None).await.unwrap_err();
    client.set_token(token.secret().into());
    client.execute("SELECT 1".into(), None).await.unwrap();
    assert_eq!(metric(address, "atlas_authentication_failures_total"), 1.0);
    assert_eq!(metric(address, "atlas_calls_total{method=\"GetFlightInfo\",code=\"UNAUTHENTICATED\"}"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_no_other() {
    let fixture = Fixture::serve(&["fleet"], observed()).await;
    let (_, text) = get(fixture.metrics.unwrap(), "/metrics");
    assert!(text.ends_with("# EOF\n"));
    let given: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .collect();
    let documented: BTreeSet<String> = include_str!("../../docs/operations.md")
        .lines()
        .filter(|line| line.starts_with("| `atlas_") || line.starts_with("| `process_"))
        .map(|line| line.split('`').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(given, documented);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_and_lets_streams_end() {
    let mut fixture = Fixture::serve(&["fleet"], observed()).await;
    let address = fixture.metrics.unwrap();
    assert_eq!(get(address, "/healthz"), ("HTTP/1.1 200 OK".to_owned(), "serving\n".to_owned()));
    assert!(get(address, "/else").0.contains(" 404 "));
    let mut watch = HealthClient::new(fixture.channel().await)
        .watch(HealthCheckRequest { service: String::new() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let mut client = sql(&fixture).await;
    let info = client.execute(LONG.into(), None).await.unwrap();
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let mut rows = stream.next().await.unwrap().unwrap().num_rows();
    fixture.stop();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(get(address, "/healthz").0.contains(" 503 "));
    assert!(watch.message().await.unwrap().is_none(), "who watches does not keep the server");
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 10_000);
}
