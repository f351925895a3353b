//! Writes: split into chunks → statistics and encoding → segment bytes.

mod batch;
mod builder;
mod pending;

pub(crate) use batch::SealedChunk;
pub(crate) use builder::SegmentBuilder;
pub(crate) use pending::{PendingFamily, array_statistics};
