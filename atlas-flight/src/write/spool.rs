//! Batches put aside until all of them are there: in memory while they are few, else in a temporary file.

use crate::limits::Limits;
use crate::service::encode::batch_bytes;
use crate::status;
use arrow::array::{AnyDictionaryArray, Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::kernels::length::length;
use arrow::compute::{cast, max};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use futures::{Stream, StreamExt};
use std::io::{BufReader, BufWriter, Seek};
use tempfile::SpooledTempFile;
use tonic::{Code, Status};

/// How many bytes are kept in memory.
const MEMORY_BYTES: usize = 4 << 20;

/// What the dictionaries of one batch may stand for.
const MOST_UNPACKED_BYTES: u64 = 256 << 20;

/// How many times the results of one change may differ in schema.
const MOST_SCHEMAS: usize = 1000;

/// Batches of one schema.
pub(crate) struct Spool {
    schema: SchemaRef,
    file: SpooledTempFile,
    rows: u64,
}

/// The results of several queries: those of one schema that follow one another are together.
#[derive(Default)]
pub(crate) struct Results {
    done: Vec<Spool>,
    last: Option<(SchemaRef, Filling)>,
}

impl Results {
    /// Takes the batches of one more query, to their end.
    ///
    /// # Errors
    /// As [`Spool::of`].
    pub(crate) async fn add(
        &mut self,
        schema: SchemaRef,
        mut batches: impl Stream<Item = Result<RecordBatch, Status>> + Unpin,
        limits: &Limits,
    ) -> Result<(), Status> {
        if self.done.len() >= MOST_SCHEMAS {
            let message = format!("the rows of values differ in type more than {MOST_SCHEMAS} times");
            return Err(status::status(Code::ResourceExhausted, &message));
        }
        let mut filling = match self.last.take() {
            Some((last, filling)) if last == schema => filling,
            other => {
                if let Some((schema, filling)) = other {
                    self.done.push(filling.finish(schema)?);
                }
                Filling::new(&schema, limits)?
            }
        };
        while let Some(batch) = batches.next().await {
            filling = filling.with(batch?).await?;
        }
        self.last = Some((schema, filling));
        Ok(())
    }

    /// Takes what was put aside already.
    pub(crate) fn push(&mut self, spool: Spool) {
        self.done.push(spool);
    }

    /// All of them, in the order in which they came.
    ///
    /// # Errors
    /// Where there is no room for them.
    pub(crate) fn finish(mut self) -> Result<Vec<Spool>, Status> {
        if let Some((schema, filling)) = self.last.take() {
            self.done.push(filling.finish(schema)?);
        }
        Ok(self.done)
    }
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
        self.bytes += batch_bytes(batch) as u64;
        let unpacked = batch.columns().iter().map(unpacked_bytes).fold(0u64, u64::saturating_add);
        if unpacked > MOST_UNPACKED_BYTES {
            let message = format!(
                "the dictionaries of a batch stand for up to {unpacked} bytes, the limit is {MOST_UNPACKED_BYTES}: send \
                 smaller batches"
            );
            return Err(status::status(Code::ResourceExhausted, &message));
        }
        if let Some(most) = self.most_bytes.filter(|most| self.bytes > *most) {
            let message = format!("the upload has more than {most} bytes, the limit of this server");
            return Err(status::status(Code::ResourceExhausted, &message));
        }
        self.writer.write(batch).map_err(|error| failed(&error))
    }

    /// The same with one more batch. Temporary files are on disks, which may be slow.
    async fn with(mut self, batch: RecordBatch) -> Result<Self, Status> {
        let filled = tokio::task::spawn_blocking(move || self.add(&batch).map(|()| self)).await;
        filled.map_err(|error| status::from_join(&error))?
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
            filling = filling.with(batch?).await?;
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

/// How many bytes the dictionaries in a column stand for, at most: as many values as there are keys, each as long as the longest.
fn unpacked_bytes(column: &ArrayRef) -> u64 {
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        return (column.len() as u64).saturating_mul(longest(dictionary));
    }
    match column.data_type() {
        DataType::List(_) => unpacked_bytes(column.as_list::<i32>().values()),
        DataType::LargeList(_) => unpacked_bytes(column.as_list::<i64>().values()),
        DataType::FixedSizeList(_, _) => unpacked_bytes(column.as_fixed_size_list().values()),
        DataType::Struct(_) => column.as_struct().columns().iter().map(unpacked_bytes).fold(0, u64::saturating_add),
        _ => 0,
    }
}

/// The longest value of a dictionary.
fn longest(dictionary: &dyn AnyDictionaryArray) -> u64 {
    let values = dictionary.values();
    let lengths = length(values).and_then(|lengths| cast(&lengths, &DataType::Int64));
    let longest = lengths.ok().and_then(|lengths| max(lengths.as_primitive::<Int64Type>()));
    // What has no length is a number.
    longest.map_or(8, |bytes| bytes.unsigned_abs().max(8))
}

fn failed(error: &dyn std::fmt::Display) -> Status {
    tracing::error!(%error, "what was uploaded cannot be put aside");
    Status::resource_exhausted("there is no room for the upload on the server")
}
