//! What an import is told, and what it tells while it runs.

use std::path::Path;

/// How files are imported.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Chunk shapes by variable name, for the files that have the variable; clipped to its shape.
    pub chunks: Vec<(String, Vec<u64>)>,
    /// Keep cells and attributes as stored, without CF decoding.
    pub raw: bool,
    /// What to do with a file that cannot be read.
    pub on_error: OnError,
}

/// What to do with a file that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Abandon everything that is pending in the store, and return the error.
    #[default]
    Stop,
    /// Leave nothing of this file, report it, and go on.
    Skip,
}

/// How far an import is: told after each file.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Files done, this one included.
    pub done: usize,
    /// Files in all.
    pub total: usize,
    /// The file just done.
    pub current: &'a Path,
}
