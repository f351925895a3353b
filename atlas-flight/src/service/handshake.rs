//! The handshake: credentials in, a bearer token out.
//!
//! Authentication is off: any user is let in. A token is given all the same, because clients that were told a user name
//! fail without one.

use arrow_flight::HandshakeResponse;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use futures::{Stream, stream};
use std::pin::Pin;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Response, Status};

/// What a handshake answers with.
pub(crate) type HandshakeStream = Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send + 'static>>;

/// The token of everybody while authentication is off.
const ANONYMOUS_TOKEN: &str = "anonymous";

/// Clients in Go leave the padding out.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Who a client says that it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// A user name and password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token from an earlier handshake.
    Bearer(String),
}

/// The credentials in a call's headers, if there are any.
///
/// # Errors
/// `UNAUTHENTICATED` where the header is not readable.
pub(crate) fn credentials(metadata: &MetadataMap) -> Result<Option<Credentials>, Status> {
    let Some(header) = metadata.get("authorization") else { return Ok(None) };
    let unreadable =
        || Status::unauthenticated("the authorization header is neither `Basic <base64>` nor `Bearer <token>`");
    let (scheme, value) =
        header.to_str().ok().and_then(|header| header.trim().split_once(' ')).ok_or_else(unreadable)?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(Credentials::Bearer(value.to_string())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unreadable());
    }
    let decoded = LENIENT_BASE64.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(unreadable)?;
    // A password may contain colons, a user name may not.
    let (user, password) = decoded.split_once(':').ok_or_else(unreadable)?;
    Ok(Some(Credentials::Basic { user: user.to_string(), password: password.to_string() }))
}

/// The answer to a handshake: a token, in the headers and as the one message.
///
/// # Errors
/// `UNAUTHENTICATED` where the credentials are not readable.
pub(crate) fn answer(metadata: &MetadataMap) -> Result<Response<HandshakeStream>, Status> {
    if let Some(Credentials::Basic { user, .. }) = credentials(metadata)? {
        tracing::debug!(user, "handshake");
    }
    let message = HandshakeResponse { protocol_version: 0, payload: Bytes::from_static(ANONYMOUS_TOKEN.as_bytes()) };
    let messages: HandshakeStream = Box::pin(stream::iter([Ok(message)]));
    let mut response = Response::new(messages);
    let bearer = MetadataValue::try_from(format!("Bearer {ANONYMOUS_TOKEN}"))
        .map_err(|_| Status::internal("the token is not fit for a header"))?;
    response.metadata_mut().insert("authorization", bearer);
    Ok(response)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    fn of(header: &str) -> Result<Option<Credentials>, Status> {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", header.parse().unwrap());
        credentials(&metadata)
    }

    #[test]
    fn basic_is_read_with_and_without_padding() {
        let expected = Credentials::Basic { user: "ann".into(), password: "pa:ss".into() };
        for header in ["Basic YW5uOnBhOnNz", "basic YW5uOnBhOnNz"] {
            assert_eq!(of(header).unwrap().unwrap(), expected);
        }
        let empty = Credentials::Basic { user: "a".into(), password: String::new() };
        for header in ["Basic YTo=", "Basic YTo"] {
            assert_eq!(of(header).unwrap().unwrap(), empty);
        }
    }

    #[test]
    fn unreadable_headers_are_unauthenticated() {
        for header in ["Basic", "Basic !!!", "Basic YW5u", "Digest x", "xyz"] {
            assert_eq!(of(header).unwrap_err().code(), tonic::Code::Unauthenticated, "{header}");
        }
        assert_eq!(credentials(&MetadataMap::new()).unwrap(), None);
    }

    #[test]
    fn a_token_is_given_in_the_headers() {
        let response = answer(&MetadataMap::new()).unwrap();
        assert_eq!(response.metadata().get("authorization").unwrap(), "Bearer anonymous");
    }
}
