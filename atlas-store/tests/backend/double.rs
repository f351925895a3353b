//! A storage that fails as asked, and that tells what was asked of it.

use atlas_store::{ConditionalGet, Error, Expected, ObjectInfo, ObjectReader, ObjectWriter, Result, Storage, Version};
use bytes::Bytes;
use std::any::Any;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Debug, Default)]
struct Told {
    /// Mutating calls until the one that fails.
    left: AtomicI64,
    /// Whether those after it fail too.
    is_down: AtomicBool,
    /// Whether a `finish` that fails can never succeed, as after a failed fsync.
    loses: AtomicBool,
    /// Whether the reply to the next replacement is lost.
    loses_reply: AtomicBool,
    /// Whether nothing can be read.
    is_deaf: AtomicBool,
    /// Objects that were made durable, in order.
    finished: Mutex<Vec<String>>,
    /// Bytes of whole objects that were read.
    bytes_read: AtomicU64,
    /// What a conditional read waits for.
    gate: Mutex<()>,
    /// Whether a conditional read has come to the gate.
    is_at_gate: AtomicBool,
}

/// A storage around another one.
#[derive(Debug, Clone)]
pub struct Double {
    inner: Arc<dyn Storage>,
    is_shared: bool,
    told: Arc<Told>,
}

impl Double {
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        let told = Told { left: AtomicI64::new(i64::MAX), ..Told::default() };
        Double { is_shared: inner.is_shared(), inner, told: Arc::new(told) }
    }

    /// The same without a lock between writers.
    pub fn shared(self) -> Self {
        Double { is_shared: true, ..self }
    }

    /// One handle more, as a storage.
    pub fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.clone())
    }

    /// The mutating call after so many fails, once.
    pub fn fail_once_after(&self, calls: i64) {
        self.told.is_down.store(false, Ordering::SeqCst);
        self.told.left.store(calls, Ordering::SeqCst);
    }

    /// All mutating calls after so many fail, as after a crash.
    pub fn fail_after(&self, calls: i64) {
        self.told.is_down.store(true, Ordering::SeqCst);
        self.told.left.store(calls, Ordering::SeqCst);
    }

    /// A `finish` that fails is never to succeed.
    pub fn lose(&self) {
        self.told.loses.store(true, Ordering::SeqCst);
    }

    /// The next replacement is done, its reply is lost, and nothing can be read from then on.
    pub fn lose_next_reply(&self) {
        self.told.loses_reply.store(true, Ordering::SeqCst);
    }

    /// Conditional reads wait as long as this is held.
    pub fn hold_reads(&self) -> MutexGuard<'_, ()> {
        self.told.gate.lock().unwrap()
    }

    /// Whether a conditional read has begun.
    pub fn is_asked(&self) -> bool {
        self.told.is_at_gate.load(Ordering::SeqCst)
    }

    pub fn heal(&self) {
        self.told.is_deaf.store(false, Ordering::SeqCst);
        self.told.left.store(i64::MAX, Ordering::SeqCst);
    }

    /// The objects that were made durable since the last time, in order.
    pub fn take_finished(&self) -> Vec<String> {
        std::mem::take(&mut self.told.finished.lock().unwrap())
    }

    /// Bytes of whole objects that were read since the last time.
    pub fn take_bytes_read(&self) -> u64 {
        self.told.bytes_read.swap(0, Ordering::SeqCst)
    }

    fn answer(&self) -> Result<()> {
        match self.told.is_deaf.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(Error::Storage { object: "test".into(), message: "no answer".into() }),
        }
    }

    fn step(&self) -> Result<()> {
        let left = self.told.left.fetch_sub(1, Ordering::SeqCst);
        if left > 0 || left < 0 && !self.told.is_down.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(Error::Storage { object: "test".into(), message: "failed".into() })
    }
}

impl Storage for Double {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn get(&self, object: &str) -> Result<Option<(Bytes, Version)>> {
        self.answer()?;
        let got = self.inner.get(object)?;
        let bytes = got.as_ref().map_or(0, |(bytes, _)| bytes.len() as u64);
        self.told.bytes_read.fetch_add(bytes, Ordering::SeqCst);
        Ok(got)
    }
    fn get_unless(&self, object: &str, known: &Version) -> Result<ConditionalGet> {
        self.told.is_at_gate.store(true, Ordering::SeqCst);
        drop(self.told.gate.lock().unwrap());
        self.answer()?;
        let got = self.inner.get_unless(object, known)?;
        if let ConditionalGet::Modified(bytes, _) = &got {
            self.told.bytes_read.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        }
        Ok(got)
    }
    fn open(&self, object: &str) -> Result<Arc<dyn ObjectReader>> {
        self.inner.open(object)
    }
    fn create(&self, object: &str) -> Result<Box<dyn ObjectWriter>> {
        self.step()?;
        let inner = self.inner.create(object)?;
        Ok(Box::new(DoubleWriter { inner, object: object.into(), storage: self.clone(), is_lost: false }))
    }
    fn replace(&self, object: &str, bytes: &[u8], expected: &Expected) -> Result<Version> {
        self.step()?;
        let version = self.inner.replace(object, bytes, expected)?;
        if self.told.loses_reply.swap(false, Ordering::SeqCst) {
            self.told.is_deaf.store(true, Ordering::SeqCst);
            self.answer()?;
        }
        Ok(version)
    }
    fn list(&self) -> Result<Vec<ObjectInfo>> {
        self.inner.list()
    }
    fn delete(&self, object: &str) -> Result<()> {
        self.step()?;
        self.inner.delete(object)
    }
    fn is_shared(&self) -> bool {
        self.is_shared
    }
    fn prepare(&self) -> Result<()> {
        self.inner.prepare()
    }
    fn is_present(&self) -> bool {
        self.inner.is_present()
    }
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>> {
        if self.is_shared { Ok(Box::new(())) } else { self.inner.lock() }
    }
}

struct DoubleWriter {
    inner: Box<dyn ObjectWriter>,
    object: String,
    storage: Double,
    is_lost: bool,
}

impl ObjectWriter for DoubleWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.storage.step()?;
        self.inner.write(bytes)
    }
    fn read_back(&mut self, range: Range<u64>) -> Result<Bytes> {
        self.inner.read_back(range)
    }
    fn finish(&mut self) -> Result<()> {
        if self.is_lost {
            return Err(Error::Storage { object: self.object.clone(), message: "lost: abandon the changes".into() });
        }
        let told = &self.storage.told;
        self.storage.step().inspect_err(|_| self.is_lost = told.loses.load(Ordering::SeqCst))?;
        self.inner.finish()?;
        told.finished.lock().unwrap().push(self.object.clone());
        Ok(())
    }
}
