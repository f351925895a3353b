//! What a read touches: a value that can be printed, counted and executed. Pure but for segment indexes, which are read
//! when they are first needed.

use super::layout::{Layout, Touched, cell_width, check_chunks, layout, split};
use super::pages::{PageSet, coalesce, ranges_of};
use super::segment::{Segment, open_all};
use crate::catalog::{Catalog, Family};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::format::segment::ChunkPlace;
use crate::region::{Region, cell_count};
use crate::schema::ArraySchema;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A planned read: which chunks of which segments, and what becomes of them.
///
/// [`Snapshot::plan_stacked`](crate::Snapshot::plan_stacked), [`plan_across`](crate::Snapshot::plan_across) and
/// [`plan_arrays`](crate::Snapshot::plan_arrays) make one, [`execute`](Self::execute) reads what it says.
#[derive(Debug)]
pub struct ReadPlan {
    pub(crate) families: Vec<FamilyPlan>,
    /// The result is one array: the datasets' stacked. Else there is one for each dataset and array.
    pub(crate) is_stacked: bool,
    outputs: Vec<Output>,
    bytes: u64,
    requests: usize,
    decoded_bytes: u64,
}

/// One array that a read gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The array's dtype.
    pub dtype: DType,
    /// Its shape; stacked, the number of datasets comes first.
    pub shape: Vec<u64>,
}

impl Output {
    /// How many cells it has.
    #[allow(clippy::cast_possible_truncation, reason = "a plan's results were checked to fit in memory")]
    pub fn cell_count(&self) -> usize {
        cell_count(&self.shape).unwrap_or(0) as usize
    }

    /// Bytes in memory; strings and binary count 16 a cell.
    pub fn bytes(&self) -> u64 {
        cell_count(&self.shape).unwrap_or(u64::MAX).saturating_mul(cell_width(self.dtype))
    }
}

/// What is read of one array family.
#[derive(Debug)]
pub(crate) struct FamilyPlan {
    pub(crate) array: String,
    pub(crate) dtype: DType,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Of each schema among the datasets, the layouts of the parts in which its arrays are read.
    pub(crate) layouts: Vec<Layout>,
    /// One for each dataset, in the caller's order.
    pub(crate) items: Vec<Item>,
    /// The parts; each item has a range of them.
    pub(crate) slots: Vec<Slot>,
    /// The chunks to read; each slot has a range of them.
    pub(crate) pieces: Vec<Piece>,
}

/// One dataset's array in the result.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) slots: Range<usize>,
}

/// What is wanted of the arrays of one schema.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) region: Region,
    /// The numbers of the parts' layouts.
    layouts: Range<usize>,
    /// Whether the parts follow one another in the result. If not, each is decoded apart and copied.
    pub(crate) is_sliced: bool,
}

/// A part of an item.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) layout: usize,
    pub(crate) pieces: Range<usize>,
    /// What it takes of memory while it is read: what is fetched or what is made, whichever is more; at least 1.
    pub(crate) weight: u64,
    /// Bytes that are decoded for it, but for what was decoded for the slot before.
    pub(crate) work: u64,
}

impl Slot {
    /// Whether all chunks that its layout touches are stored: else fill values are between them.
    pub(crate) fn is_complete(&self, layout: &Layout) -> bool {
        self.pieces.len() == layout.touched.len()
    }
}

/// One chunk of one dataset, found in a segment.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) segment: u32,
    pub(crate) touched: u32,
    /// The chunk's first cell in the segment.
    pub(crate) first_cell: u64,
}

impl Piece {
    /// Where the wanted cells lie, in the segment's cells.
    pub(crate) fn spans<'a>(&self, touched: &'a Touched) -> impl DoubleEndedIterator<Item = Range<u64>> + use<'a> {
        let first = self.first_cell;
        touched.spans.iter().map(move |span| first + span.start..first + span.end)
    }
}

impl ReadPlan {
    /// The arrays that the read gives, in their order. Stacked, there is one.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Chunks to read. (Chunks that were never written cost nothing and do not count.)
    pub fn chunks(&self) -> u64 {
        // A chunk that is read in several parts is one.
        let of_item = |family: &FamilyPlan, item: &Item| {
            let mut chunks: Vec<u32> = Vec::new();
            for slot in &family.slots[item.slots.clone()] {
                let touched = &family.layouts[slot.layout].touched;
                chunks.extend(family.pieces[slot.pieces.clone()].iter().map(|p| touched[p.touched as usize].chunk));
            }
            chunks.sort_unstable();
            chunks.dedup();
            chunks.len() as u64
        };
        let count = |family: &FamilyPlan| match family.slots.len() == family.items.len() {
            true => family.pieces.len() as u64,
            false => family.items.iter().map(|item| of_item(family, item)).sum(),
        };
        self.families.iter().map(count).sum()
    }

