//! The physical plan of a scan of cells.

use super::boxes::{Piece, first_cells, split};
use super::cost::{self, Cost};
use super::prune::{self, Filters};
use super::stream;
use super::table::{CellsTable, Column};
use crate::leaf::{self, leaf_methods};
use crate::scan::Touched;
use arrow::datatypes::SchemaRef;
use atlas_store::CancelToken;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Cells that are worth a partition of their own.
const CELLS_PER_PARTITION: u64 = 1 << 17;

/// A scan of a table of cells: the boxes that are left after pruning, in partitions.
#[derive(Debug)]
pub(crate) struct CellsScanExec {
    table: Arc<CellsTable>,
    projection: Vec<usize>,
    schema: SchemaRef,
    filters: Filters,
    pieces: Arc<[Piece]>,
    notes: Vec<String>,
    /// Rows to give at most.
    limit: Option<usize>,
    /// Partitions that are worth having.
    target: usize,
    partitions: Vec<Range<usize>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    cost: OnceLock<Option<Cost>>,
}

impl CellsScanExec {
    /// Plans a scan: prunes, and deals what is left to partitions.
    pub(crate) fn plan(
        table: Arc<CellsTable>,
        projection: Vec<usize>,
        filters: Filters,
        limit: Option<usize>,
        target: usize,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let prune::Left { mut pieces, notes } = prune::prune(&table, &filters, cancel)?;
        let limit = limit.filter(|_| filters.pruning.is_empty());
        if let Some(limit) = limit {
            truncate(&mut pieces, limit as u64);
        }
        let schema = Arc::new(table.schema.project(&projection)?);
        let empty = CellsScanExec {
            properties: properties(&schema, 1),
            table,
            projection,
            schema,
            filters,
            pieces: Vec::new().into(),
            notes,
            limit,
            target,
            partitions: Vec::new(),
            metrics: ExecutionPlanMetricsSet::new(),
            cost: OnceLock::new(),
        };
        empty.of_pieces(pieces)
    }

    /// The same scan of these pieces, in partitions.
    pub(crate) fn of_pieces(&self, mut pieces: Vec<Piece>) -> Result<Self> {
        let cells = total(&pieces);
        // A limit that is reached while reading stops the scan; in several partitions it would stop each.
        let most = match self.limit {
            Some(_) => 1,
            None => (cells / CELLS_PER_PARTITION).clamp(1, self.target as u64),
        };
        if (pieces.len() as u64) < most {
            pieces = cut(&self.table, pieces, cells.div_ceil(most))?;
        }
        let partitions = deal(&pieces, cells, most);
        Ok(CellsScanExec {
            table: Arc::clone(&self.table),
            projection: self.projection.clone(),
            schema: Arc::clone(&self.schema),
            filters: self.filters.clone(),
            notes: self.notes.clone(),
            limit: self.limit,
            target: self.target,
            properties: properties(&self.schema, partitions.len()),
            pieces: pieces.into(),
            partitions,
            metrics: ExecutionPlanMetricsSet::new(),
            cost: OnceLock::new(),
        })
    }

    pub(crate) fn table(&self) -> &Arc<CellsTable> {
        &self.table
    }

    pub(crate) fn projection(&self) -> &[usize] {
        &self.projection
    }

    /// What is left to read, by dataset.
    pub(crate) fn pieces(&self) -> &Arc<[Piece]> {
        &self.pieces
    }

    pub(crate) fn limit(&self) -> Option<usize> {
        self.limit
    }

