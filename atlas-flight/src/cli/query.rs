//! `atlas query`: SQL over one store, in this process or on a server.

use crate::cli::failure::tell;
use crate::cli::remote::ServerFlags;
use crate::cli::results::Format;
use crate::cli::session::Session;
use crate::cli::shell::Shell;
use crate::cli::statement::{self, Parsed};
use crate::cli::{Failure, Output, runtime};
use clap::Args;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use std::collections::VecDeque;
use std::io::{IsTerminal, Read, stdin};
use std::path::PathBuf;

/// Run SQL over a store.
///
/// Without SQL on the command line it is read from standard input: line by line with history on a terminal, to the end
/// from a pipe.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atlas query fleet 'SELECT cruise, count(*) FROM datasets GROUP BY cruise'
  atlas query fleet 'SELECT dataset, stat_max(temperature) AS warmest FROM datasets ORDER BY warmest DESC LIMIT 5'
  atlas query fleet 'SELECT dataset, slice(temperature, [0,0], [1,24]) AS surface FROM datasets' -o surface.parquet
  atlas query fleet \"COPY (SELECT * FROM catalog) TO 'catalog.parquet'\"
  atlas query fleet \"SELECT * FROM datasets JOIN 'ships.csv' USING (cruise)\"
  atlas query fleet 'EXPLAIN SELECT dataset FROM datasets WHERE stat_max(temperature) > 28'
  atlas query fleet                       (interactive; .help lists its commands)
  atlas query fleet --format csv < questions.sql
  atlas query grpc://127.0.0.1:50051/fleet 'SELECT count(*) FROM datasets'
  ATLAS_TOKEN=… atlas query grpc+tls://data.example:50051/fleet --tls-ca ca.pem 'SELECT * FROM catalog LIMIT 5'

Tables: datasets (attributes and arrays), catalog (attributes and statistics), arrays (declarations and statistics),
attributes, chunks, and cells_<dims> (a row for each cell, for example cells_lat_lon).
Beside them: any Parquet, CSV, JSON or Arrow file, by its quoted name; CREATE VIEW and CREATE EXTERNAL TABLE.
Several statements are separated by semicolons; the formats other than table take the result of the last one.
On a server there are only the stores that it serves: no files, no tables of your own. Without NAME, its default store.")]
pub(crate) struct Query {
    /// Directory or URL of the store, or grpc://HOST:PORT/NAME for one on a server
    store: String,
    /// One or more SQL statements [default: from standard input]
    sql: Option<String>,
    /// How the result is written [default: what the ending of FILE says, else table]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write the result to this file, which appears when it is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Say on stderr how many rows each statement gave, and how long it took
    #[arg(long)]
    timing: bool,
    /// Write at most so many rows of each result [default: all; 100 on an interactive terminal]
    #[arg(long, value_name = "ROWS")]
    max_rows: Option<usize>,
    #[command(flatten)]
    server: ServerFlags,
}

impl Query {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let format = self.format()?;
        if self.sql.is_none() && stdin().is_terminal() {
            return self.interact(format);
        }
        let sql = match &self.sql {
            Some(sql) => sql.clone(),
            None => {
                let mut sql = String::new();
                stdin()
                    .read_to_string(&mut sql)
                    .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
                sql
            }
        };
        let statements = statements(&sql, format)?;
        let mut out = Output::to(self.output.as_deref())?;
        if format.is_binary() && out.is_terminal() {
            return Err(Failure::usage(format!("{format} is not for a terminal: use -o FILE or a pipe")));
        }
        runtime()?.block_on(async {
            let session = Session::open(&self.store, &self.server).await?;
            let done = self.execute(&session, statements, format, &mut out).await;
            session.close().await;
            done
        })?;
        out.finish()
    }

    /// Statements as they are typed.
    fn interact(&self, format: Format) -> Result<(), Failure> {
        if self.output.is_some() {
            return Err(Failure::usage("-o FILE takes the result of SQL on the command line or from a pipe"));
        }
        if format.is_binary() {
            return Err(Failure::usage(format!("{format} is not for a terminal")));
        }
        let runtime = runtime()?;
        let session = runtime.block_on(Session::open(&self.store, &self.server))?;
        Shell::new(session, format, self.timing, self.max_rows)?.run(&runtime)
    }

    async fn execute(
        &self,
        session: &Session,
        statements: VecDeque<Parsed>,
        format: Format,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let last = statements.len() - 1;
        for (place, parsed) in statements.into_iter().enumerate() {
            // Before the last one stand statements without a result, if the format holds one.
            let format = if place == last { format } else { Format::Table };
            let ran = statement::run(session, parsed, format, self.max_rows, out).await?;
            if self.timing {
                tell(ran.summary());
            }
        }
        Ok(())
    }

    fn format(&self) -> Result<Format, Failure> {
        let (Some(path), None) = (&self.output, self.format) else { return Ok(self.format.unwrap_or(Format::Table)) };
        match (Format::of_path(path), path.extension().and_then(|ending| ending.to_str())) {
            (Some(format), _) => Ok(format),
            (None, None | Some("txt")) => Ok(Format::Table),
            (None, Some(ending)) => Err(Failure::usage(format!(
                "{}: .{ending} is the ending of no format: --format says which one it is",
                path.display()
            ))),
        }
    }
}

/// The statements of `sql`, at least one; formats that hold one result get no query before the last statement.
fn statements(sql: &str, format: Format) -> Result<VecDeque<Parsed>, Failure> {
    let statements = statement::parse(sql)?;
    if statements.is_empty() {
        return Err(Failure::usage("the SQL text holds no statement"));
    }
    if format != Format::Table && statements.iter().take(statements.len() - 1).any(is_query) {
        let count = statements.len();
        return Err(Failure::usage(format!(
            "--format {format} holds one result, and a query stands before the last of {count} statements"
        )));
    }
    Ok(statements)
}

fn is_query(parsed: &Parsed) -> bool {
    match &parsed.statement {
        Statement::Statement(statement) => matches!(**statement, ast::Statement::Query(_)),
        Statement::Explain(_) => true,
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn one_result_formats_refuse_a_query_before_the_last() {
        assert_eq!(statements("SELECT 1; SELECT 2", Format::Table).unwrap().len(), 2);
        assert!(matches!(statements("SELECT 1; SELECT 2", Format::Csv), Err(Failure::Usage(_))));
        assert_eq!(statements("SET a.b = 1; SELECT 2;", Format::Csv).unwrap().len(), 2);
        assert!(matches!(statements(" ", Format::Table), Err(Failure::Usage(_))));
    }
}
