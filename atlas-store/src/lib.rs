//! The Atlas array store.
//!
//! A *store* holds *datasets*: named bundles of N-dimensional *arrays* and *attributes*. The arrays of one name, across
//! all datasets, are one *array family* and lie together in shared *segment* files, so that the same slice of every
//! dataset is one sequential read. A *catalog* holds everything else, statistics of every array included, so that a
//! question about all datasets is one scan in memory.
//!
//! ```
//! use atlas_store::{ArrayData, ArraySchema, CreateOptions, DType, Region, Store};
//!
//! # fn main() -> atlas_store::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("fleet");
//! # let path = path.to_str().unwrap();
//! let store = Store::create(path, CreateOptions::default())?;
//! for station in ["a", "b"] {
//!     store.create_dataset(station)?;
//!     store.define_array(station, "temperature", ArraySchema::new(DType::Float32, &["depth"], &[3]))?;
//!     store.write_array(station, "temperature", &[0], &ArrayData::from_numbers(vec![3], vec![20.5f32, 18.0, 9.25])?)?;
//!     store.set_attribute(station, "month", 7.into())?;
//! }
//! store.flush()?;
//!
//! let snapshot = Store::open(path)?.snapshot();
//! let surface = Region::try_new(vec![0], vec![2])?;
//! let stacked = snapshot.read_stacked("temperature", &[0, 1], Some(&surface))?;
//! assert_eq!(stacked.shape(), [2, 2]);
//! assert_eq!(stacked.as_numbers::<f32>(), Some(&[20.5, 18.0, 20.5, 18.0][..]));
//! # Ok(())
//! # }
//! ```
//!
//! Calls block; handles are `Send + Sync`. Nothing is visible or durable before [`Store::flush`]. The file format is
//! specified in `docs/format.md`.

#[cfg(target_endian = "big")]
compile_error!("the file format is little-endian and cells are read in place");

mod attribute;
mod catalog;
mod cells;
mod codec;
mod commit;
mod compact;
mod draft;
mod dtype;
mod error;
mod format;
mod grid;
mod io;
mod read;
mod region;
mod scalar;
mod schema;
mod snapshot;
mod stats;
mod store;
pub mod timestamp;
mod verify;
mod write;

pub use attribute::{Attribute, AttributeType};
pub use catalog::{ArrayEntry, AttributeColumn, AttributeValues, Family};
pub use cells::{ArrayData, Cells, Element, VarCells};
pub use codec::Codec;
#[doc(hidden)]
pub use codec::measure;
pub use compact::{CompactOptions, CompactReport};
pub use draft::FlushReport;
pub use dtype::{DType, Physical};
pub use error::{Error, ErrorKind, Result};
pub use format::FORMAT_VERSION;
pub use format::envelope::{MetaCompression, MetaFormat};
pub use io::{
    Expected, LocalStorage, MemoryStorage, ObjectInfo, ObjectOptions, ObjectReader, ObjectStorage, ObjectWriter,
    Storage, Version, storage_at, storage_with,
};
/// Whose stores [`ObjectStorage`] takes, in the version that fits.
pub use object_store;
pub use read::ReadPlan;
pub use region::{Region, cell_count};
pub use scalar::Scalar;
pub use schema::{ArraySchema, MAX_RANK};
pub use snapshot::{FamilyTotals, Snapshot};
pub use stats::{MAX_BOUND_BYTES, Statistics, Sum};
pub use store::{CreateOptions, Store};
pub use verify::{Problem, VerifyReport};
