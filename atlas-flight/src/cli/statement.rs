//! SQL statements: parsed from text, executed one by one.

use crate::cli::results::{self, Format};
use crate::cli::{Failure, Output};
use datafusion::common::TableReference;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a statement gave.
pub(crate) struct Ran {
    /// Rows that were written.
    pub(crate) rows: usize,
    /// Whether there were more than were to be written.
    pub(crate) has_more: bool,
    pub(crate) time: Duration,
}

impl Ran {
    /// One line for people: `12 rows in 0.034 s`.
    pub(crate) fn summary(&self) -> String {
        let (more, rows) = (if self.has_more { "the first " } else { "" }, self.rows);
        let noun = if rows == 1 { "row" } else { "rows" };
        format!("{more}{rows} {noun} in {:.3} s", self.time.as_secs_f64())
    }
}

/// The statements of a text.
///
/// # Errors
/// `Failed` where it is not SQL.
pub(crate) fn parse(sql: &str) -> Result<VecDeque<Statement>, Failure> {
    Ok(DFParser::parse_sql(sql)?)
}

/// Executes a statement and writes at most `most_rows` rows of its result; then it is stopped.
pub(crate) async fn run(
    context: &SessionContext,
    statement: Statement,
    format: Format,
    most_rows: Option<usize>,
    out: &mut Output,
) -> Result<Ran, Failure> {
    let began = Instant::now();
    let plan = context.state().statement_to_plan(statement).await?;
    keep_store(context, &plan).await?;
    let stream = context.execute_logical_plan(plan).await?.execute_stream().await?;
    let (rows, has_more) = results::write(stream, format, most_rows, out).await?;
    Ok(Ran { rows, has_more, time: began.elapsed() })
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
