//! The server's key: what it signs comes back unchanged, or is refused.

use crate::server::ServeError;
use crate::status;
use bytes::Bytes;
use prost::Message;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::path::Path;
use tonic::Status;

/// The shortest key that is taken.
const MIN_KEY_BYTES: usize = 32;

/// The bytes of a signature (HMAC-SHA256), which stands before what it signs.
const SIGNATURE_BYTES: usize = 32;

/// What the server signs tickets, prepared statements and session tokens with.
///
/// Servers with the same key take each other's. With a random key they are worth nothing once the server has stopped.
#[derive(Clone)]
pub struct Key(hmac::Key);

/// What something was signed for: what is made for one purpose is refused for any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The token of a handshake.
    Session,
    /// A ticket of a stacked read.
    Stacked,
    /// A ticket of a statement.
    Statement,
    /// The handle of a prepared statement.
    Prepared,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Session => b"atlas session 1\0",
            Purpose::Stacked => b"atlas stacked 1\0",
            Purpose::Statement => b"atlas statement 1\0",
            Purpose::Prepared => b"atlas prepared 1\0",
        }
    }
}

/// What is signed: a message, and whom it is for.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(string, tag = "1")]
    user: String,
    #[prost(bytes = "bytes", tag = "2")]
    message: Bytes,
}

/// A message that came back, and whom it was made for.
#[derive(Debug)]
pub(crate) struct Opened<M> {
    pub(crate) user: String,
    pub(crate) message: M,
}

/// Why something is not one that this key signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// It is too short to hold a signature, or signed and yet not readable.
    Malformed,
    /// The signature is not that of this key, this purpose and these bytes.
    Forged,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// A new random key.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn random() -> Result<Self, ServeError> {
        let mut bytes = [0; MIN_KEY_BYTES];
        fill_random(&mut bytes)?;
        Ok(Key(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The key in a file: all of its bytes but white space at the end, such as `openssl rand -base64 32` writes.
    ///
    /// # Errors
    /// Where the file cannot be read or holds fewer than 32 bytes.
    pub fn read(path: &Path) -> Result<Self, ServeError> {
        let shown = path.display();
        let content = std::fs::read(path).map_err(|error| ServeError::new(format!("key {shown}: {error}")))?;
        let bytes = content.trim_ascii_end();
        if bytes.len() < MIN_KEY_BYTES {
            let message = format!("key {shown}: has {} bytes, a key has at least {MIN_KEY_BYTES}", bytes.len());
            return Err(ServeError::new(message));
        }
        Ok(Key(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// `message` signed for a user: the signature, then what it signs.
    pub(crate) fn seal(&self, purpose: Purpose, user: &str, message: &impl Message) -> Vec<u8> {
        let envelope = Envelope { user: user.into(), message: message.encode_to_vec().into() };
        let envelope = envelope.encode_to_vec();
        let mut signing = hmac::Context::with_key(&self.0);
        signing.update(purpose.label());
        signing.update(&envelope);
        let mut sealed = signing.sign().as_ref().to_vec();
        sealed.extend(envelope);
        sealed
    }

    /// The message that [`Key::seal`] was given. The comparison takes the same time whatever differs.
    ///
    /// # Errors
    /// Where the bytes are none that it gave for this purpose.
    pub(crate) fn open<M: Message + Default>(&self, purpose: Purpose, sealed: &[u8]) -> Result<Opened<M>, OpenError> {
        let (signature, envelope) = sealed.split_at_checked(SIGNATURE_BYTES).ok_or(OpenError::Malformed)?;
        let signed = [purpose.label(), envelope].concat();
        hmac::verify(&self.0, &signed, signature).map_err(|_| OpenError::Forged)?;
        let Envelope { user, message } = Envelope::decode(envelope).map_err(|_| OpenError::Malformed)?;
        let message = M::decode(message).map_err(|_| OpenError::Malformed)?;
        Ok(Opened { user, message })
    }
}

/// An id that nothing else has.
///
/// # Errors
/// `INTERNAL` where the system gives no random bytes.
pub(crate) fn random_id() -> Result<Bytes, Status> {
    let mut id = [0; 16];
    fill_random(&mut id).map_err(|error| status::internal(&error))?;
    Ok(Bytes::copy_from_slice(&id))
}

/// Fills `bytes` with what nobody can guess.
///
/// # Errors
/// Where the system gives no random bytes.
pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), ServeError> {
    SystemRandom::new().fill(bytes).map_err(|_| ServeError::new("the system gives no random bytes"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    fn sealed(key: &Key) -> Vec<u8> {
        key.seal(Purpose::Statement, "ann", &"SELECT 1".to_string())
    }

    #[test]
    fn what_was_signed_comes_back_with_its_user() {
        let key = Key::random().unwrap();
        let opened: Opened<String> = key.open(Purpose::Statement, &sealed(&key)).unwrap();
        assert_eq!((opened.user.as_str(), opened.message.as_str()), ("ann", "SELECT 1"));
    }

    #[test]
    fn every_changed_bit_is_seen() {
        let key = Key::random().unwrap();
        let sealed = sealed(&key);
        for bit in 0..8 * sealed.len() {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = key.open::<String>(Purpose::Statement, &changed).unwrap_err();
            assert_eq!(error, OpenError::Forged, "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(key.open::<String>(Purpose::Statement, &sealed[..len]).is_err());
        }
    }

    #[test]
    fn another_purpose_or_key_is_refused() {
        let key = Key::random().unwrap();
        let sealed = sealed(&key);
        for purpose in [Purpose::Session, Purpose::Stacked, Purpose::Prepared] {
            assert_eq!(key.open::<String>(purpose, &sealed).unwrap_err(), OpenError::Forged);
        }
        let other = Key::random().unwrap();
        assert_eq!(other.open::<String>(Purpose::Statement, &sealed).unwrap_err(), OpenError::Forged);
    }

    #[test]
    fn keys_are_read_from_files_and_are_long() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "short\n").unwrap();
        let error = Key::read(&path).unwrap_err().to_string();
        assert!(error.contains("has 5 bytes") && error.contains("key"), "{error}");
        std::fs::write(&path, "x".repeat(40)).unwrap();
        let with_newline = directory.path().join("key2");
        std::fs::write(&with_newline, "x".repeat(40) + "\n").unwrap();
        let key = Key::read(&path).unwrap();
        let replica = Key::read(&with_newline).unwrap();
        assert!(replica.open::<String>(Purpose::Statement, &sealed(&key)).is_ok());
        assert!(Key::read(&directory.path().join("none")).is_err());
        assert_eq!(format!("{key:?}"), "Key(..)");
    }
}
