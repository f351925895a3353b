//! What a read touches: a value that can be printed, counted and executed. Pure but for segment indexes, which are read
//! when they are first needed.

use super::find::{Finder, page_numbers};
use super::layout::{Layout, Touched, cell_width, check_chunks, layout, split};
use super::pages::{Pages, coalesce, ranges_of};
use super::segment::{Segment, open_all};
use crate::catalog::{Catalog, Family};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::region::{Region, cell_count};
use crate::schema::ArraySchema;
use std::collections::HashMap;
use std::iter;
use std::ops::Range;
use std::sync::Arc;

/// A planned read: which chunks of which segments, and what becomes of them.
///
/// [`Snapshot::plan_stacked`](crate::Snapshot::plan_stacked), [`plan_across`](crate::Snapshot::plan_across) and
/// [`plan_arrays`](crate::Snapshot::plan_arrays) make one, [`execute`](Self::execute) reads what it says.
#[derive(Debug)]
pub struct ReadPlan {
    pub(crate) families: Vec<FamilyPlan>,
    /// Where the result is one array, the datasets' stacked, its dtype and shape. Else there is one for each dataset and
    /// array.
    stacked: Option<(DType, Vec<u64>)>,
    bytes: u64,
    requests: usize,
    decoded_bytes: u64,
    output_bytes: u64,
}

/// One array that a read gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// The array's dtype.
    pub dtype: DType,
    /// Its shape; stacked, the number of datasets comes first.
    pub shape: &'a [u64],
}

impl Output<'_> {
    /// How many cells it has.
    #[allow(clippy::cast_possible_truncation, reason = "a plan's results were checked to fit in memory")]
    pub fn cell_count(&self) -> usize {
        cell_count(self.shape).unwrap_or(0) as usize
    }

    /// Bytes in memory; strings and binary count 16 a cell.
    pub fn bytes(&self) -> u64 {
        cell_count(self.shape).unwrap_or(u64::MAX).saturating_mul(cell_width(self.dtype))
    }
}

/// What is read of one array family.
#[derive(Debug)]
pub(crate) struct FamilyPlan {
    pub(crate) array: String,
    pub(crate) dtype: DType,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// What is wanted of the arrays of each schema among the datasets.
    wanted: Vec<Wanted>,
    /// The layouts of the parts in which the arrays of a schema are read.
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
    /// Its place in the family's `wanted`.
    wanted: usize,
    pub(crate) slots: Range<usize>,
}

