//! Where a server is.

use super::ClientError;
use std::fmt;

const PLAIN: [&str; 3] = ["grpc://", "grpc+tcp://", "http://"];
const ENCRYPTED: [&str; 3] = ["grpc+tls://", "grpcs://", "https://"];

/// A server, and maybe one of its stores: `grpc://host:port`, `grpc+tls://host:port/store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    scheme: &'static str,
    authority: String,
    store: Option<String>,
}

impl Address {
    /// Whether a text names a server, by its scheme: the schemes of Flight, and not those of HTTP, which stores have too.
    pub fn is_one(text: &str) -> bool {
        PLAIN
            .iter()
            .chain(&ENCRYPTED)
            .filter(|scheme| scheme.starts_with("grpc"))
            .any(|scheme| text.starts_with(scheme))
    }

    /// Reads `grpc://host:port` (or `grpc+tcp://`, `http://`), or with TLS `grpc+tls://host:port` (or `grpcs://`,
    /// `https://`), each with the name of a store behind it or without.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for other texts, and where there is a password in it: others see what stands in addresses.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let after = |schemes: &[&str]| schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
        let plain = after(&PLAIN).map(|rest| ("http", rest));
        let Some((scheme, rest)) = plain.or(after(&ENCRYPTED).map(|rest| ("https", rest))) else {
            let message = format!("{text}: a server is named by grpc://host:port or grpc+tls://host:port");
            return Err(ClientError::invalid(message));
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(ClientError::invalid("a server's address holds neither user nor password"));
        }
        let store = path.strip_suffix('/').unwrap_or(path);
        let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port));
        if !has_port || store.contains(['/', '?', '#']) {
            return Err(ClientError::invalid(format!("{text}: expected grpc://host:port or grpc://host:port/store")));
        }
        let store = (!store.is_empty()).then(|| decoded(store)).transpose()?;
        Ok(Address { scheme, authority: authority.to_owned(), store })
    }

    /// The store that is named.
    pub fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.scheme == "https"
    }

    /// The URI that the transport takes.
    pub(super) fn transport_uri(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// The server, without the store.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted() { "grpc+tls" } else { "grpc" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// A path segment with `%20` and the like as what they stand for.
fn decoded(segment: &str) -> Result<String, ClientError> {
    let unreadable = || ClientError::invalid(format!("{segment} is not the name of a store"));
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = digit().zip(digit()).ok_or_else(unreadable)?;
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| unreadable())?);
    }
    String::from_utf8(bytes).map_err(|_| unreadable())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn addresses_have_a_port_and_maybe_a_store() {
        for (text, shown, store) in [
            ("grpc://127.0.0.1:50051", "grpc://127.0.0.1:50051", None),
            ("grpc+tcp://h:1/", "grpc://h:1", None),
            ("grpc+tls://data.example:443/fleet", "grpc+tls://data.example:443", Some("fleet")),
            ("grpcs://[::1]:5/my%20fleet/", "grpc+tls://[::1]:5", Some("my fleet")),
            ("http://h:1", "grpc://h:1", None),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.store()), (shown, store), "{text}");
        }
        for text in
            ["grpc://h", "grpc://:1", "grpc://h:x", "grpc://h:70000", "grpc://h:1/a/b", "grpc://h:1/%zz", "ftp://h:1"]
        {
            assert!(Address::parse(text).is_err(), "{text}");
        }
        assert!(Address::is_one("grpc+tls://h:1") && !Address::is_one("https://h/store") && !Address::is_one("grpc"));
    }

    #[test]
    fn passwords_in_addresses_are_refused_unseen() {
        let error = Address::parse("grpc://ann:secret@h:1").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
