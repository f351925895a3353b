//! The values of a query's parameters.

use super::boundary;
use crate::service::encode::batch_bytes;
use crate::status;
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow_flight::decode::FlightRecordBatchStream;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use futures::TryStreamExt;
use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;
use tonic::{Code, Status};

/// The most bytes that one query's parameters can take.
const MAX_PARAMETER_BYTES: usize = 16 << 20;

/// Values of `$1`, `$2`, … in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Parameters {
    values: Vec<ScalarValue>,
}

impl Parameters {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The values.
    pub(crate) fn values(&self) -> Vec<ScalarValue> {
        self.values.clone()
    }

    /// The one row that a client binds, by position: names differ from client to client.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for several rows, too many bytes, or what is no Arrow data.
    pub(crate) async fn receive(mut batches: FlightRecordBatchStream) -> Result<Self, Status> {
        let mut parameters = None;
        let mut bytes = 0;
        while let Some(batch) = batches.try_next().await.map_err(status::from_flight)? {
            bytes += batch_bytes(&batch);
            if bytes > MAX_PARAMETER_BYTES {
                let message = format!("the parameters take {bytes} bytes, the limit is {MAX_PARAMETER_BYTES}");
                return Err(status::status(Code::ResourceExhausted, &message));
            }
            if batch.num_rows() == 0 {
                continue;
            }
            if batch.num_rows() > 1 || parameters.is_some() {
                return Err(Status::invalid_argument("a query takes one row of parameters, more were bound"));
            }
            parameters = Some(Self::from_row(&batch)?);
        }
        Ok(parameters.unwrap_or_default())
    }

    /// The parameters as bytes for a ticket.
    ///
    /// # Errors
    /// `INTERNAL` where Arrow cannot write them.
    pub(crate) fn to_bytes(&self) -> Result<Bytes, Status> {
        if self.is_empty() {
            return Ok(Bytes::new());
        }
        let failed = |error| status::from_arrow(&error);
        let columns = self
            .values
            .iter()
            .map(ScalarValue::to_array)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| status::from_datafusion(&error))?;
        let fields: Vec<_> =
            columns.iter().map(|column| Field::new("parameter", column.data_type().clone(), true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let row =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(failed)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &row.schema()).map_err(failed)?;
        writer.write(&row).map_err(failed)?;
        Ok(writer.into_inner().map_err(failed)?.into())
    }

    /// The parameters that [`Parameters::to_bytes`] wrote.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for other bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Status> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let malformed = || Status::invalid_argument("the ticket's parameters are not readable");
        let mut reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(|_| malformed())?;
        let row = reader.next().and_then(Result::ok).filter(|row| row.num_rows() == 1).ok_or_else(malformed)?;
        Self::from_row(&row)
    }

    /// The values of a batch of one row.
    ///
    /// # Errors
    /// For a type that no value can have.
    pub(crate) fn from_row(row: &RecordBatch) -> Result<Self, Status> {
        let values = row.columns().iter().map(value_of).collect::<Result<_, _>>()?;
        Ok(Parameters { values })
    }
}

fn value_of(column: &ArrayRef) -> Result<ScalarValue, Status> {
    let value = ScalarValue::try_from_array(column, 0).map_err(|error| status::from_datafusion(&error))?;
    Ok(plain(value))
}

/// A value without the wrapping that some clients send it in: a union of all types, a dictionary.
fn plain(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Union(Some((_, value)), _, _) => plain(*value),
        ScalarValue::Union(None, _, _) => ScalarValue::Null,
        ScalarValue::Dictionary(_, value) => plain(*value),
        other => other,
    }
}

/// The schema of what a client is to bind, in order. Types that the query leaves open are text: JDBC cannot bind null.
///
/// # Errors
/// `INVALID_ARGUMENT` where one parameter is used as two types.
pub(crate) fn parameter_schema(plan: &LogicalPlan, count: usize) -> Result<Schema, Status> {
    let known = plan.get_parameter_fields().map_err(|error| status::from_datafusion(&error))?;
    let casts = cast_parameters(plan)?;
    // By number: sorted as text, $10 would come before $2.
    let fields = (1..=count).map(|position| {
        let name = format!("${position}");
        let known = known.get(&name).and_then(|field| field.as_ref()).map(|field| field.data_type());
        let data_type = match known {
            None | Some(DataType::Null) => casts.get(&name).map_or(DataType::Utf8, declared),
            Some(known) => declared(known),
        };
        Field::new(name, data_type, true)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// The type that a client is told of a parameter of this type. Times are those of milliseconds: JDBC's driver sends these,
/// whatever unit it is told; other clients send what they have.
pub(crate) fn declared(known: &DataType) -> DataType {
    match boundary::client_type(known) {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone),
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Date64 => DataType::Date32,
        other => other,
    }
}

/// The types that the query itself casts its parameters to.
fn cast_parameters(plan: &LogicalPlan) -> Result<HashMap<String, DataType>, Status> {
    let mut casts = HashMap::new();
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                let cast = match expression {
                    Expr::Cast(cast) => Some((&cast.expr, cast.field.data_type())),
                    Expr::TryCast(cast) => Some((&cast.expr, cast.field.data_type())),
                    _ => None,
                };
                if let Some((Expr::Placeholder(parameter), kind)) = cast.map(|(inner, kind)| (inner.as_ref(), kind)) {
                    casts.entry(parameter.id.clone()).or_insert_with(|| kind.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.map_err(|error| status::from_datafusion(&error))?;
    Ok(casts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use arrow::array::{Float64Array, Int32Array, StringArray, UnionArray};
    use arrow::buffer::ScalarBuffer;
    use arrow::datatypes::UnionFields;

    #[test]
    fn values_survive_a_ticket() {
        let parameters = Parameters {
            values: vec![
                ScalarValue::Int64(Some(-3)),
                ScalarValue::Utf8(None),
                ScalarValue::Utf8(Some("é".into())),
                ScalarValue::TimestampNanosecond(Some(5), None),
                ScalarValue::Null,
            ],
        };
        assert_eq!(Parameters::from_bytes(&parameters.to_bytes().unwrap()).unwrap(), parameters);
        assert!(Parameters::from_bytes(b"").unwrap().is_empty());
        assert_eq!(Parameters::from_bytes(b"xyz").unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn values_come_out_of_dense_unions() {
        let fields: UnionFields = [
            (0i8, Arc::new(Field::new("i", DataType::Int32, true))),
            (1i8, Arc::new(Field::new("f", DataType::Float64, true))),
            (2i8, Arc::new(Field::new("s", DataType::Utf8, true))),
        ]
        .into_iter()
        .collect();
        let children: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(Vec::<i32>::new())),
            Arc::new(Float64Array::from(vec![2.5])),
            Arc::new(StringArray::from(Vec::<&str>::new())),
        ];
        let union =
            UnionArray::try_new(fields, ScalarBuffer::from(vec![1i8]), Some(ScalarBuffer::from(vec![0i32])), children);
        let column: ArrayRef = Arc::new(union.unwrap());
        assert_eq!(value_of(&column).unwrap(), ScalarValue::Float64(Some(2.5)));
    }
}
