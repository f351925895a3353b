//! The same, against a server that speaks S3 over the network: conditional puts, uploads in parts, ranges, listing.
//!
//! Runs against moto, of the Python beside the `moto_server` in `$ATLAS_VENV/bin`, in `.venv/bin` of the project, or on
//! the `PATH`; or against the server at `$ATLAS_S3_ENDPOINT` and its bucket `$ATLAS_S3_BUCKET` (default `atlas-test`), with the credentials of
//! the `AWS_` variables. Skipped, and says so, where there is none.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod backend;

use atlas_store::object_store::RetryConfig;
use atlas_store::object_store::aws::AmazonS3Builder;
use atlas_store::{CreateOptions, ErrorKind, ObjectStorage, Storage, Store, storage_at};
use backend::conform;
use backend::scenarios::{AT_ONCE, add, check};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio, id};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An S3 server; ended with the test where it is ours.
struct Server {
    endpoint: String,
    bucket: String,
    child: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// A moto server on a free port, which answers one request at a time: its conditional puts compare and put in two steps.
const MOTO: &str = r#"
import threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
moto = DomainDispatcherApplication(create_backend_app)
lock = threading.Lock()
def one_at_a_time(environ, start_response):
    with lock:
        return moto(environ, start_response)
run_simple("127.0.0.1", 0, one_at_a_time, threaded=True)
"#;

/// The Python that has moto.
fn find_python() -> Option<PathBuf> {
    let venv = std::env::var_os("ATLAS_VENV").map(PathBuf::from);
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.venv");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let venvs = venv.into_iter().chain([project]).map(|venv| venv.join("bin"));
    let with_moto = |bin: &PathBuf| bin.join("moto_server").is_file();
    venvs.chain(std::env::split_paths(&path)).find(with_moto).map(|bin| bin.join("python3"))
}

impl Server {
    fn start() -> Option<Self> {
        let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
        let bucket = variable("ATLAS_S3_BUCKET", "atlas-test");
        if let Ok(endpoint) = std::env::var("ATLAS_S3_ENDPOINT") {
            return Some(Server { endpoint, bucket, child: None });
        }
        let Some(python) = find_python() else {
            eprintln!("SKIPPED: no S3 server: neither moto_server nor ATLAS_S3_ENDPOINT");
            return None;
        };
        let mut child = Command::new(python)
            .args(["-c", MOTO])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let endpoint = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "moto has ended");
            if let Some((_, address)) = line.split_once("Running on ") {
                break address.trim().to_string();
            }
        };
        // It logs every request, and must not wait for a reader.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let server = Server { endpoint, bucket, child: Some(child) };
        server.create_bucket();
        Some(server)
    }

    /// A bucket whose objects anybody may read, over plain HTTP too.
    fn create_bucket(&self) {
        let address = self.endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        let bucket = &self.bucket;
        let headers = "x-amz-acl: public-read\r\nContent-Length: 0\r\nConnection: close";
        write!(stream, "PUT /{bucket} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }

    fn storage(&self, prefix: &str) -> Arc<dyn Storage> {
        let mut builder = AmazonS3Builder::from_env()
            .with_endpoint(&self.endpoint)
            .with_bucket_name(&self.bucket)
            .with_allow_http(true);
        if self.child.is_some() {
            builder = builder.with_access_key_id("test").with_secret_access_key("test").with_region("us-east-1");
        }
        Arc::new(ObjectStorage::new(Arc::new(builder.build().unwrap()), prefix).unwrap())
    }

    /// A prefix that nobody has used.
    fn fresh(&self) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        format!("{}-{now}/{}", id(), NUMBER.fetch_add(1, Ordering::Relaxed))
    }

    /// The variables by which a process reaches the server.
    fn environment(&self) -> Vec<(&str, &str)> {
        let mut variables = vec![("AWS_ENDPOINT_URL", self.endpoint.as_str()), ("AWS_ALLOW_HTTP", "true")];
        if self.child.is_some() {
            variables.extend([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
            variables.push(("AWS_REGION", "us-east-1"));
        }
        variables
    }
}

#[test]
fn s3_conforms() {
    let Some(server) = Server::start() else { return };
    conform("s3", &|| server.storage(&server.fresh()));
}

#[test]
fn a_missing_bucket_or_server_is_told_in_one_line() {
    let Some(server) = Server::start() else { return };
    let build = |endpoint: &str| {
        let retry = RetryConfig { max_retries: 1, retry_timeout: Duration::from_secs(5), ..RetryConfig::default() };
        let builder = AmazonS3Builder::new().with_endpoint(endpoint).with_bucket_name("nowhere").with_allow_http(true);
        let builder = builder.with_access_key_id("test").with_secret_access_key("test").with_retry(retry);
        Arc::new(ObjectStorage::new(Arc::new(builder.build().unwrap()), "x").unwrap().named("s3://nowhere/x"))
    };
    let error = Store::open_on(build(&server.endpoint)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("s3://nowhere/x"), "{error}");
    for endpoint in [&server.endpoint[..], "http://127.0.0.1:1"] {
        let error = Store::create_on(build(endpoint), CreateOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
        let text = error.to_string();
        assert!(!text.contains('\n') && text.len() < 700, "{text}");
        println!("{text}");
    }
}

/// What is written over S3 is read over plain HTTP, and not written there.
#[test]
fn a_store_is_read_over_http() {
    let Some(server) = Server::start() else { return };
    if server.child.is_none() {
        eprintln!("SKIPPED: the objects of {} need credentials", server.endpoint);
        return;
    }
    let prefix = server.fresh();
    let store = Store::create_on(server.storage(&prefix), CreateOptions::default()).unwrap();
    add(&store, "a", 1).unwrap();
    store.flush().unwrap();
    let url = format!("{}/{}/{prefix}/", server.endpoint, server.bucket);
    let web = Store::open(&url).unwrap();
    assert_eq!(web.location(), url.trim_end_matches('/'));
    let snapshot = web.snapshot();
    assert_eq!(snapshot.read("a", "t", None).unwrap(), store.snapshot().read("a", "t", None).unwrap());
    assert_eq!(snapshot.read("a", "név #1", None).unwrap(), store.snapshot().read("a", "név #1", None).unwrap());
    for error in [
        web.create_dataset("b").unwrap_err(),
        web.compact(AT_ONCE).unwrap_err(),
        Store::create(&format!("{url}new"), CreateOptions::default()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains("read-only"), "{error}");
    }
    assert_eq!(Store::open(&format!("{url}nothing")).unwrap_err().kind(), ErrorKind::NotFound);
}

/// The part of the next test that runs in a process of its own, which has the environment.
#[test]
fn with_the_environment() {
    let Ok(url) = std::env::var("ATLAS_S3_TEST_URL") else { return };
    assert!(!Store::exists(&url).unwrap());
    let store = Store::create(&url, CreateOptions::default()).unwrap();
    assert_eq!(store.location(), url);
    add(&store, "a", 1).unwrap();
    store.flush().unwrap();
    check(&Store::open(&format!("{url}/")).unwrap(), &[("a", 1)]);
    assert!(storage_at(&url).unwrap().list().unwrap().iter().any(|info| info.object == "atlas.json"));
    println!("opened {url}");
}

#[test]
fn a_url_is_opened_with_credentials_from_the_environment() {
    let Some(server) = Server::start() else { return };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "with_the_environment", "--nocapture"])
        .envs(server.environment())
        .env("ATLAS_S3_TEST_URL", format!("s3://{}/{}", server.bucket, server.fresh()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("opened s3://"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
