//! The physical plan of a listing.

use super::Listing;
use super::rows::{self, Walk};
use crate::columns::Source;
use crate::leaf::{self, leaf_methods};
use crate::scan::{Predicate, columns_of};
use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Pairs that are worth a partition of their own.
const PAIRS_PER_PARTITION: usize = 1 << 14;

/// A walk over the pairs that are left after the predicates over datasets and parts.
#[derive(Debug)]
pub(crate) struct AtlasListExec {
    store: String,
    walk: Arc<Walk>,
    /// Pairs in all, and left.
    pairs: (usize, usize),
    /// The predicates that were decided while planning, as EXPLAIN shows them.
    decided: Vec<String>,
    /// The pairs of each partition, among those that are left.
    partitions: Vec<Range<usize>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl AtlasListExec {
    /// Plans a listing: decides which datasets and which parts it is of.
    pub(super) fn plan(
        session: &dyn Session,
        store: &str,
        listing: Arc<dyn Listing>,
        projection: Vec<usize>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Self> {
        let decided = 1 + listing.part_columns();
        let schema = Arc::clone(listing.schema());
        let (mut of_datasets, mut of_parts, mut of_pairs, mut of_rows) = (vec![], vec![], vec![], vec![]);
        for filter in filters {
            let columns = columns_of(&schema, filter)?;
            let class = if columns.iter().any(|column| *column >= decided) {
                &mut of_rows
            } else if columns.iter().all(|column| *column == 0) {
                &mut of_datasets
            } else if !columns.contains(&0) {
                &mut of_parts
            } else {
                &mut of_pairs
            };
            class.push(filter.clone());
        }
        let predicate = |filters| Predicate::new(session, &schema, filters);
        let mut texts = Vec::new();
        let datasets = match predicate(of_datasets)? {
            Some(predicate) => {
                texts.push(predicate.text.clone());
                let count = listing.view().snapshot.dataset_count();
                let names = predicate.columns.iter().map(|_| listing.view().column(&Source::Dataset));
                Some(chosen(&predicate, names.collect::<Result<_>>()?, count)?)
            }
            None => None,
        };
        let part_columns = (1..decided).map(|column| listing.part_column(column)).collect::<Result<Vec<ArrayRef>>>()?;
        let parts = match predicate(of_parts)? {
            Some(predicate) => {
                texts.push(predicate.text.clone());
                let columns = predicate.columns.iter().map(|column| Arc::clone(&part_columns[*column - 1]));
                chosen(&predicate, columns.collect(), listing.part_count())?
            }
            None => (0u32..).take(listing.part_count()).collect(),
        };
        let mut all = 0;
        for part in (0u32..).take(listing.part_count()) {
            all += listing.datasets(part)?.len();
        }
        let walk = Walk {
            schema: Arc::new(schema.project(&projection)?),
            projection,
            of_pairs: predicate(of_pairs)?,
            of_rows: predicate(of_rows)?,
            limit: limit.unwrap_or(usize::MAX),
            listing,
            datasets,
            part_columns,
            parts,
        };
        let left = walk.pair_count()?;
        // A limit that is reached while listing stops the walk; in several partitions it would stop each.
        let count = match limit {
            Some(_) => 1,
            None => (left / PAIRS_PER_PARTITION).clamp(1, session.config().target_partitions().max(1)),
        };
        let partitions: Vec<_> = (0..count).map(|part| part * left / count..(part + 1) * left / count).collect();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&walk.schema)),
            Partitioning::UnknownPartitioning(count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(AtlasListExec {
            store: store.to_string(),
            walk: Arc::new(walk),
            pairs: (all, left),
            decided: texts,
            partitions,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    fn schema_of(&self) -> &SchemaRef {
        &self.walk.schema
    }
}

/// The positions that satisfy a predicate over these columns.
fn chosen(predicate: &Predicate, columns: Vec<ArrayRef>, count: usize) -> Result<Vec<u32>> {
    let satisfied = predicate.evaluate(columns, count)?;
    Ok((0u32..).zip(&satisfied).filter_map(|(at, satisfied)| (satisfied == Some(true)).then_some(at)).collect())
}

impl DisplayAs for AtlasListExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = leaf::begin("AtlasListExec", format, f)?;
        let walk = &self.walk;
        let columns: Vec<&str> = self.schema_of().fields().iter().map(|field| field.name().as_str()).collect();
        let columns = columns.join(", ");
        write!(f, "table={}.{}{separator}columns=[{columns}]", self.store, walk.listing.name())?;
        if !self.decided.is_empty() {
            write!(f, "{separator}filter=[{}]", self.decided.join(" AND "))?;
        }
        if let Some(predicate) = &walk.of_pairs {
            write!(f, "{separator}pair_filter=[{}]", predicate.text)?;
        }
        if let Some(predicate) = &walk.of_rows {
            write!(f, "{separator}row_filter=[{}]", predicate.text)?;
        }
        if walk.limit != usize::MAX {
            write!(f, "{separator}limit={}", walk.limit)?;
        }
        let bound = if walk.of_pairs.is_some() { "≤" } else { "" };
        write!(f, "{separator}{}={}→{bound}{}", walk.listing.unit(), self.pairs.0, self.pairs.1)
    }
}

impl ExecutionPlan for AtlasListExec {
    leaf_methods!("AtlasListExec");

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let pairs = leaf::partition(&self.partitions, partition)?;
        Ok(rows::open(&self.walk, partition, pairs, &self.metrics, context.session_config().batch_size()))
    }

    /// How many attributes there are is known to the catalog; how many chunks were written is not.
    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let walk = &self.walk;
        let pairs = match partition {
            Some(partition) => self.partitions.get(partition).map_or(0, ExactSizeIterator::len),
            None => self.pairs.1,
        };
        let is_exact = walk.listing.is_one_to_one() && walk.of_pairs.is_none() && walk.of_rows.is_none();
        let rows = pairs.min(walk.limit);
        let num_rows = if is_exact { Precision::Exact(rows) } else { Precision::Inexact(rows) };
        Ok(Arc::new(Statistics { num_rows, ..Statistics::new_unknown(self.schema_of()) }))
    }
}
