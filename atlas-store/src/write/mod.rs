//! Writes: split into chunks → statistics and encoding → segment bytes.

mod builder;
mod pending;

pub(crate) use builder::{SealedChunk, SegmentBuilder};
pub(crate) use pending::{PendingFamily, array_statistics};
