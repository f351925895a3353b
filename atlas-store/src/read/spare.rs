//! Memory of results that are done with, for the next ones.

use super::output::{lock, zeros};
use crate::cells::{Cells, Element};
use crate::dtype::DType;
use crate::with_physical;
use std::sync::{Arc, Mutex};

/// The most pieces that are kept, however small: each read looks through them.
const MAX_PIECES: usize = 64;

/// Memory for the results of reads that follow one another: what is put here need not be asked of the system, and
/// cleared, again. Clones are one store of memory.
#[derive(Debug, Clone)]
pub struct SpareMemory {
    kept: Arc<Mutex<Kept>>,
    most_bytes: usize,
}

/// The oldest first, and what they take together.
#[derive(Debug, Default)]
struct Kept {
    cells: Vec<Cells>,
    bytes: usize,
}

impl SpareMemory {
    /// Keeps at most so many bytes.
    pub fn new(most_bytes: usize) -> Self {
        SpareMemory { kept: Arc::default(), most_bytes }
    }

    /// Gives memory for reads to come; what it holds does not matter. Text is dropped, and the oldest where there is
    /// too much.
    pub fn put(&self, mut cells: Cells) {
        let bytes = room(&mut cells);
        if bytes == 0 || bytes > self.most_bytes {
            return;
        }
        let mut kept = lock(&self.kept);
        kept.cells.push(cells);
        kept.bytes += bytes;
        while kept.bytes > self.most_bytes || kept.cells.len() > MAX_PIECES {
            // Sizes may have changed: the oldest may be of no use any more.
            let bytes = room(&mut kept.cells.remove(0));
            kept.bytes -= bytes;
        }
    }

    /// `count` cells, whatever they hold, if there is memory for them: not more than twice as much, which others may need.
    fn take(&self, dtype: DType, count: usize) -> Option<Cells> {
        with_physical!(dtype.physical(), T => {
            let fits = |cells: &mut Cells| {
                T::unwrap_mut(cells).is_some_and(|cells| (count..=count.saturating_mul(2)).contains(&cells.capacity()))
            };
            let mut kept = lock(&self.kept);
            let at = kept.cells.iter_mut().position(fits)?;
            let mut cells = kept.cells.remove(at);
            kept.bytes -= room(&mut cells);
            let mut cells = T::unwrap_owned(cells)?;
            cells.resize(count, T::default());
            Some(T::wrap(cells))
        }, var => None)
    }
}

/// The bytes of cells, and of as many more as their memory has room for; 0 for text.
fn room(cells: &mut Cells) -> usize {
    with_physical!(cells.physical(), T => {
        T::unwrap_mut(cells).map_or(0, |cells| cells.capacity() * size_of::<T>())
    }, var => 0)
}

/// Cells for a read that writes each of them: of the spare memory, or of new.
pub(crate) fn cells_for(spare: Option<&SpareMemory>, dtype: DType, count: usize) -> Cells {
    spare.and_then(|spare| spare.take(dtype, count)).unwrap_or_else(|| zeros(dtype, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_where_it_fits() {
        let spare = SpareMemory::new(1000);
        spare.put(Cells::F32(vec![7.0; 10]));
        spare.put(Cells::I64(vec![7; 10]));
        let take = |dtype, count| cells_for(Some(&spare), dtype, count);
        assert_eq!(take(DType::Float32, 11), Cells::F32(vec![0.0; 11]), "too small");
        assert_eq!(take(DType::Float32, 4), Cells::F32(vec![0.0; 4]), "too large");
        assert_eq!(take(DType::Float64, 10), Cells::F64(vec![0.0; 10]), "another type");
        assert_eq!(take(DType::TimestampNanoseconds, 5), Cells::I64(vec![7; 5]));
        assert_eq!(take(DType::Float32, 10), Cells::F32(vec![7.0; 10]));
        assert_eq!(take(DType::Float32, 10), Cells::F32(vec![0.0; 10]), "taken");
        assert_eq!(lock(&spare.kept).bytes, 0);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let spare = SpareMemory::new(300);
        (1..=4).for_each(|number| spare.put(Cells::U8(vec![number; 100])));
        spare.put(Cells::U8(vec![9; 301]));
        let take = |count| cells_for(Some(&spare), DType::UInt8, count);
        for number in [2, 3, 4, 0] {
            assert_eq!(take(100), Cells::U8(vec![number; 100]));
        }
        (0..=MAX_PIECES).for_each(|_| spare.put(Cells::U8(vec![5])));
        assert_eq!(lock(&spare.kept).bytes, MAX_PIECES);
    }
}
