//! A segment being built: encoded blocks, their index and their zone maps.

use super::batch::{Batch, Encoded, SealedChunk};
use crate::catalog::SegmentRef;
use crate::cells::Cells;
use crate::codec::{Codec, EncodedBlock, Lesson};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::format::segment::{ALIGNMENT, FOOTER_CHECKED_BYTES, Footer, SegmentIndex, encode_header, encode_section};
use crate::format::zones;
use crate::io::{ObjectWriter, Storage};
use crate::read::{Fetched, View, decode_chunk, ranges_of};
use crate::rebase::Renumbering;
use crate::stats::Statistics;
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Encoded bytes that are held before they are spilled to the unfinished segment.
const SPILL_BYTES: usize = 1 << 20;
/// Encoded bytes that are copied at a time.
const COPY_BYTES: usize = 8 << 20;
/// How long a segment is durable before it is committed, at most: well within the retention of a compaction.
const MAX_UNCOMMITTED: Duration = Duration::from_secs(15 * 60);
/// After so many blocks, what is best for one is searched again: the data may have changed.
const UNITS_OF_A_LESSON: usize = 64;

/// A segment that grows by batches of chunks, until its end is written.
///
/// What fails can be called again: nothing is appended twice, and a segment that is durable is not written again.
pub(crate) struct SegmentBuilder {
    dtype: DType,
    object: String,
    writer: Option<Box<dyn ObjectWriter>>,
    /// Bytes that were not spilled yet; they begin at `spilled`.
    buffer: Vec<u8>,
    spilled: u64,
    index: SegmentIndex,
    zones: Vec<Statistics>,
    entries: HashMap<(u64, u32), usize>,
    /// What the blocks so far taught for the next ones, and how many it still serves.
    lesson: Option<Arc<Lesson>>,
    lesson_units: usize,
    end: End,
}

/// The blocks of a segment, copied to an object of another name.
pub(crate) struct SegmentCopy {
    object: String,
    writer: Box<dyn ObjectWriter>,
    bytes: u64,
}

/// How far the end of a segment is.
enum End {
    Open,
    /// It is appended; the blocks end at this byte.
    Written {
        reference: SegmentRef,
        blocks_end: u64,
    },
    Durable {
        reference: SegmentRef,
        blocks_end: u64,
        since: Instant,
    },
}

impl SegmentBuilder {
    pub(crate) fn new(dtype: DType, object: String) -> Self {
        SegmentBuilder {
            dtype,
            object,
            writer: None,
            buffer: encode_header(),
            spilled: 0,
            index: SegmentIndex::new(),
            zones: Vec::new(),
            entries: HashMap::new(),
            lesson: None,
            lesson_units: 0,
            end: End::Open,
        }
    }

