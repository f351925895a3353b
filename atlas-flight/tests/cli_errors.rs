//! Bad input: one clear line on stderr, nothing on stdout, and the right exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use cli_support::{at, atlas, home, small_store};
use std::path::Path;

/// Commands that open the store at `location`.
fn readers(location: &str) -> Vec<Vec<String>> {
    let texts = |arguments: &[&str]| arguments.iter().map(|argument| (*argument).to_owned()).collect();
    vec![
        texts(&["ls", location]),
        texts(&["info", location, "--json"]),
        texts(&["show", location, "a"]),
        texts(&["query", location, "SELECT 1"]),
        texts(&["read", location, "t"]),
        texts(&["serve", "--store", &format!("fleet={location}")]),
    ]
}

#[test]
fn no_such_store() {
    let home = home();
    let location = at(&home, "nowhere");
    for arguments in readers(&location) {
        atlas(&arguments).fails(1, &["no such store", &location]);
    }
    assert!(!Path::new(&location).exists());
}

#[test]
fn a_directory_that_is_not_a_store() {
    let home = home();
    let location = at(&home, "pictures");
    std::fs::create_dir(&location).unwrap();
    for arguments in readers(&location) {
        atlas(&arguments).fails(1, &["no such store", &location, "no atlas.json"]);
    }
}

#[test]
fn a_file_that_is_not_a_store() {
    let home = home();
    let location = at(&home, "notes.txt");
    std::fs::write(&location, "x").unwrap();
    for arguments in readers(&location) {
        atlas(&arguments).fails(1, &[&location]);
    }
    atlas(&["create", &location]).fails(1, &[&location]);
    atlas(&["import", &location, &location]).fails(1, &[&location]);
}

#[test]
fn a_newer_format_version() {
    let home = home();
    let store = small_store(&home);
    let catalog = format!("{store}/atlas.json");
    let text = std::fs::read_to_string(&catalog).unwrap();
    assert!(text.contains("\"version\":1"));
    std::fs::write(&catalog, text.replacen("\"version\":1", "\"version\":7", 1)).unwrap();
    for arguments in readers(&store) {
        atlas(&arguments).fails(1, &["version", "7"]);
    }
}

#[test]
fn a_store_of_atlas_python() {
    let home = home();
    let location = at(&home, "reference");
    std::fs::create_dir(&location).unwrap();
    let catalog = r#"{"version": 1, "codec": "zstd", "datasets": {"jan_2024": {}}}"#;
    std::fs::write(format!("{location}/atlas.json"), catalog).unwrap();
    for arguments in readers(&location) {
        atlas(&arguments).fails(1, &["atlas-python"]);
    }
}

#[test]
fn a_damaged_catalog_or_segment() {
    let home = home();
    let store = small_store(&home);
    let segment = format!("{store}/t/data.af");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    std::fs::write(&segment, &bytes).unwrap();
    atlas(&["read", &store, "t"]).fails(1, &["corrupt", "data.af", "byte"]);
    atlas(&["query", &store, "SELECT element(t, 0, 0) FROM datasets"]).fails(1, &["corrupt", "data.af"]);
    let catalog = format!("{store}/atlas.json");
    let text = std::fs::read_to_string(&catalog).unwrap();
    std::fs::write(&catalog, &text[..text.len() / 2]).unwrap();
    atlas(&["ls", &store]).fails(1, &["corrupt", "atlas.json"]);
}

#[test]
fn unknown_names() {
    let home = home();
    let store = small_store(&home);
    atlas(&["show", &store, "zzz"]).fails(1, &["no such dataset", "zzz"]);
    atlas(&["read", &store, "zzz"]).fails(1, &["no such array", "zzz"]);
    atlas(&["read", &store, "t", "--datasets", "a,zzz"]).fails(1, &["no such dataset", "zzz"]);
    atlas(&["read", &store, "t", "--where", "zzz = 1"]).fails(1, &["zzz"]);
    atlas(&["query", &store, "SELECT zzz FROM datasets"]).fails(1, &["no such column: zzz", "ship"]);
    atlas(&["query", &store, "SELECT * FROM zzz"]).fails(1, &["zzz"]);
    atlas(&["query", &store, "SELECT zzz(t) FROM datasets"]).fails(1, &["zzz"]);
}

#[test]
fn regions_that_do_not_fit() {
    let home = home();
    let store = small_store(&home);
    let read = |more: &[&str]| atlas(&[&["read", &store, "t"], more].concat());
    read(&["--start", "0,0", "--shape", "2,4"]).fails(1, &["out of bounds", "t", "4", "3"]);
    read(&["--start", "0", "--shape", "2"]).fails(1, &["rank 1", "rank 2"]);
    read(&["--start", "0,9"]).fails(1, &["out of bounds", "9"]);
    read(&["--start", "0,0,0"]).fails(1, &["rank"]);
    read(&["--start", "0,0", "--shape", "2"]).fails(2, &["--start", "--shape"]);
    read(&["--start", "0,-1", "--shape", "2,2"]).fails(2, &["-1"]);
    read(&["--start", "0,x"]).fails(2, &["x"]);
    read(&["--datasets", "a", "--where", "true"]).fails(2, &["--datasets"]);
    let query = |sql: &str| atlas(&["query", &store, sql]);
    query("SELECT slice(t, [0,0], [2,4]) FROM datasets").fails(1, &["t", "4"]);
    query("SELECT slice(t, [0], [2]) FROM datasets").fails(1, &["t", "rank"]);
}

#[test]
fn bad_sql() {
    let home = home();
    let store = small_store(&home);
    atlas(&["query", &store, "SELEC 1"]).fails(1, &["SELEC"]);
    atlas(&["query", &store, "SELECT 1 FROM"]).fails(1, &["sql"]);
    atlas(&["query", &store, "SELECT 'a"]).fails(1, &[]);
    atlas(&["query", &store, "SELECT stat_max(month) FROM datasets"]).fails(1, &["month"]);
    atlas(&["query", &store, "SELECT 1", "--format", "xml"]).fails(2, &["xml"]);
    atlas(&["query", &store, "SELECT 1", "-o", &at(&home, "no/such/dir.csv")]).fails(1, &["no/such/dir.csv"]);
}

#[test]
fn what_clap_refuses_is_one_line_too() {
    atlas(&["ls"]).fails(2, &["<STORE>", "usage: atlas ls"]);
    atlas(&["frobnicate"]).fails(2, &["frobnicate"]);
    atlas(&["ls", "x", "--nope"]).fails(2, &["--nope"]);
    atlas(&["create", "x", "--codec", "gzip"]).fails(2, &["gzip"]);
}

#[test]
fn output_that_cannot_be_written() {
    let home = home();
    let store = small_store(&home);
    atlas(&["read", &store, "t", "-o", &at(&home, "no/such/t.npy")]).fails(1, &["no/such/t.npy"]);
    atlas(&["read", &store, "t", "-o", home.path().to_str().unwrap()]).fails(1, &["directory"]);
    atlas(&["query", &store, "SELECT 1", "--format", "csv", "-o", "/dev/full"]).fails(1, &["/dev/full", "space"]);
}
