//! Results as Arrow IPC and as Parquet.

use super::Sink;
use crate::cli::{Failure, Output};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::ipc::writer::{FileWriter, StreamWriter};
use datafusion::arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// The Arrow IPC file format, which readers can seek in and map.
pub(super) struct ArrowFile<'a>(FileWriter<&'a mut Output>);

impl<'a> ArrowFile<'a> {
    pub(super) fn try_new(schema: &Schema, out: &'a mut Output) -> Result<Self, Failure> {
        Ok(ArrowFile(FileWriter::try_new(out, schema)?))
    }
}

impl Sink for ArrowFile<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.0.write(batch)?)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        Ok(self.0.finish()?)
    }
}

/// The Arrow IPC streaming format, for pipes.
pub(super) struct ArrowStream<'a>(StreamWriter<&'a mut Output>);

impl<'a> ArrowStream<'a> {
    pub(super) fn try_new(schema: &Schema, out: &'a mut Output) -> Result<Self, Failure> {
        Ok(ArrowStream(StreamWriter::try_new(out, schema)?))
    }
}

impl Sink for ArrowStream<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.0.write(batch)?)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        Ok(self.0.finish()?)
    }
}

/// Parquet, with the Arrow schema (tensor shapes included) in its metadata.
pub(super) struct Parquet<'a>(Option<ArrowWriter<&'a mut Output>>);

impl<'a> Parquet<'a> {
    pub(super) fn try_new(schema: SchemaRef, out: &'a mut Output) -> Result<Self, Failure> {
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        Ok(Parquet(Some(ArrowWriter::try_new(out, schema, Some(properties))?)))
    }
}

impl Sink for Parquet<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        match &mut self.0 {
            Some(writer) => Ok(writer.write(batch)?),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        match self.0.take() {
            Some(writer) => Ok(writer.close().map(|_| ())?),
            None => Ok(()),
        }
    }
}
