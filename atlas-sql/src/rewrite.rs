//! The analyzer rule that turns calls on array columns into columns of the scan.
//!
//! `slice("TEMP", [0, 0], [4, 8])` over a table's column becomes a plain column that the table is extended by. From
//! there on every rule of DataFusion treats it as a column: predicates on it are pushed through projections, joins and
//! subqueries to the scan, and arrays that nothing else uses are not read. A column is followed through projections,
//! filters, sorts, limits, windows, joins, unions and aliases. Where it cannot be followed (GROUP BY, DISTINCT) the
//! function computes on the value.

use crate::call::Call;
use crate::listing::ListingTable;
use crate::reject::reject;
use crate::table::Table;
use datafusion::catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{Projection, SubqueryAlias, TableScanBuilder, Union};
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::optimizer::AnalyzerRule;
use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(crate) struct ResolveArrayCalls;

impl ResolveArrayCalls {
    pub(crate) const NAME: &str = "atlas_resolve_array_calls";
}

impl AnalyzerRule for ResolveArrayCalls {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        if !check_snapshots(&plan)? {
            return reject(plan);
        }
        let mut names = Names::new(&plan)?;
        let plan = plan.transform_up_with_subqueries(|plan| rewrite(plan, &mut names))?.data;
        reject(plan)
    }
}

/// Names for columns that are passed up through projections.
struct Names {
    last: usize,
    /// Those that the plan has already: an attribute can have any name.
    taken: HashSet<String>,
}

impl Names {
    const PREFIX: &str = "__atlas_";

