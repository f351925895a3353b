//! `slice(array, start, shape)` and `slice(array, 'dimension', start, size, …)`.

use super::arguments::{array, call_name};
use super::place::slice_place;
use super::value::{Values, cell_at};
use crate::cut::Place;
use crate::error::from_store;
use crate::options::OutOfBounds;
use crate::tensor::{Form, Tensor, fixed_size_list, variable};
use arrow::array::{ArrayRef, UInt64Array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef};
use atlas_store::Region;
use datafusion::common::ScalarValue;
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// Cells that a column of nothing but NULL may have.
const MOST_NULL_CELLS: u64 = 1 << 30;

/// The region of an array as a tensor. The arguments but the array are literals, so that the type is known.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Slice {
    pub(super) outside: OutOfBounds,
    signature: Signature,
}

impl Slice {
    pub(super) fn new(outside: OutOfBounds) -> Self {
        Slice { outside, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

/// Where, by the arguments behind the array.
fn place(array: &str, arguments: &[Option<&ScalarValue>]) -> Result<Place> {
    slice_place(array, arguments.get(1..).unwrap_or_default())
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

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        Some(Slice::new(OutOfBounds::of(config)).into())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("the type of slice depends on its arguments".into()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let name = args.arg_fields.first().map_or("", |field| field.name());
        let place = place(name, args.scalar_arguments)?;
        let tensor = array(self.name(), args.arg_fields.first())?;
        super::place::check(self.name(), name, &place, &tensor, self.outside)?;
        Ok(Arc::new(place.tensor(&tensor).field(self.name())?))
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
        let name = args.arg_fields[0].name();
        let place = place(name, &scalars)?;
        let tensor = array(self.name(), args.arg_fields.first())?;
        let sliced = place.tensor(&tensor);
        let column = args.args[0].to_array(args.number_rows)?;
        let values = Values::try_new(&tensor, &column)?;
        let regions = self.regions(name, &place, &tensor, &values)?;
        if regions.iter().all(Option::is_none) {
            return Ok(ColumnarValue::Array(nulls(&sliced, regions.len())?));
        }
        let mut indices: Vec<Option<u64>> = Vec::new();
        // Of one shape, the cells are at the same places in each value.
        let mut last: Option<(Vec<u64>, Vec<u64>)> = None;
        for (row, region) in regions.iter().enumerate() {
            if let (Some(region), Some(shape)) = (region, values.shape(row)?) {
                if last.as_ref().is_none_or(|(of, _)| *of != shape) {
                    let offsets = offsets(region, &shape);
                    last = Some((shape, offsets));
                }
                let start = values.start(row) as u64;
                indices.extend(last.iter().flat_map(|(_, offsets)| offsets).map(|offset| Some(start + offset)));
            } else if let Form::Fixed(shape) = &sliced.form {
                let cells = shape.iter().product();
                indices.extend((0..cells).map(|_: u64| None));
            } else if sliced.form == Form::Scalar {
                indices.push(None);
            }
        }
        let shapes: Vec<Option<Vec<u64>>> =
            regions.into_iter().map(|region| region.map(|region| region.shape().to_vec())).collect();
        let cells = arrow::compute::take(&values.cells, &UInt64Array::from(indices), None)?;
        Ok(ColumnarValue::Array(match &sliced.form {
            Form::Scalar => cells,
            Form::Fixed(shape) => {
                let nulls = NullBuffer::from_iter(shapes.iter().map(Option::is_some));
                let nulls = (nulls.null_count() > 0).then_some(nulls);
                fixed_size_list(cells, shape, shapes.len(), nulls)?
            }
            Form::List | Form::Variable(_) => variable(&sliced, cells, &shapes)?,
        }))
    }
}

impl Slice {
    /// The region of each value; `None` where the result is NULL.
    fn regions(&self, name: &str, place: &Place, tensor: &Tensor, values: &Values<'_>) -> Result<Vec<Option<Region>>> {
        let region = |row| match values.shape(row)? {
            Some(shape) => match place.within(name, tensor.dims.as_deref(), &shape) {
                Ok(region) => Ok(Some(region)),
                Err(atlas_store::Error::OutOfBounds { .. }) if self.outside == OutOfBounds::Null => Ok(None),
                Err(error) => Err(from_store(error)),
            },
            None => Ok(None),
        };
        (0..values.len()).map(region).collect()
    }
}

/// A column without a value. Those of a fixed shape take memory all the same.
fn nulls(tensor: &Tensor, rows: usize) -> Result<ArrayRef> {
    if let Form::Fixed(shape) = &tensor.form {
        let cells = shape.iter().fold(rows as u64, |cells, extent| cells.saturating_mul(*extent));
        if cells > MOST_NULL_CELLS {
            return Err(DataFusionError::Execution(format!(
                "slice: {rows} NULLs of shape {shape:?} are {cells} cells, the most is {MOST_NULL_CELLS}"
            )));
        }
    }
    Ok(new_null_array(tensor.field("")?.data_type(), rows))
}

/// Where the region's cells are in an array of this shape, in row-major order.
fn offsets(region: &Region, shape: &[u64]) -> Vec<u64> {
    let mut offsets = Vec::new();
    if region.is_empty() {
        return offsets;
    }
    let mut index = region.start().to_vec();
    loop {
        offsets.push(cell_at(&index, shape) as u64);
        let mut axis = index.len();
        loop {
            if axis == 0 {
                return offsets;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < region.end(axis) {
                break;
            }
            index[axis] = region.start()[axis];
        }
    }
}
