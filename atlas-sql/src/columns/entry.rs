//! The columns of the `arrays` table: a row is an array of a dataset.
//!
//! `min` and `max` are numbers (NULL for text, binary and time); `min_text` and `max_text` are the same as text, for
//! every dtype and without rounding. `raw_bytes` is NULL where cells have no fixed size. `chunk_count` is that of the
//! declaration.

use super::declaration::{self, as_i64};
use super::source::{EntryField, Statistic};
use super::statistic;
use super::view::View;
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field};
use atlas_store::{ArrayEntry, ArraySchema, Scalar};
use datafusion::error::{DataFusionError, Result};
use std::sync::Arc;

/// The field of a column.
pub(crate) fn field(field: EntryField, name: &str) -> Field {
    let list = |item: DataType| DataType::List(Arc::new(Field::new_list_field(item, true)));
    let (data_type, nullable) = match field {
        EntryField::Dataset | EntryField::Array | EntryField::Dtype | EntryField::Codec => (DataType::Utf8, false),
        EntryField::FillValue | EntryField::MinText | EntryField::MaxText => (DataType::Utf8, true),
        EntryField::Dims => (list(DataType::Utf8), false),
        EntryField::Shape | EntryField::ChunkShape => (list(DataType::Int64), false),
        EntryField::Min | EntryField::Max | EntryField::Mean => (DataType::Float64, true),
        EntryField::ChunkCount | EntryField::StoredBytes => (DataType::Int64, false),
        EntryField::NullCount | EntryField::RowCount | EntryField::RawBytes => (DataType::Int64, true),
    };
    Field::new(name, data_type, nullable)
}

/// One array of one dataset.
struct Entry<'a> {
    row: u32,
    family: usize,
    entry: ArrayEntry<'a>,
    schema: &'a ArraySchema,
}

/// A column that the catalog holds, over all rows.
pub(crate) fn column(view: &View, field: EntryField) -> Result<ArrayRef> {
    let families = (0..view.families.len()).map(|family| view.family(family)).collect::<Result<Vec<_>>>()?;
    let entries: Vec<Entry<'_>> = view
        .entries()
        .iter()
        .filter_map(|(row, family)| {
            let entry = families[*family as usize].entry(*row)?;
            Some(Entry { row: *row, family: *family as usize, entry, schema: view.snapshot.schema(entry) })
        })
        .collect();
    let text = |value: &dyn Fn(&Entry<'_>) -> Option<String>| {
        let texts: Vec<Option<String>> = entries.iter().map(value).collect();
        declaration::text(texts.iter().map(Option::as_deref))
    };
    let known = |entry: &Entry<'_>, wanted| statistic::value(&entry.entry.statistics()?, wanted);
    let float = |wanted| -> ArrayRef {
        let value = |entry: &Entry<'_>| known(entry, wanted).as_ref().and_then(Scalar::as_f64);
        Arc::new(Float64Array::from_iter(entries.iter().map(value)))
    };
    let count = |value: &dyn Fn(&Entry<'_>) -> Option<i64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter(entries.iter().map(value)))
    };
    let schemas = || entries.iter().map(|entry| Some(entry.schema)).collect::<Vec<_>>();
    Ok(match field {
        EntryField::Dataset => {
            declaration::text(entries.iter().map(|entry| Some(view.snapshot.dataset_name(entry.row))))?
        }
        EntryField::Array => {
            declaration::text(entries.iter().map(|entry| Some(view.families[entry.family].name.as_str())))?
        }
        EntryField::Dtype => declaration::text(entries.iter().map(|entry| Some(entry.schema.dtype.name())))?,
        EntryField::Dims => declaration::dims(&schemas()),
        EntryField::Shape => declaration::shapes(&schemas(), |schema| &schema.shape),
        EntryField::ChunkShape => declaration::shapes(&schemas(), |schema| &schema.chunk_shape),
        EntryField::FillValue => text(&|entry| entry.schema.fill_value.as_ref().map(Scalar::to_string))?,
        EntryField::Min => float(Statistic::Min),
        EntryField::Max => float(Statistic::Max),
        EntryField::Mean => float(Statistic::Mean),
        EntryField::MinText => text(&|entry| known(entry, Statistic::Min).as_ref().map(Scalar::to_string))?,
        EntryField::MaxText => text(&|entry| known(entry, Statistic::Max).as_ref().map(Scalar::to_string))?,
        EntryField::NullCount => count(&|entry| entry.entry.statistics().map(|known| as_i64(known.null_count))),
        EntryField::RowCount => count(&|entry| entry.entry.statistics().map(|known| as_i64(known.row_count))),
        EntryField::ChunkCount => count(&|entry| Some(as_i64(entry.schema.chunk_count()))),
        EntryField::RawBytes => count(&|entry| {
            let cell_bytes = entry.schema.dtype.cell_bytes()? as u64;
            Some(as_i64(entry.schema.cell_count().saturating_mul(cell_bytes)))
        }),
        EntryField::Codec | EntryField::StoredBytes => {
            return Err(DataFusionError::Internal(format!("{field:?} is not in the catalog")));
        }
    })
}
