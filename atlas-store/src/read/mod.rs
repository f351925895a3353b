//! Reads: plan (pure) → fetch → decode → assemble.

mod assemble;
mod cache;
mod decode;
mod execute;
mod fetch;
mod hooks;
mod huge_pages;
mod layout;
mod output;
mod pages;
mod place;
mod plan;
mod segment;
mod spare;

pub(crate) use assemble::{fill_cells, scatter};
pub use cache::CacheTotals;
pub(crate) use decode::{decode_chunk, read_chunk, read_chunks};
pub(crate) use fetch::Fetched;
pub use hooks::{CancelGuard, CancelToken, ReadHooks, ReadProgress};
pub(crate) use pages::ranges_of;
pub use plan::{Output, ReadPlan};
pub(crate) use plan::{Planner, check_extent};
pub(crate) use segment::{Segment, SegmentPool, View};
pub use spare::SpareMemory;
