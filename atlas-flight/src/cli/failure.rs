//! Why a command did not do its work: one line for people, an exit code for scripts.

use atlas_flight::client::ClientError;
use atlas_import::ImportError;
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
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
            DataFusionError::SchemaError(error, _) => match &**error {
                SchemaError::FieldNotFound { field, valid_fields } => {
                    Failure::Failed(no_such_column(field, valid_fields))
                }
                error => Failure::failed(error),
            },
            root => Failure::Failed(atlas_sql::describe(root)),
        }
    }
}

/// An unknown column with what may have been meant, and not with every column there is.
fn no_such_column(field: &Column, valid: &[Column]) -> String {
    const MOST_LISTED: usize = 12;
    let name = &field.name;
    let same_but_for_case = valid.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    let hint = match same_but_for_case {
        Some(column) => format!("\"{}\" needs its double quotes, because it is not lower case", column.name),
        None if valid.is_empty() => return format!("no such column: {name}"),
        None if valid.len() <= MOST_LISTED => {
            let names: Vec<&str> = valid.iter().map(|column| column.name.as_str()).collect();
            format!("there are {}", names.join(", "))
        }
        None => format!("there are {}; information_schema.columns lists them", valid.len()),
    };
    format!("no such column: {name} ({hint})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_column_is_not_a_list_of_all() {
        let columns: Vec<Column> = (0..100).map(|n| Column::from_name(format!("A{n}"))).collect();
        let line = no_such_column(&Column::from_name("a7"), &columns);
        assert_eq!(line, "no such column: a7 (\"A7\" needs its double quotes, because it is not lower case)");
        assert!(no_such_column(&Column::from_name("x"), &columns).contains("there are 100;"));
        assert_eq!(no_such_column(&Column::from_name("x"), &columns[..2]), "no such column: x (there are A0, A1)");
    }

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
