//! `atlas serve`: stores over Arrow Flight and Flight SQL.

use crate::cli::limits::LimitFlags;
use crate::cli::{Failure, Output, describe, runtime, stop_signal};
use atlas_flight::Limits;
use atlas_flight::auth::{Key, Users};
use atlas_flight::server::{Server, ServerOptions};
use atlas_flight::tls::Tls;
use atlas_store::OpenOptions;
use clap::Args;
use std::io::{IsTerminal, Write, stderr};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// What the transport may log, whatever RUST_LOG says.
const TRANSPORT: [&str; 5] = ["h2=info", "hyper=info", "tonic=info", "tower=info", "rustls=info"];

/// Serve stores over Arrow Flight and Flight SQL.
///
/// Runs until Ctrl-C or SIGTERM. The first store is the default schema: its tables need no prefix.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  atlas serve --store fleet=/data/fleet
  atlas serve --store fleet=/data/fleet --store argo=/data/argo --listen 127.0.0.1:0
  atlas serve --store fleet=/data/fleet --listen 0.0.0.0:50051 --tls-cert cert.pem --tls-key key.pem --users users.toml
  RUST_LOG=info atlas serve --store fleet=/data/fleet

Without TLS and users, only this machine may connect; docs/security.md has certificates, users and tokens. Port 0 takes a free port. The environment variable RUST_LOG says how much is logged on stderr."
)]
pub(crate) struct Serve {
    /// A store and the name that clients see it under; repeat for more
    #[arg(long = "store", value_name = "NAME=STORE", required = true)]
    stores: Vec<NamedStore>,
    /// Address and port to listen on. Beyond this machine, TLS and a login (or client certificates) are needed
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051")]
    listen: String,
    /// MiB of decoded cells that each store keeps for the next small read
    #[arg(long, value_name = "MIB", default_value_t = 32)]
    cache: u32,
    /// Let clients change the stores: uploads, ingestion, INSERT, UPDATE, DELETE, and actions, as their roles allow
    #[arg(long)]
    writable: bool,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    security: Security,
}

/// Who may connect.
#[derive(Debug, Args)]
#[command(next_help_heading = "Security")]
struct Security {
    /// The server's certificate (PEM), followed by those that vouch for it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The certificates (PEM) that vouch for clients; every client then needs a certificate of its own
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Who may log in, and which stores each may read (TOML); without it, no login is asked for
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// What tickets and tokens are signed with: any 32 bytes or more, the same on all replicas. A random key without it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// For how long a login lasts, such as 90s, 30m, 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = lifetime)]
    token_lifetime: Duration,
    /// For how long a FlightInfo's tickets are good, unless they are renewed
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    ticket_lifetime: Duration,
    /// Let other machines connect without TLS, or without a login
    #[arg(long)]
    insecure: bool,
}

impl Security {
    fn options(&self, limits: Limits, writable: bool) -> Result<ServerOptions, Failure> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls::read(certificate, key, self.tls_client_ca.as_deref())),
            _ => None,
        };
        Ok(ServerOptions {
            tls: tls.transpose().map_err(Failure::failed)?,
            users: self.users.as_deref().map(Users::read).transpose().map_err(Failure::failed)?,
            key: self.key.as_deref().map(Key::read).transpose().map_err(Failure::failed)?,
            token_lifetime: self.token_lifetime,
            ticket_lifetime: self.ticket_lifetime,
            insecure: self.insecure,
            writable,
            limits,
        })
    }
}

/// A time such as 90s, 30m, 12h or 7d.
fn lifetime(text: &str) -> Result<Duration, String> {
    let expected = || "expected a whole number and s, m, h or d, for example 12h".to_owned();
    let unit = text.chars().next_back().ok_or_else(expected)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(expected()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| expected())?;
    if number == 0 {
        return Err("it must be at least 1s".to_owned());
    }
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "it is too long".to_owned())
}

/// A store's location and the name that it is served under.
#[derive(Debug, Clone)]
struct NamedStore {
    name: String,
    location: String,
}

