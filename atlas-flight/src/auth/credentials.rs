//! The authorization header.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tonic::Status;
use tonic::codegen::http::HeaderMap;
use tonic::codegen::http::header::AUTHORIZATION;

/// Clients in Go leave the padding out.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Who a client says that it is. It holds secrets, and is not `Debug` lest they be logged.
#[derive(PartialEq, Eq)]
pub(super) enum Credentials {
    /// A user name and password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// The token of a handshake, or a static one.
    Bearer(String),
}

/// The credentials in a call's headers, if there are any.
///
/// # Errors
/// `UNAUTHENTICATED` where the header is not readable; what it holds is not repeated.
pub(super) fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, Status> {
    let Some(header) = headers.get(AUTHORIZATION) else { return Ok(None) };
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    fn of(header: &str) -> Result<Option<Credentials>, Status> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().unwrap());
        credentials(&headers)
    }

    #[test]
    fn basic_is_read_with_and_without_padding() {
        let expected = Credentials::Basic { user: "ann".into(), password: "pa:ss".into() };
        for header in ["Basic YW5uOnBhOnNz", "basic YW5uOnBhOnNz"] {
            assert!(of(header).unwrap().unwrap() == expected);
        }
        let empty = Credentials::Basic { user: "a".into(), password: String::new() };
        for header in ["Basic YTo=", "Basic YTo"] {
            assert!(of(header).unwrap().unwrap() == empty);
        }
        assert!(of("bearer  xyz ").unwrap().unwrap() == Credentials::Bearer("xyz".into()));
    }

    #[test]
    fn unreadable_headers_are_unauthenticated() {
        for header in ["Basic", "Basic !!!", "Basic YW5u", "Digest x", "xyz"] {
            let status = of(header).err().unwrap();
            assert_eq!(status.code(), tonic::Code::Unauthenticated, "{header}");
        }
        assert!(credentials(&HeaderMap::new()).unwrap().is_none());
    }
}
