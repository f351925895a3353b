//! What an import did, for people and for scripts.

use super::command::Done;
use crate::cli::describe;
use crate::cli::failure::say;
use crate::cli::{Failure, Output};
use atlas_import::ImportReport;
use indicatif::HumanDuration;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// Lines of one kind before the rest is counted.
const MOST_LINES: usize = 20;

/// Writes the report as JSON.
pub(super) fn write_json(done: &Done, out: &mut Output) -> Result<(), Failure> {
    let ImportReport { datasets, arrays, cells, bytes, skipped_files, skipped_variables, notes } = &done.report;
    let variable = |path: &Path, variable: &str, reason: &str| -> Value {
        json!({"path": path.display().to_string(), "variable": variable, "reason": reason})
    };
    let report = json!({
        "store": done.store,
        "snapshot": done.flush.snapshot,
        "datasets": datasets,
        "arrays": arrays,
        "cells": cells,
        "bytes": bytes,
        "segments": done.flush.segments,
        "segment_bytes": done.flush.segment_bytes,
        "catalog_bytes": done.flush.catalog_bytes,
        "skipped_files": skipped_files
            .iter()
            .map(|file| json!({"path": file.path.display().to_string(), "reason": file.reason}))
            .collect::<Vec<_>>(),
        "skipped_variables": skipped_variables
            .iter()
            .map(|skipped| variable(&skipped.path, &skipped.variable, &skipped.reason))
            .collect::<Vec<_>>(),
        "notes": notes.iter().map(|note| variable(&note.path, &note.variable, &note.reason)).collect::<Vec<_>>(),
    });
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)?;
    Ok(())
}

/// Writes the report as two lines.
pub(super) fn write_text(done: &Done, out: &mut Output) -> Result<(), Failure> {
    let ImportReport { datasets, arrays, cells, bytes, .. } = &done.report;
    writeln!(
        out,
        "imported {} into {}: {}, {} ({})",
        describe::counted(datasets.len() as u64, "dataset"),
        done.store,
        describe::counted(*arrays, "array"),
        describe::counted(*cells, "cell"),
        describe::bytes(*bytes),
    )?;
    writeln!(
        out,
        "snapshot {}: {} in {}, catalog {}, after {}",
        done.flush.snapshot,
        describe::bytes(done.flush.segment_bytes),
        describe::counted(done.flush.segments as u64, "segment"),
        describe::bytes(done.flush.catalog_bytes),
        if done.time.as_secs() < 60 {
            format!("{:.1} s", done.time.as_secs_f64())
        } else {
            HumanDuration(done.time).to_string()
        },
    )?;
    Ok(())
}

/// Says on stderr what was left out, and what was stored otherwise than one might expect: one line a reason.
pub(super) fn warn(report: &ImportReport) {
    let files = report.skipped_files.iter().map(|file| format!("skipped {}: {}", file.path.display(), file.reason));
    warn_lines(&files.collect::<Vec<_>>());
    let variables =
        report.skipped_variables.iter().map(|skipped| (&*skipped.path, &*skipped.variable, &*skipped.reason));
    warn_lines(&by_reason("skipped variable ", variables));
    warn_lines(&by_reason("", report.notes.iter().map(|note| (&*note.path, &*note.variable, &*note.reason))));
}

/// Says these lines on stderr, or the first of them.
pub(super) fn warn_lines(lines: &[String]) {
    for line in lines.iter().take(MOST_LINES) {
        say(line);
    }
    if lines.len() > MOST_LINES {
        say(format!("and {} more like this; --json has them all", lines.len() - MOST_LINES));
    }
}

/// The same thing said of the same variable in many files is said once.
pub(super) fn by_reason<'a>(label: &str, said: impl Iterator<Item = (&'a Path, &'a str, &'a str)>) -> Vec<String> {
    let mut groups: Vec<((&str, &str), &Path, u64)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (path, variable, reason) in said {
        let place = *places.entry((variable, reason)).or_insert_with(|| {
            groups.push(((variable, reason), path, 0));
            groups.len() - 1
        });
        groups[place].2 += 1;
    }
    groups
        .into_iter()
        .map(|((variable, reason), path, files)| {
            let of = if variable.is_empty() { "" } else { " of " };
            let more =
                if files > 1 { format!(" and {} more", describe::counted(files - 1, "file")) } else { String::new() };
            format!("{label}{variable}{of}{}{more}: {reason}", path.display())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reason_of_many_files_is_one_line() {
        let (a, b) = (Path::new("a.nc"), Path::new("b.nc"));
        let said = [(a, "v", "compound"), (a, "w", "opaque"), (b, "v", "compound"), (b, "", "odd")];
        let lines = by_reason("skipped variable ", said.into_iter());
        assert_eq!(lines[0], "skipped variable v of a.nc and 1 file more: compound");
        assert_eq!(lines[1], "skipped variable w of a.nc: opaque");
        assert_eq!(lines[2], "skipped variable b.nc: odd");
    }
}
