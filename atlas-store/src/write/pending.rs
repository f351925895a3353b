//! What was written to one array family since the last flush.

use super::batch::{Batch, SealedChunk};
use super::builder::{SegmentBuilder, SegmentCopy};
use crate::catalog::SegmentRef;
use crate::cells::{ArrayData, Cells};
use crate::codec::Codec;
use crate::dtype::DType;
use crate::error::Result;
use crate::grid::Grid;
use crate::io::Storage;
use crate::read::{Segment, check_extent, fill_cells, read_chunk, scatter};
use crate::rebase::Renumbering;
use crate::region::{self, Region};
use crate::schema::ArraySchema;
use crate::stats::Statistics;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

/// Sealed chunks that are held before they are encoded: several blocks, so that the cores share them.
const QUEUE_BYTES: usize = 1 << 20;
/// A single chunk waits for a second one, for the cores to share; not one of so many bytes, which is several blocks by itself.
const ALONE_BYTES: usize = 16 << 20;

/// The unflushed writes to one family.
pub(crate) struct PendingFamily {
    dtype: DType,
    codec: Codec,
    storage: Arc<dyn Storage>,
    /// The committed segments, oldest first.
    committed: Vec<Arc<Segment>>,
    /// Chunks that were written in part.
    open: BTreeMap<(u64, u32), OpenChunk>,
    open_bytes: usize,
    queue: Queue,
    /// What is being encoded for the last segment: what was queued before.
    under_way: Option<UnderWay>,
    /// What the flush will commit, oldest first. Only the last may be open: an earlier one met a flush that failed.
    segments: Vec<SegmentBuilder>,
    /// The rows of the arrays that need statistics at the flush, by id.
    pub(crate) touched: BTreeMap<u64, u32>,
}

struct OpenChunk {
    region: Region,
    schema: Arc<ArraySchema>,
    cells: Cells,
}

/// Sealed chunks, the newest of each.
#[derive(Default)]
struct Queue {
    chunks: Vec<SealedChunk>,
    places: HashMap<(u64, u32), usize>,
    bytes: usize,
}

impl Queue {
    fn push(&mut self, sealed: SealedChunk) {
        self.bytes += sealed.raw_bytes();
        match self.places.get(&(sealed.array, sealed.chunk)) {
            Some(&at) => {
                self.bytes -= self.chunks[at].raw_bytes();
                self.chunks[at] = sealed;
            }
            None => {
                self.places.insert((sealed.array, sealed.chunk), self.chunks.len());
                self.chunks.push(sealed);
            }
        }
    }
}

struct UnderWay {
    batch: Batch,
    places: HashMap<(u64, u32), usize>,
    bytes: usize,
}

