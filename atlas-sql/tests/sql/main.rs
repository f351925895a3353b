//! SQL over small stores, against what the store itself says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod cells;
mod cells_aggregates;
mod cells_lower_rank;
mod cells_pruning;
mod declarations;
mod errors;
mod fleet;
mod functions;
mod grids;
mod listings;
mod named_dims;
mod names;
mod out_of_bounds;
mod predicates;
mod pushdown;
mod reductions;
mod sel;
mod sel_plans;
mod tensors;
