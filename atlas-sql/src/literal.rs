//! `[0, 0]` in SQL as one literal.
//!
//! DataFusion plans a list of literals as a call of `make_array`, whose value is known only after the types of the
//! query are fixed. The type of a slice is its shape, so its lists must be literals from the start.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};

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
