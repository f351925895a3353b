//! `[0, 0]` in SQL as one literal.
//!
//! DataFusion plans a list of literals as a call of `make_array`, whose value is known only after the types of the
//! query are fixed. The type of a slice is its shape, so its lists must be literals from the start.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};

/// The value of an expression that is a literal: also a cast of one (`TIMESTAMP '2020-01-01'` is planned as that), or a
/// negative one. `None` of anything else, and of a cast that fails.
pub(crate) fn value(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        Expr::Alias(alias) => value(&alias.expr),
        Expr::Cast(cast) => value(&cast.expr)?.cast_to(cast.field.data_type()).ok(),
        Expr::TryCast(cast) => value(&cast.expr)?.cast_to(cast.field.data_type()).ok(),
        Expr::Negative(inner) => value(inner)?.arithmetic_negate().ok(),
        _ => None,
    }
}

/// Whether a parameter of the query, whose value is still to come, is in an expression.
pub(crate) fn is_open(expr: &Expr) -> bool {
    expr.exists(|part| Ok(matches!(part, Expr::Placeholder(_)))).unwrap_or(false)
}

/// Plans lists of integer literals.
#[derive(Debug)]
pub(crate) struct LiteralLists;

impl ExprPlanner for LiteralLists {
    fn plan_array_literal(&self, exprs: Vec<Expr>, _: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        let integers: Option<Vec<ScalarValue>> = exprs
            .iter()
            .map(|expr| match expr {
                Expr::Literal(value @ ScalarValue::Int64(Some(_)), _) => Some(value.clone()),
                _ => None,
            })
            .collect();
        match integers {
            Some(integers) if !integers.is_empty() => {
                let list = ScalarValue::new_list_nullable(&integers, &DataType::Int64);
                Ok(PlannerResult::Planned(Expr::Literal(ScalarValue::List(list), None)))
            }
            _ => Ok(PlannerResult::Original(exprs)),
        }
    }
}
