//! Calls that nothing can compute, refused before the query runs.

use crate::literal;
use crate::tensor::Tensor;
use crate::udf::{self, Function};
use arrow::datatypes::FieldRef;
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
                    Expr::ScalarFunction(call) => reject_call(call, input, &inputs)?,
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

/// What the catalog alone knows: a call that is left cannot be computed. Nor can a cell or the numbers of a tensor whose
/// missing cells nobody knows.
fn reject_call(call: &ScalarFunction, input: Option<&DFSchema>, inputs: &[&LogicalPlan]) -> Result<()> {
    match udf::identify(&call.func) {
        Some(Function::Reduction(_)) => reject_unknown_missing(call, input, inputs),
        Some(Function::Slice(_)) => reject_unknown_dims(call, input),
        Some(Function::Element(_)) => {
            reject_unknown_dims(call, input)?;
            reject_unknown_missing(call, input, inputs)
        }
        // The values of its parameters are still to come.
        Some(Function::Sel(_)) if call.args.iter().any(literal::is_open) => Ok(()),
        Some(Function::Sel(_)) => Err(DataFusionError::Plan(format!(
            "sel: {} is not an array column of a store's table here (the coordinates of an array do not pass GROUP BY, \
             DISTINCT or an expression)",
            call.args.first().map_or_else(String::new, Expr::to_string)
        ))),
        Some(Function::Statistic(_) | Function::ChunkShape) => Err(DataFusionError::Plan(format!(
            "{}: {} is not an array column of a store's table here (what the catalog knows of an array does \
             not pass GROUP BY, DISTINCT or an expression)",
            call.func.name(),
            call.args.first().map_or_else(String::new, Expr::to_string)
        ))),
        _ => Ok(()),
    }
}

/// A cell, or a number of a tensor, where it is not known which cells are missing.
fn reject_unknown_missing(call: &ScalarFunction, input: Option<&DFSchema>, inputs: &[&LogicalPlan]) -> Result<()> {
    let field = call.args.first().zip(input).and_then(|(argument, input)| argument.to_field(input).ok());
    if let Some(reason) = field.and_then(|(_, field)| udf::unknown_fill(call.func.name(), &field)) {
        return Err(DataFusionError::Plan(reason));
    }
    for input in inputs {
        if let Some(column) = mixed_fill(input)? {
            return Err(DataFusionError::Plan(format!(
                "{}: column {column} of a UNION has several fill values, so which cells are missing is not known here: \
                 take the number before the UNION",
                call.func.name()
            )));
        }
    }
    Ok(())
}

/// A region or cell by the names of dimensions, where these are not known.
fn reject_unknown_dims(call: &ScalarFunction, input: Option<&DFSchema>) -> Result<()> {
    let field = call.args.first().zip(input).and_then(|(argument, input)| argument.to_field(input).ok());
    let dims_are_known = field.and_then(|(_, field)| Tensor::of(&field)).is_none_or(|tensor| tensor.dims.is_some());
    let is_named = call.args.get(1).and_then(literal::value).is_some_and(|value| udf::is_named(Some(&value)));
    if is_named && !dims_are_known {
        return Err(DataFusionError::Plan(format!(
            "{}: the dimensions of {} differ between datasets, so which is which is not known here: call it on the array's \
             own column, with literals, or with indices in the order of the dimensions",
            call.func.name(),
            call.args.first().map_or_else(String::new, Expr::to_string)
        )));
    }
    Ok(())
}

/// A column within the plan in which arrays of several fill values meet. Its field names one of them, or none.
fn mixed_fill(plan: &LogicalPlan) -> Result<Option<String>> {
    let mut mixed = None;
    plan.apply_with_subqueries(|plan| {
        let meeting = match plan {
            LogicalPlan::Union(_) | LogicalPlan::RecursiveQuery(_) => plan.inputs(),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        for (position, field) in plan.schema().fields().iter().enumerate() {
            let mut fills = meeting.iter().filter_map(|input| {
                let tensor = Tensor::of(own_field(input, position)?.as_ref())?;
                tensor.is_tensor().then_some((tensor.fill_value, tensor.never_filled))
            });
            let first = fills.next();
            if fills.any(|fill| Some(fill) != first) {
                mixed = Some(field.name().clone());
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(mixed)
}

/// The field of a column where it comes from: DataFusion gives all inputs of a UNION the metadata of one.
fn own_field(plan: &LogicalPlan, position: usize) -> Option<FieldRef> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let expression = projection.expr.get(position)?.clone().unalias_nested().data;
            match expression {
                Expr::Column(column) => {
                    own_field(&projection.input, projection.input.schema().maybe_index_of_column(&column)?)
                }
                other => Some(other.to_field(projection.input.schema().as_ref()).ok()?.1),
            }
        }
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_) => own_field(plan.inputs().first()?, position),
        _ => plan.schema().fields().get(position).cloned(),
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
