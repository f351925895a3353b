//! Open segments: their index and zone maps, read when they are first needed and kept.

use super::cache::{CacheTotals, PageCache};
use crate::catalog::{Catalog, SegmentRef};
use crate::cells::Cells;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::format::FORMAT_VERSION;
use crate::format::segment::{
    FOOTER_BYTES, FOOTER_CHECKED_BYTES, Footer, HEADER_BYTES, Refusal, SegmentIndex, decode_header, decode_section,
};
use crate::format::zones;
use crate::io::{ObjectReader, PendingRead, Storage};
use crate::stats::Statistics;
use rayon::prelude::*;
use std::collections::HashMap;
use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

/// Zone maps up to this size are read and verified with the index.
const VERIFIED_ZONE_BYTES: u64 = 1 << 20;

/// Segments of remote storage that are opened at a time.
const OPENED_AT_ONCE: usize = 16;

/// A segment that a catalog names.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Unique in this process.
    number: u64,
    storage: Arc<dyn Storage>,
    cache: Arc<PageCache>,
    pub(crate) reference: SegmentRef,
    dtype: DType,
    opened: OnceLock<Opened>,
    zones: OnceLock<Vec<Statistics>>,
    loading: Mutex<()>,
}

#[derive(Debug)]
struct Opened {
    reader: Arc<dyn ObjectReader>,
    footer: Footer,
    index: SegmentIndex,
}

impl Segment {
    fn new(storage: Arc<dyn Storage>, cache: Arc<PageCache>, reference: SegmentRef, dtype: DType) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Segment {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            storage,
            cache,
            reference,
            dtype,
            opened: OnceLock::new(),
            zones: OnceLock::new(),
            loading: Mutex::new(()),
        }
    }

    fn object(&self) -> &str {
        &self.reference.object
    }

    pub(crate) fn corrupt(&self, offset: u64, message: impl Into<String>) -> Error {
        Error::corrupt(self.object(), offset, message)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> Result<&Opened> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let _loading = self.lock();
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = self.load()?;
        Ok(self.opened.get_or_init(|| opened))
    }

    fn load(&self) -> Result<Opened> {
        let reader = self.storage.open(self.object())?;
        let bytes = self.reference.bytes;
        if reader.len() != bytes || bytes < HEADER_BYTES + FOOTER_BYTES {
            return Err(self.corrupt(
                reader.len().min(bytes),
                format!("the file has {} bytes, the catalog says {bytes}", reader.len()),
            ));
        }
        // On remote storage this would be a request for bytes that nothing depends on.
        if !self.is_remote() {
            self.check_header(&*reader)?;
        }
        let tail = reader.read(bytes - FOOTER_BYTES..bytes)?;
        let at = bytes - FOOTER_BYTES;
        let footer = Footer::decode(&tail, bytes).map_err(|refusal| self.refused(at, refusal))?;
        if crc32c::crc32c(&tail[..FOOTER_CHECKED_BYTES]) != self.reference.crc32c || footer.dtype != self.dtype {
            return Err(self.corrupt(bytes - FOOTER_BYTES, "this is not the segment that the catalog names"));
        }
        let offset = footer.index.offset;
        let zones = footer.zones.stored_bytes;
        // Small zone maps are verified with the index, next to which they lie; large ones when they are needed.
        let verified_zones = if zones <= VERIFIED_ZONE_BYTES { zones } else { 0 };
        let stored = reader.read(offset..offset + footer.index.stored_bytes + verified_zones)?;
        let stored_zones = stored.slice(stored.len() - usize::try_from(verified_zones).unwrap_or(0)..);
        if verified_zones > 0 && crc32c::crc32c(&stored_zones) != footer.zones.crc32c {
            return Err(self.corrupt(footer.zones.offset, "the checksum of the zone maps does not match"));
        }
        let index = decode_section(&footer.index, &stored[..stored.len() - stored_zones.len()])
            .and_then(|raw| SegmentIndex::decode(&raw, footer.dtype, offset))
            .map_err(|message| self.corrupt(offset, format!("segment index: {message}")))?;
        let ids = index.chunk_array.iter().min().zip(index.chunk_array.iter().max());
        if ids != Some((&self.reference.first_id, &self.reference.last_id)) {
            return Err(self.corrupt(offset, "the index lists other arrays than the catalog says"));
        }
        Ok(Opened { reader, footer, index })
    }

    fn refused(&self, offset: u64, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Corrupt(message) => self.corrupt(offset, message),
            Refusal::Version(version) => Error::UnsupportedVersion {
                message: format!(
                    "{} has format version {version}, this build reads up to {FORMAT_VERSION}",
                    self.object()
                ),
            },
        }
    }

    pub(crate) fn index(&self) -> Result<&SegmentIndex> {
        Ok(&self.opened()?.index)
    }

    pub(crate) fn view(&self) -> Result<View<'_>> {
        Ok(View { index: self.index()?, object: self.object() })
    }

    /// The statistics of every chunk entry.
    pub(crate) fn zones(&self) -> Result<&[Statistics]> {
        if let Some(zones) = self.zones.get() {
            return Ok(zones);
        }
        let opened = self.opened()?;
        let section = &opened.footer.zones;
        let stored = opened.reader.read(section.offset..section.offset + section.stored_bytes)?;
        let zones = decode_section(section, &stored)
            .and_then(|raw| zones::decode(&raw, self.dtype, opened.index.chunk_array.len()))
            .map_err(|message| self.corrupt(section.offset, format!("zone maps: {message}")))?;
        let counts_fit = |(zone, cells): (&Statistics, &[u64])| {
            zone.row_count == cells[1] - cells[0]
                && zone.null_count.checked_add(zone.nan_count).is_some_and(|counted| counted <= zone.row_count)
        };
        if !zones.iter().zip(opened.index.chunk_first_cell.windows(2)).all(counts_fit) {
            return Err(self.corrupt(section.offset, "a zone map counts other cells than its chunk has"));
        }
        Ok(self.zones.get_or_init(|| zones))
    }

    /// Checks the first bytes, which tell a segment's format to people and tools.
    fn check_header(&self, reader: &dyn ObjectReader) -> Result<()> {
        decode_header(&reader.read(0..HEADER_BYTES)?).map_err(|refusal| self.refused(0, refusal))
    }

    /// Checks what a read does not depend on.
    ///
    /// # Errors
    /// `Corrupt`, `UnsupportedVersion`.
    pub(crate) fn verify_header(&self) -> Result<()> {
        self.check_header(&*self.opened()?.reader)
    }

    /// Begins to read ranges, ascending and apart.
    pub(crate) fn begin_read(&self, ranges: &[Range<u64>]) -> Result<PendingRead> {
        Ok(self.opened()?.reader.begin_read(ranges))
    }

    /// Reads bytes from `offset` on into these places, one after another.
    pub(crate) fn read_into(&self, offset: u64, places: &mut [IoSliceMut<'_>]) -> Result<()> {
        self.opened()?.reader.read_into(offset, places)
    }

    /// Whether reads take long enough for many to be under way at a time.
    pub(crate) fn is_remote(&self) -> bool {
        self.storage.is_remote()
    }

    /// A page that was decoded before, if it is still kept.
    pub(crate) fn cached(&self, page: usize) -> Option<Arc<Cells>> {
        self.cache.get((self.number, page))
    }

    /// Keeps a decoded page.
    pub(crate) fn cache(&self, page: usize, cells: Arc<Cells>) {
        self.cache.put((self.number, page), cells);
    }

    /// Whether a read that decodes so many bytes goes through the cache.
    pub(crate) fn caches(&self, decoded_bytes: u64) -> bool {
        self.cache.takes(decoded_bytes)
    }
}

