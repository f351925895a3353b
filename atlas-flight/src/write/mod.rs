//! Writing: uploads, ingestion, SQL that changes datasets, and actions.
//!
//! `writers` holds who may write, and lets one change of a store follow another: each is one commit, which is durable when
//! it is answered, or nothing of it is there. What a client streams is put aside first (`spool`), so that a stream that is cut
//! leaves nothing and a slow one keeps nobody from writing; then it is applied, row by row (`rows`) or as the arrays of one
//! dataset (`arrays`). `put`, `ingest`, `actions` and `sql/update` are the ways in.

pub mod request;

mod actions;
mod arrays;
mod attributes;
mod ingest;
mod put;
mod rows;
mod spool;
mod writers;

pub use actions::compacted;
pub(crate) use actions::{ACTIONS, run as act};
pub(crate) use attributes::known_kind;
pub(crate) use ingest::ingest;
pub(crate) use put::{batches, put};
pub(crate) use rows::{Rows, Target};
pub(crate) use spool::{Results, Spool};
pub(crate) use writers::Writers;

use arrow_flight::FlightData;
use futures::stream::BoxStream;
use tonic::Status;

/// What a client streams to the server, from its first message on.
pub(crate) type Upload = BoxStream<'static, Result<FlightData, Status>>;
