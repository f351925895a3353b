//! Which cells of which datasets can satisfy the predicates.

use super::boxes::Piece;
use super::table::CellsTable;
use super::tiles;
use super::zones::Zones;
use crate::scan::{Predicate, columns_of};
use arrow::datatypes::DataType;
use atlas_store::CancelToken;
use datafusion::catalog::Session;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Boxes whose statistics are compared at once.
pub(crate) const CONTAINERS: usize = 1 << 16;

/// A predicate that is to leave out what cannot satisfy it.
#[derive(Debug, Clone)]
pub(crate) struct Pruning {
    pub(crate) predicate: Predicate,
    /// Whether its casts keep the order of values.
    is_ordered: bool,
}

/// Whether the catalog decides a predicate.
pub(crate) fn is_catalog(table: &CellsTable, filter: &Expr) -> Result<bool> {
    Ok(columns_of(&table.schema, filter)?.into_iter().all(|column| table.columns[column].source().is_some()))
}

/// The predicates of a scan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filters {
    /// Decided on the catalog.
    pub(crate) catalog: Vec<Predicate>,
    /// Over cells, coordinates or indices: they prune, and run again above the scan.
    pub(crate) pruning: Vec<Pruning>,
}

impl Filters {
    pub(crate) fn new(session: &dyn Session, table: &CellsTable, filters: &[Expr]) -> Result<Self> {
        let mut all = Filters::default();
        for filter in filters {
            let Some(predicate) = Predicate::new(session, &table.schema, vec![filter.clone()])? else { continue };
            if is_catalog(table, filter)? {
                all.catalog.push(predicate);
            } else {
                all.pruning.push(Pruning { predicate, is_ordered: is_ordered(filter)? });
            }
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

/// The cells that can satisfy the predicates: datasets by the catalog, then by statistics and coordinates, then chunks
/// by zone maps.
///
/// # Cost
/// Reads the coordinates that a predicate is about, of the datasets that statistics leave; zone maps of the arrays that
/// a predicate is about.
pub(crate) fn prune(table: &CellsTable, filters: &Filters, cancel: &CancelToken) -> Result<Left> {
    let mut left = Left::default();
    for row in catalog_rows(table, &filters.catalog)? {
        if let Some(region) = table.layout.grid(row).filter(|region| !region.is_empty()) {
            left.pieces.push(Piece { row, region: Arc::clone(region) });
        }
    }
    let mut by_statistics = ByStatistics::default();
    let mut by_axis = Vec::new();
    for pruning in &filters.pruning {
        let predicate = &pruning.predicate;
        let axis = match predicate.columns.as_slice() {
            [column] => table.columns[*column].axis(),
            _ => None,
        };
        if !by_statistics.add(pruning) && axis.is_none() {
            left.notes.push(format!("{}: statistics cannot decide it", predicate.text));
        }
        by_axis.extend(axis.map(|axis| (axis, predicate)));
    }
    if filters.pruning.is_empty() {
        return Ok(left);
    }
    let mut kept = Vec::with_capacity(left.pieces.len());
    for pieces in left.pieces.chunks(CONTAINERS) {
        by_statistics.keep(table, pieces, false, &mut kept)?;
    }
    tiles::narrow(table, &by_statistics, &by_axis, kept, &mut left, cancel)?;
    Ok(left)
}

/// The predicates that statistics can decide.
#[derive(Debug, Default)]
pub(crate) struct ByStatistics {
    predicates: Vec<PruningPredicate>,
    /// The columns that they are about.
    pub(crate) columns: BTreeSet<usize>,
}

impl ByStatistics {
    /// Takes the predicate, if statistics can decide it.
    fn add(&mut self, Pruning { predicate, is_ordered }: &Pruning) -> bool {
        if !is_ordered {
            return false;
        }
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&predicate.schema));
        match builder.try_build(Arc::clone(&predicate.expr)) {
            Ok(pruning) if !pruning.always_true() => {
                self.predicates.push(pruning);
                self.columns.extend(&predicate.columns);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.predicates.is_empty()
    }

    /// Appends the pieces that can satisfy the predicates.
    pub(crate) fn keep(
        &self,
        table: &CellsTable,
        pieces: &[Piece],
        by_chunk: bool,
        into: &mut Vec<Piece>,
    ) -> Result<()> {
        if self.is_empty() {
            into.extend_from_slice(pieces);
            return Ok(());
        }
        let zones = Zones::new(table, self.columns.iter().copied(), pieces, by_chunk)?;
        let mut keep = vec![true; pieces.len()];
        for predicate in &self.predicates {
            // What fails here, such as a cast of a bound, can work for the cells, or is reported by the filter above.
            if let Ok(own) = predicate.prune(&zones) {
                keep.iter_mut().zip(own).for_each(|(keep, own)| *keep &= own);
            }
        }
        into.extend(pieces.iter().zip(keep).filter(|(_, keep)| *keep).map(|(piece, _)| piece.clone()));
        Ok(())
    }
}

/// Whether casts in an expression keep the order of values, so that bounds stay bounds; and whether its lists compare as
/// bounds do. DataFusion's `=` takes the two zeros of floats for one, its lists tell them apart: what is not in a list with
/// a zero can be the other zero.
fn is_ordered(filter: &Expr) -> Result<bool> {
    let breaks = |to: &DataType| {
        let keeps = to.is_numeric()
            || matches!(to, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
            || matches!(to, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
            || matches!(to, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
        !keeps
    };
    let unordered = filter.exists(|expr| {
        Ok(match expr {
            Expr::Cast(cast) => breaks(cast.field.data_type()),
            Expr::TryCast(cast) => breaks(cast.field.data_type()),
            Expr::InList(list) => list.negated && list.list.iter().any(is_float_zero),
            _ => false,
        })
    })?;
    Ok(!unordered)
}

fn is_float_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Float32(Some(value)), _) => *value == 0.0,
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => *value == 0.0,
        _ => false,
    }
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
