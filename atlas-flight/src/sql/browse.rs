//! What is mounted: catalogs, schemas, tables and their keys, as Flight SQL lists them.

use super::boundary;
use super::session::{Queries, shaped};
use crate::arrays::ArrayFormat;
use crate::status;
use arrow::array::{Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::{CommandGetCatalogs, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables};
use datafusion::error::DataFusionError;
use std::sync::{Arc, LazyLock};
use tonic::Status;

/// The one table type, by the name that JDBC gives it.
pub(crate) const TABLE: &str = "TABLE";

/// The column that identifies a dataset, and the tables that have one row a dataset.
const KEY_COLUMN: &str = "dataset";
const KEYED_TABLES: [&str; 2] = ["catalog", "datasets"];

/// The catalogs.
pub(crate) fn catalogs(queries: &Queries, command: CommandGetCatalogs) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    for catalog in queries.session().catalog_names() {
        builder.append(catalog);
    }
    builder.build().map_err(status::from_flight)
}

/// The schemas: one for each mounted store.
pub(crate) fn db_schemas(queries: &Queries, command: CommandGetDbSchemas) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    for (catalog, schema) in schema_names(queries) {
        builder.append(catalog, schema);
    }
    builder.build().map_err(status::from_flight)
}

/// The tables, with their schemas as queries deliver them in this format where the command asks for them.
pub(crate) async fn tables(
    queries: &Queries,
    command: CommandGetTables,
    format: ArrayFormat,
) -> Result<RecordBatch, Status> {
    let session = queries.session();
    let wanted = |catalog: &str| command.catalog.as_deref().is_none_or(|filter| filter == catalog);
    let mut found = Vec::new();
    for (catalog, schema) in schema_names(queries).into_iter().filter(|(catalog, _)| wanted(catalog)) {
        let Some(provider) = session.catalog(&catalog).and_then(|catalog| catalog.schema(&schema)) else { continue };
        for table in provider.table_names() {
            let Some(source) = provider.table(&table).await.map_err(failed)? else { continue };
            let columns = shaped(format, &boundary::client_schema(&source.schema()))?;
            found.push((catalog.clone(), schema.clone(), table, Arc::clone(columns.schema())));
        }
    }
    let mut builder = with_standard_types(command).into_builder();
    for (catalog, schema, table, columns) in &found {
        builder.append(catalog, schema, table, TABLE, columns).map_err(status::from_flight)?;
    }
    builder.build().map_err(status::from_flight)
}

/// The same command with its table types in the one spelling that is listed: clients write `BASE TABLE` or `table`.
fn with_standard_types(mut command: CommandGetTables) -> CommandGetTables {
    for table_type in &mut command.table_types {
        let upper = table_type.to_uppercase();
        *table_type = if upper == "BASE TABLE" { TABLE.to_string() } else { upper };
    }
    command
}

/// The primary key of a table: `dataset`, where it has one row a dataset.
pub(crate) fn primary_keys(queries: &Queries, command: &CommandGetPrimaryKeys) -> Result<RecordBatch, Status> {
    let keyed = KEYED_TABLES.contains(&command.table.as_str());
    let owners: Vec<_> = schema_names(queries)
        .into_iter()
        .filter(|(catalog, schema)| {
            keyed
                && command.catalog.as_ref().is_none_or(|filter| filter == catalog)
                && command.db_schema.as_ref().is_none_or(|filter| filter == schema)
        })
        .collect();
    let texts = |text: &str| Arc::new(StringArray::from(vec![text; owners.len()]));
    RecordBatch::try_new(
        PRIMARY_KEYS.clone(),
        vec![
            Arc::new(StringArray::from_iter_values(owners.iter().map(|(catalog, _)| catalog))),
            Arc::new(StringArray::from_iter_values(owners.iter().map(|(_, schema)| schema))),
            texts(&command.table),
            texts(KEY_COLUMN),
            Arc::new(Int32Array::from(vec![1; owners.len()])),
            texts(&format!("{}_{KEY_COLUMN}", command.table)),
        ],
    )
    .map_err(|error| status::from_arrow(&error))
}

/// The foreign keys of any table: none.
pub(crate) fn foreign_keys() -> RecordBatch {
    RecordBatch::new_empty(FOREIGN_KEYS.clone())
}

/// The schema of [`primary_keys`], its columns in the order of the C++ and Java implementations.
pub(crate) static PRIMARY_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("key_name", DataType::Utf8, true),
    ]))
});

/// The schema of [`foreign_keys`]: of exported and imported keys and of cross references.
pub(crate) static FOREIGN_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
});

/// Every schema, with its catalog.
fn schema_names(queries: &Queries) -> Vec<(String, String)> {
    let session = queries.session();
    let mut names = Vec::new();
    for catalog in session.catalog_names() {
        let schemas = session.catalog(&catalog).map(|catalog| catalog.schema_names()).unwrap_or_default();
        names.extend(schemas.into_iter().map(|schema| (catalog.clone(), schema)));
    }
    names.sort();
    names
}

fn failed(error: DataFusionError) -> Status {
    status::from_datafusion(&error)
}
