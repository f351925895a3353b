//! What `atlas serve` says when it starts: where it listens, what it serves, and how to connect.

use crate::cli::{Failure, Output, describe};
use std::io::Write;
use std::net::SocketAddr;

/// A store that is served.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) name: String,
    pub(crate) location: String,
    pub(crate) datasets: u64,
}

/// What there is to say of a server, apart from its addresses.
#[derive(Debug)]
pub(crate) struct Banner {
    pub(crate) stores: Vec<Served>,
    pub(crate) encrypted: bool,
    pub(crate) asks_for_password: bool,
    /// What is missing, where other machines can connect nevertheless.
    pub(crate) warning: Option<&'static str>,
}

impl Banner {
    /// What is said of a server that listens.
    pub(crate) fn write(
        &self,
        out: &mut Output,
        address: SocketAddr,
        metrics: Option<SocketAddr>,
    ) -> Result<(), Failure> {
        let scheme = self.scheme();
        writeln!(out, "serving on {scheme}://{address}")?;
        self.write_stores(out)?;
        if let Some(metrics) = metrics {
            writeln!(out, "metrics on http://{metrics}/metrics, health on http://{metrics}/healthz")?;
        }
        // Certificates are for names, and 0.0.0.0 is none.
        let host = if self.encrypted || address.ip().is_unspecified() {
            "HOST".to_owned()
        } else if address.is_ipv6() {
            format!("[{}]", address.ip())
        } else {
            address.ip().to_string()
        };
        let place = format!("{host}:{}", address.port());
        let login = if self.asks_for_password { "db_kwargs={\"username\": …, \"password\": …}, " } else { "" };
        writeln!(out, "connect from Python (pip install pyarrow adbc-driver-flightsql):")?;
        writeln!(
            out,
            "  adbc_driver_flightsql.dbapi.connect(\"{scheme}://{place}\", {login}autocommit=True)   for SQL"
        )?;
        writeln!(out, "  pyarrow.flight.connect(\"{scheme}://{place}\")   for stacked reads")?;
        let user = if self.asks_for_password { "&user=…" } else { "" };
        writeln!(out, "from JDBC: jdbc:arrow-flight-sql://{place}/?useEncryption={}{user}", self.encrypted)?;
        if self.encrypted {
            writeln!(out, "HOST is a name in the certificate; docs/security.md says how clients come to trust it")?;
        }
        writeln!(out, "stop with Ctrl-C")?;
        Ok(())
    }

    /// What would be served, where the settings are only checked.
    pub(crate) fn write_check(&self, out: &mut Output, listen: &str, metrics: Option<&str>) -> Result<(), Failure> {
        writeln!(out, "the settings are good: would serve on {}://{listen}", self.scheme())?;
        self.write_stores(out)?;
        if let Some(metrics) = metrics {
            writeln!(out, "metrics on http://{metrics}/metrics")?;
        }
        Ok(())
    }

    fn scheme(&self) -> &'static str {
        if self.encrypted { "grpc+tls" } else { "grpc" }
    }

    fn write_stores(&self, out: &mut Output) -> Result<(), Failure> {
        if let Some(missing) = self.warning {
            writeln!(out, "warning: other machines can connect, and {missing}")?;
        }
        for Served { name, location, datasets } in &self.stores {
            writeln!(out, "  {name}: {} of {location}", describe::counted(*datasets, "dataset"))?;
        }
        Ok(())
    }
}
