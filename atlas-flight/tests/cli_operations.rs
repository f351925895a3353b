//! `atlas serve` as an operator runs it: settings from a file and the environment, logs for machines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow_flight::sql::client::FlightSqlServiceClient;
use cli_support::{at, atlas, command, home, small_store};
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tonic::transport::Channel;

type Client = FlightSqlServiceClient<Channel>;

/// What a server logs, as JSON, at this level, while `use_it` has a client.
fn logged(level: &str, use_it: impl AsyncFnOnce(Client)) -> Vec<Value> {
    let home = home();
    let store = format!("small={}", small_store(&home));
    let mut child = command()
        .args(["serve", "--store", &store, "--listen", "127.0.0.1:0", "--log", level, "--log-format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        log
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let uri = lines.find_map(|line| line.unwrap().strip_prefix("serving on ").map(str::to_owned)).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = Channel::from_shared(uri.replace("grpc", "http")).unwrap().connect().await.unwrap();
        use_it(FlightSqlServiceClient::new(channel)).await;
    });
    drop(runtime);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let log = log.join().unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

async fn fetch(client: &mut Client, statement: &str) -> usize {
    let info = client.execute(statement.into(), None).await.unwrap();
    let stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    stream.map(|batch| batch.unwrap().num_rows()).fold(0, async |sum, rows| sum + rows).await
}

#[test]
fn a_call_is_an_event_with_what_it_did() {
    let events = logged("info", async |mut client| {
        assert_eq!(fetch(&mut client, "SELECT dataset, t FROM datasets WHERE month <= 2 -- first").await, 2);
        assert_eq!(fetch(&mut client, "select dataset, t from datasets where month <= 1").await, 1);
        client.execute("SELECT 'swordfish' FROM nowhere".into(), None).await.unwrap_err();
    });
    let calls: Vec<&Value> = events.iter().filter(|event| event["message"] == "call").collect();
    let methods: Vec<_> = calls.iter().map(|call| call["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["GetFlightInfo", "DoGet", "GetFlightInfo", "DoGet", "GetFlightInfo"]);
    let get = calls[1];
    for (field, value) in [
        ("level", Value::from("INFO")),
        ("kind", "sql".into()),
        ("code", "OK".into()),
        ("rows", 2.into()),
        ("batches", 1.into()),
        ("chunks_read", 2.into()),
        ("datasets_pruned", 1.into()),
    ] {
        assert_eq!(get[field], value, "{field} of {get}");
    }
    assert!(get["seconds"].as_f64().unwrap() > 0.0 && get["sent_bytes"].as_u64().unwrap() > 48);
    assert!(get["bytes_read"].as_u64().unwrap() > 0 && get["timestamp"].is_string());
    let fingerprints: Vec<_> = calls.iter().map(|call| call["fingerprint"].as_str().unwrap()).collect();
    assert_eq!(fingerprints[0].len(), 16);
    assert!(fingerprints[..4].iter().all(|one| *one == fingerprints[0]) && fingerprints[4] != fingerprints[0]);
    let ids: std::collections::HashSet<_> = calls.iter().map(|call| call["query_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 5);
    assert_eq!(calls[4]["code"], "NOT_FOUND");
    assert!(events.iter().all(|event| !event.to_string().contains("swordfish") && event.get("sql").is_none()));
}

#[test]
fn values_of_parameters_and_tickets_are_logged_at_no_level() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let level = "trace,datafusion=trace,datafusion_optimizer=trace,sqlparser=trace,h2::codec=trace,hyper=trace";
    let events = logged(level, async |mut client| {
        for (statement, good) in [
            ("SELECT dataset FROM datasets WHERE ship <> ?", true),
            ("SELECT count(*) FROM datasets WHERE CAST(? AS INT) = 1", false),
        ] {
            let mut prepared = client.prepare(statement.into(), None).await.unwrap();
            let value: ArrayRef = Arc::new(StringArray::from(vec!["swordfish"]));
            prepared.set_parameters(RecordBatch::try_from_iter([("0", value)]).unwrap()).unwrap();
            let answer = async {
                let info = prepared.execute().await?;
                let ticket = info.endpoint[0].ticket.clone().unwrap();
                sender.send(ticket.ticket.clone()).unwrap();
                client.do_get(ticket).await?.try_collect::<Vec<_>>().await
            };
            let answer: Result<Vec<RecordBatch>, arrow_flight::error::FlightError> = answer.await;
            assert_eq!(answer.is_ok(), good, "{answer:?}");
            if let Err(error) = answer {
                assert!(error.to_string().contains("swordfish"), "the client is told: {error}");
            }
        }
    });
    drop(sender);
    let log: String = events.iter().map(Value::to_string).collect();
    assert!(log.contains("ship <> $1"), "statements are logged at debug: {log}");
    assert!(!log.contains("swordfish"));
    for ticket in receiver {
        let bytes = format!("{:?}", &ticket[..]);
        assert!(!log.contains(&bytes[1..bytes.len() - 1]) && !log.contains(&format!("{ticket:?}")));
    }
}

#[test]
fn settings_come_from_flags_the_environment_and_a_file() {
    let home = home();
    let store = small_store(&home);
    let file = at(&home, "atlas.toml");
    std::fs::write(&file, format!("listen = \"127.0.0.1:1\"\n[stores]\nfirst = {store:?}\nsecond = {store:?}\n"))
        .unwrap();
    let check = |environment: &[(&str, &str)], arguments: &[&str]| {
        let output = command()
            .args(["serve", "--check"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let of_file = format!(
        "the settings are good: would serve on grpc://127.0.0.1:1\n  first: 3 datasets of {store}\n  second: 3 datasets of {store}\n"
    );
    assert_eq!(check(&[], &["--config", &file]), of_file);
    let named = ("ATLAS_CONFIG", file.as_str());
    assert_eq!(check(&[named], &[]), of_file);
    let listen = ("ATLAS_LISTEN", "127.0.0.1:2");
    assert!(check(&[named, listen], &[]).contains("127.0.0.1:2\n"));
    assert!(check(&[named, listen], &["--listen", "127.0.0.1:3"]).contains("127.0.0.1:3\n"));
    let metrics = check(&[named, ("ATLAS_METRICS", "127.0.0.1:9464")], &[]);
    assert!(metrics.ends_with("metrics on http://127.0.0.1:9464/metrics\n"), "{metrics}");
}

#[test]
fn settings_that_are_wrong_are_a_line() {
    let home = home();
    let file = at(&home, "atlas.toml");
    let fails = |content: &str, code: i32, parts: &[&str]| {
        std::fs::write(&file, content).unwrap();
        atlas(&["serve", "--config", &file]).fails(code, &[&[file.as_str()], parts].concat());
    };
    fails("listen = 5", 2, &["listen = 5", "quotes"]);
    fails("listen = \"here\"", 2, &["listen = \"here\"", "ADDRESS:PORT"]);
    fails("[limits]\nmax_read = \"1 GB\"", 2, &["limits.max_read = \"1 GB\"", "whole number"]);
    fails("refresh = \"often\"", 2, &["refresh = \"often\"", "12h"]);
    fails("log_format = \"xml\"", 2, &["log_format = \"xml\"", "text or json"]);
    fails("log = \"a=b=c\"", 2, &["log = \"a=b=c\"", "info"]);
    fails("[stores]\n\"\" = \"x\"", 2, &["stores.", "NAME=STORE"]);
    fails("lisen = \"x\"", 2, &["unknown key lisen", "listen"]);
    fails("listen = ", 2, &["line 1"]);
    atlas(&["serve", "--config", &at(&home, "none.toml")]).fails(1, &["none.toml", "No such file"]);
}

#[test]
fn the_banner_says_how_to_connect() {
    let home = home();
    let store = format!("small={}", small_store(&home));
    let mut child = command()
        .args(["serve", "--store", &store, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut banner = Vec::new();
    for line in lines {
        banner.push(line);
        if banner.last().is_some_and(|line| line == "stop with Ctrl-C") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let place = banner[0].strip_prefix("serving on grpc://").unwrap();
    assert!(banner[2].starts_with("metrics on http://127.0.0.1:") && !banner[2].contains(":0/"), "{banner:?}");
    for part in [
        format!("adbc_driver_flightsql.dbapi.connect(\"grpc://{place}\""),
        format!("pyarrow.flight.connect(\"grpc://{place}\")"),
        format!("jdbc:arrow-flight-sql://{place}/?useEncryption=false"),
    ] {
        assert!(banner.iter().any(|line| line.contains(&part)), "{part} is not in {banner:?}");
    }
}
