//! What a file would become, without a store.

use crate::error::{ImportError, contained};
use crate::options::ImportOptions;
use crate::plan::FilePlan;
use crate::report::{SkippedVariable, VariableNote};
use crate::source::Source;
use atlas_store::{ArraySchema, DType};
use std::path::{Path, PathBuf};

/// What a file would become.
#[derive(Debug, Clone)]
pub struct FileSummary {
    /// The file.
    pub path: PathBuf,
    /// The variables that would be arrays.
    pub variables: Vec<VariableSummary>,
    /// How many attributes the dataset would have.
    pub attributes: usize,
    /// The variables that cannot be stored.
    pub skipped_variables: Vec<SkippedVariable>,
    /// The variables that would be stored other than one might expect.
    pub notes: Vec<VariableNote>,
}

/// What a variable would become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableSummary {
    /// The name of the variable and of the array.
    pub name: String,
    /// The array's dtype, dimensions, shape, chunks and fill value.
    pub schema: ArraySchema,
}

impl VariableSummary {
    /// The array's dtype.
    pub fn dtype(&self) -> DType {
        self.schema.dtype
    }
}

/// What `path` would become, and what of it cannot be stored.
///
/// # Cost
/// Reads the header, and all of the variables that hold times.
///
/// # Errors
/// The file cannot be read, or a chunk shape of `options` does not fit a variable.
pub fn inspect_file(path: &Path, options: &ImportOptions) -> Result<FileSummary, ImportError> {
    let plan = contained(|| FilePlan::of(&Source::open(path)?, options)).map_err(|failure| failure.into_error(path))?;
    // The attributes of the file, of its variables, and the list of coordinates.
    let attributes =
        plan.attributes.len() + plan.variables.iter().map(|variable| variable.attributes.len()).sum::<usize>() + 1;
    let skipped_variables = plan
        .skipped
        .into_iter()
        .map(|(variable, reason)| SkippedVariable { path: path.into(), variable, reason })
        .collect();
    let variables = plan
        .variables
        .into_iter()
        .map(|variable| VariableSummary { name: variable.source.name, schema: variable.schema })
        .collect();
    let notes =
        plan.notes.into_iter().map(|(variable, reason)| VariableNote { path: path.into(), variable, reason }).collect();
    Ok(FileSummary { path: path.into(), variables, attributes, skipped_variables, notes })
}
