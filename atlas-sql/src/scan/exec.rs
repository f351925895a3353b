//! The physical plan of a scan.

use super::cost::{self, Cost};
use super::filter::{self, Predicate};
use super::read::Touched;
use super::{order, read, stream};
use crate::leaf::{self, leaf_methods};
use crate::table::{Table, TableKind};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SortOrderPushdownResult,
};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Rows of catalog columns that are worth a partition of their own.
const CATALOG_ROWS_PER_PARTITION: usize = 65_536;

/// A scan of a table: the rows that are left after the predicates over the catalog, in partitions.
#[derive(Debug)]
pub(crate) struct AtlasScanExec {
    table: Arc<Table>,
    projection: Vec<usize>,
    schema: SchemaRef,
    catalog: Option<Predicate>,
    cells: Option<Predicate>,
    rows: Arc<[u32]>,
    /// Rows to give at most, where a predicate over cells is still to choose them.
    limit: Option<usize>,
    partitions: Vec<Range<usize>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    cost: OnceLock<Option<Cost>>,
}

impl AtlasScanExec {
    /// Plans a scan: evaluates the predicates over the catalog, and cuts the rows that are left into partitions.
    pub(crate) fn plan(
        session: &dyn Session,
        table: Arc<Table>,
        projection: Vec<usize>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Self> {
        let (catalog, cells) = filter::split(session, &table, filters)?;
        let mut rows: Vec<u32> = match &catalog {
            Some(predicate) => predicate.rows(&table)?,
            None => (0u32..).take(table.row_count()).collect(),
        };
        if let (Some(limit), None) = (limit, &cells) {
            rows.truncate(limit);
        }
        let schema = Arc::new(TableProvider::schema(table.as_ref()).project(&projection)?);
        let reads = cells.is_some() || projection.iter().any(|column| !table.sources[*column].is_catalog());
        let target = session.config().target_partitions().max(1);
        // A limit that is reached while reading stops the scan; in several partitions it would stop each.
        let limit = limit.filter(|_| cells.is_some());
        let count = match limit {
            Some(_) => 1,
            None if reads => read::batches(&table, &projection, &rows, target)?,
            None => rows.len().div_ceil(CATALOG_ROWS_PER_PARTITION).clamp(1, target),
        };
        let partitions: Vec<_> =
            (0..count).map(|part| part * rows.len() / count..(part + 1) * rows.len() / count).collect();
        let properties = properties(EquivalenceProperties::new(Arc::clone(&schema)), count);
        Ok(AtlasScanExec {
            table,
            projection,
            schema,
            catalog,
            cells,
            rows: rows.into(),
            limit,
            partitions,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
            cost: OnceLock::new(),
        })
    }

    /// The same scan of these rows, in this order and in one partition.
    fn in_order(&self, rows: Vec<u32>, limit: Option<usize>, equivalence: EquivalenceProperties) -> Self {
        AtlasScanExec {
            table: Arc::clone(&self.table),
            projection: self.projection.clone(),
            schema: Arc::clone(&self.schema),
            catalog: self.catalog.clone(),
            cells: self.cells.clone(),
            partitions: std::iter::once(0..rows.len()).collect(),
            rows: rows.into(),
            limit,
            properties: properties(equivalence, 1),
            metrics: ExecutionPlanMetricsSet::new(),
            cost: OnceLock::new(),
        }
    }

    pub(crate) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    pub(crate) fn projection(&self) -> &[usize] {
        &self.projection
    }

    /// The rows that are left, in the table's order.
    pub(crate) fn rows(&self) -> &Arc<[u32]> {
        &self.rows
    }

    pub(crate) fn cell_predicate(&self) -> Option<&Predicate> {
        self.cells.as_ref()
    }

    pub(crate) fn limit(&self) -> Option<usize> {
        self.limit
    }

    pub(crate) fn metrics_set(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    /// What it will read at most.
    pub(crate) fn touched(&self) -> Result<Touched> {
        cost::of(self).map(|cost| cost.touched)
    }

    /// How many of the table's rows are left out before anything is read; none of a table whose rows are no datasets.
    pub(crate) fn rows_pruned(&self) -> usize {
        match self.table.kind {
            TableKind::Arrays => 0,
            TableKind::Datasets | TableKind::Catalog => self.table.row_count().saturating_sub(self.rows.len()),
        }
    }

    /// The columns that are made while scanning, each once.
    pub(crate) fn columns_touched(&self) -> Vec<usize> {
        let mut columns = self.projection.clone();
        columns.extend(self.cells.iter().flat_map(|predicate| &predicate.columns));
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The columns that chose the rows.
    pub(crate) fn columns_decided(&self) -> &[usize] {
        self.catalog.as_ref().map_or(&[], |predicate| &predicate.columns)
    }
}

fn properties(equivalence: EquivalenceProperties, partitions: usize) -> Arc<PlanProperties> {
    let partitioning = Partitioning::UnknownPartitioning(partitions);
    Arc::new(PlanProperties::new(equivalence, partitioning, EmissionType::Incremental, Boundedness::Bounded))
}

impl DisplayAs for AtlasScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = leaf::begin("AtlasScanExec", format, f)?;
        let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let columns = columns.join(", ");
        write!(f, "table={}.{}{separator}columns=[{columns}]", self.table.store, self.table.kind.name())?;
        if let Some(predicate) = &self.catalog {
            write!(f, "{separator}filter=[{}]", predicate.text)?;
        }
        if let Some(predicate) = &self.cells {
            write!(f, "{separator}cell_filter=[{}] (reads cells: prunes nothing before)", predicate.text)?;
        }
        if let Some(limit) = self.limit {
            write!(f, "{separator}limit={limit}")?;
        }
        f.write_str(separator)?;
        match self.cost.get_or_init(|| cost::of(self).ok()) {
            Some(cost) => cost.write(self.table.kind, f),
            None => f.write_str("cost=unknown"),
        }
    }
}

impl ExecutionPlan for AtlasScanExec {
    leaf_methods!("AtlasScanExec");

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let range = leaf::partition(&self.partitions, partition)?;
        Ok(stream::open(self, partition, range, context.session_config().batch_size()))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let rows = match partition {
            Some(partition) => self.partitions.get(partition).map_or(0, ExactSizeIterator::len),
            None => self.rows.len(),
        };
        let num_rows = if self.cells.is_some() { Precision::Inexact(rows) } else { Precision::Exact(rows) };
        Ok(Arc::new(Statistics { num_rows, ..Statistics::new_unknown(&self.schema) }))
    }

    /// Sorts the rows where the catalog knows the order and arrays are read; sorting scalars is left to the plan above.
    fn try_pushdown_sort(&self, order: &[PhysicalSortExpr]) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        if self.columns_touched().iter().all(|column| self.table.sources[*column].is_catalog()) {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        Ok(match order::sorted(&self.table, &self.projection, &self.rows, order)? {
            Some(rows) => {
                let schema = Arc::clone(&self.schema);
                let equivalence = EquivalenceProperties::new_with_orderings(schema, [order.to_vec()]);
                SortOrderPushdownResult::Exact { inner: Arc::new(self.in_order(rows, self.limit, equivalence)) }
            }
            None => SortOrderPushdownResult::Unsupported,
        })
    }

    /// A limit on the one partition of a scan in order.
    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let limit = limit.filter(|_| self.partitions.len() == 1)?;
        let mut rows = self.rows.to_vec();
        let limit = match &self.cells {
            Some(_) => Some(self.limit.map_or(limit, |own| own.min(limit))),
            None => {
                rows.truncate(limit);
                None
            }
        };
        let equivalence = self.properties.equivalence_properties().clone();
        Some(Arc::new(self.in_order(rows, limit, equivalence)))
    }
}
