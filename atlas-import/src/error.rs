//! Why an import stopped.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why an import stopped. Its text is one line that names the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImportError {
    /// A path, directory or pattern without a file to import.
    NothingFound {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two files that would both become this dataset.
    NameClash {
        /// The dataset's name.
        dataset: String,
        /// The file that came first.
        first: PathBuf,
        /// The other file.
        second: PathBuf,
    },
    /// A file that cannot be read or stored.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The store refused or failed.
    Store {
        /// The file whose dataset was written.
        path: PathBuf,
        /// What the store said.
        error: atlas_store::Error,
    },
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportError::NothingFound { path, reason } => write!(f, "{path}: {reason}"),
            ImportError::NameClash { dataset, first, second } => {
                write!(f, "{} and {} would both become dataset {dataset}", first.display(), second.display())
            }
            ImportError::File { path, reason } => write!(f, "{}: {reason}", path.display()),
            ImportError::Store { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ImportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ImportError::Store { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Why one file failed, before its path is known to the message.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The file cannot be read or stored; other files may be fine.
    File(String),
    /// The store itself failed: no other file will fare better.
    Store(atlas_store::Error),
}

impl Failure {
    pub(crate) fn into_error(self, path: &Path) -> ImportError {
        match self {
            Failure::File(reason) => ImportError::File { path: path.into(), reason },
            Failure::Store(error) => ImportError::Store { path: path.into(), error },
        }
    }
}

/// A message of another library as one line that begins in lower case.
pub(crate) fn one_line(message: impl fmt::Display) -> String {
    let text = message.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text,
    }
}

/// Runs what reads a file, and makes an error of a panic in it.
///
/// The readers of NetCDF and HDF5 check their input, but they are other people's parsers of outside bytes: an index out
/// of bounds in them must cost one file, not the process. What they leave behind is dropped with the file, so no broken
/// invariant can be seen afterwards.
pub(crate) fn contained<T>(read: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(Failure::File(format!("malformed file: the reader gave up: {}", one_line(message))))
    })
}
