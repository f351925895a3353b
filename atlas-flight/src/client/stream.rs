//! A result that is read as it comes.

use super::ClientError;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The batches of a result, all of one schema, which is known before the first of them.
///
/// Nothing is asked of the server before the stream is polled; dropping it ends the work there.
pub struct BatchStream {
    schema: SchemaRef,
    total_rows: Option<u64>,
    total_bytes: Option<u64>,
    batches: BoxStream<'static, Result<RecordBatch, ClientError>>,
}

impl BatchStream {
    /// Batches of `schema`. Totals below 0 are not known.
    pub(super) fn new(
        schema: SchemaRef,
        totals: (i64, i64),
        batches: BoxStream<'static, Result<RecordBatch, ClientError>>,
    ) -> Self {
        let (total_rows, total_bytes) = (u64::try_from(totals.0).ok(), u64::try_from(totals.1).ok());
        BatchStream { schema, total_rows, total_bytes, batches }
    }

    /// The schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// How many rows the result has in all, where the server has announced it: of a stacked read, exactly.
    pub fn total_rows(&self) -> Option<u64> {
        self.total_rows
    }

    /// How many bytes of values the result has in all, where the server has announced it.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// All batches: at least one, which is empty where the result is.
    ///
    /// # Errors
    /// What the server fails with, or a lost connection.
    pub async fn into_batches(self) -> Result<Vec<RecordBatch>, ClientError> {
        let mut batches: Vec<RecordBatch> = self.batches.try_collect().await?;
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(self.schema));
        }
        Ok(batches)
    }
}

impl Stream for BatchStream {
    type Item = Result<RecordBatch, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(context)
    }
}

impl fmt::Debug for BatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}
