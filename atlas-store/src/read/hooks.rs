//! Following a bulk read, and ending it.

use super::spare::SpareMemory;
use crate::error::{Error, Result};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Ends the reads that were given it. Clones are one token.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    is_cancelled: Arc<AtomicBool>,
}

impl CancelToken {
    /// A token that nobody has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the reads, which then fail with `Cancelled` once the few MiB under way are done.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Something that cancels when it is dropped: for reads of which the result has nowhere to go any more.
    #[must_use]
    pub fn guard(&self) -> CancelGuard {
        CancelGuard(self.clone())
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }
}

/// Cancels its token when it is dropped.
#[derive(Debug)]
pub struct CancelGuard(CancelToken);

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// How far a read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadProgress {
    /// Bytes of the result that are there; strings and binary count 16 a cell.
    pub done_bytes: u64,
    /// Bytes of the whole result.
    pub total_bytes: u64,
}

/// What is told of a read's progress, what can end it, what memory it may use, and what it is a part of. None of these by
/// default.
#[derive(Clone, Copy, Default)]
pub struct ReadHooks<'a> {
    on_progress: Option<&'a (dyn Fn(ReadProgress) + Sync)>,
    cancel: Option<&'a CancelToken>,
    spare: Option<&'a SpareMemory>,
    whole_bytes: u64,
}

impl fmt::Debug for ReadHooks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHooks").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

impl<'a> ReadHooks<'a> {
    /// No hooks.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, that calls `on_progress` about once a MiB: never from two threads at once, always with more bytes than
    /// before, the last time with all of them. The read waits for it.
    #[must_use]
    pub fn on_progress(self, on_progress: &'a (dyn Fn(ReadProgress) + Sync)) -> Self {
        ReadHooks { on_progress: Some(on_progress), ..self }
    }

    /// The same, that `token` ends.
    #[must_use]
    pub fn cancelled_by(self, token: &'a CancelToken) -> Self {
        ReadHooks { cancel: Some(token), ..self }
    }

    /// The same, whose results lie in memory of `spare` as far as there is some that fits.
    #[must_use]
    pub fn reusing(self, spare: &'a SpareMemory) -> Self {
        ReadHooks { spare: Some(spare), ..self }
    }

    /// The same, of a read that is one of several which decode so many bytes together: they go through the store's cache
    /// where one read of all that would.
    #[must_use]
    pub fn part_of(self, whole_bytes: u64) -> Self {
        ReadHooks { whole_bytes, ..self }
    }

    pub(super) fn spare(&self) -> Option<&'a SpareMemory> {
        self.spare
    }

    /// # Errors
    /// `Cancelled`, if it was.
    pub(super) fn check(&self) -> Result<()> {
        match self.cancel {
            Some(token) if token.is_cancelled() => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }
}

/// Counts what is done, and tells.
pub(super) struct Meter<'a> {
    hooks: ReadHooks<'a>,
    progress: Mutex<ReadProgress>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(hooks: ReadHooks<'a>, total_bytes: u64) -> Self {
        Meter { hooks, progress: Mutex::new(ReadProgress { done_bytes: 0, total_bytes }) }
    }

    pub(super) fn check(&self) -> Result<()> {
        self.hooks.check()
    }

    /// Bytes that a read of so many decodes together with those that it belongs to.
    pub(super) fn whole_bytes(&self, decoded_bytes: u64) -> u64 {
        self.hooks.whole_bytes.max(decoded_bytes)
    }

    pub(super) fn add(&self, bytes: u64) {
        if let Some(on_progress) = self.hooks.on_progress
            && bytes > 0
        {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.done_bytes += bytes;
            on_progress(*progress);
        }
    }
}
