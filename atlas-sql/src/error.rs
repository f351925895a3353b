//! Errors of the store as errors of a query, and in one line.

use datafusion::error::DataFusionError;

/// An error of the store, kept whole so that a server can tell its kind.
pub(crate) fn from_store(error: atlas_store::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A query's error in one line: the root cause, without the steps that led to it.
pub fn describe(error: &DataFusionError) -> String {
    let text = match error.find_root() {
        DataFusionError::External(cause) => cause.to_string(),
        DataFusionError::Plan(message) | DataFusionError::Execution(message) => message.clone(),
        root => root.strip_backtrace(),
    };
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
