//! What the next flush would commit, before it does.

use crate::attribute::Attribute;
use crate::catalog::{ArrayEntry, Catalog};
use crate::error::Result;
use crate::schema::ArraySchema;
use std::fmt;

/// The metadata of a store with the unflushed changes of one handle; of the handle's snapshot where there are none.
///
/// Rows are those of the changes in the making: they hold until the next change, and are not those of a snapshot.
pub struct Current<'a> {
    catalog: &'a Catalog,
}

impl fmt::Debug for Current<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("datasets", &self.dataset_count()).finish_non_exhaustive()
    }
}

impl<'a> Current<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        Current { catalog }
    }

    /// How many datasets there are.
    pub fn dataset_count(&self) -> usize {
        self.catalog.datasets.len() - self.catalog.deleted.len()
    }

    /// The datasets' names, in the order in which they were created.
    pub fn dataset_names(&self) -> impl Iterator<Item = &'a str> {
        let Catalog { datasets, deleted, .. } = self.catalog;
        (0u32..).zip(datasets.iter()).filter(|(row, _)| !deleted.contains(row)).map(|(_, name)| name)
    }

    /// The row of a dataset.
    ///
    /// # Errors
    /// `NotFound` if there is no such dataset.
    pub fn dataset_row(&self, name: &str) -> Result<u32> {
        self.catalog.dataset_row(name)
    }

    /// The names of the arrays that some dataset has, sorted.
    pub fn families(&self) -> impl Iterator<Item = &'a str> {
        self.catalog.families.iter().filter(|(_, family)| !family.is_empty()).map(|(name, _)| name.as_str())
    }

    /// The names of a dataset's arrays, in the order in which they were declared.
    pub fn array_names(&self, row: u32) -> Vec<&'a str> {
        let families = self.catalog.families.iter();
        let mut arrays: Vec<(u64, &str)> =
            families.filter_map(|(name, family)| Some((family.entry(row)?.id, name.as_str()))).collect();
        arrays.sort_unstable();
        arrays.into_iter().map(|(_, name)| name).collect()
    }

    /// An array of a dataset, and its declaration. The entry has no statistics from the first write to it to the flush.
    pub fn find_array(&self, row: u32, array: &str) -> Option<(ArrayEntry<'a>, &'a ArraySchema)> {
        let entry = self.catalog.families.get(array)?.entry(row)?;
        Some((entry, self.catalog.schema(entry)))
    }

    /// One attribute of a dataset.
    pub fn attribute(&self, row: u32, key: &str) -> Option<Attribute> {
        self.catalog.attribute(row, key)
    }

    /// All attributes of a dataset, by key.
    pub fn attributes(&self, row: u32) -> Vec<(String, Attribute)> {
        let columns = self.catalog.attributes.values();
        columns.filter_map(|column| Some((column.key().to_string(), column.get(row)?))).collect()
    }
}
