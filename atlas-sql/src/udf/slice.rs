//! `slice(array, start, shape)`.

use super::arguments::{array, call_name, extents};
use super::value::{Values, cell_at};
use crate::error::from_store;
use crate::tensor::{fixed_size_list, without_cells};
use arrow::array::{Array, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef};
use atlas_store::Region;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The region of an array as a tensor. `start` and `shape` are literal lists, so that the type is known.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Slice {
    signature: Signature,
}

impl Slice {
    pub(super) fn new() -> Self {
        Slice { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

/// The region of literal arguments.
fn region(arguments: &[Option<&ScalarValue>]) -> Result<Region> {
    let [_, start, shape] = arguments else {
        return Err(DataFusionError::Plan(format!(
            "slice: expected slice(array, start, shape), got {} arguments",
            arguments.len()
        )));
    };
    let region = Region::try_new(extents("slice", "start", *start)?, extents("slice", "shape", *shape)?);
    region.map_err(|error| DataFusionError::Plan(format!("slice: {error}")))
}

impl ScalarUDFImpl for Slice {
    fn name(&self) -> &str {
        "slice"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(call_name(self.name(), args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("the type of slice depends on its arguments".into()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let region = region(args.scalar_arguments)?;
        let tensor = array(self.name(), args.arg_fields.first())?;
        if let Some(shape) = tensor.shape() {
            let name = args.arg_fields.first().map_or("", |field| field.name());
            region.check(name, shape).map_err(|error| DataFusionError::Plan(format!("slice: {error}")))?;
        }
        Ok(Arc::new(tensor.sliced(region.shape()).field(self.name())?))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalars: Vec<Option<&ScalarValue>> = args
            .args
            .iter()
            .map(|argument| match argument {
                ColumnarValue::Scalar(scalar) => Some(scalar),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        let region = region(&scalars)?;
        let tensor = array(self.name(), args.arg_fields.first())?;
        let column = args.args[0].to_array(args.number_rows)?;
        let values = Values::try_new(&tensor, &column)?;
        let offsets = index_of_each_cell(&region);
        let mut indices: Vec<Option<u64>> = Vec::with_capacity(values.len() * offsets.len());
        let mut valid = Vec::with_capacity(values.len());
        for row in 0..values.len() {
            let shape = values.shape(row)?;
            valid.push(shape.is_some());
            match shape {
                Some(shape) => {
                    region.check(args.arg_fields[0].name(), &shape).map_err(from_store)?;
                    let start = values.start(row);
                    indices.extend(offsets.iter().map(|index| Some((start + cell_at(index, &shape)) as u64)));
                }
                None => indices.extend(std::iter::repeat_n(None, offsets.len())),
            }
        }
        if region.is_empty() {
            return Ok(ColumnarValue::Array(without_cells(&tensor, region.shape(), valid)?));
        }
        let cells = arrow::compute::take(&values.cells, &UInt64Array::from(indices), None)?;
        if region.rank() == 0 {
            return Ok(ColumnarValue::Array(cells));
        }
        let nulls = NullBuffer::from(valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        Ok(ColumnarValue::Array(fixed_size_list(cells, region.shape(), column.len(), nulls)?))
    }
}

/// The indices of the region's cells, in row-major order.
fn index_of_each_cell(region: &Region) -> Vec<Vec<u64>> {
    if region.is_empty() {
        return Vec::new();
    }
    let mut indices = vec![Vec::new()];
    for dim in 0..region.rank() {
        indices = indices
            .iter()
            .flat_map(|index| {
                (region.start()[dim]..region.end(dim)).map(|at| index.iter().copied().chain([at]).collect())
            })
            .collect();
    }
    indices
}
