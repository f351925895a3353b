//! The chunks of an array, one by one: where they are stored, and what is known of their cells.

use crate::catalog::ArrayEntry;
use crate::error::Result;
use crate::grid::Grid;
use crate::read::Segment;
use crate::region::Region;
use crate::snapshot::Snapshot;
use crate::stats::Statistics;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A chunk that was written.
#[derive(Debug, Clone)]
pub struct ChunkInfo<'a> {
    /// Its number in the array's grid, row-major.
    pub index: u32,
    /// Its cells in the array.
    pub region: Region,
    /// Its zone map: the statistics of its cells.
    pub statistics: &'a Statistics,
    /// The object that holds it.
    pub segment: &'a str,
    /// Where in the object the first page begins that holds some of it.
    pub offset: u64,
    /// Its part of the pages that hold it, rounded up: small chunks share pages.
    pub stored_bytes: u64,
    /// How it is encoded: `pco`, `zstd+planes`, …; several with commas.
    pub codec: String,
}

impl Snapshot {
    /// The chunks of one array that were written, by index. Cells of the others hold the fill value.
    ///
    /// # Cost
    /// Segment indexes and zone maps, the first time; no data.
    ///
    /// # Errors
    /// `NotFound` if the dataset lacks the array, `Corrupt` where an index or a zone map is damaged.
    pub fn chunks(&self, row: u32, array: &str) -> Result<Vec<ChunkInfo<'_>>> {
        let (entry, schema) = self.catalog().array(row, array)?;
        let grid = Grid::new(&schema.shape, &schema.chunk_shape);
        let mut chunks = Vec::new();
        for (chunk, (segment, place)) in self.live_chunks(array, entry)? {
            let index = segment.index()?;
            let cells = index.chunk_place(place).cells;
            let statistics = &segment.zones()?[place];
            if schema.chunk_cells(chunk) != Some(statistics.row_count) {
                let message = format!("chunk {chunk} of array {} does not fit the array's declaration", entry.id);
                return Err(segment.corrupt(0, message));
            }
            let mut codecs: Vec<&str> =
                index.pages_of(&cells).map(|page| index.block_encoding[index.block_of(page)].name()).collect();
            codecs.sort_unstable();
            codecs.dedup();
            chunks.push(ChunkInfo {
                index: chunk,
                region: grid.chunk_region(u64::from(chunk)),
                statistics,
                segment: &segment.reference.object,
                offset: index.pages_of(&cells).next().map_or(0, |page| index.page_bytes(page).start),
                stored_bytes: index.stored_bytes_of(&cells),
                codec: codecs.join(","),
            });
        }
        Ok(chunks)
    }

    /// The newest of each chunk of an array, by index: its segment, and its entry there.
    pub(crate) fn live_chunks(
        &self,
        array: &str,
        entry: ArrayEntry<'_>,
    ) -> Result<BTreeMap<u32, (&Arc<Segment>, usize)>> {
        let mut live = BTreeMap::new();
        for segment in self.segments(array).iter().filter(|segment| segment.reference.may_hold(entry.id)) {
            for (chunk, place) in segment.index()?.chunks_of(entry.id) {
                live.insert(chunk, (segment, place));
            }
        }
        Ok(live)
    }
}
