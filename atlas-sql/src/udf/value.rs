//! Tensors as values, wherever in a query they come from.

use crate::tensor::{Form, Tensor};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int32Type;
use datafusion::error::{DataFusionError, Result};
use std::ops::Range;

/// A column of arrays, seen as one run of cells.
pub(super) struct Values<'a> {
    column: &'a ArrayRef,
    /// The cells of all values.
    pub(super) cells: ArrayRef,
    starts: Vec<usize>,
    lengths: Vec<usize>,
    shapes: Shapes,
}

enum Shapes {
    Same(Vec<u64>),
    Length,
    Each(ArrayRef),
}

impl<'a> Values<'a> {
    pub(super) fn try_new(tensor: &Tensor, column: &'a ArrayRef) -> Result<Self> {
        let rows = column.len();
        let wrong = || DataFusionError::Internal(format!("{} is not an array column", column.data_type()));
        let (cells, starts, lengths, shapes) = match &tensor.form {
            Form::Scalar => (column.clone(), (0..rows).collect(), vec![1; rows], Shapes::Same(Vec::new())),
            Form::Fixed(shape) => {
                let list = column.as_fixed_size_list_opt().ok_or_else(wrong)?;
                let size = usize::try_from(list.value_length()).map_err(|_| wrong())?;
                let starts = (0..rows).map(|row| row * size).collect();
                (list.values().clone(), starts, vec![size; rows], Shapes::Same(shape.clone()))
            }
            Form::List | Form::Variable(_) => {
                let (list, shapes) = match column.as_struct_opt() {
                    Some(parts) => {
                        let data = parts.column_by_name("data").ok_or_else(wrong)?;
                        let shape = parts.column_by_name("shape").ok_or_else(wrong)?;
                        (data, Shapes::Each(shape.clone()))
                    }
                    None => (column, Shapes::Length),
                };
                let list = list.as_list_opt::<i32>().ok_or_else(wrong)?;
                let offsets: Vec<usize> =
                    list.offsets().iter().map(|offset| usize::try_from(*offset).unwrap_or(0)).collect();
                let starts = offsets[..rows].to_vec();
                let lengths = offsets.windows(2).map(|pair| pair[1] - pair[0]).collect();
                (list.values().clone(), starts, lengths, shapes)
            }
        };
        Ok(Values { column, cells, starts, lengths, shapes })
    }

    pub(super) fn len(&self) -> usize {
        self.column.len()
    }

    /// Where the cells of a value begin.
    pub(super) fn start(&self, row: usize) -> usize {
        self.starts[row]
    }

    /// Where the cells of a value are; `None` where it is NULL.
    pub(super) fn range(&self, row: usize) -> Result<Option<Range<usize>>> {
        Ok(self.shape(row)?.map(|_| self.starts[row]..self.starts[row] + self.lengths[row]))
    }

    /// The shape of a value; `None` where it is NULL.
    pub(super) fn shape(&self, row: usize) -> Result<Option<Vec<u64>>> {
        if self.column.is_null(row) {
            return Ok(None);
        }
        let shape = match &self.shapes {
            Shapes::Same(shape) => shape.clone(),
            Shapes::Length => vec![self.lengths[row] as u64],
            Shapes::Each(shapes) => {
                let extents = match shapes.as_fixed_size_list_opt() {
                    Some(list) => list.value(row),
                    None => shapes.as_list::<i32>().value(row),
                };
                let extents = extents.as_primitive::<Int32Type>();
                extents.values().iter().map(|extent| u64::try_from(*extent).unwrap_or(0)).collect()
            }
        };
        let cells = shape.iter().try_fold(1u64, |cells, extent| cells.checked_mul(*extent));
        if cells != Some(self.lengths[row] as u64) {
            return Err(DataFusionError::Execution(format!(
                "a tensor of shape {shape:?} holds {} cells",
                self.lengths[row]
            )));
        }
        Ok(Some(shape))
    }
}

/// Where the cell at `index` is in an array of this shape, in row-major order.
pub(super) fn cell_at(index: &[u64], shape: &[u64]) -> usize {
    let at = index.iter().zip(shape).fold(0, |at, (index, extent)| at * extent + index);
    usize::try_from(at).unwrap_or(usize::MAX)
}
