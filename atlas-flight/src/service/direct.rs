//! Responses that are frames already, past the encoder of the gRPC library.
//!
//! A method of the service answers with [`respond`]; [`Direct`], around the service, puts the frames in the response's
//! body. Everything before the first message (the request, its deadline, headers, errors) stays the library's.

use super::encode::{DataStream, FrameStream};
use super::frame::Frame;
use bytes::Bytes;
use futures::future::{MapOk, TryFutureExt};
use futures::{StreamExt, stream};
use http_body::Body as HttpBody;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, Request, Response as HttpResponse};
use tonic::server::NamedService;
use tonic::{Response, Status};

/// The frames of a response, on their way from the method to [`Direct`].
#[derive(Clone)]
struct Frames(Arc<Mutex<Option<FrameStream>>>);

/// A response of DoGet with these frames.
pub(crate) fn respond(frames: FrameStream) -> Response<DataStream> {
    // Takes the place of the frames, and is read by nobody but a service that has no `Direct` around it.
    let unread = stream::once(async { Err(Status::internal("the answer was not taken to its stream")) });
    let mut response = Response::new(Box::pin(unread) as DataStream);
    response.extensions_mut().insert(Frames(Arc::new(Mutex::new(Some(frames)))));
    response
}

/// A service whose responses may be frames.
#[derive(Clone)]
pub(crate) struct Direct<S> {
    inner: S,
}

impl<S> Direct<S> {
    /// `inner`, whose methods may use [`respond`].
    pub(crate) fn new(inner: S) -> Self {
        Direct { inner }
    }
}

impl<S: NamedService> NamedService for Direct<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Direct<S>
where
    S: Service<Request<Body>, Response = HttpResponse<Body>, Error = Infallible>,
{
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = MapOk<S::Future, fn(HttpResponse<Body>) -> HttpResponse<Body>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.inner.call(request).map_ok(with_frames)
    }
}

/// The response with its frames in its body, if it has some.
fn with_frames(mut response: HttpResponse<Body>) -> HttpResponse<Body> {
    let Some(Frames(frames)) = response.extensions_mut().remove() else { return response };
    let frames = frames.lock().unwrap_or_else(PoisonError::into_inner).take();
    match frames {
        Some(frames) => response.map(|_| Body::new(FrameBody::new(frames))),
        None => response,
    }
}

/// Frames as the body of a response: part by part as the transport asks for them, then the status.
pub(crate) struct FrameBody {
    /// `None` once the stream has ended.
    frames: Option<FrameStream>,
    parts: std::vec::IntoIter<Bytes>,
}

impl FrameBody {
    pub(crate) fn new(frames: FrameStream) -> Self {
        FrameBody { frames: Some(frames), parts: Vec::new().into_iter() }
    }
}

impl HttpBody for FrameBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if let Some(part) = this.parts.next() {
                return Poll::Ready(Some(Ok(http_body::Frame::data(part))));
            }
            let Some(frames) = &mut this.frames else { return Poll::Ready(None) };
            let status = match ready!(frames.poll_next_unpin(context)) {
                Some(Ok(frame)) => {
                    this.parts = Frame::into_parts(frame).into_iter();
                    continue;
                }
                Some(Err(status)) => status,
                None => Status::ok(""),
            };
            this.frames = None;
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(match status.add_header(&mut trailers) {
                Ok(()) => Ok(http_body::Frame::trailers(trailers)),
                Err(status) => Err(status),
            }));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_none()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::service::encode::frame_stream;
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::record_batch::RecordBatch;
    use std::future::poll_fn;
    use tonic::Code;

    fn batch() -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    /// The bytes and the status that a client gets of a stream of these batches.
    async fn sent(batches: Vec<Result<RecordBatch, Status>>) -> (usize, Status) {
        let frames = frame_stream(&batch().schema(), stream::iter(batches)).unwrap();
        let mut body = FrameBody::new(frames);
        let mut bytes = 0;
        loop {
            let part = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.unwrap().unwrap();
            match part.into_data() {
                Ok(data) => bytes += data.len(),
                Err(trailers) => {
                    assert!(body.is_end_stream());
                    assert!(poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.is_none());
                    let trailers = trailers.into_trailers().unwrap();
                    return (bytes, Status::from_header_map(&trailers).unwrap());
                }
            }
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_status() {
        let (bytes, status) = sent(vec![Ok(batch()), Ok(batch())]).await;
        assert_eq!(status.code(), Code::Ok);
        let failure = Status::new(Code::DataLoss, "page 3, 100 %: \u{e9}\n");
        let (fewer, status) = sent(vec![Ok(batch()), Err(failure.clone()), Ok(batch())]).await;
        assert_eq!((status.code(), status.message()), (failure.code(), failure.message()));
        assert!(fewer < bytes && fewer > 80_000, "{fewer} of {bytes}");
    }

    #[test]
    fn the_frames_of_a_response_become_its_body() {
        let frames: FrameStream = frame_stream(&batch().schema(), stream::iter([Ok(batch())])).unwrap();
        let (metadata, _, extensions) = respond(frames).into_parts();
        let mut response = HttpResponse::new(Body::empty());
        response.headers_mut().extend(metadata.into_headers());
        *response.extensions_mut() = extensions;
        let response = with_frames(response);
        assert!(!response.body().is_end_stream());
        assert!(with_frames(HttpResponse::new(Body::empty())).body().is_end_stream(), "others stay as they are");
    }
}
