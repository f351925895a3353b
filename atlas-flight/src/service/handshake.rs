//! The handshake: credentials in, a bearer token out.

use crate::auth::Token;
use arrow_flight::HandshakeResponse;
use bytes::Bytes;
use futures::{Stream, stream};
use std::pin::Pin;
use tonic::metadata::MetadataValue;
use tonic::{Extensions, Response, Status};

/// What a handshake answers with.
pub(crate) type HandshakeStream = Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send + 'static>>;

/// The answer to a handshake: the token that came of its credentials, in the headers and as the one message.
///
/// # Errors
/// `UNAUTHENTICATED` where there is none.
pub(crate) fn answer(extensions: &Extensions) -> Result<Response<HandshakeStream>, Status> {
    let Some(Token(token)) = extensions.get::<Token>().cloned() else {
        return Err(Status::unauthenticated("log in: a handshake needs credentials"));
    };
    let mut bearer = MetadataValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Status::internal("the token is not fit for a header"))?;
    bearer.set_sensitive(true);
    let message = HandshakeResponse { protocol_version: 0, payload: Bytes::from(token) };
    let messages: HandshakeStream = Box::pin(stream::iter([Ok(message)]));
    let mut response = Response::new(messages);
    response.metadata_mut().insert("authorization", bearer);
    Ok(response)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn a_token_is_given_in_the_headers() {
        let mut extensions = Extensions::new();
        assert_eq!(answer(&extensions).err().unwrap().code(), tonic::Code::Unauthenticated);
        extensions.insert(Token("abc".into()));
        let response = answer(&extensions).unwrap();
        assert_eq!(response.metadata().get("authorization").unwrap(), "Bearer abc");
    }
}
