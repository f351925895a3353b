//! Results as CSV and as JSON.

use super::Sink;
use crate::cli::{Failure, Output};
use atlas_flight::arrays::{is_nested, json_text, nested};
use datafusion::arrow::array::{Array, ArrayRef, StringBuilder};
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::WriterBuilder;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::arrow::record_batch::RecordBatch;
use std::io::Write;
use std::sync::Arc;

/// Comma-separated values under a header line; array cells are JSON text.
pub(super) struct Csv<'a> {
    header: Option<RecordBatch>,
    out: &'a mut Output,
}

impl<'a> Csv<'a> {
    pub(super) fn new(schema: &Schema, out: &'a mut Output) -> Self {
        let names = schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
        let header = RecordBatch::new_empty(Arc::new(Schema::new(names.collect::<Vec<_>>())));
        Csv { header: Some(header), out }
    }

    fn encode(&mut self, batch: &RecordBatch, with_header: bool) -> Result<(), Failure> {
        let mut text = Vec::new();
        let mut writer = csv::WriterBuilder::new().with_header(with_header).build(&mut text);
        writer.write(batch)?;
        drop(writer);
        self.out.write_all(&text)?;
        Ok(())
    }
}

impl Sink for Csv<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        if let Some(header) = self.header.take() {
            self.encode(&header, true)?;
        }
        self.encode(&flat(batch)?, false)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        match self.header.take() {
            Some(header) => self.encode(&header, true),
            None => Ok(()),
        }
    }
}

/// The batch with its nested columns as JSON text.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if is_nested(column.data_type()) {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(json_text(field, column)?);
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// One JSON object a line, nulls included.
fn json_lines(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut text = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut text);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(text)
}

/// An array of objects, one a line, so that both JSON parsers and line tools read it.
pub(super) struct Json<'a> {
    before: &'static str,
    out: &'a mut Output,
}

impl<'a> Json<'a> {
    pub(super) fn new(out: &'a mut Output) -> Self {
        Json { before: "[\n", out }
    }
}

impl Sink for Json<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let schema = batch.schema();
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            let (field, column) = nested(field, column)?;
            fields.push(field);
            columns.push(column);
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        for line in json_lines(&batch)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.out.write_all(self.before.as_bytes())?;
            self.out.write_all(line)?;
            self.before = ",\n";
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let end: &[u8] = if self.before == "[\n" { b"[]\n" } else { b"\n]\n" };
        self.out.write_all(end)?;
        Ok(())
    }
}
