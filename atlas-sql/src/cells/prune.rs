//! Which cells of which datasets can satisfy the predicates.

use super::boxes::Piece;
use super::table::CellsTable;
use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One predicate over some of the columns.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    /// The columns that it needs, ascending; its own schema has them in this order.
    pub(crate) columns: Vec<usize>,
    pub(crate) expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// As EXPLAIN shows it.
    pub(crate) text: String,
}

impl Predicate {
    fn new(session: &dyn Session, table: &CellsTable, filter: &Expr) -> Result<Self> {
        let columns: Vec<usize> = columns_of(table, filter)?.into_iter().collect();
        let schema = Arc::new(table.schema.project(&columns)?);
        let expr = session.create_physical_expr(filter.clone(), &DFSchema::try_from(Arc::clone(&schema))?)?;
        Ok(Predicate { columns, expr, schema, text: filter.human_display().to_string() })
    }

    /// Where it is true, given its columns.
    pub(crate) fn evaluate(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<BooleanArray> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let satisfied = self.expr.evaluate(&batch)?.into_array(rows)?;
        satisfied.as_boolean_opt().cloned().ok_or_else(|| {
            DataFusionError::Plan(format!("the predicate {} is {}, not a boolean", self.text, satisfied.data_type()))
        })
    }
}

/// The table's columns that an expression mentions.
fn columns_of(table: &CellsTable, expr: &Expr) -> Result<BTreeSet<usize>> {
    let mut columns = BTreeSet::new();
    expr.apply(|expr| {
        if let Expr::Column(column) = expr {
            columns.insert(table.schema.index_of(&column.name)?);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(columns)
}

/// Whether the catalog decides a predicate.
pub(crate) fn is_catalog(table: &CellsTable, filter: &Expr) -> Result<bool> {
    Ok(columns_of(table, filter)?.into_iter().all(|column| table.columns[column].source().is_some()))
}

/// The predicates of a scan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filters {
    /// Decided on the catalog.
    pub(crate) catalog: Vec<Predicate>,
    /// Over cells, coordinates or indices: they prune, and run again above the scan.
    pub(crate) pruning: Vec<Predicate>,
}

impl Filters {
    pub(crate) fn new(session: &dyn Session, table: &CellsTable, filters: &[Expr]) -> Result<Self> {
        let mut all = Filters::default();
        for filter in filters {
            let predicate = Predicate::new(session, table, filter)?;
            if is_catalog(table, filter)? { &mut all.catalog } else { &mut all.pruning }.push(predicate);
        }
        Ok(all)
    }
}

/// What is left of a table.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// By dataset, then by place; none is empty.
    pub(crate) pieces: Vec<Piece>,
    /// What could not be pruned, and why.
    pub(crate) notes: Vec<String>,
}

/// The cells that can satisfy the predicates.
pub(crate) fn prune(table: &CellsTable, filters: &Filters) -> Result<Left> {
    let rows = catalog_rows(table, &filters.catalog)?;
    let mut left = Left::default();
    for row in rows {
        if let Some(region) = table.layout.grid(row) {
            left.pieces.push(Piece { row, region: Arc::clone(region) });
        }
    }
    left.pieces.retain(|piece| !piece.region.is_empty());
    Ok(left)
}

/// The datasets that satisfy what the catalog decides.
fn catalog_rows(table: &CellsTable, predicates: &[Predicate]) -> Result<Vec<u32>> {
    let mut rows = table.layout.rows().to_vec();
    for predicate in predicates {
        let sources = predicate.columns.iter().filter_map(|column| table.columns[*column].source());
        let columns = sources.map(|source| table.view.column_at(&source, &rows)).collect::<Result<Vec<_>>>()?;
        let satisfied = predicate.evaluate(columns, rows.len())?;
        rows = rows
            .into_iter()
            .zip(&satisfied)
            .filter_map(|(row, satisfied)| (satisfied == Some(true)).then_some(row))
            .collect();
    }
    Ok(rows)
}
