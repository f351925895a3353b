//! The tables `attributes` and `chunks`: many rows of each dataset, made while they are asked for.
//!
//! A listing has *parts* (attribute keys, arrays) that some datasets have. A dataset and a part are a *pair*, which has
//! one row or several. Predicates over the dataset's name and over what a part decides choose datasets and parts while
//! planning, others over both choose pairs, and only what is left is looked up ([`rows`]).

mod attributes;
mod chunks;
mod exec;
mod rows;
mod table;

pub(crate) use table::ListingTable;

use crate::columns::View;
use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use std::fmt;
use std::sync::Arc;

/// A part and the row of a dataset that has it.
pub(crate) type Pair = (u32, u32);

/// Some rows of some pairs.
pub(crate) struct Rows {
    /// The pair of each row, as its position in the list that was asked for.
    pub(crate) pairs: Vec<u32>,
    /// The columns that were asked for.
    pub(crate) columns: Vec<ArrayRef>,
}

/// What one of the tables lists. Column 0 is the dataset, then come the columns that a part decides, then the others.
pub(crate) trait Listing: fmt::Debug + Send + Sync {
    /// The table's name.
    fn name(&self) -> &'static str;

    /// What EXPLAIN calls pairs.
    fn unit(&self) -> &'static str;

    /// The columns.
    fn schema(&self) -> &SchemaRef;

    /// The snapshot that is listed.
    fn view(&self) -> &Arc<View>;

    /// How many columns a part decides.
    fn part_columns(&self) -> usize;

    /// A column that a part decides, over all parts; the first is column 1.
    fn part_column(&self, column: usize) -> Result<ArrayRef>;

    /// How many parts there are.
    fn part_count(&self) -> usize;

    /// The rows of the datasets that have a part, ascending.
    fn datasets(&self, part: u32) -> Result<&[u32]>;

    /// Whether each pair has exactly one row.
    fn is_one_to_one(&self) -> bool;

    /// Gives the rows of these pairs to `emit`, at most `most` at a time, until it says `false`; `columns` are some of
    /// those that neither the dataset nor the part decides. Returns whether `emit` wants more.
    fn list(
        &self,
        pairs: &[Pair],
        columns: &[usize],
        most: usize,
        emit: &mut dyn FnMut(Rows) -> Result<bool>,
    ) -> Result<bool>;
}
