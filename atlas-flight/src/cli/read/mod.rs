//! `atlas read`: the same region of one array from many datasets, stacked.

mod local;
mod remote;
mod report;

use crate::cli::Failure;
use crate::cli::describe;
use crate::cli::failure::say;
use crate::cli::remote::ServerFlags;
use atlas_store::{ArrayData, DType, Region, Scalar};
use clap::Args;
use std::path::PathBuf;

/// Read the same region of an array from many datasets, as one array.
///
/// The first axis of the result is the dataset: in the order of --datasets, else in the order in which the datasets
/// were added. Without --datasets and --where, every dataset that has the array is read. Without -o, a summary is
/// printed.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  atlas read fleet temperature
  atlas read fleet temperature --start 0,0 --shape 10,24 -o surface.npy
  atlas read fleet temperature --datasets cast_0001,cast_0007
  atlas read fleet salinity --where 'month = 7 AND stat_max(temperature) > 28' -o july.npy
  atlas read grpc://127.0.0.1:50051/fleet temperature --shape 10,24 -o surface.npy

In Python: numpy.load('surface.npy'). Times are datetime64[ns], texts fixed-width unicode."
)]
pub(crate) struct Read {
    /// Directory or URL of the store, or grpc://HOST:PORT/NAME for one on a server
    store: String,
    /// Name of the array
    array: String,
    /// The datasets to read, in this order
    #[arg(long, value_delimiter = ',', value_name = "A,B,..", conflicts_with = "condition")]
    datasets: Option<Vec<String>>,
    /// Read the datasets that satisfy this SQL condition over attributes and statistics
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// First cell of the region, one index a dimension [default: 0 each]
    #[arg(long, value_delimiter = ',', value_name = "I,J,..")]
    start: Option<Vec<u64>>,
    /// Extent of the region, one a dimension [default: up to the end]
    #[arg(long, value_delimiter = ',', value_name = "N,M,..")]
    shape: Option<Vec<u64>>,
    /// Write a numpy file
    #[arg(short, long, value_name = "FILE.npy")]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: ServerFlags,
}

/// Arrays of one shape, one a dataset, that are read front to back.
trait Stack {
    /// The array's name.
    fn array(&self) -> &str;
    /// The type of its cells.
    fn dtype(&self) -> DType;
    /// The number of datasets, and the shape of each one's array.
    fn shape(&self) -> &[u64];
    /// Reads piece by piece; `take` gets the cells of some datasets, and their fill value. What is read is the same each
    /// time.
    fn for_each(&mut self, take: &mut Take<'_>) -> Result<(), Failure>;
    /// The names of the first few datasets, once they have been read.
    fn first_names(&self) -> Vec<String>;
    /// What reading took, once that is done.
    fn cost(&self) -> String;
}

/// What is done with the cells of some datasets and their fill value.
type Take<'a> = dyn FnMut(&ArrayData, Option<&Scalar>) -> Result<(), Failure> + 'a;

/// Dataset names shown in a summary.
const SHOWN: usize = 4;

impl Read {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.server.server(&self.store)? {
            Some(address) => self.report(&mut remote::Remote::plan(&self, &address)?),
            None => {
                let local = local::Local::open(&self)?;
                self.report(&mut local.pieces(&self.array)?)
            }
        }
    }

    fn report(&self, stack: &mut dyn Stack) -> Result<(), Failure> {
        match &self.output {
            Some(path) => report::write_npy(stack, path),
            None => report::print_summary(stack),
        }
    }

    /// The region asked for; `None` for the whole array. `extent` tells the shape of the first dataset's array, where that
    /// is needed; it has none where there are no datasets.
    fn region(&self, extent: impl FnOnce() -> Result<Option<Vec<u64>>, Failure>) -> Result<Option<Region>, Failure> {
        let (start, shape) = match (&self.start, &self.shape) {
            (None, None) => return Ok(None),
            (Some(start), Some(shape)) => (start.clone(), shape.clone()),
            (None, Some(shape)) => (vec![0; shape.len()], shape.clone()),
            (Some(start), None) => {
                let Some(extents) = extent()? else { return Ok(None) };
                // A start past the end, or of another rank, is for the bounds check to name.
                let rest =
                    |(dim, start): (usize, &u64)| extents.get(dim).map_or(0, |extent| extent.saturating_sub(*start));
                (start.clone(), start.iter().enumerate().map(rest).collect())
            }
        };
        if start.len() != shape.len() {
            let (starts, extents) = (start.len(), shape.len());
            return Err(Failure::usage(format!("--start has {starts} numbers and --shape {extents}: give as many")));
        }
        Ok(Some(Region::try_new(start, shape)?))
    }

    /// The failure of a condition that chooses no dataset with the array, where so many satisfy it.
    fn nothing_chosen(&self, condition: &str, satisfying: u64) -> Failure {
        let lacking = match satisfying {
            0 => String::new(),
            found => format!(" and has array {} ({} without it)", self.array, describe::counted(found, "dataset")),
        };
        Failure::failed(format!("no dataset satisfies {condition}{lacking}"))
    }

    /// Tells how many datasets that satisfy the condition have no such array.
    fn tell_left_out(&self, count: u64) {
        if count > 0 {
            let left_out = describe::counted(count, "dataset");
            say(format!("left out {left_out} without array {}", self.array));
        }
    }
}
