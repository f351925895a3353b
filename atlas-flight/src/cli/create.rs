//! `atlas create`: an empty store.

use crate::cli::{Failure, Output};
use atlas_store::{Codec, CreateOptions, MetaCompression, MetaFormat, Store};
use clap::Args;
use std::io::Write;

/// Make an empty store.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atlas create fleet
  atlas create fleet --codec zstd --meta-format msgpack --meta-compression zstd")]
pub(crate) struct Create {
    /// Directory of the store; it is made where it does not exist
    store: String,
    /// How cells are encoded: auto, pco, zstd, lz4 or none. auto takes what measures best per array
    #[arg(long, default_value = "auto")]
    codec: Codec,
    /// How the catalog is written: json or msgpack
    #[arg(long, default_value = "json")]
    meta_format: MetaFormat,
    /// How the catalog is compressed: none, zstd or lz4
    #[arg(long, default_value = "none")]
    meta_compression: MetaCompression,
}

impl Create {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Create { store, codec, meta_format, meta_compression } = self;
        Store::create(&store, CreateOptions { codec, meta_format, meta_compression })?;
        let mut out = Output::stdout();
        writeln!(out, "created {store}: codec {codec}, catalog {meta_format}, compression {meta_compression}")?;
        out.finish()
    }
}
