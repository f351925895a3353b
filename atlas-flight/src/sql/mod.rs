//! Flight SQL: statements, prepared statements, and the calls by which clients browse.
//!
//! [`service`] routes; [`guard`] turns away text that is too much to plan; [`session`] plans and runs a query; [`boundary`]
//! turns what DataFusion gives into what clients read.

mod boundary;
mod bounded;
mod browse;
mod guard;
mod info;
mod nesting;
mod parameters;
mod placeholders;
mod prepared;
mod put;
mod service;
mod session;
pub(crate) mod session_options;
pub(crate) mod sessions;
pub(crate) mod settings;
mod types;
mod update;
mod workers;

pub(crate) use bounded::bounded;
pub(crate) use guard::check as check_sql;
pub(crate) use put::rows_affected;
pub(crate) use service::SqlService;
pub(crate) use session::Queries;
pub(crate) use workers::Workers;
