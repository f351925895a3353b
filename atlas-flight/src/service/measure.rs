//! A door for `benches/benches/flight.rs`, which measures on its own how batches become messages. Not part of the API.

use super::encode;
use super::frame::{Frame, FrameEncoder};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use std::fmt;
use tonic::Status;

/// Makes the messages of one stream.
pub struct Messages(FrameEncoder);

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages")
    }
}

impl Messages {
    /// For batches of this schema.
    ///
    /// # Errors
    /// Where IPC cannot carry a type.
    pub fn try_new(schema: &SchemaRef) -> Result<Self, Status> {
        FrameEncoder::try_new(schema).map(|(encoder, _)| Messages(encoder))
    }

    /// The messages of a batch, each in parts, as a stacked read sends it: one.
    ///
    /// # Errors
    /// As `FrameEncoder::frames`.
    pub fn of(&mut self, batch: &RecordBatch) -> Result<Vec<Vec<Bytes>>, Status> {
        let frames = self.0.frames(batch)?;
        Ok(frames.into_iter().map(Frame::into_parts).collect())
    }

    /// The same, as a query sends it: as many as keep each small.
    ///
    /// # Errors
    /// As `FrameEncoder::frames`.
    pub fn of_rows(&mut self, batch: &RecordBatch) -> Result<Vec<Vec<Bytes>>, Status> {
        let mut messages = Vec::new();
        for piece in encode::split(batch, encode::QUERY_MESSAGE_BYTES) {
            messages.extend(self.of(&piece)?);
        }
        Ok(messages)
    }
}
