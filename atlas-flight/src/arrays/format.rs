//! How a client gets array columns.

use super::json::json_text;
use super::nested::{is_nested, nested, nested_field};
use crate::status;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// The header in which a client asks for a format.
const HEADER: &str = "array_format";

/// How the array columns of a query's result are delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ArrayFormat {
    /// As Arrow's tensors: `arrow.fixed_shape_tensor` and `arrow.variable_shape_tensor`.
    #[default]
    Tensor,
    /// As lists of lists, one level a dimension.
    Nested,
    /// As JSON text.
    Json,
    /// Not at all.
    Omit,
}

impl ArrayFormat {
    /// What a client gets that asks for nothing: JSON text where it is known not to read lists, by its `user-agent`.
    ///
    /// JDBC's driver runs on grpc-java; Grafana names itself.
    pub fn of_client(user_agent: &str) -> Self {
        let agent = user_agent.to_ascii_lowercase();
        if agent.contains("grpc-java") || agent.contains("grafana") { ArrayFormat::Json } else { ArrayFormat::Tensor }
    }
}

impl ArrayFormat {
    /// What a call asks for in its headers, if anything.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` where it asks for a format that there is not.
    pub(crate) fn asked(headers: &MetadataMap) -> Result<Option<Self>, Status> {
        let wanted = headers.get(HEADER).and_then(|value| value.to_str().ok());
        let format = wanted.map(str::parse).transpose();
        format.map_err(|error: String| status::status(Code::InvalidArgument, &error))
    }

    /// What the client of a call gets that asks for nothing.
    pub(crate) fn of_agent(headers: &MetadataMap) -> Self {
        let agent = headers.get("user-agent").and_then(|value| value.to_str().ok());
        agent.map_or_else(Self::default, Self::of_client)
    }

    /// What a ticket names.
    pub(crate) fn of_ticket(name: &str) -> Self {
        name.parse().unwrap_or_default()
    }
}

impl FromStr for ArrayFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "tensor" => Ok(ArrayFormat::Tensor),
            "nested" => Ok(ArrayFormat::Nested),
            "json" => Ok(ArrayFormat::Json),
            "omit" => Ok(ArrayFormat::Omit),
            _ => Err(format!("array_format is tensor, nested, json or omit, not {text:?}")),
        }
    }
}

impl fmt::Display for ArrayFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ArrayFormat::Tensor => "tensor",
            ArrayFormat::Nested => "nested",
            ArrayFormat::Json => "json",
            ArrayFormat::Omit => "omit",
        })
    }
}

/// The columns of a result in one format.
#[derive(Debug, Clone)]
pub(crate) struct Shaped {
    format: ArrayFormat,
    given: SchemaRef,
    schema: SchemaRef,
}

impl Shaped {
    /// The columns of `schema` in this format.
    ///
    /// # Errors
    /// Where a column's type cannot be nested.
    pub(crate) fn try_new(format: ArrayFormat, schema: &SchemaRef) -> Result<Self, ArrowError> {
        let mut fields: Vec<FieldRef> = Vec::new();
        for field in schema.fields() {
            match (format, is_nested(field.data_type())) {
                (ArrayFormat::Tensor, _) | (_, false) => fields.push(Arc::clone(field)),
                (ArrayFormat::Nested, true) => fields.push(nested_field(field)?),
                (ArrayFormat::Json, true) => fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true))),
                (ArrayFormat::Omit, true) => {}
            }
        }
        let shaped = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Shaped { format, given: Arc::clone(schema), schema: shaped })
    }

    /// The schema of the batches that are given.
    pub(crate) fn given(&self) -> &SchemaRef {
        &self.given
    }

    /// The schema in this format.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch of the given schema in this format.
    ///
    /// # Errors
    /// Those of [`nested`].
    pub(crate) fn batch(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.format == ArrayFormat::Tensor {
            return Ok(batch);
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (field, column) in self.given.fields().iter().zip(batch.columns()) {
            match (self.format, is_nested(field.data_type())) {
                (ArrayFormat::Tensor, _) | (_, false) => columns.push(Arc::clone(column)),
                (ArrayFormat::Nested, true) => columns.push(nested(field, column)?.1),
                (ArrayFormat::Json, true) => columns.push(json_text(field, column)?),
                (ArrayFormat::Omit, true) => {}
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::arrays::nested::lists_of;
    use arrow::array::{Array, AsArray, Float32Array, Int64Array};
    use atlas_sql::tensor::EXTENSION_METADATA;

    fn batch() -> RecordBatch {
        let cells = Float32Array::from(vec![1.0, 2.5, f32::NAN, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let nulls = arrow::buffer::NullBuffer::from(vec![true, false]);
        let list = lists_of(4, Arc::new(cells), Some(nulls)).unwrap();
        let metadata = [(EXTENSION_METADATA.to_owned(), "{\"shape\":[2,2]}".to_owned())];
        let tensor = Field::new("t", list.data_type().clone(), true).with_metadata(metadata.into());
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false), tensor]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::new(list)]).unwrap()
    }

    #[test]
    fn each_format_gives_what_it_announces() {
        for (format, types) in [("tensor", 2), ("nested", 2), ("json", 2), ("omit", 1)] {
            let shaped = Shaped::try_new(format.parse().unwrap(), &batch().schema()).unwrap();
            let made = shaped.batch(batch()).unwrap();
            assert_eq!((made.schema(), made.num_columns(), made.num_rows()), (Arc::clone(shaped.schema()), types, 2));
            let empty = shaped.batch(batch().slice(0, 0)).unwrap();
            assert_eq!(empty.schema(), *shaped.schema(), "{format}");
        }
        let json = Shaped::try_new(ArrayFormat::Json, &batch().schema()).unwrap().batch(batch()).unwrap();
        let texts = json.column(1).as_string::<i32>();
        assert_eq!(texts.value(0), "[[1.0,2.5],[null,4.0]]");
        assert!(texts.is_null(1));
        let none = Shaped::try_new(ArrayFormat::Omit, &Arc::new(Schema::new(vec![batch().schema().field(1).clone()])));
        assert_eq!(none.unwrap().schema().fields().len(), 0);
    }

    #[test]
    fn clients_that_read_no_lists_get_text() {
        assert_eq!(ArrayFormat::of_client("grpc-java-netty/1.73.0"), ArrayFormat::Json);
        assert_eq!(ArrayFormat::of_client("grafana-flightsql/1.0 grpc-go/1.6"), ArrayFormat::Json);
        assert_eq!(ArrayFormat::of_client("grpc-c++/1.60 grpc-c/38 (linux)"), ArrayFormat::Tensor);
        assert!("flat".parse::<ArrayFormat>().is_err());
    }
}
