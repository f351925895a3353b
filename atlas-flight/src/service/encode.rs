//! Arrow batches as streams of Flight messages.

use super::frame::{Frame, FrameEncoder};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow_flight::FlightData;
use futures::{Stream, StreamExt, stream};
use std::pin::Pin;
use tonic::Status;

/// What DoGet answers with, as the service's trait has it. [`respond`](super::direct::respond) makes it of frames.
pub(crate) type DataStream = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send + 'static>>;

/// The messages of an answer, ready to be sent.
pub(crate) type FrameStream = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send + 'static>>;

/// The largest message of a query's result: clients in Go and Rust refuse 4 MiB unless told otherwise.
pub(super) const QUERY_MESSAGE_BYTES: usize = 2 << 20;

/// One batch, which has the schema `schema`, as a whole stream.
///
/// # Errors
/// Where IPC cannot carry a type.
pub(crate) fn one_batch(batch: RecordBatch) -> Result<FrameStream, Status> {
    let schema = batch.schema();
    if batch.num_rows() == 0 {
        // Sent all the same: JDBC takes the columns of metadata from its first batch.
        return frame_stream(&schema, stream::iter([Ok(batch)]));
    }
    query_stream(&schema, stream::iter([Ok(batch)]))
}

/// Batches of a query's result, which have the schema `schema`, as messages small enough for every client.
///
/// # Errors
/// Where IPC cannot carry a type; later errors are in the stream.
pub(crate) fn query_stream(
    schema: &SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> Result<FrameStream, Status> {
    let pieces = batches.flat_map(|batch| {
        let pieces = match batch {
            Ok(batch) => split(&batch, QUERY_MESSAGE_BYTES).into_iter().map(Ok).collect(),
            Err(status) => vec![Err(status)],
        };
        stream::iter(pieces)
    });
    frame_stream(schema, pieces)
}

/// Batches, which have the schema `schema`, as one message each.
///
/// # Errors
/// Where IPC cannot carry a type; later errors are in the stream.
pub(crate) fn frame_stream(
    schema: &SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> Result<FrameStream, Status> {
    let (mut encoder, first) = FrameEncoder::try_new(schema)?;
    let frames = batches.flat_map(move |batch| {
        let frames = match batch.and_then(|batch| encoder.frames(&batch)) {
            Ok(frames) => frames.into_iter().map(Ok).collect(),
            Err(status) => vec![Err(status)],
        };
        stream::iter(frames)
    });
    Ok(Box::pin(stream::once(async { Ok(first) }).chain(frames)))
}

/// Cuts `batch` into runs of rows that encode to at most `limit` bytes each, or are one row.
pub(super) fn split(batch: &RecordBatch, limit: usize) -> Vec<RecordBatch> {
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
    use arrow::datatypes::Float64Type;
    use std::sync::Arc;

    fn batch(rows: usize) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(|i| i as f64)));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|i| "x".repeat(i % 50))));
        RecordBatch::try_from_iter([("n", numbers), ("s", texts)]).unwrap()
    }

    #[test]
    fn splitting_counts_the_rows_of_a_slice_only() {
        let whole = batch(10_000);
        assert_eq!(split(&whole.slice(5, 3), 1 << 20).len(), 1);
        let pieces = split(&whole, 64 << 10);
        assert!(pieces.len() > 3 && pieces.len() < 32, "{}", pieces.len());
        assert_eq!(pieces.iter().map(RecordBatch::num_rows).sum::<usize>(), 10_000);
        for piece in &pieces {
            let (mut encoder, _) = FrameEncoder::try_new(&piece.schema()).unwrap();
            let frames = encoder.frames(piece).unwrap();
            assert_eq!(frames.len(), 1);
            assert!(frames.into_iter().flat_map(Frame::into_parts).map(|part| part.len()).sum::<usize>() < 72 << 10);
        }
        let numbers = pieces.iter().flat_map(|piece| piece.column(0).as_primitive::<Float64Type>().values().to_vec());
        assert!(numbers.eq((0..10_000).map(f64::from)));
    }
}
