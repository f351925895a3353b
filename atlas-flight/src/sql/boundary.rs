//! The SQL boundary: the types that every client reads, in place of those that only some do.
//!
//! Views, dictionaries, run-ends, half floats and small decimals are cast to their plain kin, at any depth. All else,
//! field metadata included, passes unchanged.

use crate::status;
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use std::sync::Arc;
use tonic::Status;

/// The schema that a client sees of columns with the schema `schema`.
pub(crate) fn client_schema(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(client_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The columns of `batch` cast to the types of `schema`, which [`client_schema`] made, and under that schema.
///
/// # Errors
/// `INTERNAL` where the batch has other columns than were planned.
pub(crate) fn client_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Status> {
    if batch.num_columns() != schema.fields().len() {
        let (got, announced) = (batch.num_columns(), schema.fields().len());
        return Err(status::internal(&format!("a batch has {got} columns, {announced} were announced")));
    }
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| client_column(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|error| status::internal(&error))
}

fn client_column(column: &ArrayRef, announced: &DataType) -> Result<ArrayRef, Status> {
    if column.data_type() == announced {
        return Ok(column.clone());
    }
    if column.data_type().equals_datatype(announced) {
        // Only names, nullability or metadata of nested fields differ.
        let data = column.to_data().into_builder().data_type(announced.clone());
        let data = data.build().map_err(|error| status::from_arrow(&error))?;
        return Ok(arrow::array::make_array(data));
    }
    cast(column, announced).map_err(|error| status::from_arrow(&error))
}

fn client_field(field: &FieldRef) -> FieldRef {
    let data_type = client_type(field.data_type());
    if &data_type == field.data_type() {
        return field.clone();
    }
    let plain = Field::new(field.name(), data_type, field.is_nullable());
    Arc::new(plain.with_metadata(field.metadata().clone()))
}

/// The type that a client sees of a column of type `data_type`.
pub(crate) fn client_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, values) => client_type(values),
        DataType::RunEndEncoded(_, values) => client_type(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(client_field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(client_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(client_field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(client_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(client_field(entries), *sorted),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use arrow::array::{Float16Array, Int32Array, Int64Array, ListArray, StringArray, StringViewArray};
    use arrow::datatypes::Int32Type;

    #[test]
    fn types_that_few_clients_read_are_cast() {
        let views: ArrayRef =
            Arc::new(StringViewArray::from(vec![Some("a"), None, Some("a long string, not inlined")]));
        let dictionary = cast(
            &StringArray::from(vec!["x", "y", "x"]),
            &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
        );
        let runs = cast(
            &Int64Array::from(vec![7, 7, 8]),
            &DataType::RunEndEncoded(
                Arc::new(Field::new("run_ends", DataType::Int32, false)),
                Arc::new(Field::new("values", DataType::Int64, true)),
            ),
        );
        let halves: ArrayRef = Arc::new(Float16Array::from_iter_values([1.5f32, 2.0, -1.0].map(half_of)));
        let lists: ArrayRef =
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([None, Some(vec![Some(1)]), None]));
        let lists = cast(&lists, &DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true)))).unwrap();
        let batch = RecordBatch::try_from_iter([
            ("views", views),
            ("dictionary", dictionary.unwrap()),
            ("runs", runs.unwrap()),
            ("halves", halves),
            ("lists", lists),
            ("plain", Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef),
        ])
        .unwrap();
        let schema = client_schema(&batch.schema());
        let seen = client_batch(&batch, &schema).unwrap();
        let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let text_list = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
        let expected = [DataType::Utf8, DataType::Utf8, DataType::Int64, DataType::Float32, text_list, DataType::Int32];
        assert_eq!(types, expected);
        assert_eq!(seen.schema(), schema);
        assert_eq!(client_schema(&schema), schema, "a client's schema is its own");
    }

    fn half_of(value: f32) -> <arrow::datatypes::Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native {
        <arrow::datatypes::Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native::from_f32(value)
    }

    #[test]
    fn field_metadata_passes() {
        let metadata: std::collections::HashMap<_, _> = [("k".to_string(), "v".to_string())].into();
        let field = Field::new("t", DataType::Utf8View, false).with_metadata(metadata.clone());
        let schema = client_schema(&Schema::new(vec![field]));
        assert_eq!(schema.field(0).metadata(), &metadata);
        assert!(!schema.field(0).is_nullable());
    }
}
