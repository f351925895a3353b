//! The Flight service: which half of the server answers which call.
//!
//! `AtlasService` answers what is its own (bulk descriptors and tickets, ListFlights, GetSchema, PollFlightInfo, actions)
//! and hands every other call to the Flight SQL half. DoPut goes by its first message (`put`). What DoGet sends goes `encode`
//! (batches to messages) → `frame` (messages around the columns' own memory) → `direct` (to the transport).

mod actions;
pub(crate) mod deliver;
pub(crate) mod direct;
pub(crate) mod encode;
pub(crate) mod ended;
mod frame;
pub(crate) mod handshake;
pub(crate) mod info;
pub mod measure;
mod put;
mod received;
mod router;

pub(crate) use router::AtlasService;
