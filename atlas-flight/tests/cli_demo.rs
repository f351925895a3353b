//! `atlas demo` as a process: the whole tour over TCP, and what it leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use cli_support::{at, atlas, command, home};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn the_tour_answers_three_questions_and_cleans_up() {
    let home = home();
    let output = command().arg("demo").env("TMPDIR", home.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    for part in ["1,000 ocean casts", "grpc://127.0.0.1:", "EXPLAIN: ", "1000", "temperature float32 (", "import adbc"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(home.path().read_dir().unwrap().count(), 0, "the temporary store is left");
}

#[test]
fn a_given_directory_keeps_the_same_fleet_every_time() {
    let home = home();
    let (first, second) = (at(&home, "first"), at(&home, "second"));
    let text = atlas(&["demo", &first]).ok();
    assert!(text.contains("atlas serve --store fleet="), "{text}");
    std::fs::create_dir(&second).unwrap();
    atlas(&["demo", &second]).ok();
    let sql = "SELECT count(*) AS casts, count(DISTINCT cruise) AS cruises, min(temperature_min) AS cold, \
               max(temperature_max) AS hot, sum(temperature_mean) AS mean, sum(salinity_null_count) AS missing FROM catalog";
    let of = |store: &str| atlas(&["query", store, sql, "--format", "csv"]).ok();
    let line = of(&first);
    assert_eq!(of(&second), line);
    let values: Vec<&str> = line.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(values[..2], ["1000", "20"]);
    let (cold, hot): (f64, f64) = (values[2].parse().unwrap(), values[3].parse().unwrap());
    assert!(cold > -2.5 && cold < 3.0 && hot > 28.0 && hot < 33.0, "{line}");
    atlas(&["demo", &first]).fails(1, &["store already"]);
}

#[test]
fn a_directory_with_other_files_is_refused() {
    let home = home();
    std::fs::write(home.path().join("thesis.tex"), "").unwrap();
    atlas(&["demo", home.path().to_str().unwrap()]).fails(1, &["other files"]);
    assert_eq!(home.path().read_dir().unwrap().count(), 1);
}

#[test]
fn keep_serving_stays_up_until_interrupted() {
    let home = home();
    let mut child = command()
        .args(["demo", "--keep-serving"])
        .env("TMPDIR", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("until Ctrl-C")));
    assert!(child.try_wait().unwrap().is_none());
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(home.path().read_dir().unwrap().count(), 0);
}
