//! Tensors as lists of lists.

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int32Type};
use arrow::error::ArrowError;
use atlas_sql::tensor::{EXTENSION_METADATA, SHAPE};
use serde_json::Value;
use std::sync::Arc;

/// Whether values of this type are lists, structs or maps.
pub fn is_nested(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
            | DataType::Struct(_)
            | DataType::Map(..)
    )
}

/// The shape of the values of a column whose values all have the same one.
pub fn fixed_shape(field: &Field) -> Option<Vec<usize>> {
    let metadata = |key: &str| serde_json::from_str::<Value>(field.metadata().get(key)?).ok();
    // Numbers are tensors; other cells have their shape under a key of ours.
    let shape = metadata(EXTENSION_METADATA).and_then(|parameters| parameters.get("shape").cloned());
    let extents = shape.or_else(|| metadata(SHAPE))?;
    extents.as_array()?.iter().map(|extent| usize::try_from(extent.as_u64()?).ok()).collect()
}

/// A column of arrays as lists of lists, one level a dimension: lists of one size each where all values have one shape,
/// lists of any size where their shapes differ and their rank does not. Other columns as they are.
///
/// # Errors
/// Where a value's shape is not that of its cells, or there are too many lists for 32-bit offsets.
pub fn nested(field: &Field, column: &ArrayRef) -> Result<(Arc<Field>, ArrayRef), ArrowError> {
    let as_is = || (Arc::new(field.clone()), Arc::clone(column));
    let outer = match (fixed_shape(field), column.data_type()) {
        (Some(shape), DataType::FixedSizeList(..)) => of_one_shape(&shape, column.as_fixed_size_list())?,
        (_, DataType::Struct(_)) => of_any_shape(column.as_struct())?,
        _ => None,
    };
    let Some(outer) = outer else { return Ok(as_is()) };
    Ok((Arc::new(Field::new(field.name(), outer.data_type().clone(), true)), outer))
}

/// The field that [`nested`] gives for a column of this one.
pub(crate) fn nested_field(field: &Field) -> Result<Arc<Field>, ArrowError> {
    nested(field, &arrow::array::new_empty_array(field.data_type())).map(|(field, _)| field)
}

fn of_one_shape(shape: &[usize], list: &FixedSizeListArray) -> Result<Option<ArrayRef>, ArrowError> {
    let cells: usize = shape.iter().product();
    if shape.len() < 2 || cells == 0 || usize::try_from(list.value_length()) != Ok(cells) {
        return Ok(None);
    }
    let mut values = Arc::clone(list.values());
    for extent in shape[1..].iter().rev() {
        values = Arc::new(lists_of(*extent, values, None)?);
    }
    Ok(Some(Arc::new(lists_of(shape[0], values, list.nulls().cloned())?)))
}

