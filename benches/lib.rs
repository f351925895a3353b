//! What the benches in `benches/` share: the data that they make, which is the same in every run, and how long criterion
//! may take. `cargo bench -p atlas-benches`.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "benches")]

pub mod brief;
pub mod casts;
pub mod cells;
pub mod fleets;
