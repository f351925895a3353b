//! Whose turn it is to change a store, and how a change is committed.

use crate::auth::Caller;
use crate::limits::{Deadline, Limits};
use crate::status;
use atlas_store::{ErrorKind, FlushReport, Store};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tonic::{Code, Status};

/// How often a commit is tried again on the newest snapshot, where writers on other machines commit in between.
const MOST_REBASES: usize = 16;

/// The stores that may be changed, each by one at a time.
pub(crate) struct Writers {
    /// `None` where the server only reads.
    stores: Option<Vec<Writer>>,
    limits: Limits,
}

struct Writer {
    name: String,
    store: Store,
    turn: Arc<Mutex<()>>,
}

/// The right to change one store, until it is dropped.
pub(crate) struct Turn {
    store: Store,
    /// Whether others had committed since the store was last looked at.
    moved: bool,
    _held: OwnedMutexGuard<()>,
}

impl Writers {
    /// Writers of these stores, or of none, where the server only reads.
    pub(crate) fn new(stores: &[(String, Store)], writable: bool, limits: Limits) -> Self {
        let writer =
            |(name, store): &(String, Store)| Writer { name: name.clone(), store: store.clone(), turn: Arc::default() };
        Writers { stores: writable.then(|| stores.iter().map(writer).collect()), limits }
    }

    /// Whether anything can be changed.
    pub(crate) fn is_writable(&self) -> bool {
        self.stores.is_some()
    }

    /// What a change may take.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Checks that the server takes changes at all; `what` is for the message.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` where it only reads.
    pub(crate) fn check(&self, what: &str) -> Result<(), Status> {
        if self.is_writable() {
            return Ok(());
        }
        let message = format!("this server only reads: {what} is not allowed (atlas serve --writable allows it)");
        Err(status::status(Code::PermissionDenied, &message))
    }

    /// Checks that `caller` may change a store; `what` is for the message.
    ///
    /// # Errors
    /// As [`Writers::turn`], but for the wait.
    pub(crate) fn check_store(&self, caller: &Caller, store: &str, what: &str) -> Result<(), Status> {
        self.allowed(caller, store, what).map(drop)
    }

    /// The writer of a store that `caller` may change.
    fn allowed(&self, caller: &Caller, store: &str, what: &str) -> Result<&Writer, Status> {
        self.check(what)?;
        let writer = self.find(caller, store)?;
        caller.check_write(store)?;
        Ok(writer)
    }

    fn find(&self, caller: &Caller, name: &str) -> Result<&Writer, Status> {
        let all = self.stores.iter().flatten().filter(|writer| caller.may_read(&writer.name));
        let found = all.clone().find(|writer| writer.name == name);
        found.ok_or_else(|| status::no_such_store(name, all.map(|writer| writer.name.as_str())))
    }

    /// Waits until it is the caller's turn to change a store.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` where the server or the user's role does not allow it, `NOT_FOUND` for a store that the caller does
    /// not see, `RESOURCE_EXHAUSTED` where others take longer than a query may.
    pub(crate) async fn turn(&self, caller: &Caller, name: &str, what: &str) -> Result<Turn, Status> {
        let writer = self.allowed(caller, name, what)?;
        let held = Deadline::of(&self.limits).within(Arc::clone(&writer.turn).lock_owned()).await?;
        let store = writer.store.clone();
        // What is changed is the newest: others may have committed.
        let refreshed = tokio::task::spawn_blocking(move || {
            let moved = store.refresh().map_err(|error| status::from_store(&error))?;
            Ok(Turn { store, moved, _held: held })
        });
        refreshed.await.map_err(|error| status::from_join(&error))?
    }
}

impl Turn {
    /// Whether others had committed since the store was last looked at: it is at their snapshot now.
    pub(crate) fn moved(&self) -> bool {
        self.moved
    }

