//! What a scan considers, what is left of it, and what it will read: the numbers of EXPLAIN.

use super::exec::AtlasScanExec;
use super::read::{self, Touched};
use crate::cut::Cut;
use crate::error::from_store;
use crate::table::{Table, TableKind};
use datafusion::error::Result;
use std::collections::BTreeMap;
use std::fmt;

/// The numbers of one scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    rows: (usize, usize),
    chunks_considered: u64,
    pub(super) touched: Touched,
    /// Whether the rows left and the reads are a bound, since a predicate over cells is still to run.
    is_bound: bool,
}

/// Counts; reads the segments' indexes, no chunk.
pub(crate) fn of(scan: &AtlasScanExec) -> Result<Cost> {
    let table = scan.table();
    let columns = scan.columns_touched();
    let mut touched = Touched::default();
    for column in &columns {
        touched += read::plan(&table.view, &table.sources[*column], scan.rows())?;
    }
    Ok(Cost {
        rows: (table.row_count(), scan.rows().len()),
        chunks_considered: chunks_considered(table, &columns, scan.columns_decided())?,
        touched,
        is_bound: scan.cell_predicate().is_some(),
    })
}

/// The chunks, in all datasets, of the arrays that these columns are about: once for each column that reads them, as
/// each is read by itself, and once where the catalog alone is asked.
fn chunks_considered(table: &Table, touched: &[usize], decided: &[usize]) -> Result<u64> {
    let mut reads: BTreeMap<usize, u64> = BTreeMap::new();
    for column in touched.iter().chain(decided) {
        let source = &table.sources[*column];
        if let Some(family) = source.family() {
            *reads.entry(family).or_default() += u64::from(!source.is_catalog());
            for dim in source.cut().into_iter().flat_map(Cut::labelled) {
                if let Some(coordinate) = table.view.coordinate(family, dim)? {
                    *reads.entry(coordinate).or_default() += 1;
                }
            }
        }
    }
    let mut chunks = 0;
    for (family, reads) in reads {
        let rows: Vec<u32> = table.view.family(family)?.entries().map(|(row, _)| row).collect();
        let name = &table.view.families[family].name;
        chunks += reads.max(1) * table.view.snapshot.chunk_totals(name, &rows).map_err(from_store)?.0;
    }
    Ok(chunks)
}

impl Cost {
    /// One line: `datasets=191→5, chunks=382→0, bytes=0`; `≤` before a bound.
    pub(crate) fn write(&self, kind: TableKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if kind == TableKind::Arrays { "arrays" } else { "datasets" };
        let bound = if self.is_bound { "≤" } else { "" };
        let Cost { rows: (considered, left), chunks_considered, touched, .. } = self;
        write!(
            f,
            "{unit}={considered}→{bound}{left}, chunks={chunks_considered}→{bound}{}, bytes={bound}{}",
            touched.chunks, touched.bytes
        )
    }
}
