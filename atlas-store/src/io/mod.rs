//! Where a store's objects live. The only part that touches storage.
//!
//! An *object* is a file named by a `/`-separated path relative to the store. Every call blocks.

mod local;
mod location;
mod memory;
mod object;

pub use local::LocalStorage;
pub use location::{storage_at, storage_with};
pub use memory::MemoryStorage;
pub use object::{ObjectOptions, ObjectStorage};

use crate::error::{Error, Result};
use bytes::Bytes;
use std::any::Any;
use std::fmt;
use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

/// Which state of an object was read or written: an ETag, a generation, or a hash of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

impl Version {
    /// The version of an object that is told by its bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Version(format!("{:08x}-{}", crc32c::crc32c(bytes), bytes.len()))
    }
}

/// What an object must be for its replacement to go ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// It does not exist.
    Absent,
    /// It exists in this version.
    Version(Version),
}

/// What a conditional get finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionalGet {
    /// There is no such object.
    Absent,
    /// It is in the version that is known.
    NotModified,
    /// It is in this version.
    Modified(Bytes, Version),
}

/// An object as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub object: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

/// A place for a store's objects.
///
/// A finished object is whole and durable: nobody sees half of one, and a crash does not undo it.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The place, for messages.
    fn location(&self) -> String;

    /// The whole of an object, and which version of it that is; `None` where there is none.
    ///
    /// # Errors
    /// `Storage` where it cannot be read.
    fn get(&self, object: &str) -> Result<Option<(Bytes, Version)>>;

    /// As [`Self::get`], but for the bytes where the object is in the version that is `known`.
    ///
    /// # Cost
    /// Where it is, the object is not read; unless the storage has no way to tell.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn get_unless(&self, object: &str, known: &Version) -> Result<ConditionalGet> {
        Ok(match self.get(object)? {
            None => ConditionalGet::Absent,
            Some((_, version)) if version == *known => ConditionalGet::NotModified,
            Some((bytes, version)) => ConditionalGet::Modified(bytes, version),
        })
    }

    /// Opens an object for reads of parts of it.
    ///
    /// # Errors
    /// `Storage` where it cannot be opened, `Corrupt` where it does not exist: the catalog names it.
    fn open(&self, object: &str) -> Result<Arc<dyn ObjectReader>>;

    /// Begins an object, which exists once it is finished; an earlier one of the same name may be replaced then.
    ///
    /// # Errors
    /// `Storage` where it cannot be begun.
    fn create(&self, object: &str) -> Result<Box<dyn ObjectWriter>>;

    /// Replaces an object by these bytes, atomically and durably, if it is still as expected; gives the new version.
    ///
    /// # Errors
    /// `Conflict` where it is not as expected. `Storage` where the replacement fails, or where it cannot be told whether
    /// it did: the caller then reads back.
    fn replace(&self, object: &str, bytes: &[u8], expected: &Expected) -> Result<Version>;

    /// All objects, in no particular order; unfinished ones where they can be seen.
    ///
    /// # Errors
    /// `Storage` where that fails, `InvalidArgument` where the storage never lists ([`Self::can_list`]).
    fn list(&self) -> Result<Vec<ObjectInfo>>;

    /// Whether the storage lists its objects: a web server does not. Only what writers left behind is found by listing.
    fn can_list(&self) -> bool {
        true
    }

    /// Deletes an object; one that does not exist is no error.
    ///
    /// # Errors
    /// `Storage` where that fails.
    fn delete(&self, object: &str) -> Result<()>;

    /// Whether writers can race here, because there is no lock between them: segments then need names of their own.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether a request takes so long that many should be under way at a time.
    fn is_remote(&self) -> bool {
        false
    }

    /// Makes sure that a store can be created here.
    ///
    /// # Errors
    /// `Storage` where it cannot.
    fn prepare(&self) -> Result<()>;

    /// Whether the place exists, with or without a store in it.
    fn is_present(&self) -> bool;

    /// Takes the writer's lock, held until the guard is dropped. Where there is no lock ([`Self::is_shared`]) the guard
    /// means nothing, and [`Self::replace`] tells the loser of a race.
    ///
    /// # Errors
    /// `Conflict` where another writer holds it.
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>>;
}

/// An object opened for reading. It stays readable while it is held, whatever happens to its name; on remote storage
/// until it is deleted.
pub trait ObjectReader: Send + Sync + fmt::Debug {
    /// The object's size.
    fn len(&self) -> u64;

    /// Whether the object is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of one range.
    ///
    /// # Errors
    /// `Corrupt` where the object ends before the range does, `Storage` where it cannot be read.
    fn read(&self, range: Range<u64>) -> Result<Bytes>;

    /// The bytes of several ranges, ascending and apart from one another; at once, where that is faster.
    ///
    /// # Errors
    /// As [`Self::read`].
    fn read_many(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        ranges.iter().map(|range| self.read(range.clone())).collect()
    }

    /// Reads bytes from `offset` on into these places, one after another, until they are full: one request, and no copy
    /// where the storage can do without. What they hold after an error does not matter.
    ///
    /// # Errors
    /// As [`Self::read`].
    fn read_into(&self, offset: u64, places: &mut [IoSliceMut<'_>]) -> Result<()> {
        let total: u64 = places.iter().map(|place| place.len() as u64).sum();
        let bytes = self.read(offset..offset.saturating_add(total))?;
        let mut rest = &bytes[..];
        for place in places {
            let Some((own, after)) = rest.split_at_checked(place.len()) else {
                return Err(Error::storage("an object", "a read gave fewer bytes than were asked for"));
            };
            place.copy_from_slice(own);
            rest = after;
        }
        Ok(())
    }

    /// Begins to read several ranges, ascending and apart from one another. On remote storage the requests are under way
    /// when this returns.
    fn begin_read(&self, ranges: &[Range<u64>]) -> PendingRead {
        let read = self.read_many(ranges);
        PendingRead::new(|| read)
    }
}

/// A read that was begun.
pub struct PendingRead(Box<dyn FnOnce() -> Result<Vec<Bytes>> + Send>);

impl PendingRead {
    /// A read that ends when `wait` returns.
    pub fn new(wait: impl FnOnce() -> Result<Vec<Bytes>> + Send + 'static) -> Self {
        PendingRead(Box::new(wait))
    }

    /// Waits for the bytes of the ranges, in their order.
    ///
    /// # Errors
    /// As [`ObjectReader::read`].
    pub fn wait(self) -> Result<Vec<Bytes>> {
        self.0()
    }
}

impl fmt::Debug for PendingRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingRead").finish_non_exhaustive()
    }
}

/// An object being written.
pub trait ObjectWriter: Send + Sync {
    /// Appends all of `bytes` or, where that fails, none of them: they can be appended again.
    ///
    /// # Errors
    /// `Storage` where that fails.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Bytes that were appended earlier, until the object is finished.
    ///
    /// # Errors
    /// `Storage` where they cannot be read back.
    fn read_back(&mut self, range: Range<u64>) -> Result<Bytes>;

    /// Makes the object exist, durably; nothing is appended to it any more. Where that fails it can be called again.
    /// Dropping the writer instead leaves nothing behind.
    ///
    /// # Errors
    /// `Storage` where that fails. Where what was appended may be lost (a failed fsync), every later call fails too, and
    /// says so: the object must be written anew.
    fn finish(&mut self) -> Result<()>;
}
