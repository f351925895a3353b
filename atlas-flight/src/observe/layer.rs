//! The step around every call: it sees the call begin, and how its answer ends.

use super::call::Call;
use super::metrics::Metrics;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;

/// The methods that are told apart; whatever else is called is one of these to no one.
const METHODS: [&str; 10] = [
    "Handshake",
    "ListFlights",
    "GetFlightInfo",
    "PollFlightInfo",
    "GetSchema",
    "DoGet",
    "DoPut",
    "DoExchange",
    "DoAction",
    "ListActions",
];

/// What a call of an unknown method is counted as.
const OTHER: &str = "other";

/// Tells a client what to find its call in the server's log by.
const QUERY_ID: HeaderName = HeaderName::from_static("atlas-query-id");

/// A service whose calls are logged and counted, whoever is refused included.
#[derive(Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S> Observed<S> {
    /// `inner`, counted in `metrics`.
    pub(crate) fn new(inner: S, metrics: Arc<Metrics>) -> Self {
        Observed { inner, metrics }
    }
}

impl<S: NamedService> NamedService for Observed<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Observed<S>
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
        let last = request.uri().path().rsplit('/').next().unwrap_or_default();
        let method = METHODS.into_iter().find(|method| *method == last).unwrap_or(OTHER);
        let mut ending = Ending::of(Call::begin(method), Arc::clone(&self.metrics));
        Box::pin(async move {
            let mut response = ending.call.answer(inner.call(request)).await?;
            if let Ok(id) = HeaderValue::from_str(ending.call.id()) {
                response.headers_mut().insert(QUERY_ID, id);
            }
            // An answer without messages has its status in the headers.
            match Status::from_header_map(response.headers()) {
                Some(status) => {
                    ending.end(&status);
                    Ok(response)
                }
                None => Ok(response.map(|body| Body::new(Answer { body, ending }))),
            }
        })
    }
}

/// Ends a call once: where it was not ended by the time that it is dropped, the client has gone away.
struct Ending {
    call: Call,
    metrics: Arc<Metrics>,
    is_over: bool,
}

impl Ending {
    fn of(call: Call, metrics: Arc<Metrics>) -> Self {
        metrics.begin();
        Ending { call, metrics, is_over: false }
    }

    fn end(&mut self, status: &Status) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.call.end(status, &self.metrics);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end(&Status::cancelled(""));
    }
}

/// The messages of an answer. The body stands before the ending, and goes before it.
struct Answer {
    body: Body,
    ending: Ending,
}

impl Answer {
    /// Ends the call by the status in the trailers. What answered it is dropped before, for it may still count.
    fn end(&mut self, trailers: &HeaderMap) {
        self.body = Body::empty();
        let status = Status::from_header_map(trailers);
        self.ending.end(&status.unwrap_or_else(|| Status::unknown("the answer has no status")));
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let answer = &mut *self;
        let polled = answer.ending.call.answer_now(|| Pin::new(&mut answer.body).poll_frame(context));
        match &polled {
            Poll::Ready(Some(Ok(frame))) => match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => answer.ending.call.sends_bytes(data.len()),
                (_, Some(trailers)) => answer.end(trailers),
                _ => {}
            },
            Poll::Ready(Some(Err(status))) => answer.ending.end(status),
            Poll::Ready(None) => answer.end(&HeaderMap::new()),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
