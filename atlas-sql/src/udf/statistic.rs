//! `stat_min(array)` and the other stored statistics.

use super::arguments::of_one_array;
use crate::columns::Statistic;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

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
        of_one_array(self.name(), args.arg_fields, |cell| self.statistic.data_type(cell))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Execution(format!("{} works on the array columns of a store's tables only", self.name())))
    }
}
