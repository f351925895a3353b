//! The changes of a draft, made in a newer catalog than the one it began with.
//!
//! Three catalogs meet: the one that the draft began with (its base), the draft's, and the newest. What the draft differs
//! in from its base is made in the newest; where that cannot be, the error names the dataset and the array. Nothing is
//! read but the indexes of segments that the base does not have.

use crate::catalog::{ArrayEntry, Catalog, Family};
use crate::error::{Error, Result};
use crate::read::Segment;
use crate::schema::ArraySchema;
use crate::snapshot::Snapshot;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Rows of datasets by attribute key.
pub(crate) type ChangedAttributes = BTreeMap<String, BTreeSet<u32>>;

/// Array ids as they were given out in a draft, and as they are in the newest catalog: other writers may have given out
/// the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Renumbering {
    /// The first id that the draft gave out.
    first: u64,
    by: u64,
}

impl Renumbering {
    /// Ascending ids stay so.
    pub(crate) fn of(self, id: u64) -> u64 {
        if id < self.first { id } else { id + self.by }
    }

    pub(crate) fn changes(self, id: u64) -> bool {
        self.of(id) != id
    }
}

/// What is to be merged.
pub(crate) struct Merge<'a> {
    /// The snapshot that the draft began with.
    pub(crate) base: &'a Snapshot,
    /// The draft's catalog, whose rows up to the base's last are the base's.
    pub(crate) ours: &'a Catalog,
    pub(crate) newest: &'a Snapshot,
    /// By family, the arrays of the base that the draft wrote to.
    pub(crate) written: &'a BTreeMap<String, BTreeSet<u64>>,
    /// The attributes of datasets of the base that the draft set or removed.
    pub(crate) attributes: &'a ChangedAttributes,
}

/// The newest catalog with the draft's changes.
pub(crate) struct Merged {
    pub(crate) catalog: Catalog,
    /// The rows here of the draft's rows that it changed.
    pub(crate) rows: HashMap<u32, u32>,
    pub(crate) ids: Renumbering,
}

