//! Refusing what cannot fit in memory before it is planned: arrays may be declared far larger than they are filled.

use crate::error::raised;
use atlas_store::{DType, cell_count};
use pyo3::prelude::*;

/// Bytes of an array of this shape in memory; text and binary as the references to their objects and a little.
pub(crate) fn bytes_of(shape: &[u64], dtype: DType) -> u64 {
    let width = dtype.cell_bytes().unwrap_or(16) as u64;
    cell_count(shape).map_or(u64::MAX, |cells| cells.saturating_mul(width))
}

/// Checks that so many bytes are to be had; `what` they are is for the error.
///
/// # Errors
/// `LimitExceededError`.
pub(crate) fn check(py: Python<'_>, bytes: u64, what: impl FnOnce() -> String) -> PyResult<()> {
    let fits = |bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
    if usize::try_from(bytes).is_ok_and(fits) {
        return Ok(());
    }
    Err(raised(py, "LimitExceededError", &format!("{} do not fit in memory: {bytes} bytes", what())))
}
