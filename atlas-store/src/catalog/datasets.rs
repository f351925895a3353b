//! The names of datasets, by row and by name.

use crate::cells::VarCells;
use crate::error::{Error, Result};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use std::sync::OnceLock;

/// Dataset names in row order, with an index by name that is built when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct DatasetNames {
    names: VarCells,
    index: OnceLock<Index>,
}

#[derive(Debug, Clone, Default)]
struct Index {
    rows: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Clone for DatasetNames {
    fn clone(&self) -> Self {
        DatasetNames {
            names: self.names.clone(),
            index: self.index.get().cloned().map(OnceLock::from).unwrap_or_default(),
        }
    }
}

impl Index {
    /// The index of these names, and whether two of them are equal.
    fn of(names: &VarCells) -> (Self, bool) {
        let hasher = DefaultHashBuilder::default();
        let mut rows = HashTable::with_capacity(names.len());
        let mut has_duplicates = false;
        for (row, name) in (0u32..).zip(names.iter()) {
            let is_equal = |other: &u32| names.get(*other as usize) == name;
            let rehash = |other: &u32| hasher.hash_one(names.get(*other as usize));
            match rows.entry(hasher.hash_one(name), is_equal, rehash) {
                Entry::Occupied(_) => has_duplicates = true,
                Entry::Vacant(vacant) => {
                    vacant.insert(row);
                }
            }
        }
        (Index { rows, hasher }, has_duplicates)
    }
}

impl DatasetNames {
    /// The names of a catalog; `None` where two are equal.
    pub(crate) fn try_new(names: VarCells) -> Option<Self> {
        let (index, has_duplicates) = Index::of(&names);
        (!has_duplicates).then(|| DatasetNames { names, index: OnceLock::from(index) })
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name of a row; empty out of range.
    pub(crate) fn name(&self, row: u32) -> &str {
        // Names come in as `str` and from catalogs whose text was checked.
        std::str::from_utf8(self.names.get(row as usize)).unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| std::str::from_utf8(name).unwrap_or_default())
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::of(&self.names).0)
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let index = self.index();
        let hash = index.hasher.hash_one(name.as_bytes());
        index.rows.find(hash, |row| self.names.get(*row as usize) == name.as_bytes()).copied()
    }

    /// Appends a name that is not there yet.
    pub(crate) fn push(&mut self, name: &str) -> Result<u32> {
        let row = u32::try_from(self.names.len())
            .map_err(|_| Error::LimitExceeded { message: "a store holds at most 2^32 datasets".into() })?;
        self.index();
        self.names.push(name.as_bytes());
        if let Some(index) = self.index.get_mut() {
            let hasher = &index.hasher;
            let hash = hasher.hash_one(name.as_bytes());
            index.rows.insert_unique(hash, row, |row| hasher.hash_one(self.names.get(*row as usize)));
        }
        Ok(row)
    }

    /// Takes a row out of the index, so that its name is free again.
    pub(crate) fn forget(&mut self, row: u32) {
        self.index();
        if let Some(index) = self.index.get_mut() {
            let hash = index.hasher.hash_one(self.names.get(row as usize));
            if let Ok(found) = index.rows.find_entry(hash, |other| *other == row) {
                found.remove();
            }
        }
    }

    /// Keeps the rows that have a new number.
    pub(crate) fn retain(&mut self, renumber: &impl Fn(u32) -> Option<u32>) {
        let kept = (0u32..).zip(self.names.iter()).filter(|(row, _)| renumber(*row).is_some()).map(|(_, name)| name);
        self.names = kept.collect();
        self.index = OnceLock::new();
    }
}
