//! The Flight service: which half of the server answers which call.
//!
//! `AtlasService` answers what is its own (bulk descriptors and tickets, ListFlights, GetSchema, PollFlightInfo, actions)
//! and hands every other call to the Flight SQL half. DoPut goes by its first message (`put`).

mod actions;
pub(crate) mod encode;
pub(crate) mod ended;
pub(crate) mod handshake;
pub(crate) mod info;
mod put;
mod received;
mod router;

pub(crate) use router::AtlasService;
