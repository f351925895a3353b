//! The arguments of `slice`, `element` and `sel` behind the array: where in it.

use super::arguments::extents;
use crate::cut::{Along, Labels, Named, Place, axis};
use crate::labels::Bounds;
use crate::options::OutOfBounds;
use crate::tensor::Tensor;
use arrow::datatypes::DataType;
use atlas_store::Region;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use std::collections::HashSet;

fn plan(message: String) -> DataFusionError {
    DataFusionError::Plan(message)
}

/// Whether dimensions are named: what follows the array is text.
pub(crate) fn is_named(first: Option<&ScalarValue>) -> bool {
    first.is_some_and(|first| first.try_as_str().is_some())
}

/// `start, shape`, or `'dimension', start, size, …`; `None` is no literal.
pub(crate) fn slice_place(array: &str, arguments: &[Option<&ScalarValue>]) -> Result<Place> {
    let function = &format!("slice: array {array}");
    let is_named = is_named(arguments.first().copied().flatten());
    if is_named && arguments.len().is_multiple_of(3) {
        let mut ranges = Vec::with_capacity(arguments.len() / 3);
        for range in arguments.chunks_exact(3) {
            let dim = dimension(function, range[0])?;
            let start = whole(function, "start", &dim, range[1])?;
            let size = whole(function, "size", &dim, range[2])?;
            ranges.push(Along { dim, start, size });
        }
        once(function, ranges.iter().map(|range| range.dim.as_str()))?;
        return Ok(Place::Named(Named { ranges, is_cell: false }));
    }
    let ([start, shape], false) = (arguments, is_named) else {
        return Err(plan(format!(
            "{function}: expected slice(array, start, shape) or slice(array, 'dimension', start, size, …), got {} arguments",
            arguments.len() + 1
        )));
    };
    let region = Region::try_new(extents("slice", "start", *start)?, extents("slice", "shape", *shape)?);
    region.map(Place::Region).map_err(|error| plan(format!("slice: {error}")))
}

/// The dimensions of `'dimension', index, …`.
pub(crate) fn element_dims(array: &str, arguments: &[Option<&ScalarValue>]) -> Result<Vec<String>> {
    let function = &format!("element: array {array}");
    if !arguments.len().is_multiple_of(2) {
        return Err(plan(format!(
            "{function}: expected element(array, i, j, …) or element(array, 'dimension', index, …), got {} arguments",
            arguments.len() + 1
        )));
    }
    let dims: Vec<String> =
        arguments.chunks_exact(2).map(|pair| dimension(function, pair[0])).collect::<Result<_>>()?;
    once(function, dims.iter().map(String::as_str))?;
    Ok(dims)
}

/// One cell, by the dimensions of `'dimension', index, …`.
pub(crate) fn element_place(array: &str, arguments: &[&ScalarValue]) -> Result<Named> {
    let function = &format!("element: array {array}");
    let dims = element_dims(array, &arguments.iter().copied().map(Some).collect::<Vec<_>>())?;
    let indices = arguments.chunks_exact(2).map(|pair| pair[1]);
    let ranges = dims.into_iter().zip(indices).map(|(dim, index)| {
        let start = whole(function, "index", &dim, Some(index))?;
        Ok(Along { dim, start, size: 1 })
    });
    Ok(Named { ranges: ranges.collect::<Result<_>>()?, is_cell: true })
}

/// The dimensions of `'dimension', low, high, …`; of those whose name is no literal nothing is known.
pub(crate) fn sel_dims(array: &str, arguments: &[Option<&ScalarValue>]) -> Result<Vec<String>> {
    let function = &format!("sel: array {array}");
    if arguments.is_empty() || !arguments.len().is_multiple_of(3) {
        return Err(plan(format!(
            "{function}: expected sel(array, 'dimension', low, high, …), got {} arguments",
            arguments.len() + 1
        )));
    }
    let names = arguments.chunks_exact(3).filter(|bounds| bounds[0].is_some());
    let dims: Vec<String> = names.map(|bounds| dimension(function, bounds[0])).collect::<Result<_>>()?;
    once(function, dims.iter().map(String::as_str))?;
    Ok(dims)
}

/// The labels of `'dimension', low, high, …`.
pub(crate) fn sel_labels(array: &str, arguments: &[&ScalarValue]) -> Result<Labels> {
    let dims = sel_dims(array, &arguments.iter().copied().map(Some).collect::<Vec<_>>())?;
    let bounds = arguments.chunks_exact(3).map(|bounds| Bounds { low: bounds[1].clone(), high: bounds[2].clone() });
    Ok(Labels(dims.into_iter().zip(bounds).collect()))
}

/// The name of a dimension.
fn dimension(function: &str, value: Option<&ScalarValue>) -> Result<String> {
    match value {
        Some(value) => match value.try_as_str().flatten() {
            Some(name) => Ok(name.to_string()),
            None => Err(plan(format!("{function}: expected the name of a dimension such as 'lat', got {value}"))),
        },
        None => Err(plan(format!("{function}: the name of a dimension must be a literal such as 'lat'"))),
    }
}

fn once<'a>(function: &str, dims: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashSet::new();
    for dim in dims {
        if !seen.insert(dim) {
            return Err(plan(format!("{function}: dimension {dim} is named twice")));
        }
    }
    Ok(())
}

/// A start, a size or an index along a named dimension.
fn whole(function: &str, what: &str, dim: &str, value: Option<&ScalarValue>) -> Result<u64> {
    let Some(value) = value else {
        return Err(plan(format!("{function}: the {what} of dimension {dim} must be a literal integer")));
    };
    let number = match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(number))) if value.data_type().is_integer() => number,
        _ => return Err(plan(format!("{function}: the {what} {value} of dimension {dim} is not an integer"))),
    };
    u64::try_from(number).map_err(|_| plan(format!("{function}: the {what} {number} of dimension {dim} is negative")))
}

/// Checks a place as far as the type of the arrays says; nothing, where what is outside is NULL.
pub(super) fn check(function: &str, name: &str, place: &Place, tensor: &Tensor, outside: OutOfBounds) -> Result<()> {
    let failed = |error: &atlas_store::Error| plan(format!("{function}: {error}"));
    if let (Place::Named(named), Some(dims)) = (place, &tensor.dims) {
        for range in &named.ranges {
            axis(Some(dims), &range.dim).map_err(|message| plan(format!("{function}: array {name}: {message}")))?;
        }
        if named.is_cell && named.ranges.len() != dims.len() {
            return Err(plan(format!("{function}: array {name}: {}", named.unnamed(Some(dims)))));
        }
    }
    let is_known = matches!(place, Place::Region(_)) || tensor.dims.is_some();
    match (tensor.shape(), outside) {
        (Some(shape), OutOfBounds::Error) if is_known => {
            place.within(name, tensor.dims.as_deref(), shape).map(drop).map_err(|error| failed(&error))
        }
        _ => Ok(()),
    }
}
