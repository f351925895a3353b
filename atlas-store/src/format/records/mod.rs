//! The catalog as it is serialised: schemas once, everything else in columns over the datasets.

mod columns;
mod encode;
mod read;
mod scalars;
mod write;

pub(crate) use encode::{Json, Msgpack};
pub(crate) use read::{CatalogRecord, MAX_NUMBER, MAX_SEGMENT_NUMBER};
pub(crate) use write::WrittenCatalog;

use crate::dtype::DType;
use crate::scalar::StoredScalar;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct SchemaRecord {
    dtype: DType,
    dims: Vec<String>,
    shape: Vec<u64>,
    chunk_shape: Vec<u64>,
    fill_value: Option<StoredScalar>,
}

#[derive(Serialize, Deserialize)]
struct SegmentRecord {
    object: String,
    bytes: u64,
    crc32c: u32,
    first_id: u64,
    last_id: u64,
}
