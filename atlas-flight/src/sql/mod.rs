//! Flight SQL: statements, prepared statements, and the calls by which clients browse.
//!
//! [`service`] routes; [`session`] plans and runs a query; [`boundary`] turns what DataFusion gives into what clients
//! read.

mod boundary;
mod browse;
mod info;
mod parameters;
mod placeholders;
mod prepared;
mod service;
mod session;
pub(crate) mod session_options;
mod types;
mod workers;

pub(crate) use service::SqlService;
