//! What the benches in `benches/` share: the data that they make, which is the same in every run.
//! `cargo bench -p atlas-benches`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "benches")]

pub mod casts;
pub mod cells;
pub mod fleets;
