//! Batches put aside until all of them are there: in memory while they are few, else in a temporary file.

use crate::limits::Limits;
use crate::status;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use futures::{Stream, StreamExt};
use std::io::{BufReader, BufWriter, Seek};
use tempfile::SpooledTempFile;
use tonic::{Code, Status};

/// How many bytes are kept in memory.
const MEMORY_BYTES: usize = 4 << 20;

/// Batches of one schema.
pub(crate) struct Spool {
    schema: SchemaRef,
    file: SpooledTempFile,
    rows: u64,
}

/// Takes batches.
struct Filling {
    writer: StreamWriter<BufWriter<SpooledTempFile>>,
    rows: u64,
    bytes: u64,
    most_bytes: Option<u64>,
}

impl Filling {
    fn new(schema: &SchemaRef, limits: &Limits) -> Result<Self, Status> {
        let file = BufWriter::new(SpooledTempFile::new(MEMORY_BYTES));
        let writer = StreamWriter::try_new(file, schema).map_err(|error| failed(&error))?;
        Ok(Filling { writer, rows: 0, bytes: 0, most_bytes: limits.upload_bytes })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), Status> {
        self.rows += batch.num_rows() as u64;
        self.bytes += batch.get_array_memory_size() as u64;
        if let Some(most) = self.most_bytes.filter(|most| self.bytes > *most) {
            let message = format!("the upload has more than {most} bytes, the limit of this server");
            return Err(status::status(Code::ResourceExhausted, &message));
        }
        self.writer.write(batch).map_err(|error| failed(&error))
    }

    fn finish(self, schema: SchemaRef) -> Result<Spool, Status> {
        let buffered = self.writer.into_inner().map_err(|error| failed(&error))?;
        let mut file = buffered.into_inner().map_err(|error| failed(&error))?;
        file.rewind().map_err(|error| failed(&error))?;
        Ok(Spool { schema, file, rows: self.rows })
    }
}

impl Spool {
    /// Takes the batches of a stream, to its end.
    ///
    /// # Errors
    /// The stream's first error; `RESOURCE_EXHAUSTED` where the batches take more bytes than an upload may, or than there is
    /// room for.
    pub(crate) async fn of(
        schema: SchemaRef,
        mut batches: impl Stream<Item = Result<RecordBatch, Status>> + Unpin,
        limits: &Limits,
    ) -> Result<Spool, Status> {
        let mut filling = Filling::new(&schema, limits)?;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            // Temporary files are on disks, which may be slow.
            let filled = tokio::task::spawn_blocking(move || filling.add(&batch).map(|()| filling)).await;
            filling = filled.map_err(|error| status::from_join(&error))??;
        }
        filling.finish(schema)
    }

    /// One batch.
    ///
    /// # Errors
    /// Where there is no room for it.
    pub(crate) fn of_batch(batch: &RecordBatch) -> Result<Spool, Status> {
        let mut filling = Filling::new(&batch.schema(), &Limits::default())?;
        filling.add(batch)?;
        filling.finish(batch.schema())
    }

    /// The same batches under a schema that has other names.
    pub(crate) fn with_schema(self, schema: SchemaRef) -> Spool {
        Spool { schema, ..self }
    }

    /// The batches' schema.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many rows the batches have.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The batches, one after another.
    ///
    /// # Errors
    /// Where they cannot be read back.
    pub(crate) fn batches(self) -> Result<impl Iterator<Item = Result<RecordBatch, Status>>, Status> {
        let reader = StreamReader::try_new(BufReader::new(self.file), None).map_err(|error| failed(&error))?;
        Ok(reader.map(|batch| batch.map_err(|error| failed(&error))))
    }
}

fn failed(error: &dyn std::fmt::Display) -> Status {
    tracing::error!(%error, "what was uploaded cannot be put aside");
    Status::resource_exhausted("there is no room for the upload on the server")
}
