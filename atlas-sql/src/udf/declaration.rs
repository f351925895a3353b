//! `shape(array)`, `chunk_shape(array)`, `dims(array)` and `dtype(array)`.

use super::Function;
use super::arguments::array;
use super::value::Values;
use crate::tensor::{Tensor, data_type};
use arrow::array::{ArrayRef, Int64Builder, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use atlas_store::DType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The functions of this kind.
pub(super) const ALL: [Function; 4] = [Function::Shape, Function::ChunkShape, Function::Dims, Function::Dtype];

/// What an array is declared to be.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Declaration {
    name: &'static str,
    signature: Signature,
}

impl Declaration {
    pub(super) fn new(function: Function) -> Self {
        let name = match function {
            Function::Shape => "shape",
            Function::ChunkShape => "chunk_shape",
            Function::Dims => "dims",
            _ => "dtype",
        };
        Declaration { name, signature: Signature::variadic_any(Volatility::Immutable) }
    }

    pub(super) fn function(&self) -> Function {
        match self.name {
            "shape" => Function::Shape,
            "chunk_shape" => Function::ChunkShape,
            "dims" => Function::Dims,
            _ => Function::Dtype,
        }
    }
}

impl ScalarUDFImpl for Declaration {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        let list = |item: DataType| DataType::List(Arc::new(Field::new_list_field(item, true)));
        Ok(match self.function() {
            Function::Shape | Function::ChunkShape => list(DataType::Int64),
            Function::Dims => list(DataType::Utf8),
            _ => DataType::Utf8,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        array(self.name, args.arg_fields.first())?;
        if args.arg_fields.len() != 1 {
            return Err(DataFusionError::Plan(format!(
                "{}: expected one argument, got {}",
                self.name,
                args.arg_fields.len()
            )));
        }
        Ok(Arc::new(Field::new(self.name, self.return_type(&[])?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.function() == Function::ChunkShape {
            // A value has no chunks. The analyzer says so before a query runs.
            let message = format!("{} works on the array columns of a store's tables only", self.name);
            return Err(DataFusionError::Execution(message));
        }
        let tensor = array(self.name, args.arg_fields.first())?;
        let column = args.args[0].to_array(args.number_rows)?;
        let values = Values::try_new(&tensor, &column)?;
        let shapes = (0..values.len()).map(|row| values.shape(row)).collect::<Result<Vec<_>>>()?;
        let declared: ArrayRef = match self.function() {
            Function::Shape => {
                let mut lists = ListBuilder::new(Int64Builder::new());
                for shape in shapes {
                    lists.append_option(
                        shape.map(|shape| {
                            shape.into_iter().map(|extent| i64::try_from(extent).ok()).collect::<Vec<_>>()
                        }),
                    );
                }
                Arc::new(lists.finish())
            }
            Function::Dims => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for shape in shapes {
                    lists.append_option(shape.and(tensor.dims.as_ref()).map(|dims| dims.iter().map(Some)));
                }
                Arc::new(lists.finish())
            }
            _ => Arc::new(StringArray::from_iter(shapes.iter().map(|shape| shape.as_ref().and(dtype_name(&tensor))))),
        };
        Ok(ColumnarValue::Array(declared))
    }
}

fn dtype_name(tensor: &Tensor) -> Option<&'static str> {
    DType::ALL.into_iter().find(|dtype| data_type(*dtype) == tensor.cell).map(DType::name)
}
