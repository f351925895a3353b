//! `atlas import --dry-run`: what the files declare, and what would become of it.

use super::command::{progress_bar, quietly};
use super::report::{by_reason, warn_lines};
use crate::cli::columns::{Align, Columns};
use crate::cli::describe;
use crate::cli::{Failure, Output};
use atlas_import::{FileSummary, FoundFile, ImportOptions, OnError, inspect_file};
use atlas_store::Store;
use serde_json::{Value, json};
use std::io::Write;

/// One file, or why it would not be imported.
struct Inspected<'a> {
    file: &'a FoundFile,
    summary: Result<FileSummary, String>,
}

/// Prints what an import of `files` would do. Neither creates nor changes a store.
pub(super) fn run(location: &str, files: &[FoundFile], options: &ImportOptions, json: bool) -> Result<(), Failure> {
    let store = if Store::exists(location)? { Some(Store::open(location)?) } else { None };
    let bar = progress_bar(files.len() as u64);
    let mut inspected = Vec::with_capacity(files.len());
    for file in files {
        let taken = store.as_ref().is_some_and(|store| store.dataset_exists(&file.dataset));
        let summary = match quietly(|| inspect_file(&file.path, options))? {
            _ if taken => Err(format!("{}: dataset exists already: {}", file.path.display(), file.dataset)),
            Ok(summary) => Ok(summary),
            Err(error) => Err(error.to_string()),
        };
        if let (Err(reason), OnError::Stop) = (&summary, options.on_error) {
            bar.finish_and_clear();
            return Err(Failure::failed(reason));
        }
        inspected.push(Inspected { file, summary });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut out = Output::stdout();
    if json {
        serde_json::to_writer_pretty(&mut out, &as_json(location, &inspected))?;
        writeln!(out)?;
    } else {
        write_text(location, store.is_some(), &inspected, &mut out)?;
    }
    out.finish()?;
    if !json {
        warn(&inspected);
    }
    Ok(())
}

fn write_text(location: &str, exists: bool, inspected: &[Inspected<'_>], out: &mut Output) -> Result<(), Failure> {
    let mut columns = Columns::new(&[
        ("dataset", Align::Left),
        ("arrays", Align::Right),
        ("cells", Align::Right),
        ("attributes", Align::Right),
        ("left out", Align::Right),
        ("file", Align::Left),
    ]);
    for Inspected { file, summary } in inspected {
        let Ok(summary) = summary else { continue };
        let cells = summary.variables.iter().map(|variable| variable.schema.cell_count()).sum();
        columns.push([
            file.dataset.clone(),
            describe::count(summary.variables.len() as u64),
            describe::count(cells),
            describe::count(summary.attributes as u64),
            describe::count(summary.skipped_variables.len() as u64),
            file.path.display().to_string(),
        ]);
    }
    columns.write(out, "")?;
    let datasets = inspected.iter().filter(|inspected| inspected.summary.is_ok()).count() as u64;
    let datasets = describe::counted(datasets, "dataset");
    let into = if exists { "" } else { "new " };
    writeln!(out, "\ndry run: {datasets} would be imported into the {into}store {location}; nothing was written")?;
    Ok(())
}

/// Says on stderr what would be left out.
fn warn(inspected: &[Inspected<'_>]) {
    let failed = inspected.iter().filter_map(|inspected| inspected.summary.as_ref().err());
    warn_lines(&failed.map(|reason| format!("would skip {reason}")).collect::<Vec<_>>());
    let summaries = || inspected.iter().filter_map(|inspected| inspected.summary.as_ref().ok());
    let skipped = summaries().flat_map(|summary| &summary.skipped_variables);
    warn_lines(&by_reason("would skip variable ", skipped.map(|s| (&*s.path, &*s.variable, &*s.reason))));
    let notes = summaries().flat_map(|summary| &summary.notes);
    warn_lines(&by_reason("", notes.map(|note| (&*note.path, &*note.variable, &*note.reason))));
}

fn as_json(location: &str, inspected: &[Inspected<'_>]) -> Value {
    let mut files = Vec::new();
    let mut skipped_files = Vec::new();
    for Inspected { file, summary } in inspected {
        let path = file.path.display().to_string();
        match summary {
            Ok(summary) => files.push(summary_json(&path, &file.dataset, summary)),
            Err(reason) => skipped_files.push(json!({"path": path, "reason": reason})),
        }
    }
    json!({"store": location, "files": files, "skipped_files": skipped_files})
}

fn summary_json(path: &str, dataset: &str, summary: &FileSummary) -> Value {
    let arrays: Vec<Value> = summary
        .variables
        .iter()
        .map(|variable| {
            let schema = &variable.schema;
            json!({
                "array": variable.name,
                "dtype": schema.dtype.name(),
                "dims": schema.dims,
                "shape": schema.shape,
                "chunk_shape": schema.chunk_shape,
                "fill_value": schema.fill_value.as_ref().map(describe::scalar_json),
            })
        })
        .collect();
    json!({
        "path": path,
        "dataset": dataset,
        "attributes": summary.attributes,
        "arrays": arrays,
        "skipped_variables": summary
            .skipped_variables
            .iter()
            .map(|skipped| json!({"variable": skipped.variable, "reason": skipped.reason}))
            .collect::<Vec<_>>(),
        "notes": summary
            .notes
            .iter()
            .map(|note| json!({"variable": note.variable, "reason": note.reason}))
            .collect::<Vec<_>>(),
    })
}
