//! The pipeline: files are planned and decoded in parallel, and written in their order.

use crate::attributes::{COORDINATES, ENCODING, json_list, json_text};
use crate::error::{Failure, ImportError, contained};
use crate::find::FoundFile;
use crate::options::{ImportOptions, OnError, Progress};
use crate::plan::{FilePlan, VariablePlan};
use crate::report::{ImportReport, SkippedFile, SkippedVariable, VariableNote};
use crate::source::Source;
use atlas_store::{ArrayData, ErrorKind, Store};
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Decoded bytes that the files of one window may hold in memory.
const WINDOW_BYTES: u64 = 64 << 20;
/// Files of a window, for each thread.
const WINDOW_FILES_A_THREAD: usize = 8;

/// Writes each of `files` to the store as a dataset, in their order. Does not flush: the caller flushes once.
///
/// `progress` is told after each file. Notes on what was written other than one might expect, and what was not
/// written at all, are in the report.
///
/// # Errors
/// With [`OnError::Stop`], the first file (in their order) that cannot be read or whose dataset exists already; with
/// either, a failure of the store itself. Everything pending in the store is abandoned then.
pub fn import_files(
    store: &Store,
    files: &[FoundFile],
    options: &ImportOptions,
    progress: &(dyn Fn(&Progress<'_>) + Sync),
) -> Result<ImportReport, ImportError> {
    let result = import(store, files, options, progress);
    if result.is_err() {
        store.abandon();
    }
    result
}

fn import(
    store: &Store,
    files: &[FoundFile],
    options: &ImportOptions,
    progress: &(dyn Fn(&Progress<'_>) + Sync),
) -> Result<ImportReport, ImportError> {
    let mut writer = Writer { store, options, report: ImportReport::default(), done: 0, total: files.len(), progress };
    let mut windows = files.chunks(rayon::current_num_threads().max(1) * WINDOW_FILES_A_THREAD);
    let mut ready = windows.next().map(|window| (window, prepare(window, options)));
    while let Some((window, prepared)) = ready {
        // The next window is decoded while this one is written: two windows in memory, whatever the number of files.
        let following = windows.next();
        let (written, next) = rayon::join(
            || window.iter().zip(prepared).try_for_each(|(file, prepared)| writer.file(file, prepared)),
            || following.map(|window| (window, prepare(window, options))),
        );
        written?;
        ready = next;
    }
    Ok(writer.report)
}

/// A file that was planned and, if it is small, decoded.
struct Prepared {
    plan: FilePlan,
    content: Content,
}

enum Content {
    /// The boxes of each variable: start, cells, and whether some text was not UTF-8.
    Decoded(Vec<Vec<(Vec<u64>, ArrayData, bool)>>),
    /// Read box by box as it is written.
    Open(Box<Source>),
}

fn prepare(files: &[FoundFile], options: &ImportOptions) -> Vec<Result<Prepared, Failure>> {
    let budget = AtomicU64::new(WINDOW_BYTES);
    files.par_iter().map(|file| contained(|| prepare_file(&file.path, options, &budget))).collect()
}

fn prepare_file(path: &Path, options: &ImportOptions, budget: &AtomicU64) -> Result<Prepared, Failure> {
    let source = Source::open(path)?;
    let plan = FilePlan::of(&source, options)?;
    let bytes = plan.bytes();
    let within = budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok();
    if !within {
        return Ok(Prepared { plan, content: Content::Open(Box::new(source)) });
    }
    let decoded = plan
        .variables
        .iter()
        .map(|variable| {
            variable
                .boxes()
                .map(|(start, shape)| {
                    variable.read(&source, &start, &shape).map(|(data, latin1)| (start, data, latin1))
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::File)?;
    Ok(Prepared { plan, content: Content::Decoded(decoded) })
}

/// Writes files one after another.
struct Writer<'a> {
    store: &'a Store,
    options: &'a ImportOptions,
    report: ImportReport,
    done: usize,
    total: usize,
    progress: &'a (dyn Fn(&Progress<'_>) + Sync),
}

impl Writer<'_> {
    /// Writes one file, or skips it.
    fn file(&mut self, file: &FoundFile, prepared: Result<Prepared, Failure>) -> Result<(), ImportError> {
        match prepared.and_then(|prepared| self.dataset(file, prepared)) {
            Ok(report) => self.report.add(report),
            Err(Failure::File(reason)) if self.options.on_error == OnError::Skip => {
                self.report.skipped_files.push(SkippedFile { path: file.path.clone(), reason });
            }
            Err(failure) => return Err(failure.into_error(&file.path)),
        }
        self.done += 1;
        (self.progress)(&Progress { done: self.done, total: self.total, current: &file.path });
        Ok(())
    }

    /// Writes one dataset; nothing of it is left where that fails.
    fn dataset(&self, file: &FoundFile, prepared: Prepared) -> Result<ImportReport, Failure> {
        self.store.create_dataset(&file.dataset).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::InvalidArgument => Failure::File(error.to_string()),
            _ => Failure::Store(error),
        })?;
        let written = contained(|| self.content(file, prepared));
        if matches!(written, Err(Failure::File(_))) {
            self.store.delete_dataset(&file.dataset).map_err(Failure::Store)?;
        }
        written
    }

    fn content(&self, file: &FoundFile, prepared: Prepared) -> Result<ImportReport, Failure> {
        let Prepared { plan, content } = prepared;
        let mut report = ImportReport { datasets: vec![file.dataset.clone()], ..ImportReport::default() };
        let note = |(variable, reason)| VariableNote { path: file.path.clone(), variable, reason };
        let skip = |(variable, reason)| SkippedVariable { path: file.path.clone(), variable, reason };
        report.notes.extend(plan.notes.into_iter().map(note));
        report.skipped_variables.extend(plan.skipped.into_iter().map(skip));

        let mut attributes = plan.attributes;
        let mut coordinates = Vec::new();
        let mut encodings = Vec::new();
        let (mut decoded, source) = match content {
            Content::Decoded(variables) => (Some(variables.into_iter()), None),
            Content::Open(source) => (None, Some(source)),
        };
        for variable in &plan.variables {
            let boxes = decoded.as_mut().and_then(Iterator::next);
            let name = &variable.source.name;
            if let Err(error) = self.store.define_array(&file.dataset, name, variable.schema.clone()) {
                match error.kind() {
                    ErrorKind::InvalidArgument
                    | ErrorKind::AlreadyExists
                    | ErrorKind::DtypeMismatch
                    | ErrorKind::LimitExceeded => {
                        report.skipped_variables.push(skip((name.clone(), error.to_string())));
                        continue;
                    }
                    _ => return Err(Failure::Store(error)),
                }
            }
            let latin1 = match (boxes, &source) {
                (Some(boxes), _) => self.write(file, variable, boxes.into_iter().map(Ok), &mut report)?,
                (None, Some(source)) => {
                    let boxes = variable.boxes().map(|(start, shape)| {
                        variable.read(source, &start, &shape).map(|(data, latin1)| (start, data, latin1))
                    });
                    self.write(file, variable, boxes, &mut report)?
                }
                (None, None) => false,
            };
            if latin1 {
                report.notes.push(note((name.clone(), variable.latin1_remark().into())));
            }
            attributes.extend(variable.attributes.iter().cloned());
            if plan.coordinates.contains(name) {
                coordinates.push(name.as_str());
            }
            if !variable.encoding.is_empty() && !self.options.raw {
                encodings.push(format!("{}: {{{}}}", json_text(name), variable.encoding.join(", ")));
            }
        }
        attributes.push((COORDINATES.into(), json_list(coordinates.into_iter()).into()));
        if !encodings.is_empty() {
            attributes.push((ENCODING.into(), format!("{{{}}}", encodings.join(", ")).into()));
        }
        for (key, value) in attributes {
            if let Err(error) = self.store.set_attribute(&file.dataset, &key, value) {
                match error.kind() {
                    ErrorKind::InvalidArgument => {
                        report.notes.push(note((String::new(), format!("attribute {key:?} left out: {error}"))));
                    }
                    _ => return Err(Failure::Store(error)),
                }
            }
        }
        Ok(report)
    }

    /// Writes the boxes of one variable; whether some of its text was not UTF-8.
    fn write(
        &self,
        file: &FoundFile,
        variable: &VariablePlan,
        boxes: impl Iterator<Item = Result<(Vec<u64>, ArrayData, bool), String>>,
        report: &mut ImportReport,
    ) -> Result<bool, Failure> {
        let mut latin1 = false;
        for written in boxes {
            let (start, data, is_latin1) = written.map_err(Failure::File)?;
            latin1 |= is_latin1;
            report.bytes += data.cells().byte_len() as u64;
            self.store.write_array(&file.dataset, &variable.source.name, &start, &data).map_err(Failure::Store)?;
        }
        report.arrays += 1;
        report.cells += variable.cells();
        Ok(latin1)
    }
}

impl ImportReport {
    fn add(&mut self, other: ImportReport) {
        self.datasets.extend(other.datasets);
        self.arrays += other.arrays;
        self.cells += other.cells;
        self.bytes += other.bytes;
        self.skipped_files.extend(other.skipped_files);
        self.skipped_variables.extend(other.skipped_variables);
        self.notes.extend(other.notes);
    }
}
