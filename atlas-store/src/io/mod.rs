//! Where a store's objects live. The only part that touches storage.
//!
//! An *object* is a file named by a `/`-separated path relative to the store. Every call blocks.

mod local;
mod memory;

pub use local::LocalStorage;
pub use memory::MemoryStorage;

use crate::error::Result;
use bytes::Bytes;
use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A place for a store's objects.
///
/// A finished object is whole and durable: nobody sees half of one, and a crash does not undo it.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The place, for messages.
    fn location(&self) -> String;

    /// The whole of an object; `None` where there is none.
    ///
    /// # Errors
    /// `Storage` where it cannot be read.
    fn get(&self, object: &str) -> Result<Option<Bytes>>;

    /// Opens an object for reads of parts of it.
    ///
    /// # Errors
    /// `Storage` where it cannot be opened, `Corrupt` where it does not exist: the catalog names it.
    fn open(&self, object: &str) -> Result<Arc<dyn ObjectReader>>;

    /// Begins an object, which exists once it is finished; an earlier one of the same name is replaced then.
    ///
    /// # Errors
    /// `Storage` where it cannot be begun.
    fn create(&self, object: &str) -> Result<Box<dyn ObjectWriter>>;

    /// Replaces an object by these bytes, atomically and durably.
    ///
    /// # Errors
    /// `Storage` where that fails; the earlier object is then still there.
    fn replace(&self, object: &str, bytes: &[u8]) -> Result<()>;

    /// Makes sure that a store can be created here.
    ///
    /// # Errors
    /// `Storage` where it cannot.
    fn prepare(&self) -> Result<()>;

    /// Whether the place exists, with or without a store in it.
    fn is_present(&self) -> bool;

    /// Takes the writer's lock, held until the guard is dropped.
    ///
    /// # Errors
    /// `Conflict` where another writer holds it.
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>>;
}

/// An object opened for reading. It stays readable while it is held, whatever happens to its name.
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
}

/// An object being written.
pub trait ObjectWriter: Send + Sync {
    /// Appends.
    ///
    /// # Errors
    /// `Storage` where that fails; the object must then be dropped.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Bytes that were appended earlier.
    ///
    /// # Errors
    /// `Storage` where they cannot be read back.
    fn read_back(&mut self, range: Range<u64>) -> Result<Bytes>;

    /// Makes the object exist, durably. Dropping the writer instead leaves nothing behind.
    ///
    /// # Errors
    /// `Storage` where that fails.
    fn finish(self: Box<Self>) -> Result<()>;
}
