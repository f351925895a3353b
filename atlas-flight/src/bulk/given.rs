//! Snapshots that tickets were given for.
//!
//! A stacked read is planned in one snapshot, and its tickets are good for that one. When the store moves on, the tickets that
//! were just given are still to be redeemed: their snapshots are kept for a while.

use atlas_store::Snapshot;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For how long after a FlightInfo its snapshot is kept.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// Snapshots of one store that are kept; each holds a whole catalog in memory.
const MOST: usize = 8;

/// The snapshots that plans were made in lately, at most eight of each store and five minutes old.
#[derive(Debug, Default)]
pub(crate) struct Given {
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    store: String,
    snapshot: Snapshot,
    given: Instant,
}

impl Given {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a snapshot in which a read is planned now.
    pub(super) fn keep(&self, store: &str, snapshot: &Snapshot) {
        self.keep_at(store, snapshot, Instant::now());
    }

    fn keep_at(&self, store: &str, snapshot: &Snapshot, now: Instant) {
        let mut kept = self.kept();
        forget(&mut kept, now);
        kept.retain(|other| other.store != store || other.snapshot.number() != snapshot.number());
        let of_store = |kept: &VecDeque<Kept>| kept.iter().filter(|other| other.store == store).count();
        while of_store(&kept) >= MOST {
            // The oldest are at the front.
            let Some(oldest) = kept.iter().position(|other| other.store == store) else { break };
            kept.remove(oldest);
        }
        kept.push_back(Kept { store: store.to_owned(), snapshot: snapshot.clone(), given: now });
    }

    /// The snapshot of this number, if it is kept; it goes on being kept, then.
    pub(super) fn find(&self, store: &str, number: u64) -> Option<Snapshot> {
        let kept = self.kept();
        let found = kept.iter().find(|kept| kept.store == store && kept.snapshot.number() == number);
        let found = found.map(|kept| kept.snapshot.clone());
        drop(kept);
        found.inspect(|snapshot| self.keep(store, snapshot))
    }

    /// Frees what is kept no longer.
    pub(crate) fn forget_old(&self) {
        forget(&mut self.kept(), Instant::now());
    }
}

fn forget(kept: &mut VecDeque<Kept>, now: Instant) {
    kept.retain(|kept| now.saturating_duration_since(kept.given) < KEPT);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use atlas_store::{CreateOptions, Store};

    #[test]
    fn snapshots_are_kept_for_a_while_and_some_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(directory.path().to_str().unwrap(), CreateOptions::default()).unwrap();
        let (given, now) = (Given::default(), Instant::now());
        let mut numbers = Vec::new();
        for name in 0..=MOST {
            let snapshot = store.snapshot();
            given.keep_at("a", &snapshot, now);
            given.keep_at("a", &snapshot, now + KEPT / 2);
            numbers.push(snapshot.number());
            store.create_dataset(&name.to_string()).unwrap();
            store.flush().unwrap();
        }
        assert_eq!(given.kept().len(), MOST);
        assert!(given.find("a", numbers[0]).is_none(), "more than are kept");
        assert!(given.find("a", numbers[1]).is_some() && given.find("b", numbers[1]).is_none());
        given.keep_at("b", &store.snapshot(), now + KEPT);
        assert!(given.find("a", numbers[MOST]).is_some(), "given again since");
        given.keep_at("b", &store.snapshot(), now + 2 * KEPT);
        assert_eq!(given.kept().len(), 1);
    }
}
