//! Open segments: their index and zone maps, read when they are first needed and kept.

use crate::catalog::{Catalog, SegmentRef};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::format::FORMAT_VERSION;
use crate::format::segment::{
    FOOTER_BYTES, FOOTER_CHECKED_BYTES, Footer, HEADER_BYTES, Refusal, SegmentIndex, decode_header, decode_section,
};
use crate::format::zones;
use crate::io::{ObjectReader, Storage};
use crate::stats::Statistics;
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Zone maps up to this size are read and verified with the index.
const VERIFIED_ZONE_BYTES: u64 = 1 << 20;

/// A segment that a catalog names.
#[derive(Debug)]
pub(crate) struct Segment {
    storage: Arc<dyn Storage>,
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
    pub(crate) fn new(storage: Arc<dyn Storage>, reference: SegmentRef, dtype: DType) -> Self {
        Segment { storage, reference, dtype, opened: OnceLock::new(), zones: OnceLock::new(), loading: Mutex::new(()) }
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
        let refused = |offset: u64| {
            move |refusal: Refusal| match refusal {
                Refusal::Corrupt(message) => self.corrupt(offset, message),
                Refusal::Version(version) => Error::UnsupportedVersion {
                    message: format!(
                        "{} has format version {version}, this build reads up to {FORMAT_VERSION}",
                        self.object()
                    ),
                },
            }
        };
        decode_header(&reader.read(0..HEADER_BYTES)?).map_err(refused(0))?;
        let tail = reader.read(bytes - FOOTER_BYTES..bytes)?;
        let footer = Footer::decode(&tail, bytes).map_err(refused(bytes - FOOTER_BYTES))?;
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

    pub(crate) fn read_many(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.opened()?.reader.read_many(ranges)
    }
}

/// A segment's index and name, whether it is finished or being built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) index: &'a SegmentIndex,
    pub(crate) object: &'a str,
}

/// The open segments of a store, shared between snapshots: they are immutable.
#[derive(Debug, Default)]
pub(crate) struct SegmentPool {
    segments: Mutex<HashMap<(String, u32), Arc<Segment>>>,
}

impl SegmentPool {
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
                let segment = pool
                    .get(&key)
                    .cloned()
                    .unwrap_or_else(|| Arc::new(Segment::new(storage.clone(), reference.clone(), family.dtype())));
                kept.insert(key, segment.clone());
                segment
            });
            by_family.insert(family.name().to_string(), segments.collect());
        }
        *pool = kept;
        by_family
    }
}
