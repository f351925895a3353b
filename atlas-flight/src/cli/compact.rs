//! `atlas compact`: the space of deleted and overwritten chunks, given back.

use crate::cli::describe;
use crate::cli::{Failure, Output};
use atlas_flight::write::compacted;
use atlas_store::{CompactOptions, Store};
use clap::Args;
use std::io::Write;
use std::time::Duration;

/// Give back the space of deleted and overwritten chunks.
///
/// Array families that hold such chunks are rewritten. The segments that they replace stay for readers of earlier
/// snapshots, and are deleted by a later compaction, once their retention is over.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atlas compact fleet
  atlas compact fleet --retention 0     nobody reads an earlier snapshot: delete at once

JSON: {snapshot, families, bytes_before, bytes_after, reclaimed_bytes, deleted_objects, deleted_bytes, retained_bytes}.")]
pub(crate) struct Compact {
    /// Directory of the store
    store: String,
    /// Seconds for which replaced segments are kept for readers of earlier snapshots
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    retention: u64,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Compact {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let options = CompactOptions { retention: Duration::from_secs(self.retention) };
        let report = Store::open(&self.store)?.compact(options)?;
        let mut out = Output::stdout();
        if self.json {
            writeln!(out, "{}", compacted(&report))?;
            return out.finish();
        }
        let count = report.families as u64;
        let noun = if count == 1 { "array family" } else { "array families" };
        writeln!(
            out,
            "rewrote {} {noun}: {} before, {} after, {} reclaimed (snapshot {})",
            describe::count(count),
            describe::bytes(report.bytes_before),
            describe::bytes(report.bytes_after),
            describe::bytes(report.reclaimed_bytes()),
            report.snapshot,
        )?;
        writeln!(
            out,
            "deleted {} ({}); {} kept for readers of earlier snapshots",
            describe::counted(report.deleted_objects as u64, "file"),
            describe::bytes(report.deleted_bytes),
            describe::bytes(report.retained_bytes),
        )?;
        out.finish()
    }
}
