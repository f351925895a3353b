//! A call of one of our functions on a column with literal arguments, and the column of the scan that it stands for.

use crate::columns::{Source, Statistic, View};
use crate::tensor::{Form, Reduction};
use crate::udf::{self, Function};
use atlas_store::Region;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;

/// A call that a scan may answer.
#[derive(Debug)]
pub(crate) struct Call {
    /// The column that it is about.
    pub(crate) column: Column,
    operation: Operation,
}

#[derive(Debug)]
enum Operation {
    Slice(Region),
    Element(Vec<u64>),
    Statistic(Statistic),
    Reduction(Reduction),
    Declaration(Function),
    /// Whether the dataset has the array: something that is NULL exactly where the column is.
    Presence,
}

impl Call {
    /// The call that an expression is; `None` where it is another expression, not on a column, or not on literals.
    ///
    /// # Errors
    /// A plan error where the literals cannot be right for any array.
    pub(crate) fn parse(expr: &Expr) -> Result<Option<Call>> {
        let Expr::ScalarFunction(call) = expr else { return Ok(None) };
        let Some(function) = udf::identify(&call.func) else { return Ok(None) };
        let Some((first, rest)) = call.args.split_first() else { return Ok(None) };
        let Expr::Column(column) = unaliased(first) else { return Ok(None) };
        let literals: Option<Vec<&ScalarValue>> = rest
            .iter()
            .map(|argument| match unaliased(argument) {
                Expr::Literal(value, _) => Some(value),
                _ => None,
            })
            .collect();
        let Some(literals) = literals else { return Ok(None) };
        let operation = match (function, literals.as_slice()) {
            (Function::Slice, [start, shape]) => {
                let start = udf::extents("slice", "start", Some(start))?;
                let shape = udf::extents("slice", "shape", Some(shape))?;
                Operation::Slice(Region::try_new(start, shape).map_err(|error| plan("slice", &error))?)
            }
            // element(array, NULL) is NULL: the function itself says so.
            (Function::Element, indices) if indices.iter().any(|index| index.is_null()) => return Ok(None),
            (Function::Element, indices) => {
                Operation::Element(indices.iter().map(|index| udf::index("element", index)).collect::<Result<_>>()?)
            }
            (Function::Statistic(statistic), []) => Operation::Statistic(statistic),
            (Function::Reduction(reduction), []) => Operation::Reduction(reduction),
            (Function::Shape | Function::ChunkShape | Function::Dims | Function::Dtype, []) => {
                Operation::Declaration(function)
            }
            _ => return Ok(None),
        };
        Ok(Some(Call { column: column.clone(), operation }))
    }

    /// What an expression asks of a column by asking only where it is NULL: `array IS NULL`, `array IS NOT NULL` and
    /// `count(array)`.
    pub(crate) fn parse_presence(expr: &Expr) -> Option<Call> {
        let about = match expr {
            Expr::IsNull(about) | Expr::IsNotNull(about) => about,
            Expr::AggregateFunction(call) if call.func.name() == "count" && !call.params.distinct => {
                let [about] = call.params.args.as_slice() else { return None };
                about
            }
            _ => return None,
        };
        let Expr::Column(column) = unaliased(about) else { return None };
        Some(Call { column: column.clone(), operation: Operation::Presence })
    }

    /// What the call gives on a column with values from `source`; `None` where only the value itself can tell.
    ///
    /// # Errors
    /// A plan error where the arguments do not fit the array, for whichever dataset.
    pub(crate) fn resolve(&self, view: &View, source: &Source) -> Result<Option<Source>> {
        Ok(match (&self.operation, source) {
            (Operation::Slice(region), Source::Array(family)) => {
                check("slice", view, *family, region)?;
                Some(Source::Slice(*family, region.clone()))
            }
            (Operation::Slice(region), Source::Slice(family, outer)) => {
                let name = &view.families[*family].name;
                region.check(name, outer.shape()).map_err(|error| plan("slice", &error))?;
                let start = outer.start().iter().zip(region.start()).map(|(outer, own)| outer + own).collect();
                let region = Region::try_new(start, region.shape().to_vec()).map_err(|error| plan("slice", &error))?;
                Some(Source::Slice(*family, region))
            }
            (Operation::Element(index), Source::Array(family)) => {
                let region = cell(index)?;
                check("element", view, *family, &region)?;
                Some(Source::Element(*family, index.clone()))
            }
            (Operation::Element(index), Source::Slice(family, outer)) => {
                let name = &view.families[*family].name;
                cell(index)?.check(name, outer.shape()).map_err(|error| plan("element", &error))?;
                Some(Source::Element(
                    *family,
                    outer.start().iter().zip(index).map(|(outer, own)| outer + own).collect(),
                ))
            }
            (Operation::Reduction(reduction), Source::Array(family)) => {
                Some(Source::Reduction(*family, None, *reduction))
            }
            (Operation::Reduction(reduction), Source::Slice(family, region)) => {
                Some(Source::Reduction(*family, Some(region.clone()), *reduction))
            }
            // A single cell is NULL where it equals the fill value too.
            (Operation::Presence, Source::Array(family)) if view.families[*family].tensor.form != Form::Scalar => {
                Some(Source::Shape(*family))
            }
            (Operation::Statistic(statistic), Source::Array(family)) => Some(Source::Statistic(*family, *statistic)),
            (Operation::Declaration(function), Source::Array(family)) => Some(match function {
                Function::Shape => Source::Shape(*family),
                Function::ChunkShape => Source::ChunkShape(*family),
                Function::Dims => Source::Dims(*family),
                _ => Source::Dtype(*family),
            }),
            _ => None,
        })
    }
}

/// The region of one cell.
pub(crate) fn cell(index: &[u64]) -> Result<Region> {
    Region::try_new(index.to_vec(), vec![1; index.len()]).map_err(|error| plan("element", &error))
}

/// Checks what is the same for all datasets that have the array.
fn check(function: &str, view: &View, family: usize, region: &Region) -> Result<()> {
    let column = &view.families[family];
    match (&column.shape, column.rank) {
        (Some(shape), _) => region.check(&column.name, shape).map_err(|error| plan(function, &error)),
        (None, Some(rank)) if rank != region.rank() => Err(DataFusionError::Plan(format!(
            "{function}: array {} has rank {rank}, got start {:?} and shape {:?}",
            column.name,
            region.start(),
            region.shape()
        ))),
        _ => Ok(()),
    }
}

fn plan(function: &str, error: &atlas_store::Error) -> DataFusionError {
    DataFusionError::Plan(format!("{function}: {error}"))
}

fn unaliased(mut expr: &Expr) -> &Expr {
    while let Expr::Alias(alias) = expr {
        expr = &alias.expr;
    }
    expr
}
