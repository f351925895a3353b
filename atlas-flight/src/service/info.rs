//! FlightInfo and the schema bytes in it.

use crate::status;
use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket};
use bytes::Bytes;
use tonic::Status;

/// A schema as FlightInfo, SchemaResult and prepared statements carry it.
///
/// # Errors
/// `INTERNAL` where Arrow cannot write it.
pub(crate) fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    message.map(|IpcMessage(bytes)| bytes).map_err(|error| status::internal(&error))
}

/// A FlightInfo with one endpoint for each ticket.
///
/// Endpoints have no location: the connection that asked is the one to read from, and some clients connect to the first
/// location they see.
///
/// # Errors
/// `INTERNAL` where Arrow cannot write the schema.
pub(crate) fn flight_info(
    schema: &Schema,
    tickets: Vec<Ticket>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let endpoints = tickets.into_iter().map(|ticket| FlightEndpoint::new().with_ticket(ticket)).collect();
    let info = FlightInfo::new().with_descriptor(descriptor).with_endpoints(endpoints).with_ordered(true);
    Ok(FlightInfo { schema: schema_bytes(schema)?, ..info })
}
