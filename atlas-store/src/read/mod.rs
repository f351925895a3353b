//! Reads: plan (pure) → fetch → decode → assemble.

mod assemble;
mod cache;
mod decode;
mod execute;
mod fetch;
mod find;
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
pub(crate) use find::check_extent;
pub use hooks::{CancelGuard, CancelToken, ReadHooks, ReadProgress};
pub(crate) use pages::ranges_of;
pub(crate) use plan::Planner;
pub use plan::{Output, ReadPlan};
pub(crate) use segment::{Segment, SegmentPool, View};
pub use spare::SpareMemory;
