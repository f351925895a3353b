//! `atlas serve`: stores over Arrow Flight and Flight SQL.

use crate::cli::limits::LimitFlags;
use crate::cli::{Failure, Output, describe, runtime, stop_signal};
use atlas_flight::server::Server;
use atlas_store::OpenOptions;
use clap::Args;
use std::io::{IsTerminal, Write, stderr};
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use tracing_subscriber::EnvFilter;

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
  RUST_LOG=info atlas serve --store fleet=/data/fleet

Port 0 takes a free port. The environment variable RUST_LOG says how much is logged on stderr."
)]
pub(crate) struct Serve {
    /// A store and the name that clients see it under; repeat for more
    #[arg(long = "store", value_name = "NAME=STORE", required = true)]
    stores: Vec<NamedStore>,
    /// Address and port to listen on; only this machine's own addresses are allowed
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051")]
    listen: String,
    /// MiB of decoded cells that each store keeps for the next small read
    #[arg(long, value_name = "MIB", default_value_t = 32)]
    cache: u32,
    #[command(flatten)]
    limits: LimitFlags,
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
        check_loopback(&self.listen)?;
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
        let colours = stderr().is_terminal();
        tracing_subscriber::fmt().with_writer(stderr).with_ansi(colours).with_env_filter(filter).init();
        let mut stores = Vec::with_capacity(self.stores.len());
        for NamedStore { name, location } in &self.stores {
            stores.push((name.clone(), OpenOptions { cache_bytes: u64::from(self.cache) << 20 }.open(location)?));
        }
        let datasets: Vec<usize> = stores.iter().map(|(_, store)| store.snapshot().dataset_count()).collect();
        runtime()?.block_on(async {
            let server = Server::bind(&self.listen, stores, self.limits.limits()).await.map_err(Failure::failed)?;
            let stop = stop_signal()?;
            // A server whose standard output is closed still serves.
            let _ = self.write_banner(server.local_addr(), &datasets);
            server.run(stop).await.map_err(Failure::failed)
        })
    }

    fn write_banner(&self, address: SocketAddr, datasets: &[usize]) -> Result<(), Failure> {
        let mut out = Output::stdout();
        writeln!(out, "serving on grpc://{address}")?;
        for (NamedStore { name, location }, datasets) in self.stores.iter().zip(datasets) {
            writeln!(out, "  {name}: {} of {location}", describe::counted(*datasets as u64, "dataset"))?;
        }
        writeln!(out, "connect from Python (pip install pyarrow adbc-driver-flightsql):")?;
        writeln!(out, "  adbc_driver_flightsql.dbapi.connect(\"grpc://{address}\", autocommit=True)   for SQL")?;
        writeln!(out, "  pyarrow.flight.connect(\"grpc://{address}\")   for stacked reads")?;
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

/// Without encryption and passwords, only this machine's users may connect.
fn check_loopback(listen: &str) -> Result<(), Failure> {
    let addresses = listen
        .to_socket_addrs()
        .map_err(|error| Failure::usage(format!("--listen {listen}: {error}; expected ADDRESS:PORT")))?;
    for address in addresses {
        if !address.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "--listen {listen}: other machines could connect, and TLS is not supported yet; listen on 127.0.0.1"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on() {
        for listen in ["127.0.0.1:0", "[::1]:50051", "127.9.9.9:1"] {
            assert!(check_loopback(listen).is_ok(), "{listen}");
        }
        for listen in ["0.0.0.0:50051", "[::]:50051", "192.0.2.1:1", "127.0.0.1", "nonsense"] {
            assert!(matches!(check_loopback(listen), Err(Failure::Usage(_))), "{listen}");
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
