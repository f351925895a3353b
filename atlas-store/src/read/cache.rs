//! The decoded pages that a store keeps for the next read.

use crate::cells::Cells;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A page of a segment: the segment's number in this process, and the page's in the segment.
pub(crate) type PageKey = (u64, usize);

/// What surrounds a page in the cache, about.
const OVERHEAD_BYTES: u64 = 128;

/// A read that decodes more than this part of the cache does not go through it: it would push out what small reads come
/// back to, and pay for pages that it does not come back to itself.
const MAX_SHARE: u64 = 32;

#[derive(Clone)]
struct Bytes;

impl Weighter<PageKey, Arc<Cells>> for Bytes {
    fn weight(&self, _: &PageKey, cells: &Arc<Cells>) -> u64 {
        cells.memory_bytes() as u64 + OVERHEAD_BYTES
    }
}

/// What a store's cache holds and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheTotals {
    /// Bytes of decoded pages held.
    pub bytes: u64,
    /// The most that it holds.
    pub capacity_bytes: u64,
    /// Pages that were found.
    pub hits: u64,
    /// Pages that were looked for in vain.
    pub misses: u64,
}

/// Decoded pages, bounded by their bytes; the least useful go first.
pub(crate) struct PageCache {
    pages: Cache<PageKey, Arc<Cells>, Bytes>,
    capacity_bytes: u64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl fmt::Debug for PageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageCache").field("totals", &self.totals()).finish()
    }
}

impl PageCache {
    /// A cache of at most so many bytes; of none, if 0.
    pub(crate) fn new(capacity_bytes: u64) -> Self {
        // Pages are of 8 to 64 KiB, mostly.
        let pages = usize::try_from(capacity_bytes >> 14).unwrap_or(0).clamp(16, 1 << 20);
        PageCache {
            pages: Cache::with_weighter(pages, capacity_bytes, Bytes),
            capacity_bytes,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Whether a read that decodes so many bytes goes through the cache.
    pub(crate) fn takes(&self, decoded_bytes: u64) -> bool {
        decoded_bytes <= self.capacity_bytes / MAX_SHARE
    }

    pub(crate) fn get(&self, key: PageKey) -> Option<Arc<Cells>> {
        let found = self.pages.get(&key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn put(&self, key: PageKey, cells: Arc<Cells>) {
        self.pages.insert(key, cells);
    }

    pub(crate) fn totals(&self) -> CacheTotals {
        CacheTotals {
            bytes: self.pages.weight(),
            capacity_bytes: self.capacity_bytes,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}
