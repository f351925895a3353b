//! `atlas read`: the same region of one array from many datasets, stacked.

use crate::cli::failure::say;
use crate::cli::{Failure, Output, describe, npy, runtime};
use atlas_store::{ArrayData, DType, Region, Scalar, Snapshot, Statistics, Store};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Cells are read and written in pieces of about this many bytes, so that memory stays bounded.
const PIECE_BYTES: u64 = 64 * 1024 * 1024;

/// Values and dataset names shown in a summary.
const SHOWN: usize = 4;

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

In Python: numpy.load('surface.npy'). Times are datetime64[ns], texts fixed-width unicode."
)]
pub(crate) struct Read {
    /// Directory of the store
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
}

impl Read {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let store = Store::open(&self.store)?;
        let snapshot = store.snapshot();
        let rows = self.rows(&snapshot)?;
        let region = self.region(&snapshot, &rows)?;
        let pieces = Pieces::plan(&snapshot, &self.array, &rows, region.as_ref())?;
        match &self.output {
            Some(path) => write_npy(&pieces, path),
            None => print_summary(&pieces),
        }
    }

    /// The dataset rows to read; at least one.
    fn rows(&self, snapshot: &Snapshot) -> Result<Vec<u32>, Failure> {
        let family = snapshot.family(&self.array)?;
        if let Some(datasets) = &self.datasets {
            return Ok(datasets.iter().map(|name| snapshot.dataset_row(name)).collect::<Result<_, _>>()?);
        }
        let Some(condition) = &self.condition else {
            return Ok(family.entries().map(|(row, _)| row).collect());
        };
        let chosen = runtime()?.block_on(atlas_sql::select_datasets(snapshot, condition))?;
        let rows: Vec<u32> = chosen.iter().copied().filter(|row| family.entry(*row).is_some()).collect();
        if rows.is_empty() {
            let lacking = match chosen.len() as u64 {
                0 => String::new(),
                found => format!(" and has array {} ({} without it)", self.array, describe::counted(found, "dataset")),
            };
            return Err(Failure::failed(format!("no dataset satisfies {condition}{lacking}")));
        }
        let left_out = chosen.len() - rows.len();
        if left_out > 0 {
            let left_out = describe::counted(left_out as u64, "dataset");
            say(format!("left out {left_out} without array {}", self.array));
        }
        Ok(rows)
    }

    /// The region asked for; `None` for the whole array.
    fn region(&self, snapshot: &Snapshot, rows: &[u32]) -> Result<Option<Region>, Failure> {
        let (start, shape) = match (&self.start, &self.shape) {
            (None, None) => return Ok(None),
            (Some(start), Some(shape)) => (start.clone(), shape.clone()),
            (None, Some(shape)) => (vec![0; shape.len()], shape.clone()),
            (Some(start), None) => {
                let Some(row) = rows.first() else { return Ok(None) };
                let (_, schema) = snapshot.array(snapshot.dataset_name(*row), &self.array)?;
                // A start past the end, or of another rank, is for the bounds check to name.
                let rest = |(dim, start): (usize, &u64)| {
                    schema.shape.get(dim).map_or(0, |extent| extent.saturating_sub(*start))
                };
                (start.clone(), start.iter().enumerate().map(rest).collect())
            }
        };
        if start.len() != shape.len() {
            let (starts, extents) = (start.len(), shape.len());
            return Err(Failure::usage(format!("--start has {starts} numbers and --shape {extents}: give as many")));
        }
        Ok(Some(Region::try_new(start, shape)?))
    }
}

/// A stacked read cut into reads of bounded size, each of datasets with one fill value.
struct Pieces<'a> {
    snapshot: &'a Snapshot,
    array: &'a str,
    rows: &'a [u32],
    region: Option<&'a Region>,
    dtype: DType,
    /// Leading dataset axis included.
    shape: Vec<u64>,
    chunks: u64,
    stored_bytes: u64,
    rows_per_piece: usize,
}

impl<'a> Pieces<'a> {
    fn plan(
        snapshot: &'a Snapshot,
        array: &'a str,
        rows: &'a [u32],
        region: Option<&'a Region>,
    ) -> Result<Self, Failure> {
        let plan = snapshot.plan_stacked(array, rows, region)?;
        let output = &plan.outputs()[0];
        let bytes_per_row = plan.output_bytes() / (rows.len() as u64).max(1);
        Ok(Pieces {
            snapshot,
            array,
            rows,
            region,
            dtype: output.dtype,
            shape: output.shape.clone(),
            chunks: plan.chunks(),
            stored_bytes: plan.bytes(),
            rows_per_piece: usize::try_from(PIECE_BYTES / bytes_per_row.max(1)).unwrap_or(usize::MAX).max(1),
        })
    }

