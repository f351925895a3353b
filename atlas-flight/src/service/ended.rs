//! How the stream of a client ended: as a whole, or cut.
//!
//! The transport tells a handler that a stream which its client cancelled is at its end, as if all of it had come. Here the
//! end is noted where it can still be told: in the body of the request.

use http_body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;

/// Whether the whole body of a request has come: the request carries it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended(Arc<AtomicBool>);

impl Ended {
    /// Whether it has.
    pub(crate) fn as_a_whole(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A service whose requests carry [`Ended`].
#[derive(Clone)]
pub(crate) struct EndNoted<S>(pub(crate) S);

impl<S: NamedService> NamedService for EndNoted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for EndNoted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let ended = Ended::default();
        request.extensions_mut().insert(ended.clone());
        self.0.call(request.map(|body| Body::new(NotedBody { body, ended })))
    }
}

struct NotedBody {
    body: Body,
    ended: Ended,
}

impl HttpBody for NotedBody {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        // A stream that is reset without an error ends, too, but not by the client's word.
        if frame.is_none() && self.body.is_end_stream() {
            self.ended.0.store(true, Ordering::Release);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // The end is noted when it is polled for.
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
