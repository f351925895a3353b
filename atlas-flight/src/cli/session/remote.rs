//! Statements on a server.

use crate::cli::Failure;
use crate::cli::remote::ServerFlags;
use crate::cli::statement::Parsed;
use atlas_flight::client::{Address, Client};
use datafusion::arrow::array::{RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use futures::{TryStreamExt, stream};
use std::sync::Arc;

/// Connects, and makes the store that the address names the one whose tables need no prefix.
pub(super) async fn open(address: &Address, flags: &ServerFlags) -> Result<Client, Failure> {
    let client = flags.connect(address).await?;
    if let Some(store) = address.store() {
        client.use_store(store).await?;
    }
    Ok(client)
}

pub(super) async fn run(client: &Client, parsed: Parsed) -> Result<SendableRecordBatchStream, Failure> {
    if changes(&parsed.statement) {
        return counted(client.execute_update(&parsed.text).await?);
    }
    let result = client.query_stream(&parsed.text).await?;
    let schema = result.schema();
    let batches = result.map_err(|error| DataFusionError::External(Box::new(error)));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
}

/// Ends what the session's options began; where the server is gone, they are, too.
pub(super) async fn close(client: &Client) {
    if client.address().store().is_some() {
        let _ = client.close_session().await;
    }
}

fn changes(statement: &Statement) -> bool {
    use ast::Statement::{Delete, Insert, Update};
    match statement {
        Statement::Statement(statement) => matches!(**statement, Insert(_) | Update { .. } | Delete(_)),
        _ => false,
    }
}

/// How many rows a statement changed, as a local statement tells it; nothing, where the server does not know.
fn counted(rows: Option<u64>) -> Result<SendableRecordBatchStream, Failure> {
    let Some(rows) = rows else {
        let none = stream::empty();
        return Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::new(Schema::empty()), none)));
    };
    let schema = Arc::new(Schema::new(vec![Field::new("count", DataType::UInt64, false)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(UInt64Array::from(vec![rows]))])?;
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter([Ok(batch)]))))
}
