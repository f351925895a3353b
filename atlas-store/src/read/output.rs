//! The memory that a read goes into, cut among the parts that fill it in parallel.

use super::huge_pages;
use super::plan::{FamilyPlan, Item, ReadPlan};
use crate::cells::{Cells, Element, VarCells};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::region::Region;
use crate::with_physical;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Text that was read, which is put together at the end.
pub(crate) type Texts = Mutex<Vec<Text>>;

/// The cells of one slot: the slots of an output follow one another.
pub(crate) struct Text {
    output: usize,
    order: usize,
    cells: VarCells,
}

/// Where the cells of one slot go.
pub(crate) enum Target<'a> {
    /// Memory of their own.
    Own(&'a mut [u8]),
    /// Places all over the memory of an item, whose region is `whole`.
    Shared { room: &'a Mutex<&'a mut [u8]>, whole: &'a Region },
    /// Text has no size yet.
    Text { texts: &'a Texts, output: usize, order: usize },
}

impl Target<'_> {
    /// Gives the text of a slot.
    pub(crate) fn put_text(&self, cells: VarCells) {
        if let Target::Text { texts, output, order } = self {
            lock(texts).push(Text { output: *output, order: *order, cells });
        }
    }
}

/// The memory of one item.
pub(crate) enum Room<'a> {
    Sliced(&'a mut [u8]),
    Shared(Mutex<&'a mut [u8]>),
    /// The number of the output.
    Text(usize),
}

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic of another thread is passed on by the scope that all of them run in.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks that so much memory is to be had: a failed allocation would end the process.
pub(crate) fn check_memory(bytes: u64) -> Result<()> {
    let is_there = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if is_there { Ok(()) } else { Err(Error::LimitExceeded { message: format!("{bytes} bytes do not fit in memory") }) }
}

/// Cells for numbers, all zero; no cells yet for text.
pub(crate) fn zeros(dtype: DType, count: usize) -> Cells {
    with_physical!(dtype.physical(), T => {
        let mut cells = vec![T::default(); count];
        huge_pages::ask_for(&mut cells);
        T::wrap(cells)
    }, var => Cells::Var(VarCells::default()))
}

fn bytes_of(cells: &mut Cells) -> &mut [u8] {
    with_physical!(cells.physical(), T => {
        T::unwrap_mut(cells).map(|cells| bytemuck::cast_slice_mut(cells)).unwrap_or_default()
    }, var => &mut [])
}

fn items(plan: &ReadPlan) -> impl Iterator<Item = (&FamilyPlan, &Item)> {
    plan.families.iter().flat_map(|family| family.items.iter().map(move |item| (family, item)))
}

/// The memory of each item: `outputs` has one for each of them or, joined, one for each family.
pub(crate) fn rooms<'o>(plan: &ReadPlan, outputs: &'o mut [Cells], is_joined: bool) -> Vec<Room<'o>> {
    let mut outputs = outputs.iter_mut().map(bytes_of);
    let mut rooms = Vec::with_capacity(plan.families.iter().map(|family| family.items.len()).sum());
    for (number, family) in plan.families.iter().enumerate() {
        let mut rest: &mut [u8] = if is_joined { outputs.next().unwrap_or_default() } else { &mut [] };
        for item in &family.items {
            if !is_joined {
                rest = outputs.next().unwrap_or_default();
            }
            let Some(width) = family.dtype.cell_bytes() else {
                rooms.push(Room::Text(if is_joined { number } else { rooms.len() }));
                continue;
            };
            let wanted = family.wanted(item);
            let (own, after) = std::mem::take(&mut rest).split_at_mut(wanted.cells * width);
            rest = after;
            rooms.push(if wanted.is_sliced { Room::Sliced(own) } else { Room::Shared(Mutex::new(own)) });
        }
    }
    rooms
}

/// Where the cells of each slot go, slots in their order.
pub(crate) fn targets<'a>(plan: &'a ReadPlan, rooms: &'a mut [Room<'a>], texts: &'a Texts) -> Vec<Target<'a>> {
    let mut targets = Vec::with_capacity(plan.families.iter().map(|family| family.slots.len()).sum());
    for ((family, item), room) in items(plan).zip(rooms) {
        let slots = &family.slots[item.slots.clone()];
        match room {
            Room::Sliced(room) => {
                let mut rest: &mut [u8] = room;
                for slot in slots {
                    let bytes = family.layouts[slot.layout].cells * family.dtype.cell_bytes().unwrap_or(0);
                    let (own, after) = std::mem::take(&mut rest).split_at_mut(bytes);
                    rest = after;
                    targets.push(Target::Own(own));
                }
            }
            Room::Shared(room) => {
                let room = &*room;
                targets.extend(slots.iter().map(|_| Target::Shared { room, whole: &family.wanted(item).region }));
            }
            Room::Text(output) => {
                for _ in slots {
                    targets.push(Target::Text { texts, output: *output, order: targets.len() });
                }
            }
        }
    }
    targets
}

/// Puts the text of each output together.
pub(crate) fn join(texts: Texts, outputs: &mut [Cells]) {
    let mut texts = texts.into_inner().unwrap_or_else(PoisonError::into_inner);
    texts.sort_unstable_by_key(|text| text.order);
    for text in texts {
        match outputs.get_mut(text.output) {
            Some(Cells::Var(cells)) if cells.is_empty() => *cells = text.cells,
            Some(Cells::Var(cells)) => cells.extend_from(&text.cells, 0..text.cells.len()),
            _ => {}
        }
    }
}
