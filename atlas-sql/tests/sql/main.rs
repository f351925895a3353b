//! SQL over small stores, against what the store itself says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod argo;
mod cancellation;
mod cells;
mod cells_aggregates;
mod cells_lower_rank;
mod cells_properties;
mod cells_pruning;
mod declarations;
mod errors;
mod fleet;
mod functions;
mod gate;
mod generate;
mod grids;
mod hostile;
mod listings;
mod metadata;
mod named_dims;
mod names;
mod numbers;
mod out_of_bounds;
mod plans;
mod predicates;
mod properties;
mod pushdown;
mod random;
mod reductions;
mod sel;
mod sel_plans;
mod sel_random;
mod tensors;
