//! `element(array, i, j, …)` and `element(array, 'dimension', i, 'dimension', j, …)`.

use super::arguments::{array, call_name};
use super::place::{element_dims, is_named};
use super::value::{Values, cell_at};
use crate::cut::axis;
use crate::options::OutOfBounds;
use crate::tensor::Tensor;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// One cell of an array; NULL where it equals the fill value, where an index is NULL, and where the array is missing.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ElementFunction {
    pub(super) outside: OutOfBounds,
    signature: Signature,
}

impl ElementFunction {
    pub(super) fn new(outside: OutOfBounds) -> Self {
        ElementFunction { outside, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

/// The axis of each index, by the arguments behind the array: `None` where the indices are in the order of the axes.
///
/// # Errors
/// A plan error where the dimensions that are named are not those of the array.
fn axes(name: &str, tensor: &Tensor, arguments: &[Option<&ScalarValue>]) -> Result<Option<Vec<usize>>> {
    if !is_named(arguments.first().copied().flatten()) {
        return Ok(None);
    }
    let named = element_dims(name, arguments)?;
    // Where datasets differ in their dimensions, the analyzer asks each of them.
    let Some(dims) = &tensor.dims else { return Ok(Some((0..named.len()).collect())) };
    let failed = |message: String| DataFusionError::Plan(format!("element: array {name}: {message}"));
    let axes = named.iter().map(|dim| axis(Some(dims), dim)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if axes.len() != dims.len() {
        return Err(failed(format!("one cell takes an index of each of the dimensions {dims:?}, got {named:?}")));
    }
    Ok(Some(axes))
}

impl ScalarUDFImpl for ElementFunction {
    fn name(&self) -> &str {
        "element"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(call_name(self.name(), args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        Some(ElementFunction::new(OutOfBounds::of(config)).into())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("the type of element depends on its arguments".into()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let tensor = array(self.name(), args.arg_fields.first())?;
        let name = args.arg_fields.first().map_or("", |field| field.name());
        let axes = axes(name, &tensor, args.scalar_arguments.get(1..).unwrap_or_default())?;
        let step = if axes.is_some() { 2 } else { 1 };
        for field in args.arg_fields.iter().skip(step).step_by(step) {
            if !field.data_type().is_integer() && *field.data_type() != DataType::Null {
                return Err(DataFusionError::Plan(format!(
                    "element: an index must be an integer, got {}",
                    field.data_type()
                )));
            }
        }
        let indices = args.arg_fields.len() - 1;
        if let Some(rank) = tensor.rank()
            && axes.is_none()
            && rank != indices
            && self.outside == OutOfBounds::Error
        {
            return Err(DataFusionError::Plan(format!("element: array {name} has rank {rank}, got {indices} indices")));
        }
        Ok(Arc::new(Field::new(self.name(), tensor.cell, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = args.arg_fields[0].name();
        let tensor = array(self.name(), args.arg_fields.first())?;
        let column = args.args[0].to_array(args.number_rows)?;
        let values = Values::try_new(&tensor, &column)?;
        let scalars: Vec<Option<&ScalarValue>> = args.args[1..]
            .iter()
            .map(|argument| match argument {
                ColumnarValue::Scalar(scalar) => Some(scalar),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        let axes = axes(name, &tensor, &scalars)?;
        let step = if axes.is_some() { 2 } else { 1 };
        let indices: Vec<ArrayRef> = args.args[step..]
            .iter()
            .step_by(step)
            .map(|index| Ok(arrow::compute::cast(&index.to_array(args.number_rows)?, &DataType::Int64)?))
            .collect::<Result<_>>()?;
        let mut cells: Vec<Option<u64>> = Vec::with_capacity(values.len());
        for row in 0..values.len() {
            let index: Option<Vec<i64>> = indices
                .iter()
                .map(|index| (!index.is_null(row)).then(|| index.as_primitive::<Int64Type>().value(row)))
                .collect();
            let cell = match (values.shape(row)?, index) {
                (Some(shape), Some(index)) => {
                    let index = in_order(index, axes.as_deref());
                    match checked_cell(&index, &shape) {
                        Some(cell) => Some((values.start(row) + cell) as u64),
                        None if self.outside == OutOfBounds::Null => None,
                        None => {
                            return Err(DataFusionError::Execution(format!(
                                "out of bounds: array {name}: element {index:?} of an array of shape {shape:?}"
                            )));
                        }
                    }
                }
                _ => None,
            };
            cells.push(cell);
        }
        let cells = arrow::compute::take(&values.cells, &UInt64Array::from(cells), None)?;
        Ok(ColumnarValue::Array(without_fill(&tensor, cells)?))
    }
}

/// The indices in the order of the axes.
fn in_order(index: Vec<i64>, axes: Option<&[usize]>) -> Vec<i64> {
    let Some(axes) = axes else { return index };
    let mut ordered: Vec<(usize, i64)> = axes.iter().copied().zip(index).collect();
    ordered.sort_unstable();
    ordered.into_iter().map(|(_, index)| index).collect()
}

/// Where the cell is; `None` where an array of this shape has none there.
fn checked_cell(index: &[i64], shape: &[u64]) -> Option<usize> {
    let index = index.iter().map(|index| u64::try_from(*index).ok()).collect::<Option<Vec<u64>>>()?;
    let is_within = index.len() == shape.len() && index.iter().zip(shape).all(|(index, extent)| index < extent);
    is_within.then(|| cell_at(&index, shape))
}

/// Cells of tensors are never null: those that equal the fill value become so here.
pub(super) fn without_fill(tensor: &Tensor, cells: ArrayRef) -> Result<ArrayRef> {
    let Some(fill) = tensor.fill_value.as_ref().filter(|_| tensor.is_tensor()) else {
        return Ok(cells);
    };
    let fill = ScalarValue::try_from_string(fill.clone(), &tensor.cell)?;
    let is_fill = if tensor.cell.is_floating() {
        let ScalarValue::Float64(Some(fill)) = fill.cast_to(&DataType::Float64)? else {
            return Ok(cells);
        };
        let floats = arrow::compute::cast(&cells, &DataType::Float64)?;
        BooleanArray::from_unary(floats.as_primitive::<Float64Type>(), |cell| {
            cell == fill || (cell.is_nan() && fill.is_nan())
        })
    } else {
        arrow::compute::kernels::cmp::eq(&cells, &fill.to_scalar()?)?
    };
    Ok(arrow::compute::nullif(&cells, &is_fill)?)
}
