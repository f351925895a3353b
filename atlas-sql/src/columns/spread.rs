//! Values that some datasets have, as a column over all datasets.

use arrow::buffer::NullBuffer;

/// A column in the making; what is not put is NULL.
pub(super) struct Spread<T> {
    values: Vec<T>,
    valid: Vec<bool>,
}

impl<T: Copy + Default> Spread<T> {
    pub(super) fn new(datasets: usize) -> Self {
        Spread { values: vec![T::default(); datasets], valid: vec![false; datasets] }
    }

    /// Puts a value for each of these rows; nothing for `None`.
    pub(super) fn put(&mut self, rows: &[u32], values: impl Iterator<Item = Option<T>>) {
        for (row, value) in rows.iter().zip(values) {
            if let Some(value) = value {
                self.values[*row as usize] = value;
                self.valid[*row as usize] = true;
            }
        }
    }

    /// The values, and which of them are NULL if any is.
    pub(super) fn finish(self) -> (Vec<T>, Option<NullBuffer>) {
        let nulls = NullBuffer::from(self.valid);
        (self.values, (nulls.null_count() > 0).then_some(nulls))
    }
}
