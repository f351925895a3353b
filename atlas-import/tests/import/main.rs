//! Importing files: hand-made ones, two NetCDF-4 files, malformed ones, and real data where there is some.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod attributes;
mod bad_input;
mod chunking;
mod files;
mod filters;
mod imported;
mod netcdf4;
mod numbers;
mod real_data;
mod strings;
mod times;
mod writer;
