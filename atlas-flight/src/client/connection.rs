//! TLS, the login, and the headers of every call.

use super::error::innermost;
use super::{Address, ClientError};
use arrow_flight::HandshakeRequest;
use arrow_flight::flight_service_client::FlightServiceClient;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

/// The largest message that is accepted: one dataset's arrays can be larger than any batch is made.
const MAX_MESSAGE_BYTES: usize = i32::MAX as usize;

/// How much may be on the way without having been read: what keeps a fast link busy.
const WINDOW_BYTES: u32 = 16 << 20;

/// How long a server may take to answer when it is connected to.
const CONNECT_TIME: Duration = Duration::from_secs(20);

/// While calls run, the server is asked so often whether it is still there, and may take so long to say so: a machine that
/// is gone closes no connection.
const ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const ALIVE_TIME: Duration = Duration::from_secs(20);

/// The stub that calls are made on.
pub(super) type Flight = FlightServiceClient<InterceptedService<Channel, Headers>>;

/// Who a client is, and whom it trusts.
#[derive(Default, Clone)]
pub struct ConnectOptions {
    /// A user's name and password: the client logs in, and goes on with the token that it gets.
    pub login: Option<(String, String)>,
    /// A token: sent with every call.
    pub token: Option<String>,
    /// The certificates, as PEM, that vouch for a server named by `grpc+tls://`; it has to be trusted by one of these. The
    /// system's own are not asked.
    pub server_ca_pem: Option<String>,
    /// The client's own certificate and its key, as PEM, for a server that asks for one.
    pub identity_pem: Option<(String, String)>,
    /// Headers that are sent with every call, such as `array_format`.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.login.as_ref().map(|(user, _)| user);
        f.debug_struct("ConnectOptions").field("user", &user).finish_non_exhaustive()
    }
}

/// A connection that is made again where it is lost.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    endpoint: Endpoint,
    flight: Flight,
    headers: Headers,
}

impl Connection {
    pub(super) async fn open(address: &Address, options: &ConnectOptions) -> Result<Self, ClientError> {
        let mut endpoint = Endpoint::from_shared(address.transport_uri())
            .map_err(|error| ClientError::invalid(format!("{address}: {error}")))?
            .connect_timeout(CONNECT_TIME)
            .http2_keep_alive_interval(ALIVE_INTERVAL)
            .keep_alive_timeout(ALIVE_TIME)
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        if address.is_encrypted() {
            if options.server_ca_pem.is_none() {
                let message = "a certificate authority that vouches for the server is needed";
                return Err(ClientError::invalid(format!("cannot connect to {address}: {message}")));
            }
            endpoint = endpoint.tls_config(tls(options)).map_err(|error| cannot_connect(address, &error))?;
        }
        let channel = endpoint.connect().await.map_err(|error| cannot_connect(address, &error))?;
        let headers = Headers::try_new(&options.headers)?;
        match (&options.login, &options.token) {
            (Some((user, password)), _) => log_in(&channel, &headers, user, password).await?,
            (None, Some(token)) => headers.authorize("Bearer", token)?,
            (None, None) => {}
        }
        Ok(Connection { flight: stub(channel, &headers), endpoint, headers })
    }

    /// What calls are made on.
    pub(super) fn flight(&self) -> Flight {
        self.flight.clone()
    }

    /// A connection of its own to the same server, made with its first call.
    pub(super) fn another(&self) -> Connection {
        let flight = stub(self.endpoint.connect_lazy(), &self.headers);
        Connection { endpoint: self.endpoint.clone(), flight, headers: self.headers.clone() }
    }

    /// Takes over the cookies that the server answers with: a session is known by one.
    pub(super) fn remember(&self, answer: &MetadataMap) {
        for cookie in answer.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
            self.headers.set_cookie(cookie);
        }
    }
}

