//! A client of the server: SQL and stacked reads from Rust.

use crate::bulk::request::StackedRequest;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, FlightInfo};
use futures::TryStreamExt;
use prost::Message;
use std::fmt;
use std::sync::Arc;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// The largest message that is accepted: one dataset's arrays can be larger than any batch is made.
const MAX_MESSAGE_BYTES: usize = i32::MAX as usize;

/// How much may be on the way without having been read: what keeps a fast link busy.
const WINDOW_BYTES: u32 = 16 << 20;

/// A connection to a server. Clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    flight: FlightServiceClient<Channel>,
}

/// Why a request failed; one line.
#[derive(Debug)]
pub struct ClientError {
    message: String,
}

impl ClientError {
    fn new(message: impl Into<String>) -> Self {
        ClientError { message: message.into() }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ClientError {}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        ClientError::new(if status.message().is_empty() { status.code().to_string() } else { status.message().into() })
    }
}

impl Client {
    /// Connects to a server named by `grpc://host:port` (or `grpc+tcp://`, `http://`).
    ///
    /// # Errors
    /// Where the URI is not one of these, or nothing listens there.
    pub async fn connect(uri: &str) -> Result<Self, ClientError> {
        let address = ["grpc://", "grpc+tcp://", "http://"].iter().find_map(|scheme| uri.strip_prefix(scheme));
        let address =
            address.ok_or_else(|| ClientError::new(format!("{uri}: a server is named by grpc://host:port")))?;
        let endpoint = Endpoint::from_shared(format!("http://{}", address.trim_end_matches('/')))
            .map_err(|error| ClientError::new(format!("{uri}: {error}")))?
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        let channel = endpoint.connect().await.map_err(|error| {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            ClientError::new(format!("cannot connect to {uri}: {cause}"))
        })?;
        let flight = FlightServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Client { flight })
    }

    /// Runs a query and collects its result: at least one batch, which is empty where the result is.
    ///
    /// # Errors
    /// What the server says is wrong with the query, or a lost connection.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<RecordBatch>, ClientError> {
        let command = CommandStatementQuery { query: sql.to_string(), transaction_id: None };
        self.collect(FlightDescriptor::new_cmd(command.as_any().encode_to_vec())).await
    }

    /// Makes a stacked read and collects its batches, in the order of the request: at least one, which is empty where no
    /// dataset was selected.
    ///
    /// # Errors
    /// What the server says is wrong with the request, or a lost connection.
    pub async fn stacked(&mut self, request: &StackedRequest) -> Result<Vec<RecordBatch>, ClientError> {
        self.collect(FlightDescriptor::new_cmd(request.to_command())).await
    }

    async fn collect(&mut self, descriptor: FlightDescriptor) -> Result<Vec<RecordBatch>, ClientError> {
        let info = self.flight.get_flight_info(descriptor).await?.into_inner();
        let mut batches = Vec::new();
        for endpoint in &info.endpoint {
            let ticket = endpoint.ticket.clone().ok_or_else(|| ClientError::new("an endpoint came without ticket"))?;
            let messages = self.flight.do_get(ticket).await?.into_inner();
            let messages = messages.map_err(|status| FlightError::Tonic(Box::new(status)));
            let decoded = FlightRecordBatchStream::new_from_flight_data(messages);
            batches.extend(decoded.try_collect::<Vec<_>>().await.map_err(from_flight)?);
        }
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(schema_of(info)?));
        }
        Ok(batches)
    }
}

fn schema_of(info: FlightInfo) -> Result<SchemaRef, ClientError> {
    let schema: Schema = info.try_decode_schema().map_err(|error| ClientError::new(error.to_string()))?;
    Ok(Arc::new(schema))
}

fn from_flight(error: FlightError) -> ClientError {
    match error {
        FlightError::Tonic(status) => (*status).into(),
        other => ClientError::new(other.to_string()),
    }
}
