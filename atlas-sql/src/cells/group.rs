//! Which arrays share their dimensions, and what their table is called.

use crate::columns::View;
use std::collections::{BTreeMap, BTreeSet};

/// The arrays of one list of dimension names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The table's name.
    pub(crate) name: String,
    pub(crate) dims: Vec<String>,
    /// The families that have exactly these dimensions in some dataset, as positions in the view, ascending. One with
    /// other dimensions in other datasets is in several groups.
    pub(crate) families: Vec<usize>,
}

/// The groups of a store, by dimension names.
///
/// The table is `cells_` and the names with `_` between them; `cells` for rank 0. Where two lists give one name, the
/// first in the order of the lists keeps it and the others end in `@2`, `@3`, ….
///
/// # Cost
/// One pass over the declarations of all arrays at most.
pub(crate) fn groups(view: &View) -> Vec<Group> {
    let mut found: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
    for (position, family) in view.families.iter().enumerate() {
        let Some(stored) = view.snapshot.find_family(&family.name) else { continue };
        for schema in view.snapshot.declarations(stored) {
            let families = found.entry(schema.dims.clone()).or_default();
            if families.last() != Some(&position) {
                families.push(position);
            }
        }
    }
    let mut taken = BTreeSet::new();
    found
        .into_iter()
        .map(|(dims, families)| {
            let plain = if dims.is_empty() { "cells".to_string() } else { format!("cells_{}", dims.join("_")) };
            let mut name = plain.clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{plain}@{number}");
                number += 1;
            }
            Group { name, dims, families }
        })
        .collect()
}
