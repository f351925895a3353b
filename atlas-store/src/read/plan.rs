//! What a read touches: a value that can be printed, counted and executed. Pure but for segment indexes, which are read
//! when they are first needed.

use super::segment::Segment;
use crate::catalog::{Catalog, Family};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::format::segment::{ChunkPlace, SegmentIndex};
use crate::grid::Grid;
use crate::region::{Region, cell_count};
use crate::scalar::Scalar;
use crate::schema::ArraySchema;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Bytes that are read although nobody asked, where that saves a request: about what a positional read costs.
pub(crate) const COALESCE_GAP_BYTES: u64 = 4 << 10;

/// Chunks of one array that one plan lists at most; each takes about 150 bytes of memory.
const MAX_CHUNKS: u64 = 1 << 24;

/// A planned read of one region of one array from several datasets.
#[derive(Debug)]
pub struct ReadPlan {
    pub(crate) array: String,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// One for each schema among the datasets.
    pub(crate) layouts: Vec<Layout>,
    /// One for each dataset, in the caller's order.
    pub(crate) slots: Vec<Slot>,
    /// The chunks to read; each slot has a range of them.
    pub(crate) pieces: Vec<Piece>,
    bytes: u64,
    requests: usize,
}

/// How the region lies in the chunks of arrays of one schema.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) region: Region,
    pub(crate) fill: Option<Scalar>,
    pub(crate) touched: Vec<Touched>,
}

/// A chunk that the region touches.
#[derive(Debug)]
pub(crate) struct Touched {
    pub(crate) chunk: u32,
    /// The chunk's cells in the array.
    pub(crate) cells: Region,
    /// Those of them that are wanted.
    pub(crate) wanted: Region,
    /// From the first to the last wanted cell, counted in the chunk's row-major order.
    pub(crate) span: Range<u64>,
}

#[allow(clippy::cast_possible_truncation, reason = "wanted cells go to an output that was checked to fit in memory")]
impl Touched {
    /// The first wanted cell, counted in the chunk.
    pub(crate) fn first_cell(&self) -> usize {
        self.span.start as usize
    }

    /// From the first to the last wanted cell.
    pub(crate) fn span_cells(&self) -> usize {
        (self.span.end - self.span.start) as usize
    }
}

/// One dataset's part of the output.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) layout: u32,
    pub(crate) pieces: Range<usize>,
}

/// One chunk of one dataset, found in a segment.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) segment: u32,
    pub(crate) touched: u32,
    /// The chunk's first cell in the segment.
    pub(crate) first_cell: u64,
}

impl ReadPlan {
    /// The dtype of the result.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape of the result: the datasets, then the region.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Chunks to read. (Chunks that were never written cost nothing and do not count.)
    pub fn chunks(&self) -> u64 {
        self.pieces.len() as u64
    }

    /// Stored bytes to read: the pages that hold wanted cells, each once.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Requests to the storage when neighbouring pages are read together.
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// Bytes of the result; strings and binary count 16 a cell.
    pub fn output_bytes(&self) -> u64 {
        let cells = cell_count(&self.shape).unwrap_or(u64::MAX);
        cells.saturating_mul(self.dtype.cell_bytes().unwrap_or(16) as u64)
    }
}

/// The cells from the first to the last of `wanted`, in the row-major order of the chunk `cells`.
fn span(cells: &Region, wanted: &Region) -> Range<u64> {
    let (mut first, mut last) = (0, 0);
    for dim in 0..cells.rank() {
        first = first * cells.shape()[dim] + (wanted.start()[dim] - cells.start()[dim]);
        last = last * cells.shape()[dim] + (wanted.end(dim) - 1 - cells.start()[dim]);
    }
    first..last + 1
}

fn layout(schema: &ArraySchema, region: Region) -> Result<Layout> {
    let grid = Grid::new(&schema.shape, &schema.chunk_shape);
    let chunks = grid.count_in(&region);
    if chunks > MAX_CHUNKS {
        let message =
            format!("a region of {chunks} chunks of one array is too much for one read, the most is {MAX_CHUNKS}");
        return Err(Error::LimitExceeded { message });
    }
    let touched = grid
        .chunks_in(&region)
        .into_iter()
        .filter_map(|(chunk, cells)| {
            let wanted = cells.intersection(&region)?;
            // A schema has at most 2^32 chunks.
            let chunk = u32::try_from(chunk).ok()?;
            Some(Touched { chunk, span: span(&cells, &wanted), cells, wanted })
        })
        .collect();
    Ok(Layout { region, fill: schema.fill_value.clone(), touched })
}

