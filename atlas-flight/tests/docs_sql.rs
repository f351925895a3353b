//! Every example of docs/sql.md, against the fleet of `atlas demo`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(dead_code, reason = "this test needs a part of the support")]

mod cli_support;

use cli_support::{at, atlas, home};

const PAGE: &str = include_str!("../../docs/sql.md");

/// A fenced block of the page.
struct Example<'a> {
    line: usize,
    sql: &'a str,
    fails: bool,
}

/// The blocks that are marked ```` ```sql ```` or ```` ```sql error ````.
fn examples() -> Vec<Example<'static>> {
    let mut examples = Vec::new();
    let mut open: Option<(usize, usize, &str)> = None;
    let mut at = 0;
    for (number, line) in (1..).zip(PAGE.split_inclusive('\n')) {
        if let Some(mark) = line.trim_end().strip_prefix("```") {
            match open.take() {
                Some((first, start, kind @ ("sql" | "sql error"))) => {
                    examples.push(Example { line: first, sql: &PAGE[start..at], fails: kind == "sql error" });
                }
                Some(_) => {}
                None => open = Some((number, at + line.len(), mark)),
            }
        }
        at += line.len();
    }
    assert!(open.is_none(), "a block is not closed");
    examples
}

#[test]
fn every_example_runs_as_the_page_says() {
    let home = home();
    let fleet = at(&home, "fleet");
    atlas(&["demo", &fleet]).ok();
    let examples = examples();
    assert!(examples.iter().filter(|example| !example.fails).count() >= 10);
    for Example { line, sql, fails } in examples {
        let run = atlas(&["query", &fleet, sql, "--format", "csv"]);
        if fails {
            run.fails(1, &[]);
            continue;
        }
        assert_eq!(run.code, 0, "docs/sql.md:{line}: {}", run.stderr);
        assert!(run.stdout.lines().count() >= 2, "docs/sql.md:{line} gives no row: {}", run.stdout);
    }
}
