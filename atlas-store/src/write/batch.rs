//! Chunks on their way from the caller's memory to encoded blocks.
//!
//! The threads of the pool encode while the caller goes on; whoever waits for the result does what nobody has begun. Nothing
//! here waits for the pool inside its own work: a thread of the pool that waited could take up other work, which may want
//! a lock that the caller holds.

use crate::cells::{Cells, Element, VarCells};
use crate::codec::{Codec, Cut, EncodedBlock, Lesson, MAX_BLOCK_CELLS, encode_block, encode_like, encode_text_block};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::stats::Statistics;
use crate::with_physical;
use std::any::Any;
use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Small chunks are packed to blocks of about this many bytes.
const BLOCK_BYTES: usize = 256 << 10;

/// A whole chunk, ready to be encoded.
#[derive(Debug, Clone)]
pub(crate) struct SealedChunk {
    pub(crate) array: u64,
    pub(crate) chunk: u32,
    /// The chunk's extents.
    pub(crate) shape: Vec<u64>,
    pub(crate) fill: Option<Scalar>,
    pub(crate) cells: Cells,
}

impl SealedChunk {
    fn row_cells(&self) -> usize {
        // A row is one step of the leading axis.
        #[allow(clippy::cast_possible_truncation, reason = "the chunk's cells are in memory")]
        let row = self.shape.get(1..).unwrap_or_default().iter().product::<u64>() as usize;
        row.max(1)
    }

    /// Cells of a block of a chunk that is several: whole rows, where they are that short.
    fn block_cells(&self) -> usize {
        let row_cells = self.row_cells();
        (MAX_BLOCK_CELLS / row_cells * row_cells).max(MAX_BLOCK_CELLS.min(row_cells))
    }

    /// Bytes in memory, with a share for what surrounds the cells.
    pub(crate) fn raw_bytes(&self) -> usize {
        self.cells.byte_len() + self.cells.len().min(8)
    }
}

/// What becomes one block: small chunks that are neighbours, or a part of a large one.
struct Unit {
    chunks: Range<usize>,
    /// Which of the blocks of a single chunk.
    part: usize,
}

/// The units of chunks: neighbours up to `BLOCK_BYTES`, larger ones alone.
fn units_of(chunks: &[SealedChunk]) -> Vec<Unit> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (at, chunk) in chunks.iter().enumerate() {
        let own = chunk.raw_bytes();
        match groups.last_mut() {
            Some(last) if bytes + own <= BLOCK_BYTES => {
                last.end = at + 1;
                bytes += own;
            }
            _ => {
                groups.push(at..at + 1);
                bytes = own;
            }
        }
    }
    let parts = |group: &Range<usize>| match &chunks[group.clone()] {
        [chunk] if !matches!(chunk.cells, Cells::Var(_)) => chunk.cells.len().div_ceil(chunk.block_cells()).max(1),
        _ => 1,
    };
    groups
        .into_iter()
        .flat_map(|chunks| (0..parts(&chunks)).map(move |part| Unit { chunks: chunks.clone(), part }))
        .collect()
}

/// A unit, encoded; the statistics of its chunks are with the first of their units.
pub(super) struct Encoded {
    pub(super) zones: Vec<Statistics>,
    pub(super) block: EncodedBlock,
}

/// Chunks that are being encoded.
pub(crate) struct Batch {
    work: Arc<Work>,
}

struct Work {
    dtype: DType,
    codec: Codec,
    chunks: Vec<SealedChunk>,
    units: Vec<Unit>,
    /// Whether the first unit is encoded alone, to teach the others.
    teaches: bool,
    state: Mutex<State>,
    /// Told of each unit that is done.
    done: Condvar,
}

struct State {
    lesson: Option<Arc<Lesson>>,
    /// The first unit that nobody has begun.
    next: usize,
    done: usize,
    encoded: Vec<Option<Encoded>>,
    failure: Option<Error>,
}

impl Batch {
    /// Begins to encode these chunks by what was taught before, or, where that is to be found anew, by what the first
    /// of them teach. That takes several units.
    pub(super) fn begin(
        dtype: DType,
        codec: Codec,
        chunks: Vec<SealedChunk>,
        lesson: Option<Arc<Lesson>>,
        is_new: bool,
    ) -> Batch {
        let units = units_of(&chunks);
        let teaches = is_new && units.len() > 1;
        let encoded = units.iter().map(|_| None).collect();
        let state = State { lesson, next: 0, done: 0, encoded, failure: None };
        let work = Work { dtype, codec, chunks, units, teaches, state: Mutex::new(state), done: Condvar::new() };
        let batch = Batch { work: Arc::new(work) };
        let helpers = if teaches { 1 } else { batch.work.units.len() };
        batch.work.call(helpers);
        batch
    }

