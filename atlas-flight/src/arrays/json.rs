//! Nested columns as JSON text.

use super::nested::nested;
use arrow::array::{Array, ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use std::sync::Arc;

/// Each row of a nested column as JSON text: arrays as lists of lists, NaN and infinities as null.
///
/// # Errors
/// Those of [`nested`].
pub fn json_text(field: &Field, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    const KEY: &str = "v";
    let (_, values) = nested(field, column)?;
    let value_field = Field::new(KEY, values.data_type().clone(), true);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![value_field])), vec![values])?;
    let mut lines = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
    writer.write(&batch)?;
    writer.finish()?;
    drop(writer);
    let mut text = StringBuilder::new();
    for (row, line) in lines.split(|byte| *byte == b'\n').take(column.len()).enumerate() {
        let value = line.strip_prefix(b"{\"v\":").and_then(|value| value.strip_suffix(b"}"));
        match value.map(std::str::from_utf8) {
            Some(Ok(value)) if !column.is_null(row) => text.append_value(value),
            _ => text.append_null(),
        }
    }
    Ok(Arc::new(text.finish()))
}
