//! The server: a listener, the Flight service and the health service; a second listener for metrics.

use crate::auth::{Authenticated, Authenticator, Key, Users, follow_users};
use crate::connections;
use crate::limits::Limits;
use crate::observe::{self, Health, Metrics, Observed, ProcessNumbers, StoreNumbers};
use crate::refresh;
use crate::service::AtlasService;
use crate::service::direct::Direct;
use crate::service::ended::EndNoted;
use crate::ticket::Tickets;
use crate::tls::Tls;
use crate::view::Views;
use crate::write::Writers;
use arrow_flight::flight_service_server::FlightServiceServer;
use atlas_store::Store;
use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

/// How long streams that run may go on after the server was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// For how long the token of a handshake is good, unless it is said otherwise.
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// For how long a ticket is good, unless it is said otherwise.
const TICKET_LIFETIME: Duration = Duration::from_secs(3600);

/// How long a connection may be silent before its client is asked for a sign of life, and how long that may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// Calls of one connection at a time.
const MAX_CALLS: u32 = 256;

/// Bytes of the headers of one call.
const MAX_HEADER_BYTES: u32 = 32 << 10;

/// How a server is secured, and what queries may take. The default is for this machine alone: neither encryption nor users, and a random key.
#[derive(Debug)]
pub struct ServerOptions {
    /// Certificate and key; the server speaks TLS if there are some.
    pub tls: Option<Tls>,
    /// Who may log in, and read what; everybody reads everything where there are none.
    pub users: Option<Users>,
    /// What tickets and tokens are signed with; a random key where there is none. Replicas need the same.
    pub key: Option<Key>,
    /// For how long the token of a handshake is good.
    pub token_lifetime: Duration,
    /// For how long a ticket is good, unless it is renewed.
    pub ticket_lifetime: Duration,
    /// What queries may take.
    pub limits: Limits,
    /// Clients may change the stores, where their roles allow it; else the server only reads.
    pub writable: bool,
    /// Listens where other machines can connect, though there is no TLS or no login.
    pub insecure: bool,
    /// Where `/metrics` and `/healthz` are served (`host:port`), over plain HTTP and to whoever connects; nowhere if it is
    /// not said. They tell the names of stores and how much is done, and nothing of what is stored or asked.
    pub metrics: Option<String>,
    /// How often to look for new snapshots of the stores; never if it is not said.
    pub refresh: Option<Duration>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            tls: None,
            users: None,
            key: None,
            token_lifetime: TOKEN_LIFETIME,
            ticket_lifetime: TICKET_LIFETIME,
            limits: Limits::default(),
            writable: false,
            insecure: false,
            metrics: None,
            refresh: None,
        }
    }
}

impl ServerOptions {
    /// What is missing for others than this machine's users to connect, if anything: a client certificate is as good as a
    /// password.
    pub fn missing(&self) -> Option<&'static str> {
        let asks = self.users.is_some() || self.tls.as_ref().is_some_and(Tls::asks_for_certificates);
        match (&self.tls, asks) {
            (None, false) => Some("there is neither TLS nor a login"),
            (None, true) => Some("there is no TLS: passwords and data could be read on the way"),
            (Some(_), false) => Some("there is no login: anybody could read the stores"),
            (Some(_), true) => None,
        }
    }
}

/// A server that is bound to its address and not yet running.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let store = atlas_store::Store::open("/data/fleet")?;
/// let limits = atlas_flight::Limits::default();
/// let server = atlas_flight::server::Server::bind("127.0.0.1:0", vec![("fleet".into(), store)], limits).await?;
/// println!("grpc://{}", server.local_addr());
/// server.run(async { let _ = tokio::signal::ctrl_c().await; }).await?;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    service: AtlasService,
    authenticator: Arc<Authenticator>,
    limits: Limits,
    tls: Option<Tls>,
    metrics: Arc<Metrics>,
    metrics_listener: Option<(TcpListener, SocketAddr)>,
    /// What goes on beside the calls; it ends with the server.
    tasks: JoinSet<()>,
}

/// Why a server does not start, or stops; one line.
#[derive(Debug)]
pub struct ServeError {
    message: String,
}

impl ServeError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        ServeError { message: message.into() }
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServeError {}

impl Server {
    /// Binds to `listen` (`host:port`; port 0 takes a free one) to serve these stores, each under its name, to whoever is on
    /// this machine, within these limits. The first store is the default schema of SQL.
    ///
    /// # Errors
    /// As [`Server::bind_with`].
    pub async fn bind(listen: &str, stores: Vec<(String, Store)>, limits: Limits) -> Result<Self, ServeError> {
        Self::bind_with(listen, stores, ServerOptions { limits, ..ServerOptions::default() }).await
    }

