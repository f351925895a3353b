//! One call, from its headers to the end of its answer.

use super::fingerprint::fingerprint;
use super::metrics::Metrics;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tonic::{Code, Status};

tokio::task_local! {
    /// The call that is being answered.
    static CURRENT: Call;
}

/// Tells the calls of one process from those of another, in their ids.
static PROCESS: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
    let random = crate::auth::random_id().ok();
    let bytes = random.and_then(|bytes| bytes.first_chunk::<4>().copied());
    bytes.map_or_else(std::process::id, u32::from_be_bytes)
});

/// Numbers the calls of this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What a call runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A SQL statement.
    Sql,
    /// A stacked read.
    Stacked,
}

impl Kind {
    /// The name in logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Sql => "sql",
            Kind::Stacked => "stacked",
        }
    }
}

/// A call that is being answered. Handles are clones of one another.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: String,
    method: &'static str,
    began: Instant,
    counted: Counted,
    notes: Mutex<Notes>,
}

/// What was done for a call.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) rows: AtomicU64,
    pub(super) batches: AtomicU64,
    /// Bytes of the answer's messages.
    pub(super) sent_bytes: AtomicU64,
    pub(super) chunks_read: AtomicU64,
    /// Stored bytes of the chunks.
    pub(super) bytes_read: AtomicU64,
    /// Datasets that were left out without looking at their arrays.
    pub(super) datasets_pruned: AtomicU64,
}

#[derive(Debug, Default)]
struct Notes {
    user: Option<Arc<str>>,
    kind: Option<Kind>,
    fingerprint: Option<String>,
    /// Whether there are values of parameters, which errors may repeat.
    has_parameters: bool,
}

impl Call {
    /// A call of this method that begins now.
    pub(super) fn begin(method: &'static str) -> Self {
        let id = format!("{:08x}-{}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed));
        let (began, counted, notes) = (Instant::now(), Counted::default(), Mutex::default());
        Call { inner: Arc::new(Inner { id, method, began, counted, notes }) }
    }

    /// The call that the current task answers; none in tasks that it started.
    pub(crate) fn current() -> Option<Call> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Answers the call by `work`.
    pub(super) async fn answer<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), work).await
    }

    /// Answers the call by `work`, which does not wait.
    pub(super) fn answer_now<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), work)
    }

    /// What the call's events are found by.
    pub(super) fn id(&self) -> &str {
        &self.inner.id
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.inner.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whose call it is.
    pub(crate) fn is_of(&self, user: &Arc<str>) {
        self.notes().user = Some(Arc::clone(user));
    }

    /// Says that it is about a SQL statement: the first, where others come of it. The text is logged at debug, its values with
    /// it; values of parameters never are.
    pub(crate) fn states(&self, sql: &str, has_parameters: bool) {
        let mut notes = self.notes();
        notes.has_parameters |= has_parameters;
        if notes.kind.is_none() {
            tracing::debug!(query_id = self.id(), sql, "statement");
            notes.kind = Some(Kind::Sql);
            notes.fingerprint = fingerprint(sql);
        }
    }

    /// Says that it is about a stacked read.
    pub(crate) fn stacks(&self) {
        self.notes().kind = Some(Kind::Stacked);
    }

    /// Counts a batch of the answer.
    pub(crate) fn sends_batch(&self, rows: usize) {
        self.inner.counted.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.inner.counted.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of the answer.
    pub(super) fn sends_bytes(&self, bytes: usize) {
        self.inner.counted.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts chunks that were read for it, and their stored bytes.
    pub(crate) fn reads(&self, chunks: u64, bytes: u64) {
        self.inner.counted.chunks_read.fetch_add(chunks, Ordering::Relaxed);
        self.inner.counted.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts datasets that the catalog left out.
    pub(crate) fn prunes(&self, datasets: u64) {
        self.inner.counted.datasets_pruned.fetch_add(datasets, Ordering::Relaxed);
    }

    /// Logs and counts the call, which is over.
    pub(super) fn end(&self, status: &Status, metrics: &Metrics) {
        let notes = self.notes();
        let (elapsed, counted) = (self.inner.began.elapsed(), &self.inner.counted);
        let code = code_name(status.code());
        metrics.count(self.inner.method, notes.kind, code, elapsed, counted);
        let number = |count: &AtomicU64| Some(count.load(Ordering::Relaxed)).filter(|count| *count > 0);
        let reason = Some(status.message()).filter(|reason| !reason.is_empty());
        let (told, kept) = if is_ours_to_tell(status.code()) { (reason, None) } else { (None, reason) };
        tracing::info!(
            query_id = self.id(),
            user = notes.user.as_deref().filter(|user| !user.is_empty()),
            method = self.inner.method,
            kind = notes.kind.map(Kind::name),
            fingerprint = notes.fingerprint.as_deref(),
            code,
            reason = told,
            seconds = elapsed.as_secs_f64(),
            rows = counted.rows.load(Ordering::Relaxed),
            batches = number(&counted.batches),
            sent_bytes = counted.sent_bytes.load(Ordering::Relaxed),
            chunks_read = number(&counted.chunks_read),
            bytes_read = number(&counted.bytes_read),
            datasets_pruned = number(&counted.datasets_pruned),
            "call"
        );
        // What is uploaded are values, too.
        let repeats_values = notes.has_parameters || self.inner.method == "DoPut";
        if let Some(reason) = kept.filter(|_| !repeats_values) {
            tracing::debug!(query_id = self.id(), code, reason, "why it failed");
        }
    }
}

/// Whether messages with this code are made of what the server knows, and repeat nothing of a statement.
fn is_ours_to_tell(code: Code) -> bool {
    matches!(
        code,
        Code::Unauthenticated
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::Unavailable
            | Code::DataLoss
            | Code::Internal
    )
}

/// A code as gRPC spells it.
pub(super) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
