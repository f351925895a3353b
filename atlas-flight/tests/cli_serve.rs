//! `atlas serve` as a process: its banner, its end, and what it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use atlas_flight::client::{Client, ConnectOptions};
use cli_support::{at, atlas, command, home, small_store};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// Starts the command and reads on until the line that names the address.
fn start(arguments: &[&str]) -> (Child, String) {
    let mut child = command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.by_ref().find_map(|line| {
        line.unwrap().strip_prefix("serving on ").map(|rest| rest.split_whitespace().next().unwrap().to_owned())
    });
    std::thread::spawn(move || lines.for_each(drop));
    (child, address.unwrap())
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn serves_until_it_is_told_to_stop() {
    let home = home();
    let store = small_store(&home);
    for signal in ["-TERM", "-INT"] {
        let (child, uri) = start(&["serve", "--store", &format!("small={store}"), "--listen", "127.0.0.1:0"]);
        assert!(uri.starts_with("grpc://127.0.0.1:") && !uri.ends_with(":0"), "{uri}");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let rows: usize = runtime.block_on(async {
            let client = Client::connect(&uri).await.unwrap();
            let batches = client.query("SELECT dataset FROM datasets WHERE stat_max(t) > 5").await.unwrap();
            batches.iter().map(|batch| batch.num_rows()).sum()
        });
        assert_eq!(rows, 1);
        drop(runtime);
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn what_it_refuses() {
    let home = home();
    let store = format!("small={}", small_store(&home));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    atlas(&["serve", "--store", &store, "--listen", &address]).fails(1, &[&address, "in use"]);
    for listen in ["0.0.0.0:0", "[::]:0"] {
        atlas(&["serve", "--store", &store, "--listen", listen]).fails(2, &[listen, "TLS", "--insecure"]);
    }
    for (option, file) in [("--users", "users.toml"), ("--key", "key")] {
        let file = at(&home, file);
        atlas(&["serve", "--store", &store, option, &file]).fails(1, &[&file, "No such file"]);
    }
    atlas(&["serve", "--store", &store, "--tls-cert", "c.pem"]).fails(2, &["--tls-key"]);
    let missing = ["serve", "--store", &store, "--tls-cert", "/nowhere/c.pem", "--tls-key", "/nowhere/k.pem"];
    atlas(&missing).fails(1, &["/nowhere/c.pem", "No such file"]);
    atlas(&["serve", "--store", &store, "--token-lifetime", "soon"]).fails(2, &["--token-lifetime", "12h"]);
    std::fs::write(at(&home, "users.toml"), "[users.ann]\npassword = \"secret\"\nstores = {}\n").unwrap();
    let error = atlas(&["serve", "--store", &store, "--users", &at(&home, "users.toml")]);
    assert!(!error.stderr.contains("secret"));
    error.fails(1, &["users.toml", "ann", "atlas passwd"]);
    atlas(&["serve", "--store", &store, "--listen", "nowhere"]).fails(2, &["nowhere", "ADDRESS:PORT"]);
    atlas(&["serve", "--store", &store, "--store", &store]).fails(2, &["two stores are named small"]);
    atlas(&["serve", "--store", &at(&home, "small")]).fails(2, &["NAME=STORE"]);
    atlas(&["serve"]).fails(2, &["--store"]);
}

/// Runs `atlas passwd` with this on standard input.
fn passwd(input: &[u8]) -> (Option<i32>, String, String) {
    let mut child =
        command().arg("passwd").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn passwords_are_hashed_from_standard_input() {
    let (code, line, stderr) = passwd(b"correct horse\n");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(line.starts_with("password = \"$argon2id$v=19$") && line.ends_with("\"\n"), "{line}");
    assert_ne!(passwd(b"correct horse\r\n").1, line, "salted");
    for input in [&b"\n"[..], b"", b"\xff\xfe\n", &[b'x'; 5000]] {
        let (code, stdout, stderr) = passwd(input);
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(1), "", 1), "{stderr}");
    }
    atlas(&["passwd", "secret"]).fails(2, &["usage: atlas passwd"]);
}

#[test]
fn nothing_that_clients_keep_secret_is_logged() {
    let home = home();
    let store = format!("small={}", small_store(&home));
    let token = atlas(&["token"]).ok();
    let (token, line) = token.split_once('\n').unwrap();
    let (_, password, _) = passwd(b"correct horse\n");
    let users = format!("[users.ann]\n{password}{line}stores = {{ \"*\" = \"read\" }}\n");
    std::fs::write(at(&home, "users.toml"), users).unwrap();
    let mut child = command()
        .args(["serve", "--store", &store, "--listen", "127.0.0.1:0", "--users", &at(&home, "users.toml")])
        .env("RUST_LOG", "trace,h2=trace,hyper=trace,tonic=trace")
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let session = runtime.block_on(async {
        let login = |password: &str| ConnectOptions {
            login: Some(("ann".into(), password.into())),
            ..ConnectOptions::default()
        };
        let client = Client::connect_with(&uri, login("correct horse")).await.unwrap();
        client.query("SELECT dataset FROM datasets").await.unwrap();
        Client::connect_with(&uri, login("wrong horse")).await.unwrap_err();
        for token in [token, "atlas_wrong"] {
            let options = ConnectOptions { token: Some(token.into()), ..ConnectOptions::default() };
            let answer = Client::connect_with(&uri, options).await.unwrap().query("SELECT 1").await;
            assert_eq!(answer.is_ok(), token != "atlas_wrong");
        }
        let flight =
            tonic::transport::Channel::from_shared(uri.replace("grpc", "http")).unwrap().connect().await.unwrap();
        let mut flight = arrow_flight::sql::client::FlightSqlServiceClient::new(flight);
        flight.handshake("ann", "correct horse").await.unwrap();
        flight.token().unwrap().clone()
    });
    drop(runtime);
    send("-TERM", &child);
    child.wait().unwrap();
    let log = log.join().unwrap();
    assert!(log.contains("not let in") && log.contains("DEBUG"), "it did log: {log}");
    // The base64 of what `ann:correct horse` and `ann:wrong horse` begin with.
    for secret in [
        "correct horse",
        "wrong horse",
        "YW5uOmNvcnJlY3Qg",
        "YW5uOndyb25nI",
        token,
        "atlas_wrong",
        &session,
        "argon2id",
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret:?} is in {line:?}");
    }
}

#[test]
fn what_is_not_secured_says_so() {
    let home = home();
    let store = format!("small={}", small_store(&home));
    let arguments = ["serve", "--store", &store, "--listen", "0.0.0.0:0", "--insecure"];
    let mut child = command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(lines[1], "warning: other machines can connect, and there is neither TLS nor a login");
}
