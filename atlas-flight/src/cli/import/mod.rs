//! `atlas import`: NetCDF files into a store.

mod command;
mod dry_run;
mod report;

pub(crate) use command::Import;
