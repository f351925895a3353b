//! The answer of a query, batch by batch, in the format that was asked for.

mod binary;
mod format;
mod table;
mod tensor;
mod text;

pub(crate) use format::Format;
pub(crate) use table::write_table;

use crate::cli::{Failure, Output};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

/// One format's writer.
trait Sink: Send {
    /// Takes the next rows.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure>;
    /// Writes what comes after the last row.
    fn finish(&mut self) -> Result<(), Failure>;
}

/// Writes a query's result, `most_rows` rows at most; nothing where it has no columns, as after `SET`. Tells how many rows
/// were written, and whether there are more.
///
/// # Cost
/// One batch is held at a time, except for tables, whose text has to be whole before its columns can be aligned. Once all
/// rows that are wanted are there, the query is not driven on.
pub(crate) async fn write(
    mut stream: SendableRecordBatchStream,
    format: Format,
    most_rows: Option<usize>,
    out: &mut Output,
) -> Result<(usize, bool), Failure> {
    let schema = stream.schema();
    let is_stream = out.is_stream();
    let mut sink: Option<Box<dyn Sink + '_>> = match format {
        _ if schema.fields().is_empty() => None,
        Format::Table => Some(Box::new(table::Table::new(schema, out))),
        Format::Csv => Some(Box::new(text::Csv::new(&schema, out))),
        Format::Json => Some(Box::new(text::Json::new(out))),
        Format::Arrow if is_stream => Some(Box::new(binary::ArrowStream::try_new(&schema, out)?)),
        Format::Arrow => Some(Box::new(binary::ArrowFile::try_new(&schema, out)?)),
        Format::Parquet => Some(Box::new(binary::Parquet::try_new(schema, out)?)),
    };
    let mut rows = 0;
    let mut has_more = false;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let left = most_rows.map_or(usize::MAX, |most| most - rows);
        has_more = batch.num_rows() > left;
        let batch = if has_more { batch.slice(0, left) } else { batch };
        rows += batch.num_rows();
        if let Some(sink) = &mut sink {
            sink.write(&batch)?;
        }
        if has_more {
            break;
        }
    }
    if let Some(mut sink) = sink {
        sink.finish()?;
    }
    Ok((rows, has_more))
}