    pub(crate) fn metrics_set(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    /// The columns that the query is about.
    pub(crate) fn columns_touched(&self) -> impl Iterator<Item = Column> {
        self.projection.iter().map(|column| self.table.columns[*column])
    }

    /// What a column of the output is made of.
    pub(crate) fn column_of(&self, index: usize) -> Option<Column> {
        self.projection.get(index).map(|column| self.table.columns[*column])
    }

    /// Whether it gives all cells of each dataset that is left.
    pub(crate) fn gives_whole_datasets(&self) -> bool {
        self.filters.pruning.is_empty() && self.limit.is_none()
    }

    /// What it will read.
    pub(crate) fn touched(&self) -> Result<Touched> {
        cost::of(self).map(|cost| cost.touched)
    }

    /// How many of the table's datasets are left out before anything is read.
    pub(crate) fn datasets_pruned(&self) -> usize {
        // Pieces of one dataset follow one another.
        let left = self.pieces.chunk_by(|one, next| one.row == next.row).count();
        self.table.layout.rows().len().saturating_sub(left)
    }

    /// What is considered and left, where nothing of it is read.
    pub(crate) fn considered(&self) -> Option<Cost> {
        cost::considered(self).ok()
    }

    /// The predicates, as EXPLAIN shows them, each kind after a separator.
    pub(crate) fn write_filters(&self, separator: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let catalog = self.filters.catalog.iter().map(|predicate| predicate.text.as_str());
        let pruning = self.filters.pruning.iter().map(|pruning| pruning.predicate.text.as_str());
        for (name, texts) in [("filter", catalog.collect::<Vec<_>>()), ("prune", pruning.collect())] {
            if !texts.is_empty() {
                write!(f, "{separator}{name}=[{}]", texts.join(" AND "))?;
            }
        }
        Ok(())
    }
}

fn properties(schema: &SchemaRef, partitions: usize) -> Arc<PlanProperties> {
    let equivalence = EquivalenceProperties::new(Arc::clone(schema));
    let partitioning = Partitioning::UnknownPartitioning(partitions);
    Arc::new(PlanProperties::new(equivalence, partitioning, EmissionType::Incremental, Boundedness::Bounded))
}

fn total(pieces: &[Piece]) -> u64 {
    pieces.iter().map(Piece::cells).fold(0, u64::saturating_add)
}

/// Leaves what holds the first `limit` cells.
fn truncate(pieces: &mut Vec<Piece>, limit: u64) {
    let mut left = limit;
    let mut keep = 0;
    for piece in pieces.iter_mut() {
        if left == 0 {
            break;
        }
        if piece.cells() > left {
            piece.region = Arc::new(first_cells(&piece.region, left));
        }
        left = left.saturating_sub(piece.cells());
        keep += 1;
    }
    pieces.truncate(keep);
}

/// Cuts what has more than `most` cells, along chunks.
fn cut(table: &CellsTable, pieces: Vec<Piece>, most: u64) -> Result<Vec<Piece>> {
    let mut parts = Vec::new();
    for piece in pieces {
        let mut tile = piece.region.shape().to_vec();
        for family in &table.group.families {
            if let Some(own) = table.tile(Column::Array(*family), piece.row)? {
                tile = own.to_vec();
                break;
            }
        }
        let mut left = Some(Arc::clone(&piece.region));
        while let Some(region) = left {
            // A chunk is the least that is worth a read.
            let (head, rest) = split(&region, &tile, most.max(tile.iter().fold(1u64, |a, b| a.saturating_mul(*b))));
            parts.push(Piece { row: piece.row, region: Arc::new(head) });
            left = rest.map(Arc::new);
        }
    }
    Ok(parts)
}

/// Ranges of pieces with about as many cells each, at least one range.
fn deal(pieces: &[Piece], cells: u64, count: u64) -> Vec<Range<usize>> {
    let share = cells.div_ceil(count).max(1);
    let mut ranges = Vec::new();
    let (mut start, mut own) = (0, 0u64);
    for (at, piece) in pieces.iter().enumerate() {
        own = own.saturating_add(piece.cells());
        if own >= share {
            ranges.push(start..at + 1);
            (start, own) = (at + 1, 0);
        }
    }
    if start < pieces.len() || ranges.is_empty() {
        ranges.push(start..pieces.len());
    }
    ranges
}

impl DisplayAs for CellsScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = leaf::begin("AtlasCellsExec", format, f)?;
        let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "table={}{separator}columns=[{}]", self.table.full_name(), columns.join(", "))?;
        self.write_filters(separator, f)?;
        if !self.notes.is_empty() {
            write!(f, "{separator}not_pruned=[{}]", self.notes.join("; "))?;
        }
        if let Some(limit) = self.limit {
            write!(f, "{separator}limit={limit}")?;
        }
        f.write_str(separator)?;
        match self.cost.get_or_init(|| cost::of(self).ok()) {
            Some(cost) => write!(f, "{cost}"),
            None => f.write_str("cost=unknown"),
        }
    }
}

impl ExecutionPlan for CellsScanExec {
    leaf_methods!("AtlasCellsExec");

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let range = leaf::partition(&self.partitions, partition)?;
        Ok(stream::open(self, partition, range, context.session_config().batch_size()))
    }

    /// The rows that the scan gives, which is exact; a count needs no more.
    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let pieces = match partition {
            Some(partition) => self.partitions.get(partition).map_or(&[][..], |range| &self.pieces[range.clone()]),
            None => &self.pieces,
        };
        let rows = usize::try_from(total(pieces)).unwrap_or(usize::MAX).min(self.limit.unwrap_or(usize::MAX));
        let is_exact = rows < usize::MAX;
        let num_rows = if is_exact { Precision::Exact(rows) } else { Precision::Inexact(rows) };
        Ok(Arc::new(Statistics { num_rows, ..Statistics::new_unknown(&self.schema) }))
    }
}
