//! `atlas create`, `ls`, `info`, `show`, and the help.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use cli_support::{at, atlas, command, home, small_store};
use serde_json::json;
use std::io::Read;
use std::process::Stdio;

#[test]
fn help_has_examples_and_no_arguments_are_a_usage_error() {
    for name in ["create", "import", "ls", "info", "show", "query", "read", "serve", "rm", "compact", "verify", "demo"]
    {
        let help = atlas(&[name, "--help"]).ok();
        assert!(help.contains("Examples:") && help.contains(&format!("atlas {name}")), "{name}: {help}");
    }
    assert!(atlas(&["--version"]).ok().starts_with("atlas "));
    assert_eq!(atlas::<&str>(&[]).code, 2);
}

#[test]
fn create_makes_the_variant_that_was_asked_for() {
    let home = home();
    let store = at(&home, "deep/in/new");
    let line =
        atlas(&["create", &store, "--codec", "zstd", "--meta-format", "msgpack", "--meta-compression", "lz4"]).ok();
    assert!(line.starts_with(&format!("created {store}")) && line.lines().count() == 1, "{line}");
    assert!(home.path().join("deep/in/new/atlas.msgpack.lz4").is_file());
    let info = atlas(&["info", &store, "--json"]).json();
    assert_eq!(info["codec"], "zstd");
    assert_eq!(info["meta_format"], "msgpack");
    assert_eq!(info["meta_compression"], "lz4");
    assert_eq!(info["datasets"], 0);
    assert_eq!(atlas(&["ls", &store, "--json"]).json(), json!([]));
    atlas(&["create", &store]).fails(1, &["exists already", &store]);
}

#[test]
fn ls_lists_datasets_in_order() {
    let home = home();
    let store = small_store(&home);
    let rows = atlas(&["ls", &store, "--json"]).json();
    assert_eq!(rows[0], json!({"dataset": "a", "arrays": 4, "cells": 11, "attributes": 2}));
    assert_eq!(rows[2], json!({"dataset": "c", "arrays": 3, "cells": 5, "attributes": 2}));
    let text = atlas(&["ls", &store]).ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("dataset") && lines[1].starts_with("a ") && lines[3].starts_with("c "), "{text}");
}

#[test]
fn info_totals_a_store() {
    let home = home();
    let store = small_store(&home);
    let info = atlas(&["info", &store, "--json"]).json();
    assert_eq!(info["datasets"], 3);
    assert_eq!(info["arrays"], 11);
    assert_eq!(info["snapshot"].as_u64(), Some(1));
    let family = info["families"].as_array().unwrap().iter().find(|family| family["array"] == "t").unwrap();
    assert_eq!(family["dtype"], "float32");
    assert_eq!(family["datasets"], 2);
    assert_eq!(family["shape"], json!([2, 3]));
    assert_eq!((&family["min"], &family["max"]), (&json!(0.0), &json!(14.0)));
    assert_eq!(family["null_count"], 2);
    assert_eq!(family["raw_bytes"], 48);
    let text = atlas(&["info", &store]).ok();
    assert!(text.contains("3 datasets, 11 arrays in 4 families"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("t ") && line.contains("2×3")), "{text}");
}

#[test]
fn show_describes_a_dataset() {
    let home = home();
    let store = small_store(&home);
    let show = atlas(&["show", &store, "b", "--json"]).json();
    assert_eq!(show["dataset"], "b");
    assert_eq!(show["attributes"][1], json!({"key": "ship", "type": "string", "value": "Meteor"}));
    let array = show["arrays"].as_array().unwrap().iter().find(|array| array["array"] == "t").unwrap();
    assert_eq!(array["dims"], json!(["depth", "hour"]));
    assert_eq!(array["fill_value"], "NaN");
    assert_eq!(array["chunks"], 1);
    let statistics = &array["statistics"];
    assert_eq!((&statistics["min"], &statistics["max"]), (&json!(10.0), &json!(14.0)));
    assert_eq!((&statistics["row_count"], &statistics["null_count"]), (&json!(6), &json!(1)));
    assert_eq!(statistics["mean"], 12.0);
    let when = show["arrays"].as_array().unwrap().iter().find(|array| array["array"] == "when").unwrap();
    assert_eq!(when["statistics"]["max"], "2023-11-14T22:13:20Z");
    let text = atlas(&["show", &store, "b"]).ok();
    assert!(text.contains("depth, hour") && text.contains("Meteor") && text.contains("scalar"), "{text}");
}

#[test]
fn an_error_that_nobody_reads_is_still_an_error() {
    let mut child = command().args(["ls", "/nowhere"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let home = home();
    let store = small_store(&home);
    let sql = "SELECT value FROM generate_series(1, 2000000)";
    for arguments in [&["ls", &store][..], &["query", &store, sql, "--format", "csv"]] {
        let mut child = command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}
