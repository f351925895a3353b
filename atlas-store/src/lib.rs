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
//! Calls block; handles are `Send + Sync`; the file format is specified in `docs/format.md`.
//!
//! # Writing
//!
//! A [`Store`] handle gathers mutations: [`create_dataset`](Store::create_dataset), [`define_array`](Store::define_array)
//! with an [`ArraySchema`] (dtype, dimensions, shape, chunk shape, fill value), [`write_array`](Store::write_array) of any
//! box of it, [`set_attribute`](Store::set_attribute), and their deletions. [`Store::flush`] makes all of them durable and
//! visible together: one segment for each array family that was written to, and one new catalog. Before it nothing is; a
//! crash at any moment leaves the old state or the new one.
//!
//! An array family has one dtype; shape, chunk shape and fill value are each dataset's own. Cells that were never written
//! read as the fill value (zero, `""` or the epoch without one). Later writes win. Cells are never converted: a write of
//! another dtype is a `DtypeMismatch`.
//!
//! # Reading
//!
//! [`Store::snapshot`] is the state as of one flush. It never changes: what is written, deleted or compacted beside it is
//! for later snapshots, to which [`Store::refresh`] moves a handle. Datasets are rows of a snapshot, in the order in which
//! they were created.
//!
//! | to read | one call | planned |
//! |---|---|---|
//! | a [`Region`] of one array | [`Snapshot::read`] | |
//! | several arrays of one dataset | [`Snapshot::read_arrays`] | [`Snapshot::plan_arrays`] |
//! | one array of many datasets, into one array | [`Snapshot::read_stacked`] | [`Snapshot::plan_stacked`] |
//! | one array of many datasets, each with its shape, or none | [`Snapshot::read_across`] | [`Snapshot::plan_across`] |
//! | several arrays of many datasets | | [`Snapshot::plan_across`] |
//!
//! A [`ReadPlan`] is a value: it tells the chunks, bytes and requests before anything is read, and
//! [`ReadPlan::execute`] reads exactly those, in parallel, with [`ReadHooks`] for progress and cancellation.
//!
//! ```
//! # use atlas_store::{ArrayData, ArraySchema, CreateOptions, DType, MemoryStorage, Region, ReadHooks, Store};
//! # fn main() -> atlas_store::Result<()> {
//! # let store = Store::create_on(std::sync::Arc::new(MemoryStorage::new()), CreateOptions::default())?;
//! # for (name, levels) in [("a", 4u64), ("b", 6)] {
//! #     store.create_dataset(name)?;
//! #     store.define_array(name, "pressure", ArraySchema::new(DType::Int32, &["level"], &[levels]))?;
//! #     let cells = (0..levels).map(|level| level as i32 * 10).collect();
//! #     store.write_array(name, "pressure", &[0], &ArrayData::from_numbers(vec![levels], cells)?)?;
//! # }
//! # store.flush()?;
//! let snapshot = store.snapshot();
//! let plan = snapshot.plan_across(&["pressure"], &[0, 1], None)?;
//! assert_eq!((plan.chunks(), plan.output_bytes()), (2, 40));
//! let read = plan.execute(ReadHooks::new())?;
//! assert_eq!(read[1].shape(), [6]);
//! # Ok(())
//! # }
//! ```
//!
//! # Statistics
//!
//! The catalog holds the [`Statistics`] of every array: cells, nulls, NaN, minimum, maximum, sum. A question about them,
//! or about attributes, is a scan in memory over [`Snapshot::families`] and [`Snapshot::attribute_columns`]; no segment is
//! opened. They are those of the last flush, whatever was overwritten or deleted before it.
//!
//! # Where a store lives
//!
//! A path, or a URL: `s3://`, `gs://`, `az://`, `https://` (read-only), `memory://`; [`storage_at`] has the table, with the
//! environment variables. [`ObjectStorage`] takes any handle of the crate `object_store`. [`Storage`] is the whole
//! interface, for doubles in tests and for wrappers.
//!
//! # Writers and readers at the same time
//!
//! One writer at a time, any number of readers. On local files a lock keeps the second writer out (`Conflict`); on shared
//! storage a flush replaces the catalog only if nobody else has, and the loser of a race is told by a `Conflict` and loses
//! nothing: [`Store::rebase`] moves its changes onto what the other has committed. Segments that are no longer live are
//! kept for readers of earlier snapshots until [`Store::compact`] is told that they are old enough.
//!
//! # Trust
//!
//! Every block, index, zone map and catalog has a checksum, which every read verifies: damage is a `Corrupt` error that
//! names the object and the offset, never other cells. [`Store::verify`] reads everything and compares it with itself.
//!
//! Every [`Error`] is one line that names the thing and the numbers; [`Error::kind`] says what a caller can do about it.

#[cfg(target_endian = "big")]
compile_error!("the file format is little-endian and cells are read in place");

mod attribute;
mod catalog;
mod cells;
mod chunks;
mod codec;
mod commit;
mod compact;
mod current;
mod draft;
mod dtype;
mod error;
mod format;
mod grid;
mod io;
mod options;
mod read;
mod rebase;
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
pub use catalog::{ArrayEntry, AttributeColumn, AttributeValues, Compact, Family, StatisticsColumns, Sums};
pub use cells::{ArrayData, Cells, Element, VarCells};
pub use chunks::ChunkInfo;
pub use codec::Codec;
#[doc(hidden)]
pub use codec::measure;
pub use compact::{CompactOptions, CompactReport};
pub use current::Current;
pub use draft::FlushReport;
pub use dtype::{DType, Physical};
pub use error::{Error, ErrorKind, Result};
pub use format::FORMAT_VERSION;
pub use format::envelope::{MetaCompression, MetaFormat};
pub use grid::default_chunk_shape;
pub use io::{
    ConditionalGet, Expected, LocalStorage, MemoryStorage, ObjectInfo, ObjectOptions, ObjectReader, ObjectStorage,
    ObjectWriter, PendingRead, Storage, Version, storage_at, storage_with,
};
/// Whose stores [`ObjectStorage`] takes, in the version that fits.
pub use object_store;
pub use options::{CreateOptions, OpenOptions};
pub use read::{CacheTotals, CancelGuard, CancelToken, Output, ReadHooks, ReadPlan, ReadProgress, SpareMemory};
pub use region::{Region, cell_count};
pub use scalar::Scalar;
pub use schema::{ArraySchema, MAX_RANK};
pub use snapshot::{FamilyTotals, Snapshot};
pub use stats::{MAX_BOUND_BYTES, Statistics, Sum};
pub use store::Store;
pub use verify::{Problem, VerifyReport};
