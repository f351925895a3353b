//! Aggregates over a table of cells that the catalog answers.
//!
//! What `count`, `min`, `max`, `sum` and `avg` need to know of one dataset's cells is in its statistics. Where a query
//! groups by nothing, or by what is the same for all cells of a dataset, the first stage of its aggregation is replaced
//! by a row of such partial results for each dataset ([`exec`]); the second stage stays as it is. Datasets of which the
//! statistics do not tell exactly what is wanted ([`partial`]) are read, and aggregated as before.

mod exec;
mod partial;

use super::boxes::Piece;
use super::exec::CellsScanExec;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use exec::{Group, StatisticsExec};
use partial::{Facts, Wanted};
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(crate) struct AggregateFromStatistics;

impl AggregateFromStatistics {
    /// The rule that it follows: before it, aggregations are two stages next to each other; after it come those that
    /// distribute the rows between them.
    pub(crate) const AFTER: &str = "aggregate_statistics";
}

impl PhysicalOptimizerRule for AggregateFromStatistics {
    fn name(&self) -> &str {
        "atlas_aggregate_from_statistics"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|plan| {
            let answered = plan.downcast_ref::<AggregateExec>().map(answer).transpose()?.flatten();
            Ok(answered.map_or_else(|| Transformed::no(plan), Transformed::yes))
        })?;
        Ok(rewritten.data)
    }
}

/// The first stage of an aggregation, with what the catalog answers instead; `None` where that is nothing.
fn answer(stage: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let is_plain = *stage.mode() == AggregateMode::Partial
        && !stage.group_expr().has_grouping_set()
        && stage.filter_expr().iter().all(Option::is_none);
    let mut projections = Vec::new();
    let mut input = stage.input();
    while let Some(projection) = input.downcast_ref::<ProjectionExec>() {
        projections.push(projection);
        input = projection.input();
    }
    let Some(scan) = input.downcast_ref::<CellsScanExec>() else { return Ok(None) };
    if !is_plain || !scan.gives_whole_datasets() {
        return Ok(None);
    }
    let resolve = |expression: &Arc<dyn PhysicalExpr>| {
        projections.iter().try_fold(Arc::clone(expression), |expression, projection| through(expression, projection))
    };
    let mut groups = Vec::new();
    for (expression, _) in stage.group_expr().expr() {
        let expression = resolve(expression)?;
        if is_volatile(&expression) {
            return Ok(None);
        }
        let Some(group) = Group::try_new(scan, expression)? else { return Ok(None) };
        groups.push(group);
    }
    let mut wanted = Vec::new();
    for aggregate in stage.aggr_expr() {
        let arguments = aggregate.expressions().iter().map(resolve).collect::<Result<Vec<_>>>()?;
        let Some(own) = Wanted::of(scan, aggregate, &arguments) else { return Ok(None) };
        wanted.push(own);
    }
    let (known, unknown) = split(scan, &wanted)?;
    if known.is_empty() && !unknown.is_empty() {
        return Ok(None);
    }
    let names = stage.aggr_expr().iter().map(|aggregate| aggregate.name().to_string()).collect();
    let answered = StatisticsExec::new(Arc::new(scan.of_pieces(known)?), groups, wanted, names, stage.schema());
    let mut inputs: Vec<Arc<dyn ExecutionPlan>> = vec![Arc::new(answered)];
    if !unknown.is_empty() {
        let mut rest: Arc<dyn ExecutionPlan> = Arc::new(scan.of_pieces(unknown)?);
        for projection in projections.iter().rev() {
            rest = Arc::new(ProjectionExec::try_new(projection.expr().to_vec(), rest)?);
        }
        let rest = AggregateExec::try_new(
            AggregateMode::Partial,
            stage.group_expr().clone(),
            stage.aggr_expr().to_vec(),
            stage.filter_expr().to_vec(),
            rest,
            stage.input_schema(),
        )?;
        inputs.push(Arc::new(rest.with_limit_options(stage.limit_options())));
    }
    UnionExec::try_new(inputs).map(Some)
}

/// An expression over what a projection gives, over the projection's input.
fn through(expression: Arc<dyn PhysicalExpr>, projection: &ProjectionExec) -> Result<Arc<dyn PhysicalExpr>> {
    let replaced = expression.transform_up(|part| {
        let own = part.downcast_ref::<Column>().and_then(|column| projection.expr().get(column.index()));
        let own = own.map(|own| Arc::clone(&own.expr));
        Ok(own.map_or_else(|| Transformed::no(part), Transformed::yes))
    })?;
    Ok(replaced.data)
}

/// The datasets that a scan gives: those whose statistics tell all that is wanted, and the others.
fn split(scan: &CellsScanExec, wanted: &[Wanted]) -> Result<(Vec<Piece>, Vec<Piece>)> {
    let table = scan.table();
    let columns = partial::columns(wanted);
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let mut last = None;
    for row in scan.pieces().iter().map(|piece| piece.row) {
        // A large dataset is in several pieces.
        if last.replace(row) == Some(row) {
            continue;
        }
        let Some(region) = table.layout.grid(row) else { continue };
        let piece = Piece { row, region: Arc::clone(region) };
        let facts = Facts::of(table, &columns, &piece)?;
        let tells_all = wanted.iter().all(|wanted| facts.partial(wanted, &piece).is_some());
        if tells_all { &mut known } else { &mut unknown }.push(piece);
    }
    Ok((known, unknown))
}