impl PendingFamily {
    pub(crate) fn new(dtype: DType, codec: Codec, storage: Arc<dyn Storage>, committed: Vec<Arc<Segment>>) -> Self {
        PendingFamily {
            dtype,
            codec,
            storage,
            committed,
            open: BTreeMap::new(),
            open_bytes: 0,
            queue: Queue::default(),
            under_way: None,
            segments: Vec::new(),
            touched: BTreeMap::new(),
        }
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Whether there is a segment for what is written next.
    pub(crate) fn is_open(&self) -> bool {
        self.segments.last().is_some_and(SegmentBuilder::is_open)
    }

    /// Begins a segment of this name.
    pub(crate) fn begin_segment(&mut self, object: String) {
        self.segments.push(SegmentBuilder::new(self.dtype, object));
    }

    /// How many segments are committed.
    pub(crate) fn committed_count(&self) -> usize {
        self.committed.len()
    }

    /// Bytes of chunks that were not encoded yet.
    pub(crate) fn held_bytes(&self) -> usize {
        self.open_bytes + self.queue.bytes + self.under_way.as_ref().map_or(0, |under_way| under_way.bytes)
    }

    /// Writes `data`, whose cells are those of `region`, to array `id`.
    pub(crate) fn write(
        &mut self,
        id: u64,
        schema: &Arc<ArraySchema>,
        region: &Region,
        data: Cow<'_, ArrayData>,
    ) -> Result<()> {
        let grid = Grid::new(&schema.shape, &schema.chunk_shape);
        let chunks = grid.chunks_in(region);
        if let [(chunk, extent)] = &chunks[..]
            && extent == region
            && let Ok(chunk) = u32::try_from(*chunk)
        {
            return self.seal_whole(id, chunk, region.clone(), schema, data.into_owned().into_cells());
        }
        for (chunk, extent) in chunks {
            // A schema has at most 2^32 chunks.
            let Ok(chunk) = u32::try_from(chunk) else { continue };
            if region.intersection(&extent).as_ref() == Some(&extent) {
                let mut cells = fill_cells(self.dtype, None, cell_count(&extent))?;
                scatter(data.cells(), region, &mut cells, &extent);
                self.seal_whole(id, chunk, extent, schema, cells)?;
                continue;
            }
            if !self.open.contains_key(&(id, chunk)) {
                let cells = match self.find(id, chunk, &extent)? {
                    Some(cells) => cells,
                    None => fill_cells(self.dtype, schema.fill_value.as_ref(), cell_count(&extent))?,
                };
                self.open_bytes += cells.byte_len();
                self.open.insert((id, chunk), OpenChunk { region: extent.clone(), schema: schema.clone(), cells });
            }
            if let Some(open) = self.open.get_mut(&(id, chunk)) {
                self.open_bytes -= open.cells.byte_len();
                scatter(data.cells(), region, &mut open.cells, &extent);
                self.open_bytes += open.cells.byte_len();
            }
        }
        Ok(())
    }

    /// Takes all cells of a chunk, instead of what was written to it before.
    fn seal_whole(&mut self, id: u64, chunk: u32, extent: Region, schema: &ArraySchema, cells: Cells) -> Result<()> {
        if let Some(replaced) = self.open.remove(&(id, chunk)) {
            self.open_bytes -= replaced.cells.byte_len();
        }
        self.seal(id, chunk, extent, schema, cells)
    }

    fn seal(&mut self, id: u64, chunk: u32, extent: Region, schema: &ArraySchema, cells: Cells) -> Result<()> {
        let fill = schema.fill_value.clone();
        self.queue.push(SealedChunk { array: id, chunk, shape: extent.shape().to_vec(), fill, cells });
        let (count, bytes) = (self.queue.chunks.len(), self.queue.bytes);
        if bytes >= QUEUE_BYTES && count > 1 || bytes >= ALONE_BYTES { self.encode() } else { Ok(()) }
    }

    /// Begins to encode what is queued.
    fn encode(&mut self) -> Result<()> {
        self.append()?;
        let Some(segment) = self.segments.last() else { return Ok(()) };
        if !self.queue.chunks.is_empty() {
            let Queue { chunks, places, bytes } = std::mem::take(&mut self.queue);
            self.under_way = Some(UnderWay { batch: segment.encode(chunks, self.codec), places, bytes });
        }
        Ok(())
    }

    /// Waits for what is being encoded, and appends it.
    fn append(&mut self) -> Result<()> {
        let Some(segment) = self.segments.last_mut() else { return Ok(()) };
        if let Some(under_way) = self.under_way.take()
            && let Err(error) = segment.append(&under_way.batch)
        {
            // To be tried again, before what was queued since.
            let newer = std::mem::take(&mut self.queue);
            under_way.batch.chunks().iter().cloned().chain(newer.chunks).for_each(|chunk| self.queue.push(chunk));
            return Err(error);
        }
        if segment.is_open() { segment.spill_if_large(&*self.storage) } else { Ok(()) }
    }

    /// Seals the chunks that were written in part.
    fn seal_open(&mut self) -> Result<()> {
        while let Some(((id, chunk), open)) = self.open.pop_first() {
            self.open_bytes -= open.cells.byte_len();
            self.seal(id, chunk, open.region, &open.schema, open.cells)?;
        }
        Ok(())
    }

    /// The newest cells of a chunk of this extent; `None` where it was never written.
    pub(crate) fn find(&mut self, id: u64, chunk: u32, extent: &Region) -> Result<Option<Cells>> {
        if let Some(open) = self.open.get(&(id, chunk)) {
            return Ok(Some(open.cells.clone()));
        }
        if let Some(&at) = self.queue.places.get(&(id, chunk)) {
            return Ok(Some(self.queue.chunks[at].cells.clone()));
        }
        if let Some(UnderWay { batch, places, .. }) = &self.under_way
            && let Some(&at) = places.get(&(id, chunk))
        {
            return Ok(Some(batch.chunks()[at].cells.clone()));
        }
        for segment in self.segments.iter_mut().rev() {
            if let Some(cells) = segment.read_chunk(id, chunk, &*self.storage)? {
                return Ok(Some(cells));
            }
        }
        for segment in self.committed.iter().rev() {
            if !segment.reference.may_hold(id) {
                continue;
            }
            if let Some(place) = segment.index()?.find(id, chunk) {
                let expected = region::cell_count(extent.shape()).unwrap_or(u64::MAX);
                check_extent(segment, id, chunk, &place, expected)?;
                return read_chunk(segment, self.dtype, &place.cells).map(Some);
            }
        }
        Ok(None)
    }

    /// Forgets an array that was deleted.
    pub(crate) fn forget(&mut self, id: u64) {
        self.touched.remove(&id);
        let open = std::mem::take(&mut self.open);
        self.open = open.into_iter().filter(|((other, _), _)| *other != id).collect();
        self.open_bytes = self.open.values().map(|open| open.cells.byte_len()).sum();
    }

    /// Begins to encode all that is held.
    pub(crate) fn encode_all(&mut self) -> Result<()> {
        self.seal_open()?;
        self.encode()
    }

    /// Encodes and appends all that is held, to free its memory.
    pub(crate) fn append_all(&mut self) -> Result<()> {
        self.encode_all()?;
        self.append()
    }

    /// Encodes all that is left. After it, the statistics can be asked for and the segments finished.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.append_all()?;
        self.segments.iter_mut().filter(|segment| segment.is_open()).for_each(SegmentBuilder::sort);
        Ok(())
    }

