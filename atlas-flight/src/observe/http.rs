//! The second port: `/metrics` and `/healthz` over plain HTTP.

use super::metrics::Metrics;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at a time; more wait.
const CONNECTIONS: usize = 16;

/// How long a connection may take to ask, and to go on.
const CONNECTION_TIME: Duration = Duration::from_secs(30);

/// How long to wait after the system had no connection to give.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Whether the server takes calls.
#[derive(Debug, Default)]
pub(crate) struct Health {
    drains: AtomicBool,
}

impl Health {
    /// Says that the server takes no more calls.
    pub(crate) fn drain(&self) {
        self.drains.store(true, Ordering::Release);
    }
}

/// Answers whoever connects, without end.
pub(crate) async fn serve(listener: TcpListener, metrics: Arc<Metrics>, health: Arc<Health>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (metrics, health) = (Arc::clone(&metrics), Arc::clone(&health));
                tokio::spawn(async move {
                    let _place = place;
                    let _ = tokio::time::timeout(CONNECTION_TIME, connection(stream, metrics, health)).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection to the metrics port");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, metrics: Arc<Metrics>, health: Arc<Health>) {
    let answering = service_fn(move |request: Request<Incoming>| {
        let response = answer(&request, &metrics, &health);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answering).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the metrics port broke");
    }
}

fn answer<B>(request: &Request<B>, metrics: &Metrics, health: &Health) -> Response<String> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const PLAIN: &str = "text/plain; charset=utf-8";
    let asks = matches!(*request.method(), Method::GET | Method::HEAD);
    let (code, kind, body) = match request.uri().path() {
        _ if !asks => (StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET\n".to_owned()),
        "/metrics" => match metrics.to_text() {
            Ok(text) => (StatusCode::OK, OPEN_METRICS, text),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "the metrics cannot be written\n".to_owned()),
        },
        "/healthz" if health.drains.load(Ordering::Acquire) => {
            (StatusCode::SERVICE_UNAVAILABLE, PLAIN, "stopping\n".to_owned())
        }
        "/healthz" => (StatusCode::OK, PLAIN, "serving\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, PLAIN, "there are /metrics and /healthz\n".to_owned()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
