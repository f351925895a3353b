//! What the server tells its operator: an event and numbers for each call, and a second port to ask.
//!
//! Every call passes `layer`, which makes a [`Call`] of it and sees how its answer ends. What is inside adds to the call that
//! it answers ([`Call::current`]): the user, the statement's `fingerprint`, rows, chunks. When the call is over, `call` logs
//! one event, and counts it in `metrics`. `collect` has the numbers that are looked up when they are asked for, `http` the
//! port that gives them.

mod call;
mod collect;
mod fingerprint;
mod http;
mod layer;
mod metrics;

pub(crate) use call::Call;
pub(crate) use collect::{ProcessNumbers, StoreNumbers};
pub(crate) use http::{Health, serve};
pub(crate) use layer::Observed;
pub(crate) use metrics::{Metrics, Refreshed};
