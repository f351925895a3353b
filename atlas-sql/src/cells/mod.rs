//! The tables `cells_<dims>`: a row is a cell of a dataset.
//!
//! The arrays of one list of dimension names are a [`Group`]; its table has the dataset, the attributes, a column for
//! each dimension and one for each array. A dataset's cells are its [`layout`]'s grid; what is left of the grids after
//! pruning are [`boxes`], which [`stream`] reads as batches of bounded size.

mod aggregate;
mod axes;
mod boxes;
mod cost;
mod exec;
mod group;
mod layout;
mod prune;
mod read;
mod repeated;
mod stream;
mod table;
mod tiles;
mod zones;

pub(crate) use aggregate::AggregateFromStatistics;
pub(crate) use exec::CellsScanExec;
pub(crate) use group::{Group, groups};
pub(crate) use table::CellsTable;
