//! Tokens that a user keeps: made once, stored as a hash.

use super::key::fill_random;
use crate::server::ServeError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;

/// Begins each token, so that one which was published by mistake is found by a search.
const PREFIX: &str = "atlas_";

/// Begins the hash of a token in the users file.
pub(super) const HASH_PREFIX: &str = "sha256:";

/// A new token of 256 random bits, which needs no slow hash: there are too many to try.
pub struct StaticToken {
    token: String,
}

impl StaticToken {
    /// Makes a token.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn random() -> Result<Self, ServeError> {
        let mut bytes = [0; 32];
        fill_random(&mut bytes)?;
        Ok(StaticToken { token: format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)) })
    }

    /// The token itself, for its user.
    pub fn secret(&self) -> &str {
        &self.token
    }

    /// What stands in the users file: `sha256:` and the hash in hexadecimal.
    pub fn hash(&self) -> String {
        let hex: String = hash(&self.token).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{HASH_PREFIX}{hex}")
    }
}

/// The hash by which a token is known.
pub(super) fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

/// The hash that a line of the users file holds.
pub(super) fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix(HASH_PREFIX)?;
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn a_tokens_hash_is_what_it_is_known_by() {
        let token = StaticToken::random().unwrap();
        assert_eq!(parse_hash(&token.hash()), Some(hash(token.secret())));
        assert_ne!(token.secret(), StaticToken::random().unwrap().secret());
        assert!(token.secret().starts_with("atlas_") && token.secret().len() == 49);
    }

    #[test]
    fn other_text_is_no_hash() {
        let long = "sha256:".to_string() + &"g".repeat(64);
        let signed = "sha256:".to_string() + &"+1".repeat(32);
        for text in ["", "sha256:", "sha256:12", "md5:00", &long, &"0".repeat(64)] {
            assert_eq!(parse_hash(text), None, "{text}");
        }
        assert!(parse_hash(&signed).is_none(), "signs are no digits");
    }
}
