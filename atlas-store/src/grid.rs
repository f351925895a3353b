//! Chunk arithmetic: which chunks an array has, and which of them a region touches. Pure.

use crate::region::Region;

/// An array's regular grid of chunks. Chunks are numbered in row-major order; those at an upper edge are cut to the
/// array's bounds.
#[derive(Debug, Clone)]
pub(crate) struct Grid<'a> {
    shape: &'a [u64],
    chunk_shape: &'a [u64],
}

impl<'a> Grid<'a> {
    /// The grid of an array of `shape` in chunks of `chunk_shape` (at least 1 each; same rank).
    pub(crate) fn new(shape: &'a [u64], chunk_shape: &'a [u64]) -> Self {
        Grid { shape, chunk_shape }
    }

    fn extent(&self, dim: usize) -> u64 {
        self.shape[dim].div_ceil(self.chunk_shape[dim].max(1))
    }

    /// The number of chunks: 1 for rank 0, 0 where an extent is 0; saturates.
    pub(crate) fn chunk_count(&self) -> u64 {
        (0..self.shape.len()).fold(1u64, |count, dim| count.saturating_mul(self.extent(dim)))
    }

    /// The extents of chunk `index`, cut to the array's bounds.
    pub(crate) fn chunk_extent(&self, index: u64) -> Vec<u64> {
        self.chunk_region(index).shape().to_vec()
    }

    /// The cells of chunk `index`, cut to the array's bounds.
    pub(crate) fn chunk_region(&self, index: u64) -> Region {
        let mut rest = index;
        let mut position = vec![0; self.shape.len()];
        for dim in (0..self.shape.len()).rev() {
            let extent = self.extent(dim).max(1);
            position[dim] = rest % extent;
            rest /= extent;
        }
        self.region_at(&position)
    }

    fn region_at(&self, position: &[u64]) -> Region {
        let start: Vec<u64> = position.iter().zip(self.chunk_shape).map(|(at, extent)| at * extent).collect();
        let shape = (0..start.len()).map(|dim| self.chunk_shape[dim].min(self.shape[dim] - start[dim])).collect();
        // Start and end lie within the array, whose extents were checked.
        Region::try_new(start, shape).unwrap_or_else(|_| Region::full(&[]))
    }

    /// How many chunks `region` (which lies in the array) touches; saturates.
    pub(crate) fn count_in(&self, region: &Region) -> u64 {
        if region.is_empty() {
            return 0;
        }
        (0..self.shape.len()).fold(1u64, |count, dim| {
            let first = region.start()[dim] / self.chunk_shape[dim];
            count.saturating_mul((region.end(dim) - 1) / self.chunk_shape[dim] - first + 1)
        })
    }

    /// The chunks that `region` (which lies in the array) touches, in order, each with its cells.
    pub(crate) fn chunks_in(&self, region: &Region) -> Vec<(u64, Region)> {
        if region.is_empty() {
            return Vec::new();
        }
        let rank = self.shape.len();
        let first: Vec<u64> = (0..rank).map(|dim| region.start()[dim] / self.chunk_shape[dim]).collect();
        let last: Vec<u64> = (0..rank).map(|dim| (region.end(dim) - 1) / self.chunk_shape[dim]).collect();
        let mut found = Vec::new();
        let mut at = first.clone();
        loop {
            let index = (0..rank).fold(0, |index, dim| index * self.extent(dim) + at[dim]);
            found.push((index, self.region_at(&at)));
            let mut dim = rank;
            loop {
                if dim == 0 {
                    return found;
                }
                dim -= 1;
                if at[dim] < last[dim] {
                    at[dim] += 1;
                    break;
                }
                at[dim] = first[dim];
            }
        }
    }
}

/// The largest array that is one chunk, in bytes.
const WHOLE_BYTES: u64 = 4 << 20;
/// About how large a chunk is made, in bytes.
const CHUNK_BYTES: u64 = 2 << 20;

/// The chunk shape of an array where nobody says otherwise: one chunk up to 4 MiB, else chunks of about 2 MiB that are whole
/// along the trailing dimensions, of about equal size.
///
/// `cell_bytes` is the size of a cell; for text, a guess.
pub fn default_chunk_shape(shape: &[u64], cell_bytes: u64) -> Vec<u64> {
    let mut chunks: Vec<u64> = shape.iter().map(|extent| (*extent).max(1)).collect();
    if shape.iter().fold(cell_bytes, |bytes, extent| bytes.saturating_mul(*extent)) <= WHOLE_BYTES {
        return chunks;
    }
    let mut bytes = cell_bytes.max(1);
    for chunk in chunks.iter_mut().rev() {
        let whole = *chunk;
        let fitting = (CHUNK_BYTES / bytes).clamp(1, whole);
        // As many chunks as that needs, but of equal size.
        *chunk = whole.div_ceil(whole.div_ceil(fitting));
        bytes = bytes.saturating_mul(*chunk);
        if *chunk < whole {
            bytes = u64::MAX;
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_tile_the_array() {
        let (shape, chunk) = ([5u64, 7], [2u64, 3]);
        let grid = Grid::new(&shape, &chunk);
        assert_eq!(grid.chunk_count(), 9);
        let chunks = grid.chunks_in(&Region::full(&shape));
        assert_eq!(chunks.iter().map(|(_, chunk)| chunk.shape().iter().product::<u64>()).sum::<u64>(), 35);
        assert_eq!(chunks[8].1.shape(), [1, 1]);
        assert!(chunks.iter().all(|(index, chunk)| grid.chunk_extent(*index) == chunk.shape()));
    }

    #[test]
    fn a_region_touches_only_its_chunks() {
        let (shape, chunk) = ([5u64, 7], [2u64, 3]);
        let region = Region::try_new(vec![1, 3], vec![2, 3]).unwrap();
        let touched: Vec<u64> =
            Grid::new(&shape, &chunk).chunks_in(&region).into_iter().map(|(index, _)| index).collect();
        assert_eq!(touched, [1, 4]);
        assert_eq!(Grid::new(&shape, &chunk).count_in(&region), 2);
    }

    #[test]
    fn rank_0_is_one_chunk_and_zero_extent_none() {
        assert_eq!(Grid::new(&[], &[]).chunk_count(), 1);
        assert_eq!(Grid::new(&[], &[]).chunks_in(&Region::full(&[])).len(), 1);
        assert_eq!(Grid::new(&[0, 3], &[1, 3]).chunk_count(), 0);
        assert!(Grid::new(&[0, 3], &[1, 3]).chunks_in(&Region::full(&[0, 3])).is_empty());
    }
}
