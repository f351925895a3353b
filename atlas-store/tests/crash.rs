//! A process that stops at any mutating call of the storage leaves the old snapshot or the new one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

use atlas_store::{
    ArrayData, ArraySchema, CreateOptions, DType, Error, Expected, LocalStorage, MemoryStorage, ObjectInfo,
    ObjectReader, ObjectWriter, Result, Snapshot, Storage, Store, Version,
};
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Storage whose mutating calls stop working after so many: what a crash at that call leaves.
#[derive(Debug, Clone)]
struct Counting {
    inner: Arc<dyn Storage>,
    left: Arc<AtomicI64>,
}

impl Counting {
    fn step(&self) -> Result<()> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => Ok(()),
            _ => Err(Error::Storage { object: "test".into(), message: "crashed".into() }),
        }
    }
}

impl Storage for Counting {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn get(&self, object: &str) -> Result<Option<(bytes::Bytes, Version)>> {
        self.inner.get(object)
    }
    fn open(&self, object: &str) -> Result<Arc<dyn ObjectReader>> {
        self.inner.open(object)
    }
    fn create(&self, object: &str) -> Result<Box<dyn ObjectWriter>> {
        self.step()?;
        Ok(Box::new(CountingWriter { inner: Some(self.inner.create(object)?), storage: self.clone() }))
    }
    fn replace(&self, object: &str, bytes: &[u8], expected: &Expected) -> Result<Version> {
        self.step()?;
        self.inner.replace(object, bytes, expected)
    }
    fn list(&self) -> Result<Vec<ObjectInfo>> {
        self.inner.list()
    }
    fn delete(&self, object: &str) -> Result<()> {
        self.step()?;
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

struct CountingWriter {
    inner: Option<Box<dyn ObjectWriter>>,
    storage: Counting,
}

impl ObjectWriter for CountingWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.storage.step()?;
        self.inner.as_mut().unwrap().write(bytes)
    }
    fn read_back(&mut self, range: Range<u64>) -> Result<bytes::Bytes> {
        self.inner.as_mut().unwrap().read_back(range)
    }
    fn finish(mut self: Box<Self>) -> Result<()> {
        self.storage.step()?;
        self.inner.take().unwrap().finish()
    }
}

/// Noise that no codec makes smaller.
fn noise(k: u32, round: u32) -> i32 {
    let mut bits = (u64::from(k) << 8 | u64::from(round)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (bits >> 32) as i32
}

fn change(store: &Store, round: u32) -> Result<()> {
    let name = format!("d{round}");
    store.create_dataset(&name)?;
    for array in ["t", "s"] {
        // 2 MiB: more than is held in memory before a segment is begun.
        let shape = [1 << 19];
        store.define_array(
            &name,
            array,
            ArraySchema::new(DType::Int32, &["x"], &shape).with_chunk_shape(&[1 << 17]),
        )?;
        let noise = (0..shape[0] as u32).map(|k| noise(k, round)).collect();
        store.write_array(&name, array, &[0], &ArrayData::from_numbers(shape.to_vec(), noise)?)?;
    }
    if round > 0 {
        store.delete_array("d0", "s").or_else(|_| store.remove_attribute("d0", "x").map(drop))?;
    }
    store.flush()?;
    Ok(())
}

fn check(snapshot: &Snapshot, rounds: u32) {
    let names: Vec<String> = (0..rounds).map(|round| format!("d{round}")).collect();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), names);
    for (round, name) in (0u32..).zip(&names) {
        let read = snapshot.read(name, "t", None).unwrap();
        assert_eq!(read.as_numbers::<i32>().unwrap()[5], noise(5, round));
    }
}

fn crash_everywhere(inner: &Arc<dyn Storage>) {
    let counting = Counting { inner: inner.clone(), left: Arc::new(AtomicI64::new(i64::MAX)) };
    let storage: Arc<dyn Storage> = Arc::new(counting.clone());
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    change(&store, 0).unwrap();
    drop(store);
    let mut committed = 1;
    let mut crashes = 0;
    for steps in 0.. {
        counting.left.store(steps, Ordering::SeqCst);
        let store = Store::open_on(storage.clone()).unwrap();
        let result = change(&store, committed);
        drop(store);
        counting.left.store(i64::MAX, Ordering::SeqCst);
        let reopened = Store::open_on(storage.clone()).unwrap().snapshot();
        match result {
            // An acknowledged flush survives; a failed one left the old snapshot.
            Ok(()) => {
                committed += 1;
                check(&reopened, committed);
                break;
            }
            Err(_) => check(&reopened, committed),
        }
        crashes += 1;
    }
    assert!(crashes >= 7, "only {crashes} mutating calls");
}

#[test]
fn a_crash_at_any_call_keeps_the_old_snapshot_in_memory() {
    crash_everywhere(&(Arc::new(MemoryStorage::new()) as Arc<dyn Storage>));
}

#[test]
fn a_crash_at_any_call_keeps_the_old_snapshot_on_disk() {
    let temp = tempfile::tempdir().unwrap();
    crash_everywhere(&(Arc::new(LocalStorage::new(temp.path().join("s"))) as Arc<dyn Storage>));
}

#[test]
fn a_failed_change_cannot_be_flushed_by_accident() {
    let counting = Counting { inner: Arc::new(MemoryStorage::new()), left: Arc::new(AtomicI64::new(i64::MAX)) };
    let store = Store::create_on(Arc::new(counting.clone()), CreateOptions::default()).unwrap();
    counting.left.store(0, Ordering::SeqCst);
    assert!(change(&store, 0).is_err());
    counting.left.store(i64::MAX, Ordering::SeqCst);
    assert!(store.flush().is_err(), "half a change must not be committed");
    store.abandon();
    assert_eq!(store.snapshot().dataset_count(), 0);
    change(&store, 0).unwrap();
    check(&store.snapshot(), 1);
}
