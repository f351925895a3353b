//! The datasets of a group, and the grid of each.

use super::group::Group;
use crate::columns::View;
use atlas_store::{ArraySchema, Region};
use datafusion::error::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// The datasets that have an array of the group, with the extents of their cells: for each dimension the largest among
/// the dataset's arrays.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// The datasets, ascending.
    rows: Vec<u32>,
    /// The grid of each dataset, as a position in `grids`.
    grid_of: Vec<u32>,
    grids: Vec<Arc<Region>>,
}

impl Layout {
    /// The layout of a group.
    ///
    /// # Cost
    /// One pass over the declarations of the group's arrays.
    pub(crate) fn new(view: &View, group: &Group) -> Result<Self> {
        let mut shapes: Vec<Vec<u64>> = Vec::new();
        let mut numbers: HashMap<Vec<u64>, u32> = HashMap::new();
        let mut of_dataset: Vec<Option<u32>> = vec![None; view.snapshot.dataset_count()];
        for family in &group.families {
            // What a grid becomes together with a declaration: few of either, so that most datasets are a look-up.
            let mut joined: HashMap<(Option<u32>, *const ArraySchema), Option<u32>> = HashMap::new();
            let mut last = None;
            for (row, entry) in view.family(*family)?.entries() {
                let schema = view.snapshot.schema(entry);
                let grid = &mut of_dataset[row as usize];
                let key = (*grid, std::ptr::from_ref(schema));
                if let Some((before, outcome)) = last
                    && before == key
                {
                    *grid = outcome;
                    continue;
                }
                *grid = *joined.entry(key).or_insert_with(|| {
                    if schema.dims != group.dims {
                        return *grid;
                    }
                    let mut shape = schema.shape.clone();
                    if let Some(own) = grid.and_then(|grid| shapes.get(grid as usize)) {
                        shape.iter_mut().zip(own).for_each(|(extent, own)| *extent = (*extent).max(*own));
                    }
                    let number = *numbers.entry(shape.clone()).or_insert_with(|| {
                        shapes.push(shape);
                        u32::try_from(shapes.len() - 1).unwrap_or(u32::MAX)
                    });
                    Some(number)
                });
                last = Some((key, *grid));
            }
        }
        let mut layout =
            Layout { grids: shapes.iter().map(|shape| Arc::new(Region::full(shape))).collect(), ..Layout::default() };
        for (row, grid) in (0u32..).zip(of_dataset) {
            if let Some(grid) = grid {
                layout.rows.push(row);
                layout.grid_of.push(grid);
            }
        }
        Ok(layout)
    }

    /// The datasets, ascending.
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The grid of a dataset; `None` where it has no array of the group.
    pub(crate) fn grid(&self, row: u32) -> Option<&Arc<Region>> {
        self.grids.get(self.grid_of[self.place(row)? as usize] as usize)
    }

    /// The position of a dataset among [`Self::rows`].
    pub(crate) fn place(&self, row: u32) -> Option<u32> {
        // Where every dataset is in the group, its place is its row.
        if self.rows.get(row as usize) == Some(&row) {
            return Some(row);
        }
        u32::try_from(self.rows.binary_search(&row).ok()?).ok()
    }
}
