//! Statements with parameters.

use super::put::rows_affected;
use super::{BatchStream, Client, ClientError};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    Any, CommandPreparedStatementQuery, CommandPreparedStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt,
};
use arrow_flight::{FlightDescriptor, IpcMessage};
use bytes::Bytes;
use datafusion::common::ScalarValue;
use futures::stream;
use prost::Message;
use std::sync::Arc;

/// A statement that the server has planned, with parameters (`?`, or `$1`, `$2`, …) or without.
#[derive(Debug, Clone)]
pub struct PreparedStatement {
    client: Client,
    handle: Bytes,
    schema: SchemaRef,
    parameter_schema: SchemaRef,
}

/// A row of values, one for each parameter, in their order.
///
/// # Errors
/// `INVALID_ARGUMENT` for a value that has no Arrow column.
pub fn parameters(values: &[ScalarValue]) -> Result<RecordBatch, ClientError> {
    let columns: Result<Vec<ArrayRef>, _> = values.iter().map(ScalarValue::to_array).collect();
    let columns = columns.map_err(|error| ClientError::invalid(error.strip_backtrace()))?;
    let field = |(place, column): (usize, &ArrayRef)| Field::new(place.to_string(), column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)
        .map_err(|error| ClientError::invalid(error.to_string()))
}

impl Client {
    /// Prepares a statement.
    ///
    /// # Errors
    /// What the server says is wrong with it, or a lost connection.
    pub async fn prepare(&self, sql: &str) -> Result<PreparedStatement, ClientError> {
        let request = ActionCreatePreparedStatementRequest { query: sql.to_string(), transaction_id: None };
        let body = self.action_once("CreatePreparedStatement", request.as_any().encode_to_vec()).await?;
        let unreadable = || ClientError::protocol("the prepared statement cannot be read");
        let any = Any::decode(body).map_err(|_| unreadable())?;
        let result: Option<ActionCreatePreparedStatementResult> = any.unpack().map_err(|_| unreadable())?;
        let result = result.ok_or_else(unreadable)?;
        Ok(PreparedStatement {
            client: self.clone(),
            handle: result.prepared_statement_handle,
            schema: schema_of(result.dataset_schema)?,
            parameter_schema: schema_of(result.parameter_schema)?,
        })
    }
}

impl PreparedStatement {
    /// The schema of the result, as far as it is known without values.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// What is to be bound: a field for each parameter.
    pub fn parameter_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.parameter_schema)
    }

    /// Binds a row of values, by position; [`parameters`] makes one. It holds until another one is bound.
    ///
    /// # Errors
    /// What the server says is wrong with it, or a lost connection.
    pub async fn bind(&mut self, row: RecordBatch) -> Result<(), ClientError> {
        let schema = row.schema();
        let answers = self.client.put_to(self.descriptor(), schema, stream::iter([Ok(row)])).await?;
        // Servers may say in another handle what is bound.
        if let Some(answer) = answers.into_iter().next()
            && let Ok(result) = DoPutPreparedStatementResult::decode(answer)
            && let Some(handle) = result.prepared_statement_handle
        {
            self.handle = handle;
        }
        Ok(())
    }

    /// Runs the query with the values that are bound, and collects its result: at least one batch.
    ///
    /// # Errors
    /// What the server fails with, or a lost connection.
    pub async fn query(&self) -> Result<Vec<RecordBatch>, ClientError> {
        self.query_stream().await?.into_batches().await
    }

    /// Plans the query with the values that are bound, and gives its result as it comes. Binding others does not change it.
    ///
    /// # Errors
    /// What the server fails with, or a lost connection.
    pub async fn query_stream(&self) -> Result<BatchStream, ClientError> {
        let info = self.client.flight_info(self.descriptor()).await?;
        self.client.read_query(info)
    }

    /// Runs a statement that changes something, once for each row of values (one without columns, where there are no
    /// parameters); gives the rows affected, where the server knows.
    ///
    /// # Errors
    /// As [`Client::execute_update`].
    pub async fn execute_update(&self, rows: RecordBatch) -> Result<Option<u64>, ClientError> {
        let command = CommandPreparedStatementUpdate { prepared_statement_handle: self.handle.clone() };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let schema = rows.schema();
        rows_affected(self.client.put_to(descriptor, schema, stream::iter([Ok(rows)])).await?)
    }

    /// Tells the server that the statement is not needed any more.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn close(self) -> Result<(), ClientError> {
        let request = ActionClosePreparedStatementRequest { prepared_statement_handle: self.handle.clone() };
        self.client.action("ClosePreparedStatement", request.as_any().encode_to_vec()).await.map(drop)
    }

    fn descriptor(&self) -> FlightDescriptor {
        let command = CommandPreparedStatementQuery { prepared_statement_handle: self.handle.clone() };
        FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
    }
}

/// A schema as the server writes it; none is that of no columns.
fn schema_of(bytes: Bytes) -> Result<SchemaRef, ClientError> {
    if bytes.is_empty() {
        return Ok(Arc::new(Schema::empty()));
    }
    let schema = Schema::try_from(IpcMessage(bytes));
    schema.map(Arc::new).map_err(|error| ClientError::protocol(error.to_string()))
}
