//! Rows in the order that a query asks for, where the catalog alone knows it.
//!
//! A scan that reads arrays in sorted order needs no sort of tensors above it, and with a limit reads only the arrays
//! of the rows that win.

use crate::table::Table;
use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{SortColumn, lexsort_to_indices};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Column;
use std::sync::Arc;

/// The rows sorted by `order` over the projected columns, equal ones as they were; `None` where a key is not a
/// catalog column.
pub(crate) fn sorted(
    table: &Table,
    projection: &[usize],
    rows: &[u32],
    order: &[PhysicalSortExpr],
) -> Result<Option<Vec<u32>>> {
    let mut keys = Vec::with_capacity(order.len() + 1);
    for key in order {
        let Some(column) = key.expr.downcast_ref::<Column>() else { return Ok(None) };
        let Some(source) = projection.get(column.index()).map(|column| &table.sources[*column]) else {
            return Ok(None);
        };
        if !source.is_catalog() {
            return Ok(None);
        }
        keys.push(SortColumn { values: table.view.column_at(source, rows)?, options: Some(key.options) });
    }
    let position: ArrayRef = Arc::new(UInt32Array::from_iter_values((0u32..).take(rows.len())));
    keys.push(SortColumn { values: position, options: None });
    let indices = lexsort_to_indices(&keys, None)?;
    Ok(Some(indices.values().iter().map(|index| rows[*index as usize]).collect()))
}
