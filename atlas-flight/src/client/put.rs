//! What changes something: updates, ingestion, batches into a store.

use super::{Client, ClientError};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandStatementIngest, CommandStatementUpdate, DoPutUpdateResult, ProstMessageExt, TableDefinitionOptions,
    TableExistsOption, TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use std::future::pending;
use tokio::sync::oneshot;

/// How large a message is made, where it is not one row that is larger: a quarter of what servers take.
const MESSAGE_BYTES: usize = 16 << 20;

/// Rows for a table.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// The table's name.
    pub table: String,
    /// The store; the default one where absent.
    pub store: Option<String>,
    /// What becomes of a table that is there already, or is not.
    pub mode: IngestMode,
}

/// What becomes of a table that is there already, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IngestMode {
    /// The table has to be new.
    Create,
    /// The table has to be there, and gets these rows too.
    Append,
    /// The table is made anew, whether or not it is there.
    Replace,
    /// The table gets these rows too, and is made where it is not there.
    CreateAppend,
}

impl IngestMode {
    fn options(self) -> TableDefinitionOptions {
        let (missing, there) = match self {
            IngestMode::Create => (TableNotExistOption::Create, TableExistsOption::Fail),
            IngestMode::Append => (TableNotExistOption::Fail, TableExistsOption::Append),
            IngestMode::Replace => (TableNotExistOption::Create, TableExistsOption::Replace),
            IngestMode::CreateAppend => (TableNotExistOption::Create, TableExistsOption::Append),
        };
        TableDefinitionOptions { if_not_exist: missing.into(), if_exists: there.into() }
    }
}

impl Client {
    /// Runs a statement that changes something; gives the rows affected, where the server knows.
    ///
    /// # Errors
    /// What the server says is wrong with it, `PERMISSION_DENIED` where it only reads, or a lost connection: it is then
    /// not known whether the statement ran.
    pub async fn execute_update(&self, sql: &str) -> Result<Option<u64>, ClientError> {
        let command = CommandStatementUpdate { query: sql.to_string(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        rows_affected(self.put_command(descriptor).await?)
    }

    /// Loads rows into a table; gives the rows loaded, where the server knows. Where it fails, nothing is.
    ///
    /// # Errors
    /// That of `batches`, what the server says is wrong, `PERMISSION_DENIED` where it only reads, or a lost connection.
    pub async fn ingest<S>(&self, ingest: &Ingest, schema: SchemaRef, batches: S) -> Result<Option<u64>, ClientError>
    where
        S: Stream<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    {
        let command = CommandStatementIngest {
            table_definition_options: Some(ingest.mode.options()),
            table: ingest.table.clone(),
            schema: ingest.store.clone(),
            ..CommandStatementIngest::default()
        };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        rows_affected(self.put_to(descriptor, schema, batches).await?)
    }

    /// Writes batches to what a path names: `[store]` takes rows of `dataset` and tensors, `[store, dataset]` the rows of
    /// one dataset's arrays, a column each. Gives what the server answered, once what was written is durable. Where it fails, nothing is written.
    ///
    /// # Errors
    /// That of `batches`, what the server says is wrong, `PERMISSION_DENIED` where it only reads, or a lost connection.
    pub async fn put<S>(&self, path: &[&str], schema: SchemaRef, batches: S) -> Result<Vec<Bytes>, ClientError>
    where
        S: Stream<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    {
        let path = path.iter().map(ToString::to_string).collect();
        self.put_to(FlightDescriptor::new_path(path), schema, batches).await
    }

    /// Sends a command without batches; gives the metadata of the answers.
    pub(super) async fn put_command(&self, descriptor: FlightDescriptor) -> Result<Vec<Bytes>, ClientError> {
        let message = FlightData { flight_descriptor: Some(descriptor), ..FlightData::default() };
        self.put_messages(stream::iter([message])).await
    }

    /// Sends batches to what a descriptor stands for, such as a JSON command; gives what the server answered.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub async fn put_to<S>(
        &self,
        descriptor: FlightDescriptor,
        schema: SchemaRef,
        batches: S,
    ) -> Result<Vec<Bytes>, ClientError>
    where
        S: Stream<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    {
        let encoded = FlightDataEncoderBuilder::new()
            .with_schema(schema)
            .with_flight_descriptor(Some(descriptor))
            .with_max_flight_data_size(MESSAGE_BYTES)
            .build(batches.map_err(FlightError::from));
        let (sender, failure) = oneshot::channel();
        // After an error the stream does not end: its end would tell the server that all has been sent.
        let messages = stream::unfold((encoded, sender), |(mut encoded, sender)| async move {
            match encoded.next().await? {
                Ok(message) => Some((message, (encoded, sender))),
                Err(error) => {
                    // The receiver is gone only where the call has ended.
                    let _ = sender.send(error);
                    pending().await
                }
            }
        });
        tokio::select! {
            biased;
            Ok(error) = failure => Err(match error {
                FlightError::Arrow(error) => ClientError::invalid(error.to_string()),
                error => error.into(),
            }),
            answers = self.put_messages(messages) => answers,
        }
    }

    async fn put_messages<S>(&self, messages: S) -> Result<Vec<Bytes>, ClientError>
    where
        S: Stream<Item = FlightData> + Send + 'static,
    {
        let answers = self.connection.flight().do_put(messages).await?.into_inner();
        Ok(answers.map_ok(|answer| answer.app_metadata).try_collect().await?)
    }
}

/// The number in the answer to an update; below 0 it is not known.
pub(super) fn rows_affected(answers: Vec<Bytes>) -> Result<Option<u64>, ClientError> {
    let answer = answers.into_iter().next().ok_or_else(|| ClientError::protocol("the server gave no answer"))?;
    let result = DoPutUpdateResult::decode(answer);
    let result = result.map_err(|_| ClientError::protocol("the answer to an update cannot be read"))?;
    Ok(u64::try_from(result.record_count).ok())
}
