//! What a plan will read, before it does, and what it has read.

use crate::cells::CellsScanExec;
use crate::scan::{AtlasScanExec, Touched};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use std::ops::AddAssign;

/// What a query reads of stores: chunks of arrays, and their stored bytes. A bound where predicates over cells are still
/// to leave something out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// Chunks; one that two columns need is read twice.
    pub chunks: u64,
    /// Their bytes as they are stored.
    pub bytes: u64,
}

impl AddAssign<Touched> for Reads {
    fn add_assign(&mut self, touched: Touched) {
        self.chunks = self.chunks.saturating_add(touched.chunks);
        self.bytes = self.bytes.saturating_add(touched.bytes);
    }
}

/// What the scans of stores in a physical plan will read: the sum of what `EXPLAIN` shows for each.
///
/// # Cost
/// Segment indexes, no chunk.
///
/// # Errors
/// The store's own, where an index cannot be read.
pub fn planned_reads(plan: &dyn ExecutionPlan) -> Result<Reads> {
    let mut reads = Reads::default();
    let mut left = vec![plan];
    while let Some(plan) = left.pop() {
        if let Some(scan) = plan.downcast_ref::<AtlasScanExec>() {
            reads += scan.touched()?;
        } else if let Some(scan) = plan.downcast_ref::<CellsScanExec>() {
            reads += scan.touched()?;
        }
        left.extend(plan.children().into_iter().map(AsRef::as_ref));
    }
    Ok(reads)
}

/// What a query has read of stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DoneReads {
    /// Chunks; one that two columns needed was read twice.
    pub chunks: u64,
    /// Their bytes as they are stored.
    pub bytes: u64,
    /// Datasets that the catalog, statistics and limits left out, in each of the scans.
    pub datasets_pruned: u64,
}

/// What the scans of stores in a physical plan have read by now.
///
/// # Cost
/// None: the scans have counted.
pub fn done_reads(plan: &dyn ExecutionPlan) -> DoneReads {
    let mut done = DoneReads::default();
    let mut left = vec![plan];
    while let Some(plan) = left.pop() {
        let pruned = if let Some(scan) = plan.downcast_ref::<AtlasScanExec>() {
            Some(scan.rows_pruned())
        } else {
            plan.downcast_ref::<CellsScanExec>().map(CellsScanExec::datasets_pruned)
        };
        if let Some(pruned) = pruned {
            done.datasets_pruned += pruned as u64;
            let metrics = plan.metrics();
            let counted = |name| metrics.as_ref().and_then(|metrics| metrics.sum_by_name(name));
            let number = |name| counted(name).map_or(0, |value| value.as_usize() as u64);
            done.chunks += number("chunks_read");
            done.bytes += number("bytes_read");
        }
        left.extend(plan.children().into_iter().map(AsRef::as_ref));
    }
    done
}
