//! Boxes of cells of one dataset: what is left to read, and how it is cut.

use crate::cut::with_axis;
use atlas_store::{Region, cell_count};
use std::sync::Arc;

/// A box of cells of one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) row: u32,
    pub(crate) region: Arc<Region>,
}

impl Piece {
    /// How many cells it has; what passes 2^64 counts as the most.
    pub(crate) fn cells(&self) -> u64 {
        cells(&self.region)
    }
}

/// How many cells a region has.
pub(crate) fn cells(region: &Region) -> u64 {
    cell_count(region.shape()).unwrap_or(u64::MAX)
}

/// The product of the extents but one.
fn inner(region: &Region, axis: usize) -> u64 {
    let others = region.shape().iter().enumerate().filter(|(own, _)| *own != axis);
    others.fold(1u64, |cells, (_, extent)| cells.saturating_mul(*extent)).max(1)
}

/// Cuts off a part of at most `most` cells, where that is more than a cell; along the edges of `tile` as long as the
/// region reaches over several of them. One cut is along one axis: what is cut off can still be too much, and is cut
/// again. The parts in their order are the whole region.
pub(crate) fn split(region: &Region, tile: &[u64], most: u64) -> (Region, Option<Region>) {
    let most = most.max(1);
    let mut head = region.clone();
    if cells(region) <= most {
        return (head, None);
    }
    for (axis, tile) in tile.iter().enumerate().take(region.rank()) {
        let (start, end, tile) = (head.start()[axis], head.end(axis), (*tile).max(1));
        let edge = (start / tile).saturating_add(1).saturating_mul(tile);
        if edge < end {
            let fits = start.saturating_add(most / inner(&head, axis));
            let cut = if fits >= edge { fits / tile * tile } else { edge };
            if cut < end {
                let rest = with_axis(&head, axis, cut, end);
                head = with_axis(&head, axis, start, cut);
                return (head, Some(rest));
            }
        }
    }
    for axis in 0..region.rank() {
        let (start, end) = (head.start()[axis], head.end(axis));
        if end - start > 1 {
            let cut = start.saturating_add((most / inner(&head, axis)).max(1));
            if cut < end {
                let rest = with_axis(&head, axis, cut, end);
                head = with_axis(&head, axis, start, cut);
                return (head, Some(rest));
            }
        }
    }
    (head, None)
}

/// A part of the region that holds its first `limit` cells in row-major order, and few more.
pub(crate) fn first_cells(region: &Region, limit: u64) -> Region {
    let mut head = region.clone();
    for axis in 0..region.rank() {
        let inner = region.shape()[axis + 1..].iter().fold(1u64, |cells, extent| cells.saturating_mul(*extent)).max(1);
        let keep = limit.div_ceil(inner).min(region.shape()[axis]);
        let start = head.start()[axis];
        head = with_axis(&head, axis, start, start + keep);
        if keep > 1 {
            break;
        }
    }
    head
}

/// Joins neighbours that are one box together: along the last axis, then along the ones before it.
pub(crate) fn join(mut boxes: Vec<Region>) -> Vec<Region> {
    let rank = boxes.first().map_or(0, Region::rank);
    for axis in (0..rank).rev() {
        let mut joined: Vec<Region> = Vec::with_capacity(boxes.len());
        for next in boxes {
            if let Some(last) = joined.last_mut()
                && last.end(axis) == next.start()[axis]
                && (0..rank).all(|other| {
                    other == axis
                        || (last.start()[other] == next.start()[other] && last.shape()[other] == next.shape()[other])
                })
            {
                *last = with_axis(last, axis, last.start()[axis], next.end(axis));
            } else {
                joined.push(next);
            }
        }
        boxes = joined;
    }
    boxes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(parts: &[Region]) -> Vec<Vec<u64>> {
        let mut all = Vec::new();
        for part in parts {
            for y in part.start()[0]..part.end(0) {
                all.extend((part.start()[1]..part.end(1)).map(|x| vec![y, x]));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn parts_are_bounded_and_cover_the_region_once() {
        for (shape, tile, most) in [
            ([7, 9], [2, 3], 5),
            ([7, 9], [2, 3], 12),
            ([1, 100], [1, 7], 10),
            ([4, 4], [100, 100], 3),
            ([5, 5], [2, 2], 1),
        ] {
            let whole = Region::full(&shape);
            let mut parts = Vec::new();
            let mut left = vec![whole.clone()];
            while let Some(next) = left.pop() {
                match split(&next, &tile, most) {
                    (head, None) => parts.push(head),
                    (head, Some(rest)) => left.extend([rest, head]),
                }
            }
            assert!(parts.iter().all(|part| cells(part) <= most), "{parts:?}");
            assert_eq!(covered(&parts), covered(&[whole]));
        }
    }

    #[test]
    fn neighbours_are_joined() {
        let tiles: Vec<Region> = (0..3)
            .flat_map(|y| (0..2).map(move |x| Region::try_new(vec![y * 2, x * 3], vec![2, 3]).unwrap()))
            .collect();
        assert_eq!(join(tiles.clone()), [Region::full(&[6, 6])]);
        let without_one: Vec<Region> =
            tiles.iter().enumerate().filter(|(at, _)| *at != 3).map(|(_, t)| t.clone()).collect();
        let joined = join(without_one.clone());
        assert_eq!(joined.len(), 3);
        assert_eq!(covered(&joined), covered(&without_one));
    }

    #[test]
    fn a_limit_keeps_the_first_cells() {
        assert_eq!(first_cells(&Region::full(&[10, 10, 10]), 25).shape(), [1, 3, 10]);
        assert_eq!(first_cells(&Region::full(&[10, 10]), 7).shape(), [1, 7]);
        assert_eq!(first_cells(&Region::full(&[2, 3]), 100).shape(), [2, 3]);
    }
}
