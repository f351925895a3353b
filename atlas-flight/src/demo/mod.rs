//! `atlas demo`: a made-up fleet of ocean casts, and a tour of it over the wire.
//!
//! `ocean` is the water (pure formulae), `fleet` the casts through it and their store, `tour` the questions that a
//! Flight client asks of them, `command` the whole.

mod command;
mod fleet;
mod ocean;
mod tour;

pub(crate) use command::Demo;