/// What is wanted of the arrays of one schema.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) region: Region,
    /// Cells of the region.
    pub(crate) cells: usize,
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
    /// From the first page with wanted cells to the last.
    pub(super) pages: Range<u32>,
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
    pub fn outputs(&self) -> impl Iterator<Item = Output<'_>> {
        let stacked = self.stacked.iter().map(|(dtype, shape)| Output { dtype: *dtype, shape });
        let families: &[FamilyPlan] = if self.is_stacked() { &[] } else { &self.families };
        stacked.chain(families.iter().flat_map(FamilyPlan::outputs))
    }

    pub(crate) fn is_stacked(&self) -> bool {
        self.stacked.is_some()
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
        self.output_bytes
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
        let plan =
            ReadPlan { families: Vec::new(), stacked: None, bytes: 0, requests: 0, decoded_bytes: 0, output_bytes: 0 };
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
            wanted: Vec::new(),
            layouts: Vec::new(),
            items: Vec::with_capacity(rows.len()),
            slots: Vec::with_capacity(rows.len()),
            pieces: Vec::with_capacity(rows.len()),
        };
        let mut wanted_of: HashMap<u32, usize> = HashMap::new();
        // Of neighbours, mostly that of all.
        let mut last = None;
        let mut ids = Vec::with_capacity(rows.len());
        for &row in rows {
            let entry = match family.entry(row) {
                Some(entry) => entry,
                None => self.catalog.array(row, family.name())?.0,
            };
            ids.push(entry.id);
            let same = last.filter(|(schema, _)| *schema == entry.schema).map(|(_, wanted)| wanted);
            let wanted = match same.or_else(|| wanted_of.get(&entry.schema).copied()) {
                Some(wanted) => wanted,
                None => {
                    let schema = self.catalog.schema(entry);
                    let named = || format!("{} of dataset {}", family.name(), self.catalog.datasets.name(row));
                    let region = match region {
                        Some(region) => {
                            region.check(&named(), &schema.shape)?;
                            region.clone()
                        }
                        None => Region::full(&schema.shape),
                    };
                    let wanted = plan.want(schema, region)?;
                    wanted_of.insert(entry.schema, wanted);
                    wanted
                }
            };
            last = Some((entry.schema, wanted));
            plan.items.push(Item { wanted, slots: 0..0 });
        }
        open_all(segments, &ids)?;
        plan.find_chunks(&ids)?;
        self.plan.families.push(plan);
        Ok(())
    }

    /// The plan, whose results are to be stacked: the arrays of one family, of equal shapes.
    pub(crate) fn stacked(mut self, rows: &[u32], region: Option<&Region>) -> Result<ReadPlan> {
        let Some(family) = self.plan.families.first() else { return self.finish() };
        let shape = match family.outputs().next() {
            Some(first) => first.shape,
            None => region.map(Region::shape).unwrap_or_default(),
        };
        if family.wanted.iter().any(|wanted| wanted.region.shape() != shape)
            && let Some((at, other)) = family.outputs().enumerate().find(|(_, output)| output.shape != shape)
        {
            return Err(Error::invalid(format!(
                "cannot stack array {}: it has shape {:?} in dataset {} and {shape:?} in dataset {}",
                family.array,
                other.shape,
                self.catalog.datasets.name(rows[at]),
                self.catalog.datasets.name(rows[0]),
            )));
        }
        let shape = iter::once(rows.len() as u64).chain(shape.iter().copied()).collect();
        self.plan.stacked = Some((family.dtype, shape));
        self.finish()
    }

    /// The plan.
    pub(crate) fn finish(mut self) -> Result<ReadPlan> {
        let total = self.plan.outputs().try_fold(0u64, |sum, output| {
            let cells = cell_count(output.shape)?;
            sum.checked_add(cells.checked_mul(cell_width(output.dtype))?)
        });
        let Some(total) = total.filter(|bytes| isize::try_from(*bytes).is_ok()) else {
            let largest = self.plan.outputs().max_by_key(Output::bytes);
            let shape = largest.map_or(&[][..], |output| output.shape);
            let message = match self.plan.outputs().count() {
                1 => format!("a result of shape {shape:?} does not fit in memory"),
                count => format!("{count} results, the largest of shape {shape:?}, do not fit in memory"),
            };
            return Err(Error::LimitExceeded { message });
        };
        self.plan.output_bytes = total;
        for family in &self.plan.families {
            for (segment, pages) in family.pages_of(&family.slots)?.by_segment() {
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
    /// Lays out what is wanted of the arrays of one schema; gives its number.
    fn want(&mut self, schema: &ArraySchema, region: Region) -> Result<usize> {
        check_chunks(schema, &region)?;
        let (parts, is_sliced) = split(schema, &region);
        let first = self.layouts.len();
        self.layouts.extend(parts.into_iter().map(|part| layout(schema, part)));
        #[allow(clippy::cast_possible_truncation, reason = "what does not fit in memory is refused when all are known")]
        let cells = cell_count(region.shape()).unwrap_or(0) as usize;
        self.wanted.push(Wanted { region, cells, layouts: first..self.layouts.len(), is_sliced });
        Ok(self.wanted.len() - 1)
    }

    /// What is wanted of an item.
    pub(crate) fn wanted(&self, item: &Item) -> &Wanted {
        &self.wanted[item.wanted]
    }

    /// The arrays of the items.
    fn outputs(&self) -> impl Iterator<Item = Output<'_>> {
        self.items.iter().map(|item| Output { dtype: self.dtype, shape: self.wanted(item).region.shape() })
    }

    /// Finds the chunks of the items, whose arrays are `ids`.
    fn find_chunks(&mut self, ids: &[u64]) -> Result<()> {
        let mut finder = Finder::new(&self.segments);
        for (item, id) in self.items.iter_mut().zip(ids) {
            let first_slot = self.slots.len();
            for number in self.wanted[item.wanted].layouts.clone() {
                let layout = &self.layouts[number];
                let first_piece = self.pieces.len();
                let (mut stored, mut work) = (0, 0);
                for (at, touched) in (0u32..).zip(&layout.touched) {
                    if let Some(piece) = finder.piece(*id, at, touched, (&mut stored, &mut work))? {
                        self.pieces.push(piece);
                    }
                }
                let made = (layout.cells as u64).saturating_mul(cell_width(self.dtype));
                let weight = made.max(stored).max(1);
                self.slots.push(Slot { layout: number, pieces: first_piece..self.pieces.len(), weight, work });
            }
            item.slots = first_slot..self.slots.len();
        }
        Ok(())
    }

    /// The pages that these slots need.
    pub(crate) fn pages_of<'a>(&self, slots: impl IntoIterator<Item = &'a Slot>) -> Result<Pages> {
        let mut pages = Pages::default();
        for slot in slots {
            for piece in &self.pieces[slot.pieces.clone()] {
                let touched = &self.layouts[slot.layout].touched[piece.touched as usize];
                if piece.pages.len() <= 2 || touched.spans.len() == 1 {
                    pages.add(piece.segment, piece.pages.clone());
                    continue;
                }
                let index = self.segments[piece.segment as usize].index()?;
                let mut near = piece.pages.start as usize;
                for span in piece.spans(touched) {
                    let own = index.pages_near(&span, near);
                    near = own.end - 1;
                    pages.add(piece.segment, page_numbers(&own));
                }
            }
        }
        Ok(pages)
    }

    /// Whether the last page of one slot is the first of another.
    pub(crate) fn share_page(&self, slot: &Slot, next: &Slot) -> bool {
        let (last, first) = (self.pieces[slot.pieces.clone()].last(), self.pieces[next.pieces.clone()].first());
        last.zip(first)
            .is_some_and(|(last, first)| last.segment == first.segment && last.pages.end == first.pages.start + 1)
    }
}
