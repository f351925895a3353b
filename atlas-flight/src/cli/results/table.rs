//! Results as a table for people.

use super::{Sink, tensor};
use crate::cli::{Failure, Output};
use atlas_flight::arrays::is_nested;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::FormatOptions;
use datafusion::arrow::util::pretty::pretty_format_batches_with_options;
use std::io::Write;
use std::sync::Arc;

/// Gathers rows with their array columns shortened, and writes them aligned.
pub(super) struct Table<'a> {
    schema: SchemaRef,
    rows: Vec<RecordBatch>,
    out: &'a mut Output,
}

impl<'a> Table<'a> {
    pub(super) fn new(schema: SchemaRef, out: &'a mut Output) -> Self {
        Table { schema, rows: Vec::new(), out }
    }
}

impl Sink for Table<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.rows.push(shortened(batch)?);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if self.rows.is_empty() {
            self.rows.push(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        write_rows(&self.rows, "", self.out)
    }
}

/// Writes batches of one schema as a table, each line after `indent`.
pub(crate) fn write_table(batches: &[RecordBatch], indent: &str, out: &mut Output) -> Result<(), Failure> {
    let rows: Vec<RecordBatch> = batches.iter().map(shortened).collect::<Result<_, _>>()?;
    write_rows(&rows, indent, out)
}

fn write_rows(rows: &[RecordBatch], indent: &str, out: &mut Output) -> Result<(), Failure> {
    let options = FormatOptions::default().with_null("NULL").with_display_error(true);
    let table = pretty_format_batches_with_options(rows, &options)?.to_string();
    for line in table.lines() {
        writeln!(out, "{indent}{line}")?;
    }
    Ok(())
}

/// The batch with its nested columns as short texts.
fn shortened(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let text = match is_nested(column.data_type()) {
            true => tensor::shortened(field, column)?,
            false => None,
        };
        match text {
            Some(text) => {
                fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
                columns.push(text);
            }
            None => {
                fields.push(Arc::clone(field));
                columns.push(Arc::clone(column));
            }
        }
    }
    let options = datafusion::arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}
