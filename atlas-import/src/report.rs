//! What an import did, and what it could not do.

use std::path::PathBuf;

/// What an import wrote to the store, not yet flushed.
#[derive(Debug, Clone, Default)]
pub struct ImportReport {
    /// The datasets written, in the order of the files.
    pub datasets: Vec<String>,
    /// Arrays written.
    pub arrays: u64,
    /// Cells written.
    pub cells: u64,
    /// Bytes of the cells written, decoded and not compressed.
    pub bytes: u64,
    /// The files of which nothing was written.
    pub skipped_files: Vec<SkippedFile>,
    /// The variables that were not written.
    pub skipped_variables: Vec<SkippedVariable>,
    /// The variables that were written other than one might expect.
    pub notes: Vec<VariableNote>,
}

/// A file of which nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedFile {
    /// The file.
    pub path: PathBuf,
    /// Why, as one line.
    pub reason: String,
}

/// A variable that was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedVariable {
    /// The file.
    pub path: PathBuf,
    /// The variable's name, with its group's path where it is not in the root group.
    pub variable: String,
    /// Why, as one line.
    pub reason: String,
}

/// A variable or attribute that was written other than one might expect: times that stay numbers, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableNote {
    /// The file.
    pub path: PathBuf,
    /// The variable's name; empty where the note is about the file.
    pub variable: String,
    /// What was done and why, as one line.
    pub reason: String,
}
