//! Each limit of a server, passed on purpose, and what is within it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, Ticket};
use atlas_flight::Limits;
use flight_fixture::{DATASETS, Fixture, announced, fetch};
use prost::Message;
use std::time::Duration;
use tonic::{Code, Status};

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
    let fixture = Fixture::start_within(Limits { read_bytes: Some(100), ..unlimited() }).await;
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