    /// Reads piece by piece; `take` gets the cells and their fill value.
    fn for_each(
        &self,
        mut take: impl FnMut(&ArrayData, Option<&Scalar>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let fill = |row: u32| -> Result<Option<&Scalar>, Failure> {
            let (_, schema) = self.snapshot.array(self.snapshot.dataset_name(row), self.array)?;
            Ok(schema.fill_value.as_ref())
        };
        let mut from = 0;
        while let Some(&first) = self.rows.get(from) {
            let piece_fill = fill(first)?;
            let mut to = from + 1;
            while to < self.rows.len() && to - from < self.rows_per_piece && fill(self.rows[to])? == piece_fill {
                to += 1;
            }
            let data = self.snapshot.read_stacked(self.array, &self.rows[from..to], self.region)?;
            take(&data, piece_fill)?;
            from = to;
        }
        Ok(())
    }
}

fn write_npy(pieces: &Pieces<'_>, path: &Path) -> Result<(), Failure> {
    let mut longest_text = 0;
    if pieces.dtype == DType::String {
        // The width of a text cell stands before the first cell.
        pieces.for_each(|data, _| {
            longest_text = longest_text.max(npy::longest_text(data));
            Ok(())
        })?;
    }
    let descr = npy::Descr::of(pieces.array, pieces.dtype, longest_text)?;
    let mut file = Output::file(path)?;
    npy::write_header(&mut file, &descr, &pieces.shape)?;
    pieces.for_each(|data, _| Ok(npy::write_cells(&mut file, data, longest_text)?))?;
    file.finish()?;
    let mut out = Output::stdout();
    let shape = describe::tuple(&pieces.shape);
    writeln!(out, "wrote {}: {} {} {shape}", path.display(), pieces.array, pieces.dtype)?;
    out.finish()
}

fn print_summary(pieces: &Pieces<'_>) -> Result<(), Failure> {
    let mut cells = 0;
    let mut nulls = 0;
    let mut nans = 0;
    let (mut min, mut max): (Option<Scalar>, Option<Scalar>) = (None, None);
    let mut first = Vec::new();
    pieces.for_each(|data, fill| {
        let statistics = Statistics::of(data, fill);
        cells += statistics.row_count;
        nulls += statistics.null_count;
        nans += statistics.nan_count;
        if let Some(low) = statistics.min
            && min.as_ref().is_none_or(|min| describe::less(&low, min))
        {
            min = Some(low);
        }
        if let Some(high) = statistics.max
            && max.as_ref().is_none_or(|max| describe::less(max, &high))
        {
            max = Some(high);
        }
        let missing = SHOWN - first.len();
        first.extend((0..missing).map_while(|cell| data.scalar(cell)).map(|value| describe::scalar(&value)));
        Ok(())
    })?;
    let mut out = Output::stdout();
    writeln!(out, "array     {} {} {}", pieces.array, pieces.dtype, describe::tuple(&pieces.shape))?;
    writeln!(out, "datasets  {}", names(pieces))?;
    let (chunks, stored) = (describe::counted(pieces.chunks, "chunk"), describe::bytes(pieces.stored_bytes));
    writeln!(out, "read      {chunks}, {stored}")?;
    let not_a_number = if nans > 0 { format!(", {} NaN", describe::count(nans)) } else { String::new() };
    writeln!(out, "cells     {}, {} null{not_a_number}", describe::count(cells), describe::count(nulls))?;
    let bound = |value: &Option<Scalar>| describe::bound(value.as_ref(), true);
    writeln!(out, "min max   {}  {}", bound(&min), bound(&max))?;
    let more = if cells > first.len() as u64 { ", …" } else { "" };
    writeln!(out, "first     {}{more}", first.join(", "))?;
    out.finish()
}

/// How many datasets, and the first few of them.
fn names(pieces: &Pieces<'_>) -> String {
    let shown: Vec<&str> = pieces.rows.iter().take(SHOWN).map(|row| pieces.snapshot.dataset_name(*row)).collect();
    let more = if pieces.rows.len() > SHOWN { ", …" } else { "" };
    format!("{}: {}{more}", describe::count(pieces.rows.len() as u64), shown.join(", "))
}
