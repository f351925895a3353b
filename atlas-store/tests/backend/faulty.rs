//! An object store that fails on purpose.

use async_trait::async_trait;
use atlas_store::object_store::memory::InMemory;
use atlas_store::object_store::path::Path;
use atlas_store::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use futures::stream::{self, BoxStream, StreamExt};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// What becomes of the call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing.
    Fails,
    /// It is done, and the reply is lost.
    LosesReply,
    /// A read gives half of the bytes; other calls fail.
    IsShort,
}

#[derive(Debug)]
struct State {
    inner: InMemory,
    fault: Fault,
    /// Calls until the one that fails.
    left: AtomicI64,
    delay: Duration,
    now: AtomicUsize,
    most: AtomicUsize,
    updates: bool,
    bytes_read: AtomicU64,
}

/// Memory, of which one call fails.
#[derive(Debug, Clone)]
pub struct Faulty(Arc<State>);

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

impl Faulty {
    fn with(fault: Fault, delay: Duration, updates: bool) -> Self {
        Faulty(Arc::new(State {
            inner: InMemory::new(),
            fault,
            left: AtomicI64::new(i64::MAX),
            delay,
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            updates,
            bytes_read: AtomicU64::new(0),
        }))
    }

    pub fn new(fault: Fault) -> Self {
        Self::with(fault, Duration::ZERO, true)
    }

    /// Every call takes this long.
    pub fn slow(delay: Duration) -> Self {
        Self::with(Fault::Fails, delay, true)
    }

    /// Replaces nothing conditionally, as local files of `object_store`.
    pub fn without_updates() -> Self {
        Self::with(Fault::Fails, Duration::ZERO, false)
    }

    /// The call after so many fails, once.
    pub fn fail_after(&self, calls: i64) {
        self.0.left.store(calls, Ordering::SeqCst);
    }

    /// Fails no more; tells whether it has.
    pub fn heal(&self) -> bool {
        self.0.left.swap(i64::MAX, Ordering::SeqCst) < 0
    }

    /// Bytes of bodies that were read since the last time.
    pub fn take_bytes_read(&self) -> u64 {
        self.0.bytes_read.swap(0, Ordering::SeqCst)
    }

    /// The most calls that were under way at a time since it was last asked.
    pub fn most_at_once(&self) -> usize {
        self.0.most.swap(0, Ordering::SeqCst)
    }

    async fn call<T>(&self, action: impl Future<Output = Result<T>>) -> Result<T> {
        let failed = || Error::Generic { store: "faulty", source: "as asked\nfor".into() };
        let state = &self.0;
        let now = state.now.fetch_add(1, Ordering::SeqCst) + 1;
        state.most.fetch_max(now, Ordering::SeqCst);
        if !state.delay.is_zero() {
            tokio::time::sleep(state.delay).await;
        }
        let fails = state.left.fetch_sub(1, Ordering::SeqCst) == 0;
        let result = match state.fault {
            Fault::LosesReply if fails => action.await.and_then(|_| Err(failed())),
            _ if fails => Err(failed()),
            _ => action.await,
        };
        state.now.fetch_sub(1, Ordering::SeqCst);
        result
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if matches!(opts.mode, PutMode::Update(_)) && !self.0.updates {
            return Err(Error::NotImplemented { operation: "update".into(), implementer: "faulty".into() });
        }
        self.call(self.0.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.call(self.0.inner.put_multipart_opts(location, opts)).await?;
        Ok(Box::new(FaultyUpload { store: self.clone(), inner }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_short = self.0.fault == Fault::IsShort && self.0.left.load(Ordering::SeqCst) == 0;
        if !is_short {
            let got = self.call(self.0.inner.get_opts(location, options)).await?;
            self.0.bytes_read.fetch_add(got.range.end - got.range.start, Ordering::SeqCst);
            return Ok(got);
        }
        self.0.left.store(-1, Ordering::SeqCst);
        let got = self.0.inner.get_opts(location, options).await?;
        let GetResult { meta, range, attributes, .. } = &got;
        let (meta, range, attributes) = (meta.clone(), range.clone(), attributes.clone());
        let bytes = got.bytes().await?;
        let half = bytes.slice(..bytes.len() / 2);
        let payload = GetResultPayload::Stream(stream::once(async { Ok(half) }).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let one = stream::once(std::future::ready(Ok(location.clone()))).boxed();
                store.call(async { store.0.inner.delete_stream(one).collect::<Vec<_>>().await.swap_remove(0) }).await
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, listed) = (self.clone(), self.0.inner.list(prefix));
        stream::once(async move {
            let listed = store.call(async { Ok(listed.collect::<Vec<_>>().await) }).await;
            listed.unwrap_or_else(|error| vec![Err(error)])
        })
        .flat_map(stream::iter)
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    store: Faulty,
    inner: Box<dyn MultipartUpload>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (store, part) = (self.store.clone(), self.inner.put_part(data));
        Box::pin(async move { store.call(part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.store.call(self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