impl FromStr for NamedStore {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, location)) if !name.is_empty() && !location.is_empty() => {
                Ok(NamedStore { name: name.to_owned(), location: location.to_owned() })
            }
            _ => Err("expected NAME=STORE, for example fleet=/data/fleet".to_owned()),
        }
    }
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        check_names(&self.stores)?;
        let options = self.security.options(self.limits.limits(), self.writable)?;
        let open = other_machines_connect(&self.listen)?;
        let warning = match options.missing().filter(|_| open) {
            Some(missing) if self.security.insecure => Some(missing),
            Some(missing) => return Err(Failure::usage(not_secured(&self.listen, missing))),
            None => None,
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
        // What a client sends passes through these crates: passwords and tokens, too.
        let filter =
            TRANSPORT.iter().filter_map(|directive| directive.parse().ok()).fold(filter, EnvFilter::add_directive);
        let colours = stderr().is_terminal();
        tracing_subscriber::fmt().with_writer(stderr).with_ansi(colours).with_env_filter(filter).init();
        let mut stores = Vec::with_capacity(self.stores.len());
        for NamedStore { name, location } in &self.stores {
            stores.push((name.clone(), OpenOptions { cache_bytes: u64::from(self.cache) << 20 }.open(location)?));
        }
        let datasets: Vec<usize> = stores.iter().map(|(_, store)| store.snapshot().dataset_count()).collect();
        runtime()?.block_on(async {
            let server = Server::bind_with(&self.listen, stores, options).await.map_err(Failure::failed)?;
            let stop = stop_signal()?;
            // A server whose standard output is closed still serves.
            let _ = self.write_banner(server.local_addr(), &datasets, warning);
            server.run(stop).await.map_err(Failure::failed)
        })
    }

    fn write_banner(&self, address: SocketAddr, datasets: &[usize], warning: Option<&str>) -> Result<(), Failure> {
        let mut out = Output::stdout();
        let scheme = if self.security.tls_cert.is_some() { "grpc+tls" } else { "grpc" };
        writeln!(out, "serving on {scheme}://{address}")?;
        if let Some(missing) = warning {
            writeln!(out, "warning: other machines can connect, and {missing}")?;
        }
        for (NamedStore { name, location }, datasets) in self.stores.iter().zip(datasets) {
            writeln!(out, "  {name}: {} of {location}", describe::counted(*datasets as u64, "dataset"))?;
        }
        // Certificates are for names, and 0.0.0.0 is none.
        let host = if self.security.tls_cert.is_some() { "HOST".to_owned() } else { address.ip().to_string() };
        let host = if address.ip().is_unspecified() { "HOST".to_owned() } else { host };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let uri = format!("{scheme}://{host}:{}", address.port());
        let login =
            if self.security.users.is_some() { "db_kwargs={\"username\": …, \"password\": …}, " } else { "" };
        writeln!(out, "connect from Python (pip install pyarrow adbc-driver-flightsql):")?;
        writeln!(out, "  adbc_driver_flightsql.dbapi.connect(\"{uri}\", {login}autocommit=True)   for SQL")?;
        writeln!(out, "  pyarrow.flight.connect(\"{uri}\")   for stacked reads")?;
        if self.security.tls_cert.is_some() {
            writeln!(out, "HOST is a name in the certificate; docs/security.md says how clients come to trust it")?;
        }
        writeln!(out, "stop with Ctrl-C")?;
        out.finish()
    }
}

/// Names are schemas: they have to differ, and one is taken.
fn check_names(stores: &[NamedStore]) -> Result<(), Failure> {
    for (place, NamedStore { name, location }) in stores.iter().enumerate() {
        if name == "information_schema" {
            return Err(Failure::usage("a store cannot be named information_schema"));
        }
        if let Some(other) = stores[..place].iter().find(|other| other.name == *name) {
            let other = &other.location;
            return Err(Failure::usage(format!("two stores are named {name}: {other} and {location}")));
        }
    }
    Ok(())
}

/// Whether other machines could connect to an address.
fn other_machines_connect(listen: &str) -> Result<bool, Failure> {
    let mut addresses = listen
        .to_socket_addrs()
        .map_err(|error| Failure::usage(format!("--listen {listen}: {error}; expected ADDRESS:PORT")))?;
    Ok(addresses.any(|address| !address.ip().is_loopback()))
}

fn not_secured(listen: &str, missing: &str) -> String {
    format!(
        "--listen {listen}: other machines could connect, and {missing}; give --tls-cert, --tls-key and --users, listen on \
         127.0.0.1, or say --insecure"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn loopback_is_told_from_addresses_that_others_reach() {
        for listen in ["127.0.0.1:0", "[::1]:50051", "127.9.9.9:1"] {
            assert!(!other_machines_connect(listen).unwrap(), "{listen}");
        }
        for listen in ["0.0.0.0:50051", "[::]:50051", "192.0.2.1:1"] {
            assert!(other_machines_connect(listen).unwrap(), "{listen}");
        }
        for listen in ["127.0.0.1", "nonsense"] {
            assert!(matches!(other_machines_connect(listen), Err(Failure::Usage(_))), "{listen}");
        }
    }

    #[test]
    fn lifetimes_have_units() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(lifetime(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "12", "h", "-1h", "1.5h", "0s", "12 h", "5é", "99999999999999999999d", "18446744073709551615d"]
        {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn stores_have_names_and_locations() {
        for text in ["fleet", "=x", "fleet=", ""] {
            assert!(text.parse::<NamedStore>().is_err(), "{text}");
        }
        let named = "a=/x=y".parse::<NamedStore>();
        assert!(matches!(named, Ok(NamedStore { name, location }) if name == "a" && location == "/x=y"));
    }
}
