//! Stores and tables by name.

use super::{Client, ClientError, ReadOptions};
use arrow::array::{AsArray, RecordBatch};
use arrow_flight::FlightDescriptor;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables, ProstMessageExt};
use prost::Message;

/// A table and the store that it is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// The store: the table's schema.
    pub store: String,
    /// The table.
    pub table: String,
}

impl Client {
    /// The stores that this client may read, which are the schemas of SQL.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn stores(&self) -> Result<Vec<String>, ClientError> {
        let batches = self.browse(CommandGetDbSchemas::default()).await?;
        let mut stores = texts(&batches, "db_schema_name")?;
        stores.retain(|name| name != "information_schema");
        Ok(stores)
    }

    /// The tables of a store, or of all.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn tables(&self, store: Option<&str>) -> Result<Vec<TableName>, ClientError> {
        // The filter is a pattern, in which these stand for others.
        let escaped = |name: &str| name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let command = CommandGetTables { db_schema_filter_pattern: store.map(escaped), ..CommandGetTables::default() };
        let batches = self.browse(command).await?;
        let names = texts(&batches, "db_schema_name")?.into_iter().zip(texts(&batches, "table_name")?);
        Ok(names.map(|(store, table)| TableName { store, table }).collect())
    }

    async fn browse(&self, command: impl ProstMessageExt) -> Result<Vec<RecordBatch>, ClientError> {
        let info = self.flight_info(FlightDescriptor::new_cmd(command.as_any().encode_to_vec())).await?;
        self.read(info, &ReadOptions::default())?.into_batches().await
    }
}

/// A text column of all batches.
fn texts(batches: &[RecordBatch], column: &str) -> Result<Vec<String>, ClientError> {
    let mut texts = Vec::new();
    for batch in batches {
        let values = batch.column_by_name(column).and_then(|values| values.as_string_opt::<i32>());
        let values = values.ok_or_else(|| ClientError::protocol(format!("there is no column {column} of texts")))?;
        texts.extend(values.iter().flatten().map(str::to_string));
    }
    Ok(texts)
}
