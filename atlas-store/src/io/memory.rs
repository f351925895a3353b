//! Objects in memory: for tests, and for stores that need no disk.

use super::{Expected, ObjectInfo, ObjectReader, ObjectWriter, Storage, Version};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// An object, when it was put, and as the how manieth.
type Object = (Bytes, SystemTime, u64);

#[derive(Debug, Default)]
struct Objects {
    by_name: BTreeMap<String, Object>,
    puts: u64,
}

impl Objects {
    fn put(&mut self, object: &str, bytes: Bytes) -> Version {
        self.puts += 1;
        self.by_name.insert(object.into(), (bytes, SystemTime::now(), self.puts));
        version(self.puts)
    }

    fn version(&self, object: &str) -> Option<Version> {
        self.by_name.get(object).map(|(_, _, put)| version(*put))
    }
}

fn version(put: u64) -> Version {
    Version(put.to_string())
}

/// Objects that live as long as a handle to them does.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    name: Option<Arc<str>>,
    objects: Arc<Mutex<Objects>>,
    lock: Arc<Mutex<bool>>,
}

impl MemoryStorage {
    /// No objects.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, called `location` in messages.
    #[must_use]
    pub fn named(self, location: &str) -> Self {
        MemoryStorage { name: Some(location.into()), ..self }
    }

    /// The names of all objects.
    pub fn names(&self) -> Vec<String> {
        self.objects().by_name.keys().cloned().collect()
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        // A panic elsewhere leaves the map whole: entries are put and taken in one step.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    fn location(&self) -> String {
        self.name.as_deref().unwrap_or("memory").into()
    }

    fn get(&self, object: &str) -> Result<Option<(Bytes, Version)>> {
        Ok(self.objects().by_name.get(object).map(|(bytes, _, put)| (bytes.clone(), version(*put))))
    }

    fn open(&self, object: &str) -> Result<Arc<dyn ObjectReader>> {
        let missing = || Error::corrupt(object, 0, "the catalog names this object, which is missing");
        let (bytes, ..) = self.objects().by_name.get(object).cloned().ok_or_else(missing)?;
        Ok(Arc::new(MemoryReader { object: object.into(), bytes }))
    }

    fn create(&self, object: &str) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(MemoryWriter { storage: self.clone(), object: object.into(), bytes: Some(Vec::new()) }))
    }

    fn replace(&self, object: &str, bytes: &[u8], expected: &Expected) -> Result<Version> {
        let mut objects = self.objects();
        if objects.version(object).map_or(Expected::Absent, Expected::Version) != *expected {
            return Err(Error::Conflict { message: format!("{object} was changed by another writer") });
        }
        Ok(objects.put(object, Bytes::copy_from_slice(bytes)))
    }

    fn list(&self) -> Result<Vec<ObjectInfo>> {
        let info = |(object, (bytes, modified, _)): (&String, &Object)| ObjectInfo {
            object: object.clone(),
            bytes: bytes.len() as u64,
            modified: *modified,
        };
        Ok(self.objects().by_name.iter().map(info).collect())
    }

    fn delete(&self, object: &str) -> Result<()> {
        self.objects().by_name.remove(object);
        Ok(())
    }

    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    fn is_present(&self) -> bool {
        true
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if *held {
            return Err(Error::Conflict { message: format!("another writer holds the store {}", self.location()) });
        }
        *held = true;
        Ok(Box::new(MemoryLock(self.lock.clone())))
    }
}

struct MemoryLock(Arc<Mutex<bool>>);

impl Drop for MemoryLock {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }
}

#[derive(Debug)]
struct MemoryReader {
    object: String,
    bytes: Bytes,
}

/// The range of `bytes`; `Corrupt` where it passes the end.
fn part(object: &str, bytes: &[u8], range: &Range<u64>) -> Result<Range<usize>> {
    let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
    match (start, end) {
        (Ok(start), Ok(end)) if start <= end && end <= bytes.len() => Ok(start..end),
        _ => Err(Error::corrupt(
            object,
            range.start,
            format!("bytes up to {} are needed, the object has {} (truncated?)", range.end, bytes.len()),
        )),
    }
}

impl ObjectReader for MemoryReader {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        Ok(self.bytes.slice(part(&self.object, &self.bytes, &range)?))
    }
}

struct MemoryWriter {
    storage: MemoryStorage,
    object: String,
    /// What was appended; taken once it is the object.
    bytes: Option<Vec<u8>>,
}

impl ObjectWriter for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.get_or_insert_default().extend_from_slice(bytes);
        Ok(())
    }

    fn read_back(&mut self, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.bytes.as_deref().unwrap_or_default();
        Ok(Bytes::copy_from_slice(&bytes[part(&self.object, bytes, &range)?]))
    }

    fn finish(&mut self) -> Result<()> {
        if let Some(bytes) = self.bytes.take() {
            self.storage.objects().put(&self.object, bytes.into());
        }
        Ok(())
    }
}
