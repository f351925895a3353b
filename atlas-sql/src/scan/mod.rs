//! The scan of a table: rows are chosen on the catalog while planning ([`filter`]), then read in batches ([`stream`]).

mod cost;
mod exec;
mod filter;
mod order;
mod read;
mod regions;
mod stream;

pub(crate) use exec::AtlasScanExec;
pub(crate) use filter::{Predicate, can_evaluate, columns_of, pushdown};
pub(crate) use read::{BATCH_BYTES, Touched};
pub(crate) use stream::read_ahead;
