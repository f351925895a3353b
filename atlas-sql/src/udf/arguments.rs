//! Arguments of the functions: array columns, indices and lists of extents.

use crate::tensor::Tensor;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use std::sync::Arc;

/// The column that a function of one array gives, of the type that it makes of the array's cells.
pub(super) fn of_one_array(
    function: &str,
    fields: &[FieldRef],
    data_type: impl FnOnce(&DataType) -> Option<DataType>,
) -> Result<FieldRef> {
    let tensor = array(function, fields.first())?;
    if fields.len() != 1 {
        return Err(DataFusionError::Plan(format!("{function}: expected one argument, got {}", fields.len())));
    }
    let data_type = data_type(&tensor.cell).ok_or_else(|| {
        let name = fields[0].name();
        DataFusionError::Plan(format!("{function}: array {name} holds {}, which has none", tensor.cell))
    })?;
    Ok(Arc::new(Field::new(function, data_type, true)))
}

/// The array that an argument holds.
pub(super) fn array(function: &str, field: Option<&FieldRef>) -> Result<Tensor> {
    let Some(field) = field else {
        return Err(DataFusionError::Plan(format!(
            "{function}: expected an array column as its first argument, got none"
        )));
    };
    Tensor::of(field).ok_or_else(|| {
        DataFusionError::Plan(format!(
            "{function}: expected an array column as its first argument, got {} of type {}",
            field.name(),
            field.data_type()
        ))
    })
}

/// The name of a result column: `slice(datasets.TEMP,[0, 0],[4, 8])`, with literals as they were written.
pub(super) fn call_name(function: &str, arguments: &[Expr]) -> String {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| match argument {
            Expr::Literal(value, _) => value.to_string(),
            other => other.schema_name().to_string(),
        })
        .collect();
    format!("{function}({})", arguments.join(","))
}

/// A literal list of extents, such as `[0, 0]`.
pub(super) fn extents(function: &str, what: &str, value: Option<&ScalarValue>) -> Result<Vec<u64>> {
    let expected = || DataFusionError::Plan(format!("{function}: {what} must be a list of integers such as [0, 0]"));
    let values: ArrayRef = match value.ok_or_else(expected)? {
        ScalarValue::List(list) if list.len() == 1 && !list.is_null(0) => list.value(0),
        ScalarValue::LargeList(list) if list.len() == 1 && !list.is_null(0) => list.value(0),
        ScalarValue::FixedSizeList(list) if list.len() == 1 && !list.is_null(0) => list.value(0),
        _ => return Err(expected()),
    };
    if values.is_empty() {
        return Ok(Vec::new());
    }
    if !values.data_type().is_integer() || values.null_count() > 0 {
        return Err(expected());
    }
    let values = arrow::compute::cast(&values, &DataType::Int64)?;
    let values = values.as_primitive::<Int64Type>();
    let negative = || {
        let all: &[i64] = values.values();
        DataFusionError::Plan(format!("{function}: {what} {all:?} has a negative number"))
    };
    values.values().iter().map(|value| u64::try_from(*value).map_err(|_| negative())).collect()
}

/// A literal index.
pub(crate) fn index(function: &str, value: &ScalarValue) -> Result<u64> {
    let number = match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(number))) if value.data_type().is_integer() => number,
        _ => return Err(DataFusionError::Plan(format!("{function}: index {value} is not an integer"))),
    };
    u64::try_from(number).map_err(|_| DataFusionError::Plan(format!("{function}: index {number} is negative")))
}
