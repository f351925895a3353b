//! Arrays as Arrow columns.
//!
//! An array of numbers is the canonical `arrow.fixed_shape_tensor` where every value of the column has one shape, else
//! `arrow.variable_shape_tensor`. Both are written by hand: [`EXTENSION_NAME`] and [`EXTENSION_METADATA`] carry exactly
//! the keys that the other implementations accept, nothing null and no permutation.
//!
//! Text, binary, bool and time are no tensors in Arrow: they are plain lists, with [`DIMS`] and [`SHAPE`] in the
//! field's metadata. An array of rank 0 is a plain column with an empty [`SHAPE`].
//!
//! # Missing
//! The cells of tensors are never null: they keep NaN or the fill value, which [`FILL_VALUE`] names; [`HAS_FILL_VALUE`] says
//! that there is none. Null cells of
//! plain lists and of rank 0 are NULL. A dataset that lacks the array is a NULL value of the column.

mod cells;
mod field;
mod given;
mod reduce;

pub use cells::array_from;
pub(crate) use cells::{cells_array, fixed_size_list, null_cells, read_cells, variable};
pub use field::{DIMS, EXTENSION_METADATA, EXTENSION_NAME, FILL_VALUE, HAS_FILL_VALUE, SHAPE, data_type, field_for};
pub(crate) use field::{Form, Tensor};
pub use given::{CHUNK_SHAPE, GivenArray, GivenValues};
pub(crate) use reduce::{Reduction, reduce};
