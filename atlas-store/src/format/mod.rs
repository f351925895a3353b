//! Bytes ↔ types of the file format. No I/O. `docs/format.md` is the specification.

pub(crate) mod catalog_file;
pub(crate) mod envelope;
pub(crate) mod records;
pub(crate) mod segment;
pub(crate) mod wire;
pub(crate) mod zones;

/// The version of the format that this build writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;
