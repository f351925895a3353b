//! The command: make the fleet, serve it, take the tour as a client, clean up.

use super::{fleet, tour};
use crate::cli::{Failure, NewStore, Output, runtime, stop_signal};
use atlas_flight::Limits;
use atlas_flight::server::Server;
use atlas_store::{CreateOptions, Store};
use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

/// The first is where `atlas serve` listens too; where it is taken, a free port.
const LISTEN: [&str; 2] = ["127.0.0.1:50051", "127.0.0.1:0"];

/// The name that the fleet is served under.
const STORE_NAME: &str = "fleet";

/// Make a fleet of 1000 ocean casts, serve it, and ask it questions as a Flight client.
///
/// The casts are made up, plausible and the same every time: temperature and salinity at 50 depths over 24 hours.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  atlas demo                        in a temporary directory, removed at the end
  atlas demo --keep-serving         stay up for the Python lines that it prints
  atlas demo fleet                  keep the store; look around with atlas info fleet"
)]
pub(crate) struct Demo {
    /// Keep the store in this directory, which must be new or empty
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Go on serving after the tour, until Ctrl-C
    #[arg(long)]
    keep_serving: bool,
}

impl Demo {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let home = Home::new(self.directory.as_deref())?;
        let mut out = Output::stdout();
        runtime()?.block_on(async {
            let stop = stop_signal()?;
            tokio::pin!(stop);
            // A signal at any moment leads to the same clean-up as the end of the tour.
            let serving = tokio::select! {
                serving = self.tour(&home, &mut out) => serving?,
                () = &mut stop => return Err(Failure::failed("stopped")),
            };
            if self.keep_serving {
                writeln!(out, "\nserving on grpc://{} until Ctrl-C", serving.address)?;
                out.flush()?;
                stop.await;
            }
            serving.finish().await
        })?;
        home.keep();
        out.finish()
    }

    async fn tour(&self, home: &Home, out: &mut Output) -> Result<Serving, Failure> {
        let store = make_fleet(home.path(), out).await?;
        let serving = Serving::start(store).await?;
        writeln!(out, "server  grpc://{}; all that follows comes from it over Arrow Flight", serving.address)?;
        out.flush()?;
        tour::take(STORE_NAME, serving.address, out).await?;
        self.write_next_steps(home, serving.address, out)?;
        out.flush()?;
        Ok(serving)
    }

    fn write_next_steps(&self, home: &Home, address: SocketAddr, out: &mut Output) -> Result<(), Failure> {
        writeln!(out, "\nnext, in Python (pip install pyarrow adbc-driver-flightsql):")?;
        for line in tour::python(STORE_NAME, address) {
            writeln!(out, "   {line}")?;
        }
        if !self.keep_serving {
            let server = match home {
                Home::Given { path, .. } => {
                    format!("atlas serve --store {STORE_NAME}={} --listen {address}", path.display())
                }
                Home::Temporary(_) => "atlas demo --keep-serving".to_owned(),
            };
            writeln!(out, "with a server that stays up: {server}")?;
        }
        Ok(())
    }
}

/// Makes the fleet and says what it is.
async fn make_fleet(directory: &Path, out: &mut Output) -> Result<Store, Failure> {
    let began = Instant::now();
    let location = directory.display().to_string();
    let store = spawn_blocking(move || {
        let store = Store::create(&location, CreateOptions::default())?;
        fleet::write(&store)?;
        // The writer's handle goes, and its lock with it.
        drop(store);
        Store::open(&location)
    })
    .await
    .map_err(Failure::failed)??;
    let snapshot = store.snapshot();
    let mut raw_bytes = 0;
    for family in snapshot.families() {
        raw_bytes += snapshot.family_totals(family.name())?.raw_bytes;
    }
    writeln!(
        out,
        "fleet   {} ocean casts (temperature and salinity at 50 depths over 24 hours): {} stored as {} in {}",
        HumanCount(snapshot.dataset_count() as u64),
        HumanBytes(raw_bytes),
        HumanBytes(snapshot.stored_bytes() + snapshot.catalog_bytes()),
        tour::elapsed(began.elapsed()),
    )?;
    Ok(store)
}

/// The server of the fleet, running beside the tour.
struct Serving {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Failure>>,
}

impl Serving {
    async fn start(store: Store) -> Result<Self, Failure> {
        let stores = || vec![(STORE_NAME.to_owned(), store.clone())];
        let server = match Server::bind(LISTEN[0], stores(), Limits::default()).await {
            Ok(server) => server,
            Err(_) => Server::bind(LISTEN[1], stores(), Limits::default()).await.map_err(Failure::failed)?,
        };
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stopped = async {
                // A dropped sender means the same as a message.
                let _ = stopped.await;
            };
            server.run(stopped).await.map_err(Failure::failed)
        });
        Ok(Serving { address, stop, task })
    }

    async fn finish(self) -> Result<(), Failure> {
        let _ = self.stop.send(());
        self.task.await.map_err(Failure::failed)?
    }
}

/// Where the fleet is while the demo runs, and afterwards.
enum Home {
    /// Gone when dropped.
    Temporary(TempDir),
    /// Kept if the demo succeeds.
    Given { path: PathBuf, new: NewStore },
}

impl Home {
    fn new(directory: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = directory else {
            let directory = tempfile::Builder::new().prefix("atlas-demo-").tempdir()?;
            return Ok(Home::Temporary(directory));
        };
        let location = path.display().to_string();
        if Store::exists(&location)? {
            return Err(Failure::failed(format!("{location}: is a store already; the demo needs a new directory")));
        }
        Ok(Home::Given { path: path.to_owned(), new: NewStore::begin(&location)? })
    }

    fn path(&self) -> &Path {
        match self {
            Home::Temporary(directory) => directory.path(),
            Home::Given { path, .. } => path,
        }
    }

    fn keep(self) {
        match self {
            Home::Temporary(_) => {}
            Home::Given { new, .. } => new.keep(),
        }
    }
}
