//! The streams that run, by the query that their ticket is of: to be cancelled by that.

use crate::recent::Recent;
use bytes::Bytes;
use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tonic::Status;

/// The most queries whose cancelling is remembered: their tickets are refused.
const MAX_CANCELLED: usize = 1 << 16;

/// The most parts of queries that are known to have been delivered: there is nothing to cancel of these.
const MAX_DELIVERED: usize = 1 << 16;

/// A part of a query: the query's id, and the part's number.
pub(crate) type PartId = (Bytes, u32);

/// The streams that run, and what became of those before.
#[derive(Debug)]
pub(crate) struct Running {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many streams run of a query, and what tells them to stop.
    streams: HashMap<Bytes, (usize, watch::Sender<bool>)>,
    cancelled: Recent<Bytes>,
    delivered: Recent<PartId>,
}

impl Default for Running {
    fn default() -> Self {
        let (cancelled, delivered) = (Recent::new(MAX_CANCELLED), Recent::new(MAX_DELIVERED));
        Running { state: Mutex::new(State { streams: HashMap::new(), cancelled, delivered }) }
    }
}

/// A stream that runs, until this is dropped.
#[derive(Debug)]
pub(crate) struct Run {
    tracked: Option<Tracked>,
}

#[derive(Debug)]
struct Tracked {
    running: Arc<Running>,
    part: PartId,
    stop: watch::Receiver<bool>,
}

impl Running {
    /// Counts a stream of a part.
    ///
    /// # Errors
    /// `CANCELLED` where the query has been.
    pub(crate) fn start(self: &Arc<Self>, part: PartId) -> Result<Run, Status> {
        let mut state = self.lock();
        if state.cancelled.contains(&part.0) {
            return Err(cancelled());
        }
        let (count, stop) = state.streams.entry(part.0.clone()).or_insert_with(|| (0, watch::Sender::new(false)));
        *count += 1;
        let stop = stop.subscribe();
        Ok(Run { tracked: Some(Tracked { running: Arc::clone(self), part, stop }) })
    }

    /// Checks that a query may still be run.
    ///
    /// # Errors
    /// `CANCELLED` where it has been cancelled.
    pub(crate) fn check(&self, query: &Bytes) -> Result<(), Status> {
        if self.lock().cancelled.contains(query) { Err(cancelled()) } else { Ok(()) }
    }

    /// Stops the streams of these parts' queries, and those that would come; `false` where all of the parts have been
    /// delivered, and no stream runs.
    pub(crate) fn cancel(&self, parts: &[PartId]) -> bool {
        let mut state = self.lock();
        let mut any = false;
        for part in parts {
            let stream = state.streams.get(&part.0);
            if let Some((_, stop)) = stream {
                stop.send_replace(true);
            }
            if stream.is_some() || state.cancelled.contains(&part.0) || !state.delivered.contains(part) {
                state.cancelled.insert(part.0.clone());
                any = true;
            }
        }
        any
    }

    /// Every change is whole, whatever panics elsewhere.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// A stream that nobody can name, and therefore not cancel.
    pub(crate) fn untracked() -> Self {
        Run { tracked: None }
    }

    /// Returns once the query is cancelled.
    pub(crate) async fn cancelled(&mut self) {
        if let Some(tracked) = &mut self.tracked
            && tracked.stop.wait_for(|stop| *stop).await.is_ok()
        {
            return;
        }
        pending().await
    }

    /// What `work` gives, unless the query is cancelled meanwhile: then the work is dropped.
    ///
    /// # Errors
    /// Those of the work, and `CANCELLED`.
    pub(crate) async fn unless_cancelled<T>(
        &mut self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        tokio::select! {
            biased;
            () = self.cancelled() => Err(cancelled()),
            done = work => done,
        }
    }

    /// Says that the whole of the part was delivered.
    pub(crate) fn delivered(&self) {
        if let Some(tracked) = &self.tracked {
            tracked.running.lock().delivered.insert(tracked.part.clone());
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let mut state = self.running.lock();
        if let Some((count, _)) = state.streams.get_mut(&self.part.0) {
            *count -= 1;
            if *count == 0 {
                state.streams.remove(&self.part.0);
            }
        }
    }
}

/// How a stream ends that was cancelled.
pub(crate) fn cancelled() -> Status {
    Status::cancelled("the query was cancelled")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use futures::FutureExt;

    fn part(query: &'static str, part: u32) -> PartId {
        (Bytes::from_static(query.as_bytes()), part)
    }

    #[tokio::test]
    async fn cancelling_stops_the_streams_of_one_query_and_refuses_more() {
        let running = Arc::new(Running::default());
        let (mut first, mut second) = (running.start(part("a", 0)).unwrap(), running.start(part("a", 1)).unwrap());
        let mut other = running.start(part("b", 0)).unwrap();
        assert!(first.cancelled().now_or_never().is_none());
        assert!(running.cancel(&[part("a", 0)]));
        assert!(first.cancelled().now_or_never().is_some() && second.cancelled().now_or_never().is_some());
        assert!(other.cancelled().now_or_never().is_none());
        assert!(running.start(part("a", 2)).is_err() && running.check(&part("a", 0).0).is_err());
        drop((first, second, other));
        assert!(running.lock().streams.is_empty());
        assert!(running.cancel(&[part("a", 0)]), "it stays cancelled");
    }

    #[tokio::test]
    async fn what_was_delivered_cannot_be_cancelled_until_it_runs_again() {
        let running = Arc::new(Running::default());
        let run = running.start(part("a", 0)).unwrap();
        run.delivered();
        drop(run);
        assert!(!running.cancel(&[part("a", 0)]));
        let again = running.start(part("a", 0)).unwrap();
        assert!(running.cancel(&[part("a", 0)]), "a second stream of the ticket");
        drop(again);
        assert!(running.cancel(&[part("b", 0), part("b", 1)]), "a query that was not begun");
        assert!(running.start(part("b", 0)).is_err());
        assert!(!running.cancel(&[]));
    }
}
