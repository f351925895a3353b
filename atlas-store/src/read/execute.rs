//! Executing a plan: its parts are fetched, decoded and put in the output, in parallel.

use super::assemble::read_slots;
use super::decode::check_bools;
use super::fetch::{Fetched, PendingFetch};
use super::hooks::{Meter, ReadHooks};
use super::layout::{PART_BYTES, cell_width};
use super::output::{Target, Texts, check_memory, join, lock, rooms, targets};
use super::place::fetch_in_place;
use super::plan::{FamilyPlan, ReadPlan, Slot};
use super::spare::cells_for;
use crate::cells::{ArrayData, Cells};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::{iter, thread};

/// Bytes that are fetched from remote storage ahead of what is being decoded.
const AHEAD_BYTES: u64 = 32 << 20;

/// Tasks of a read for each core, at least, where that does not cut an array into parts that decode less than `MIN_PART_WORK`.
const TASKS_OF_A_CORE: u64 = 4;

/// Bytes to decode for which another core is woken: a quarter of a millisecond at a decoder's 1 GB/s. (A slice of 100 profiles,
/// 0.8 MB, takes 0.7 of the time on two cores.)
const MIN_PART_WORK: u64 = 256 << 10;

/// Slots that are fetched together and decoded one after another.
pub(crate) struct Task<'a> {
    pub(crate) family: &'a FamilyPlan,
    pub(crate) slots: Vec<(&'a Slot, Target<'a>)>,
    weight: u64,
    work: u64,
}

impl ReadPlan {
    /// Reads what the plan says: an array for each of [`Self::outputs`].
    ///
    /// # Cost
    /// [`Self::bytes`] from storage, [`Self::output_bytes`] of memory, and a few MiB for each core; 32 MiB more for what
    /// is fetched ahead from remote storage.
    ///
    /// # Errors
    /// `Corrupt` where a checksum does not match, `Storage` where a segment cannot be read, `LimitExceeded` where the
    /// result does not fit in memory, `Cancelled` if the hooks say so.
    pub fn execute(&self, hooks: ReadHooks<'_>) -> Result<Vec<ArrayData>> {
        check_memory(self.output_bytes())?;
        let cells = self.outputs().map(|output| cells_for(hooks.spare(), output.dtype, output.cell_count()));
        let mut cells: Vec<Cells> = cells.collect();
        self.fill(&mut cells, self.is_stacked(), hooks)?;
        let arrays = self.outputs().zip(cells);
        Ok(arrays.map(|(output, cells)| ArrayData::new_unchecked(output.dtype, output.shape.to_vec(), cells)).collect())
    }

    /// As [`Self::execute`], with the cells of each array's outputs one after another: as many as arrays were planned.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn execute_joined(&self, hooks: ReadHooks<'_>) -> Result<Vec<Cells>> {
        check_memory(self.output_bytes())?;
        let joined = self.families.iter().map(|family| {
            let count = family.items.iter().map(|item| family.wanted(item).cells).sum();
            cells_for(hooks.spare(), family.dtype, count)
        });
        let mut cells: Vec<Cells> = joined.collect();
        self.fill(&mut cells, true, hooks)?;
        Ok(cells)
    }

    /// Reads into `outputs`: one for each item or, joined, one for all items of each family.
    fn fill(&self, outputs: &mut [Cells], is_joined: bool, hooks: ReadHooks<'_>) -> Result<()> {
        let meter = Meter::new(hooks, self.output_bytes());
        meter.check()?;
        let texts = Texts::default();
        {
            let mut rooms = rooms(self, outputs, is_joined);
            let mut targets = targets(self, &mut rooms, &texts).into_iter();
            let mut tasks = VecDeque::new();
            let (work, is_remote) = (self.work(), self.is_remote());
            let part_work = if is_remote { u64::MAX } else { part_work(work) };
            for family in &self.families {
                cut(family, family.slots.iter().zip(targets.by_ref()).collect(), part_work, &mut tasks);
            }
            self.run(tasks, (work, is_remote), &meter)?;
        }
        join(texts, outputs);
        let dtypes = self.families.iter().flat_map(|family| {
            let count = if is_joined { 1 } else { family.items.len() };
            iter::repeat_n(family.dtype, count)
        });
        for (dtype, cells) in dtypes.zip(outputs) {
            check_bools(dtype, cells, "a chunk")?;
        }
        Ok(())
    }

    fn is_remote(&self) -> bool {
        self.families.iter().flat_map(|family| &family.segments).any(|segment| segment.is_remote())
    }

    /// How many bytes are decoded, about.
    fn work(&self) -> u64 {
        let slots = self.families.iter().flat_map(|family| &family.slots);
        slots.fold(0, |total, slot| total.saturating_add(slot.work))
    }

    /// Does the tasks, on all cores; stops at the first error.
    fn run(&self, tasks: VecDeque<Task<'_>>, (work, is_remote): (u64, bool), meter: &Meter<'_>) -> Result<()> {
        let mut segments = self.families.iter().flat_map(|family| &family.segments);
        // All segments of a store share its cache.
        let whole_bytes = meter.whole_bytes(self.decoded_bytes());
        let keep = segments.next().is_some_and(|segment| segment.caches(whole_bytes));
        let mut threads = rayon::current_num_threads().min(tasks.len());
        if !is_remote {
            // A small read of several arrays does not wait for a thread of the pool.
            threads = threads.min(usize::try_from(work / MIN_PART_WORK).unwrap_or(usize::MAX));
        }
        let queue = Queue {
            keep,
            in_place: !keep && !is_remote,
            ahead: if is_remote { AHEAD_BYTES } else { 0 },
            state: Mutex::new(State { waiting: tasks, begun: VecDeque::new(), under_way: 0, failure: None }),
        };
        let work = || while queue.do_next(meter) {};
        if threads <= 1 {
            work();
        } else if is_remote {
            // Threads of their own: waiting for a network must not keep others from computing.
            thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        } else {
            // The caller works too: it runs already, on a core that would be idle while it waited, where the system may take
            // milliseconds to move one of two threads of the pool.
            rayon::in_place_scope(|scope| {
                (1..threads).for_each(|_| scope.spawn(|_| work()));
                work();
            });
        }
        let failure = lock(&queue.state).failure.take();
        failure.map_or(Ok(()), Err)
    }
}

