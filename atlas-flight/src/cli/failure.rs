//! Why a command did not do its work: one line for people, an exit code for scripts.

use atlas_flight::client::ClientError;
use atlas_import::ImportError;
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;
use std::fmt;
use std::io::{self, Write};

/// The outcome of a command that did not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was typed cannot be right, whatever is stored: exit code 2.
    Usage(String),
    /// The work failed: exit code 1.
    Failed(String),
    /// Whoever read the output has seen enough: not an error.
    BrokenPipe,
}

impl Failure {
    /// A failure with this message.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Failure::Failed(message.to_string())
    }

    /// A usage error with this message.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Failure::Usage(message.to_string())
    }

    /// The failure to read or write a file.
    pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::Failed(format!("{}: {error}", path.display())),
        }
    }
}

/// Says something on stderr, as one line. Where nobody listens, nothing is lost.
pub(crate) fn say(message: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "atlas: {}", one_line(&message.to_string()));
}

/// Tells a person something on stderr, as it is. Where nobody listens, nothing is lost.
pub(crate) fn tell(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// `text` with every run of white space that holds a line break as one space: errors are one line.
pub(crate) fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

impl From<atlas_store::Error> for Failure {
    fn from(error: atlas_store::Error) -> Self {
        Failure::failed(error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Failure::failed(error)
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        Failure::failed(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::failed(error),
        }
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => error.into(),
            ArrowError::ExternalError(error) => match error.downcast::<DataFusionError>() {
                Ok(error) => (*error).into(),
                Err(error) => Failure::failed(error),
            },
            error => Failure::failed(error),
        }
    }
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(error) => (*error).into(),
                Err(error) => Failure::failed(error),
            },
            error => Failure::failed(error),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        match error.io_error_kind() {
            Some(io::ErrorKind::BrokenPipe) => Failure::BrokenPipe,
            _ => Failure::failed(error),
        }
    }
}

/// The innermost cause speaks: what wraps it only says where in the engine it was found.
impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ArrowError(error, _) => Failure::failed(error),
            DataFusionError::SQL(error, _) => Failure::failed(error),
            root => Failure::Failed(atlas_sql::describe(root)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_one_line() {
        assert_eq!(one_line("a\n  b\n\nc "), "a b c");
    }

    #[test]
    fn a_wrapped_store_error_reads_as_the_store_wrote_it() {
        let store = atlas_store::Error::not_found("dataset", "x");
        let wrapped = DataFusionError::Context("while".into(), Box::new(DataFusionError::External(Box::new(store))));
        assert!(matches!(Failure::from(wrapped), Failure::Failed(message) if message == "no such dataset: x"));
    }

    #[test]
    fn a_broken_pipe_is_no_error() {
        let error = ArrowError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(Failure::from(error), Failure::BrokenPipe));
    }
}
