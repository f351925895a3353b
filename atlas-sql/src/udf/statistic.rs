//! `stat_min(array)` and the other stored statistics.

use super::arguments::array;
use crate::columns::Statistic;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// A stored statistic. It exists only as a column of a scan: see [`crate::rewrite`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct StatisticFunction {
    statistic: Statistic,
    signature: Signature,
}

impl StatisticFunction {
    pub(super) fn new(statistic: Statistic) -> Self {
        StatisticFunction { statistic, signature: Signature::variadic_any(Volatility::Immutable) }
    }

    pub(super) fn statistic(&self) -> Statistic {
        self.statistic
    }
}

impl ScalarUDFImpl for StatisticFunction {
    fn name(&self) -> &str {
        self.statistic.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("the type of a statistic depends on its array".into()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let tensor = array(self.name(), args.arg_fields.first())?;
        if args.arg_fields.len() != 1 {
            return Err(DataFusionError::Plan(format!(
                "{}: expected one argument, got {}",
                self.name(),
                args.arg_fields.len()
            )));
        }
        let data_type = self.statistic.data_type(&tensor.cell).ok_or_else(|| {
            let name = args.arg_fields[0].name();
            DataFusionError::Plan(format!("{}: array {name} holds {}, which has none", self.name(), tensor.cell))
        })?;
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Execution(format!("{} works on the array columns of a store's tables only", self.name())))
    }
}
