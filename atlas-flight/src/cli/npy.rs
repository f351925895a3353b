//! numpy's file format, version 1.0.
//!
//! # Source
//! "A simple file format for NumPy arrays", NEP 1, and `numpy.lib.format`.

use crate::cli::Failure;
use crate::cli::describe;
use atlas_store::{ArrayData, Cells, DType};
use std::io::{self, Write};

/// The header and the cells are separated by padding to this many bytes, so that cells can be mapped.
const ALIGNMENT: usize = 64;

/// What the cells of a file are, in numpy's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descr(String);

impl Descr {
    /// The type of cells of `dtype`; strings are `longest_text` characters wide.
    ///
    /// # Errors
    /// Binary cells have no type in numpy that keeps trailing zero bytes.
    pub(crate) fn of(array: &str, dtype: DType, longest_text: usize) -> Result<Self, Failure> {
        Ok(Descr(match dtype {
            DType::Bool => "|b1".into(),
            DType::Int8 => "|i1".into(),
            DType::Int16 => "<i2".into(),
            DType::Int32 => "<i4".into(),
            DType::Int64 => "<i8".into(),
            DType::UInt8 => "|u1".into(),
            DType::UInt16 => "<u2".into(),
            DType::UInt32 => "<u4".into(),
            DType::UInt64 => "<u8".into(),
            DType::Float32 => "<f4".into(),
            DType::Float64 => "<f8".into(),
            DType::TimestampNanoseconds => "<M8[ns]".into(),
            DType::String => format!("<U{}", longest_text.max(1)),
            DType::Binary => {
                return Err(Failure::failed(format!(
                    "array {array} is binary, which a .npy file cannot hold: use atlas query with -o FILE.parquet"
                )));
            }
        }))
    }
}

/// Writes what comes before the cells of an array in row-major order.
pub(crate) fn write_header(out: &mut impl Write, descr: &Descr, shape: &[u64]) -> io::Result<()> {
    const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
    let Descr(descr) = descr;
    let shape = describe::tuple(shape);
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let unpadded = MAGIC.len() + 2 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(ALIGNMENT) - unpadded));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| io::Error::other("the array has too many dimensions"))?;
    out.write_all(MAGIC)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(header.as_bytes())
}

/// Writes cells; strings are padded to `longest_text` characters.
pub(crate) fn write_cells(out: &mut impl Write, data: &ArrayData, longest_text: usize) -> io::Result<()> {
    macro_rules! little_endian {
        ($cells:expr) => {
            $cells.iter().try_for_each(|cell| out.write_all(&cell.to_le_bytes()))
        };
    }
    match data.cells() {
        Cells::I8(cells) => little_endian!(cells),
        Cells::I16(cells) => little_endian!(cells),
        Cells::I32(cells) => little_endian!(cells),
        Cells::I64(cells) => little_endian!(cells),
        Cells::U8(cells) => out.write_all(cells),
        Cells::U16(cells) => little_endian!(cells),
        Cells::U32(cells) => little_endian!(cells),
        Cells::U64(cells) => little_endian!(cells),
        Cells::F32(cells) => little_endian!(cells),
        Cells::F64(cells) => little_endian!(cells),
        Cells::Var(cells) => {
            let width = longest_text.max(1);
            for cell in cells.iter() {
                let text = String::from_utf8_lossy(cell);
                let characters = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(width);
                for character in characters {
                    out.write_all(&character.to_le_bytes())?;
                }
            }
            Ok(())
        }
    }
}

/// The number of characters of the longest text cell; 0 for numbers.
pub(crate) fn longest_text(data: &ArrayData) -> usize {
    match data.cells() {
        Cells::Var(cells) => cells.iter().map(|cell| String::from_utf8_lossy(cell).chars().count()).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn headers_are_aligned_and_say_what_follows() {
        for shape in [vec![], vec![3], vec![191, 1, 50]] {
            let mut bytes = Vec::new();
            write_header(&mut bytes, &Descr::of("t", DType::Float32, 0).unwrap(), &shape).unwrap();
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
            assert_eq!(usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), bytes.len() - 10);
            let header = std::str::from_utf8(&bytes[10..]).unwrap();
            assert!(header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': ("), "{header}");
            assert!(header.ends_with('\n'));
        }
    }

    #[test]
    fn texts_are_padded_utf_32() {
        let data = ArrayData::from_strings(vec![2], ["é", "abc"]).unwrap();
        assert_eq!(longest_text(&data), 3);
        assert_eq!(Descr::of("t", DType::String, 3).unwrap(), Descr("<U3".into()));
        let mut bytes = Vec::new();
        write_cells(&mut bytes, &data, 3).unwrap();
        assert_eq!(bytes.len(), 2 * 3 * 4);
        assert_eq!(&bytes[..8], &[0xe9, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn numbers_are_little_endian() {
        let data = ArrayData::from_numbers(vec![2], vec![1i16, -2]).unwrap();
        let mut bytes = Vec::new();
        write_cells(&mut bytes, &data, 0).unwrap();
        assert_eq!(bytes, [1, 0, 0xfe, 0xff]);
    }

    #[test]
    fn binary_is_refused() {
        assert!(matches!(Descr::of("b", DType::Binary, 0), Err(Failure::Failed(_))));
    }
}
