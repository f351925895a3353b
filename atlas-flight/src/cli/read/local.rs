//! The stacked read of a store in this process.

use super::{Read, SHOWN, Stack, Take};
use crate::cli::{Failure, describe, runtime};
use atlas_store::{DType, Region, Scalar, Snapshot, Store};

/// Cells are read and written in pieces of about this many bytes, so that memory stays bounded.
const PIECE_BYTES: u64 = 64 * 1024 * 1024;

/// Which datasets of which snapshot are read, and which region of their arrays.
pub(super) struct Local {
    snapshot: Snapshot,
    rows: Vec<u32>,
    region: Option<Region>,
}

impl Local {
    pub(super) fn open(read: &Read) -> Result<Self, Failure> {
        let snapshot = Store::open(&read.store)?.snapshot();
        let rows = rows(read, &snapshot)?;
        let extent = || {
            let Some(row) = rows.first() else { return Ok(None) };
            let (_, schema) = snapshot.array(snapshot.dataset_name(*row), &read.array)?;
            Ok(Some(schema.shape.clone()))
        };
        let region = read.region(extent)?;
        Ok(Local { snapshot, rows, region })
    }

    pub(super) fn pieces<'a>(&'a self, array: &'a str) -> Result<Pieces<'a>, Failure> {
        Pieces::plan(&self.snapshot, array, &self.rows, self.region.as_ref())
    }
}

/// The dataset rows to read; at least one.
fn rows(read: &Read, snapshot: &Snapshot) -> Result<Vec<u32>, Failure> {
    let family = snapshot.family(&read.array)?;
    if let Some(datasets) = &read.datasets {
        return Ok(datasets.iter().map(|name| snapshot.dataset_row(name)).collect::<Result<_, _>>()?);
    }
    let Some(condition) = &read.condition else {
        return Ok(family.entries().map(|(row, _)| row).collect());
    };
    let chosen = runtime()?.block_on(atlas_sql::select_datasets(snapshot, condition))?;
    let rows: Vec<u32> = chosen.iter().copied().filter(|row| family.entry(*row).is_some()).collect();
    if rows.is_empty() {
        return Err(read.nothing_chosen(condition, chosen.len() as u64));
    }
    read.tell_left_out((chosen.len() - rows.len()) as u64);
    Ok(rows)
}

/// A stacked read cut into reads of bounded size, each of datasets with one fill value.
pub(super) struct Pieces<'a> {
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
        let bytes_per_row = plan.output_bytes() / (rows.len() as u64).max(1);
        Ok(Pieces {
            snapshot,
            array,
            rows,
            region,
            dtype: snapshot.family(array)?.dtype(),
            shape: plan.outputs().next().map(|output| output.shape.to_vec()).unwrap_or_default(),
            chunks: plan.chunks(),
            stored_bytes: plan.bytes(),
            rows_per_piece: usize::try_from(PIECE_BYTES / bytes_per_row.max(1)).unwrap_or(usize::MAX).max(1),
        })
    }
}

impl Stack for Pieces<'_> {
    fn array(&self) -> &str {
        self.array
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    fn for_each(&mut self, take: &mut Take<'_>) -> Result<(), Failure> {
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

    fn first_names(&self) -> Vec<String> {
        self.rows.iter().take(SHOWN).map(|row| self.snapshot.dataset_name(*row).to_owned()).collect()
    }

    fn cost(&self) -> String {
        format!("{}, {}", describe::counted(self.chunks, "chunk"), describe::bytes(self.stored_bytes))
    }
}