    /// Binds to `listen` to serve these stores, secured as `options` say.
    ///
    /// # Errors
    /// Where the address is in use or not of this machine, where it is no loopback address and TLS or a login is missing,
    /// or where the stores' names are not distinct.
    pub async fn bind_with(
        listen: &str,
        stores: Vec<(String, Store)>,
        options: ServerOptions,
    ) -> Result<Self, ServeError> {
        check_names(&stores)?;
        let failed = |error: std::io::Error| cannot_listen(listen, &error);
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host(listen).await.map_err(failed)?.collect();
        let open = addresses.iter().find(|address| !address.ip().is_loopback());
        if let (Some(open), Some(missing), false) = (open, options.missing(), options.insecure) {
            let ip = open.ip();
            let message = format!("cannot listen on {listen}: other machines can connect to {ip}, and {missing}");
            return Err(ServeError::new(message));
        }
        let ServerOptions {
            tls,
            users,
            key,
            token_lifetime,
            ticket_lifetime,
            limits,
            writable,
            insecure: _,
            metrics: metrics_at,
            refresh,
        } = options;
        let key = key.map_or_else(Key::random, Ok)?;
        for named in users.iter().flat_map(Users::named_stores) {
            if !stores.iter().any(|(name, _)| name == named) {
                tracing::warn!(store = named, "the users file names a store that is not served");
            }
        }
        let failures = limits.login_failures;
        let authenticator = Arc::new(Authenticator::new(users, key.clone(), token_lifetime, failures)?);
        let listener = TcpListener::bind(&*addresses).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let writers = Writers::new(&stores, writable, limits.clone());
        let views = Arc::new(Views::new(stores.clone(), limits.clone())?);
        let names: Vec<String> = stores.iter().map(|(name, _)| name.clone()).collect();
        let numbers = StoreNumbers::new(stores.clone(), Arc::clone(views.gate()));
        let metrics = Arc::new(Metrics::new(&names, vec![Box::new(numbers), Box::new(ProcessNumbers::new())]));
        let metrics_listener = match &metrics_at {
            Some(address) => Some(listen_for_metrics(address).await?),
            None => None,
        };
        let mut tasks = JoinSet::new();
        if let Some(every) = refresh {
            for (name, store) in stores {
                let (metrics, given) = (Arc::clone(&metrics), Arc::clone(views.given()));
                tasks.spawn(refresh::follow(name, store, every, metrics, given));
            }
        }
        let service = AtlasService::new(views, writers, Tickets::new(key, ticket_lifetime))?;
        Ok(Server { listener, local_addr, service, authenticator, limits, tls, metrics, metrics_listener, tasks })
    }

    /// The address that the server is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The address that metrics are served on, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_listener.as_ref().map(|(_, address)| *address)
    }

    /// Serves until `shutdown` is ready, then lets running streams end, for ten seconds at most. Meanwhile the health
    /// service says `NOT_SERVING`, and `/healthz` 503.
    ///
    /// # Errors
    /// Where the listener fails.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let flight = FlightServiceServer::new(self.service)
            .max_decoding_message_size(self.limits.message_bytes)
            .max_encoding_message_size(usize::MAX);
        // Health alone is anybody's to ask.
        let flight = Authenticated::new(
            EndNoted(Direct::new(flight)),
            Arc::clone(&self.authenticator),
            self.limits.message_bytes,
        );
        let flight = Observed::new(flight, Arc::clone(&self.metrics));
        let healthz = Arc::new(Health::default());
        if let Some((listener, _)) = self.metrics_listener {
            self.tasks.spawn(observe::serve(listener, Arc::clone(&self.metrics), Arc::clone(&healthz)));
        }
        let (mut health_reporter, health) = tonic_health::server::health_reporter();
        health_reporter.set_serving::<FlightServiceServer<AtlasService>>().await;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let mut server = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1))
            .max_concurrent_streams(MAX_CALLS)
            .http2_max_header_list_size(MAX_HEADER_BYTES);
        if let Some(tls) = self.tls {
            server = server
                .tls_config(tls.config())
                .map_err(|error| ServeError::new(format!("TLS cannot be set up: {error}")))?;
        }
        let serving = server.add_service(health).add_service(flight).serve_with_incoming_shutdown(
            connections::limited(TcpIncoming::from(self.listener).with_nodelay(Some(true)), self.limits.connections),
            async {
                // A sender that is gone means stop, too.
                let _ = stopped.await;
            },
        );
        tokio::pin!(serving);
        let failed = |error: tonic::transport::Error| ServeError::new(format!("the server stopped: {error}"));
        tokio::select! {
            served = &mut serving => return served.map_err(failed),
            () = follow_users(self.authenticator) => {}
            () = shutdown => {}
        }
        tracing::info!("stopping");
        healthz.drain();
        health_reporter.set_not_serving::<FlightServiceServer<AtlasService>>().await;
        health_reporter.set_service_status("", ServingStatus::NotServing).await;
        drop(stop);
        // Those who watch have been told, and their streams end: nobody has to wait for them.
        health_reporter.clear_service_status(<FlightServiceServer<AtlasService> as NamedService>::NAME).await;
        health_reporter.clear_service_status("").await;
        match tokio::time::timeout(DRAIN, serving).await {
            Ok(served) => served.map_err(failed),
            Err(_) => {
                tracing::warn!("streams still ran after {DRAIN:?}: cut");
                Ok(())
            }
        }
    }
}

async fn listen_for_metrics(address: &str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |error: std::io::Error| cannot_listen(address, &error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn cannot_listen(address: &str, error: &std::io::Error) -> ServeError {
    let reason = match error.kind() {
        std::io::ErrorKind::AddrInUse => "the port is in use".to_string(),
        std::io::ErrorKind::AddrNotAvailable => "the address is not of this machine".to_string(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        _ => error.to_string(),
    };
    ServeError::new(format!("cannot listen on {address}: {reason}"))
}

fn check_names(stores: &[(String, Store)]) -> Result<(), ServeError> {
    let mut seen = HashSet::new();
    if stores.is_empty() {
        return Err(ServeError::new("there is no store to serve"));
    }
    for (name, _) in stores {
        if name.is_empty() {
            return Err(ServeError::new("a store has an empty name"));
        }
        if !seen.insert(name) {
            return Err(ServeError::new(format!("two stores are named {name}")));
        }
    }
    Ok(())
}
