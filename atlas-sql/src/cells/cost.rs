//! What a scan considers, what is left of it, and what it will read: the numbers of EXPLAIN.

use super::exec::CellsScanExec;
use super::read;
use crate::error::from_store;
use crate::scan::Touched;
use datafusion::error::Result;
use std::fmt;

/// The numbers of one scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    datasets: (usize, usize),
    chunks_considered: u64,
    pub(super) touched: Touched,
}

/// Counts; reads the segments' indexes, no chunk.
pub(crate) fn of(scan: &CellsScanExec) -> Result<Cost> {
    let mut cost = considered(scan)?;
    for column in scan.columns_touched() {
        cost.touched += read::touched(scan.table(), column, scan.pieces())?;
    }
    Ok(cost)
}

/// The same, where nothing is read.
pub(crate) fn considered(scan: &CellsScanExec) -> Result<Cost> {
    let table = scan.table();
    let mut chunks_considered = 0;
    for column in scan.columns_touched() {
        let Some(family) = column.family() else { continue };
        let mut rows = Vec::new();
        for row in table.layout.rows() {
            if table.declaration(column, *row)?.is_some() {
                rows.push(*row);
            }
        }
        let name = &table.view.families[family].name;
        chunks_considered += table.view.snapshot.chunk_totals(name, &rows).map_err(from_store)?.0;
    }
    let mut left: Vec<u32> = scan.pieces().iter().map(|piece| piece.row).collect();
    left.dedup();
    let datasets = (table.layout.rows().len(), left.len());
    Ok(Cost { datasets, chunks_considered, touched: Touched::default() })
}

impl fmt::Display for Cost {
    /// One line: `datasets=191→5, chunks=382→10, bytes=81920`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { datasets: (considered, left), chunks_considered, touched } = self;
        write!(
            f,
            "datasets={considered}→{left}, chunks={chunks_considered}→{}, bytes={}",
            touched.chunks, touched.bytes
        )
    }
}
