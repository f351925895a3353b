//! The `atlas` command: a fleet of NetCDF files becomes a store, the store answers SQL and stacked reads, here or over
//! Arrow Flight.

mod cli;
mod demo;

fn main() -> std::process::ExitCode {
    cli::run()
}
