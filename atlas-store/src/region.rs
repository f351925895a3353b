//! Half-open boxes in arrays.

use crate::error::{Error, Result};

/// A half-open box in an array: cells `start[d] .. start[d] + shape[d]` of each dimension `d`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Region {
    start: Vec<u64>,
    shape: Vec<u64>,
}

impl Region {
    /// A box of `shape` cells that begins at `start`.
    ///
    /// # Errors
    /// `InvalidArgument` where the two have different ranks.
    pub fn try_new(start: Vec<u64>, shape: Vec<u64>) -> Result<Self> {
        if start.len() != shape.len() {
            return Err(Error::invalid(format!(
                "start {start:?} has rank {}, shape {shape:?} has rank {}",
                start.len(),
                shape.len()
            )));
        }
        Ok(Region { start, shape })
    }

    /// All of an array of this shape.
    pub fn full(shape: &[u64]) -> Self {
        Region { start: vec![0; shape.len()], shape: shape.to_vec() }
    }

    /// The first cell of each dimension.
    pub fn start(&self) -> &[u64] {
        &self.start
    }

    /// The number of cells of each dimension.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The rank.
    pub fn rank(&self) -> usize {
        self.start.len()
    }

    /// One past the last cell of dimension `dim`; `u64::MAX` where that is larger.
    pub fn end(&self, dim: usize) -> u64 {
        self.start[dim].saturating_add(self.shape[dim])
    }

    /// Whether the box holds no cell.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Checks that the box lies in an array of shape `within`.
    ///
    /// # Errors
    /// `OutOfBounds` that names `array` and the numbers.
    pub fn check(&self, array: &str, within: &[u64]) -> Result<()> {
        if self.rank() != within.len() {
            return Err(Error::OutOfBounds {
                array: array.into(),
                message: format!(
                    "start {:?} and shape {:?} have rank {}, the array has rank {} (shape {within:?})",
                    self.start,
                    self.shape,
                    self.rank(),
                    within.len()
                ),
            });
        }
        for (dim, &extent) in within.iter().enumerate() {
            if self.end(dim) > extent || self.start[dim].checked_add(self.shape[dim]).is_none() {
                return Err(Error::OutOfBounds {
                    array: array.into(),
                    message: format!(
                        "dimension {dim}: start {} + shape {} = {} exceeds the extent {extent} (array shape {within:?})",
                        self.start[dim],
                        self.shape[dim],
                        self.end(dim)
                    ),
                });
            }
        }
        Ok(())
    }

    /// The cells that both boxes hold; `None` where there are none. Ranks must agree.
    pub fn intersection(&self, other: &Region) -> Option<Region> {
        let mut start = Vec::with_capacity(self.rank());
        let mut shape = Vec::with_capacity(self.rank());
        for dim in 0..self.rank() {
            let from = self.start[dim].max(other.start[dim]);
            let to = self.end(dim).min(other.end(dim));
            if from >= to {
                return None;
            }
            start.push(from);
            shape.push(to - from);
        }
        Some(Region { start, shape })
    }
}

/// The number of cells of a shape; `None` where it passes `isize::MAX`.
pub fn cell_count(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1u64, |product, extent| product.checked_mul(*extent))
        .filter(|count| isize::try_from(*count).is_ok())
}

/// The contiguous runs in which a box is copied from its place in one row-major array to its place in another.
#[derive(Debug)]
pub(crate) struct Runs {
    /// The first cell of the first run in either array.
    from: u64,
    to: u64,
    /// Cells of a run.
    cells: u64,
    /// The dimensions around a run, outermost first.
    around: Vec<Around>,
}

/// A dimension that runs repeat along.
#[derive(Debug)]
struct Around {
    extent: u64,
    /// Cells from one index to the next in either array.
    stride_in: u64,
    stride_out: u64,
}

impl Runs {
    /// The runs of a box of shape `extent`, in arrays whose cells can be counted, at `start_in` of an array of shape `shape_in`, and at `start_out` of one of
    /// shape `shape_out`.
    pub(crate) fn new(
        (shape_in, start_in): (&[u64], &[u64]),
        (shape_out, start_out): (&[u64], &[u64]),
        extent: &[u64],
    ) -> Self {
        let mut runs = Runs { from: 0, to: 0, cells: 1, around: Vec::new() };
        if extent.contains(&0) {
            return Runs { cells: 0, ..runs };
        }
        let (mut stride_in, mut stride_out) = (1, 1);
        // Trailing dimensions that are whole on both sides belong to one run, and so does the one before them.
        let mut is_run = true;
        for dim in (0..extent.len()).rev() {
            runs.from += start_in[dim] * stride_in;
            runs.to += start_out[dim] * stride_out;
            if is_run {
                runs.cells *= extent[dim];
                is_run = extent[dim] == shape_in[dim] && extent[dim] == shape_out[dim];
            } else {
                runs.around.push(Around { extent: extent[dim], stride_in, stride_out });
            }
            stride_in *= shape_in[dim];
            stride_out *= shape_out[dim];
        }
        runs.around.reverse();
        runs
    }

    /// Calls `copy(from, to, count)`, in cells, for each run.
    pub(crate) fn for_each(&self, mut copy: impl FnMut(usize, usize, usize)) {
        if self.cells > 0 {
            self.repeat(&self.around, self.from, self.to, &mut copy);
        }
    }

    /// Cells of a run: 0 where the box has none.
    pub(crate) fn run_cells(&self) -> u64 {
        self.cells
    }

    #[allow(clippy::cast_possible_truncation, reason = "offsets lie in buffers that exist")]
    fn repeat(&self, around: &[Around], mut from: u64, mut to: u64, copy: &mut impl FnMut(usize, usize, usize)) {
        let Some((outer, inner)) = around.split_first() else {
            return copy(from as usize, to as usize, self.cells as usize);
        };
        for _ in 0..outer.extent {
            self.repeat(inner, from, to, copy);
            from += outer.stride_in;
            to += outer.stride_out;
        }
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn region_outside_its_array_names_the_numbers() {
        let region = Region::try_new(vec![0, 3], vec![2, 4]).unwrap();
        region.check("t", &[2, 7]).unwrap();
        let error = region.check("t", &[2, 6]).unwrap_err().to_string();
        assert!(error.contains("dimension 1") && error.contains('7') && error.contains('6'), "{error}");
        assert!(region.check("t", &[2]).unwrap_err().to_string().contains("rank 2"));
        let error = Region::try_new(vec![u64::MAX, 0], vec![1, 1]).unwrap().check("t", &[2, 6]).unwrap_err();
        assert!(error.to_string().contains("array t"), "{error}");
    }

    #[test]
    fn runs_cover_every_cell_once() {
        let (shape_in, shape_out) = ([4u64, 5, 6], [3u64, 5, 6]);
        for extent in [[2u64, 5, 6], [2, 3, 6], [2, 3, 2], [1, 1, 1], [3, 5, 1], [2, 0, 6]] {
            let (start_in, start_out) = ([1u64, 0, 0], [0u64, 0, 0]);
            let mut seen = Vec::new();
            Runs::new((&shape_in, &start_in), (&shape_out, &start_out), &extent).for_each(|from, to, count| {
                seen.extend((0..count).map(|k| (from + k, to + k)));
            });
            let mut expected = Vec::new();
            for a in 0..extent[0] {
                for b in 0..extent[1] {
                    for c in 0..extent[2] {
                        expected.push((((a + 1) * 30 + b * 6 + c) as usize, (a * 30 + b * 6 + c) as usize));
                    }
                }
            }
            assert_eq!(seen, expected, "{extent:?}");
        }
    }
}
