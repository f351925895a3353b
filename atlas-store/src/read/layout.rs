//! How a region lies in the chunks of an array. Pure arithmetic, the same for every array of one schema.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::region::{Region, Runs, cell_count};
use crate::scalar::Scalar;
use crate::schema::ArraySchema;
use std::ops::Range;

/// Output bytes that one part of a read makes, about: enough for what surrounds a part not to count, little enough that
/// the fetched bytes of a few parts do not, either.
pub(crate) const PART_BYTES: u64 = 1 << 20;

/// Slabs of more bytes than this are split at chunks instead, which costs a copy.
const MAX_SLAB_BYTES: u64 = 8 << 20;

/// Wanted cells of a chunk that are nearer to each other than this many bytes are read as one span: their pages are the
/// same, mostly.
const SPAN_GAP_BYTES: u64 = 4 << 10;

/// The pages of large chunks hold whole rows of about so many bytes.
const PAGE_BYTES: u64 = 64 << 10;

/// Chunks of one array that one plan lists at most; each takes about 200 bytes of memory.
const MAX_CHUNKS: u64 = 1 << 24;

/// A region of the arrays of one schema, whole or a part of what is wanted.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) region: Region,
    pub(crate) fill: Option<Scalar>,
    pub(crate) touched: Vec<Touched>,
    /// Cells of the region.
    pub(crate) cells: usize,
    /// Cells of the longest run of wanted cells in a chunk.
    pub(crate) longest_run: u64,
}

/// A chunk that the region touches.
#[derive(Debug)]
pub(crate) struct Touched {
    pub(crate) chunk: u32,
    /// How many cells the chunk has.
    pub(crate) cells: u64,
    /// Where the wanted cells lie, counted in the chunk's row-major order; near ones together.
    pub(crate) spans: Vec<Range<u64>>,
    /// The wanted cells: where they lie in the chunk, and where in the region.
    pub(crate) wanted: Runs,
}

/// Bytes of a cell in the result; strings and binary count 16.
pub(crate) fn cell_width(dtype: DType) -> u64 {
    dtype.cell_bytes().unwrap_or(16) as u64
}

/// The layout of `region`, which lies in the array.
#[allow(
    clippy::cast_possible_truncation,
    reason = "what does not fit in memory is refused when all of a plan is known"
)]
pub(crate) fn layout(schema: &ArraySchema, region: Region) -> Layout {
    let width = cell_width(schema.dtype);
    let touched = Grid::new(&schema.shape, &schema.chunk_shape).chunks_in(&region).into_iter();
    let touched = touched.filter_map(|(chunk, whole)| {
        let common = whole.intersection(&region)?;
        // A schema has at most 2^32 chunks.
        let chunk = u32::try_from(chunk).ok()?;
        let cells = cell_count(whole.shape()).unwrap_or(u64::MAX);
        Some(Touched { chunk, cells, spans: spans(&whole, &common, width), wanted: runs(&whole, &common, &region) })
    });
    let touched: Vec<Touched> = touched.collect();
    let longest_run = touched.iter().map(|touched| touched.wanted.run_cells()).max().unwrap_or(0);
    let cells = cell_count(region.shape()).unwrap_or(0) as usize;
    Layout { touched, fill: schema.fill_value.clone(), cells, longest_run, region }
}

/// Checks that a plan can list the chunks of `region`.
pub(crate) fn check_chunks(schema: &ArraySchema, region: &Region) -> Result<()> {
    let chunks = Grid::new(&schema.shape, &schema.chunk_shape).count_in(region);
    if chunks > MAX_CHUNKS {
        let message =
            format!("a region of {chunks} chunks of one array is too much for one read, the most is {MAX_CHUNKS}");
        return Err(Error::LimitExceeded { message });
    }
    Ok(())
}

/// Where `wanted` lies in the row-major order of the chunk `cells`. (The runs into the region can be far more: a row of it
/// may go through many chunks.)
fn spans(cells: &Region, wanted: &Region, width: u64) -> Vec<Range<u64>> {
    let gap = SPAN_GAP_BYTES / width.max(1);
    let mut spans: Vec<Range<u64>> = Vec::new();
    runs(cells, wanted, wanted).for_each(|from, _, count| {
        let (from, to) = (from as u64, (from + count) as u64);
        match spans.last_mut() {
            Some(last) if from <= last.end + gap => last.end = to,
            _ => spans.push(from..to),
        }
    });
    spans
}

/// The runs of the cells `wanted`, from their place in the box `from` to that in the box `to`.
pub(crate) fn runs(from: &Region, wanted: &Region, to: &Region) -> Runs {
    let start_in = |within: &Region| -> Vec<u64> {
        wanted.start().iter().zip(within.start()).map(|(at, start)| at - start).collect()
    };
    Runs::new((from.shape(), &start_in(from)), (to.shape(), &start_in(to)), wanted.shape())
}

