//! `atlas verify`: everything that a store holds, read and compared.

use crate::cli::describe;
use crate::cli::{Failure, Output};
use atlas_store::{Error, Store, VerifyReport};
use clap::Args;
use serde_json::json;
use std::io::Write;

/// Read everything in a store, and check every checksum, index, zone map and statistic.
///
/// Exit code 0: the store is whole. Exit code 1: it is not, and what does not hold is listed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atlas verify fleet
  atlas verify fleet --json | jq '.problems'

JSON: {snapshot, segments, chunks, bytes, retained_bytes, problems: [{object, offset, message}], orphans: [{object, bytes}]}.
Orphans are files that a writer left that did not finish: harmless, deleted by atlas compact. On http(s):// there is
no telling: null.")]
pub(crate) struct Verify {
    /// Directory of the store
    store: String,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let report = match Store::open(&self.store) {
            Ok(store) => store.verify()?,
            // A damaged catalog is a finding like any other.
            Err(error @ Error::Corrupt { .. }) if self.json => {
                VerifyReport { problems: vec![error.into()], ..VerifyReport::default() }
            }
            Err(error) => return Err(error.into()),
        };
        let mut out = Output::stdout();
        if self.json {
            write_json(&report, &mut out)?;
        } else {
            write_text(&report, &mut out)?;
        }
        out.finish()?;
        match report.problems.len() as u64 {
            0 => Ok(()),
            count => Err(Failure::failed(format!("{}: {}", self.store, describe::counted(count, "problem")))),
        }
    }
}

fn write_json(report: &VerifyReport, out: &mut Output) -> Result<(), Failure> {
    let problems = report
        .problems
        .iter()
        .map(|problem| json!({"object": problem.object, "offset": problem.offset, "message": problem.message}));
    let orphans = report.orphans.as_ref().map(|orphans| {
        orphans.iter().map(|(object, bytes)| json!({"object": object, "bytes": bytes})).collect::<Vec<_>>()
    });
    let report = json!({
        "snapshot": report.snapshot,
        "segments": report.segments,
        "chunks": report.chunks,
        "bytes": report.bytes,
        "retained_bytes": report.retained_bytes,
        "problems": problems.collect::<Vec<_>>(),
        "orphans": orphans,
    });
    Ok(writeln!(out, "{report}")?)
}

fn write_text(report: &VerifyReport, out: &mut Output) -> Result<(), Failure> {
    writeln!(
        out,
        "read {} in {}, {} in all (snapshot {})",
        describe::counted(report.chunks, "chunk"),
        describe::counted(report.segments, "segment"),
        describe::bytes(report.bytes),
        report.snapshot,
    )?;
    for problem in &report.problems {
        let offset = problem.offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
        writeln!(out, "problem: {}{offset}: {}", problem.object, problem.message)?;
    }
    for (object, bytes) in report.orphans.iter().flatten() {
        writeln!(out, "orphan: {object} ({}), left by a writer that did not finish", describe::bytes(*bytes))?;
    }
    if report.orphans.is_none() {
        writeln!(out, "orphans are not known: the storage does not list its files")?;
    }
    if report.retained_bytes > 0 {
        writeln!(out, "{} kept for readers of earlier snapshots", describe::bytes(report.retained_bytes))?;
    }
    if report.problems.is_empty() {
        writeln!(out, "no problems")?;
    }
    Ok(())
}
