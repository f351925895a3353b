//! The step that every call passes before it is routed.

use super::Authenticator;
use crate::observe::Call;
use crate::status;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{Extensions, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

/// The method that logs in.
const HANDSHAKE: &str = "/arrow.flight.protocol.FlightService/Handshake";

/// A service that only callers whose credentials are good reach.
///
/// It stands before the service's own routing, so that no method can be forgotten. A call that passes carries its
/// [`Caller`](super::Caller), and its authorization header no more; a handshake carries the [`Token`](super::Token)
/// to answer with.
#[derive(Clone)]
pub(crate) struct Authenticated<S> {
    inner: S,
    authenticator: Arc<Authenticator>,
    message_bytes: usize,
}

impl<S> Authenticated<S> {
    /// `inner`, which takes messages of so many bytes, behind `authenticator`.
    pub(crate) fn new(inner: S, authenticator: Arc<Authenticator>, message_bytes: usize) -> Self {
        Authenticated { inner, authenticator, message_bytes }
    }
}

impl<S: NamedService> NamedService for Authenticated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Authenticated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that is ready is the one to call.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let (authenticator, message_bytes) = (Arc::clone(&self.authenticator), self.message_bytes);
        Box::pin(async move {
            match admit(&authenticator, request).await {
                Ok(request) => inner.call(request).await.map(|response| sized(response, message_bytes)),
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

/// The request with its caller in place of its credentials.
async fn admit(authenticator: &Authenticator, mut request: Request<Body>) -> Result<Request<Body>, Status> {
    let address = peer(request.extensions());
    let caller = match authenticator.caller(request.headers(), address.map(|address| address.ip())).await {
        Ok(caller) => caller,
        Err(status) => {
            let peer = address.map(tracing::field::display);
            tracing::info!(peer, code = ?status.code(), reason = status.message(), "not let in");
            return Err(status);
        }
    };
    if let Some(call) = Call::current() {
        call.is_of(&caller.user);
    }
    if request.uri().path() == HANDSHAKE {
        let token = authenticator.token(&caller, request.headers())?;
        request.extensions_mut().insert(token);
    }
    request.headers_mut().remove(AUTHORIZATION);
    request.extensions_mut().insert(caller);
    Ok(request)
}

/// The response, where tonic refused a message that is larger than the limit: as other limits are.
fn sized(response: Response<Body>, message_bytes: usize) -> Response<Body> {
    let refused = Status::from_header_map(response.headers()).filter(status::is_too_large);
    refused.map_or(response, |_| status::too_large(message_bytes).into_http())
}

/// Where a call comes from.
fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    let plain = extensions.get::<TcpConnectInfo>();
    let encrypted = extensions.get::<TlsConnectInfo<TcpConnectInfo>>().map(TlsConnectInfo::get_ref);
    plain.or(encrypted).and_then(TcpConnectInfo::remote_addr)
}
