//! A stream of messages that its client has cancelled.

use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::{Code, Status};

/// The request with a cancellation as an error of its body.
///
/// The transport lets a cancelled stream look like one that has ended: half of an upload would be taken for the whole.
pub(crate) fn told(request: Request<Body>) -> Request<Body> {
    request.map(|body| {
        Body::new(body.map_err(|status| match status.code() {
            Code::Cancelled => Status::aborted("the client has cancelled the call"),
            _ => status,
        }))
    })
}
