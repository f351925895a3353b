//! Text, lists of text and lists of extents.

use arrow::array::{ArrayRef, Int64Builder, ListBuilder, StringArray, StringBuilder};
use atlas_store::ArraySchema;
use datafusion::error::{DataFusionError, Result};
use std::sync::Arc;

/// A text column; an error where it passes what 32-bit offsets reach.
pub(crate) fn text<'a>(values: impl Iterator<Item = Option<&'a str>> + Clone) -> Result<ArrayRef> {
    let bytes: usize = values.clone().map(|value| value.map_or(0, str::len)).sum();
    if i32::try_from(bytes).is_err() {
        return Err(DataFusionError::Execution(format!("a text column of {bytes} bytes is too large")));
    }
    Ok(Arc::new(StringArray::from_iter(values)))
}

/// The extents of each declaration as a list.
pub(crate) fn shapes<'a>(
    schemas: &[Option<&'a ArraySchema>],
    extents: impl Fn(&'a ArraySchema) -> &'a Vec<u64>,
) -> ArrayRef {
    let mut lists = ListBuilder::new(Int64Builder::new());
    for schema in schemas {
        let values = schema.map(|schema| extents(schema).iter().map(|extent| Some(as_i64(*extent))));
        lists.append_option(values);
    }
    Arc::new(lists.finish())
}

/// The dimension names of each declaration as a list.
pub(crate) fn dims(schemas: &[Option<&ArraySchema>]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for schema in schemas {
        lists.append_option(schema.map(|schema| schema.dims.iter().map(Some)));
    }
    Arc::new(lists.finish())
}

/// A count as SQL's integer. Counts past 2^63 do not occur; they would saturate.
pub(crate) fn as_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