    /// The statistics of an array as it is now.
    pub(crate) fn statistics(&self, id: u64, schema: &ArraySchema) -> Result<Statistics> {
        let mut zones = committed_zones(&self.committed, id, schema)?;
        for segment in &self.segments {
            zones.extend(segment.zones_of(id));
        }
        Ok(merged(&zones, schema))
    }

    /// The names of the segments that the flush makes.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(SegmentBuilder::object)
    }

    /// The arrays with an id before `first` that were written to.
    pub(crate) fn written_before(&self, first: u64) -> BTreeSet<u64> {
        let open = self.open.keys().map(|(id, _)| *id);
        let under_way = self.under_way.iter().flat_map(|under_way| under_way.batch.chunks());
        let queued = self.queue.chunks.iter().chain(under_way).map(|sealed| sealed.array);
        let appended = self.segments.iter().flat_map(SegmentBuilder::arrays);
        open.chain(queued).chain(appended).filter(|id| *id < first).collect()
    }

    /// Copies of the segments that list chunks under other ids than these and take no others any more, with their
    /// places; `name` gives each a name.
    pub(crate) fn copy_renumbered(
        &mut self,
        ids: Renumbering,
        mut name: impl FnMut() -> String,
    ) -> Result<Vec<(usize, SegmentCopy)>> {
        self.append()?;
        let segments = self.segments.iter_mut().enumerate();
        let ended = segments.filter(|(_, segment)| !segment.is_open() && segment.arrays().any(|id| ids.changes(id)));
        ended.map(|(at, segment)| Ok((at, segment.copy(name(), &*self.storage)?))).collect()
    }

    /// Copies the segments that were durable long before `now`, under other names.
    pub(crate) fn renew(&mut self, now: Instant, mut name: impl FnMut() -> String) -> Result<()> {
        for segment in self.segments.iter_mut().filter(|segment| segment.is_stale(now)) {
            let copy = segment.copy(name(), &*self.storage)?;
            segment.adopt(copy);
        }
        Ok(())
    }

    /// Takes copies in the place of what they are copies of.
    pub(crate) fn adopt(&mut self, copies: Vec<(usize, SegmentCopy)>) {
        for (at, copy) in copies {
            self.segments[at].adopt(copy);
        }
    }

    /// Goes on with other committed segments, ids and rows.
    pub(crate) fn rebase(&mut self, committed: Vec<Arc<Segment>>, ids: Renumbering, rows: &HashMap<u32, u32>) {
        self.committed = committed;
        self.segments.iter_mut().for_each(|segment| segment.renumber(ids));
        let open = std::mem::take(&mut self.open);
        self.open = open.into_iter().map(|((id, chunk), open)| ((ids.of(id), chunk), open)).collect();
        debug_assert!(self.under_way.is_none(), "copy_renumbered waited for it");
        let queued = std::mem::take(&mut self.queue).chunks.into_iter();
        queued.for_each(|sealed| self.queue.push(SealedChunk { array: ids.of(sealed.array), ..sealed }));
        let touched = std::mem::take(&mut self.touched).into_iter();
        self.touched = touched.filter_map(|(id, row)| Some((ids.of(id), *rows.get(&row)?))).collect();
    }

    /// Makes the segments durable that are not yet; gives all that hold chunks, oldest first.
    pub(crate) fn finish(&mut self) -> Result<Vec<SegmentRef>> {
        let written = self.segments.iter_mut().filter(|segment| !segment.is_empty());
        written.map(|segment| segment.finish(&*self.storage)).collect()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a chunk that is written is held in memory")]
fn cell_count(region: &Region) -> usize {
    region::cell_count(region.shape()).unwrap_or(0) as usize
}

/// The zone maps of an array's chunks, the newest of each.
///
/// # Errors
/// `Corrupt` where a segment lists chunks that the array's declaration does not have, or not with so many cells.
fn committed_zones<'a>(
    segments: &'a [Arc<Segment>],
    id: u64,
    schema: &ArraySchema,
) -> Result<BTreeMap<u32, &'a Statistics>> {
    let mut zones = BTreeMap::new();
    for segment in segments.iter().filter(|segment| segment.reference.may_hold(id)) {
        let all = segment.zones()?;
        for (chunk, entry) in segment.index()?.chunks_of(id) {
            if schema.chunk_cells(chunk) != Some(all[entry].row_count) {
                let message = format!("chunk {chunk} of array {id} does not fit the array's declaration");
                return Err(segment.corrupt(0, message));
            }
            zones.insert(chunk, &all[entry]);
        }
    }
    Ok(zones)
}

