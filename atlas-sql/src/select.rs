//! Datasets that satisfy a predicate.

use crate::columns::View;
use crate::error::from_store;
use crate::mount::install;
use crate::names::DATASET;
use crate::table::{Table, TableKind};
use arrow::array::AsArray;
use atlas_store::Snapshot;
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::common::Column;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::sqlparser::ast::{Query, Visit, Visitor};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The rows of the datasets that satisfy `predicate`, in insertion order.
///
/// The predicate is what stands behind WHERE in a query of the `datasets` table: attributes, `dataset`, the statistics
/// and declarations of arrays, and cells (`element("TEMP", 0, 0) > 3`).
///
/// # Cost
/// Reads chunks only where the predicate is about cells.
///
/// # Errors
/// A plan error where the predicate is not SQL, holds a subquery, or is not about columns of the table; the store's own where cells
/// cannot be read.
pub async fn select_datasets(snapshot: &Snapshot, predicate: &str) -> Result<Vec<u32>> {
    let context = SessionContext::new();
    install(&context);
    let view = Arc::new(View::new(snapshot.clone()));
    let table = Table::try_new("store", TableKind::Datasets, &view)?;
    let scan = LogicalPlanBuilder::scan("datasets", provider_as_source(Arc::new(table)), None)?;
    let state = context.state();
    let predicate = state.sql_to_expr_with_alias(predicate, &state.config_options().sql_parser.dialect)?;
    if predicate.visit(&mut HasQuery).is_break() {
        return Err(DataFusionError::Plan(
            "a predicate is about one dataset at a time and holds no subquery: run that query first".into(),
        ));
    }
    let filter = state.create_logical_expr_from_sql_expr(predicate, scan.schema())?;
    let name = Expr::Column(Column::new(Some("datasets"), DATASET));
    let plan = scan.filter(filter)?.project([name])?.build()?;
    let batches = DataFrame::new(state, plan).collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        let names = batch.column(0).as_string_opt::<i32>();
        let names = names.ok_or_else(|| DataFusionError::Internal("dataset names are text".into()))?;
        for name in names.iter().flatten() {
            rows.push(snapshot.dataset_row(name).map_err(from_store)?);
        }
    }
    rows.sort_unstable();
    Ok(rows)
}

/// Breaks at a query within an expression.
struct HasQuery;

impl Visitor for HasQuery {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}
