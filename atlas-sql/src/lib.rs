//! An Atlas store in SQL: DataFusion tables, functions and pushdown.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = atlas_store::Store::open("/data/fleet")?;
//! let context = atlas_sql::session(&[("fleet".to_string(), store)])?;
//! let warm = context.sql(r#"SELECT dataset FROM datasets WHERE stat_max("TEMP") > 28"#).await?.collect().await?;
//! # Ok(()) }
//! ```
//!
//! # Tables
//! A store is a schema. `datasets` has a row per dataset: its name, its attributes, and every array
//! as a tensor. `catalog` has the same rows with scalars only. `arrays` has a row per array of a dataset,
//! `attributes` one per attribute, `chunks` one per chunk that was written, with its zone map.
//! `cells_<dims>`, such as `cells_lat_lon`, has a row per cell of the arrays with exactly these dimensions: the dataset, its
//! attributes, the coordinates (or indices), the arrays and those of lower rank, NULL where a cell is missing.
//!
//! # Names
//! Columns are `dataset`, then the attributes sorted by key, then the arrays sorted by name. Case is kept: names that
//! are not lower case need double quotes. `dataset` stays the dataset's name: an array of that name is the column
//! `dataset@array`. An attribute whose key is taken by `dataset`, an array or a column that `catalog` derives
//! (`TEMP_min`) is `key@attribute`, in every table. A suffix is repeated until the name is free. The outcome depends on
//! the names alone, and nothing is left out.
//!
//! An attribute key has one column. Where datasets give it values of several types, integers and floats together are
//! `Float64` if each of the integers is exact as one; any other mix is text.
//!
//! # Functions
//! | function | gives |
//! |---|---|
//! | `slice(array, start, shape)` | the region as a tensor; `start` and `shape` are literal lists, extents may be 0 |
//! | `slice(array, 'dimension', start, size, …)` | the same; dimensions that are not named are whole |
//! | `sel(array, 'dimension', low, high, …)` | the region whose coordinate labels are within the bounds, both inclusive; NULL is open |
//! | `element(array, i, j, …)`, `element(array, 'dimension', i, …)` | one cell |
//! | `stat_min(array)`, `stat_max(array)` | the smallest and largest cell, in the array's own type |
//! | `stat_mean(array)`, `stat_sum(array)` | of numbers |
//! | `stat_null_count(array)`, `stat_row_count(array)` | counts of cells |
//! | `tensor_min(tensor)`, `tensor_max`, `tensor_mean`, `tensor_sum`, `tensor_std`, `tensor_count` | a number of its cells |
//! | `shape(array)`, `chunk_shape(array)`, `dims(array)`, `dtype(array)` | the declaration |
//!
//! Indices start at 0. Statistics are those of the catalog: they leave out nulls and NaN, and `stat_min` / `stat_max`
//! are NULL where only a bound is kept (text of more than 64 bytes). `tensor_*` leave out the same cells.
//!
//! # Missing
//! A dataset that lacks an array has NULL for it, and for every function of it. `element` gives NULL for a cell that
//! equals the fill value (any NaN where that is NaN). The cells within a tensor are never null: they keep the fill
//! value, which the field's metadata names. A time that is not-a-time is NULL.
//!
//! A dataset whose array does not contain what `slice` or `element` asks for is an error, or NULL where the session's
//! [`Options`] say so (`SET atlas.out_of_bounds = 'null'`).
//!
//! # What is read
//! Where an array is NULL is known to the catalog too: `array IS NULL` and `count(array)` read nothing.
//! Predicates over the dataset's name, attributes, declarations and statistics are evaluated on the catalog before any
//! array is touched. Aggregates of the cells of whole datasets come from the statistics where those are exact. Predicates over cells are evaluated while scanning: their chunks are read first, and other arrays
//! of the datasets that are left afterwards. Columns that a query does not use are not read, and a slice costs the
//! chunks that it touches, and a selection by labels the coordinates too. `ORDER BY` catalog columns with a `LIMIT` reads the arrays of the winners only. `EXPLAIN`
//! shows it: datasets and chunks considered → left, and the bytes to read.

mod call;
mod cells;
mod columns;
mod cut;
mod error;
mod labels;
mod leaf;
mod listing;
mod literal;
mod mount;
mod names;
mod options;
mod reads;
mod reject;
mod rewrite;
mod scan;
mod select;
mod table;
pub mod tensor;
mod udf;
mod yielding;

pub use error::describe;
pub use mount::{is_of_store, register, session};
pub use options::{Options, OutOfBounds};
pub use reads::{DoneReads, Reads, done_reads, planned_reads};
pub use select::select_datasets;