/// Tasks on their way from waiting to done.
struct Queue<'a> {
    keep: bool,
    /// What is stored as it is may be read straight into the output.
    in_place: bool,
    /// How many bytes may be under way before their turn.
    ahead: u64,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    waiting: VecDeque<Task<'a>>,
    begun: VecDeque<(Task<'a>, PendingFetch)>,
    /// The weight of the tasks whose fetch was begun and that are not done.
    under_way: u64,
    failure: Option<Error>,
}

impl<'a> Queue<'a> {
    fn begin(&self, task: &Task<'a>) -> Result<PendingFetch> {
        let slots = task.slots.iter().map(|(slot, _)| *slot);
        Fetched::begin(&task.family.segments, task.family.pages_of(slots)?, self.keep)
    }

    /// Fetches what a task needs, some of it into its place.
    fn fetch(&self, task: &mut Task<'a>) -> Result<Fetched> {
        if self.in_place
            && let Some(fetched) = fetch_in_place(task.family, &mut task.slots)?
        {
            return Ok(fetched);
        }
        self.begin(task)?.wait()
    }

    /// The next task, whose fetch was begun if that is of use; begins those after it.
    fn next(&self) -> Option<(Task<'a>, Option<PendingFetch>)> {
        let mut state = lock(&self.state);
        if state.failure.is_some() {
            return None;
        }
        while state.under_way < self.ahead
            && let Some(task) = state.waiting.pop_front()
        {
            match self.begin(&task) {
                Ok(fetch) => {
                    state.under_way += task.weight;
                    state.begun.push_back((task, fetch));
                }
                Err(error) => {
                    state.failure = Some(error);
                    return None;
                }
            }
        }
        match state.begun.pop_front() {
            Some((task, fetch)) => Some((task, Some(fetch))),
            None => state.waiting.pop_front().map(|task| {
                state.under_way += task.weight;
                (task, None)
            }),
        }
    }

    /// Does one task; tells whether there may be more.
    fn do_next(&self, meter: &Meter<'_>) -> bool {
        let Some((mut task, fetch)) = self.next() else { return false };
        let weight = task.weight;
        let done = meter.check().and_then(|()| {
            let fetched = match fetch {
                Some(fetch) => fetch.wait()?,
                None => self.fetch(&mut task)?,
            };
            let (family, cells) = (task.family, task.cells());
            read_slots(family, task.slots, &fetched)?;
            meter.add(cells.saturating_mul(cell_width(family.dtype)));
            Ok(())
        });
        let mut state = lock(&self.state);
        state.under_way -= weight;
        if let Err(error) = done {
            state.failure.get_or_insert(error);
        }
        state.failure.is_none()
    }
}

impl Task<'_> {
    /// Cells of the output.
    fn cells(&self) -> u64 {
        self.slots.iter().map(|(slot, _)| self.family.layouts[slot.layout].cells as u64).sum()
    }
}

/// How many bytes one task decodes, of a read that decodes `work`. Where a request costs little, a read that is worth several
/// tasks becomes enough of them for the cores to end together.
fn part_work(work: u64) -> u64 {
    if work < 2 * MIN_PART_WORK {
        return PART_BYTES;
    }
    (work / (rayon::current_num_threads() as u64 * TASKS_OF_A_CORE)).clamp(MIN_PART_WORK, PART_BYTES)
}

/// Cuts the slots of a family into tasks that decode about so much, in the order in which their cells lie in the segments.
fn cut<'a>(
    family: &'a FamilyPlan,
    mut slots: Vec<(&'a Slot, Target<'a>)>,
    part_work: u64,
    tasks: &mut VecDeque<Task<'a>>,
) {
    let place = |(slot, _): &(&Slot, Target<'_>)| {
        family.pieces[slot.pieces.clone()].first().map(|piece| (piece.segment, piece.first_cell))
    };
    if !slots.is_sorted_by_key(place) {
        slots.sort_by_key(place);
    }
    let mut last: Option<&Slot> = None;
    for (slot, target) in slots {
        let fits = |task: &Task<'_>| {
            task.weight.saturating_add(slot.weight) <= PART_BYTES && task.work.saturating_add(slot.work) <= part_work
        };
        // Not in a task of another family; and a page that two slots share is read once.
        let is_next = match last {
            Some(last) => tasks.back().is_some_and(fits) || family.share_page(last, slot),
            None => false,
        };
        match tasks.back_mut() {
            Some(task) if is_next => {
                task.weight = task.weight.saturating_add(slot.weight);
                task.work = task.work.saturating_add(slot.work);
                task.slots.push((slot, target));
            }
            _ => tasks.push_back(Task { family, weight: slot.weight, work: slot.work, slots: vec![(slot, target)] }),
        }
        last = Some(slot);
    }
}