    /// Makes a change and commits it. What `change` and the commit fail with leaves nothing behind.
    ///
    /// The change goes on where the caller stops waiting for it.
    ///
    /// # Errors
    /// Those of `change` and of the commit; `ABORTED` where another process writes to the store.
    pub(crate) async fn commit<T: Send + 'static>(
        self,
        change: impl FnOnce(&Store) -> Result<T, Status> + Send + 'static,
    ) -> Result<(T, FlushReport), Status> {
        self.commit_with(MOST_REBASES, change).await
    }

    /// The same for a change that was made of what the store held: it goes onto no other snapshot.
    ///
    /// # Errors
    /// As [`Turn::commit`]; `ABORTED` also where another writer commits in between.
    pub(crate) async fn commit_as_seen<T: Send + 'static>(
        self,
        change: impl FnOnce(&Store) -> Result<T, Status> + Send + 'static,
    ) -> Result<(T, FlushReport), Status> {
        self.commit_with(0, change).await
    }

    async fn commit_with<T: Send + 'static>(
        self,
        most_rebases: usize,
        change: impl FnOnce(&Store) -> Result<T, Status> + Send + 'static,
    ) -> Result<(T, FlushReport), Status> {
        self.run(move |store| {
            let draft = Draft(store);
            let changed = change(store)?;
            let report = flush(store, most_rebases).map_err(|error| status::from_store(&error))?;
            std::mem::forget(draft);
            Ok((changed, report))
        })
        .await
    }

    /// Does something with the store that needs no commit of its own.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Store) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        // The turn goes along: it is over when the work is, whether or not somebody still waits for that.
        let worked = tokio::task::spawn_blocking(move || {
            let Turn { store, _held, .. } = self;
            work(&store)
        });
        let worked = worked.await;
        worked.map_err(|error| status::from_join(&error))?
    }
}

/// Mutations that are abandoned when this is dropped, by a panic, too.
struct Draft<'a>(&'a Store);

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn flush(store: &Store, most_rebases: usize) -> atlas_store::Result<FlushReport> {
    let mut rebases = 0;
    loop {
        match store.flush() {
            Err(error) if error.kind() == ErrorKind::Conflict && rebases < most_rebases => {
                rebases += 1;
                if !store.rebase()? {
                    return Err(error);
                }
            }
            flushed => return flushed,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use atlas_store::CreateOptions;
    use std::sync::mpsc;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_turn_lasts_as_long_as_its_work_whoever_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(directory.path().to_str().unwrap(), CreateOptions::default()).unwrap();
        let limits = Limits { timeout: Some(Duration::from_millis(200)), ..Limits::default() };
        let writers = Writers::new(&[("a".to_string(), store.clone())], true, limits);
        let turn = writers.turn(&Caller::anybody(), "a", "writing").await.unwrap();
        let (begun, has_begun) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let change = tokio::spawn(turn.commit(move |store| {
            store.create_dataset("x").map_err(|error| status::from_store(&error))?;
            begun.send(()).unwrap();
            goes_on.recv().unwrap();
            Ok(())
        }));
        has_begun.recv().unwrap();
        change.abort();
        assert!(change.await.unwrap_err().is_cancelled());
        let waited = writers.turn(&Caller::anybody(), "a", "writing").await;
        assert_eq!(waited.err().unwrap().code(), Code::ResourceExhausted, "the work still goes on");
        go_on.send(()).unwrap();
        let next = writers.turn(&Caller::anybody(), "a", "writing").await.unwrap();
        next.commit(|_| Ok(())).await.unwrap();
        assert!(store.dataset_exists("x"), "what was begun was committed");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_change_that_fails_or_panics_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(directory.path().to_str().unwrap(), CreateOptions::default()).unwrap();
        let writers = Writers::new(&[("a".to_string(), store.clone())], true, Limits::default());
        for panics in [false, true] {
            let turn = writers.turn(&Caller::anybody(), "a", "writing").await.unwrap();
            let changed = turn.commit(move |store| {
                store.create_dataset("x").map_err(|error| status::from_store(&error))?;
                assert!(!panics, "on purpose");
                Err::<(), _>(Status::invalid_argument("no"))
            });
            changed.await.unwrap_err();
            assert!(!store.dataset_exists("x"));
        }
    }
}
