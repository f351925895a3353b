//! TLS: whom a client trusts, and which clients a server takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use atlas_flight::auth::{Users, hash_password};
use atlas_flight::client::{Client, ConnectOptions};
use atlas_flight::server::{Server, ServerOptions};
use atlas_flight::tls::Tls;
use flight_fixture::Fixture;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::PathBuf;

/// An authority, and a certificate of the server, as files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer, directory: tempfile::tempdir().unwrap() }
    }

    /// A certificate and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.into()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The server's side: a certificate for localhost.
    fn tls(&self, client_ca: Option<&Authority>) -> Tls {
        let (certificate, key) = self.issue("localhost");
        let client_ca = client_ca.map(|authority| self.write("client_ca.pem", &authority.issuer.pem()));
        let (certificate, key) = (self.write("cert.pem", &certificate), self.write("key.pem", &key));
        Tls::read(&certificate, &key, client_ca.as_deref()).unwrap()
    }

    /// A client that trusts this authority.
    fn trusted(&self) -> ConnectOptions {
        ConnectOptions { server_ca_pem: Some(self.issuer.pem()), ..ConnectOptions::default() }
    }
}

fn uri(fixture: &Fixture) -> String {
    let port = fixture.address.rsplit(':').next().unwrap();
    format!("grpc+tls://localhost:{port}")
}

async fn rows(uri: &str, options: ConnectOptions) -> Result<usize, String> {
    let client = Client::connect_with(uri, options).await.map_err(|error| error.to_string())?;
    let batches = client.query("SELECT dataset FROM datasets").await.map_err(|error| error.to_string())?;
    Ok(batches.iter().map(|batch| batch.num_rows()).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_read_over_tls_if_they_trust_the_server() {
    let authority = Authority::new();
    let options = ServerOptions { tls: Some(authority.tls(None)), ..ServerOptions::default() };
    let fixture = Fixture::serve(&["fleet"], options).await;
    assert_eq!(rows(&uri(&fixture), authority.trusted()).await, Ok(10));
    let stranger = rows(&uri(&fixture), Authority::new().trusted()).await.unwrap_err();
    assert!(stranger.starts_with("cannot connect to grpc+tls://localhost:"), "{stranger}");
    assert!(rows(&uri(&fixture), ConnectOptions::default()).await.is_err(), "nobody is trusted");
    let other_name = uri(&fixture).replace("localhost", "127.0.0.1");
    assert!(rows(&other_name, authority.trusted()).await.is_err(), "the certificate is for another name");
    assert!(rows(&fixture.address.replace("http", "grpc"), ConnectOptions::default()).await.is_err(), "plain text");
    assert_eq!(rows(&uri(&fixture), authority.trusted()).await, Ok(10), "and others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_client_authority_only_its_clients_are_let_in() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let options = ServerOptions { tls: Some(authority.tls(Some(&clients))), ..ServerOptions::default() };
    let fixture = Fixture::serve(&["fleet"], options).await;
    let with = |identity| ConnectOptions { identity_pem: identity, ..authority.trusted() };
    assert_eq!(rows(&uri(&fixture), with(Some(clients.issue("ann")))).await, Ok(10));
    assert!(rows(&uri(&fixture), with(None)).await.is_err(), "no certificate");
    assert!(rows(&uri(&fixture), with(Some(authority.issue("ann")))).await.is_err(), "of another authority");
    assert!(rows(&uri(&fixture), with(Some(Authority::new().issue("ann")))).await.is_err(), "of nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_work_over_tls() {
    let authority = Authority::new();
    let users = format!("[users.ann]\npassword = {:?}\nstores = {{ fleet = \"read\" }}", hash_password("pw").unwrap());
    let users = Some(Users::parse(&users).unwrap());
    let options = ServerOptions { tls: Some(authority.tls(None)), users, ..ServerOptions::default() };
    let fixture = Fixture::serve(&["fleet"], options).await;
    let login = |password: &str| ConnectOptions { login: Some(("ann".into(), password.into())), ..authority.trusted() };
    assert_eq!(rows(&uri(&fixture), login("pw")).await, Ok(10));
    assert_eq!(rows(&uri(&fixture), login("no")).await, Err("the user name or the password is wrong".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_need_tls_and_a_login() {
    let fixture = Fixture::start().await;
    let (authority, clients) = (Authority::new(), Authority::new());
    let users = || {
        let hash = format!("[users.a]\ntokens = [\"sha256:{}\"]\nstores = {{}}", "0".repeat(64));
        Some(Users::parse(&hash).unwrap())
    };
    let stores = || vec![("fleet".to_string(), fixture.store.clone())];
    for (tls, users, missing) in [
        (None, None, "neither TLS nor a login"),
        (None, users(), "no TLS"),
        (Some(authority.tls(None)), None, "no login"),
    ] {
        let options = ServerOptions { tls, users, ..ServerOptions::default() };
        let error = Server::bind_with("0.0.0.0:0", stores(), options).await.err().unwrap().to_string();
        assert!(error.contains("0.0.0.0:0") && error.contains(missing), "{error}");
    }
    for options in [
        ServerOptions { tls: Some(authority.tls(None)), users: users(), ..ServerOptions::default() },
        ServerOptions { tls: Some(authority.tls(Some(&clients))), ..ServerOptions::default() },
        ServerOptions { insecure: true, ..ServerOptions::default() },
    ] {
        Server::bind_with("0.0.0.0:0", stores(), options).await.unwrap();
    }
}
