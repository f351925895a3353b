//! Arrow batches as Flight messages.

use crate::status;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::{FlightData, SchemaAsIpc};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use std::pin::Pin;
use tonic::Status;

/// What DoGet answers with.
pub(crate) type DataStream = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send + 'static>>;

/// The largest message of a query's result: clients in Go and Rust refuse 4 MiB unless told otherwise.
const QUERY_MESSAGE_BYTES: usize = 2 << 20;

/// The alignment that bodies get within their message, so that clients need not copy them to read them.
const BODY_ALIGNMENT: usize = 16;

/// The schema message that begins every stream.
pub(crate) fn schema_message(schema: &Schema) -> FlightData {
    SchemaAsIpc::new(schema, &IpcWriteOptions::default()).into()
}

/// A batch without dictionaries as one message.
pub(crate) fn batch_message(batch: &RecordBatch) -> Result<FlightData, Status> {
    let mut dictionaries = DictionaryTracker::new(true);
    let (_, encoded) = IpcDataGenerator::default()
        .encode(batch, &mut dictionaries, &IpcWriteOptions::default(), &mut IpcWriteContext::default())
        .map_err(|error| status::from_arrow(&error))?;
    let mut header = encoded.ipc_message;
    let body = encoded.arrow_data;
    // Readers follow offsets from the header's start: zeros after its end are not seen.
    header.resize(padded_header_len(header.len(), body.len()), 0);
    Ok(FlightData { data_header: Bytes::from(header), data_body: Bytes::from(body), ..FlightData::default() })
}

/// The header length, at least `header`, at which a body of `body` bytes starts aligned in the protobuf message.
///
/// The message is `tag(1) length header tag(2) length body`; the lengths are varints.
fn padded_header_len(header: usize, body: usize) -> usize {
    let after_header = 2 + prost::length_delimiter_len(body);
    (header..header + 2 * BODY_ALIGNMENT)
        .find(|len| (1 + prost::length_delimiter_len(*len) + len + after_header).is_multiple_of(BODY_ALIGNMENT))
        .unwrap_or(header)
}

/// The columns of `batch` under `schema`, which has the same types but may differ in nullability and metadata.
pub(crate) fn conform(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Status> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().to_vec();
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|error| status::internal(&error))
}

/// One batch, which has the schema `schema`, as a whole stream.
pub(crate) fn one_batch(batch: RecordBatch) -> DataStream {
    let schema = batch.schema();
    query_stream(&schema, stream::iter([Ok(batch)]))
}

/// Batches of a query's result, which have the schema `schema`, as messages small enough for every client.
pub(crate) fn query_stream(
    schema: &Schema,
    batches: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> DataStream {
    let first = schema_message(schema);
    let messages = batches.flat_map(|batch| {
        let pieces = match batch {
            Ok(batch) => split(&batch, QUERY_MESSAGE_BYTES),
            Err(status) => return stream::iter(vec![Err(status)]),
        };
        stream::iter(pieces.iter().map(batch_message).collect::<Vec<_>>())
    });
    Box::pin(stream::once(async { Ok(first) }).chain(messages))
}

/// Cuts `batch` into runs of rows that encode to at most `limit` bytes each, or are one row.
fn split(batch: &RecordBatch, limit: usize) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    let mut rest = vec![batch.clone()];
    while let Some(batch) = rest.pop() {
        let rows = batch.num_rows();
        if rows == 0 {
            continue;
        }
        if batch_bytes(&batch) <= limit || rows == 1 {
            pieces.push(batch);
        } else {
            rest.push(batch.slice(rows / 2, rows - rows / 2));
            rest.push(batch.slice(0, rows / 2));
        }
    }
    pieces
}

/// About how many bytes of a message a batch takes.
pub(crate) fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(encoded_bytes).sum()
}

/// About how many bytes of a message a column takes: of its own rows, not of the buffers that it is a slice of.
fn encoded_bytes(array: &ArrayRef) -> usize {
    let rows = array.len();
    let validity = if array.null_count() > 0 { rows / 8 + 1 } else { 0 };
    let values = match array.data_type() {
        DataType::Utf8 => 4 * rows + span(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => 8 * rows + span(array.as_string::<i64>().value_offsets()),
        DataType::Binary => 4 * rows + span(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => 8 * rows + span(array.as_binary::<i64>().value_offsets()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let start = list.value_offsets().first().map_or(0, |offset| to_usize(*offset));
            4 * rows + encoded_bytes(&list.values().slice(start, span(list.value_offsets())))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let start = list.value_offsets().first().map_or(0, |offset| to_usize(*offset));
            8 * rows + encoded_bytes(&list.values().slice(start, span(list.value_offsets())))
        }
        DataType::FixedSizeList(_, _) => encoded_bytes(array.as_fixed_size_list().values()),
        DataType::Struct(_) => array.as_struct().columns().iter().map(encoded_bytes).sum(),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    };
    values + validity
}

/// The length of the values that a run of offsets covers.
fn span<T: Copy + TryInto<usize>>(offsets: &[T]) -> usize {
    let first = offsets.first().map_or(0, |offset| to_usize(*offset));
    let last = offsets.last().map_or(0, |offset| to_usize(*offset));
    last.saturating_sub(first)
}

fn to_usize<T: TryInto<usize>>(offset: T) -> usize {
    offset.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use arrow::array::{Float64Array, StringArray};
    use arrow::datatypes::{Field, Float64Type};
    use prost::Message;
    use std::sync::Arc;

    fn batch(rows: usize) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(|i| i as f64)));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|i| "x".repeat(i % 50))));
        RecordBatch::try_from_iter([("n", numbers), ("s", texts)]).unwrap()
    }

    #[test]
    fn bodies_start_aligned_in_their_message() {
        for rows in [0, 1, 7, 100, 1000, 20_000] {
            let message = batch_message(&batch(rows)).unwrap();
            let encoded = message.encode_to_vec();
            assert_eq!((encoded.len() - message.data_body.len()) % BODY_ALIGNMENT, 0, "{rows} rows");
        }
    }

    #[test]
    fn splitting_counts_the_rows_of_a_slice_only() {
        let whole = batch(10_000);
        assert_eq!(split(&whole.slice(5, 3), 1 << 20).len(), 1);
        let pieces = split(&whole, 64 << 10);
        assert!(pieces.len() > 3 && pieces.len() < 32, "{}", pieces.len());
        assert_eq!(pieces.iter().map(RecordBatch::num_rows).sum::<usize>(), 10_000);
        for piece in &pieces {
            assert!(batch_message(piece).unwrap().data_body.len() < 72 << 10);
        }
        let numbers = pieces.iter().flat_map(|piece| piece.column(0).as_primitive::<Float64Type>().values().to_vec());
        assert!(numbers.eq((0..10_000).map(f64::from)));
    }

    #[test]
    fn a_batch_takes_on_the_announced_schema() {
        let announced = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Float64, true).with_metadata([("unit".into(), "m".into())].into()),
            Field::new("s", DataType::Utf8, false),
        ]));
        let conformed = conform(batch(3), &announced).unwrap();
        assert_eq!(conformed.schema(), announced);
    }
}