    /// Stored bytes to read: the pages that hold wanted cells, each once, and what they need to be decoded. What is in
    /// the store's cache is not read again.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Requests to the storage when neighbouring pages are read together. (A large read is cut into parts, whose ends
    /// are requests of their own.)
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// Bytes of the result; strings and binary count 16 a cell.
    pub fn output_bytes(&self) -> u64 {
        self.outputs.iter().fold(0, |sum, output| sum.saturating_add(output.bytes()))
    }

    /// Bytes that decoding makes, pages that are wanted in part included: what a read of text comes to, about, whose cells
    /// have no fixed size.
    pub fn decoded_bytes(&self) -> u64 {
        self.decoded_bytes
    }
}

/// Gathers the parts of a read.
pub(crate) struct Planner<'a> {
    catalog: &'a Catalog,
    plan: ReadPlan,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        let plan = ReadPlan {
            families: Vec::new(),
            is_stacked: false,
            outputs: Vec::new(),
            bytes: 0,
            requests: 0,
            decoded_bytes: 0,
        };
        Planner { catalog, plan }
    }

    /// Adds `region` (all, if `None`) of `family` from the datasets of `rows`, which have it.
    pub(crate) fn add(
        &mut self,
        family: &Family,
        segments: &[Arc<Segment>],
        rows: &[u32],
        region: Option<&Region>,
    ) -> Result<()> {
        let mut plan = FamilyPlan {
            array: family.name().to_string(),
            dtype: family.dtype(),
            segments: segments.to_vec(),
            layouts: Vec::new(),
            items: Vec::with_capacity(rows.len()),
            slots: Vec::with_capacity(rows.len()),
            pieces: Vec::new(),
        };
        let mut wanted_of: HashMap<u32, Arc<Wanted>> = HashMap::new();
        let mut ids = Vec::with_capacity(rows.len());
        for &row in rows {
            let (entry, schema) = self.catalog.array(row, family.name())?;
            ids.push(entry.id);
            let wanted = match wanted_of.get(&entry.schema) {
                Some(wanted) => wanted.clone(),
                None => {
                    let named = || format!("{} of dataset {}", family.name(), self.catalog.datasets.name(row));
                    let region = match region {
                        Some(region) => {
                            region.check(&named(), &schema.shape)?;
                            region.clone()
                        }
                        None => Region::full(&schema.shape),
                    };
                    let wanted = Arc::new(plan.want(schema, region)?);
                    wanted_of.insert(entry.schema, wanted.clone());
                    wanted
                }
            };
            self.plan.outputs.push(Output { dtype: family.dtype(), shape: wanted.region.shape().to_vec() });
            plan.items.push(Item { wanted, slots: 0..0 });
        }
        open_all(segments, &ids)?;
        let mut last_page = None;
        for (at, id) in ids.into_iter().enumerate() {
            plan.find_chunks(at, id, &mut last_page)?;
        }
        self.plan.families.push(plan);
        Ok(())
    }

    /// The plan, whose results are to be stacked: the arrays of one family, of equal shapes.
    pub(crate) fn stacked(mut self, rows: &[u32], region: Option<&Region>) -> Result<ReadPlan> {
        let family = self.plan.families.first();
        let array = family.map_or("", |family| family.array.as_str());
        let dtype = family.map_or(DType::Float64, |family| family.dtype);
        let shape = match self.plan.outputs.first() {
            Some(first) => first.shape.clone(),
            None => region.map(|region| region.shape().to_vec()).unwrap_or_default(),
        };
        if let Some(at) = self.plan.outputs.iter().position(|output| output.shape != shape) {
            return Err(Error::invalid(format!(
                "cannot stack array {array}: it has shape {:?} in dataset {} and {shape:?} in dataset {}",
                self.plan.outputs[at].shape,
                self.catalog.datasets.name(rows[at]),
                self.catalog.datasets.name(rows[0]),
            )));
        }
        let shape: Vec<u64> = std::iter::once(rows.len() as u64).chain(shape).collect();
        self.plan.is_stacked = true;
        self.plan.outputs = vec![Output { dtype, shape }];
        self.finish()
    }

    /// The plan.
    pub(crate) fn finish(mut self) -> Result<ReadPlan> {
        let total = self.plan.outputs.iter().try_fold(0u64, |sum, output| {
            let cells = cell_count(&output.shape)?;
            sum.checked_add(cells.checked_mul(cell_width(output.dtype))?)
        });
        if total.and_then(|bytes| isize::try_from(bytes).ok()).is_none() {
            let largest = self.plan.outputs.iter().max_by_key(|output| output.bytes());
            let shape = largest.map(|output| output.shape.clone()).unwrap_or_default();
            let message = match self.plan.outputs.len() {
                1 => format!("a result of shape {shape:?} does not fit in memory"),
                count => format!("{count} results, the largest of shape {shape:?}, do not fit in memory"),
            };
            return Err(Error::LimitExceeded { message });
        }
        for family in &self.plan.families {
            for (segment, pages) in family.pages_of(&family.slots)? {
                let pages = pages.sorted();
                let index = family.segments[segment as usize].index()?;
                let ranges = ranges_of(index, &pages);
                self.plan.bytes += ranges.iter().map(|range| range.end - range.start).sum::<u64>();
                self.plan.decoded_bytes += pages.iter().map(|page| u64::from(index.page_raw[*page])).sum::<u64>();
                self.plan.requests += coalesce(ranges).len();
            }
        }
        Ok(self.plan)
    }
}

