//! Compaction: families with dead chunks are rewritten, and what nobody needs any more is deleted.

use crate::catalog::{Catalog, Family, RetiredSegment, SegmentRef};
use crate::error::Result;
use crate::io::Storage;
use crate::read::{Segment, read_chunks};
use crate::snapshot::Snapshot;
use crate::write::{SealedChunk, SegmentBuilder};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How a compaction goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactOptions {
    /// How long segments that are no longer live are kept for readers of earlier snapshots.
    pub retention: Duration,
}

impl Default for CompactOptions {
    /// A retention of one hour.
    fn default() -> Self {
        CompactOptions { retention: Duration::from_secs(3600) }
    }
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompactReport {
    /// The number of the snapshot that is now the newest.
    pub snapshot: u64,
    /// Array families that were rewritten.
    pub families: usize,
    /// Bytes of live segments before.
    pub bytes_before: u64,
    /// Bytes of live segments after.
    pub bytes_after: u64,
    /// Objects that were deleted: segments whose retention was over, and leftovers of writers that did not finish.
    pub deleted_objects: usize,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Bytes of segments that are no longer live and are kept until their retention is over.
    pub retained_bytes: u64,
}

impl CompactReport {
    /// Bytes by which live segments became smaller.
    pub fn reclaimed_bytes(&self) -> u64 {
        self.bytes_before.saturating_sub(self.bytes_after)
    }
}

/// Bytes of chunks that are decoded and encoded at a time.
const BATCH_BYTES: u64 = 4 << 20;

/// A live chunk: where it is, and what it belongs to.
struct LiveChunk {
    segment: usize,
    entry: usize,
    array: u64,
    chunk: u32,
    row: u32,
}

/// The live chunks of a family in row order, and whether its segments hold anything else.
fn live_chunks(family: &Family, segments: &[Arc<Segment>]) -> Result<(Vec<LiveChunk>, bool)> {
    let mut live = Vec::new();
    for (row, entry) in family.entries() {
        let mut seen = HashSet::new();
        for (number, segment) in segments.iter().enumerate().rev() {
            if segment.reference.may_hold(entry.id) {
                for (chunk, place) in segment.index()?.chunks_of(entry.id) {
                    if seen.insert(chunk) {
                        live.push(LiveChunk { segment: number, entry: place, array: entry.id, chunk, row });
                    }
                }
            }
        }
    }
    let mut entries = 0;
    for segment in segments {
        entries += segment.index()?.chunk_array.len();
    }
    live.sort_by_key(|live| (live.row, live.chunk));
    let has_dead = entries != live.len();
    Ok((live, has_dead))
}

/// Writes the live chunks to one new segment; `None` where there are none.
fn rewrite(
    catalog: &Catalog,
    family: &mut Family,
    segments: &[Arc<Segment>],
    live: &[LiveChunk],
    storage: &dyn Storage,
) -> Result<Option<SegmentRef>> {
    if live.is_empty() {
        return Ok(None);
    }
    let dtype = family.dtype();
    let mut builder = SegmentBuilder::new(dtype, family.take_segment_name(storage.is_shared()));
    let mut at = 0;
    while at < live.len() {
        let mut bytes = 0;
        let mut end = at;
        while end < live.len() && (end == at || bytes < BATCH_BYTES) {
            let index = segments[live[end].segment].index()?;
            let cells = index.chunk_place(live[end].entry).cells;
            bytes += (cells.end - cells.start) * dtype.cell_bytes().unwrap_or(16) as u64;
            end += 1;
        }
        let batch = &live[at..end];
        let places: Vec<(usize, usize)> = batch.iter().map(|live| (live.segment, live.entry)).collect();
        let mut sealed = Vec::with_capacity(batch.len());
        for (live, cells) in batch.iter().zip(read_chunks(segments, dtype, &places)?) {
            let (_, schema) = catalog.array(live.row, family.name())?;
            if schema.chunk_cells(live.chunk) != Some(cells.len() as u64) {
                let message = format!("chunk {} of array {} does not fit its declaration", live.chunk, live.array);
                return Err(segments[live.segment].corrupt(0, message));
            }
            let shape = schema.chunk_extent(live.chunk);
            let fill = schema.fill_value.clone();
            sealed.push(SealedChunk { array: live.array, chunk: live.chunk, shape, fill, cells });
        }
        builder.append(&builder.encode(sealed, catalog.codec))?;
        builder.spill_if_large(storage)?;
        at = end;
    }
    builder.finish(storage).map(Some)
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The catalog of the compacted store, whose segments are durable. Nothing is deleted yet.
pub(crate) fn compact(snapshot: &Snapshot, storage: &dyn Storage) -> Result<(Catalog, CompactReport)> {
    let mut catalog = Catalog::clone(snapshot.catalog());
    let mut report = CompactReport { bytes_before: snapshot.stored_bytes(), ..CompactReport::default() };
    for (name, family) in std::mem::take(&mut catalog.families) {
        let segments = snapshot.segments(&name);
        let (live, has_dead) = live_chunks(&family, segments)?;
        let mut family = family;
        if has_dead {
            let own = Arc::make_mut(&mut family);
            let written = rewrite(snapshot.catalog(), own, segments, &live, storage)?;
            let old = std::mem::replace(&mut own.segments, written.into_iter().collect());
            catalog.retired.extend(old.into_iter().map(RetiredSegment::now));
            report.families += 1;
        }
        report.bytes_after += family.segment_bytes();
        // A name that no dataset has any more is free again, for any dtype.
        if !family.is_empty() {
            catalog.families.insert(name, family);
        }
    }
    Ok((catalog, report))
}

/// Takes the segments whose retention is over out of the catalog; they can be deleted once that is committed.
pub(crate) fn release(catalog: &mut Catalog, retention: Duration) -> Vec<RetiredSegment> {
    let now = unix_seconds(SystemTime::now());
    let (kept, released) = std::mem::take(&mut catalog.retired)
        .into_iter()
        .partition(|retired: &RetiredSegment| now.saturating_sub(retired.since) < retention.as_secs());
    catalog.retired = kept;
    released
}

/// Objects of segments, finished or not, that a catalog does not name: what writers left that did not finish.
///
/// `None` where the storage does not list its objects.
///
/// Where writers share a storage without a lock, one of them may be about to name what it has just written: only
/// objects older than the retention count there.
pub(crate) fn orphans(
    catalog: &Catalog,
    storage: &dyn Storage,
    retention: Duration,
) -> Result<Option<Vec<(String, u64)>>> {
    if !storage.can_list() {
        return Ok(None);
    }
    let named: HashSet<&str> = catalog.objects().collect();
    let now = SystemTime::now();
    let is_old = |modified: SystemTime| now.duration_since(modified).is_ok_and(|age| age >= retention);
    let found = storage.list()?.into_iter().filter(|info| {
        let is_ours = info.object.ends_with(".tmp") || (info.object.ends_with(".af") && info.object.contains("/data."));
        is_ours && !named.contains(info.object.as_str()) && (!storage.is_shared() || is_old(info.modified))
    });
    Ok(Some(found.map(|info| (info.object, info.bytes)).collect()))
}
