//! Array columns in a short form for people.

use atlas_flight::arrays::fixed_shape;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use std::fmt::Write;
use std::sync::Arc;

/// Arrays of up to this many cells are written whole in tables.
const WHOLE_CELLS: usize = 8;

/// Cells shown at the start of a longer array.
const FIRST_CELLS: usize = 3;

/// A nested column as text, one short line a row; `None` for columns that are not lists or tensors.
pub(crate) fn shortened(field: &Field, column: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
    let shape = fixed_shape(field);
    let mut text = StringBuilder::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            text.append_null();
            continue;
        }
        let Some((cells, shape)) = row_cells(column, row, shape.as_deref()) else { return Ok(None) };
        text.append_value(short(&cells, &shape)?);
    }
    Ok(Some(Arc::new(text.finish())))
}

/// One row's cells in row-major order, and their shape; lists have rank 1.
fn row_cells(column: &ArrayRef, row: usize, shape: Option<&[usize]>) -> Option<(ArrayRef, Vec<usize>)> {
    match column.data_type() {
        DataType::FixedSizeList(..) => {
            let cells = column.as_fixed_size_list().value(row);
            let shape = shape.map_or_else(|| vec![cells.len()], <[usize]>::to_vec);
            Some((cells, shape))
        }
        DataType::List(_) => {
            let cells = column.as_list::<i32>().value(row);
            let shape = vec![cells.len()];
            Some((cells, shape))
        }
        DataType::LargeList(_) => {
            let cells = column.as_list::<i64>().value(row);
            let shape = vec![cells.len()];
            Some((cells, shape))
        }
        DataType::Struct(_) => {
            // A variable_shape_tensor: `data` with the cells and `shape` with the extents.
            let tensor = column.as_struct();
            let (cells, _) = row_cells(tensor.column_by_name("data")?, row, None)?;
            let (extents, _) = row_cells(tensor.column_by_name("shape")?, row, None)?;
            let extents = extents.as_primitive_opt::<Int32Type>()?;
            let shape = extents.values().iter().map(|extent| usize::try_from(*extent).ok()).collect::<Option<_>>()?;
            Some((cells, shape))
        }
        _ => None,
    }
}

/// `[1, 2, 3]`, `4×8 [1, 2, 3, … 32]`.
fn short(cells: &ArrayRef, shape: &[usize]) -> Result<String, ArrowError> {
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(cells.as_ref(), &options)?;
    let mut text = String::new();
    if shape.len() > 1 || cells.len() > WHOLE_CELLS {
        let extents: Vec<String> = shape.iter().map(usize::to_string).collect();
        text.push_str(&extents.join("×"));
        text.push(' ');
    }
    text.push('[');
    let first = if cells.len() > WHOLE_CELLS { FIRST_CELLS } else { cells.len() };
    for at in 0..first {
        let comma = if at > 0 { ", " } else { "" };
        write!(text, "{comma}{}", formatter.value(at)).map_err(|error| ArrowError::CastError(error.to_string()))?;
    }
    if first < cells.len() {
        write!(text, ", … {}", formatter.value(cells.len() - 1))
            .map_err(|error| ArrowError::CastError(error.to_string()))?;
    }
    text.push(']');
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use datafusion::arrow::array::{FixedSizeListArray, Float32Array, Int32Array};

    fn lists_of(extent: usize, values: ArrayRef) -> FixedSizeListArray {
        let item = Arc::new(Field::new("item", values.data_type().clone(), true));
        FixedSizeListArray::try_new(item, i32::try_from(extent).unwrap(), values, None).unwrap()
    }

    fn tensor(extents: &[usize], cells: Vec<f32>) -> (Field, ArrayRef) {
        let list: ArrayRef = Arc::new(lists_of(extents.iter().product(), Arc::new(Float32Array::from(cells))));
        let metadata = [
            ("ARROW:extension:name".to_owned(), "arrow.fixed_shape_tensor".to_owned()),
            ("ARROW:extension:metadata".to_owned(), format!("{{\"shape\":{extents:?}}}")),
        ];
        let field = Field::new("t", list.data_type().clone(), true).with_metadata(metadata.into());
        (field, list)
    }

    #[test]
    fn long_tensors_are_shortened() {
        let (field, column) = tensor(&[3, 4], (0u8..24).map(f32::from).collect());
        let text = shortened(&field, &column).unwrap().unwrap();
        assert_eq!(text.as_string::<i32>().value(1), "3×4 [12.0, 13.0, 14.0, … 23.0]");
        let (field, column) = tensor(&[2, 2], vec![1.5, 2.0, 3.0, f32::NAN]);
        let text = shortened(&field, &column).unwrap().unwrap();
        assert_eq!(text.as_string::<i32>().value(0), "2×2 [1.5, 2.0, 3.0, NaN]");
    }

    #[test]
    fn short_lists_are_whole() {
        let list: ArrayRef = Arc::new(lists_of(2, Arc::new(Int32Array::from(vec![1, 2, 3, 4]))));
        let field = Field::new("shape", list.data_type().clone(), true);
        let text = shortened(&field, &list).unwrap().unwrap();
        assert_eq!(text.as_string::<i32>().value(1), "[3, 4]");
    }
}
