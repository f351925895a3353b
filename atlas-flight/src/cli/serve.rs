//! `atlas serve`: stores over Arrow Flight and Flight SQL.

use crate::cli::banner::{Banner, Served};
use crate::cli::limits::LimitFlags;
use crate::cli::logs::LogFlags;
use crate::cli::{Failure, Output, runtime, stop_signal};
use atlas_flight::auth::{Key, Users};
use atlas_flight::server::{Server, ServerOptions};
use atlas_flight::tls::Tls;
use atlas_store::OpenOptions;
use clap::Args;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

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
  atlas serve --store fleet=s3://bucket/fleet --refresh 5s --metrics 127.0.0.1:9464 --log info
  atlas serve --config /etc/atlas/atlas.toml --check

Every flag can also be said in the environment (--max-read is ATLAS_MAX_READ; several stores are separated by commas) and in the file that --config or ATLAS_CONFIG names; flags go before the environment, and that before the file. docs/operations.md has the list. Without TLS and users, only this machine may connect; docs/security.md has certificates, users and tokens. Port 0 takes a free port."
)]
pub(crate) struct Serve {
    /// A store and the name that clients see it under; repeat for more
    #[arg(long = "store", value_name = "NAME=STORE", required = true)]
    stores: Vec<NamedStore>,
    /// Address and port to listen on. Beyond this machine, TLS and a login (or client certificates) are needed
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051", value_parser = address)]
    listen: String,
    /// A file with settings (TOML), for those that neither flags nor the environment say
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the settings, open the stores, say what would be served, and stop
    #[arg(long)]
    check: bool,
    /// How often to look for what other writers committed to the stores, such as 5s; without it, never
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    refresh: Option<Duration>,
    /// Address and port to serve /metrics (Prometheus) and /healthz on, over plain HTTP and without a login; off without it
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    metrics: Option<String>,
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
    #[command(flatten)]
    logs: LogFlags,
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
    fn options(&self) -> Result<ServerOptions, Failure> {
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
            ..ServerOptions::default()
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

/// Text that could be an address and a port, whether or not there is such an address.
fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("expected ADDRESS:PORT, for example 127.0.0.1:50051".to_owned()),
    }
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
        let options = ServerOptions {
            limits: self.limits.limits(),
            writable: self.writable,
            metrics: self.metrics.clone(),
            refresh: self.refresh,
            ..self.security.options()?
        };
        let open = other_machines_connect(&self.listen)?;
        let warning = match options.missing().filter(|_| open) {
            Some(missing) if self.security.insecure => Some(missing),
            Some(missing) => return Err(Failure::usage(not_secured(&self.listen, missing))),
            None => None,
        };
        self.logs.start()?;
        let mut stores = Vec::with_capacity(self.stores.len());
        for NamedStore { name, location } in &self.stores {
            stores.push((name.clone(), OpenOptions { cache_bytes: u64::from(self.cache) << 20 }.open(location)?));
        }
        let served = self.stores.iter().zip(&stores).map(|(named, (_, store))| Served {
            name: named.name.clone(),
            location: named.location.clone(),
            datasets: store.snapshot().dataset_count() as u64,
        });
        let banner = Banner {
            stores: served.collect(),
            encrypted: options.tls.is_some(),
            asks_for_password: options.users.is_some(),
            warning,
        };
        if self.check {
            let mut out = Output::stdout();
            banner.write_check(&mut out, &self.listen, self.metrics.as_deref())?;
            return out.finish();
        }
        runtime()?.block_on(async {
            let server = Server::bind_with(&self.listen, stores, options).await.map_err(Failure::failed)?;
            let stop = stop_signal()?;
            let mut out = Output::stdout();
            // A server whose standard output is closed still serves.
            let _ = banner.write(&mut out, server.local_addr(), server.metrics_addr()).and_then(|()| out.finish());
            server.run(stop).await.map_err(Failure::failed)
        })
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
