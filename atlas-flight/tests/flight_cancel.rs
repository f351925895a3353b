//! Cancelling queries, tickets that expire, and statements that are closed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, CommandGetDbSchemas,
    CommandPreparedStatementQuery, CommandStatementQuery, ProstMessageExt,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor, FlightEndpoint,
    FlightInfo, RenewFlightEndpointRequest, Ticket,
};
use atlas_flight::Limits;
use atlas_flight::auth::{StaticToken, Users};
use atlas_flight::bulk::request::StackedRequest;
use atlas_flight::server::ServerOptions;
use atlas_store::{ArraySchema, Attribute, DType};
use bytes::Bytes;
use flight_fixture::{Fixture, dataset, fetch};
use futures::TryStreamExt;
use prost::Message;
use std::time::Duration;
use tonic::{Code, Request, Status};

const ENDLESS: &str = "SELECT value FROM generate_series(1, 1000000000000)";

fn statement(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery { query: sql.into(), transaction_id: None };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

fn stacked(partitions: u32) -> FlightDescriptor {
    let arrays = vec!["temperature".into()];
    let request = StackedRequest { store: "fleet".into(), arrays, partitions, ..StackedRequest::default() };
    FlightDescriptor::new_cmd(request.to_command())
}

async fn info(fixture: &Fixture, descriptor: FlightDescriptor) -> FlightInfo {
    fixture.flight().await.get_flight_info(descriptor).await.unwrap().into_inner()
}

fn ticket(info: &FlightInfo, part: usize) -> Ticket {
    info.endpoint[part].ticket.clone().unwrap()
}

async fn act(fixture: &Fixture, name: &str, body: Vec<u8>) -> Result<Bytes, Status> {
    let results = fixture.flight().await.do_action(Action::new(name, body)).await?.into_inner();
    Ok(results.try_collect::<Vec<_>>().await?.remove(0).body)
}

async fn cancel(fixture: &Fixture, info: &FlightInfo) -> Result<CancelStatus, Status> {
    let body = CancelFlightInfoRequest { info: Some(info.clone()) }.encode_to_vec();
    let result = CancelFlightInfoResult::decode(act(fixture, "CancelFlightInfo", body).await?).unwrap();
    Ok(CancelStatus::try_from(result.status).unwrap())
}

/// The older action.
async fn cancel_query(fixture: &Fixture, info: &FlightInfo) -> Result<i32, Status> {
    let request = ActionCancelQueryRequest { info: info.encode_to_vec().into() };
    let body = act(fixture, "CancelQuery", request.as_any().encode_to_vec()).await?;
    let result: ActionCancelQueryResult = Any::decode(body).unwrap().unpack().unwrap().unwrap();
    Ok(result.result)
}

async fn renew(fixture: &Fixture, endpoint: &FlightEndpoint) -> Result<FlightEndpoint, Status> {
    let body = RenewFlightEndpointRequest { endpoint: Some(endpoint.clone()) }.encode_to_vec();
    Ok(FlightEndpoint::decode(act(fixture, "RenewFlightEndpoint", body).await?).unwrap())
}

async fn redeem(fixture: &Fixture, ticket: Ticket) -> Result<usize, Status> {
    let (_, batches) = fetch(&mut fixture.flight().await, ticket).await?;
    Ok(batches.iter().map(|batch| batch.num_rows()).sum())
}

/// Reads a stream to its end.
async fn ended(mut stream: tonic::Streaming<arrow_flight::FlightData>) -> Result<(), Status> {
    while stream.message().await?.is_some() {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_cancelled_ends_and_leaves_its_place() {
    let limits = Limits { queries: 1, timeout: None, ..Limits::default() };
    let fixture = Fixture::start_within(limits).await;
    for older in [false, true] {
        let endless = info(&fixture, statement(ENDLESS)).await;
        let mut held = fixture.flight().await.do_get(ticket(&endless, 0)).await.unwrap().into_inner();
        assert!(held.message().await.unwrap().is_some());
        if older {
            assert_eq!(cancel_query(&fixture, &endless).await.unwrap(), 1);
        } else {
            assert_eq!(cancel(&fixture, &endless).await.unwrap(), CancelStatus::Cancelled);
        }
        // Its place is free, though nobody read the stream meanwhile.
        assert_eq!(redeem(&fixture, ticket(&info(&fixture, statement("SELECT 1")).await, 0)).await.unwrap(), 1);
        let status = ended(held).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Cancelled, "the query was cancelled"));
        assert_eq!(redeem(&fixture, ticket(&endless, 0)).await.unwrap_err().code(), Code::Cancelled);
        assert_eq!(cancel(&fixture, &endless).await.unwrap(), CancelStatus::Cancelled, "twice is fine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_gives_nothing_yet_is_cancelled_too() {
    let fixture = Fixture::start_within(Limits { queries: 1, timeout: None, ..Limits::default() }).await;
    let sql = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    let counting = info(&fixture, statement(sql)).await;
    let redeemed = ticket(&counting, 0);
    let mut client = fixture.flight().await;
    let reading = tokio::spawn(async move { fetch(&mut client, redeemed).await });
    assert_eq!(cancel(&fixture, &counting).await.unwrap(), CancelStatus::Cancelled);
    assert_eq!(reading.await.unwrap().unwrap_err().code(), Code::Cancelled);
    assert_eq!(redeem(&fixture, ticket(&info(&fixture, statement("SELECT 1")).await, 0)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stacked_read_is_cancelled_with_all_of_its_parts() {
    let fixture = Fixture::start_within(Limits { bulk_reads: 1, ..Limits::default() }).await;
    // Cells that were never written: 16 MiB a dataset.
    for row in 0..10 {
        let schema = ArraySchema::new(DType::Float32, &["y", "x"], &[2048, 2048]);
        fixture.store.define_array(&dataset(row), "wide", schema).unwrap();
    }
    fixture.store.flush().unwrap();
    let arrays = vec!["wide".into()];
    let request = StackedRequest { store: "fleet".into(), arrays, partitions: 2, ..StackedRequest::default() };
    let wide = info(&fixture, FlightDescriptor::new_cmd(request.to_command())).await;
    let mut held = fixture.flight().await.do_get(ticket(&wide, 0)).await.unwrap().into_inner();
    assert!(held.message().await.unwrap().is_some());
    assert_eq!(cancel(&fixture, &wide).await.unwrap(), CancelStatus::Cancelled);
    assert_eq!(redeem(&fixture, ticket(&wide, 1)).await.unwrap_err().code(), Code::Cancelled);
    // The one place for stacked reads is free.
    assert_eq!(redeem(&fixture, ticket(&info(&fixture, stacked(1)).await, 0)).await.unwrap(), 10);
    assert_eq!(ended(held).await.unwrap_err().code(), Code::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_cannot_be_cancelled_and_what_was_not_begun_can() {
    let fixture = Fixture::start().await;
    let done = info(&fixture, statement("SELECT dataset FROM datasets")).await;
    assert_eq!(redeem(&fixture, ticket(&done, 0)).await.unwrap(), 10);
    assert_eq!(cancel(&fixture, &done).await.unwrap(), CancelStatus::NotCancellable);
    assert_eq!(cancel_query(&fixture, &done).await.unwrap(), 3);
    assert_eq!(redeem(&fixture, ticket(&done, 0)).await.unwrap(), 10, "it may be read once more");
    let parts = info(&fixture, stacked(3)).await;
    assert_eq!(parts.endpoint.len(), 3);
    for part in [0, 1] {
        redeem(&fixture, ticket(&parts, part)).await.unwrap();
    }
    assert_eq!(cancel(&fixture, &parts).await.unwrap(), CancelStatus::Cancelled, "one part is left");
    assert_eq!(redeem(&fixture, ticket(&parts, 2)).await.unwrap_err().code(), Code::Cancelled);
    let schemas = CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: None };
    let schemas = info(&fixture, FlightDescriptor::new_cmd(schemas.as_any().encode_to_vec())).await;
    assert_eq!(cancel(&fixture, &schemas).await.unwrap(), CancelStatus::NotCancellable);
    let other = FlightInfo::new().with_endpoint(FlightEndpoint::new().with_ticket(Ticket::new("x")));
    for info in [FlightInfo::new(), other] {
        assert_eq!(cancel(&fixture, &info).await.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(cancel_query(&fixture, &info).await.unwrap_err().code(), Code::InvalidArgument);
    }
    for name in ["CancelFlightInfo", "RenewFlightEndpoint", "CancelQuery"] {
        let status = act(&fixture, name, Vec::new()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_user_cancels_or_renews() {
    let tokens = [StaticToken::random().unwrap(), StaticToken::random().unwrap()];
    let user = |name, token: &StaticToken| {
        format!("[users.{name}]\ntokens = [{:?}]\nstores = {{ \"*\" = \"read\" }}\n", token.hash())
    };
    let users = Users::parse(&(user("ann", &tokens[0]) + &user("bob", &tokens[1]))).unwrap();
    let fixture = Fixture::serve(&["fleet"], ServerOptions { users: Some(users), ..ServerOptions::default() }).await;
    fn with<T>(token: &StaticToken, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", token.secret()).parse().unwrap());
        request
    }
    let mut flight = fixture.flight().await;
    for descriptor in [statement("SELECT 1"), stacked(1)] {
        let info = flight.get_flight_info(with(&tokens[0], descriptor)).await.unwrap().into_inner();
        let endpoint = Some(info.endpoint[0].clone());
        let cancel = CancelFlightInfoRequest { info: Some(info) }.encode_to_vec();
        for (name, body) in [
            ("RenewFlightEndpoint", RenewFlightEndpointRequest { endpoint }.encode_to_vec()),
            ("CancelFlightInfo", cancel),
        ] {
            let action = || Action::new(name, body.clone());
            let status = flight.do_action(with(&tokens[1], action())).await.unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied, "{name}");
            flight.do_action(with(&tokens[0], action())).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_tickets_are_not_found_and_say_so() {
    let options = ServerOptions { ticket_lifetime: Duration::ZERO, ..ServerOptions::default() };
    let fixture = Fixture::serve(&["fleet"], options).await;
    for descriptor in [statement("SELECT 1"), stacked(2)] {
        let info = info(&fixture, descriptor).await;
        for status in [
            redeem(&fixture, ticket(&info, 0)).await.unwrap_err(),
            renew(&fixture, &info.endpoint[0]).await.unwrap_err(),
        ] {
            assert_eq!(status.code(), Code::NotFound);
            assert!(status.message().contains("the ticket expired"), "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_say_when_they_expire_and_are_renewed_while_there_is_what_they_read() {
    let fixture = Fixture::start().await;
    let seconds = |endpoint: &FlightEndpoint| {
        let time = endpoint.expiration_time.as_ref().unwrap();
        (time.seconds, time.nanos)
    };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let (sql, read) = (info(&fixture, statement("SELECT 1")).await, info(&fixture, stacked(2)).await);
    for info in [&sql, &read] {
        for endpoint in &info.endpoint {
            assert_eq!(seconds(endpoint), seconds(&info.endpoint[0]));
            let lifetime = u64::try_from(seconds(endpoint).0).unwrap() - now;
            assert!((3590..=3700).contains(&lifetime), "{lifetime}");
            let renewed = renew(&fixture, endpoint).await.unwrap();
            assert!(seconds(&renewed) >= seconds(endpoint));
            let old = redeem(&fixture, endpoint.ticket.clone().unwrap()).await.unwrap();
            assert_eq!(redeem(&fixture, renewed.ticket.unwrap()).await.unwrap(), old);
        }
    }
    for month in 0..8 {
        renew(&fixture, &read.endpoint[0]).await.unwrap();
        fixture.store.set_attribute(&dataset(0), "month", Attribute::Int64(month)).unwrap();
        fixture.store.flush().unwrap();
    }
    // Snapshots are kept for the tickets that were given for them, but only so many.
    for month in 0..8 {
        fixture.store.set_attribute(&dataset(0), "month", Attribute::Int64(month)).unwrap();
        fixture.store.flush().unwrap();
        info(&fixture, stacked(1)).await;
    }
    let status = renew(&fixture, &read.endpoint[0]).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("is gone"), "{status}");
    renew(&fixture, &sql.endpoint[0]).await.unwrap();
    // A renewed ticket is still of its query.
    let running = info(&fixture, statement("SELECT 1")).await;
    let renewed = renew(&fixture, &running.endpoint[0]).await.unwrap();
    cancel(&fixture, &running).await.unwrap();
    assert_eq!(redeem(&fixture, renewed.ticket.clone().unwrap()).await.unwrap_err().code(), Code::Cancelled);
    assert_eq!(renew(&fixture, &renewed).await.unwrap_err().code(), Code::Cancelled);
    // What is mounted is always listed.
    let schemas = CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: None };
    let schemas = info(&fixture, FlightDescriptor::new_cmd(schemas.as_any().encode_to_vec())).await;
    assert_eq!(renew(&fixture, &schemas.endpoint[0]).await.unwrap(), schemas.endpoint[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_statement_is_not_found_and_others_go_on() {
    let fixture = Fixture::start().await;
    let mut handles = Vec::new();
    for _ in 0..2 {
        let request = ActionCreatePreparedStatementRequest { query: "SELECT 1".into(), transaction_id: None };
        let body = act(&fixture, "CreatePreparedStatement", request.as_any().encode_to_vec()).await.unwrap();
        let result: ActionCreatePreparedStatementResult = Any::decode(body).unwrap().unpack().unwrap().unwrap();
        handles.push(result.prepared_statement_handle);
    }
    let command = |handle: &Bytes| CommandPreparedStatementQuery { prepared_statement_handle: handle.clone() };
    let command = |handle: &Bytes| command(handle).as_any().encode_to_vec();
    let ticket_before = ticket(&info(&fixture, FlightDescriptor::new_cmd(command(&handles[0]))).await, 0);
    let close = ActionClosePreparedStatementRequest { prepared_statement_handle: handles[0].clone() };
    for _ in 0..2 {
        let action = Action::new("ClosePreparedStatement", close.as_any().encode_to_vec());
        fixture.flight().await.do_action(action).await.unwrap();
    }
    let mut flight = fixture.flight().await;
    let descriptor = FlightDescriptor::new_cmd(command(&handles[0]));
    for status in [
        flight.get_flight_info(descriptor.clone()).await.unwrap_err(),
        flight.get_schema(descriptor).await.unwrap_err(),
        redeem(&fixture, Ticket::new(command(&handles[0]))).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().contains("closed"), "{status}");
    }
    assert_eq!(redeem(&fixture, ticket_before).await.unwrap(), 1);
    assert_eq!(redeem(&fixture, Ticket::new(command(&handles[1]))).await.unwrap(), 1);
}
