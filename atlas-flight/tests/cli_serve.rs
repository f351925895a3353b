//! `atlas serve` as a process: its banner, its end, and what it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use atlas_flight::client::Client;
use cli_support::{at, atlas, command, home, small_store};
use std::io::{BufRead, BufReader};
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
            let mut client = Client::connect(&uri).await.unwrap();
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
        atlas(&["serve", "--store", &store, "--listen", listen]).fails(2, &[listen, "TLS"]);
    }
    atlas(&["serve", "--store", &store, "--listen", "nowhere"]).fails(2, &["nowhere", "ADDRESS:PORT"]);
    atlas(&["serve", "--store", &store, "--store", &store]).fails(2, &["two stores are named small"]);
    atlas(&["serve", "--store", &at(&home, "small")]).fails(2, &["NAME=STORE"]);
    atlas(&["serve"]).fails(2, &["--store"]);
}
