//! Importers of foreign formats into an Atlas store: NetCDF classic (CDF-1, CDF-2, CDF-5) and NetCDF-4, in pure Rust.
//!
//! Data flows one way: [`find_files`] turns paths into files and dataset names; each file is opened (`source`), planned
//! from its metadata alone (`plan`, with the rules of `cf` and `chunks`), read box by box, decoded (`decode`) and
//! written to the store in the order of the files ([`import_files`]). [`inspect_file`] stops after the plan.
//!
//! # What becomes of a file
//!
//! * One file is one dataset, named by the file's stem. Every variable of the root group is an array with the
//!   variable's name and dimensions. Variables and attributes of other groups are left out, as by xarray's
//!   `open_dataset`, and reported. So are variables of types and HDF5 filters that cannot be stored or decoded.
//! * Global attributes are dataset attributes under their own name, a variable's are `{variable}.{attribute}`. One
//!   number is an `int64` or a `float64`; several numbers or strings are a string of `json:` and a JSON list. Of two
//!   that would have the same name, the variable's stays.
//! * `_pyatlas_coords` is the JSON list of the coordinates: the arrays named like their only dimension, and those that
//!   a `coordinates` attribute names.
//!
//! # Decoding
//!
//! Values become what xarray's `open_dataset` shows by default:
//!
//! * `scale_factor` and `add_offset` make floats, of the width that xarray chooses. Floats have NaN as fill value;
//!   cells equal to `_FillValue` or to `missing_value` become NaN, and every NaN gets the bits of the fill value.
//! * Integers without scale stay integers (xarray makes floats of them once they have a `_FillValue`); the `_FillValue`,
//!   else the `missing_value`, is the array's fill value, so that those cells are null. Where a variable has both, cells
//!   equal to either hold the `_FillValue`.
//! * `_Unsigned` reads integers as unsigned (`"true"`) or signed (`"false"`).
//! * Numbers with units of the form `<unit> since <reference>` in the calendars standard, gregorian and
//!   proleptic_gregorian become `timestamp_nanoseconds` with NaT as fill value. Fractions of a nanosecond are cut, as
//!   xarray does. Times of another calendar, or outside the years 1677 to 2262, stay numbers, and a note says so.
//! * Integers with the attribute `dtype = "bool"` become `bool`.
//! * Characters become strings: the last dimension is the string's length where every variable that uses this
//!   dimension is made of characters and has it last (and no variable is named like it); elsewhere each character is a
//!   string of its own. Trailing NULs are cut, blanks are kept. Bytes that are not UTF-8 are read as Latin-1, with a note.
//!   The `_FillValue` of characters and strings is the array's fill value.
//!
//! A fill value is compared in the variable's own type: a `missing_value` of `-999.9` in double precision masks
//! the single precision cells nearest to it (numpy 2 compares these two as different).
//!
//! What decoding consumes (`_FillValue`, `missing_value`, `scale_factor`, `add_offset`, `_Unsigned`, `units` and
//! `calendar` of times, `dtype` of bools, `_Encoding`, `coordinates`) is not left among the attributes, where
//! the next reader would apply it again. It is kept in the attribute `_pyatlas_encoding`, a JSON object of
//! `{variable: {attribute: value}}` that also holds the stored `dtype` where it is another than the array's. A
//! `_FillValue` that is the array's fill value is not repeated there.
//!
//! With [`ImportOptions::raw`], cells and attributes are as stored: every attribute stays, the `_FillValue`, else the
//! `missing_value`, is the array's fill value as well, and each character is a string of one character (byte 0 is the
//! empty string, bytes from 128 are U+0080 to U+00FF, so that nothing is lost).
//!
//! # Chunks
//!
//! In this order: [`ImportOptions::chunks`]; the variable's NetCDF-4 chunks, clipped to its shape (and doubled along the
//! leading axis while there would be more than 65 536 of them); the whole array up to 4 MiB; else chunks of
//! about 2 MiB, whole along the trailing axes.
//!
//! # Memory
//!
//! Small files are decoded in parallel, within a budget; the arrays of large ones are read, decoded and written in boxes
//! of whole chunks, of about 16 MiB or one chunk, whichever is more.

#[macro_use]
mod each;

mod attributes;
mod cf;
mod chunks;
mod decode;
mod error;
mod find;
mod import;
mod inspect;
mod options;
mod plan;
mod report;
mod source;

pub use error::ImportError;
pub use find::{FoundFile, find_files};
pub use import::import_files;
pub use inspect::{FileSummary, VariableSummary, inspect_file};
pub use options::{ImportOptions, OnError, Progress};
pub use report::{ImportReport, SkippedFile, SkippedVariable, VariableNote};
