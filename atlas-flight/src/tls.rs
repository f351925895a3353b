//! Certificates and keys from PEM files, checked before the server starts.

use crate::server::ServeError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// How long a client may take to agree on keys.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// The server's certificate and key, and whose certificates clients need.
pub struct Tls {
    config: ServerTlsConfig,
    asks_for_certificates: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("asks_for_certificates", &self.asks_for_certificates).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads PEM files: the server's certificate (followed by those that vouch for it, if any), its private key, and the
    /// certificates that vouch for clients. With the last, every client needs one.
    ///
    /// # Errors
    /// One line that names the file that cannot be read, holds nothing of the kind, or does not belong to the other.
    pub fn read(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, ServeError> {
        let certificate_pem = read("TLS certificate", certificate)?;
        let key_pem = read("TLS key", key)?;
        let chain = certificates("TLS certificate", certificate, &certificate_pem)?;
        let private = PrivateKeyDer::from_pem_slice(&key_pem)
            .map_err(|_| wrong("TLS key", key, "holds no private key in PEM format that can be read"))?;
        check_pair(chain, private).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                wrong("TLS key", key, &format!("is not the key of the certificate in {}", certificate.display()))
            }
            Error::InvalidCertificate(_) => {
                wrong("TLS certificate", certificate, "holds a certificate that is not valid")
            }
            _ => wrong("TLS key", key, "holds a key of a kind that is not supported"),
        })?;
        let identity = Identity::from_pem(certificate_pem, key_pem);
        let mut config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE_TIME);
        if let Some(path) = client_ca {
            let what = "TLS client CA";
            let pem = read(what, path)?;
            let mut roots = RootCertStore::empty();
            for root in certificates(what, path, &pem)? {
                roots.add(root).map_err(|_| wrong(what, path, "holds a certificate that is not valid"))?;
            }
            config = config.client_ca_root(Certificate::from_pem(pem));
        }
        Ok(Tls { config, asks_for_certificates: client_ca.is_some() })
    }

    /// Whether clients need a certificate.
    pub fn asks_for_certificates(&self) -> bool {
        self.asks_for_certificates
    }

    pub(crate) fn config(self) -> ServerTlsConfig {
        self.config
    }
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>, ServeError> {
    std::fs::read(path).map_err(|error| wrong(what, path, &error.to_string()))
}

fn certificates(what: &str, path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| wrong(what, path, "is not a PEM file that can be read"))?;
    if certificates.is_empty() {
        return Err(wrong(what, path, "holds no certificate in PEM format"));
    }
    Ok(certificates)
}

/// Checks that a key is that of the first certificate.
fn check_pair(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    config.with_no_client_auth().with_single_cert(chain, key).map(drop)
}

fn wrong(what: &str, path: &Path, problem: &str) -> ServeError {
    ServeError::new(format!("{what} {}: {problem}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use std::path::PathBuf;

    struct Files {
        directory: tempfile::TempDir,
    }

    impl Files {
        fn write(&self, name: &str, content: &str) -> PathBuf {
            let path = self.directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    #[test]
    fn files_that_are_not_what_they_should_be_are_named() {
        let files = Files { directory: tempfile::tempdir().unwrap() };
        let pair = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        let certificate = files.write("cert.pem", &pair.cert.pem());
        let key = files.write("key.pem", &pair.signing_key.serialize_pem());
        let other_key = files.write("other.pem", &other.signing_key.serialize_pem());
        let empty = files.write("empty.pem", "");
        let text = files.write("text.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
        let junk = files.write("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let junk_key = files.write("junk_key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        let none = files.directory.path().join("none.pem");

        assert!(!Tls::read(&certificate, &key, None).unwrap().asks_for_certificates());
        assert!(Tls::read(&certificate, &key, Some(&certificate)).unwrap().asks_for_certificates());
        for (certificate, key, client_ca, named) in [
            (&none, &key, None, &none),
            (&empty, &key, None, &empty),
            (&text, &key, None, &text),
            (&junk, &key, None, &junk),
            (&key, &key, None, &key),
            (&certificate, &none, None, &none),
            (&certificate, &empty, None, &empty),
            (&certificate, &certificate, None, &certificate),
            (&certificate, &junk_key, None, &junk_key),
            (&certificate, &other_key, None, &other_key),
            (&certificate, &key, Some(&none), &none),
            (&certificate, &key, Some(&empty), &empty),
            (&certificate, &key, Some(&junk), &junk),
        ] {
            let error = Tls::read(certificate, key, client_ca.map(PathBuf::as_path)).unwrap_err().to_string();
            assert!(error.contains(&format!("{}: ", named.display())) && !error.contains('\n'), "{error}");
        }
        let error = Tls::read(&certificate, &other_key, None).unwrap_err().to_string();
        assert!(error.contains("is not the key of the certificate in") && error.contains("cert.pem"), "{error}");
    }
}
