//! Predicates: those over catalog columns choose the rows before anything is read, the others run while reading.

use crate::table::Table;
use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rows that a predicate is evaluated on at once, so that what its parts give stays in the processor's caches.
const EVALUATED_ROWS: usize = 1 << 14;

/// A predicate over some of a table's columns.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    /// The columns it needs, as positions in the table; its own schema has them in this order.
    pub(crate) columns: Vec<usize>,
    pub(crate) expr: Arc<dyn PhysicalExpr>,
    pub(crate) schema: Arc<Schema>,
    /// As EXPLAIN shows it.
    pub(crate) text: String,
}

/// Whether a table takes this predicate: all that its scan can evaluate is exact.
pub(crate) fn pushdown(filter: &Expr) -> Result<TableProviderFilterPushDown> {
    Ok(if can_evaluate(filter)? {
        TableProviderFilterPushDown::Exact
    } else {
        TableProviderFilterPushDown::Unsupported
    })
}

/// Whether a scan can evaluate this: anything without a subquery, and with the same value each time.
pub(crate) fn can_evaluate(filter: &Expr) -> Result<bool> {
    let subquery = filter.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::ScalarSubquery(_)
                | Expr::OuterReferenceColumn(..)
        ))
    })?;
    Ok(!subquery && !filter.is_volatile())
}

/// The predicates over the catalog and those over cells, each as one.
pub(crate) fn split(
    session: &dyn Session,
    table: &Table,
    filters: &[Expr],
) -> Result<(Option<Predicate>, Option<Predicate>)> {
    let schema = datafusion::catalog::TableProvider::schema(table);
    let (mut catalog, mut cells) = (Vec::new(), Vec::new());
    for filter in filters {
        let columns = columns_of(&schema, filter)?;
        let all_in_catalog = columns.iter().all(|column| table.sources[*column].is_catalog());
        if all_in_catalog { &mut catalog } else { &mut cells }.push(filter.clone());
    }
    Ok((Predicate::new(session, &schema, catalog)?, Predicate::new(session, &schema, cells)?))
}

/// The columns of a table of this schema that an expression mentions.
pub(crate) fn columns_of(schema: &Schema, expr: &Expr) -> Result<BTreeSet<usize>> {
    let mut columns = BTreeSet::new();
    expr.apply(|expr| {
        if let Expr::Column(column) = expr {
            columns.insert(schema.index_of(&column.name)?);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(columns)
}

impl Predicate {
    /// All of these filters over a table of this schema; `None` where there are none.
    pub(crate) fn new(session: &dyn Session, schema: &Schema, filters: Vec<Expr>) -> Result<Option<Predicate>> {
        let text = filters.iter().map(|filter| filter.human_display().to_string()).collect::<Vec<_>>().join(" AND ");
        let Some(filter) = conjunction(filters) else { return Ok(None) };
        let columns: Vec<usize> = columns_of(schema, &filter)?.into_iter().collect();
        let schema = Arc::new(schema.project(&columns)?);
        let expr = session.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(&schema))?)?;
        Ok(Some(Predicate { columns, expr, schema, text }))
    }

    /// Which rows satisfy the predicate, given its columns.
    pub(crate) fn evaluate(&self, columns: Vec<arrow::array::ArrayRef>, rows: usize) -> Result<BooleanArray> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let satisfied = self.expr.evaluate(&batch)?.into_array(rows)?;
        let satisfied = satisfied.as_boolean_opt().ok_or_else(|| {
            DataFusionError::Plan(format!("the predicate {} is {}, not a boolean", self.text, satisfied.data_type()))
        })?;
        Ok(satisfied.clone())
    }

    /// The rows of the table that satisfy a predicate over the catalog.
    pub(crate) fn rows(&self, table: &Table) -> Result<Vec<u32>> {
        let columns =
            self.columns.iter().map(|column| table.view.column(&table.sources[*column])).collect::<Result<Vec<_>>>()?;
        let count = table.row_count();
        let mut rows = Vec::new();
        for start in (0..count).step_by(EVALUATED_ROWS) {
            let length = EVALUATED_ROWS.min(count - start);
            let own = columns.iter().map(|column| column.slice(start, length)).collect();
            let satisfied = self.evaluate(own, length)?;
            let satisfied = match satisfied.nulls() {
                Some(valid) => satisfied.values() & valid.inner(),
                None => satisfied.values().clone(),
            };
            // A store has fewer datasets than a u32 counts.
            rows.extend(satisfied.set_indices().filter_map(|at| u32::try_from(start + at).ok()));
        }
        Ok(rows)
    }
}
