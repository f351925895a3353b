//! `tensor_min(tensor)` and the other numbers of one tensor.

use super::arguments::{array, of_one_array};
use super::element::without_fill;
use super::value::Values;
use crate::tensor::{Reduction, Tensor, reduce};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// A number of the cells of one tensor that are neither missing nor NaN.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ReductionFunction {
    reduction: Reduction,
    signature: Signature,
}

impl ReductionFunction {
    pub(super) fn new(reduction: Reduction) -> Self {
        ReductionFunction { reduction, signature: Signature::variadic_any(Volatility::Immutable) }
    }

    pub(super) fn reduction(&self) -> Reduction {
        self.reduction
    }
}

/// Why the missing cells of a tensor cannot be told from the others; `None` where they can.
pub(crate) fn unknown_fill(function: &str, field: &Field) -> Option<String> {
    let tensor = Tensor::of(field)?;
    (!tensor.knows_missing()).then(|| {
        format!(
            "{function}: which cells of {} are missing is not known here: its fill value differs between datasets, or \
             the column is not from a store: call it on the array's own column, with literal arguments",
            field.name()
        )
    })
}

impl ScalarUDFImpl for ReductionFunction {
    fn name(&self) -> &str {
        self.reduction.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("the type of a reduction depends on its tensor".into()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        of_one_array(self.name(), args.arg_fields, |cell| self.reduction.data_type(cell))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let tensor = array(self.name(), args.arg_fields.first())?;
        if let Some(reason) = unknown_fill(self.name(), &args.arg_fields[0]) {
            return Err(DataFusionError::Execution(reason));
        }
        let column = args.args[0].to_array(args.number_rows)?;
        let values = Values::try_new(&tensor, &column)?;
        let ranges = (0..values.len()).map(|row| values.range(row)).collect::<Result<Vec<_>>>()?;
        let cells = without_fill(&tensor, Arc::clone(&values.cells))?;
        Ok(ColumnarValue::Array(reduce(self.reduction, &cells, &ranges)?))
    }
}
