//! The stores that are served, by name.

use super::given::Given;
use crate::limits::Gate;
use crate::sql::{Workers, check_sql};
use crate::status;
use atlas_store::{Snapshot, SpareMemory, Store};
use std::sync::Arc;
use tonic::{Code, Status};

/// Memory of sent batches that is kept for the next ones: what two streams have of it, about.
const SPARE_BYTES: usize = 32 << 20;

/// The stores that a caller may read.
#[derive(Clone)]
pub(crate) struct Stores {
    stores: Arc<[(String, Store)]>,
    workers: Arc<Workers>,
    gate: Arc<Gate>,
    given: Arc<Given>,
    /// It passes between callers who may read the same.
    spare: SpareMemory,
}

impl Stores {
    /// These stores; predicates over their datasets are planned on these threads, `gate` counts the reads of all users, and
    /// `given` keeps the snapshots that reads were planned in.
    pub(crate) fn new(stores: Vec<(String, Store)>, workers: Arc<Workers>, gate: Arc<Gate>, given: Arc<Given>) -> Self {
        Stores { stores: stores.into(), workers, gate, given, spare: SpareMemory::new(SPARE_BYTES) }
    }

    /// The limits, and who is within them.
    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Memory of batches that were sent, for those to come.
    pub(super) fn spare(&self) -> &SpareMemory {
        &self.spare
    }

    /// The names, in the order in which they are mounted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.stores.iter().map(|(name, _)| name.as_str())
    }

    /// The committed state of a store, to plan a read in: it is kept for the tickets.
    ///
    /// # Errors
    /// `NOT_FOUND` that names the stores there are.
    pub(crate) fn snapshot(&self, name: &str) -> Result<Snapshot, Status> {
        let snapshot = self.current(name)?;
        self.given.keep(name, &snapshot);
        Ok(snapshot)
    }

    /// The committed state of a store, kept for nobody.
    ///
    /// # Errors
    /// As [`Stores::snapshot`].
    pub(crate) fn current(&self, name: &str) -> Result<Snapshot, Status> {
        let found = self.stores.iter().find(|(mounted, _)| mounted == name);
        found.map(|(_, store)| store.snapshot()).ok_or_else(|| status::no_such_store(name, self.names()))
    }

    /// The rows of the datasets that satisfy a SQL predicate, in the order of the store. The caller holds a place for
    /// planning.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a predicate that is not one, `RESOURCE_EXHAUSTED` where it is too much to plan.
    pub(crate) async fn select(&self, snapshot: &Snapshot, predicate: &str) -> Result<Vec<u32>, Status> {
        check_sql(predicate)?;
        let (snapshot, predicate) = (snapshot.clone(), predicate.to_string());
        let selecting = async move {
            let rows = atlas_sql::select_datasets(&snapshot, &predicate).await;
            rows.map_err(|error| status::from_datafusion(&error))
        };
        self.workers.plan(selecting).await
    }

    /// The state of a store as of snapshot `number`: the current one, or one that a read was planned in lately.
    ///
    /// # Errors
    /// `NOT_FOUND` where the store is not served or has moved on.
    pub(crate) fn snapshot_at(&self, name: &str, number: u64) -> Result<Snapshot, Status> {
        let snapshot = self.current(name)?;
        if snapshot.number() != number {
            if let Some(kept) = self.given.find(name, number) {
                return Ok(kept);
            }
            let message = format!(
                "snapshot {number} of store {name} is gone, it is at {}: ask for a new FlightInfo",
                snapshot.number()
            );
            return Err(status::status(Code::NotFound, &message));
        }
        Ok(snapshot)
    }
}
