//! The stores that are served, by name.

use crate::status;
use atlas_store::{Snapshot, Store};
use tonic::{Code, Status};

/// The stores that are served.
#[derive(Clone)]
pub(crate) struct Stores {
    stores: std::sync::Arc<[(String, Store)]>,
}

impl Stores {
    /// These stores.
    pub(crate) fn new(stores: Vec<(String, Store)>) -> Self {
        Stores { stores: stores.into() }
    }

    /// The names, in the order in which they are mounted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.stores.iter().map(|(name, _)| name.as_str())
    }

    /// The committed state of a store.
    ///
    /// # Errors
    /// `NOT_FOUND` that names the stores there are.
    pub(crate) fn snapshot(&self, name: &str) -> Result<Snapshot, Status> {
        let found = self.stores.iter().find(|(mounted, _)| mounted == name);
        found.map(|(_, store)| store.snapshot()).ok_or_else(|| {
            let names: Vec<_> = self.names().collect();
            status::status(Code::NotFound, &format!("no such store: {name}; served are {}", names.join(", ")))
        })
    }

    /// The state of a store as of snapshot `number`.
    ///
    /// # Errors
    /// `NOT_FOUND` where the store is not served or has moved on.
    pub(crate) fn snapshot_at(&self, name: &str, number: u64) -> Result<Snapshot, Status> {
        let snapshot = self.snapshot(name)?;
        if snapshot.number() != number {
            let message = format!(
                "snapshot {number} of store {name} is gone, it is at {}: ask for a new FlightInfo",
                snapshot.number()
            );
            return Err(status::status(Code::NotFound, &message));
        }
        Ok(snapshot)
    }
}
