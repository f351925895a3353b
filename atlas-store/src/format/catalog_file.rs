//! The six names that a catalog file can have, in the order in which they are looked for.

use super::envelope::{MetaCompression, MetaFormat};
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Every variant, the first that exists wins.
pub(crate) const VARIANTS: [(&str, MetaFormat, MetaCompression); 6] = [
    ("atlas.json", MetaFormat::Json, MetaCompression::None),
    ("atlas.json.zst", MetaFormat::Json, MetaCompression::Zstd),
    ("atlas.json.lz4", MetaFormat::Json, MetaCompression::Lz4),
    ("atlas.msgpack", MetaFormat::Msgpack, MetaCompression::None),
    ("atlas.msgpack.zst", MetaFormat::Msgpack, MetaCompression::Zstd),
    ("atlas.msgpack.lz4", MetaFormat::Msgpack, MetaCompression::Lz4),
];

/// The file name of a variant.
pub(crate) fn file_name(format: MetaFormat, compression: MetaCompression) -> &'static str {
    VARIANTS
        .iter()
        .find(|(_, other_format, other_compression)| (*other_format, *other_compression) == (format, compression))
        .map_or("atlas.json", |(name, ..)| name)
}

impl fmt::Display for MetaFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MetaFormat::Json => "json",
            MetaFormat::Msgpack => "msgpack",
        })
    }
}

impl FromStr for MetaFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "json" => Ok(MetaFormat::Json),
            "msgpack" | "mp" => Ok(MetaFormat::Msgpack),
            _ => Err(Error::invalid(format!("unknown metadata format {text:?}: expected json or msgpack"))),
        }
    }
}

impl fmt::Display for MetaCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MetaCompression::None => "none",
            MetaCompression::Zstd => "zstd",
            MetaCompression::Lz4 => "lz4",
        })
    }
}

impl FromStr for MetaCompression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" | "uncompressed" => Ok(MetaCompression::None),
            "zstd" => Ok(MetaCompression::Zstd),
            "lz4" => Ok(MetaCompression::Lz4),
            _ => Err(Error::invalid(format!("unknown metadata compression {text:?}: expected none, zstd or lz4"))),
        }
    }
}
