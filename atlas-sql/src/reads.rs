//! What a plan will read, before it does.

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
