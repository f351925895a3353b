//! A client of the server: SQL and stacked reads from Rust.

use crate::bulk::request::StackedRequest;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, FlightInfo, HandshakeRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{TryStreamExt, stream};
use prost::Message;
use std::fmt;
use std::sync::Arc;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

/// The largest message that is accepted: one dataset's arrays can be larger than any batch is made.
const MAX_MESSAGE_BYTES: usize = i32::MAX as usize;

/// How much may be on the way without having been read: what keeps a fast link busy.
const WINDOW_BYTES: u32 = 16 << 20;

/// A connection to a server. Clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    flight: FlightServiceClient<InterceptedService<Channel, Authorization>>,
}

/// Who a client is, and whom it trusts.
#[derive(Default, Clone)]
pub struct ConnectOptions {
    /// A user's name and password: the client logs in, and goes on with the token that it gets.
    pub login: Option<(String, String)>,
    /// A token: sent with every call.
    pub token: Option<String>,
    /// The certificates, as PEM, that vouch for a server named by `grpc+tls://`; it has to be trusted by one of these.
    pub server_ca_pem: Option<String>,
    /// The client's own certificate and its key, as PEM, for a server that asks for one.
    pub identity_pem: Option<(String, String)>,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.login.as_ref().map(|(user, _)| user);
        f.debug_struct("ConnectOptions").field("user", &user).finish_non_exhaustive()
    }
}

/// Adds the header that says who calls.
#[derive(Clone, Default)]
pub(crate) struct Authorization(Option<AsciiMetadataValue>);

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Authorization(..)" } else { "Authorization(none)" })
    }
}

impl Authorization {
    fn new(scheme: &str, value: &str) -> Result<Self, ClientError> {
        let header = AsciiMetadataValue::try_from(format!("{scheme} {value}"));
        let mut header = header.map_err(|_| ClientError::new("the token has characters that a header cannot hold"))?;
        header.set_sensitive(true);
        Ok(Authorization(Some(header)))
    }
}

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
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
    /// Connects to a server named by `grpc://host:port` (or `grpc+tcp://`, `http://`) that asks for no login.
    ///
    /// # Errors
    /// As [`Client::connect_with`].
    pub async fn connect(uri: &str) -> Result<Self, ClientError> {
        Self::connect_with(uri, ConnectOptions::default()).await
    }

    /// Connects to a server named by `grpc://host:port`, or with TLS by `grpc+tls://host:port` (or `grpcs://`, `https://`).
    ///
    /// # Errors
    /// Where the URI is not one of these, nothing listens there, the server is not to be trusted, or the login is refused.
    pub async fn connect_with(uri: &str, options: ConnectOptions) -> Result<Self, ClientError> {
        let after = |schemes: &[&str]| schemes.iter().find_map(|scheme| uri.strip_prefix(scheme));
        let plain = after(&["grpc://", "grpc+tcp://", "http://"]);
        let encrypted = after(&["grpc+tls://", "grpcs://", "https://"]);
        let (scheme, address) =
            plain.map(|address| ("http", address)).or(encrypted.map(|address| ("https", address))).ok_or_else(
                || ClientError::new(format!("{uri}: a server is named by grpc://host:port or grpc+tls://host:port")),
            )?;
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", address.trim_end_matches('/')))
            .map_err(|error| ClientError::new(format!("{uri}: {error}")))?
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        if encrypted.is_some() {
            let mut tls = ClientTlsConfig::new();
            if let Some(pem) = &options.server_ca_pem {
                tls = tls.ca_certificate(Certificate::from_pem(pem));
            }
            if let Some((certificate, key)) = &options.identity_pem {
                tls = tls.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(tls).map_err(|error| cannot_connect(uri, &error))?;
        }
        let channel = endpoint.connect().await.map_err(|error| cannot_connect(uri, &error))?;
        let authorization = match (&options.login, &options.token) {
            (Some((user, password)), _) => log_in(&channel, user, password).await?,
            (None, Some(token)) => Authorization::new("Bearer", token)?,
            (None, None) => Authorization::default(),
        };
        let flight = FlightServiceClient::with_interceptor(channel, authorization)
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

/// Exchanges a password for a token.
async fn log_in(channel: &Channel, user: &str, password: &str) -> Result<Authorization, ClientError> {
    let basic = Authorization::new("Basic", &STANDARD.encode(format!("{user}:{password}")))?;
    let mut flight = FlightServiceClient::with_interceptor(channel.clone(), basic);
    let response = flight.handshake(stream::iter([HandshakeRequest::default()])).await?;
    match response.metadata().get("authorization") {
        Some(bearer) => Ok(Authorization(Some(bearer.clone()))),
        None => Err(ClientError::new("the server gave no token for the login")),
    }
}

/// The innermost cause says what happened; what wraps it only where.
fn cannot_connect(uri: &str, error: &tonic::transport::Error) -> ClientError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    ClientError::new(format!("cannot connect to {uri}: {cause}"))
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
