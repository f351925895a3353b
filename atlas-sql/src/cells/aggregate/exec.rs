//! Partial results of an aggregation, a row for each dataset, from the catalog.

use super::partial::{self, Facts, Partial, Wanted};
use crate::cells::boxes::Piece;
use crate::cells::exec::CellsScanExec;
use crate::cells::table::Column;
use crate::columns::{Source, scalars};
use crate::leaf::{self, leaf_methods};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use atlas_store::{DType, Scalar, Sum};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column as ColumnExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use std::fmt;
use std::sync::Arc;

/// An expression to group by, over columns of the catalog.
#[derive(Debug, Clone)]
pub(super) struct Group {
    sources: Vec<Source>,
    schema: SchemaRef,
    expression: Arc<dyn PhysicalExpr>,
}

impl Group {
    /// The expression over a scan's output; `None` where it needs a column that is not in the catalog.
    pub(super) fn try_new(scan: &CellsScanExec, expression: Arc<dyn PhysicalExpr>) -> Result<Option<Group>> {
        let mut indices: Vec<usize> = collect_columns(&expression).iter().map(ColumnExpr::index).collect();
        indices.sort_unstable();
        let sources = indices.iter().map(|index| scan.column_of(*index).and_then(Column::source));
        let Some(sources) = sources.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let schema = Arc::new(scan.schema().project(&indices)?);
        let own = expression.transform_up(|part| {
            let own = part.downcast_ref::<ColumnExpr>().and_then(|column| {
                let position = indices.iter().position(|index| *index == column.index())?;
                Some(Arc::new(ColumnExpr::new(column.name(), position)) as Arc<dyn PhysicalExpr>)
            });
            Ok(own.map_or_else(|| Transformed::no(part), Transformed::yes))
        })?;
        Ok(Some(Group { sources, schema, expression: own.data }))
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct StatisticsExec {
    /// The scan that is not needed.
    scan: Arc<CellsScanExec>,
    groups: Vec<Group>,
    wanted: Vec<Wanted>,
    /// The aggregates, as EXPLAIN shows them.
    names: Vec<String>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl StatisticsExec {
    /// The partial results of the scan's pieces, which are whole datasets, of the schema that the first stage has.
    pub(super) fn new(
        scan: Arc<CellsScanExec>,
        groups: Vec<Group>,
        wanted: Vec<Wanted>,
        names: Vec<String>,
        schema: SchemaRef,
    ) -> Self {
        let equivalence = EquivalenceProperties::new(Arc::clone(&schema));
        let partitioning = Partitioning::UnknownPartitioning(1);
        let properties =
            PlanProperties::new(equivalence, partitioning, EmissionType::Incremental, Boundedness::Bounded);
        StatisticsExec {
            scan,
            groups,
            wanted,
            names,
            schema,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn batch(&self, pieces: &[Piece]) -> Result<RecordBatch> {
        let view = &self.scan.table().view;
        let rows: Vec<u32> = pieces.iter().map(|piece| piece.row).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for group in &self.groups {
            let values = group.sources.iter().map(|source| view.column_at(source, &rows)).collect::<Result<_>>()?;
            let batch = RecordBatch::try_new_with_options(Arc::clone(&group.schema), values, &options)?;
            columns.push(group.expression.evaluate(&batch)?.into_array(rows.len())?);
        }
        let needed = partial::columns(&self.wanted);
        let table = self.scan.table();
        let facts = pieces.iter().map(|piece| Facts::of(table, &needed, piece)).collect::<Result<Vec<_>>>()?;
        for wanted in &self.wanted {
            let fields = &self.schema.fields()[columns.len()..];
            let partials = pieces.iter().zip(&facts).map(|(piece, facts)| facts.partial(wanted, piece));
            let changed = || DataFusionError::Internal("the statistics of a snapshot have changed".into());
            let partials = partials.collect::<Option<Vec<_>>>().ok_or_else(changed)?;
            columns.extend(self.columns_of(wanted, partials, &rows, fields)?);
        }
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// The columns of one aggregate.
    fn columns_of(
        &self,
        wanted: &Wanted,
        partials: Vec<Partial>,
        rows: &[u32],
        fields: &[FieldRef],
    ) -> Result<Vec<ArrayRef>> {
        let table = self.scan.table();
        let field = |at: usize| -> Result<&Field> {
            let missing = || DataFusionError::Internal("a partial aggregate lacks a column of its state".into());
            fields.get(at).map(AsRef::as_ref).ok_or_else(missing)
        };
        if let Wanted::Value(source) = wanted {
            return Ok(vec![cast(&table.view.column_at(source, rows)?, field(0)?.data_type())?]);
        }
        let counts = |to: &DataType| -> Result<ArrayRef> {
            let counts = partials.iter().map(|partial| match partial {
                Partial::Count(count) => Some(*count),
                // To an average, a count that is not NULL is of a group that has a value.
                Partial::Avg(count, _) => (*count > 0).then_some(*count),
                Partial::Bound(_) | Partial::Sum(_) => None,
            });
            let counts: ArrayRef = Arc::new(counts.collect::<UInt64Array>());
            Ok(cast(&counts, to)?)
        };
        let sums = |to: &DataType| -> Result<ArrayRef> {
            let sum = |partial: &Partial| match partial {
                Partial::Sum(sum) | Partial::Avg(_, sum) => *sum,
                Partial::Count(_) | Partial::Bound(_) => None,
            };
            let sums: ArrayRef = if *to == DataType::Float64 {
                Arc::new(partials.iter().map(|partial| sum(partial).map(Sum::as_f64)).collect::<Float64Array>())
            } else {
                let integer = |partial: &Partial| match sum(partial) {
                    Some(Sum::Int(sum)) => Some(sum),
                    _ => None,
                };
                Arc::new(partials.iter().map(integer).collect::<Int64Array>())
            };
            Ok(cast(&sums, to)?)
        };
        Ok(match wanted {
            Wanted::Rows | Wanted::Count(_) => vec![counts(field(0)?.data_type())?],
            Wanted::Sum(..) => vec![sums(field(0)?.data_type())?],
            Wanted::Avg(_) => vec![counts(field(0)?.data_type())?, sums(field(1)?.data_type())?],
            Wanted::Value(_) => Vec::new(),
            Wanted::Min(column) | Wanted::Max(column) => {
                let dtype = column.family().map_or(DType::Int64, |family| table.view.families[family].dtype);
                let bounds: Vec<Option<Scalar>> = partials
                    .into_iter()
                    .map(|partial| match partial {
                        Partial::Bound(bound) => bound,
                        _ => None,
                    })
                    .collect();
                vec![cast(&scalars(dtype, &bounds)?, field(0)?.data_type())?]
            }
        })
    }
}

impl DisplayAs for StatisticsExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = leaf::begin("AtlasStatisticsExec", format, f)?;
        write!(f, "table={}{separator}aggregates=[{}]", self.scan.table().full_name(), self.names.join(", "))?;
        self.scan.write_filters(separator, f)?;
        f.write_str(separator)?;
        match self.scan.considered() {
            Some(cost) => write!(f, "{cost}"),
            None => f.write_str("cost=unknown"),
        }
    }
}

impl ExecutionPlan for StatisticsExec {
    leaf_methods!("AtlasStatisticsExec");

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let exec = self.clone();
        let output = BaselineMetrics::new(&self.metrics, partition);
        let size = context.session_config().batch_size().max(1);
        let count = self.scan.pieces().len().div_ceil(size);
        let batches = (0..count).map(move |at| {
            let pieces = exec.scan.pieces();
            let compute = output.elapsed_compute().clone();
            let _timer = compute.timer();
            Ok(exec.batch(&pieces[at * size..pieces.len().min((at + 1) * size)])?.record_output(&output))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(batches))))
    }
}
