//! How a store is created and opened.

use crate::codec::Codec;
use crate::commit::load_catalog;
use crate::error::{Error, Result};
use crate::format::envelope::{MetaCompression, MetaFormat};
use crate::io::{Storage, storage_at};
use crate::store::Store;
use std::sync::Arc;

/// How a new store is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CreateOptions {
    /// How new blocks are encoded.
    pub codec: Codec,
    /// How the catalog is serialised.
    pub meta_format: MetaFormat,
    /// How the catalog is compressed.
    pub meta_compression: MetaCompression,
}

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    /// Bytes of decoded pages that are kept for the next read, at most; 0 keeps none. Reads that decode more than a
    /// 32nd of it pass it by.
    pub cache_bytes: u64,
}

impl Default for OpenOptions {
    /// A cache of 32 MiB.
    fn default() -> Self {
        OpenOptions { cache_bytes: 32 << 20 }
    }
}

impl OpenOptions {
    /// Opens the store at a path or URL, as [`Store::open`].
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(self, location: &str) -> Result<Store> {
        self.open_on(storage_at(location)?)
    }

    /// Opens the store on this storage.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(self, storage: Arc<dyn Storage>) -> Result<Store> {
        match load_catalog(&*storage)? {
            Some(committed) => Ok(Store::with_catalog(storage, committed, self)),
            None if storage.is_present() => Err(Error::not_found(
                "store",
                format!("{} (it has no atlas.json or atlas.msgpack)", storage.location()),
            )),
            None => Err(Error::not_found("store", storage.location())),
        }
    }
}