/// Plans the read of `region` (all, if `None`) of `family` from the datasets of `rows`.
pub(crate) fn plan_read(
    catalog: &Catalog,
    family: &Family,
    segments: &[Arc<Segment>],
    rows: &[u32],
    region: Option<&Region>,
) -> Result<ReadPlan> {
    let mut plan = ReadPlan {
        array: family.name().to_string(),
        dtype: family.dtype(),
        shape: Vec::new(),
        segments: segments.to_vec(),
        layouts: Vec::new(),
        slots: Vec::with_capacity(rows.len()),
        pieces: Vec::new(),
        bytes: 0,
        requests: 0,
    };
    let mut layout_of: HashMap<u32, u32> = HashMap::new();
    let mut slice_shape: Option<(Vec<u64>, u32)> = None;
    for &row in rows {
        let (entry, schema) = catalog.array(row, family.name())?;
        let number = match layout_of.get(&entry.schema) {
            Some(number) => *number,
            None => {
                let named = || format!("{} of dataset {}", family.name(), catalog.datasets.name(row));
                let region = match region {
                    Some(region) => {
                        region.check(&named(), &schema.shape)?;
                        region.clone()
                    }
                    None => Region::full(&schema.shape),
                };
                match &slice_shape {
                    Some((shape, first)) if shape != region.shape() => {
                        return Err(Error::invalid(format!(
                            "cannot stack array {}: it has shape {:?} in dataset {} and {shape:?} in dataset {}",
                            family.name(),
                            region.shape(),
                            catalog.datasets.name(row),
                            catalog.datasets.name(*first),
                        )));
                    }
                    Some(_) => {}
                    None => slice_shape = Some((region.shape().to_vec(), row)),
                }
                #[allow(clippy::cast_possible_truncation, reason = "there are at most as many as schemas")]
                let number = plan.layouts.len() as u32;
                plan.layouts.push(layout(schema, region)?);
                layout_of.insert(entry.schema, number);
                number
            }
        };
        let first_piece = plan.pieces.len();
        for (at, touched) in (0u32..).zip(&plan.layouts[number as usize].touched) {
            if let Some((segment, first_cell)) = find_chunk(segments, entry.id, touched.chunk, &touched.cells)? {
                plan.pieces.push(Piece { segment, touched: at, first_cell });
            }
        }
        plan.slots.push(Slot { layout: number, pieces: first_piece..plan.pieces.len() });
    }
    plan.shape.push(rows.len() as u64);
    plan.shape.extend(match slice_shape {
        Some((shape, _)) => shape,
        None => region.map(|region| region.shape().to_vec()).unwrap_or_default(),
    });
    if cell_count(&plan.shape).and_then(|cells| cells.checked_mul(8)).is_none() {
        return Err(Error::LimitExceeded {
            message: format!("a result of shape {:?} does not fit in memory", plan.shape),
        });
    }
    plan.count_bytes()?;
    Ok(plan)
}

/// The newest segment that holds a chunk, and the chunk's first cell there.
fn find_chunk(segments: &[Arc<Segment>], id: u64, chunk: u32, cells: &Region) -> Result<Option<(u32, u64)>> {
    for (number, segment) in segments.iter().enumerate().rev() {
        // Segments are numbered by a u32 when they are written.
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if !segment.reference.may_hold(id) {
            continue;
        }
        if let Some(place) = segment.index()?.find(id, chunk) {
            check_extent(segment, id, chunk, &place, cells)?;
            return Ok(Some((number, place.cells.start)));
        }
    }
    Ok(None)
}

/// Checks that a chunk in a segment holds as many cells as the array's declaration says.
pub(crate) fn check_extent(segment: &Segment, id: u64, chunk: u32, place: &ChunkPlace, extent: &Region) -> Result<()> {
    let (holds, expected) = (place.cells.end - place.cells.start, cell_count(extent.shape()).unwrap_or(u64::MAX));
    if holds == expected {
        return Ok(());
    }
    Err(segment.corrupt(0, format!("chunk {chunk} of array {id} holds {holds} cells, expected {expected}")))
}

impl Piece {
    /// The wanted span, in the segment's cells.
    pub(crate) fn cells(&self, touched: &Touched) -> Range<u64> {
        self.first_cell + touched.span.start..self.first_cell + touched.span.end
    }
}

/// Adds the byte ranges that `cells` need: their pages, and the headers of their blocks.
pub(crate) fn add_ranges(index: &SegmentIndex, cells: &Range<u64>, ranges: &mut BTreeSet<(u64, u64)>) {
    let mut last_block = None;
    for page in index.pages_of(cells) {
        let block = index.block_of(page);
        if last_block.replace(block) != Some(block) {
            let header = index.header_bytes(block);
            if !header.is_empty() {
                ranges.insert((header.start, header.end));
            }
        }
        let bytes = index.page_bytes(page);
        ranges.insert((bytes.start, bytes.end));
    }
}

/// Joins ranges (ascending) whose gap is small.
pub(crate) fn coalesce(ranges: &BTreeSet<(u64, u64)>, gap: u64) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for &(start, end) in ranges {
        match joined.last_mut() {
            Some(last) if start <= last.end + gap => last.end = last.end.max(end),
            _ => joined.push(start..end),
        }
    }
    joined
}

impl ReadPlan {
    fn count_bytes(&mut self) -> Result<()> {
        let mut ranges: HashMap<u32, BTreeSet<(u64, u64)>> = HashMap::new();
        for slot in &self.slots {
            let layout = &self.layouts[slot.layout as usize];
            for piece in &self.pieces[slot.pieces.clone()] {
                let index = self.segments[piece.segment as usize].index()?;
                let cells = piece.cells(&layout.touched[piece.touched as usize]);
                add_ranges(index, &cells, ranges.entry(piece.segment).or_default());
            }
        }
        for ranges in ranges.values() {
            self.bytes += ranges.iter().map(|(start, end)| end - start).sum::<u64>();
            self.requests += coalesce(ranges, COALESCE_GAP_BYTES).len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_become_one_request() {
        let ranges = BTreeSet::from([(0, 10), (12, 20), (100, 110), (110, 120)]);
        assert_eq!(coalesce(&ranges, 5), [0..20, 100..120]);
        assert_eq!(coalesce(&ranges, 1000).len(), 1);
    }

    #[test]
    fn a_span_runs_from_the_first_to_the_last_cell() {
        let chunk = Region::try_new(vec![4, 0], vec![4, 10]).unwrap();
        let wanted = Region::try_new(vec![5, 2], vec![2, 3]).unwrap();
        assert_eq!(span(&chunk, &wanted), 12..25);
    }
}
