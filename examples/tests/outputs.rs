//! Each example prints what its header says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::process::Command;

/// The text of the header's `text` block.
fn promised(source: &str) -> String {
    let lines =
        source.lines().map_while(|line| line.strip_prefix("//!")).map(|line| line.strip_prefix(' ').unwrap_or(line));
    let block: Vec<&str> =
        lines.skip_while(|line| *line != "```text").skip(1).take_while(|line| *line != "```").collect();
    assert!(!block.is_empty(), "the header has no output");
    block.join("\n")
}

fn check(program: &str, source: &str) {
    let output = Command::new(program).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), promised(source));
}

#[test]
fn create_and_read() {
    check(env!("CARGO_BIN_EXE_create_and_read"), include_str!("../create_and_read.rs"));
}

#[test]
fn query_in_process() {
    check(env!("CARGO_BIN_EXE_query_in_process"), include_str!("../query_in_process.rs"));
}

#[test]
fn bulk_read() {
    check(env!("CARGO_BIN_EXE_bulk_read"), include_str!("../bulk_read.rs"));
}

#[test]
fn object_store() {
    check(env!("CARGO_BIN_EXE_object_store"), include_str!("../object_store.rs"));
}

#[test]
fn stats_scan() {
    check(env!("CARGO_BIN_EXE_stats_scan"), include_str!("../stats_scan.rs"));
}

#[test]
fn flight_client() {
    check(env!("CARGO_BIN_EXE_flight_client"), include_str!("../flight_client.rs"));
}
