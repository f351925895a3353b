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
    let text = refused_array(&text).unwrap_or(text);
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// What a function that takes numbers says of an array. DataFusion lists every signature that it has tried, and calls
/// it internal; the function and the type are enough.
fn refused_array(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("Function '")?;
    let (function, rest) = rest.split_once('\'')?;
    let (_, rest) = rest.strip_prefix(" failed to match any signature")?.split_once("but received ")?;
    let (data_type, _) = rest.split_once(" (DataType: ")?;
    let is_array = ["FixedSizeList(", "List(", "Struct("].iter().any(|kind| data_type.starts_with(kind));
    is_array.then(|| {
        format!("{function}: {data_type} is an array: take a number of each dataset, such as an element or a statistic")
    })
}
