//! The formats that results can have.

use clap::ValueEnum;
use std::fmt;
use std::path::Path;

/// How a query's result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people; arrays are shortened
    Table,
    /// With a header line; arrays are JSON text
    Csv,
    /// An array of objects, one a line
    Json,
    /// Arrow IPC: a file with -o, a stream in a pipe
    Arrow,
    /// Parquet, compressed with zstd
    Parquet,
}

impl Format {
    /// The format that a file of this name is expected to have.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "json" => Some(Format::Json),
            "arrow" | "arrows" | "feather" | "ipc" => Some(Format::Arrow),
            "parquet" | "pq" => Some(Format::Parquet),
            _ => None,
        }
    }

    /// Whether a terminal cannot show it.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Format::Arrow | Format::Parquet)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Table => "table",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Arrow => "arrow",
            Format::Parquet => "parquet",
        })
    }
}
