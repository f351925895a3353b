//! Memory of results that are done with, for the next ones.

use super::output::{lock, zeros};
use crate::cells::{Cells, Element};
use crate::dtype::DType;
use crate::with_physical;
use std::sync::{Arc, Mutex};

/// Memory for the results of reads that follow one another: what is put here need not be asked of the system, and
/// cleared, again. Clones are one store of memory.
#[derive(Debug, Clone)]
pub struct SpareMemory {
    cells: Arc<Mutex<Vec<Cells>>>,
    most: usize,
}

impl SpareMemory {
    /// Keeps the memory of at most so many results.
    pub fn new(most: usize) -> Self {
        SpareMemory { cells: Arc::default(), most }
    }

    /// Gives memory for reads to come; what it holds does not matter. Text, and what is too much, is dropped.
    pub fn put(&self, cells: Cells) {
        if matches!(cells, Cells::Var(_)) {
            return;
        }
        let mut kept = lock(&self.cells);
        if kept.len() >= self.most {
            // Sizes may have changed: the oldest may be of no use any more.
            kept.remove(0);
        }
        if self.most > 0 {
            kept.push(cells);
        }
    }

    /// `count` cells, whatever they hold, if there is memory for them.
    fn take(&self, dtype: DType, count: usize) -> Option<Cells> {
        with_physical!(dtype.physical(), T => {
            let fits = |cells: &mut Cells| T::unwrap_mut(cells).is_some_and(|cells| cells.capacity() >= count);
            let mut kept = lock(&self.cells);
            let at = kept.iter_mut().position(fits)?;
            let mut cells = T::unwrap_owned(kept.swap_remove(at))?;
            cells.resize(count, T::default());
            Some(T::wrap(cells))
        }, var => None)
    }
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
        let spare = SpareMemory::new(2);
        spare.put(Cells::F32(vec![7.0; 10]));
        spare.put(Cells::I64(vec![7; 10]));
        assert_eq!(cells_for(Some(&spare), DType::Float32, 11), Cells::F32(vec![0.0; 11]), "too small");
        assert_eq!(cells_for(Some(&spare), DType::Float64, 3), Cells::F64(vec![0.0; 3]), "another type");
        assert_eq!(cells_for(Some(&spare), DType::TimestampNanoseconds, 3), Cells::I64(vec![7; 3]));
        assert_eq!(cells_for(Some(&spare), DType::Float32, 10), Cells::F32(vec![7.0; 10]));
        assert_eq!(cells_for(Some(&spare), DType::Float32, 1), Cells::F32(vec![0.0]), "taken");
        for count in 1..5 {
            spare.put(Cells::U8(vec![1; count]));
        }
        assert_eq!(cells_for(Some(&spare), DType::UInt8, 4), Cells::U8(vec![1; 4]));
        assert_eq!(cells_for(Some(&spare), DType::UInt8, 3), Cells::U8(vec![1; 3]));
        assert_eq!(cells_for(Some(&spare), DType::UInt8, 1), Cells::U8(vec![0]), "two are kept");
    }
}
