//! Frames beside what arrow's own writer gives, and read back, for columns of every kind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests of small random batches"
)]

use super::*;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
    FixedSizeListArray, Float32Array, Float64Array, Int8Array, Int64Array, LargeBinaryArray, LargeListArray,
    LargeStringArray, ListArray, MapArray, NullArray, StringArray, StructArray, TimestampNanosecondArray, UInt16Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int8Type, Schema};
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatchOptions;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{StreamExt, stream};
use proptest::prelude::*;
use prost::Message;
use std::sync::Arc;

/// What a client gets of a frame.
fn received(frame: Frame) -> FlightData {
    let bytes: Vec<u8> = frame.into_parts().concat();
    let (prefix, message) = bytes.split_at(5);
    assert_eq!(prefix[0], 0, "not compressed");
    assert_eq!(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize, message.len());
    FlightData::decode(message).unwrap()
}

/// What a client gets of a stream of one batch without dictionaries: its schema and its columns.
pub(crate) fn sent(batch: &RecordBatch) -> [FlightData; 2] {
    let (mut encoder, first) = FrameEncoder::try_new(&batch.schema()).unwrap();
    [received(first), received(encoder.frames(batch).unwrap().remove(0))]
}

/// The batches that arrow's client makes of messages.
fn read(messages: Vec<FlightData>) -> Vec<RecordBatch> {
    let messages = stream::iter(messages.into_iter().map(Ok::<_, FlightError>));
    let batches = FlightRecordBatchStream::new_from_flight_data(messages).collect::<Vec<_>>();
    futures::executor::block_on(batches).into_iter().map(Result::unwrap).collect()
}

fn stock(batch: &RecordBatch) -> (Vec<u8>, Vec<u8>) {
    let mut dictionaries = DictionaryTracker::new(true);
    let (_, encoded) = IpcDataGenerator::default()
        .encode(batch, &mut dictionaries, &IpcWriteOptions::default(), &mut IpcWriteContext::default())
        .unwrap();
    (encoded.ipc_message, encoded.arrow_data)
}

/// Where the body starts in the message of a frame.
fn body_start(message: &FlightData) -> usize {
    message.encoded_len() - message.data_body.len()
}

/// Numbers that depend on nothing but the seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn nulls(&mut self, len: usize) -> Option<NullBuffer> {
        let valid = (0..len).map(|_| !self.next().is_multiple_of(4)).collect::<Vec<_>>();
        (!self.next().is_multiple_of(3)).then(|| NullBuffer::from(valid))
    }

    fn lengths(&mut self, len: usize) -> Vec<usize> {
        (0..len).map(|_| self.below(4)).collect()
    }

    fn text(&mut self) -> String {
        "añ€x".chars().cycle().take(self.below(9)).collect()
    }

    /// A column of some type, nested to this depth, which may be a slice of a longer one.
    fn array(&mut self, len: usize, depth: usize) -> ArrayRef {
        let (before, after) = (self.below(3) * self.below(11), self.below(9));
        let array = self.whole(before + len + after, depth);
        array.slice(before, len)
    }

    fn whole(&mut self, len: usize, depth: usize) -> ArrayRef {
        let nulls = self.nulls(len);
        let numbers: Vec<i64> = (0..len).map(|_| self.next() as i64).collect();
        let texts: Vec<Option<String>> = (0..len).map(|_| self.next().is_multiple_of(5).then(|| self.text())).collect();
        let bytes = texts.iter().map(|text| text.as_ref().map(String::as_bytes));
        match self.below(if depth == 0 { 13 } else { 18 }) {
            0 => Arc::new(NullArray::new(len)),
            1 => Arc::new(BooleanArray::new(numbers.iter().map(|number| number % 3 == 0).collect(), nulls)),
            2 => Arc::new(Int8Array::new(numbers.iter().map(|number| *number as i8).collect(), nulls)),
            3 => Arc::new(UInt16Array::new(numbers.iter().map(|number| *number as u16).collect(), nulls)),
            4 => Arc::new(Float32Array::new(numbers.iter().map(|number| *number as f32).collect(), nulls)),
            5 => Arc::new(TimestampNanosecondArray::new(numbers.into(), nulls)),
            6 => Arc::new(Decimal128Array::new(numbers.iter().map(|number| i128::from(*number)).collect(), nulls)),
            7 => Arc::new(StringArray::from_iter(texts)),
            8 => Arc::new(LargeStringArray::from_iter(texts)),
            9 => Arc::new(BinaryArray::from_iter(bytes)),
            10 => Arc::new(LargeBinaryArray::from_iter(bytes)),
            11 => {
                let values: Buffer = numbers.iter().flat_map(|number| number.to_le_bytes()[..3].to_vec()).collect();
                Arc::new(FixedSizeBinaryArray::new(3, values, nulls))
            }
            12 => Arc::new(Int64Array::new(numbers.into(), nulls)),
            13 => {
                let offsets = OffsetBuffer::<i32>::from_lengths(self.lengths(len));
                let values = self.array(offsets[len] as usize, depth - 1);
                let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
                Arc::new(ListArray::new(item, offsets, values, nulls))
            }
            14 => {
                let offsets = OffsetBuffer::<i64>::from_lengths(self.lengths(len));
                let values = self.array(offsets[len] as usize, depth - 1);
                let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
                Arc::new(LargeListArray::new(item, offsets, values, nulls))
            }
            15 => {
                let size = self.below(4);
                let values = self.array(len * size, depth - 1);
                let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
                let array = FixedSizeListArray::try_new_with_length(item, size as i32, values, nulls, len);
                Arc::new(array.unwrap())
            }
            16 => {
                let columns: Vec<ArrayRef> = (0..self.below(4)).map(|_| self.array(len, depth - 1)).collect();
                let field = |column: &ArrayRef| Field::new("f", column.data_type().clone(), true);
                let fields: Fields = columns.iter().map(field).collect();
                Arc::new(StructArray::try_new_with_length(fields, columns, nulls, len).unwrap())
            }
            _ => {
                let offsets = OffsetBuffer::<i32>::from_lengths(self.lengths(len));
                let entries = offsets[len] as usize;
                let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..entries as i64));
                let values = self.array(entries, depth - 1);
                let fields: Fields = vec![
                    Field::new("keys", DataType::Int64, false),
                    Field::new("values", values.data_type().clone(), true),
                ]
                .into();
                let field = Arc::new(Field::new("entries", DataType::Struct(fields.clone()), false));
                let entries = StructArray::new(fields, vec![keys, values], None);
                Arc::new(MapArray::new(field, offsets, entries, nulls, false))
            }
        }
    }

    fn batch(&mut self) -> RecordBatch {
        let rows = self.below(2) * self.below(70);
        let columns: Vec<ArrayRef> = (0..self.below(5)).map(|_| self.array(rows, 2)).collect();
        let field = |(at, column): (usize, &ArrayRef)| Field::new(at.to_string(), column.data_type().clone(), true);
        let fields: Fields = columns.iter().enumerate().map(field).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn frames_are_what_arrow_writes(seed: u64) {
        let batch = Random(seed).batch();
        let (mut encoder, _) = FrameEncoder::try_new(&batch.schema()).unwrap();
        prop_assert_eq!(encoder.frames(&batch).unwrap().len(), 1);
        let [first, message] = sent(&batch);
        let (header, body) = stock(&batch);
        prop_assert_eq!(&message.data_header[..header.len()], &header);
        prop_assert!(message.data_header[header.len()..].iter().all(|byte| *byte == 0));
        prop_assert_eq!(&message.data_body[..], &body);
        if !body.is_empty() {
            prop_assert_eq!(body_start(&message) % BODY_ALIGNMENT, 0);
        }
        // And the encoder goes on as it began.
        let again = received(encoder.frames(&batch).unwrap().remove(0));
        prop_assert_eq!(&again, &message);
        prop_assert_eq!(read(vec![first, message, again]), vec![batch.clone(), batch]);
    }
}

