//! What queries may take of a server.

use crate::status;
use datafusion::error::DataFusionError;
use futures::{Stream, StreamExt, stream};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

/// Limits of SQL queries; `None` is no limit. A query that passes one ends with `RESOURCE_EXHAUSTED` and a message that
/// names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long a query may take, its waiting for others and for a slow client included.
    pub timeout: Option<Duration>,
    /// Bytes that sorts, joins and aggregations of one query may hold; what can be is spilled to temporary files.
    pub memory_bytes: Option<usize>,
    /// Rows of a result.
    pub result_rows: Option<u64>,
    /// Bytes of a result, as Arrow buffers.
    pub result_bytes: Option<u64>,
    /// Stored bytes that a query would read of stores, by its plan.
    pub read_bytes: Option<u64>,
    /// Bytes of an upload, as Arrow buffers.
    pub upload_bytes: Option<u64>,
    /// Queries that run at a time.
    pub queries: usize,
    /// Queries that wait for one of those to end.
    pub waiting_queries: usize,
    /// Queries and stacked reads that are planned at a time; four times as many may wait for that.
    pub plans: usize,
    /// Stacked reads and listings that are delivered at a time; as many may wait as queries.
    pub bulk_reads: usize,
    /// For how long a client may take nothing of a stream.
    pub idle_timeout: Option<Duration>,
    /// Connections at a time; further ones are closed.
    pub connections: usize,
    /// Bytes of one message of a request.
    pub message_bytes: usize,
    /// Wrong passwords for one user from one address, within a minute; ten times as many for all users from one address.
    pub login_failures: Option<u32>,
}

impl Default for Limits {
    /// Five minutes, 1 GiB of memory a query; 64 queries at a time, 256 that wait, 64 stacked reads, 64 plans; five minutes for a
    /// client that takes nothing; 1024 connections, messages of 64 MiB, 10 wrong passwords; no limit on what is read or answered.
    fn default() -> Self {
        Limits {
            timeout: Some(Duration::from_secs(300)),
            memory_bytes: Some(1 << 30),
            result_rows: None,
            result_bytes: None,
            read_bytes: None,
            upload_bytes: None,
            queries: 64,
            waiting_queries: 256,
            plans: 64,
            bulk_reads: 64,
            idle_timeout: Some(Duration::from_secs(300)),
            connections: 1024,
            message_bytes: 64 << 20,
            login_failures: Some(10),
        }
    }
}

/// How many times as many plans may wait as are made: that is done soon.
const WAITING_PLANS: usize = 4;

/// The limits of a server, and who is within them.
///
/// Whoever holds a place for planning waits for no other place, and whoever holds one for a query or a stacked read waits
/// for none but one for planning: nobody waits for somebody who waits for them.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) limits: Limits,
    /// Queries and stacked reads that are planned.
    pub(crate) plans: Admission,
    /// Queries that run.
    pub(crate) queries: Admission,
    /// Stacked reads and listings that are delivered.
    pub(crate) bulk_reads: Admission,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        Gate {
            plans: Admission::new("plans are made", limits.plans, limits.plans.saturating_mul(WAITING_PLANS)),
            queries: Admission::new("queries run", limits.queries, limits.waiting_queries),
            bulk_reads: Admission::new("stacked reads run", limits.bulk_reads, limits.waiting_queries),
            limits,
        }
    }
}

/// Lets as many of one kind run at a time as may.
#[derive(Debug)]
pub(crate) struct Admission {
    /// What runs, for the message.
    what: &'static str,
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    most: usize,
    most_waiting: usize,
}

impl Admission {
    fn new(what: &'static str, most: usize, most_waiting: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let running = Arc::new(Semaphore::new(most));
        Admission { what, running, waiting: AtomicUsize::new(0), most, most_waiting }
    }

    /// How many run, and how many wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let running = self.most.saturating_sub(self.running.available_permits());
        (running, self.waiting.load(Ordering::Acquire))
    }

    /// Waits until one more may run, which it may as long as it holds the permit.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` where too many wait.
    pub(crate) async fn admit(&self) -> Result<OwnedSemaphorePermit, Status> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(permit);
        }
        let _place = Place::take(&self.waiting, self.most_waiting).ok_or_else(|| {
            let message = format!(
                "{} {} and {} wait, which is the most that this server takes: try again later",
                self.most, self.what, self.most_waiting
            );
            status::status(Code::ResourceExhausted, &message)
        })?;
        let permit = Arc::clone(&self.running).acquire_owned().await;
        permit.map_err(|_| status::status(Code::Unavailable, "the server is stopping"))
    }
}

