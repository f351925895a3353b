//! A storage that counts what is read of its objects.

use atlas_store::{Expected, ObjectInfo, ObjectReader, ObjectWriter, PendingRead, Result, Storage, Version};
use bytes::Bytes;
use std::any::Any;
use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Reads of parts of objects: how many ranges, how many bytes.
#[derive(Debug, Default)]
pub struct Counts {
    ranges: AtomicU64,
    bytes: AtomicU64,
    places: Mutex<Vec<Range<usize>>>,
}

impl Counts {
    /// What was counted since the last call.
    pub fn take(&self) -> (u64, u64) {
        (self.ranges.swap(0, Ordering::SeqCst), self.bytes.swap(0, Ordering::SeqCst))
    }

    /// How many bytes were read straight into this memory since the last call.
    pub fn take_placed_in(&self, memory: &[u8]) -> u64 {
        let memory = memory.as_ptr_range();
        let places = std::mem::take(&mut *self.places.lock().unwrap());
        let within =
            places.iter().filter(|place| memory.start as usize <= place.start && place.end <= memory.end as usize);
        within.map(|place| place.len() as u64).sum()
    }

    fn add(&self, range: &Range<u64>) {
        self.ranges.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(range.end - range.start, Ordering::SeqCst);
    }
}

/// Passes everything on, and counts.
#[derive(Debug)]
pub struct Counting {
    inner: Arc<dyn Storage>,
    counts: Arc<Counts>,
}

impl Counting {
    pub fn around(inner: Arc<dyn Storage>) -> (Arc<dyn Storage>, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        (Arc::new(Counting { inner, counts: counts.clone() }), counts)
    }
}

impl Storage for Counting {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn get(&self, object: &str) -> Result<Option<(Bytes, Version)>> {
        self.inner.get(object)
    }

    fn open(&self, object: &str) -> Result<Arc<dyn ObjectReader>> {
        Ok(Arc::new(Reader { inner: self.inner.open(object)?, counts: self.counts.clone() }))
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

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn is_remote(&self) -> bool {
        self.inner.is_remote()
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
    counts: Arc<Counts>,
}

impl ObjectReader for Reader {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.counts.add(&range);
        self.inner.read(range)
    }

    fn read_many(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        ranges.iter().for_each(|range| self.counts.add(range));
        self.inner.read_many(ranges)
    }

    fn read_into(&self, offset: u64, places: &mut [IoSliceMut<'_>]) -> Result<()> {
        self.counts.add(&(offset..offset + places.iter().map(|place| place.len() as u64).sum::<u64>()));
        let places_of = |place: &IoSliceMut<'_>| place.as_ptr() as usize..place.as_ptr() as usize + place.len();
        self.counts.places.lock().unwrap().extend(places.iter().map(places_of));
        self.inner.read_into(offset, places)
    }

    fn begin_read(&self, ranges: &[Range<u64>]) -> PendingRead {
        ranges.iter().for_each(|range| self.counts.add(range));
        self.inner.begin_read(ranges)
    }
}
