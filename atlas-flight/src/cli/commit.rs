//! Committing what a command changed, also where others commit to the same storage.

use crate::cli::Failure;
use atlas_store::{Error, FlushReport, Store};

/// More writers than this in a row have never been before us by chance.
const MAX_REBASES: usize = 100;

/// Flushes; where another writer was first, moves the changes onto what it committed and flushes again.
pub(crate) fn commit(store: &Store) -> Result<FlushReport, Failure> {
    for _ in 0..MAX_REBASES {
        match store.flush() {
            Err(Error::Conflict { .. }) => store.rebase()?,
            flushed => return Ok(flushed?),
        };
    }
    Ok(store.flush()?)
}
