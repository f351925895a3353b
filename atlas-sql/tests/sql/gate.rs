//! A storage that counts reads, and can hold them back until it is told to let them go on.

use atlas_store::{Expected, ObjectInfo, ObjectReader, ObjectWriter, Result, Storage, Version};
use bytes::Bytes;
use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Longer than anything takes that is not stuck.
const STUCK: Duration = Duration::from_secs(120);

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    begun: u64,
    waiting: u64,
}

/// Where reads pass.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[allow(dead_code, reason = "not every test that counts asks for all of it")]
impl Gate {
    /// A storage whose reads pass a gate, which is open.
    pub(crate) fn around(inner: Arc<dyn Storage>) -> (Arc<dyn Storage>, Arc<Gate>) {
        let gate = Arc::new(Gate::default());
        (Arc::new(Gated { inner, gate: Arc::clone(&gate) }), gate)
    }

    pub(crate) fn close(&self) {
        self.state.lock().unwrap().is_closed = true;
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().is_closed = false;
        self.changed.notify_all();
    }

    /// Reads that have begun since the last call.
    pub(crate) fn take(&self) -> u64 {
        std::mem::take(&mut self.state.lock().unwrap().begun)
    }

    /// Returns once a read waits.
    pub(crate) fn until_one_waits(&self) {
        let state = self.state.lock().unwrap();
        let (_state, ended) = self.changed.wait_timeout_while(state, STUCK, |state| state.waiting == 0).unwrap();
        assert!(!ended.timed_out(), "nothing was read");
    }

    /// Reads that have begun since the last [`Self::take`].
    pub(crate) fn begun(&self) -> u64 {
        self.state.lock().unwrap().begun
    }

    /// Returns once so many reads have begun.
    pub(crate) fn until_begun(&self, reads: u64) {
        let state = self.state.lock().unwrap();
        let (state, ended) = self.changed.wait_timeout_while(state, STUCK, |state| state.begun < reads).unwrap();
        assert!(!ended.timed_out(), "{} of {reads} reads have begun", state.begun);
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.begun += 1;
        state.waiting += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.is_closed).unwrap();
        state.waiting -= 1;
    }
}

#[derive(Debug)]
struct Gated {
    inner: Arc<dyn Storage>,
    gate: Arc<Gate>,
}

impl Storage for Gated {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn get(&self, object: &str) -> Result<Option<(Bytes, Version)>> {
        self.inner.get(object)
    }

    fn open(&self, object: &str) -> Result<Arc<dyn ObjectReader>> {
        Ok(Arc::new(Reader { inner: self.inner.open(object)?, gate: Arc::clone(&self.gate) }))
    }

    fn create(&self, object: &str) -> Result<Box<dyn ObjectWriter>> {
        self.inner.create(object)
    }

    fn replace(&self, object: &str, bytes: &[u8], expected: &Expected) -> Result<Version> {
        self.inner.replace(object, bytes, expected)
    }

    fn list(&self) -> Result<Vec<ObjectInfo>> {
        self.inner.list()
    }

    fn delete(&self, object: &str) -> Result<()> {
        self.inner.delete(object)
    }

    fn prepare(&self) -> Result<()> {
        self.inner.prepare()
    }

    fn is_present(&self) -> bool {
        self.inner.is_present()
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>> {
        self.inner.lock()
    }
}

#[derive(Debug)]
struct Reader {
    inner: Arc<dyn ObjectReader>,
    gate: Arc<Gate>,
}

/// `begin_read` comes here too.
impl ObjectReader for Reader {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.gate.pass();
        self.inner.read(range)
    }

    fn read_many(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.gate.pass();
        self.inner.read_many(ranges)
    }
}
