//! `atlas rm`: datasets, or arrays of them, deleted.

use crate::cli::{Failure, Output, commit, describe};
use atlas_store::Store;
use clap::Args;
use std::io::Write;

/// Delete datasets, or one array of them.
///
/// All of them, or none: a dataset that does not exist stops the command before anything is deleted. The space is given
/// back by `atlas compact`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atlas rm fleet cast_0001 cast_0002
  atlas rm fleet cast_0001 --array salinity")]
pub(crate) struct Rm {
    /// Directory of the store
    store: String,
    /// Datasets to delete
    #[arg(required = true, value_name = "DATASET")]
    datasets: Vec<String>,
    /// Delete only this array of them
    #[arg(long)]
    array: Option<String>,
}

impl Rm {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let store = Store::open(&self.store)?;
        for dataset in &self.datasets {
            match &self.array {
                Some(array) => store.delete_array(dataset, array)?,
                None => store.delete_dataset(dataset)?,
            }
        }
        let report = commit(&store)?;
        let mut out = Output::stdout();
        let datasets = describe::counted(self.datasets.len() as u64, "dataset");
        let snapshot = report.snapshot;
        match &self.array {
            Some(array) => writeln!(out, "deleted array {array} of {datasets} (snapshot {snapshot})")?,
            None => writeln!(out, "deleted {datasets} (snapshot {snapshot})")?,
        }
        out.finish()
    }
}