/// The parts in which `region` is read, in their order, and whether they follow one another in the output.
pub(crate) fn split(schema: &ArraySchema, region: &Region) -> (Vec<Region>, bool) {
    let width = cell_width(schema.dtype);
    let bytes = |region: &Region| cell_count(region.shape()).unwrap_or(u64::MAX).saturating_mul(width);
    if bytes(region) <= 2 * PART_BYTES {
        return (vec![region.clone()], true);
    }
    // Boxes that differ along the first dimension of more than one index follow one another in the output.
    let Some(dim) = region.shape().iter().position(|extent| *extent > 1) else { return (vec![region.clone()], true) };
    let row_bytes = bytes(region) / region.shape()[dim];
    let chunk_bytes =
        |from: usize| schema.chunk_shape[from..].iter().fold(width, |product, k| product.saturating_mul(*k));
    // Within a chunk only between pages, which hold whole rows of its first dimension.
    let page_rows = if dim == 0 { (PAGE_BYTES / chunk_bytes(1).max(1)).max(1) } else { schema.chunk_shape[dim] };
    let mut cuts = vec![region.start()[dim]];
    let mut at = region.start()[dim];
    while at < region.end(dim) {
        let in_chunk = at % schema.chunk_shape[dim];
        let page_end = at - in_chunk % page_rows + page_rows;
        at = page_end.min(at - in_chunk + schema.chunk_shape[dim]).min(region.end(dim));
        let last = cuts.last().copied().unwrap_or(at);
        if (at - last).saturating_mul(row_bytes) >= PART_BYTES || at == region.end(dim) {
            cuts.push(at);
        }
    }
    let slabs = cuts.windows(2).filter_map(|cut| along(region, dim, cut[0], cut[1]));
    let slabs: Vec<Region> = slabs.collect();
    // Text cannot be put in the midst of other text.
    if schema.dtype.cell_bytes().is_none() || slabs.iter().all(|slab| bytes(slab) <= MAX_SLAB_BYTES) {
        return (slabs, true);
    }
    let chunks = Grid::new(&schema.shape, &schema.chunk_shape).chunks_in(region);
    let chunks: Vec<Region> = chunks.iter().filter_map(|(_, cells)| cells.intersection(region)).collect();
    if chunks.len() > slabs.len() { (chunks, false) } else { (slabs, true) }
}

/// `region` from index `from` to `to` of one dimension.
fn along(region: &Region, dim: usize, from: u64, to: u64) -> Option<Region> {
    let (mut start, mut shape) = (region.start().to_vec(), region.shape().to_vec());
    start[dim] = from;
    shape[dim] = to - from;
    Region::try_new(start, shape).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(shape: &[u64], chunk: &[u64]) -> ArraySchema {
        let dims: Vec<String> = (0..shape.len()).map(|dim| format!("d{dim}")).collect();
        let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
        ArraySchema::new(DType::Float32, &dims, shape).with_chunk_shape(chunk)
    }

    #[test]
    fn spans_leave_out_what_lies_far_apart() {
        let chunk = Region::try_new(vec![4, 0], vec![4, 10]).unwrap();
        let wanted = Region::try_new(vec![5, 2], vec![2, 3]).unwrap();
        assert_eq!(spans(&chunk, &wanted, 4), [Range { start: 12, end: 25 }]);
        let chunk = Region::try_new(vec![0, 0], vec![3, 10_000]).unwrap();
        let wanted = Region::try_new(vec![0, 0], vec![2, 5]).unwrap();
        assert_eq!(spans(&chunk, &wanted, 4), [0..5, 10_000..10_005]);
    }

    #[test]
    fn parts_tile_what_is_wanted() {
        let cases = [
            (vec![50u64, 168], vec![50u64, 168]),
            (vec![3650, 72, 144], vec![3650, 72, 144]),
            (vec![3650, 72, 144], vec![100, 10, 10]),
            (vec![1, 3000, 3000], vec![1, 500, 500]),
            (vec![5, 3000, 3000], vec![5, 500, 500]),
            (vec![2, 5_000_000], vec![2, 5_000_000]),
            (vec![4_000_001], vec![1000]),
        ];
        for (shape, chunk) in cases {
            let schema = chunked(&shape, &chunk);
            let start = vec![0; shape.len()];
            let wanted: Vec<u64> = shape.iter().map(|extent| (extent - 1).max(1)).collect();
            let region = Region::try_new(start, wanted).unwrap();
            let (parts, is_sliced) = split(&schema, &region);
            let cells = |region: &Region| cell_count(region.shape()).unwrap();
            assert_eq!(parts.iter().map(cells).sum::<u64>(), cells(&region), "{shape:?} in {chunk:?}");
            if is_sliced {
                let mut at = 0;
                for part in &parts {
                    let mut place = usize::MAX;
                    runs(part, part, &region).for_each(|_, to, _| place = place.min(to));
                    assert_eq!(place, at, "{shape:?} in {chunk:?}");
                    at += usize::try_from(cells(part)).unwrap();
                }
            }
            assert!(parts.iter().all(|part| cells(part) <= 10 << 20), "{shape:?} in {chunk:?}");
        }
    }

    #[test]
    fn what_is_small_is_one_part_and_wide_rows_are_split_at_chunks() {
        let schema = chunked(&[50, 168], &[50, 168]);
        assert_eq!(split(&schema, &Region::full(&[50, 168])).0.len(), 1);
        let schema = chunked(&[5, 3000, 3000], &[5, 500, 500]);
        let (parts, is_sliced) = split(&schema, &Region::full(&[5, 3000, 3000]));
        assert_eq!((parts.len(), is_sliced), (36, false));
    }
}
