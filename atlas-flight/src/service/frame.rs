//! Arrow batches as gRPC frames around the memory of their columns.
//!
//! The stock way to a socket copies each buffer twice: into the body of a `FlightData`, and with that into the frame. A
//! [`Frame`] is a list of [`Bytes`], most of which are the columns' own buffers. What stands between them (the frame's
//! prefix, the fields of the protobuf message, the IPC header, padding, buffers that are small) is written here:
//!
//! ```text
//! prefix   0, u32 big endian: length of the message
//! message  tag 2, length, IPC header     (FlightData.data_header)
//!          tag 1000, length, body        (FlightData.data_body: the buffers, each padded)
//! ```

use crate::status;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::root_as_message;
use arrow::ipc::writer::StreamEncoder;
use arrow::record_batch::RecordBatch;
use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::{Code, Status};

/// The alignment that bodies get within their message, so that clients need not copy them to read them.
const BODY_ALIGNMENT: usize = 64;

/// Buffers shorter than this are copied next to their neighbours: a part of a frame costs more than such a copy.
const JOINED_BYTES: usize = 16 << 10;

/// Marker and length before each message of an IPC stream.
const IPC_PREFIX: usize = 8;

/// Fields of `FlightData`.
const DATA_HEADER: u32 = 2;
const DATA_BODY: u32 = 1000;

/// One message of a gRPC stream, with its prefix, in parts.
#[derive(Debug)]
pub(crate) struct Frame {
    parts: Vec<Bytes>,
}

impl Frame {
    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// The parts: the frame is these one after another.
    pub(crate) fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }
}

/// Makes the frames of one stream.
pub(crate) struct FrameEncoder {
    encoder: StreamEncoder,
}

impl FrameEncoder {
    /// An encoder for batches of this schema, and the frame that begins their stream.
    ///
    /// # Errors
    /// Where IPC cannot carry a type.
    pub(crate) fn try_new(schema: &SchemaRef) -> Result<(Self, Frame), Status> {
        let failed = |error: ArrowError| status::from_arrow(&error);
        let mut encoder = StreamEncoder::try_new(schema).map_err(failed)?;
        // The schema's message comes with the first batch.
        let first = encoder.encode(&RecordBatch::new_empty(schema.clone())).map_err(failed)?;
        let Some(message) = IpcBuffers::new(first).next_message()? else { return Err(unexpected()) };
        Ok((FrameEncoder { encoder }, message.into_frame()?))
    }

    /// The frames of a batch: one, and one more for each dictionary that is new.
    ///
    /// # Cost
    /// Buffers are shared. Offsets that do not start at 0, and bitmaps that do not start at a byte, are written anew.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` for a batch of 4 GiB and more.
    pub(crate) fn frames(&mut self, batch: &RecordBatch) -> Result<Vec<Frame>, Status> {
        let mut buffers = IpcBuffers::new(self.encoder.encode(batch).map_err(|error| status::from_arrow(&error))?);
        let mut frames = Vec::with_capacity(1);
        while let Some(message) = buffers.next_message()? {
            frames.push(message.into_frame()?);
        }
        Ok(frames)
    }
}

/// What arrow writes to an IPC stream, in buffers.
struct IpcBuffers {
    buffers: std::vec::IntoIter<Buffer>,
    /// What is left of a buffer that was taken in part.
    rest: Option<Buffer>,
}

/// One message of an IPC stream.
struct IpcMessage {
    header: Vec<u8>,
    body: Vec<Buffer>,
}

/// Arrow writes what this module does not expect.
fn unexpected() -> Status {
    status::internal(&"arrow wrote an IPC stream that does not fit its own lengths")
}

impl IpcBuffers {
    fn new(mut buffers: Vec<Buffer>) -> Self {
        // Empty ones are written, too: after the last message they would look like the start of another.
        buffers.retain(|buffer| !buffer.is_empty());
        IpcBuffers { buffers: buffers.into_iter(), rest: None }
    }