/// Opens those of `segments` that may hold one of the arrays `ids`, several at once.
pub(crate) fn open_all(segments: &[Arc<Segment>], ids: &[u64]) -> Result<()> {
    let closed: Vec<&Arc<Segment>> = segments.iter().filter(|segment| segment.opened.get().is_none()).collect();
    if closed.len() < 2 {
        return Ok(());
    }
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let needed = closed.into_iter().filter(|segment| {
        let first = ids.partition_point(|id| *id < segment.reference.first_id);
        ids.get(first).is_some_and(|id| segment.reference.may_hold(*id))
    });
    let needed: Vec<&Arc<Segment>> = needed.collect();
    if !needed.iter().any(|segment| segment.is_remote()) {
        return needed.par_iter().try_for_each(|segment| segment.opened().map(drop));
    }
    // Threads of their own: waiting for a network must not keep the others from computing.
    let per_thread = needed.len().div_ceil(OPENED_AT_ONCE);
    thread::scope(|scope| {
        let open = |part: &[&Arc<Segment>]| part.iter().try_for_each(|segment| segment.opened().map(drop));
        let threads: Vec<_> = needed.chunks(per_thread).map(|part| scope.spawn(move || open(part))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(Error::storage("segments", "opening them failed")))
        })
    })
}

/// A segment's index and name, whether it is finished or being built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) index: &'a SegmentIndex,
    pub(crate) object: &'a str,
}

/// The open segments of a store, shared between snapshots: they are immutable. And the cache of their pages.
#[derive(Debug)]
pub(crate) struct SegmentPool {
    segments: Mutex<HashMap<(String, u32), Arc<Segment>>>,
    cache: Arc<PageCache>,
}

impl SegmentPool {
    /// A pool that keeps decoded pages of so many bytes at most.
    pub(crate) fn new(cache_bytes: u64) -> Self {
        SegmentPool { segments: Mutex::default(), cache: Arc::new(PageCache::new(cache_bytes)) }
    }

    /// What the cache holds and did.
    pub(crate) fn cache_totals(&self) -> CacheTotals {
        self.cache.totals()
    }

    /// The segments of each family of `catalog`; forgets those that it does not name.
    pub(crate) fn segments_of(
        &self,
        storage: &Arc<dyn Storage>,
        catalog: &Catalog,
    ) -> HashMap<String, Vec<Arc<Segment>>> {
        let mut pool = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = HashMap::new();
        let mut by_family = HashMap::new();
        for family in catalog.families.values() {
            let segments = family.segments.iter().map(|reference| {
                let key = (reference.object.clone(), reference.crc32c);
                let new = || Segment::new(storage.clone(), self.cache.clone(), reference.clone(), family.dtype());
                let segment = pool.get(&key).cloned().unwrap_or_else(|| Arc::new(new()));
                kept.insert(key, segment.clone());
                segment
            });
            by_family.insert(family.name().to_string(), segments.collect());
        }
        *pool = kept;
        by_family
    }
}
