//! Bulk ingestion of Flight SQL: rows of the table `datasets`.

use super::Upload;
use super::put::batches;
use super::request::Mode;
use super::rows::{Rows, Target};
use super::spool::Spool;
use super::writers::Writers;
use crate::auth::Caller;
use crate::status;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption};
use tonic::{Code, Status};

/// The one table that takes rows.
const TABLE: &str = "datasets";

/// Takes the rows of `datasets` of a store, in one commit; gives their number. `default_store` is the caller's default schema,
/// `catalog` the one that there is.
///
/// The table is there whether or not it has rows; the option to fail where it exists fails where it has some.
///
/// # Errors
/// `ALREADY_EXISTS` where it has rows and the options do not allow that, `NOT_FOUND` for another table; else as
/// [`super::put`].
pub(crate) async fn ingest(
    writers: &Writers,
    caller: &Caller,
    (catalog, default_store): (&str, &str),
    command: CommandStatementIngest,
    upload: Upload,
) -> Result<i64, Status> {
    let what = "ingestion";
    writers.check(what)?;
    let store = command.schema.as_deref().filter(|schema| !schema.is_empty()).unwrap_or(default_store).to_string();
    writers.check_store(caller, &store, what)?;
    if let Some(other) = command.catalog.as_deref().filter(|name| !name.is_empty() && *name != catalog) {
        return Err(status::status(Code::NotFound, &format!("no such catalog: {other}; there is {catalog}")));
    }
    if command.temporary {
        return Err(Status::unimplemented("there are no temporary tables"));
    }
    if command.transaction_id.as_ref().is_some_and(|id| !id.is_empty()) {
        return Err(Status::unimplemented("transactions are not supported"));
    }
    if command.table != TABLE {
        let message = format!("no table {} takes rows: those of datasets go into {store}.{TABLE}", command.table);
        return Err(status::status(Code::NotFound, &message));
    }
    // The table is always there to append to, with or without rows.
    let if_exists = command.table_definition_options.unwrap_or_default().if_exists;
    let fails_if_exists = if_exists == TableExistsOption::Fail as i32;
    let mode = if if_exists == TableExistsOption::Replace as i32 { Mode::Replace } else { Mode::Create };
    let (schema, batches) = batches(upload).await?;
    let rows = Rows::new(&schema, Target::Datasets(mode))?;
    let spool = Spool::of(schema, batches, writers.limits()).await?;
    let turn = writers.turn(caller, &store, what).await?;
    let (changes, _) = turn
        .commit(move |handle| {
            let datasets = handle.snapshot().dataset_count();
            if datasets > 0 && fails_if_exists {
                let message = format!("table {store}.{TABLE} exists already, with {datasets} rows");
                return Err(status::status(Code::AlreadyExists, &message));
            }
            rows.write_all(handle, spool)
        })
        .await?;
    Ok(i64::try_from(changes.rows).unwrap_or(i64::MAX))
}
