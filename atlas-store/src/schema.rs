//! Declarations: what an array is, apart from its cells; and which names are allowed.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::region::cell_count;
use crate::scalar::{Scalar, check_fill};

/// The most dimensions an array can have.
pub const MAX_RANK: usize = 32;

/// What an array of one dataset is declared to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArraySchema {
    /// The type of the cells.
    pub dtype: DType,
    /// The name of each dimension.
    pub dims: Vec<String>,
    /// The extent of each dimension.
    pub shape: Vec<u64>,
    /// The extent of a chunk along each dimension; at least 1 each.
    pub chunk_shape: Vec<u64>,
    /// What unwritten cells read as; cells equal to it are null.
    pub fill_value: Option<Scalar>,
}

impl ArraySchema {
    /// A declaration of one chunk and without a fill value; see the `with_` methods for the rest.
    pub fn new(dtype: DType, dims: &[&str], shape: &[u64]) -> Self {
        ArraySchema {
            dtype,
            dims: dims.iter().map(|dim| (*dim).to_string()).collect(),
            shape: shape.to_vec(),
            chunk_shape: shape.iter().map(|extent| (*extent).max(1)).collect(),
            fill_value: None,
        }
    }

    /// The same, cut into chunks of this shape.
    #[must_use]
    pub fn with_chunk_shape(mut self, chunk_shape: &[u64]) -> Self {
        self.chunk_shape = chunk_shape.to_vec();
        self
    }

    /// The same, with this fill value.
    #[must_use]
    pub fn with_fill_value(mut self, fill_value: impl Into<Option<Scalar>>) -> Self {
        self.fill_value = fill_value.into();
        self
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of cells.
    pub fn cell_count(&self) -> u64 {
        cell_count(&self.shape).unwrap_or(u64::MAX)
    }

    /// The number of chunks.
    pub fn chunk_count(&self) -> u64 {
        crate::grid::Grid::new(&self.shape, &self.chunk_shape).chunk_count()
    }

    /// The extents of a chunk, cut to the array's bounds.
    pub(crate) fn chunk_extent(&self, chunk: u32) -> Vec<u64> {
        crate::grid::Grid::new(&self.shape, &self.chunk_shape).chunk_extent(chunk.into())
    }

    /// The number of cells of a chunk; `None` where the array has no such chunk.
    pub(crate) fn chunk_cells(&self, chunk: u32) -> Option<u64> {
        (u64::from(chunk) < self.chunk_count()).then(|| self.chunk_extent(chunk).iter().product())
    }

    /// Checks ranks, extents and the fill value; `array` is for the message.
    ///
    /// # Errors
    /// `InvalidArgument` that names the array and the numbers.
    pub(crate) fn check(&self, array: &str) -> Result<()> {
        let rank = self.shape.len();
        if rank > MAX_RANK {
            return Err(Error::invalid(format!("array {array} has rank {rank}, the most is {MAX_RANK}")));
        }
        if self.dims.len() != rank || self.chunk_shape.len() != rank {
            return Err(Error::invalid(format!(
                "array {array} has {} dims {:?}, shape {:?} and chunk shape {:?}: their ranks differ",
                self.dims.len(),
                self.dims,
                self.shape,
                self.chunk_shape
            )));
        }
        if self.chunk_shape.contains(&0) {
            return Err(Error::invalid(format!("array {array}: chunk shape {:?} has a zero", self.chunk_shape)));
        }
        if cell_count(&self.shape).and_then(|cells| cells.checked_mul(8)).is_none() {
            return Err(Error::invalid(format!("array {array}: shape {:?} has too many cells", self.shape)));
        }
        if u32::try_from(self.chunk_count()).is_err() {
            return Err(Error::invalid(format!(
                "array {array}: shape {:?} in chunks of {:?} has more than 2^32 chunks",
                self.shape, self.chunk_shape
            )));
        }
        check_fill(array, self.dtype, self.fill_value.as_ref())
    }
}

/// Checks a dataset's or array's name: not empty, no `/`, no leading `_`, not `.` or `..`, no NUL.
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<()> {
    let problem = if name.is_empty() {
        "is empty"
    } else if name.contains('/') {
        "contains '/'"
    } else if name.starts_with('_') {
        "starts with '_'"
    } else if name == "." || name == ".." {
        "is a directory reference"
    } else if name.contains('\0') {
        "contains a NUL"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("{what} name {name:?} {problem}")))
}

/// The directory of an array family: the name with every byte outside `[A-Za-z0-9._-]` as `%XX`.
///
/// Names that would pass 150 bytes are cut and end in `~` and the CRC-32C of the whole name; so do names that end in
/// a dot. Names that differ only in case map to different directories: where the caller finds the lower-case form
/// taken, it asks for the hashed form.
pub(crate) fn directory_name(array: &str, hashed: bool) -> String {
    use std::fmt::Write;
    let mut directory = String::new();
    for byte in array.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            directory.push(byte as char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(directory, "%{byte:02X}");
        }
    }
    if hashed || directory.len() > 150 || directory.ends_with('.') {
        directory.truncate(150);
        let _ = write!(directory, "~{:08x}", crc32c::crc32c(array.as_bytes()));
    }
    directory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_plain_and_distinct() {
        assert_eq!(directory_name("TEMP", false), "TEMP");
        assert_eq!(directory_name("sea temp/°", false), "sea%20temp%2F%C2%B0");
        let long = "x".repeat(400);
        assert!(directory_name(&long, false).len() < 170);
        assert_ne!(directory_name(&long, false), directory_name(&format!("{long}y"), false));
    }

    #[test]
    fn bad_names_are_refused() {
        for name in ["", "a/b", "_x", ".", "..", "a\0b"] {
            assert!(check_name("dataset", name).is_err(), "{name:?}");
        }
        for name in ["a b", "é", ".x", "a_", "😀"] {
            check_name("dataset", name).unwrap();
        }
    }
}
