//! Calls that nothing can compute, refused before the query runs.

use crate::tensor::Tensor;
use crate::udf::{self, Function};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

/// The plan, unless it holds such a call.
///
/// # Errors
/// A plan error that names the call.
pub(crate) fn reject(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.apply_with_subqueries(|plan| {
        let inputs = plan.inputs();
        let input = inputs.first().map(|input| input.schema().as_ref());
        plan.apply_expressions(|expression| {
            expression.apply(|expression| {
                match expression {
                    Expr::ScalarFunction(call) => reject_statistic(call)?,
                    Expr::AggregateFunction(call) => {
                        reject_order(call.func.name(), &call.params.args, input)?;
                    }
                    Expr::WindowFunction(call) => {
                        let WindowFunction { fun, params } = call.as_ref();
                        reject_order(fun.name(), &params.args, input)?;
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(plan)
}

/// Statistics exist in the catalog only: a call that is left cannot be computed.
fn reject_statistic(call: &ScalarFunction) -> Result<()> {
    match udf::identify(&call.func) {
        Some(Function::Statistic(statistic)) => Err(DataFusionError::Plan(format!(
            "{}: {} is not an array column of a store's table here (statistics do not pass GROUP BY, DISTINCT or an \
             expression)",
            statistic.function(),
            call.args.first().map_or_else(String::new, Expr::to_string)
        ))),
        _ => Ok(()),
    }
}

/// Arrays have no order: the smallest and largest of them mean nothing.
fn reject_order(function: &str, arguments: &[Expr], input: Option<&DFSchema>) -> Result<()> {
    let ([argument], Some(input), "min" | "max") = (arguments, input, function) else { return Ok(()) };
    let is_list =
        argument.to_field(input).is_ok_and(|(_, field)| field.data_type().is_nested() && Tensor::of(&field).is_some());
    if is_list {
        let name = match argument {
            Expr::Column(column) => column.name.clone(),
            other => other.to_string(),
        };
        return Err(DataFusionError::Plan(format!(
            "{function}: {name} is an array, and arrays have no order: take a number of each dataset, such as \
             stat_{function} or an element"
        )));
    }
    Ok(())
}