    fn next_message(&mut self) -> Result<Option<IpcMessage>, Status> {
        let Some(prefix) = self.copy(IPC_PREFIX)? else { return Ok(None) };
        let Some(Ok(length)) = prefix.get(4..).map(<[u8; 4]>::try_from) else { return Err(unexpected()) };
        let header_bytes = usize::try_from(u32::from_le_bytes(length)).map_err(|_| unexpected())?;
        let header = self.copy(header_bytes)?.ok_or_else(unexpected)?;
        let body_bytes = root_as_message(&header).map_err(|_| unexpected())?.bodyLength();
        let body = self.take(usize::try_from(body_bytes).map_err(|_| unexpected())?)?;
        Ok(Some(IpcMessage { header, body }))
    }

    /// The next `length` bytes in one piece; `None` at the end.
    fn copy(&mut self, length: usize) -> Result<Option<Vec<u8>>, Status> {
        if self.rest.is_none() && self.buffers.as_slice().is_empty() {
            return Ok(None);
        }
        let pieces = self.take(length)?;
        Ok(Some(pieces.iter().flat_map(|piece| piece.as_slice()).copied().collect()))
    }

    /// The next `length` bytes.
    fn take(&mut self, length: usize) -> Result<Vec<Buffer>, Status> {
        let (mut pieces, mut missing) = (Vec::new(), length);
        while missing > 0 {
            let buffer = self.rest.take().or_else(|| self.buffers.next()).ok_or_else(unexpected)?;
            if buffer.len() > missing {
                pieces.push(buffer.slice_with_length(0, missing));
                self.rest = Some(buffer.slice(missing));
                missing = 0;
            } else {
                missing -= buffer.len();
                pieces.push(buffer);
            }
        }
        Ok(pieces)
    }
}

impl IpcMessage {
    fn into_frame(self) -> Result<Frame, Status> {
        let IpcMessage { mut header, body } = self;
        let body_bytes = body.iter().map(Buffer::len).sum();
        // Readers follow offsets from the header's start: zeros after its end are not seen.
        header.resize(padded_header_len(header.len(), body_bytes), 0);
        let body_field = if body_bytes == 0 { 0 } else { field_len(DATA_BODY, body_bytes) + body_bytes };
        let message_bytes = field_len(DATA_HEADER, header.len()) + header.len() + body_field;
        let message_bytes = u32::try_from(message_bytes).map_err(|_| {
            let message = format!("a batch takes {message_bytes} bytes, one message holds 4 GiB: ask for less");
            status::status(Code::ResourceExhausted, &message)
        })?;
        let mut parts = Parts::default();
        parts.joined.put_u8(0);
        parts.joined.put_u32(message_bytes);
        put_field(&mut parts.joined, DATA_HEADER, header.len());
        parts.joined.put_slice(&header);
        if body_bytes > 0 {
            put_field(&mut parts.joined, DATA_BODY, body_bytes);
        }
        for buffer in body {
            parts.put(buffer);
        }
        Ok(Frame { parts: parts.finish() })
    }
}

/// The parts of a frame that is being written.
#[derive(Default)]
struct Parts {
    done: Vec<Bytes>,
    joined: BytesMut,
}

/// A buffer as the owner of [`Bytes`].
struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Parts {
    fn put(&mut self, buffer: Buffer) {
        if buffer.len() < JOINED_BYTES {
            self.joined.put_slice(&buffer);
            return;
        }
        self.end_joined();
        self.done.push(Bytes::from_owner(Shared(buffer)));
    }

    fn end_joined(&mut self) {
        if !self.joined.is_empty() {
            self.done.push(self.joined.split().freeze());
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.end_joined();
        self.done
    }
}

/// The header length, at least `header`, at which a body of `body` bytes starts aligned in the protobuf message.
fn padded_header_len(header: usize, body: usize) -> usize {
    // A header that grows by so much may need one more byte for its length.
    (header..header + 2 * BODY_ALIGNMENT)
        .find(|len| (field_len(DATA_HEADER, *len) + len + field_len(DATA_BODY, body)).is_multiple_of(BODY_ALIGNMENT))
        .unwrap_or(header)
}

/// How many bytes the tag and the length of a field take.
fn field_len(tag: u32, length: usize) -> usize {
    key_len(tag) + encoded_len_varint(length as u64)
}

fn put_field(into: &mut BytesMut, tag: u32, length: usize) {
    encode_key(tag, WireType::LengthDelimited, into);
    encode_varint(length as u64, into);
}

#[cfg(test)]
pub(crate) mod tests;