/// The statistics of an array from those of its chunks; chunks that were never written hold the fill value.
fn merged(zones: &BTreeMap<u32, &Statistics>, schema: &ArraySchema) -> Statistics {
    let mut total = Statistics::empty(schema.dtype);
    for zone in zones.values() {
        total.merge(zone);
    }
    let unwritten = schema.cell_count() - total.row_count.min(schema.cell_count());
    if unwritten > 0 {
        total.merge(&Statistics::of_unwritten(schema.dtype, schema.fill_value.as_ref(), unwritten));
    }
    total
}

/// The statistics of a committed array, from its zone maps.
pub(crate) fn array_statistics(segments: &[Arc<Segment>], id: u64, schema: &ArraySchema) -> Result<Statistics> {
    Ok(merged(&committed_zones(segments, id, schema)?, schema))
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::BROKEN_ARRAY;
    use super::*;
    use crate::error::Error;
    use crate::io::MemoryStorage;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    #[test]
    fn a_segment_that_waited_long_is_written_anew() {
        let storage = MemoryStorage::new();
        let schema = Arc::new(ArraySchema::new(DType::Int32, &["x"], &[3]));
        let mut pending = PendingFamily::new(DType::Int32, Codec::Auto, Arc::new(storage.clone()), Vec::new());
        pending.begin_segment("t/one.af".into());
        let data = ArrayData::from_numbers(vec![3], vec![1, 2, 3]).unwrap();
        pending.write(7, &schema, &Region::full(&[3]), (&data).into()).unwrap();
        pending.settle().unwrap();
        let first = pending.finish().unwrap();
        let mut renew = |after: u64| {
            pending.renew(Instant::now() + Duration::from_secs(after), || "t/two.af".into()).unwrap();
            let second = pending.finish().unwrap();
            let found = pending.find(7, 0, &Region::full(&[3])).unwrap();
            assert_eq!(found.as_ref(), Some(data.cells()));
            second
        };
        assert_eq!(renew(60), first);
        let second = renew(3600);
        assert_eq!(second, [SegmentRef { object: "t/two.af".into(), ..first[0].clone() }]);
        // Another name, the same bytes.
        let bytes = |object: &str| storage.get(object).unwrap().unwrap().0;
        assert_eq!(bytes("t/one.af"), bytes("t/two.af"));
    }

    #[test]
    fn chunks_that_could_not_be_encoded_are_kept() {
        const BROKEN: u64 = 987_654_321;
        let schema = Arc::new(ArraySchema::new(DType::Int32, &["x"], &[100_000]));
        let mut pending = PendingFamily::new(DType::Int32, Codec::Auto, Arc::new(MemoryStorage::new()), Vec::new());
        pending.begin_segment("t/one.af".into());
        let data = |of: i32| ArrayData::from_numbers(vec![100_000], vec![of; 100_000]).unwrap();
        let whole = Region::full(&[100_000]);
        BROKEN_ARRAY.store(BROKEN, Ordering::Relaxed);
        let mut refusals = Vec::new();
        for id in [1, 2, BROKEN, 3, 4, 5, 6, 7, 8] {
            let of = i32::try_from(id % 1000).unwrap();
            refusals.extend(pending.write(id, &schema, &whole, Cow::Owned(data(of))).err());
        }
        refusals.extend(pending.settle().err());
        let message = Error::storage("t/one.af", format!("encoding failed: array {BROKEN} is broken")).to_string();
        assert!(refusals.len() > 1 && refusals.iter().all(|error| error.to_string() == message), "{refusals:?}");
        // One of those that wait is written again.
        pending.write(2, &schema, &whole, Cow::Owned(data(77))).unwrap();
        assert_eq!(pending.settle().unwrap_err().to_string(), message);
        BROKEN_ARRAY.store(u64::MAX, Ordering::Relaxed);
        pending.settle().unwrap();
        pending.finish().unwrap();
        for (id, of) in [(1, 1), (2, 77), (BROKEN, 321), (3, 3), (8, 8)] {
            assert_eq!(pending.find(id, 0, &whole).unwrap().as_ref(), Some(data(of).cells()), "array {id}");
        }
    }
}