#[test]
fn a_column_is_sent_from_where_it_lies() {
    let values = Float64Array::from_iter_values((0..100_000).map(f64::from));
    let names = StringArray::from_iter_values((0..1000).map(|row| format!("{row:05}")));
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    let lists = FixedSizeListArray::new(item, 100, Arc::new(values.clone()), None);
    let batch = RecordBatch::try_from_iter([("names", Arc::new(names) as ArrayRef), ("lists", Arc::new(lists))]);
    let batch = batch.unwrap();
    for (batch, first) in [(batch.clone(), 0), (batch.slice(10, 900), 1000)] {
        let (mut encoder, _) = FrameEncoder::try_new(&batch.schema()).unwrap();
        let parts = encoder.frames(&batch).unwrap().remove(0).into_parts();
        let cells = batch.num_rows() * 100;
        let places: Vec<_> = parts.iter().map(|part| (part.as_ptr(), part.len())).collect();
        assert_eq!(places[1], (values.values()[first..].as_ptr().cast(), cells * size_of::<f64>()));
        let copied: usize = [&parts[..1], &parts[2..]].concat().iter().map(Bytes::len).sum();
        assert!(copied < JOINED_BYTES, "{copied} bytes beside the column");
    }
}

#[test]
fn the_memory_of_a_column_is_given_back_once_its_frame_is_sent() {
    let values = Arc::new(Int64Array::from_iter_values(0..10_000));
    let batch = RecordBatch::try_from_iter([("n", Arc::clone(&values) as ArrayRef)]).unwrap();
    let (mut encoder, _) = FrameEncoder::try_new(&batch.schema()).unwrap();
    let buffer = values.values().inner().clone();
    drop(values);
    let frame = encoder.frames(&batch).unwrap();
    drop(batch);
    let held = buffer.strong_count();
    drop(frame);
    assert_eq!((held, buffer.strong_count()), (2, 1));
}

#[test]
fn headers_are_padded_where_their_length_grows_by_a_byte() {
    for header in 0..20_000 {
        for body in [0, 1, 127, 128, 16_383, 16_384, 12 << 20, 1 << 31] {
            let padded = padded_header_len(header, body);
            let start = field_len(DATA_HEADER, padded) + padded + field_len(DATA_BODY, body);
            assert!(start.is_multiple_of(BODY_ALIGNMENT) && padded >= header, "{header} {body}");
        }
    }
}

#[test]
fn a_dictionary_goes_before_the_batch_that_needs_it() {
    let values: DictionaryArray<Int8Type> = vec!["x", "y", "x"].into_iter().collect();
    let batch = RecordBatch::try_from_iter([("d", Arc::new(values) as ArrayRef)]).unwrap();
    let (mut encoder, first) = FrameEncoder::try_new(&batch.schema()).unwrap();
    let mut messages = vec![received(first)];
    for frames in [2, 1] {
        let made = encoder.frames(&batch).unwrap();
        assert_eq!(made.len(), frames);
        messages.extend(made.into_iter().map(received));
    }
    assert_eq!(read(messages), vec![batch.clone(), batch]);
}
