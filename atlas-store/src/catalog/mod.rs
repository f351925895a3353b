//! The catalog in memory: datasets, declarations, attributes, statistics, live segments. No I/O.
//!
//! Datasets are rows, numbered in insertion order; everything about them is in columns over those rows. The columns are
//! shared between snapshots and copied only when they are changed.

mod attributes;
mod bounds;
mod compact;
mod datasets;
mod family;
mod statistics;

pub use attributes::{AttributeColumn, AttributeValues};
#[cfg(test)]
pub(crate) use bounds::get as bound;
pub use compact::Compact;
pub(crate) use datasets::DatasetNames;
pub(crate) use family::SegmentRef;
pub use family::{ArrayEntry, Family};
pub use statistics::{StatisticsColumns, Sums};

use crate::attribute::{Attribute, AttributeType, check_key};
use crate::codec::Codec;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::schema::{ArraySchema, check_name, directory_name};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// One state of a store's metadata.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    pub(crate) snapshot: u64,
    pub(crate) codec: Codec,
    pub(crate) next_array_id: u64,
    pub(crate) datasets: Arc<DatasetNames>,
    pub(crate) schemas: Vec<Arc<ArraySchema>>,
    pub(crate) families: BTreeMap<String, Arc<Family>>,
    pub(crate) attributes: BTreeMap<(String, AttributeType), Arc<AttributeColumn>>,
    /// Segments that this catalog does not need and that readers of an earlier one may.
    pub(crate) retired: Vec<RetiredSegment>,
    /// Rows of datasets deleted since the last [`Catalog::settle`].
    pub(crate) deleted: HashSet<u32>,
    /// Schema numbers by schema; made when the first array is defined.
    pub(crate) interned: Option<HashMap<Arc<ArraySchema>, u32>>,
}

/// A segment that was live until a compaction, or until the last array of its family was deleted and the name used anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetiredSegment {
    pub(crate) object: String,
    pub(crate) bytes: u64,
    /// When it was retired, in seconds since the epoch.
    pub(crate) since: u64,
}

impl RetiredSegment {
    /// A segment that is retired now.
    pub(crate) fn now(segment: SegmentRef) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        RetiredSegment { object: segment.object, bytes: segment.bytes, since }
    }
}