/// A place among those that wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let more = |count| (count < most).then_some(count + 1);
        waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Place(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Counts what a result has so far.
#[derive(Debug)]
pub(crate) struct ResultCount {
    rows: (u64, Option<u64>),
    bytes: (u64, Option<u64>),
}

impl ResultCount {
    pub(crate) fn new(limits: &Limits) -> Self {
        ResultCount { rows: (0, limits.result_rows), bytes: (0, limits.result_bytes) }
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` where the result is too large with it.
    pub(crate) fn add(&mut self, rows: usize, bytes: usize) -> Result<(), Status> {
        for ((count, most), more, unit) in [(&mut self.rows, rows, "rows"), (&mut self.bytes, bytes, "bytes")] {
            *count = count.saturating_add(more as u64);
            if let Some(most) = most.filter(|most| *count > *most) {
                let message = format!("the result has more than {most} {unit}, the limit of this server");
                return Err(status::status(Code::ResourceExhausted, &message));
            }
        }
        Ok(())
    }
}

/// When a query has to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<(Instant, Duration)>);

impl Deadline {
    /// That of a query that begins now.
    pub(crate) fn of(limits: &Limits) -> Self {
        Deadline(limits.timeout.and_then(|timeout| Some((Instant::now().checked_add(timeout)?, timeout))))
    }

    /// What some work gives, if that is in time; it is dropped where it is not.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` where it is not.
    pub(crate) async fn within<T>(self, work: impl Future<Output = T>) -> Result<T, Status> {
        match self.0 {
            Some((at, timeout)) => timeout_at(at, work).await.map_err(|_| timed_out(timeout)),
            None => Ok(work.await),
        }
    }

    /// The stream up to the deadline, and the error after which it ends.
    pub(crate) fn limit<T>(
        self,
        stream: impl Stream<Item = T> + Send + 'static,
    ) -> impl Stream<Item = Result<T, Status>> {
        stream::unfold(Some(Box::pin(stream)), move |stream| async move {
            let mut stream = stream?;
            match self.within(stream.next()).await {
                Ok(item) => item.map(|item| (Ok(item), Some(stream))),
                Err(status) => Some((Err(status), None)),
            }
        })
    }
}

fn timed_out(timeout: Duration) -> Status {
    let message = format!("the query took longer than {timeout:?}, the limit of this server");
    status::status(Code::ResourceExhausted, &message)
}

/// The status of a query's error, in a query that may hold `memory_bytes`.
pub(crate) fn failed(error: &DataFusionError, memory_bytes: Option<usize>) -> Status {
    match (error.find_root(), memory_bytes) {
        (DataFusionError::ResourcesExhausted(reason), Some(bytes)) => {
            tracing::info!(reason, "a query needs too much memory");
            let message = format!("the query needs more than {bytes} bytes of memory, the limit of this server");
            status::status(Code::ResourceExhausted, &message)
        }
        _ => status::from_datafusion(error),
    }
}

/// Checks what a plan would read.
///
/// # Errors
/// `RESOURCE_EXHAUSTED` where that is more than `limit` bytes.
pub(crate) fn check_reads(reads: atlas_sql::Reads, limit: Option<u64>) -> Result<(), Status> {
    match limit {
        Some(limit) if reads.bytes > limit => {
            let message = format!(
                "the query would read {} bytes in {} chunks, and the limit of this server is {limit} bytes: select fewer \
                 datasets or a smaller region",
                reads.bytes, reads.chunks
            );
            Err(status::status(Code::ResourceExhausted, &message))
        }
        _ => Ok(()),
    }
}

/// Checks what a stacked read would give; its bytes where they are known.
///
/// # Errors
/// `RESOURCE_EXHAUSTED` where that is more than a result may have.
pub(crate) fn check_result(rows: u64, bytes: Option<u64>, limits: &Limits) -> Result<(), Status> {
    for (count, most, unit) in [(Some(rows), limits.result_rows, "rows"), (bytes, limits.result_bytes, "bytes")] {
        if let (Some(count), Some(most)) = (count, most)
            && count > most
        {
            let message = format!(
                "the result would have {count} {unit}, and the limit of this server is {most} {unit}: select fewer datasets \
                 or a smaller region"
            );
            return Err(status::status(Code::ResourceExhausted, &message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn queries_run_wait_and_are_turned_away() {
        let admission = Admission::new("queries run", 2, 1);
        let first = admission.admit().await.unwrap();
        let _second = admission.admit().await.unwrap();
        let mut third = Box::pin(admission.admit());
        assert!((&mut third).now_or_never().is_none());
        let refused = admission.admit().await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.message().contains("2 queries run and 1 wait"), "{}", refused.message());
        drop(first);
        let third = third.await.unwrap();
        // One that gives up while it waits leaves its place.
        let mut fourth = Box::pin(admission.admit());
        assert!((&mut fourth).now_or_never().is_none());
        drop(fourth);
        let mut fifth = Box::pin(admission.admit());
        assert!((&mut fifth).now_or_never().is_none());
        drop(third);
        drop(fifth.await.unwrap());
    }

    #[test]
    fn results_are_counted() {
        let limits = Limits { result_rows: Some(10), result_bytes: Some(100), ..Limits::default() };
        let mut count = ResultCount::new(&limits);
        count.add(10, 50).unwrap();
        assert!(count.add(1, 0).unwrap_err().message().contains("more than 10 rows"));
        assert!(ResultCount::new(&limits).add(1, 101).unwrap_err().message().contains("more than 100 bytes"));
        ResultCount::new(&Limits::default()).add(usize::MAX, usize::MAX).unwrap();
    }
}
