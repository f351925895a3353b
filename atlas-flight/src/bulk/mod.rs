//! Stacked reads over plain Flight.
//!
//! [`request`] is what a client asks for, [`criteria`] what it asks to be listed. `plan` turns it into tickets, each for a range of datasets, without reading a
//! cell of the arrays asked for; `read` streams what a ticket names. `column` and `coordinates` make the schema of both,
//! so that what is announced is what is delivered.
//!
//! # Shape
//! One row a dataset: `dataset` and a column for each array. With a region, or where all datasets share the array's
//! shape, a column is a fixed-shape tensor; else a variable-shape tensor.
//!
//! # Missing
//! [`request::Missing`] says what becomes of datasets that lack an array. Cells are as stored: the fill value stays, and
//! the column's metadata names it.

pub mod criteria;
pub mod request;

mod column;
mod coordinates;
mod given;
mod list;
mod memory;
mod plan;
mod read;
mod selection;
mod stores;

pub(crate) use given::Given;
pub(crate) use list::list;
pub(crate) use plan::plan;
pub(crate) use read::read;
pub(crate) use stores::Stores;
