//! Statements over a store in this process.

use super::side_tables;
use crate::cli::Failure;
use atlas_store::Store;
use datafusion::common::TableReference;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use std::path::Path;

pub(super) fn open(location: &str) -> Result<SessionContext, Failure> {
    Ok(side_tables::session(&schema_name(location), Store::open(location)?)?)
}

pub(super) async fn run(context: &SessionContext, statement: Statement) -> Result<SendableRecordBatchStream, Failure> {
    let plan = context.state().statement_to_plan(statement).await?;
    keep_store(context, &plan).await?;
    Ok(context.execute_logical_plan(plan).await?.execute_stream().await?)
}

/// Refuses what would change a table of the store.
async fn keep_store(context: &SessionContext, plan: &LogicalPlan) -> Result<(), Failure> {
    let (verb, table): (String, &TableReference) = match plan {
        LogicalPlan::Ddl(DdlStatement::DropTable(drop)) => ("DROP TABLE".into(), &drop.name),
        LogicalPlan::Ddl(DdlStatement::DropView(drop)) => ("DROP VIEW".into(), &drop.name),
        LogicalPlan::Dml(dml) => (dml.op.name().to_uppercase(), &dml.table_name),
        _ => return Ok(()),
    };
    match context.table_provider(table.clone()).await {
        Ok(provider) if atlas_sql::is_of_store(provider.as_ref()) => Err(Failure::failed(format!(
            "{verb}: {table} is a table of the store, which SQL only reads: atlas import and atlas rm change it"
        ))),
        _ => Ok(()),
    }
}

/// The schema that the store is mounted as: the last part of its location.
fn schema_name(location: &str) -> String {
    let name = Path::new(location.trim_end_matches('/')).file_stem().and_then(|name| name.to_str()).unwrap_or("");
    match name {
        "" | "information_schema" => "store".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_mounted_under_its_directory_name() {
        assert_eq!(schema_name("/data/argo/"), "argo");
        assert_eq!(schema_name("fleet.atlas"), "fleet");
        assert_eq!(schema_name(".."), "store");
    }
}
