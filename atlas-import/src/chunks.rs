//! Chunk shapes, and the boxes in which a variable is read.

use atlas_store::default_chunk_shape;

/// The most chunks that a file's own chunking may make of an array, before they are made larger.
const MOST_CHUNKS: u64 = 1 << 16;
/// About how much of a variable is read at once, in bytes.
pub(crate) const BOX_BYTES: u64 = 16 << 20;

/// The chunk shape of an array: as the user says, else as the file says, else by size.
pub(crate) fn chunk_shape(
    shape: &[u64],
    cell_bytes: u64,
    user: Option<&[u64]>,
    file: Option<&[u64]>,
) -> Result<Vec<u64>, String> {
    if let Some(user) = user {
        if user.len() != shape.len() {
            return Err(format!(
                "chunks {user:?} have rank {}, the shape {shape:?} has rank {}",
                user.len(),
                shape.len()
            ));
        }
        if user.contains(&0) {
            return Err(format!("chunks {user:?} have a zero"));
        }
        return Ok(clip(user, shape));
    }
    Ok(match file {
        Some(file) if file.len() == shape.len() => coarsen(clip(file, shape), shape),
        _ => default_chunk_shape(shape, cell_bytes),
    })
}

fn clip(chunks: &[u64], shape: &[u64]) -> Vec<u64> {
    chunks.iter().zip(shape).map(|(chunk, extent)| (*chunk).min(*extent).max(1)).collect()
}

/// Doubles the leading axis that can still grow, until there are no more than [`MOST_CHUNKS`]: files with one record a
/// chunk would otherwise cost more in the index than in cells.
fn coarsen(mut chunks: Vec<u64>, shape: &[u64]) -> Vec<u64> {
    while product(chunks.iter().zip(shape).map(|(chunk, extent)| extent.div_ceil(*chunk))) > MOST_CHUNKS {
        let Some(axis) = (0..shape.len()).find(|axis| chunks[*axis] < shape[*axis]) else { break };
        chunks[axis] = chunks[axis].saturating_mul(2).min(shape[axis]);
    }
    chunks
}

/// Boxes (start, shape) of whole chunks that cover `shape` in row-major order, each of at most `budget` bytes or one chunk.
pub(crate) fn boxes(
    shape: &[u64],
    chunks: &[u64],
    cell_bytes: u64,
    budget: u64,
) -> impl Iterator<Item = (Vec<u64>, Vec<u64>)> + use<> {
    let mut step = chunks.to_vec();
    for axis in (0..shape.len()).rev() {
        let bytes = product(step.iter().copied()).saturating_mul(cell_bytes).max(1);
        let times = (budget / bytes).clamp(1, shape[axis].div_ceil(step[axis]).max(1));
        step[axis] = step[axis].saturating_mul(times).min(shape[axis].max(1));
        if step[axis] < shape[axis] {
            break;
        }
    }
    let shape = shape.to_vec();
    let mut next = (!shape.contains(&0)).then(|| vec![0u64; shape.len()]);
    std::iter::from_fn(move || {
        let start = next.take()?;
        let extent = (0..shape.len()).map(|axis| step[axis].min(shape[axis] - start[axis])).collect();
        let mut following = start.clone();
        for axis in (0..shape.len()).rev() {
            following[axis] += step[axis];
            if following[axis] < shape[axis] {
                next = Some(following);
                break;
            }
            following[axis] = 0;
        }
        Some((start, extent))
    })
}

/// The product, or `u64::MAX` where it is larger.
pub(crate) fn product(extents: impl Iterator<Item = u64>) -> u64 {
    extents.fold(1, u64::saturating_mul)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn user_chunks_win_and_are_clipped() {
        assert_eq!(chunk_shape(&[10, 3], 4, Some(&[4, 100]), Some(&[1, 1])).unwrap(), [4, 3]);
        assert!(chunk_shape(&[10, 3], 4, Some(&[4]), None).unwrap_err().contains("rank 1"));
        assert!(chunk_shape(&[10], 4, Some(&[0]), None).is_err());
    }

    #[test]
    fn file_chunks_are_kept_unless_there_are_far_too_many() {
        assert_eq!(chunk_shape(&[33, 180, 360], 1, None, Some(&[33, 64, 400])).unwrap(), [33, 64, 360]);
        assert_eq!(chunk_shape(&[0, 5], 8, None, Some(&[1024, 5])).unwrap(), [1, 5]);
        assert_eq!(chunk_shape(&[1_000_000], 8, None, Some(&[1])).unwrap(), [16]);
    }

    #[test]
    fn large_arrays_are_cut_along_leading_axes() {
        assert_eq!(chunk_shape(&[1000, 1000], 4, None, None).unwrap(), [1000, 1000]);
        assert_eq!(chunk_shape(&[2, 3, 241, 480], 8, None, None).unwrap(), [1, 2, 241, 480]);
        assert_eq!(chunk_shape(&[10_000_000], 8, None, None).unwrap(), [256_411]);
        assert_eq!(chunk_shape(&[], 8, None, None).unwrap(), [0u64; 0]);
    }

    #[test]
    fn boxes_cover_every_cell_once() {
        for (shape, chunks) in
            [(vec![5, 7, 3], vec![2, 3, 2]), (vec![], vec![]), (vec![4], vec![9]), (vec![0, 3], vec![1, 3])]
        {
            for budget in [1, 20, 100, 10_000] {
                let mut seen = 0;
                let mut last = None;
                for (start, extent) in boxes(&shape, &chunks, 4, budget) {
                    assert!(start.iter().zip(&chunks).all(|(start, chunk)| start % chunk == 0));
                    assert!(last.is_none_or(|last| last < start));
                    seen += product(extent.iter().copied());
                    last = Some(start);
                }
                assert_eq!(seen, product(shape.iter().copied()), "{shape:?} {budget}");
            }
        }
    }
}
