//! DuckDB, in a Python process that is given queries by a pipe.

use crate::THREADS;
use crate::answer::{Answer, Value};
use crate::engines::{Engine, Query, Run};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

pub(crate) struct DuckDb {
    name: String,
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl DuckDb {
    /// DuckDB over a Parquet file; `None`, and said so, where there is none.
    pub(crate) fn open(table: &str, file: &Path) -> Option<DuckDb> {
        let Ok(python) = std::env::var("ATLAS_BENCH_PYTHON") else {
            println!("DuckDB is left out: ATLAS_BENCH_PYTHON is not set (benches/compare_sql does that)\n");
            return None;
        };
        let worker = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/sql/duckdb_worker.py");
        let mut process = Command::new(&python)
            .args([worker, table, file.to_str().unwrap(), &THREADS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{python}: {error}"));
        let requests = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let mut version = String::new();
        if answers.read_line(&mut version).unwrap() == 0 {
            println!("DuckDB is left out: {python} cannot run it\n");
            let _ = process.wait();
            return None;
        }
        Some(DuckDb { name: format!("DuckDB {}, Parquet", version.trim()), process, requests, answers })
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Engine for DuckDb {
    fn name(&self) -> &str {
        &self.name
    }

    /// The time is the worker's own: from the text to the answer within DuckDB.
    fn run(&mut self, query: &Query) -> Run {
        writeln!(self.requests, "{}", json!({ "sql": query.flat, "in_new_session": query.in_new_session })).unwrap();
        self.requests.flush().unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let reply: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let time = Duration::from_secs_f64(reply["seconds"].as_f64().unwrap());
        let rows = reply["rows"].as_array().unwrap().iter();
        let rows = rows.map(|row| row.as_array().unwrap().iter().map(value).collect()).collect();
        Run { time, answer: Answer { rows }, read: (None, None) }
    }
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::String(text) => Value::Text(text.clone()),
        number => number.as_i64().map(Value::Int).or_else(|| number.as_f64().map(Value::Float)).unwrap(),
    }
}
