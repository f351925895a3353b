//! Byte strings of any length, packed.

use std::ops::Range;

/// Byte strings of any length, packed: cell `i` is `bytes[offsets[i]..offsets[i + 1]]`.
///
/// The layout is Arrow's `LargeUtf8` / `LargeBinary`, so that both can share the buffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VarCells {
    offsets: Vec<i64>,
    bytes: Vec<u8>,
}

impl Default for VarCells {
    fn default() -> Self {
        VarCells { offsets: vec![0], bytes: Vec::new() }
    }
}

impl VarCells {
    /// No cells, with room for `cells` of them.
    pub fn with_capacity(cells: usize) -> Self {
        let mut offsets = Vec::with_capacity(cells + 1);
        offsets.push(0);
        VarCells { offsets, bytes: Vec::new() }
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends one cell.
    pub fn push(&mut self, cell: &[u8]) {
        self.bytes.extend_from_slice(cell);
        self.offsets.push(self.bytes.len() as i64);
    }

    /// Appends these cells of `other`, which has them.
    #[allow(clippy::cast_possible_truncation, reason = "offsets lie in bytes that are in memory")]
    pub(crate) fn extend_from(&mut self, other: &VarCells, cells: Range<usize>) {
        let (first, last) = (other.offsets[cells.start], other.offsets[cells.end]);
        let moved = self.bytes.len() as i64 - first;
        self.bytes.extend_from_slice(&other.bytes[first as usize..last as usize]);
        self.offsets.extend(other.offsets[cells.start + 1..cells.end + 1].iter().map(|offset| offset + moved));
    }

    /// Whether each cell is UTF-8.
    #[allow(clippy::cast_possible_truncation, reason = "offsets lie in bytes that are in memory")]
    pub(crate) fn is_utf8(&self) -> bool {
        // All at once: what is between characters of the whole is between characters of cells.
        std::str::from_utf8(&self.bytes)
            .is_ok_and(|text| self.offsets.iter().all(|offset| text.is_char_boundary(*offset as usize)))
    }

    /// Cell `index`.
    ///
    /// Out of range is the empty string: callers check ranges against the shape.
    #[allow(clippy::cast_possible_truncation, reason = "offsets lie in bytes that are in memory")]
    pub fn get(&self, index: usize) -> &[u8] {
        match (self.offsets.get(index), self.offsets.get(index + 1)) {
            (Some(&from), Some(&to)) => &self.bytes[from as usize..to as usize],
            _ => &[],
        }
    }

    /// The cells, first to last.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Bytes held, without the offsets.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Gives back memory that the cells do not need.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.offsets.shrink_to_fit();
        self.bytes.shrink_to_fit();
    }

    /// The offsets (one more than there are cells, the first 0) and the bytes.
    pub fn into_parts(self) -> (Vec<i64>, Vec<u8>) {
        (self.offsets, self.bytes)
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for VarCells {
    fn from_iter<I: IntoIterator<Item = T>>(cells: I) -> Self {
        let mut packed = VarCells::default();
        for cell in cells {
            packed.push(cell.as_ref());
        }
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_appended_in_ranges_and_checked_cell_by_cell() {
        let cells: VarCells = ["", "é", "abc", ""].into_iter().collect();
        let mut all: VarCells = ["x"].into_iter().collect();
        all.extend_from(&cells, 1..4);
        all.extend_from(&cells, 0..0);
        assert_eq!(all, ["x", "é", "abc", ""].into_iter().collect());
        let halves: VarCells = "é".as_bytes().chunks(1).collect();
        assert!(all.is_utf8() && !halves.is_utf8());
    }
}