impl Catalog {
    /// The segments that this catalog or a reader of an earlier one needs.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &str> {
        let live = self.families.values().flat_map(|family| &family.segments).map(|segment| segment.object.as_str());
        live.chain(self.retired.iter().map(|retired| retired.object.as_str()))
    }

    /// Bytes of segments that only readers of earlier catalogs need.
    pub(crate) fn retired_bytes(&self) -> u64 {
        self.retired.iter().fold(0, |sum, retired| sum.saturating_add(retired.bytes))
    }

    /// Whether an object is one of [`Self::objects`].
    pub(crate) fn names(&self, object: &str) -> bool {
        self.objects().any(|named| named == object)
    }

    pub(crate) fn find_dataset(&self, name: &str) -> Option<u32> {
        self.datasets.find(name)
    }

    pub(crate) fn dataset_row(&self, name: &str) -> Result<u32> {
        self.find_dataset(name).ok_or_else(|| Error::not_found("dataset", name))
    }

    pub(crate) fn family(&self, array: &str) -> Result<&Family> {
        self.families.get(array).map(|family| &**family).ok_or_else(|| Error::not_found("array", array))
    }

    /// The declarations of a family's arrays, each once.
    pub(crate) fn declarations(&self, family: &Family) -> Vec<&ArraySchema> {
        let numbers = match family.schemas() {
            Compact::All(number, count) => Vec::from_iter((*count > 0).then_some(*number)),
            Compact::Each(numbers) => {
                let mut seen = vec![false; self.schemas.len()];
                numbers.iter().copied().filter(|number| !std::mem::replace(&mut seen[*number as usize], true)).collect()
            }
        };
        numbers.into_iter().map(|number| &*self.schemas[number as usize]).collect()
    }

    pub(crate) fn schema(&self, entry: ArrayEntry<'_>) -> &Arc<ArraySchema> {
        // Entries are made with a schema number that exists, and checked when a catalog is read.
        &self.schemas[entry.schema as usize]
    }

    pub(crate) fn array(&self, row: u32, array: &str) -> Result<(ArrayEntry<'_>, &Arc<ArraySchema>)> {
        let entry = self
            .families
            .get(array)
            .and_then(|family| family.entry(row))
            .ok_or_else(|| Error::not_found("array", format!("{array} in dataset {}", self.datasets.name(row))))?;
        Ok((entry, self.schema(entry)))
    }

    pub(crate) fn attribute(&self, row: u32, key: &str) -> Option<Attribute> {
        let first = (key.to_string(), AttributeType::Bool);
        let columns = self.attributes.range(first..).take_while(|((other, _), _)| other == key);
        columns.map(|(_, column)| column).find_map(|column| column.get(row))
    }

    pub(crate) fn create_dataset(&mut self, name: &str) -> Result<u32> {
        check_name("dataset", name)?;
        if self.find_dataset(name).is_some() {
            return Err(Error::AlreadyExists { what: "dataset", name: name.into() });
        }
        Arc::make_mut(&mut self.datasets).push(name)
    }

    /// Takes a dataset's arrays, attributes and name away. Its row stays, unused, until [`Catalog::settle`].
    pub(crate) fn delete_dataset(&mut self, row: u32) {
        for family in self.families.values_mut() {
            if family.entry(row).is_some() {
                Arc::make_mut(family).remove(row);
            }
        }
        for column in self.attributes.values_mut() {
            if column.get(row).is_some() {
                Arc::make_mut(column).remove(row);
            }
        }
        Arc::make_mut(&mut self.datasets).forget(row);
        self.deleted.insert(row);
    }

    /// Declares an array; its id is new in the whole life of the store.
    pub(crate) fn define_array(&mut self, row: u32, array: &str, schema: ArraySchema) -> Result<u64> {
        check_name("array", array)?;
        schema.check(array)?;
        if let Some(family) = self.families.get(array) {
            if family.entry(row).is_some() {
                let name = format!("{array} in dataset {}", self.datasets.name(row));
                return Err(Error::AlreadyExists { what: "array", name });
            }
            if family.dtype() != schema.dtype {
                return Err(Error::DtypeMismatch {
                    array: array.into(),
                    expected: family.dtype().to_string(),
                    actual: schema.dtype.to_string(),
                });
            }
        }
        let dtype = schema.dtype;
        let schema = self.intern(schema)?;
        if !self.families.contains_key(array) {
            let family = self.new_family(array, dtype);
            self.families.insert(array.to_string(), Arc::new(family));
        }
        let family = self.families.get_mut(array).ok_or_else(|| Error::not_found("array", array))?;
        let id = self.next_array_id;
        self.next_array_id += 1;
        Arc::make_mut(family).insert(row, id, schema);
        Ok(id)
    }

    /// A family with a directory that is neither another one's, also where a file system ignores case, nor a file of the
    /// store's own; and whose segments are not named like those that readers of earlier snapshots may need.
    fn new_family(&self, array: &str, dtype: DType) -> Family {
        let plain = directory_name(array, false);
        let is_taken = plain.to_ascii_lowercase().starts_with("atlas.")
            || self.families.values().any(|family| family.directory.eq_ignore_ascii_case(&plain));
        let directory = if is_taken { directory_name(array, true) } else { plain };
        let mut family = Family::new(array.to_string(), dtype, directory);
        while self.retired.iter().any(|retired| retired.object.eq_ignore_ascii_case(&family.segment_name())) {
            family.next_segment += 1;
        }
        family
    }

    /// Forgets a family that no dataset has (any more): it must not bind anybody to its dtype. What is stored of it is
    /// retired. Tells whether there was one.
    pub(crate) fn forget_unused(&mut self, array: &str) -> bool {
        if !self.families.get(array).is_some_and(|family| family.is_empty()) {
            return false;
        }
        if let Some(family) = self.families.remove(array) {
            self.retired.extend(family.segments.iter().cloned().map(RetiredSegment::now));
        }
        true
    }

    fn intern(&mut self, schema: ArraySchema) -> Result<u32> {
        let schemas = &self.schemas;
        let interned = self.interned.get_or_insert_with(|| schemas.iter().cloned().zip(0u32..).collect());
        if let Some(number) = interned.get(&schema) {
            return Ok(*number);
        }
        let number = u32::try_from(self.schemas.len())
            .map_err(|_| Error::LimitExceeded { message: "a store holds at most 2^32 different schemas".into() })?;
        let schema = Arc::new(schema);
        interned.insert(schema.clone(), number);
        self.schemas.push(schema);
        Ok(number)
    }

    pub(crate) fn delete_array(&mut self, row: u32, array: &str) -> Result<()> {
        self.array(row, array)?;
        if let Some(family) = self.families.get_mut(array) {
            Arc::make_mut(family).remove(row);
        }
        Ok(())
    }

    pub(crate) fn set_attribute(&mut self, row: u32, key: &str, value: Attribute) -> Result<()> {
        check_key(key)?;
        let kind = value.kind();
        for other in AttributeType::ALL.into_iter().filter(|other| *other != kind) {
            self.remove_from(row, key, other);
        }
        let column = self
            .attributes
            .entry((key.to_string(), kind))
            .or_insert_with(|| Arc::new(AttributeColumn::new(key.to_string(), kind)));
        Arc::make_mut(column).set(row, value);
        Ok(())
    }

    pub(crate) fn remove_attribute(&mut self, row: u32, key: &str) -> bool {
        AttributeType::ALL.into_iter().fold(false, |removed, kind| self.remove_from(row, key, kind) | removed)
    }

    fn remove_from(&mut self, row: u32, key: &str, kind: AttributeType) -> bool {
        let id = (key.to_string(), kind);
        let Some(column) = self.attributes.get_mut(&id).filter(|column| column.get(row).is_some()) else {
            return false;
        };
        let column = Arc::make_mut(column);
        column.remove(row);
        if column.is_empty() {
            self.attributes.remove(&id);
        }
        true
    }

    /// Drops the rows of deleted datasets and the schemas that nothing uses, and renumbers.
    pub(crate) fn settle(&mut self) {
        self.drop_unused_schemas();
        if !self.deleted.is_empty() {
            self.drop_deleted();
        }
        self.share_rows();
    }

    /// Lets the columns that every dataset has a value in have one list of rows.
    fn share_rows(&mut self) {
        let datasets = self.datasets.len();
        let families = self.families.values().map(|family| family.shared_rows());
        let attributes = self.attributes.values().map(|column| column.shared_rows());
        let Some(rows) = families.chain(attributes).find(|rows| rows.len() == datasets).cloned() else { return };
        // A column that is shared itself was not changed: it has shared rows.
        let families = self.families.values_mut().filter_map(Arc::get_mut).map(Family::rows_mut);
        let attributes = self.attributes.values_mut().filter_map(Arc::get_mut).map(AttributeColumn::rows_mut);
        families.chain(attributes).filter(|own| own.len() == datasets).for_each(|own| *own = Arc::clone(&rows));
    }

    fn drop_deleted(&mut self) {
        let deleted = std::mem::take(&mut self.deleted);
        let mut new_row = 0u32;
        let rows: Vec<Option<u32>> = (0..self.datasets.len())
            .map(|row| {
                let gone = u32::try_from(row).is_ok_and(|row| deleted.contains(&row));
                (!gone).then(|| {
                    new_row += 1;
                    new_row - 1
                })
            })
            .collect();
        let renumber = |row: u32| rows.get(row as usize).copied().flatten();
        Arc::make_mut(&mut self.datasets).retain(&renumber);
        for family in self.families.values_mut() {
            Arc::make_mut(family).renumber(&renumber);
        }
        self.attributes.retain(|_, column| !column.is_empty());
        for column in self.attributes.values_mut() {
            Arc::make_mut(column).renumber(&renumber);
        }
    }

    fn drop_unused_schemas(&mut self) {
        let mut used = vec![false; self.schemas.len()];
        for family in self.families.values() {
            family.schemas().iter().for_each(|schema| used[schema as usize] = true);
        }
        if used.iter().all(|used| *used) {
            return;
        }
        let mut next = 0u32;
        let numbers: Vec<u32> = used
            .iter()
            .map(|used| {
                let number = next;
                next += u32::from(*used);
                number
            })
            .collect();
        for family in self.families.values_mut() {
            Arc::make_mut(family).map_schemas(&numbers);
        }
        let mut used = used.into_iter();
        self.schemas.retain(|_| used.next().unwrap_or(false));
        self.interned = None;
    }
}
