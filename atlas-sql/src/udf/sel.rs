//! `sel(array, 'dimension', low, high, …)`.

use super::arguments::{array, call_name};
use super::place::sel_dims;
use crate::cut::axis;
use crate::options::OutOfBounds;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The region of an array by coordinate labels. It exists only as a column of a scan, which has the coordinates: see
/// [`crate::rewrite`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sel {
    pub(super) outside: OutOfBounds,
    signature: Signature,
}

impl Sel {
    pub(super) fn new(outside: OutOfBounds) -> Self {
        Sel { outside, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Sel {
    fn name(&self) -> &str {
        "sel"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(call_name(self.name(), args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        Some(Sel::new(OutOfBounds::of(config)).into())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("the type of sel depends on its array".into()))
    }

    /// Each dataset has its own region, so that the result has the form of arrays that differ in shape.
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let tensor = array(self.name(), args.arg_fields.first())?;
        let name = args.arg_fields.first().map_or("", |field| field.name());
        let named = sel_dims(name, args.scalar_arguments.get(1..).unwrap_or_default())?;
        if let Some(dims) = &tensor.dims {
            for dim in &named {
                axis(Some(dims), dim)
                    .map_err(|message| DataFusionError::Plan(format!("sel: array {name}: {message}")))?;
            }
        }
        Ok(Arc::new(tensor.ragged().field(self.name())?))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // The analyzer says so before a query runs.
        Err(DataFusionError::Execution("sel works on the array columns of a store's tables only".into()))
    }
}
