//! Which gRPC code each error becomes, and the one line that goes with it.

use arrow::error::ArrowError;
use arrow_flight::error::FlightError;
use atlas_store::ErrorKind;
use datafusion::error::DataFusionError;
use std::error::Error;
use tonic::{Code, Status};

/// The longest message that is sent: gRPC carries it percent-encoded in a header, and clients limit headers to 8 KiB.
const MAX_MESSAGE_BYTES: usize = 2048;

/// The status of a store's error.
pub(crate) fn from_store(error: &atlas_store::Error) -> Status {
    let code = match error.kind() {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::InvalidArgument | ErrorKind::DtypeMismatch | ErrorKind::OutOfBounds => Code::InvalidArgument,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::UnsupportedVersion => Code::FailedPrecondition,
        ErrorKind::LimitExceeded => Code::ResourceExhausted,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Storage => Code::Unavailable,
    };
    status(code, &error.to_string())
}

/// The status of a query's error.
pub(crate) fn from_datafusion(error: &DataFusionError) -> Status {
    match error {
        DataFusionError::ArrowError(error, _) => from_arrow(error),
        DataFusionError::SQL(error, _) => status(Code::InvalidArgument, &error.to_string()),
        DataFusionError::Plan(message) if names_a_missing_table(message) => status(Code::NotFound, message),
        DataFusionError::Plan(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::Execution(_)
        | DataFusionError::SchemaError(_, _) => status(Code::InvalidArgument, &atlas_sql::describe(error)),
        DataFusionError::NotImplemented(message) | DataFusionError::Substrait(message) => {
            status(Code::Unimplemented, message)
        }
        DataFusionError::ResourcesExhausted(message) => status(Code::ResourceExhausted, message),
        DataFusionError::External(error) => from_boxed(error.as_ref()),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_datafusion(inner),
        DataFusionError::Shared(inner) => from_datafusion(inner),
        DataFusionError::Collection(errors) => errors.first().map_or_else(|| internal(error), from_datafusion),
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => {
            tracing::warn!(%error, "storage failed during a query");
            Status::unavailable("the storage failed while the query ran")
        }
        DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) | DataFusionError::Ffi(_) => internal(error),
    }
}

/// The status of an error of a kernel or of the wire format.
pub(crate) fn from_arrow(error: &ArrowError) -> Status {
    match error {
        ArrowError::ExternalError(error) => from_boxed(error.as_ref()),
        ArrowError::NotYetImplemented(message) => status(Code::Unimplemented, message),
        ArrowError::CastError(_)
        | ArrowError::ParseError(_)
        | ArrowError::ComputeError(_)
        | ArrowError::DivideByZero
        | ArrowError::ArithmeticOverflow(_)
        | ArrowError::InvalidArgumentError(_) => status(Code::InvalidArgument, &error.to_string()),
        ArrowError::MemoryError(_) | ArrowError::OffsetOverflowError(_) => {
            status(Code::ResourceExhausted, &error.to_string())
        }
        ArrowError::SchemaError(_)
        | ArrowError::CsvError(_)
        | ArrowError::JsonError(_)
        | ArrowError::AvroError(_)
        | ArrowError::IoError(_, _)
        | ArrowError::IpcError(_)
        | ArrowError::ParquetError(_)
        | ArrowError::CDataInterface(_)
        | ArrowError::DictionaryKeyOverflowError
        | ArrowError::RunEndIndexOverflowError => internal(error),
    }
}

/// The status of an error in what a client sent as Flight data.
pub(crate) fn from_flight(error: FlightError) -> Status {
    match error {
        // Of a message within a stream; tonic's line has the numbers.
        FlightError::Tonic(status) if is_too_large(&status) => Status::resource_exhausted(status.message()),
        FlightError::Tonic(status) => *status,
        FlightError::Arrow(error) => status(Code::InvalidArgument, &error.to_string()),
        other => status(Code::InvalidArgument, &other.to_string()),
    }
}

