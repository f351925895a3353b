//! Reads: plan (pure) → fetch → decode → assemble.

mod assemble;
mod fetch;
mod plan;
mod segment;

pub(crate) use assemble::{execute, fill_cells, scatter};
pub(crate) use fetch::{Fetched, decode_chunk, read_chunk, read_chunks};
pub use plan::ReadPlan;
pub(crate) use plan::{add_ranges, check_extent, plan_read};
pub(crate) use segment::{Segment, SegmentPool, View};
