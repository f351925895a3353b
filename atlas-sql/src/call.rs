//! A call of one of our functions on a column with literal arguments, and the column of the scan that it stands for.

use crate::columns::{FamilyColumn, Source, Statistic, View};
use crate::cut::{Cut, Labels, Place, Step, axis};
use crate::literal;
use crate::options::OutOfBounds;
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
    Slice(Place, OutOfBounds),
    Element(Place, OutOfBounds),
    Sel(Labels, OutOfBounds),
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
        let literals: Option<Vec<ScalarValue>> = rest.iter().map(literal::value).collect();
        let Some(literals) = literals else {
            return match function {
                Function::Sel(_) => not_literal(&column.name, rest),
                _ => Ok(None),
            };
        };
        let literals: Vec<&ScalarValue> = literals.iter().collect();
        let operation = match (function, literals.as_slice()) {
            (Function::Slice(outside), literals) => {
                let place = udf::slice_place(&column.name, &literals.iter().copied().map(Some).collect::<Vec<_>>())?;
                Operation::Slice(place, outside)
            }
            (Function::Sel(outside), literals) => Operation::Sel(udf::sel_labels(&column.name, literals)?, outside),
            // element(array, NULL) is NULL: the function itself says so.
            (Function::Element(_), indices) if indices.iter().any(|index| index.is_null()) => return Ok(None),
            (Function::Element(outside), indices) if udf::is_named(indices.first().copied()) => {
                Operation::Element(Place::Named(udf::element_place(&column.name, indices)?), outside)
            }
            (Function::Element(outside), indices) => {
                let index = indices.iter().map(|index| udf::index("element", index)).collect::<Result<Vec<_>>>()?;
                let shape = vec![1; index.len()];
                let region = Region::try_new(index, shape).map_err(|error| plan("element", &error))?;
                Operation::Element(Place::Region(region), outside)
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
            (Operation::Slice(place, outside), Source::Array(family) | Source::Slice(family, _)) => {
                Some(Source::Slice(*family, placed("slice", view, source, *family, place, *outside)?))
            }
            (Operation::Element(place, outside), Source::Array(family) | Source::Slice(family, _)) => {
                Some(Source::Element(*family, placed("element", view, source, *family, place, *outside)?))
            }
            (Operation::Sel(labels, outside), Source::Array(family) | Source::Slice(family, _)) => {
                check_labels(view, *family, labels)?;
                Some(Source::Slice(*family, then(source.cut(), Step::Labels(labels.clone(), *outside))))
            }
            (Operation::Reduction(reduction), Source::Array(family)) => {
                Some(Source::Reduction(*family, None, *reduction))
            }
            (Operation::Reduction(reduction), Source::Slice(family, cut)) => {
                Some(Source::Reduction(*family, Some(cut.clone()), *reduction))
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

/// The call after those before it.
fn then(before: Option<&Cut>, step: Step) -> Cut {
    let mut steps = before.cloned().map_or_else(Vec::new, Cut::into_steps);
    steps.push(step);
    Cut::Each(steps)
}

/// A place in what `source` has of an array: one region, where it is the same for all datasets.
fn placed(
    function: &str,
    view: &View,
    source: &Source,
    family: usize,
    place: &Place,
    outside: OutOfBounds,
) -> Result<Cut> {
    let column = &view.families[family];
    let before = source.cut();
    let tensor = before.map_or_else(|| column.tensor.clone(), |cut| cut.tensor(&column.tensor));
    let each = || Ok(then(before, Step::Place(place.clone(), outside)));
    let region = match place {
        Place::Region(region) => region.clone(),
        Place::Named(named) => {
            for range in &named.ranges {
                check_dim(function, column, &range.dim)?;
            }
            if let Some(dims) = column.tensor.dims.as_deref().filter(|dims| dims.len() != named.ranges.len())
                && named.is_cell
            {
                return Err(failed(function, column, &named.unnamed(Some(dims))));
            }
            match named.region(&tensor) {
                Some(region) => region,
                None => return each(),
            }
        }
    };
    check_size(function, view, family, &region)?;
    let within = match before {
        None => column.shape.as_deref(),
        Some(Cut::Region(outer)) => Some(outer.shape()),
        Some(Cut::Each(_)) => tensor.shape(),
    };
    let fits = match (within, tensor.rank()) {
        (Some(within), _) => region.check(&column.name, within).map_err(|error| plan(function, &error)),
        (None, Some(rank)) if rank != region.rank() => Err(DataFusionError::Plan(format!(
            "{function}: array {} has rank {rank}, got start {:?} and shape {:?}",
            column.name,
            region.start(),
            region.shape()
        ))),
        _ => Ok(()),
    };
    match (fits, outside, before) {
        (Err(error), OutOfBounds::Error, _) => Err(error),
        (Err(_), OutOfBounds::Null, _) => each(),
        // The store checks each dataset itself.
        (Ok(()), OutOfBounds::Error, None) => Ok(Cut::Region(region)),
        (Ok(()), OutOfBounds::Null, None) if within.is_some() => Ok(Cut::Region(region)),
        (Ok(()), _, Some(Cut::Region(outer))) => {
            let start = outer.start().iter().zip(region.start()).map(|(outer, own)| outer + own).collect();
            let region = Region::try_new(start, region.shape().to_vec());
            region.map(Cut::Region).map_err(|error| plan(function, &error))
        }
        (Ok(()), ..) => each(),
    }
}

/// Cells of a region that a NULL may stand for whatever the arrays hold: a NULL of a fixed shape takes memory as well.
const NULL_CELLS: u64 = 1 << 24;

/// Checks that a large region is not larger than every array.
fn check_size(function: &str, view: &View, family: usize, region: &Region) -> Result<()> {
    let cells = region.shape().iter().fold(1, |cells: u64, extent| cells.saturating_mul(*extent));
    if cells <= NULL_CELLS {
        return Ok(());
    }
    let mut entries = view.family(family)?.entries();
    if entries.any(|(_, entry)| view.snapshot.schema(entry).cell_count() >= cells) {
        return Ok(());
    }
    let message = format!("a region of shape {:?} has more cells than it has in any dataset", region.shape());
    Err(failed(function, &view.families[family], &message))
}

/// Checks what labels can be compared with, of the datasets that have the array.
fn check_labels(view: &View, family: usize, labels: &Labels) -> Result<()> {
    let column = &view.families[family];
    for (dim, bounds) in &labels.0 {
        check_dim("sel", column, dim)?;
        let coordinate = view.coordinate(family, dim)?.map(|position| view.families[position].dtype);
        let what = match coordinate {
            Some(dtype) => format!("labels of {dim}, which are {}, between {bounds}", dtype.name()),
            None => format!("indices of {dim}, which has no coordinate, between {bounds}"),
        };
        bounds.limits(coordinate).map_err(|reason| failed("sel", column, &format!("{what}: {reason}")))?;
    }
    Ok(())
}

/// Checks that the array has this dimension in some dataset.
fn check_dim(function: &str, column: &FamilyColumn, dim: &str) -> Result<()> {
    if column.dims.iter().flatten().any(|own| own == dim) {
        return Ok(());
    }
    let dims = column.dims.first().map_or(&[][..], Vec::as_slice);
    axis(Some(dims), dim).map(drop).map_err(|message| failed(function, column, &message))
}

/// What becomes of `sel` with a label that is no literal: an error, unless it is a parameter whose value is still to come.
fn not_literal(array: &str, arguments: &[Expr]) -> Result<Option<Call>> {
    for argument in arguments {
        if literal::value(argument).is_none() && !literal::is_open(argument) {
            return Err(DataFusionError::Plan(format!(
                "sel: array {array}: dimensions and labels must be literals such as 'lat', 10 or TIMESTAMP '2020-01-01', \
                 got {argument}"
            )));
        }
    }
    Ok(None)
}

fn failed(function: &str, column: &FamilyColumn, message: &str) -> DataFusionError {
    DataFusionError::Plan(format!("{function}: array {}: {message}", column.name))
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
