//! The SQL functions over array columns.
//!
//! | function | gives | reads |
//! |---|---|---|
//! | `slice(array, start, shape)`, `slice(array, 'dimension', start, size, …)` | the region as a tensor | the chunks it touches |
//! | `sel(array, 'dimension', low, high, …)` | the region by coordinate labels, as a tensor | those chunks, and the coordinates |
//! | `element(array, i, j, …)`, `element(array, 'dimension', i, …)` | one cell; NULL where the cell equals the fill value | one chunk |
//! | `stat_min`, `stat_max`, `stat_mean`, `stat_sum`, `stat_null_count`, `stat_row_count` `(array)` | the stored statistic | nothing |
//! | `shape(array)`, `chunk_shape(array)`, `dims(array)`, `dtype(array)` | the declaration | nothing |
//! | `tensor_min`, `tensor_max`, `tensor_mean`, `tensor_sum`, `tensor_std`, `tensor_count` `(tensor)` | a number of the cells that are neither missing nor NaN | what its argument reads |
//!
//! Indices start at 0. A dataset that lacks the array gives NULL. Over a table's array column the call becomes a
//! column of the scan (see [`crate::rewrite`]); over any other tensor `slice`, `element`, `tensor_*`, `shape`, `dims` and
//! `dtype` compute on the value, with the same results, and `sel`, `stat_*` and `chunk_shape` are planning errors.
//!
//! What `slice` and `element` give of an array that does not contain what they ask for is an option of the session
//! ([`crate::Options`]), which the functions take when it is set.

mod arguments;
mod declaration;
mod element;
mod place;
mod reduction;
mod sel;
mod slice;
mod statistic;
mod value;

use crate::columns::Statistic;
use crate::options::OutOfBounds;
use crate::tensor::Reduction;
use datafusion::logical_expr::ScalarUDF;
use std::any::Any;

pub(crate) use arguments::index;
pub(crate) use place::{element_place, is_named, sel_labels, slice_place};
pub(crate) use reduction::unknown_fill;

/// A function over an array column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Slice(OutOfBounds),
    Sel(OutOfBounds),
    Element(OutOfBounds),
    Statistic(Statistic),
    Reduction(Reduction),
    Shape,
    ChunkShape,
    Dims,
    Dtype,
}

/// Every function, for a session with this setting.
pub(crate) fn all(outside: OutOfBounds) -> Vec<ScalarUDF> {
    let mut functions = vec![
        ScalarUDF::from(slice::Slice::new(outside)),
        ScalarUDF::from(sel::Sel::new(outside)),
        ScalarUDF::from(element::ElementFunction::new(outside)),
    ];
    functions.extend(Statistic::ALL.map(|statistic| ScalarUDF::from(statistic::StatisticFunction::new(statistic))));
    functions.extend(Reduction::ALL.map(|kind| ScalarUDF::from(reduction::ReductionFunction::new(kind))));
    functions.extend(declaration::ALL.map(|declared| ScalarUDF::from(declaration::Declaration::new(declared))));
    functions
}

/// Which of the functions this is, if it is one.
pub(crate) fn identify(function: &ScalarUDF) -> Option<Function> {
    let function: &dyn Any = function.inner().as_ref();
    if let Some(slice) = function.downcast_ref::<slice::Slice>() {
        Some(Function::Slice(slice.outside))
    } else if let Some(sel) = function.downcast_ref::<sel::Sel>() {
        Some(Function::Sel(sel.outside))
    } else if let Some(element) = function.downcast_ref::<element::ElementFunction>() {
        Some(Function::Element(element.outside))
    } else if let Some(statistic) = function.downcast_ref::<statistic::StatisticFunction>() {
        Some(Function::Statistic(statistic.statistic()))
    } else if let Some(reduction) = function.downcast_ref::<reduction::ReductionFunction>() {
        Some(Function::Reduction(reduction.reduction()))
    } else {
        function.downcast_ref::<declaration::Declaration>().map(declaration::Declaration::function)
    }
}
