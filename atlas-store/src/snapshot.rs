//! One committed state of a store, and every read of it.

use crate::attribute::{Attribute, AttributeType};
use crate::catalog::{ArrayEntry, AttributeColumn, Catalog, Family};
use crate::cells::ArrayData;
use crate::error::{Error, Result};
use crate::read::{Planner, ReadHooks, ReadPlan, Segment};
use crate::region::Region;
use crate::schema::ArraySchema;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A store as of one flush. Immutable: what others write, delete or compact next to it changes nothing here.
///
/// Datasets are rows, numbered from 0 in insertion order. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    catalog: Arc<Catalog>,
    segments: HashMap<String, Vec<Arc<Segment>>>,
    catalog_bytes: u64,
}

/// What the live chunks of an array family take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FamilyTotals {
    /// Chunks that were written.
    pub chunks: u64,
    /// Bytes of the pages that hold them, each page once.
    pub stored_bytes: u64,
    /// Bytes of all cells of the family before encoding; strings and binary count as stored.
    pub raw_bytes: u64,
}

impl Snapshot {
    pub(crate) fn new(catalog: Arc<Catalog>, segments: HashMap<String, Vec<Arc<Segment>>>, catalog_bytes: u64) -> Self {
        Snapshot { inner: Arc::new(Inner { catalog, segments, catalog_bytes }) }
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.inner.catalog
    }

    pub(crate) fn segments(&self, array: &str) -> &[Arc<Segment>] {
        self.inner.segments.get(array).map_or(&[], Vec::as_slice)
    }

    /// The number of the flush that made this state; 0 is the empty store.
    pub fn number(&self) -> u64 {
        self.inner.catalog.snapshot
    }

    /// How many datasets there are.
    pub fn dataset_count(&self) -> usize {
        self.inner.catalog.datasets.len()
    }