impl Merge<'_> {
    /// # Errors
    /// `NotFound`, `AlreadyExists`, `DtypeMismatch` or `Conflict`, naming the dataset and the array.
    pub(crate) fn merge(&self) -> Result<Merged> {
        let (base, newest) = (self.base.catalog(), self.newest.catalog());
        let by = newest.next_array_id.checked_sub(base.next_array_id).filter(|_| newest.snapshot >= base.snapshot);
        let Some(by) = by else {
            let (now, then) = (newest.snapshot, base.snapshot);
            return Err(conflict(format!("the store was replaced by another one: snapshot {now} after {then}")));
        };
        let ids = Renumbering { first: base.next_array_id, by };
        let mut merged = Merged { catalog: Catalog::clone(newest), rows: HashMap::new(), ids };
        self.delete_datasets(&mut merged)?;
        self.create_datasets(&mut merged)?;
        self.delete_arrays(&mut merged)?;
        self.change_arrays(&mut merged)?;
        self.change_attributes(&mut merged)?;
        merged.catalog.next_array_id = ids.of(self.ours.next_array_id);
        Ok(merged)
    }

    /// Whether a row is a dataset of the base.
    fn is_known(&self, row: u32) -> bool {
        (row as usize) < self.base.dataset_count()
    }

    fn delete_datasets(&self, merged: &mut Merged) -> Result<()> {
        let deleted: BTreeSet<u32> = self.ours.deleted.iter().copied().filter(|row| self.is_known(*row)).collect();
        for row in deleted {
            let row = self.row(merged, row)?;
            merged.catalog.delete_dataset(row);
        }
        Ok(())
    }

    fn create_datasets(&self, merged: &mut Merged) -> Result<()> {
        let rows = (0u32..).zip(self.ours.datasets.iter()).skip(self.base.dataset_count());
        for (row, name) in rows.filter(|(row, _)| !self.ours.deleted.contains(row)) {
            let created = merged.catalog.create_dataset(name).map_err(|error| match error {
                Error::AlreadyExists { what, name } => {
                    Error::AlreadyExists { what, name: format!("{name} (another writer created it)") }
                }
                error => error,
            })?;
            merged.rows.insert(row, created);
        }
        Ok(())
    }

    /// The row in the newest catalog of a dataset of the base, by its name.
    fn find_row(&self, row: u32) -> Result<u32> {
        let name = self.base.dataset_name(row);
        let found = self.newest.find_dataset(name);
        found.ok_or_else(|| Error::not_found("dataset", format!("{name} (another writer deleted it)")))
    }

    /// The row of a dataset that the draft changed.
    fn row(&self, merged: &mut Merged, row: u32) -> Result<u32> {
        if let Some(found) = merged.rows.get(&row) {
            return Ok(*found);
        }
        let found = self.find_row(row)?;
        // Array ids are unique. A dataset that has none left of those that it had is another one of that name.
        let mut arrays = self.base.families().filter_map(|family| Some((family, family.entry(row)?.id))).peekable();
        let is_kept =
            |(family, id): (&Family, u64)| self.newest_entry(family.name(), found).is_some_and(|e| e.id == id);
        if arrays.peek().is_some() && !arrays.any(is_kept) {
            let name = self.base.dataset_name(row);
            return Err(conflict(format!("another writer replaced dataset {name}, or all of its arrays")));
        }
        merged.rows.insert(row, found);
        Ok(found)
    }

    fn newest_entry(&self, array: &str, row: u32) -> Option<ArrayEntry<'_>> {
        self.newest.find_family(array)?.entry(row)
    }

    /// The row of a dataset whose array of this id the draft changed.
    fn row_of_array(&self, merged: &mut Merged, array: &str, row: u32, id: u64) -> Result<u32> {
        let found = self.find_row(row)?;
        let name = self.base.dataset_name(row);
        match self.newest_entry(array, found) {
            None => Err(Error::not_found("array", format!("{array} in dataset {name} (another writer deleted it)"))),
            Some(entry) if entry.id != id => {
                Err(conflict(format!("another writer declared array {array} of dataset {name} anew")))
            }
            Some(_) => {
                merged.rows.insert(row, found);
                Ok(found)
            }
        }
    }

    fn delete_arrays(&self, merged: &mut Merged) -> Result<()> {
        for (array, family) in &self.base.catalog().families {
            let ours = self.ours.families.get(array);
            if ours.is_some_and(|ours| Arc::ptr_eq(ours, family)) {
                continue;
            }
            for (row, entry) in family.entries().filter(|(row, _)| !self.ours.deleted.contains(row)) {
                let kept = ours.and_then(|ours| ours.entry(row));
                if kept.is_none_or(|kept| kept.id != entry.id) {
                    let row = self.row_of_array(merged, array, row, entry.id)?;
                    merged.catalog.delete_array(row, array)?;
                }
            }
        }
        Ok(())
    }

    /// Declares what the draft declared, and sees to it that what it wrote to is as it found it.
    fn change_arrays(&self, merged: &mut Merged) -> Result<()> {
        for (array, family) in &self.ours.families {
            let known = self.base.find_family(array);
            if self.base.catalog().families.get(array).is_some_and(|known| Arc::ptr_eq(known, family)) {
                continue;
            }
            let written = self.written.get(array);
            let others = self.new_segments(array);
            let mut statistics = Vec::new();
            for (row, entry) in family.entries() {
                let known = known.filter(|_| self.is_known(row)).and_then(|known| known.entry(row));
                if known.is_none_or(|known| known.id != entry.id) {
                    statistics.push((self.declare(merged, array, row, entry)?, entry.statistics()));
                } else if written.is_some_and(|written| written.contains(&entry.id)) {
                    let target = self.row_of_array(merged, array, row, entry.id)?;
                    self.check_unwritten(&others, array, row, entry.id)?;
                    statistics.push((target, entry.statistics()));
                }
            }
            if let Some(family) = merged.catalog.families.get_mut(array).filter(|_| !statistics.is_empty()) {
                let family = Arc::make_mut(family);
                // Those that are not known yet are made by the flush.
                statistics
                    .iter()
                    .filter(|(_, known)| known.is_none())
                    .for_each(|(row, _)| family.forget_statistics(*row));
                family.set_statistics(statistics.into_iter().filter_map(|(row, known)| Some((row, known?))).collect());
            }
            // The draft has used up its segments' names.
            if let Some(merged) = merged.catalog.families.get_mut(array)
                && merged.next_segment < family.next_segment
            {
                Arc::make_mut(merged).next_segment = family.next_segment;
            }
        }
        Ok(())
    }

    /// Declares an array in a row of the merged catalog, which it gives.
    fn declare(&self, merged: &mut Merged, array: &str, row: u32, entry: ArrayEntry<'_>) -> Result<u32> {
        let target = self.row(merged, row)?;
        let schema = ArraySchema::clone(self.ours.schema(entry));
        merged.catalog.forget_unused(array);
        merged.catalog.next_array_id = merged.ids.of(entry.id);
        merged.catalog.define_array(target, array, schema).map_err(|error| match error {
            Error::AlreadyExists { what, name } => {
                Error::AlreadyExists { what, name: format!("{name} (another writer declared it)") }
            }
            Error::DtypeMismatch { array, expected, actual } => {
                let array = format!("{array} of dataset {} (another writer declared it)", self.ours.datasets.name(row));
                Error::DtypeMismatch { array, expected, actual }
            }
            error => error,
        })?;
        Ok(target)
    }

    /// The segments of a family that the base does not have.
    fn new_segments(&self, array: &str) -> Vec<&Segment> {
        let known = self.base.segments(array);
        let is_new = |segment: &&Segment| known.iter().all(|known| known.reference != segment.reference);
        self.newest.segments(array).iter().map(|segment| &**segment).filter(is_new).collect()
    }

    /// # Errors
    /// `Conflict` where another writer wrote to an array that the draft wrote to: what the draft read of its chunks, to
    /// write parts of them, is no longer the newest. A compaction cannot be told from a write.
    fn check_unwritten(&self, others: &[&Segment], array: &str, row: u32, id: u64) -> Result<()> {
        for segment in others.iter().filter(|segment| segment.reference.may_hold(id)) {
            if segment.index()?.chunks_of(id).next().is_some() {
                let name = self.base.dataset_name(row);
                return Err(conflict(format!(
                    "another writer wrote to array {array} of dataset {name}, or compacted it"
                )));
            }
        }
        Ok(())
    }

    /// The later commit wins: that of the draft.
    fn change_attributes(&self, merged: &mut Merged) -> Result<()> {
        for (key, rows) in self.attributes {
            for row in rows.iter().filter(|row| !self.ours.deleted.contains(row)) {
                let target = self.row(merged, *row)?;
                match self.ours.attribute(*row, key) {
                    Some(value) => merged.catalog.set_attribute(target, key, value)?,
                    None => {
                        merged.catalog.remove_attribute(target, key);
                    }
                }
            }
        }
        for column in self.ours.attributes.values() {
            let new = column.rows().partition_point(|row| self.is_known(*row));
            for row in &column.rows()[new..] {
                if let (Some(target), Some(value)) = (merged.rows.get(row), column.get(*row)) {
                    merged.catalog.set_attribute(*target, column.key(), value)?;
                }
            }
        }
        Ok(())
    }
}

fn conflict(message: String) -> Error {
    Error::Conflict { message }
}
