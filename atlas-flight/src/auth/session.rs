//! The tokens that a handshake gives: signed, for one user, for some time.

use super::key::{Key, Opened, Purpose, random_id};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use prost::Message;
use ring::digest;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tonic::Status;

/// What a session token says.
#[derive(Clone, PartialEq, Message)]
struct Session {
    /// When it ends, in milliseconds since 1970.
    #[prost(uint64, tag = "1")]
    expires_ms: u64,
    /// Which password it was given for: a new password ends the sessions of the old one.
    #[prost(bytes = "vec", tag = "2")]
    login: Vec<u8>,
    /// Tells logins apart: each has a session of its own.
    #[prost(bytes = "bytes", tag = "3")]
    id: Bytes,
}

/// Why a session token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionError {
    /// It is none that this key signed.
    Unknown,
    /// It was one.
    Expired,
}

/// A session token that is good, as far as it tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The user whose it is.
    pub(super) user: String,
    login: Vec<u8>,
}

impl Known {
    /// Whether it was given for this password hash.
    pub(super) fn is_for(&self, password_hash: &str) -> bool {
        self.login == fingerprint(password_hash)
    }
}

/// A token for `user`, who gave the password of `password_hash`.
///
/// # Errors
/// `INTERNAL` where the system gives no random bytes.
pub(super) fn issue(
    key: &Key,
    user: &str,
    password_hash: &str,
    now: SystemTime,
    lifetime: Duration,
) -> Result<String, Status> {
    let expires_ms = since_1970_ms(now.checked_add(lifetime));
    let session = Session { expires_ms, login: fingerprint(password_hash), id: random_id()? };
    Ok(URL_SAFE_NO_PAD.encode(key.seal(Purpose::Session, user, &session)))
}

/// What a token that [`issue`] gave says.
///
/// # Errors
/// Where it is not one, or its time is over.
pub(super) fn open(key: &Key, token: &str, now: SystemTime) -> Result<Known, SessionError> {
    let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| SessionError::Unknown)?;
    let Opened { user, message } = key.open::<Session>(Purpose::Session, &sealed).map_err(|_| SessionError::Unknown)?;
    if since_1970_ms(Some(now)) >= message.expires_ms {
        return Err(SessionError::Expired);
    }
    Ok(Known { user, login: message.login })
}

/// Tells one password hash from another; it is no secret that could be turned back.
fn fingerprint(password_hash: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, password_hash.as_bytes()).as_ref()[..16].to_vec()
}

/// Milliseconds since 1970; the largest number where there is no such time.
fn since_1970_ms(time: Option<SystemTime>) -> u64 {
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn a_token_is_good_until_its_time_is_over() {
        let key = Key::random().unwrap();
        let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
        let token = issue(&key, "ann", "$argon2id$1", now, hour).unwrap();
        assert_ne!(token, issue(&key, "ann", "$argon2id$1", now, hour).unwrap(), "each login has its own");
        let known = open(&key, &token, now + hour - Duration::from_secs(1)).unwrap();
        assert_eq!(known.user, "ann");
        assert!(known.is_for("$argon2id$1") && !known.is_for("$argon2id$2"));
        assert_eq!(open(&key, &token, now + hour).unwrap_err(), SessionError::Expired);
        assert_eq!(open(&Key::random().unwrap(), &token, now).unwrap_err(), SessionError::Unknown);
        for other in ["", "anonymous", &token[1..], &format!("{token}A"), &format!("{token}=")] {
            assert_eq!(open(&key, other, now).unwrap_err(), SessionError::Unknown, "{other}");
        }
        assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "fit for a header");
    }

    #[test]
    fn a_lifetime_without_end_is_no_error() {
        let key = Key::random().unwrap();
        let token = issue(&key, "ann", "", SystemTime::now(), Duration::MAX).unwrap();
        assert!(open(&key, &token, SystemTime::now()).is_ok());
    }
}
