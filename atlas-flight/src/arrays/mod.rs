//! Array columns for clients that cannot read tensors: as nested lists, as JSON text, or left out.

mod format;
mod json;
mod nested;

pub use format::ArrayFormat;
pub(crate) use format::Shaped;
pub use json::json_text;
pub use nested::{fixed_shape, is_nested, nested};
