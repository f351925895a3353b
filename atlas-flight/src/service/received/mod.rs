//! Arrow messages of clients, checked before the Arrow crate decodes them: it allocates what a message claims, and panics on
//! some that lie.

mod schema;

use arrow::ipc::{self, MessageHeader};
use arrow_flight::FlightData;
use tonic::Status;

/// The most bytes that the compressed buffers of one message may claim to be.
const MAX_UNCOMPRESSED_BYTES: u64 = 256 << 20;

/// The most rows that one message may claim: some types have rows without a byte.
const MAX_ROWS: i64 = 1 << 24;

/// The length that stands before a compressed buffer where it is not compressed.
const NOT_COMPRESSED: i64 = -1;

/// Passes a message on whose claims its bytes bear out.
///
/// # Errors
/// `INVALID_ARGUMENT` that says what is wrong with it.
pub(super) fn check(message: FlightData) -> Result<FlightData, Status> {
    if message.data_header.is_empty() {
        return Ok(message);
    }
    let invalid = |what: &str| Status::invalid_argument(format!("an Arrow message of the stream {what}"));
    let header = ipc::root_as_message(&message.data_header).map_err(|_| invalid("is not readable"))?;
    let batch = match header.header_type() {
        MessageHeader::Schema => {
            let schema = header.header_as_schema().ok_or("has no schema").and_then(schema::check);
            return schema.map(|()| message).map_err(invalid);
        }
        MessageHeader::RecordBatch => header.header_as_record_batch(),
        MessageHeader::DictionaryBatch => header.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()),
        _ => return Err(invalid("is neither a schema nor a batch")),
    };
    let batch = batch.ok_or_else(|| invalid("has no batch"))?;
    // A value takes a bit at least, but for types without a byte.
    let bits = i64::try_from(message.data_body.len()).unwrap_or(i64::MAX).saturating_mul(8);
    let within = |rows: i64| (0..=bits.max(MAX_ROWS)).contains(&rows);
    let nodes_fit = batch
        .nodes()
        .iter()
        .flatten()
        .all(|node| within(node.length()) && (0..=node.length()).contains(&node.null_count()));
    if !within(batch.length()) || !nodes_fit {
        return Err(invalid("has a number of rows that its bytes cannot hold"));
    }
    let mut uncompressed = 0u64;
    for buffer in batch.buffers().iter().flatten() {
        let start = usize::try_from(buffer.offset()).ok();
        let end =
            start.zip(usize::try_from(buffer.length()).ok()).and_then(|(start, length)| start.checked_add(length));
        let bytes = start.zip(end).and_then(|(start, end)| message.data_body.get(start..end));
        let bytes = bytes.ok_or_else(|| invalid("has a buffer outside of its body"))?;
        if batch.compression().is_some() && !bytes.is_empty() {
            let claimed = bytes.first_chunk().map(|claimed| i64::from_le_bytes(*claimed));
            let claimed = claimed.filter(|claimed| *claimed != NOT_COMPRESSED).map_or(Ok(0), u64::try_from);
            let claimed = claimed.map_err(|_| invalid("has a compressed buffer of negative length"))?;
            uncompressed = uncompressed.saturating_add(claimed);
        }
    }
    if uncompressed > MAX_UNCOMPRESSED_BYTES {
        let what = format!("has {uncompressed} bytes uncompressed, the limit is {MAX_UNCOMPRESSED_BYTES}");
        return Err(Status::resource_exhausted(format!("an Arrow message of the stream {what}")));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::service::frame::tests::sent;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use std::sync::Arc;
    use tonic::Code;

    fn batch() -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap()
    }

    #[test]
    fn what_is_true_passes() {
        for message in sent(&batch()) {
            check(message).unwrap();
        }
        check(FlightData::default()).unwrap();
    }

    #[test]
    fn claims_beyond_the_body_are_refused() {
        let [_, message] = sent(&batch());
        for cut in [0, 8, message.data_body.len() - 64] {
            let short = FlightData { data_body: message.data_body.slice(..cut), ..message.clone() };
            let status = check(short).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains("outside of its body"), "{}", status.message());
        }
        let noise = FlightData { data_header: vec![7; 40].into(), ..message };
        assert!(check(noise).unwrap_err().message().contains("not readable"));
    }

    #[test]
    fn compressed_buffers_claim_no_more_than_is_allowed() {
        use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
        let options = IpcWriteOptions::default().try_with_compression(Some(ipc::CompressionType::ZSTD)).unwrap();
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7; 4096]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let mut dictionaries = DictionaryTracker::new(true);
        let (_, encoded) = IpcDataGenerator::default()
            .encode(&batch, &mut dictionaries, &options, &mut IpcWriteContext::default())
            .unwrap();
        let message = |body: Vec<u8>| FlightData {
            data_header: encoded.ipc_message.clone().into(),
            data_body: body.into(),
            ..FlightData::default()
        };
        check(message(encoded.arrow_data.clone())).unwrap();
        let start = encoded.arrow_data.windows(8).position(|bytes| bytes == 32_768i64.to_le_bytes()).unwrap();
        for (claim, code) in [(1i64 << 50, Code::ResourceExhausted), (-2, Code::InvalidArgument)] {
            let mut body = encoded.arrow_data.clone();
            body[start..start + 8].copy_from_slice(&claim.to_le_bytes());
            assert_eq!(check(message(body)).unwrap_err().code(), code, "{claim}");
        }
    }
}
