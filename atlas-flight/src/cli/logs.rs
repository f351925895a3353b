//! Which events are logged, and how.

use crate::cli::Failure;
use clap::{Args, ValueEnum};
use std::io::{IsTerminal, stderr};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Crates that what clients send passes through (passwords, tokens, values of parameters): they log nothing below `info`,
/// whatever is asked for.
const RETICENT: [&str; 9] =
    ["h2", "hyper", "hyper_util", "tonic", "tower", "rustls", "datafusion", "sqlparser", "arrow_flight"];

/// What is logged where nothing else is said.
const DEFAULT_LEVEL: &str = "warn";

/// The flags that say what is logged.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs, on standard error")]
pub(crate) struct LogFlags {
    /// What to log: error, warn, info (a line for each call), debug (statements, too), or directives such as
    /// atlas_flight=debug. Without it, what RUST_LOG says; else warn
    #[arg(long, value_name = "LEVEL", value_parser = directives)]
    log: Option<String>,
    /// Lines for people, or a JSON object a line
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Directives for a filter.
fn directives(text: &str) -> Result<String, String> {
    let parsed = EnvFilter::try_new(text).map(|_| text.to_owned());
    parsed.map_err(|error| format!("{error}; expected a level such as info, or TARGET=LEVEL"))
}

impl LogFlags {
    /// Logs from here on.
    ///
    /// # Errors
    /// Where something else logs already.
    pub(crate) fn start(&self) -> Result<(), Failure> {
        let asked = self.log.clone().or_else(|| std::env::var(EnvFilter::DEFAULT_ENV).ok());
        let filter =
            asked.and_then(|text| EnvFilter::try_new(text).ok()).unwrap_or_else(|| EnvFilter::new(DEFAULT_LEVEL));
        let reticent = RETICENT.iter().map(|target| (*target, LevelFilter::INFO));
        let reticent = Targets::new().with_default(LevelFilter::TRACE).with_targets(reticent);
        let logs = tracing_subscriber::registry().with(filter).with(reticent);
        let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
        let started = match self.log_format {
            LogFormat::Text => logs.with(lines).try_init(),
            LogFormat::Json => logs.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
        };
        started.map_err(|error| Failure::failed(format!("cannot log: {error}")))
    }
}
