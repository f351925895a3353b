//! The command: find the files, import them, commit them together.

use super::{dry_run, report};
use crate::cli::new_store::open_or_create;
use crate::cli::{Failure, Output, commit};
use atlas_import::{FoundFile, ImportOptions, ImportReport, OnError, Progress};
use atlas_store::{FlushReport, Store};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Import NetCDF files (classic and NetCDF-4): one dataset a file, named by the file's stem.
///
/// All files become visible together, in one flush. Values are decoded as xarray decodes them (scale, offset, fill
/// values, times, characters) unless --raw is given.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  atlas import fleet profiles/                        every NetCDF file below a directory
  atlas import fleet 'data/2023*.nc' --on-error skip
  atlas import era era-interim.nc --chunks t=1,1,64,128
  atlas import fleet profiles/ --dry-run              what would be imported, and what cannot be

JSON: {store, snapshot, datasets, arrays, cells, bytes, segments, segment_bytes, catalog_bytes, skipped_files,
skipped_variables, notes}; with --dry-run {store, files, skipped_files}."
)]
pub(crate) struct Import {
    /// Directory of the store; it is created where there is none
    store: String,
    /// Files, directories (searched for *.nc, *.nc4, *.cdf, *.netcdf) and patterns
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Chunk shape of a variable; repeat for more [default: the file's own]
    #[arg(long, value_name = "VAR=A,B,..", value_parser = chunks)]
    chunks: Vec<(String, Vec<u64>)>,
    /// Keep values as they are stored in the files
    #[arg(long)]
    raw: bool,
    /// What to do with a file that cannot be read: stop and import nothing, or skip it
    #[arg(long, value_enum, default_value = "stop", value_name = "stop|skip", hide_possible_values = true)]
    on_error: OnErrorName,
    /// Read only what the files declare, and print what would be imported
    #[arg(long)]
    dry_run: bool,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnErrorName {
    Stop,
    Skip,
}

fn chunks(text: &str) -> Result<(String, Vec<u64>), String> {
    let expected = || "expected VAR=A,B,.. with an extent of at least 1 a dimension".to_owned();
    let (variable, extents) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(expected)?;
    let extents: Vec<u64> =
        extents.split(',').map(|extent| extent.trim().parse().map_err(|_| expected())).collect::<Result<_, _>>()?;
    if extents.contains(&0) { Err(expected()) } else { Ok((variable.to_owned(), extents)) }
}

/// What an import did, as it is reported.
pub(super) struct Done {
    pub(super) store: String,
    pub(super) report: ImportReport,
    pub(super) flush: FlushReport,
    pub(super) time: Duration,
}

impl Import {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let options = ImportOptions {
            chunks: self.chunks.clone(),
            raw: self.raw,
            on_error: match self.on_error {
                OnErrorName::Stop => OnError::Stop,
                OnErrorName::Skip => OnError::Skip,
            },
        };
        let files = atlas_import::find_files(&self.paths)?;
        if self.dry_run {
            return dry_run::run(&self.store, &files, &options, self.json);
        }
        let (store, new) = open_or_create(&self.store)?;
        let done = self.import(&store, &files, &options);
        // The store lets go of its lock before what was created is removed again.
        drop(store);
        let done = done?;
        let is_empty = done.report.datasets.is_empty();
        if let (Some(new), false) = (new, is_empty) {
            new.keep();
        }
        let mut out = Output::stdout();
        if self.json {
            report::write_json(&done, &mut out)?;
        } else if !is_empty {
            report::write_text(&done, &mut out)?;
        }
        out.finish()?;
        if is_empty {
            let first = done.report.skipped_files.first();
            let first = first.map(|file| format!(", first {}: {}", file.path.display(), file.reason));
            let first = first.unwrap_or_default();
            return Err(Failure::failed(format!("nothing imported: every file was skipped{first}")));
        }
        if !self.json {
            report::warn(&done.report);
        }
        Ok(())
    }

    fn import(&self, store: &Store, files: &[FoundFile], options: &ImportOptions) -> Result<Done, Failure> {
        let began = Instant::now();
        let bar = progress_bar(files.len() as u64);
        let progress = |progress: &Progress<'_>| {
            bar.set_position(progress.done as u64);
            bar.set_message(progress.current.display().to_string());
        };
        let report = quietly(|| atlas_import::import_files(store, files, options, &progress));
        bar.finish_and_clear();
        let report = report??;
        // With every file skipped there is nothing to flush, and no new snapshot.
        let flush = commit(store)?;
        Ok(Done { store: self.store.clone(), report, flush, time: began.elapsed() })
    }
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress_bar(files: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(files);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} files  {elapsed}  {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

/// Runs `read` without the message that a panic prints: the importer makes one-line errors of panics in the readers of
/// outside files. A panic that comes through is a defect, and one line too.
pub(super) fn quietly<T>(read: impl FnOnce() -> T) -> Result<T, Failure> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(read));
    std::panic::set_hook(hook);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Failure::failed(format!("defect in the import, please report it: {text}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_extents_of_a_variable() {
        assert_eq!(chunks("t=1,64, 128"), Ok(("t".to_owned(), vec![1, 64, 128])));
        for text in ["t", "=1", "t=", "t=1,,2", "t=0", "t=-1", "t=a"] {
            assert!(chunks(text).is_err(), "{text}");
        }
    }
}
