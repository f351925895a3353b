//! Errors of the store as errors of a query, and in one line.

use datafusion::common::{Column, SchemaError};
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
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => no_such_column(field, valid_fields),
            error => error.to_string(),
        },
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

/// An unknown column with what may have been meant, and not with every column there is.
fn no_such_column(field: &Column, valid: &[Column]) -> String {
    const MOST_LISTED: usize = 12;
    let name = &field.name;
    // A column that several tables have is listed by each.
    let mut names: Vec<&str> = valid.iter().map(|column| column.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let same_but_for_case = names.iter().find(|column| column.eq_ignore_ascii_case(name));
    let hint = match same_but_for_case {
        Some(column) => format!("\"{}\" needs its double quotes, because it is not lower case", column),
        None if names.is_empty() => return format!("no such column: {name}"),
        None if names.len() <= MOST_LISTED => format!("there are {}", names.join(", ")),
        None => format!("there are {}; information_schema.columns lists them", names.len()),
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
}