    fn new(plan: &LogicalPlan) -> Result<Self> {
        let mut taken = HashSet::new();
        plan.apply_with_subqueries(|plan| {
            let names = plan.schema().fields().iter().map(|field| field.name());
            taken.extend(names.filter(|name| name.starts_with(Self::PREFIX)).cloned());
            if let LogicalPlan::TableScan(scan) = plan {
                let schema = scan.source.schema();
                let names = schema.fields().iter().map(|field| field.name());
                taken.extend(names.filter(|name| name.starts_with(Self::PREFIX)).cloned());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(Names { last: 0, taken })
    }

    fn next(&mut self) -> String {
        loop {
            self.last += 1;
            let name = format!("{}{}", Self::PREFIX, self.last);
            if !self.taken.contains(&name) {
                return name;
            }
        }
    }
}

/// The table that is scanned, if it is one of ours.
fn with_table<T>(scan: &TableScan, then: impl FnOnce(&Table) -> T) -> Option<T> {
    let provider = source_as_provider(&scan.source).ok()?;
    let provider: &dyn Any = provider.as_ref();
    provider.downcast_ref::<Table>().map(then)
}

/// The store that is scanned, and its snapshot, if it is one of ours.
fn snapshot_of(scan: &TableScan) -> Option<(String, u64)> {
    with_table(scan, |table| (table.store.clone(), table.view.snapshot.number())).or_else(|| {
        let provider = source_as_provider(&scan.source).ok()?;
        let provider: &dyn Any = provider.as_ref();
        provider.downcast_ref::<ListingTable>().map(|table| (table.store.clone(), table.snapshot()))
    })
}

/// Whether the plan reads a store; an error where it would read two snapshots of one store.
fn check_snapshots(plan: &LogicalPlan) -> Result<bool> {
    let mut snapshots: HashMap<String, u64> = HashMap::new();
    plan.apply_with_subqueries(|plan| {
        if let LogicalPlan::TableScan(scan) = plan
            && let Some((store, number)) = snapshot_of(scan)
            && let Some(other) = snapshots.insert(store.clone(), number)
            && other != number
        {
            return Err(DataFusionError::Plan(format!(
                "store {store} moved from snapshot {} to {} while the query was planned: run it again",
                other.min(number),
                other.max(number)
            )));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(!snapshots.is_empty())
}

/// Replaces the calls in one node's expressions.
fn rewrite(plan: LogicalPlan, names: &mut Names) -> Result<Transformed<LogicalPlan>> {
    if !matches!(
        plan,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Join(_)
    ) {
        return Ok(Transformed::no(plan));
    }
    let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
    let keeps_names = matches!(plan, LogicalPlan::Sort(_));
    let preserver = NamePreserver::new(&plan);
    let mut changed = false;
    let mut expressions = Vec::new();
    for expression in plan.expressions() {
        if matches!(expression, Expr::GroupingSet(_)) {
            expressions.push(expression);
            continue;
        }
        let name = preserver.save(&expression);
        let replaced = expression.transform_up(|expression| {
            let presence = Call::parse_presence(&expression);
            let is_presence = presence.is_some();
            let Some(call) = presence.map_or_else(|| Call::parse(&expression), |call| Ok(Some(call)))? else {
                return Ok(Transformed::no(expression));
            };
            for input in &mut inputs {
                if let Some((extended, column)) = expose(input, &call.column, &call, names)? {
                    *input = extended;
                    let column = Expr::Column(column);
                    return Ok(Transformed::yes(if is_presence { with_argument(expression, column) } else { column }));
                }
            }
            Ok(Transformed::no(expression))
        })?;
        changed |= replaced.transformed;
        let named = replaced.transformed && !keeps_names;
        expressions.push(if named { name.restore(replaced.data) } else { replaced.data });
    }
    if !changed {
        return Ok(Transformed::no(plan));
    }
    let rewritten = plan.with_new_exprs(expressions, inputs)?;
    restore_columns(plan.schema(), rewritten).map(Transformed::yes)
}

/// The same question about another column.
fn with_argument(expression: Expr, column: Expr) -> Expr {
    match expression {
        Expr::IsNull(_) => Expr::IsNull(Box::new(column)),
        Expr::IsNotNull(_) => Expr::IsNotNull(Box::new(column)),
        Expr::AggregateFunction(mut call) => {
            call.params.args = vec![column];
            Expr::AggregateFunction(call)
        }
        other => other,
    }
}

/// Hides the columns that a node has let through beside its own.
fn restore_columns(schema: &DFSchema, plan: LogicalPlan) -> Result<LogicalPlan> {
    let same = plan.schema().fields().len() == schema.fields().len();
    if same {
        return Ok(plan);
    }
    let columns: Vec<Expr> = schema.iter().map(Expr::from).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

/// The plan with a column for the call on `column`, and that column; `None` where the column cannot be followed.
fn expose(
    plan: &LogicalPlan,
    column: &Column,
    call: &Call,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Column)>> {
    let Some(position) = plan.schema().maybe_index_of_column(column) else { return Ok(None) };
    match plan {
        LogicalPlan::TableScan(scan) => expose_in_scan(scan, position, call),
        LogicalPlan::SubqueryAlias(alias) => {
            let inner = Column::from(alias.input.schema().qualified_field(position));
            let Some((input, inner)) = expose(&alias.input, &inner, call, names)? else { return Ok(None) };
            let Some(position) = input.schema().maybe_index_of_column(&inner) else { return Ok(None) };
            let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?;
            let column = Column::from(alias.schema.qualified_field(position));
            Ok(Some((LogicalPlan::SubqueryAlias(alias), column)))
        }
        LogicalPlan::Projection(projection) => {
            let Expr::Column(inner) = projection.expr[position].clone().unalias_nested().data else { return Ok(None) };
            let Some((input, inner)) = expose(&projection.input, &inner, call, names)? else { return Ok(None) };
            let name = names.next();
            let mut expressions = projection.expr.clone();
            expressions.push(Expr::Column(inner).alias(&name));
            let projection = Projection::try_new(expressions, Arc::new(input))?;
            Ok(Some((LogicalPlan::Projection(projection), Column::new_unqualified(name))))
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Join(_) => {
            let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
            for input in &mut inputs {
                if let Some((extended, inner)) = expose(input, column, call, names)? {
                    *input = extended;
                    let plan = plan.with_new_exprs(plan.expressions(), inputs)?;
                    return Ok(Some((plan, inner)));
                }
            }
            Ok(None)
        }
        LogicalPlan::Union(union) => {
            let name = names.next();
            let mut inputs = Vec::new();
            for input in &union.inputs {
                let inner = Column::from(input.schema().qualified_field(position));
                let Some((extended, inner)) = expose(input, &inner, call, names)? else { return Ok(None) };
                let mut columns: Vec<Expr> = input.schema().iter().map(Expr::from).collect();
                columns.push(Expr::Column(inner).alias(&name));
                inputs.push(Arc::new(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(extended))?)));
            }
            let last = union.schema.fields().len();
            let same_type = inputs
                .windows(2)
                .all(|pair| pair[0].schema().field(last).data_type() == pair[1].schema().field(last).data_type());
            if !same_type {
                return Ok(None);
            }
            let union = Union::try_new(inputs)?;
            let column = Column::from(union.schema.qualified_field(last));
            Ok(Some((LogicalPlan::Union(union), column)))
        }
        _ => Ok(None),
    }
}

fn expose_in_scan(scan: &TableScan, position: usize, call: &Call) -> Result<Option<(LogicalPlan, Column)>> {
    let position = scan.projection.as_ref().map_or(position, |projection| projection[position]);
    let extended = with_table(scan, |table| match call.resolve(&table.view, &table.sources[position])? {
        Some(source) => table.with_source(source).map(Some),
        None => Ok(None),
    });
    let Some((table, added)) = extended.transpose()?.flatten() else { return Ok(None) };
    let projection = scan.projection.clone().map(|mut projection| {
        if !projection.contains(&added) {
            projection.push(added);
        }
        projection
    });
    let source = provider_as_source(Arc::new(table));
    let name = source.schema().field(added).name().clone();
    let scan = TableScanBuilder::new(scan.table_name.clone(), source)
        .with_projection(projection)
        .with_filters(scan.filters.clone())
        .with_fetch(scan.fetch)
        .build()?;
    let column = Column::new(Some(scan.table_name.clone()), name);
    Ok(Some((LogicalPlan::TableScan(scan), column)))
}
