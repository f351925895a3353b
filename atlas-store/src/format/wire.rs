//! Little-endian columns of numbers.

/// A reader of columns that knows where it is and never passes the end.
pub(crate) struct Columns<'a> {
    bytes: &'a [u8],
}

impl<'a> Columns<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Columns { bytes }
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (head, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or_else(|| format!("needs {count} more bytes, {} are left", self.bytes.len()))?;
        self.bytes = rest;
        Ok(head)
    }

    fn cells(&mut self, count: usize, width: usize) -> Result<&'a [u8], String> {
        self.bytes(count.checked_mul(width).ok_or_else(|| format!("a column of {count} cells is too long"))?)
    }

    pub(crate) fn u32s(&mut self, count: usize) -> Result<Vec<u32>, String> {
        Ok(self.cells(count, 4)?.as_chunks().0.iter().map(|cell| u32::from_le_bytes(*cell)).collect())
    }

    pub(crate) fn u64s(&mut self, count: usize) -> Result<Vec<u64>, String> {
        Ok(self.cells(count, 8)?.as_chunks().0.iter().map(|cell| u64::from_le_bytes(*cell)).collect())
    }

    pub(crate) fn u64(&mut self) -> Result<u64, String> {
        Ok(self.u64s(1)?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, String> {
        Ok(self.u32s(1)?[0])
    }

    /// Checks that nothing is left.
    pub(crate) fn finish(self) -> Result<(), String> {
        if self.bytes.is_empty() { Ok(()) } else { Err(format!("{} bytes are left over", self.bytes.len())) }
    }
}

pub(crate) fn put_u32s(out: &mut Vec<u8>, cells: impl IntoIterator<Item = u32>) {
    for cell in cells {
        out.extend_from_slice(&cell.to_le_bytes());
    }
}

pub(crate) fn put_u64s(out: &mut Vec<u8>, cells: impl IntoIterator<Item = u64>) {
    for cell in cells {
        out.extend_from_slice(&cell.to_le_bytes());
    }
}
