//! `element(array, i, j, …)`.

use super::arguments::{array, call_name};
use super::value::{Values, cell_at};
use crate::tensor::Tensor;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// One cell of an array; NULL where it equals the fill value, where an index is NULL, and where the array is missing.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ElementFunction {
    signature: Signature,
}

impl ElementFunction {
    pub(super) fn new() -> Self {
        ElementFunction { signature: Signature::variadic_any(Volatility::Immutable) }
    }
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

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("the type of element depends on its arguments".into()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let tensor = array(self.name(), args.arg_fields.first())?;
        for field in args.arg_fields.iter().skip(1) {
            if !field.data_type().is_integer() && *field.data_type() != DataType::Null {
                return Err(DataFusionError::Plan(format!(
                    "element: an index must be an integer, got {}",
                    field.data_type()
                )));
            }
        }
        let indices = args.arg_fields.len() - 1;
        if let Some(rank) = tensor.rank()
            && rank != indices
        {
            let name = args.arg_fields[0].name();
            return Err(DataFusionError::Plan(format!("element: array {name} has rank {rank}, got {indices} indices")));
        }
        Ok(Arc::new(Field::new(self.name(), tensor.cell, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = args.arg_fields[0].name();
        let tensor = array(self.name(), args.arg_fields.first())?;
        let column = args.args[0].to_array(args.number_rows)?;
        let values = Values::try_new(&tensor, &column)?;
        let indices: Vec<ArrayRef> = args.args[1..]
            .iter()
            .map(|index| Ok(arrow::compute::cast(&index.to_array(args.number_rows)?, &DataType::Int64)?))
            .collect::<Result<_>>()?;
        let mut cells: Vec<Option<u64>> = Vec::with_capacity(values.len());
        for row in 0..values.len() {
            let index: Option<Vec<i64>> = indices
                .iter()
                .map(|index| (!index.is_null(row)).then(|| index.as_primitive::<Int64Type>().value(row)))
                .collect();
            let cell = match (values.shape(row)?, index) {
                (Some(shape), Some(index)) => Some((values.start(row) + checked_cell(name, &index, &shape)?) as u64),
                _ => None,
            };
            cells.push(cell);
        }
        let cells = arrow::compute::take(&values.cells, &UInt64Array::from(cells), None)?;
        Ok(ColumnarValue::Array(without_fill(&tensor, cells)?))
    }
}

/// Where the cell is, checked against the shape.
fn checked_cell(name: &str, index: &[i64], shape: &[u64]) -> Result<usize> {
    let unsigned: Option<Vec<u64>> = index.iter().map(|index| u64::try_from(*index).ok()).collect();
    match unsigned {
        Some(index) if index.len() == shape.len() && index.iter().zip(shape).all(|(index, extent)| index < extent) => {
            Ok(cell_at(&index, shape))
        }
        _ => Err(DataFusionError::Execution(format!(
            "out of bounds: array {name}: element {index:?} of an array of shape {shape:?}"
        ))),
    }
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
