//! SQL over a store, beside the same SQL by DataFusion and by DuckDB over Parquet files of the same rows.
//!
//! ```text
//! benches/compare_sql                    all; makes a Python environment with DuckDB first
//! benches/compare_sql cells              queries that have "cells" in their names
//! cargo bench -p atlas-benches --bench sql     the same without DuckDB, unless ATLAS_BENCH_PYTHON has a Python with it
//! ```
//!
//! | variable | |
//! |---|---|
//! | `ATLAS_BENCH_CASTS` | numbers of datasets of the catalog queries (`1000,100000,1000000`) |
//! | `ATLAS_BENCH_PROFILES` | numbers of datasets of the queries of cells (`1000,4000,16000`) |
//! | `ATLAS_BENCH_ROUNDS` | how often each system runs each query (7) |
//! | `ATLAS_BENCH_SYSTEMS` | part of the names of the systems that are wanted (all) |
//! | `ATLAS_BENCH_PYTHON` | the Python that has DuckDB |
//!
//! Every system gets the same text, where the tables allow it, and two threads. A query's time is from its text to all
//! of its answer in memory; the answers of all systems are compared before anything is timed. In each round every
//! system runs the query once, another one first each time. "new session" is the first query of a session on a store
//! that is open: nothing is known of the table yet, and the Parquet file's footer is read again.
//!
//! The catalog is `casts`: 10 attributes and 5 small arrays a dataset. Its Parquet file has a column for each attribute and
//! statistic; "MemTable" is DataFusion over that in memory. The cells are `profiles`: one (50, 168) float32 array a
//! dataset with its coordinates, 2 % of it missing; the Parquet file is the long table, a row for each cell. One in a
//! thousand datasets is warm. Files are in the page cache. For other stores of the same data see `stacked`, for the
//! catalog by itself `catalog`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "a bench"
)]

#[path = "../brief.rs"]
mod brief;

#[path = "sql/answer.rs"]
mod answer;
#[path = "sql/casts.rs"]
mod casts;
#[path = "sql/compare.rs"]
mod compare;
#[path = "sql/duckdb.rs"]
mod duckdb;
#[path = "sql/engines.rs"]
mod engines;
#[path = "sql/flat.rs"]
mod flat;
#[path = "sql/profiles.rs"]
mod profiles;

use brief::numbers;

/// Threads of every system.
pub(crate) const THREADS: usize = 2;

fn main() {
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let rounds = numbers("ATLAS_BENCH_ROUNDS", &[7])[0].max(1);
    let compare = compare::Compare::new(only, rounds);
    for datasets in numbers("ATLAS_BENCH_CASTS", &[1_000, 100_000, 1_000_000]) {
        casts::measure(&compare, datasets);
    }
    for datasets in numbers("ATLAS_BENCH_PROFILES", &[1_000, 4_000, 16_000]) {
        profiles::measure(&compare, datasets);
    }
}