impl FamilyPlan {
    /// Lays out what is wanted of the arrays of one schema.
    fn want(&mut self, schema: &ArraySchema, region: Region) -> Result<Wanted> {
        check_chunks(schema, &region)?;
        let (parts, is_sliced) = split(schema, &region);
        let first = self.layouts.len();
        self.layouts.extend(parts.into_iter().map(|part| layout(schema, part)));
        Ok(Wanted { region, layouts: first..self.layouts.len(), is_sliced })
    }

    /// Finds the chunks of item number `at`, array `id`. Neighbours share pages: `last_page` is that of the item before.
    fn find_chunks(&mut self, at: usize, id: u64, last_page: &mut Option<(u32, usize)>) -> Result<()> {
        let first_slot = self.slots.len();
        for layout in self.items[at].wanted.layouts.clone() {
            let first_piece = self.pieces.len();
            let (mut stored, mut work) = (0, 0);
            for (number, touched) in (0u32..).zip(&self.layouts[layout].touched) {
                if let Some((segment, first_cell)) = find_chunk(&self.segments, id, touched.chunk, &touched.cells)? {
                    let piece = Piece { segment, touched: number, first_cell };
                    let index = self.segments[segment as usize].index()?;
                    for span in piece.spans(touched) {
                        for page in index.pages_of(&span) {
                            stored += u64::from(index.page_stored[page]);
                            if last_page.replace((segment, page)) != Some((segment, page)) {
                                work += u64::from(index.page_raw[page]);
                            }
                        }
                    }
                    self.pieces.push(piece);
                }
            }
            let made = (self.layouts[layout].cell_count() as u64).saturating_mul(cell_width(self.dtype));
            let weight = made.max(stored).max(1);
            self.slots.push(Slot { layout, pieces: first_piece..self.pieces.len(), weight, work });
        }
        self.items[at].slots = first_slot..self.slots.len();
        Ok(())
    }

    /// The pages that these slots need, of each segment.
    pub(crate) fn pages_of<'a>(&self, slots: impl IntoIterator<Item = &'a Slot>) -> Result<HashMap<u32, PageSet>> {
        let mut pages: HashMap<u32, PageSet> = HashMap::new();
        for slot in slots {
            let touched = &self.layouts[slot.layout].touched;
            for piece in &self.pieces[slot.pieces.clone()] {
                let index = self.segments[piece.segment as usize].index()?;
                let pages = pages.entry(piece.segment).or_default();
                piece.spans(&touched[piece.touched as usize]).for_each(|span| pages.add(index, &span));
            }
        }
        Ok(pages)
    }
}

impl FamilyPlan {
    /// Whether the last page of one slot is the first of another.
    pub(crate) fn share_page(&self, slot: &Slot, next: &Slot) -> Result<bool> {
        let (Some(last), Some(first)) =
            (self.pieces[slot.pieces.clone()].last(), self.pieces[next.pieces.clone()].first())
        else {
            return Ok(false);
        };
        if last.segment != first.segment {
            return Ok(false);
        }
        let index = self.segments[last.segment as usize].index()?;
        let touched = |slot: &Slot, piece: &Piece| &self.layouts[slot.layout].touched[piece.touched as usize];
        let end = last.spans(touched(slot, last)).next_back().map(|span| index.pages_of(&span).end);
        let start = first.spans(touched(next, first)).next().map(|span| index.pages_of(&span).start + 1);
        Ok(end.is_some() && end == start)
    }
}

/// The newest segment that holds a chunk, and the chunk's first cell there.
fn find_chunk(segments: &[Arc<Segment>], id: u64, chunk: u32, cells: &Region) -> Result<Option<(u32, u64)>> {
    for (number, segment) in segments.iter().enumerate().rev() {
        // Segments are numbered by a u32 when they are written.
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if !segment.reference.may_hold(id) {
            continue;
        }
        if let Some(place) = segment.index()?.find(id, chunk) {
            check_extent(segment, id, chunk, &place, cells)?;
            return Ok(Some((number, place.cells.start)));
        }
    }
    Ok(None)
}

/// Checks that a chunk in a segment holds as many cells as the array's declaration says.
pub(crate) fn check_extent(segment: &Segment, id: u64, chunk: u32, place: &ChunkPlace, extent: &Region) -> Result<()> {
    let (holds, expected) = (place.cells.end - place.cells.start, cell_count(extent.shape()).unwrap_or(u64::MAX));
    if holds == expected {
        return Ok(());
    }
    Err(segment.corrupt(0, format!("chunk {chunk} of array {id} holds {holds} cells, expected {expected}")))
}