pub(super) fn lists_of(
    extent: usize,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<FixedSizeListArray, ArrowError> {
    let item = Arc::new(Field::new("item", values.data_type().clone(), true));
    let extent = i32::try_from(extent).map_err(|error| ArrowError::CastError(error.to_string()))?;
    FixedSizeListArray::try_new(item, extent, values, nulls)
}

/// A `variable_shape_tensor`, a struct of `data` and `shape`, whose values have one rank.
fn of_any_shape(tensor: &StructArray) -> Result<Option<ArrayRef>, ArrowError> {
    let parts = tensor.column_by_name("data").zip(tensor.column_by_name("shape"));
    let Some((data, shapes)) =
        parts.and_then(|(data, shape)| data.as_list_opt::<i32>().zip(shape.as_fixed_size_list_opt()))
    else {
        return Ok(None);
    };
    let rank = usize::try_from(shapes.value_length()).unwrap_or(0);
    let start = usize::try_from(shapes.value_offset(0)).unwrap_or(0);
    let cells = shapes.values().slice(start, rank * shapes.len());
    let Some(extents) = cells.as_primitive_opt::<Int32Type>() else { return Ok(None) };
    let mismatch = || ArrowError::InvalidArgumentError("a tensor has other cells than its shape".into());
    let mut lengths: Vec<Vec<usize>> = vec![Vec::new(); rank];
    let mut used = Vec::new();
    for row in 0..tensor.len() {
        if tensor.is_null(row) || rank == 0 {
            if let Some(outermost) = lengths.first_mut() {
                outermost.push(0);
            }
            continue;
        }
        let own = data.value(row);
        let shape = extents.slice(row * rank, rank);
        let shape = shape.values().iter().map(|extent| usize::try_from(*extent).map_err(|_| mismatch()));
        let shape = shape.collect::<Result<Vec<_>, _>>()?;
        let cells = shape.iter().try_fold(1usize, |cells, extent| cells.checked_mul(*extent));
        if cells != Some(own.len()) {
            return Err(mismatch());
        }
        let mut lists = 1;
        for (lengths, extent) in lengths.iter_mut().zip(shape) {
            lengths.extend(std::iter::repeat_n(extent, lists));
            lists *= extent;
        }
        used.push(own);
    }
    let mut values = match used.as_slice() {
        [] => data.values().slice(0, 0),
        parts => arrow::compute::concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?,
    };
    for (axis, lengths) in lengths.into_iter().enumerate().rev() {
        let nulls = if axis == 0 { tensor.nulls().cloned() } else { None };
        let item = Arc::new(Field::new("item", values.data_type().clone(), true));
        let total: usize = lengths.iter().sum();
        i32::try_from(total).map_err(|error| ArrowError::CastError(error.to_string()))?;
        values = Arc::new(ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), values, nulls)?);
    }
    Ok((rank > 0).then_some(values))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{Float32Array, Int32Array};
    use arrow::util::display::array_value_to_string;

    #[test]
    fn tensors_nest_by_their_shape() {
        let cells: Vec<f32> = (0u8..12).map(f32::from).collect();
        let column: ArrayRef = Arc::new(lists_of(6, Arc::new(Float32Array::from(cells)), None).unwrap());
        let metadata = [(EXTENSION_METADATA.to_owned(), "{\"shape\":[2,3]}".to_owned())];
        let field = Field::new("t", column.data_type().clone(), true).with_metadata(metadata.into());
        let (own, nested) = nested(&field, &column.slice(1, 1)).unwrap();
        let rows = nested.as_fixed_size_list().value(0);
        let last = rows.as_fixed_size_list().value(1);
        assert_eq!(last.as_ref(), &Float32Array::from(vec![9.0, 10.0, 11.0]) as &dyn Array);
        assert_eq!(nested_field(&field).unwrap(), own);
        assert!(own.metadata().is_empty());
    }

    #[test]
    fn tensors_of_several_shapes_nest_too() {
        let data = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some((0..6).map(Some).collect::<Vec<_>>()),
            None,
            Some(vec![Some(6), Some(7)]),
            Some(vec![]),
        ]);
        let extents = Int32Array::from(vec![2, 3, 9, 9, 2, 1, 0, 5]);
        let shape = lists_of(2, Arc::new(extents), None).unwrap();
        let nulls = NullBuffer::from(vec![true, false, true, true]);
        let fields = vec![
            Field::new("data", data.data_type().clone(), true),
            Field::new("shape", shape.data_type().clone(), true),
        ];
        let parts: Vec<ArrayRef> = vec![Arc::new(data), Arc::new(shape)];
        let column: ArrayRef = Arc::new(StructArray::try_new(fields.into(), parts, Some(nulls)).unwrap());
        let field = Field::new("r", column.data_type().clone(), true);
        let (own, all) = nested(&field, &column).unwrap();
        let texts: Vec<String> = (0..4).map(|row| array_value_to_string(&all, row).unwrap()).collect();
        assert_eq!(texts, ["[[0, 1, 2], [3, 4, 5]]", "", "[[6], [7]]", "[]"]);
        assert!(all.is_null(1));
        assert_eq!(nested_field(&field).unwrap(), own);
        let (_, later) = nested(&field, &column.slice(2, 1)).unwrap();
        assert_eq!(array_value_to_string(&later, 0).unwrap(), "[[6], [7]]");
    }
}