    /// Whether chunks can be appended.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.end, End::Open)
    }

    fn position(&self) -> u64 {
        self.spilled + self.buffer.len() as u64
    }

    /// Begins to encode these chunks, to be appended. What was begun before is appended by then: it may have taught.
    pub(crate) fn encode(&self, chunks: Vec<SealedChunk>, codec: Codec) -> Batch {
        Batch::begin(self.dtype, codec, chunks, self.lesson.clone(), self.lesson_units == 0)
    }

    /// Appends chunks, when they are encoded; to what is held in memory, until it is spilled.
    ///
    /// # Errors
    /// `Storage` where encoding failed. Nothing was appended then, and the chunks have to be encoded again.
    pub(crate) fn append(&mut self, batch: &Batch) -> Result<()> {
        let failed = |error| Error::storage(&self.object, format!("encoding failed: {error}"));
        let encoded = batch.wait().map_err(failed)?;
        self.check_sizes(&encoded)?;
        if let Some(lesson) = batch.taught() {
            self.lesson = lesson;
            self.lesson_units = UNITS_OF_A_LESSON;
        }
        self.lesson_units = self.lesson_units.saturating_sub(batch.unit_count());
        for Encoded { zones, block } in encoded {
            self.zones.extend(zones);
            self.push_block(&block)?;
        }
        for chunk in batch.chunks() {
            self.entries.insert((chunk.array, chunk.chunk), self.index.chunk_array.len());
            self.index.chunk_array.push(chunk.array);
            self.index.chunk_index.push(chunk.chunk);
            let first = self.index.chunk_first_cell.last().copied().unwrap_or(0);
            self.index.chunk_first_cell.push(first + chunk.cells.len() as u64);
        }
        Ok(())
    }

    /// Refuses what the index cannot list, before anything is appended.
    fn check_sizes(&self, encoded: &[Encoded]) -> Result<()> {
        let fits = |bytes: usize| u32::try_from(bytes).is_ok();
        let mut pages = self.index.page_stored.len();
        for Encoded { block, .. } in encoded {
            pages += block.pages.len();
            if !fits(block.header.len()) || !fits(pages) || !block.pages.iter().all(|page| fits(page.bytes.len())) {
                return Err(too_long(&self.object));
            }
        }
        Ok(())
    }

    fn push_block(&mut self, block: &EncodedBlock) -> Result<()> {
        if block.pages.is_empty() {
            return Ok(());
        }
        let object = self.object.clone();
        let too_long = |_| too_long(&object);
        let mut header = block.header.clone();
        if block.encoding == crate::codec::Encoding::None {
            // The header of a raw block is the padding that aligns its cells.
            let padding = self.position().next_multiple_of(ALIGNMENT) - self.position();
            header.resize(usize::try_from(padding).map_err(too_long)?, 0);
        }
        let offset = self.position();
        self.index.block_encoding.push(block.encoding);
        self.index.block_offset.push(offset);
        self.index.block_header_bytes.push(u32::try_from(header.len()).map_err(too_long)?);
        self.index.block_header_crc.push(crc32c::crc32c(&header));
        self.buffer.extend_from_slice(&header);
        for page in &block.pages {
            self.index.page_offset.push(self.spilled + self.buffer.len() as u64);
            self.index.page_stored.push(u32::try_from(page.bytes.len()).map_err(too_long)?);
            self.index.page_raw.push(page.raw_bytes);
            self.index.page_crc.push(crc32c::crc32c(&page.bytes));
            let first = self.index.page_first_cell.last().copied().unwrap_or(0);
            self.index.page_first_cell.push(first + u64::from(page.cells));
            self.buffer.extend_from_slice(&page.bytes);
        }
        let pages = u32::try_from(self.index.page_stored.len()).map_err(too_long)?;
        self.index.block_first_page.push(pages);
        Ok(())
    }

    /// Spills what is held, if that is much.
    pub(crate) fn spill_if_large(&mut self, storage: &dyn Storage) -> Result<()> {
        if self.buffer.len() >= SPILL_BYTES { self.spill(storage) } else { Ok(()) }
    }

    fn spill(&mut self, storage: &dyn Storage) -> Result<()> {
        if self.writer.is_none() {
            self.writer = Some(storage.create(&self.object)?);
        }
        if let Some(writer) = &mut self.writer {
            writer.write(&self.buffer)?;
            self.spilled += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// The cells of a chunk that was appended.
    pub(crate) fn read_chunk(&mut self, array: u64, chunk: u32, storage: &dyn Storage) -> Result<Option<Cells>> {
        let Some(&entry) = self.entries.get(&(array, chunk)) else { return Ok(None) };
        let place = self.index.chunk_place(entry);
        let pages: Vec<usize> = self.index.pages_of(&place.cells).collect();
        let mut parts = Vec::new();
        for range in ranges_of(&self.index, &pages) {
            parts.push((range.start, self.bytes(range, storage)?));
        }
        let view = View { index: &self.index, object: &self.object };
        decode_chunk(view, self.dtype, &place.cells, &Fetched::from_parts(parts)).map(Some)
    }

    /// Bytes of the segment, wherever they are by now.
    fn bytes(&mut self, range: Range<u64>, storage: &dyn Storage) -> Result<Bytes> {
        if range.start >= self.spilled {
            #[allow(clippy::cast_possible_truncation, reason = "the buffer is in memory")]
            let part = (range.start - self.spilled) as usize..(range.end - self.spilled) as usize;
            return Ok(Bytes::copy_from_slice(&self.buffer[part]));
        }
        match &mut self.writer {
            Some(writer) => writer.read_back(range),
            None => storage.open(&self.object)?.read(range),
        }
    }

    /// The zone maps of an array's chunks that were appended, the last of each.
    pub(crate) fn zones_of(&self, array: u64) -> Vec<(u32, &Statistics)> {
        self.index.chunks_of(array).map(|(chunk, entry)| (chunk, &self.zones[entry])).collect()
    }

    /// Makes the order by which [`Self::zones_of`] finds chunks.
    pub(crate) fn sort(&mut self) {
        self.index.sort();
    }

    /// Writes index and footer and makes the segment durable.
    pub(crate) fn finish(&mut self, storage: &dyn Storage) -> Result<SegmentRef> {
        if self.is_open() {
            self.write_end(storage)?;
        }
        if let End::Written { reference, blocks_end } = &self.end {
            if let Some(writer) = &mut self.writer {
                writer.finish()?;
            }
            // There may be thousands of families, each with a file.
            self.writer = None;
            self.end = End::Durable { reference: reference.clone(), blocks_end: *blocks_end, since: Instant::now() };
        }
        match &self.end {
            End::Durable { reference, .. } => Ok(reference.clone()),
            _ => Err(Error::storage(&self.object, "the segment has no end")),
        }
    }

    fn write_end(&mut self, storage: &dyn Storage) -> Result<()> {
        let failed = |error: std::io::Error| Error::storage("segment index", error);
        let blocks_end = self.position();
        let (index, mut end) = encode_section(&self.index.encode(), blocks_end).map_err(failed)?;
        let raw = zones::encode(self.dtype, &self.zones);
        let (zones, stored) = encode_section(&raw, blocks_end + end.len() as u64).map_err(failed)?;
        end.extend_from_slice(&stored);
        let footer = Footer { dtype: self.dtype, index, zones }.encode();
        end.extend_from_slice(&footer);
        // With the last blocks, in one write; without them again, where that fails.
        let held = self.buffer.len();
        self.buffer.extend_from_slice(&end);
        if let Err(error) = self.spill(storage) {
            self.buffer.truncate(held);
            return Err(error);
        }
        let reference = SegmentRef {
            object: self.object.clone(),
            bytes: self.spilled,
            crc32c: crc32c::crc32c(&footer[..FOOTER_CHECKED_BYTES]),
            first_id: self.index.chunk_array.iter().copied().min().unwrap_or(0),
            last_id: self.index.chunk_array.iter().copied().max().unwrap_or(0),
        };
        self.end = End::Written { reference, blocks_end };
        Ok(())
    }

    /// A copy of the blocks under another name. The encoded cells do not tell whose they are; the index does.
    pub(crate) fn copy(&mut self, object: String, storage: &dyn Storage) -> Result<SegmentCopy> {
        let (End::Written { blocks_end: bytes, .. } | End::Durable { blocks_end: bytes, .. }) = self.end else {
            return Err(Error::storage(&self.object, "the segment has no end"));
        };
        let mut writer = storage.create(&object)?;
        for start in (0..bytes).step_by(COPY_BYTES) {
            writer.write(&self.bytes(start..bytes.min(start + COPY_BYTES as u64), storage)?)?;
        }
        Ok(SegmentCopy { object, writer, bytes })
    }

    /// Whether a compaction next door may soon take it for what a writer left that did not finish.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        matches!(self.end, End::Durable { since, .. } if now.duration_since(since) >= MAX_UNCOMMITTED)
    }

    /// Goes on with a copy, whose end is not written yet.
    pub(crate) fn adopt(&mut self, copy: SegmentCopy) {
        self.object = copy.object;
        self.writer = Some(copy.writer);
        self.spilled = copy.bytes;
        self.end = End::Open;
    }

    /// Lists the chunks under these ids, which are in the same order.
    pub(crate) fn renumber(&mut self, ids: Renumbering) {
        if self.arrays().any(|id| ids.changes(id)) {
            self.index.chunk_array.iter_mut().for_each(|id| *id = ids.of(*id));
            let entries = std::mem::take(&mut self.entries);
            self.entries = entries.into_iter().map(|((id, chunk), at)| ((ids.of(id), chunk), at)).collect();
        }
    }

    /// The array of each chunk that was appended.
    pub(crate) fn arrays(&self) -> impl Iterator<Item = u64> {
        self.index.chunk_array.iter().copied()
    }

    pub(crate) fn object(&self) -> &str {
        &self.object
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.chunk_array.is_empty()
    }
}

fn too_long(object: &str) -> Error {
    Error::LimitExceeded { message: format!("a block of {object} passes 4 GiB") }
}