    pub(crate) fn chunks(&self) -> &[SealedChunk] {
        &self.work.chunks
    }

    pub(super) fn unit_count(&self) -> usize {
        self.work.units.len()
    }

    /// The lesson of the first unit, if it was to teach one.
    pub(super) fn taught(&self) -> Option<Option<Arc<Lesson>>> {
        self.work.teaches.then(|| self.work.state().lesson.clone())
    }

    /// All units, in order, when they are done. Once.
    ///
    /// # Errors
    /// What went wrong with one of them. The chunks are as they were.
    pub(super) fn wait(&self) -> Result<Vec<Encoded>> {
        let work = &self.work;
        let mut state = work.state();
        while state.done < work.units.len() && state.failure.is_none() {
            state = match work.claim(&mut state) {
                Some(unit) => {
                    drop(state);
                    work.run(unit);
                    work.state()
                }
                // Others are at it: at the unit that teaches, or at the last ones.
                None => work.done.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        match state.failure.take() {
            Some(error) => Err(error),
            None => Ok(state.encoded.iter_mut().filter_map(Option::take).collect()),
        }
    }
}

impl Work {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls so many threads of the pool, or all of them.
    fn call(self: &Arc<Self>, helpers: usize) {
        for _ in 0..helpers.min(rayon::current_num_threads()) {
            // Those that come too late find nothing, and keep nothing in memory until then.
            let work = Arc::downgrade(self);
            rayon::spawn(move || while work.upgrade().is_some_and(|work| work.do_next()) {});
        }
    }

    /// A unit that nobody has begun and that can be, with what it goes by.
    fn claim(&self, state: &mut State) -> Option<(usize, Option<Arc<Lesson>>)> {
        let waits = self.teaches && state.next == 1 && state.done == 0;
        if waits || state.next == self.units.len() {
            return None;
        }
        state.next += 1;
        Some((state.next - 1, state.lesson.clone()))
    }

    /// Encodes a unit that nobody has begun; tells whether there was one.
    fn do_next(self: &Arc<Self>) -> bool {
        let unit = self.claim(&mut self.state());
        unit.map(|unit| self.run(unit)).is_some()
    }

    fn run(self: &Arc<Self>, (at, lesson): (usize, Option<Arc<Lesson>>)) {
        let is_teacher = self.teaches && at == 0;
        let made =
            catch_unwind(AssertUnwindSafe(|| self.encode(at, if is_teacher { None } else { lesson.as_deref() })));
        let made = made.unwrap_or_else(|panic| Err(Error::invalid(message(&*panic))));
        let mut state = self.state();
        state.done += 1;
        match made {
            Ok((encoded, lesson)) => {
                state.encoded[at] = Some(encoded);
                if is_teacher {
                    state.lesson = lesson.map(Arc::new);
                }
            }
            Err(error) => {
                state.next = self.units.len();
                state.failure.get_or_insert(error);
            }
        }
        drop(state);
        self.done.notify_all();
        if is_teacher {
            self.call(self.units.len() - 2);
        }
    }

    /// A unit, by the lesson; and without one what it teaches.
    fn encode(&self, at: usize, lesson: Option<&Lesson>) -> Result<(Encoded, Option<Lesson>)> {
        let unit = &self.units[at];
        let chunks = &self.chunks[unit.chunks.clone()];
        #[cfg(test)]
        tests::fail_if_asked(chunks);
        let (dtype, codec, is_bool) = (self.dtype, self.codec, self.dtype == DType::Bool);
        let zone = |chunk: &SealedChunk| Statistics::of_cells(dtype, &chunk.cells, chunk.fill.as_ref());
        let zones = if unit.part == 0 { chunks.iter().map(zone).collect() } else { Vec::new() };
        with_physical!(dtype.physical(), T => {
            let (cells, cuts) = cells_of::<T>(chunks, unit.part);
            let (block, taught) = match lesson {
                Some(lesson) => (encode_like(&cells, &cuts, codec, is_bool, lesson)?, None),
                None => {
                    let block = encode_block(&cells, &cuts, codec, is_bool)?;
                    let is_teacher = self.teaches && at == 0;
                    let taught = if is_teacher { Lesson::of(&cells, &cuts, codec, is_bool, &block)? } else { None };
                    (block, taught)
                }
            };
            Ok((Encoded { zones, block }, taught))
        }, var => {
            let texts = chunks.iter().filter_map(|chunk| match &chunk.cells {
                Cells::Var(cells) => Some(cells),
                _ => None,
            });
            let cells: VarCells = texts.flat_map(VarCells::iter).collect();
            Ok((Encoded { zones, block: encode_text_block(&cells, codec)? }, None))
        })
    }
}

/// The cells of a unit, and how its chunks want to be cut.
fn cells_of<T: Element>(chunks: &[SealedChunk], part: usize) -> (Cow<'_, [T]>, Vec<Cut>) {
    if let [chunk] = chunks {
        let mut parts = T::unwrap(&chunk.cells).unwrap_or_default().chunks(chunk.block_cells());
        let cells = parts.nth(part).unwrap_or_default();
        return (Cow::Borrowed(cells), vec![Cut { cells: cells.len(), row_cells: chunk.row_cells() }]);
    }
    let cut = |chunk: &SealedChunk| Cut { cells: chunk.cells.len(), row_cells: chunk.row_cells() };
    let cells: Vec<&[T]> = chunks.iter().map(|chunk| T::unwrap(&chunk.cells).unwrap_or_default()).collect();
    (Cow::Owned(cells.concat()), chunks.iter().map(cut).collect())
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::dtype::Physical;
    use rayon::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Encoding a chunk of this array panics.
    pub(in crate::write) static BROKEN_ARRAY: AtomicU64 = AtomicU64::new(u64::MAX);

    pub(super) fn fail_if_asked(chunks: &[SealedChunk]) {
        let broken = BROKEN_ARRAY.load(Ordering::Relaxed);
        assert!(chunks.iter().all(|chunk| chunk.array != broken), "array {broken} is broken");
    }

    fn chunk(array: u32, count: u32) -> SealedChunk {
        let cells = Cells::U32((0..count).map(|k| (k % 1009 * 31 + array) % 1009).collect());
        SealedChunk { array: array.into(), chunk: 0, shape: vec![u64::from(count)], fill: None, cells }
    }

    #[test]
    fn units_are_small_neighbours_together_and_large_chunks_in_parts() {
        let large = chunk(9, u32::try_from(MAX_BLOCK_CELLS).unwrap() * 2 + 1);
        let chunks = [chunk(0, 10), chunk(1, 0), chunk(2, 30_000), chunk(3, 60_000), large, chunk(5, 3), chunk(6, 3)];
        let units = units_of(&chunks);
        let found: Vec<_> = units.iter().map(|unit| (unit.chunks.clone(), unit.part)).collect();
        assert_eq!(found, [(0..3, 0), (3..4, 0), (4..5, 0), (4..5, 1), (4..5, 2), (5..7, 0)]);
        let counts: Vec<usize> =
            units.iter().map(|unit| cells_of::<u32>(&chunks[unit.chunks.clone()], unit.part).0.len()).collect();
        assert_eq!(counts, [30_010, 60_000, MAX_BLOCK_CELLS, MAX_BLOCK_CELLS, 1, 6]);
        assert_eq!(chunk(0, 0).cells.physical(), Physical::U32);
        assert_eq!(units_of(&[chunk(0, 0)]).len(), 1, "a chunk without cells has statistics");
    }

    /// Encodes batches of which each teaches the next, as bytes.
    fn encoded(batches: usize) -> Vec<Vec<u8>> {
        let mut lesson = None;
        (0..batches)
            .flat_map(|number| {
                let chunks = (0..6).map(|array| chunk(array, 40_000)).collect();
                let batch = Batch::begin(DType::UInt32, Codec::Auto, chunks, lesson.clone(), number % 3 == 0);
                let encoded = batch.wait().unwrap();
                lesson = batch.taught().unwrap_or(lesson.clone());
                encoded.into_iter().map(|unit| unit.block.pages.concat_bytes()).collect::<Vec<_>>()
            })
            .collect()
    }

    trait ConcatBytes {
        fn concat_bytes(&self) -> Vec<u8>;
    }

    impl ConcatBytes for Vec<crate::codec::EncodedPage> {
        fn concat_bytes(&self) -> Vec<u8> {
            self.iter().flat_map(|page| page.bytes.iter().copied()).collect()
        }
    }

    #[test]
    fn threads_of_the_pool_may_wait_behind_a_lock() {
        let expected = encoded(7);
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let lock = Mutex::new(());
            // All threads want the lock; whoever has it needs its units done.
            pool.install(|| {
                (0..12).into_par_iter().for_each(|_| {
                    let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
                    assert_eq!(encoded(7), expected);
                });
            });
        }
    }
}