    /// The datasets' names in row order.
    pub fn dataset_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.inner.catalog.datasets.iter()
    }

    /// The name of a row; empty if there is no such row.
    pub fn dataset_name(&self, row: u32) -> &str {
        self.inner.catalog.datasets.name(row)
    }

    /// The row of a dataset.
    pub fn find_dataset(&self, name: &str) -> Option<u32> {
        self.inner.catalog.find_dataset(name)
    }

    /// The row of a dataset.
    ///
    /// # Errors
    /// `NotFound` if there is no such dataset.
    pub fn dataset_row(&self, name: &str) -> Result<u32> {
        self.inner.catalog.dataset_row(name)
    }

    /// The array families, by name.
    pub fn families(&self) -> impl ExactSizeIterator<Item = &Family> {
        self.inner.catalog.families.values().map(|family| &**family)
    }

    /// The array family of a name.
    pub fn find_family(&self, array: &str) -> Option<&Family> {
        self.inner.catalog.families.get(array).map(|family| &**family)
    }

    /// The array family of a name.
    ///
    /// # Errors
    /// `NotFound` if no dataset ever had such an array.
    pub fn family(&self, array: &str) -> Result<&Family> {
        self.inner.catalog.family(array)
    }

    /// The declaration behind an entry of this snapshot.
    pub fn schema(&self, entry: ArrayEntry<'_>) -> &ArraySchema {
        self.inner.catalog.schema(entry)
    }

    /// The declarations of a family's arrays, each once, in the order in which datasets have them first.
    ///
    /// # Cost
    /// A pass over the arrays; nothing where all have one declaration.
    pub fn declarations(&self, family: &Family) -> Vec<&ArraySchema> {
        self.inner.catalog.declarations(family)
    }

    /// One array of one dataset, and its declaration.
    ///
    /// # Errors
    /// `NotFound` if the dataset, or the array in it, does not exist.
    pub fn array(&self, dataset: &str, array: &str) -> Result<(ArrayEntry<'_>, &ArraySchema)> {
        let (entry, schema) = self.inner.catalog.array(self.dataset_row(dataset)?, array)?;
        Ok((entry, schema))
    }

    /// The attribute columns, by key, then type.
    pub fn attribute_columns(&self) -> impl Iterator<Item = &AttributeColumn> {
        self.inner.catalog.attributes.values().map(|column| &**column)
    }

    /// The column of one key and type.
    pub fn attribute_column(&self, key: &str, kind: AttributeType) -> Option<&AttributeColumn> {
        self.inner.catalog.attributes.get(&(key.to_string(), kind)).map(|column| &**column)
    }

    /// One attribute of one dataset.
    pub fn attribute(&self, row: u32, key: &str) -> Option<Attribute> {
        self.inner.catalog.attribute(row, key)
    }

    /// All attributes of one dataset, by key.
    pub fn attributes(&self, row: u32) -> Vec<(String, Attribute)> {
        self.attribute_columns().filter_map(|column| Some((column.key().to_string(), column.get(row)?))).collect()
    }

    /// Plans the read of `region` (all, if `None`) of `array` from the datasets of `rows`, stacked into one array.
    ///
    /// # Shape
    /// `rows.len()`, then the region's.
    ///
    /// # Cost
    /// Segment indexes, the first time; no data.
    ///
    /// # Errors
    /// `NotFound` if a dataset lacks the array, `OutOfBounds` if the region does not lie in one of them,
    /// `InvalidArgument` if the shapes differ: each names the first such dataset. `LimitExceeded` where the result cannot
    /// fit in memory.
    pub fn plan_stacked(&self, array: &str, rows: &[u32], region: Option<&Region>) -> Result<ReadPlan> {
        self.check_rows(rows)?;
        let mut planner = Planner::new(&self.inner.catalog);
        planner.add(self.family(array)?, self.segments(array), rows, region)?;
        planner.stacked(rows, region)
    }

    /// Plans the read of `region` (all, if `None`) of each of `arrays` from each of the datasets of `rows` that has it;
    /// shapes may differ. The results are those of the first array, one for each such dataset, then those of the next.
    ///
    /// # Cost
    /// As [`Self::plan_stacked`].
    ///
    /// # Errors
    /// `NotFound` if no dataset ever had one of the arrays; `OutOfBounds`, `LimitExceeded` as for [`Self::plan_stacked`].
    pub fn plan_across(&self, arrays: &[&str], rows: &[u32], region: Option<&Region>) -> Result<ReadPlan> {
        self.check_rows(rows)?;
        let mut planner = Planner::new(&self.inner.catalog);
        for array in arrays {
            let family = self.family(array)?;
            let rows: Vec<u32> = rows.iter().copied().filter(|row| family.entry(*row).is_some()).collect();
            planner.add(family, self.segments(array), &rows, region)?;
        }
        planner.finish()
    }

    /// Plans the read of several arrays of one dataset.
    ///
    /// # Cost
    /// As [`Self::plan_stacked`]. Each array family has segments of its own: at least one request for each array.
    ///
    /// # Errors
    /// `NotFound` if the dataset lacks one of the arrays, `OutOfBounds` if the region does not lie in one.
    pub fn plan_arrays(&self, row: u32, arrays: &[&str], region: Option<&Region>) -> Result<ReadPlan> {
        self.check_rows(&[row])?;
        let mut planner = Planner::new(&self.inner.catalog);
        for array in arrays {
            planner.add(self.family(array)?, self.segments(array), &[row], region)?;
        }
        planner.finish()
    }

    fn check_rows(&self, rows: &[u32]) -> Result<()> {
        match rows.iter().find(|row| **row as usize >= self.dataset_count()) {
            Some(row) => Err(Error::not_found("dataset", format!("row {row} of {}", self.dataset_count()))),
            None => Ok(()),
        }
    }

    /// Reads `region` (all, if `None`) of one array.
    ///
    /// # Errors
    /// As [`Self::plan_stacked`] and [`ReadPlan::execute`].
    pub fn read(&self, dataset: &str, array: &str, region: Option<&Region>) -> Result<ArrayData> {
        let row = self.dataset_row(dataset)?;
        self.inner.catalog.array(row, array)?;
        the_one(self.plan_arrays(row, &[array], region)?.execute(ReadHooks::new())?)
    }

    /// Reads `region` (all, if `None`) of several arrays of one dataset, in their order.
    ///
    /// # Errors
    /// As [`Self::plan_arrays`] and [`ReadPlan::execute`].
    pub fn read_arrays(&self, dataset: &str, arrays: &[&str], region: Option<&Region>) -> Result<Vec<ArrayData>> {
        self.plan_arrays(self.dataset_row(dataset)?, arrays, region)?.execute(ReadHooks::new())
    }

    /// Reads `region` (all, if `None`) of `array` from the datasets of `rows` into one array.
    ///
    /// # Shape
    /// `rows.len()`, then the region's.
    ///
    /// # Errors
    /// As [`Self::plan_stacked`] and [`ReadPlan::execute`].
    pub fn read_stacked(&self, array: &str, rows: &[u32], region: Option<&Region>) -> Result<ArrayData> {
        the_one(self.plan_stacked(array, rows, region)?.execute(ReadHooks::new())?)
    }

    /// Reads `region` (all, if `None`) of `array` from each dataset of `rows`; shapes may differ.
    ///
    /// # Missing
    /// `None` for a dataset that lacks the array.
    ///
    /// # Errors
    /// As [`Self::plan_across`] and [`ReadPlan::execute`].
    pub fn read_across(&self, array: &str, rows: &[u32], region: Option<&Region>) -> Result<Vec<Option<ArrayData>>> {
        let mut read = self.plan_across(&[array], rows, region)?.execute(ReadHooks::new())?.into_iter();
        let family = self.family(array)?;
        Ok(rows.iter().map(|row| family.entry(*row).and_then(|_| read.next())).collect())
    }

    /// The chunks, and their stored bytes, of the arrays that the datasets of `rows` have.
    ///
    /// # Cost
    /// Segment indexes, the first time; no data.
    ///
    /// # Errors
    /// `NotFound` if no dataset ever had the array, `Corrupt` where an index is damaged.
    pub fn chunk_totals(&self, array: &str, rows: &[u32]) -> Result<(u64, u64)> {
        let family = self.family(array)?;
        let (mut chunks, mut bytes) = (0, 0);
        for entry in rows.iter().filter_map(|row| family.entry(*row)) {
            self.for_each_chunk(array, entry, |segment, place| {
                chunks += 1;
                bytes += segment.index()?.stored_bytes_of(&segment.index()?.chunk_place(place).cells);
                Ok(())
            })?;
        }
        Ok((chunks, bytes))
    }

    /// The totals of a family.
    ///
    /// # Errors
    /// As [`Self::chunk_totals`].
    pub fn family_totals(&self, array: &str) -> Result<FamilyTotals> {
        let family = self.family(array)?;
        let mut chunks = 0;
        let mut pages = BTreeSet::new();
        let mut stored_bytes = 0;
        for (_, entry) in family.entries() {
            self.for_each_chunk(array, entry, |segment, place| {
                chunks += 1;
                let index = segment.index()?;
                for page in index.pages_of(&index.chunk_place(place).cells) {
                    if pages.insert((segment.reference.object.clone(), page)) {
                        stored_bytes += u64::from(index.page_stored[page]);
                    }
                }
                Ok(())
            })?;
        }
        let cells = family.entries().fold(0u64, |sum, (_, entry)| sum.saturating_add(self.schema(entry).cell_count()));
        let raw_bytes = family.dtype().cell_bytes().map_or(stored_bytes, |width| cells.saturating_mul(width as u64));
        Ok(FamilyTotals { chunks, stored_bytes, raw_bytes })
    }

    /// How the chunks of an array are encoded: `pco`, `zstd`, `zstd+planes`, …, several with commas; empty if none was
    /// written.
    ///
    /// # Errors
    /// `NotFound` if the dataset lacks the array, `Corrupt` where an index is damaged.
    pub fn array_codec(&self, row: u32, array: &str) -> Result<String> {
        let (entry, _) = self.inner.catalog.array(row, array)?;
        let mut names = BTreeSet::new();
        self.for_each_chunk(array, entry, |segment, place| {
            let index = segment.index()?;
            for page in index.pages_of(&index.chunk_place(place).cells) {
                names.insert(index.block_encoding[index.block_of(page)].name());
            }
            Ok(())
        })?;
        Ok(names.into_iter().collect::<Vec<_>>().join(","))
    }

    /// Calls `visit` with the segment and entry of each live chunk of an array.
    fn for_each_chunk(
        &self,
        array: &str,
        entry: ArrayEntry<'_>,
        mut visit: impl FnMut(&Segment, usize) -> Result<()>,
    ) -> Result<()> {
        for (segment, place) in self.live_chunks(array, entry)?.into_values() {
            visit(segment, place)?;
        }
        Ok(())
    }

    /// Bytes of all live segments.
    pub fn stored_bytes(&self) -> u64 {
        self.families().fold(0, |sum, family| sum.saturating_add(family.segment_bytes()))
    }

    /// Bytes of the catalog file.
    pub fn catalog_bytes(&self) -> u64 {
        self.inner.catalog_bytes
    }
}

/// The array of a read that gives one.
fn the_one(read: Vec<ArrayData>) -> Result<ArrayData> {
    read.into_iter().next().ok_or_else(|| Error::invalid("a read gave nothing"))
}