fn stub(channel: Channel, headers: &Headers) -> Flight {
    FlightServiceClient::with_interceptor(channel, headers.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

fn tls(options: &ConnectOptions) -> ClientTlsConfig {
    let mut tls = ClientTlsConfig::new();
    if let Some(pem) = &options.server_ca_pem {
        tls = tls.ca_certificate(Certificate::from_pem(pem));
    }
    if let Some((certificate, key)) = &options.identity_pem {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    tls
}

/// Exchanges a password for a token.
async fn log_in(channel: &Channel, headers: &Headers, user: &str, password: &str) -> Result<(), ClientError> {
    let basic = Headers::default();
    basic.authorize("Basic", &STANDARD.encode(format!("{user}:{password}")))?;
    let mut flight = FlightServiceClient::with_interceptor(channel.clone(), basic);
    let response = flight.handshake(stream::iter([HandshakeRequest::default()])).await?;
    let Some(bearer) = response.metadata().get("authorization") else {
        return Err(ClientError::new(Code::Unauthenticated, "the server gave no token for the login"));
    };
    headers.sent().authorization = Some(bearer.clone());
    Ok(())
}

fn cannot_connect(address: &Address, error: &tonic::transport::Error) -> ClientError {
    ClientError::new(Code::Unavailable, format!("cannot connect to {address}: {}", innermost(error)))
}

/// The headers of every call: who calls, which session it is, and what else was asked for. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Headers(Arc<RwLock<Sent>>);

#[derive(Default)]
struct Sent {
    authorization: Option<AsciiMetadataValue>,
    cookies: Vec<(String, String)>,
    others: Vec<(AsciiMetadataKey, AsciiMetadataValue)>,
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Headers(..)")
    }
}

impl Headers {
    fn try_new(others: &[(String, String)]) -> Result<Self, ClientError> {
        let headers = Headers::default();
        for (name, value) in others {
            let unfit = || ClientError::invalid(format!("the header {name:?} has characters that it cannot have"));
            let key = name.to_ascii_lowercase().parse().map_err(|_| unfit())?;
            let value = value.parse().map_err(|_| unfit())?;
            headers.sent().others.push((key, value));
        }
        Ok(headers)
    }

    fn sent(&self) -> std::sync::RwLockWriteGuard<'_, Sent> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn authorize(&self, scheme: &str, value: &str) -> Result<(), ClientError> {
        let header = AsciiMetadataValue::try_from(format!("{scheme} {value}"));
        let mut header =
            header.map_err(|_| ClientError::invalid("the token has characters that a header cannot hold"))?;
        header.set_sensitive(true);
        self.sent().authorization = Some(header);
        Ok(())
    }

    /// Keeps `name=value` of a `set-cookie` header. What follows is for browsers; an empty value ends the cookie.
    fn set_cookie(&self, header: &str) {
        let pair = header.split(';').next().unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else { return };
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        let cookies = &mut self.sent().cookies;
        cookies.retain(|(other, _)| *other != name);
        if !value.is_empty() {
            cookies.push((name, value));
        }
    }
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let sent = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let metadata = request.metadata_mut();
        for (name, value) in &sent.others {
            metadata.insert(name.clone(), value.clone());
        }
        if let Some(header) = &sent.authorization {
            metadata.insert("authorization", header.clone());
        }
        if !sent.cookies.is_empty() {
            let cookies: Vec<String> = sent.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            if let Ok(mut header) = AsciiMetadataValue::try_from(cookies.join("; ")) {
                header.set_sensitive(true);
                metadata.insert("cookie", header);
            }
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_call_has_the_session_s_cookie_and_its_headers() {
        let headers = Headers::try_new(&[("Array_Format".into(), "json".into())]).unwrap();
        headers.authorize("Bearer", "abc").unwrap();
        headers.set_cookie("arrow_flight_session_id=1; HttpOnly");
        headers.set_cookie("arrow_flight_session_id=2; Path=/");
        headers.set_cookie("other=x");
        let request = headers.clone().call(Request::new(())).unwrap();
        let sent = |name: &str| request.metadata().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(sent("cookie"), "arrow_flight_session_id=2; other=x");
        assert_eq!((sent("authorization"), sent("array_format")), ("Bearer abc".into(), "json".into()));
        assert!(!format!("{:?} {headers:?}", request.metadata()).contains("abc"), "a token is not shown");
        headers.set_cookie("other=; Max-Age=0");
        let request = headers.clone().call(Request::new(())).unwrap();
        assert_eq!(request.metadata().get("cookie").unwrap(), "arrow_flight_session_id=2");
        assert!(Headers::try_new(&[("a b".into(), String::new())]).is_err());
    }
}
