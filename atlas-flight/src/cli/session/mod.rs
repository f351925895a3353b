//! Where statements run: over a store in this process, or on a server.

mod local;
mod remote;
mod side_tables;

use crate::cli::Failure;
use crate::cli::remote::ServerFlags;
use crate::cli::statement::Parsed;
use atlas_flight::client::Client;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;

/// What runs statements. Clones are the same session.
#[derive(Clone)]
pub(crate) enum Session {
    /// In this process.
    Local(SessionContext),
    /// On a server.
    Remote(Box<Client>),
}

impl Session {
    /// A session over a store: the one in a directory or bucket, or the one that a server's address names.
    ///
    /// # Errors
    /// What opening the store, or connecting, fails with.
    pub(crate) async fn open(location: &str, flags: &ServerFlags) -> Result<Self, Failure> {
        match flags.server(location)? {
            Some(address) => Ok(Session::Remote(Box::new(remote::open(&address, flags).await?))),
            None => Ok(Session::Local(local::open(location)?)),
        }
    }

    /// Runs a statement; its result comes as it is polled. Dropping the stream ends the statement.
    ///
    /// # Errors
    /// What is wrong with the statement; what it fails with later is in the stream.
    pub(crate) async fn run(&self, statement: Parsed) -> Result<SendableRecordBatchStream, Failure> {
        match self {
            Session::Local(context) => local::run(context, statement.statement).await,
            Session::Remote(client) => remote::run(client, statement).await,
        }
    }

    /// Ends the session.
    pub(crate) async fn close(self) {
        if let Session::Remote(client) = self {
            remote::close(&client).await;
        }
    }
}