/// The status of a blocking task that did not return: it panicked or the server is stopping.
pub(crate) fn from_join(error: &tokio::task::JoinError) -> Status {
    internal(error)
}

/// Whether tonic refused a message that is larger than it may be.
pub(crate) fn is_too_large(status: &Status) -> bool {
    status.code() == Code::OutOfRange && status.message().contains("message length too large")
}

/// The status of a message of a request that is larger than `limit` bytes.
pub(crate) fn too_large(limit: usize) -> Status {
    let message = format!("a message of the request is larger than {limit} bytes, the limit of this server");
    status(Code::ResourceExhausted, &message)
}

/// A status with `message` on one line and cut to what a header holds.
pub(crate) fn status(code: Code, message: &str) -> Status {
    Status::new(code, one_line(message))
}

/// The status of a store that is none of those that a caller is served.
pub(crate) fn no_such_store<'a>(name: &str, served: impl Iterator<Item = &'a str>) -> Status {
    let served: Vec<&str> = served.collect();
    let served = if served.is_empty() { "none".to_string() } else { served.join(", ") };
    status(Code::NotFound, &format!("no such store: {name}; served are {served}"))
}

/// An error that only the server's log explains.
pub(crate) fn internal(error: &dyn std::fmt::Display) -> Status {
    tracing::error!(%error, "internal error");
    Status::internal("internal error; the server's log has the details")
}

fn from_boxed(error: &(dyn Error + Send + Sync + 'static)) -> Status {
    if let Some(error) = error.downcast_ref::<atlas_store::Error>() {
        from_store(error)
    } else if let Some(error) = error.downcast_ref::<DataFusionError>() {
        from_datafusion(error)
    } else if let Some(error) = error.downcast_ref::<ArrowError>() {
        from_arrow(error)
    } else if let Some(status) = error.downcast_ref::<Status>() {
        status.clone()
    } else {
        internal(&error)
    }
}

/// DataFusion has no code of its own for a table that does not exist.
fn names_a_missing_table(message: &str) -> bool {
    message.starts_with("table '") && message.ends_with("not found")
}

fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len().min(MAX_MESSAGE_BYTES));
    for word in message.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > MAX_MESSAGE_BYTES {
            let end = (0..=MAX_MESSAGE_BYTES - 3).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(end);
            line.push_str("...");
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use datafusion::common::{Column, SchemaError};

    #[test]
    fn messages_are_one_short_line() {
        let long = "é\n".repeat(10_000);
        let status = status(Code::InvalidArgument, &long);
        assert!(status.message().len() <= MAX_MESSAGE_BYTES && !status.message().contains('\n'));
        assert!(status.message().ends_with("..."));
    }

    #[test]
    fn store_errors_keep_their_kind_inside_datafusion_errors() {
        let inner = DataFusionError::External(Box::new(atlas_store::Error::not_found("array", "t")));
        let error = DataFusionError::Context("while planning".into(), Box::new(inner));
        let status = from_datafusion(&error);
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), "no such array: t");
    }

    #[test]
    fn internals_do_not_leak() {
        let status = from_datafusion(&DataFusionError::Internal("assertion failed at src/x.rs".into()));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("src/x.rs"));
    }

    #[test]
    fn a_missing_column_does_not_list_thousands() {
        let valid_fields = (0..5000).map(|i| Column::from_name(format!("c{i}"))).collect();
        let error = SchemaError::FieldNotFound { field: Box::new(Column::from_name("zebra")), valid_fields };
        let status = from_datafusion(&DataFusionError::SchemaError(Box::new(error), Box::new(None)));
        assert_eq!(status.code(), Code::InvalidArgument);
        let expected = "no such column: zebra (there are 5000; information_schema.columns lists them)";
        assert_eq!(status.message(), expected);
    }

    #[test]
    fn a_missing_table_is_not_found() {
        let status = from_datafusion(&DataFusionError::Plan("table 'atlas.a.b' not found".into()));
        assert_eq!(status.code(), Code::NotFound);
    }
}
