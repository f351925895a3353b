//! Reading a box of a variable.

use super::cell::{Character, Member, StoredBytes};
use super::netcdf4;
use super::open::reason;
use super::{Source, SourceVariable, Stored};
use crate::cf::text;
use crate::error::{Failure, one_line};
use atlas_store::{Cells, DType, Element, VarCells};
use hdf5_reader::{Dataset, Datatype, H5Type, SliceInfo, SliceInfoElem, StringPadding, StringSize};
use netcdf_reader::{NcReadable, NcSliceInfo, NcSliceInfoElem};
use std::path::Path;

/// Cells as they stand in the file.
#[derive(Debug, Clone)]
pub(crate) enum StoredCells {
    Numbers(Cells),
    Characters(Vec<u8>),
    /// Strings, and whether some were not UTF-8.
    Strings(VarCells, bool),
}

/// Runs `$body` with `$cell` as the machine type of a number's dtype.
macro_rules! with_number {
    ($dtype:expr, $cell:ident => $body:expr, other => $other:expr) => {
        match $dtype {
            DType::Int8 => {
                type $cell = i8;
                $body
            }
            DType::Int16 => {
                type $cell = i16;
                $body
            }
            DType::Int32 => {
                type $cell = i32;
                $body
            }
            DType::Int64 => {
                type $cell = i64;
                $body
            }
            DType::UInt8 => {
                type $cell = u8;
                $body
            }
            DType::UInt16 => {
                type $cell = u16;
                $body
            }
            DType::UInt32 => {
                type $cell = u32;
                $body
            }
            DType::UInt64 => {
                type $cell = u64;
                $body
            }
            DType::Float32 => {
                type $cell = f32;
                $body
            }
            DType::Float64 => {
                type $cell = f64;
                $body
            }
            _ => $other,
        }
    };
}

impl Source {
    /// Opens the file.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        super::open::open(path)
    }

    /// The cells of the box `start .. start + shape`, in row-major order.
    pub(crate) fn read(&self, variable: &SourceVariable, start: &[u64], shape: &[u64]) -> Result<StoredCells, String> {
        let of_variable = |reason: String| format!("variable {}: {reason}", variable.name);
        let cells = match (&variable.stored, &self.hdf5) {
            (Stored::Numbers(dtype), _) => with_number!(
                dtype,
                T => self.numbers::<T>(variable, start, shape).map(|cells| StoredCells::Numbers(T::wrap(cells))),
                other => Err("not a number".to_string())
            ),
            (Stored::Enumeration(dtype, _), Some(hdf5)) => {
                let dataset = netcdf4::dataset(hdf5, variable).map_err(of_variable)?;
                with_number!(
                    dtype,
                    T => slice::<Member<T>>(&dataset, start, shape)
                        .map(|cells| StoredCells::Numbers(T::wrap(cells.into_iter().map(|cell| cell.0).collect()))),
                    other => Err("not a number".to_string())
                )
            }
            (Stored::Characters, Some(hdf5)) => {
                let dataset = netcdf4::dataset(hdf5, variable).map_err(of_variable)?;
                slice::<Character>(&dataset, start, shape).map(characters)
            }
            (Stored::Characters, None) => self.numbers::<Character>(variable, start, shape).map(characters),
            (Stored::Strings, Some(hdf5)) => {
                let dataset = netcdf4::dataset(hdf5, variable).map_err(of_variable)?;
                slice::<StoredBytes>(&dataset, start, shape).and_then(|cells| strings(&dataset, cells))
            }
            (Stored::Enumeration(..) | Stored::Strings | Stored::Unsupported(_), _) => Err("cannot be read".into()),
        };
        cells.map_err(of_variable)
    }

    fn numbers<T: NcReadable>(
        &self,
        variable: &SourceVariable,
        start: &[u64],
        shape: &[u64],
    ) -> Result<Vec<T>, String> {
        let selections = start
            .iter()
            .zip(shape)
            .map(|(start, extent)| NcSliceInfoElem::Slice { start: *start, end: start + extent, step: 1 })
            .collect();
        let array = if start.is_empty() {
            self.file.read_variable::<T>(&variable.path)
        } else {
            self.file.read_variable_slice::<T>(&variable.path, &NcSliceInfo { selections })
        }
        .map_err(|error| reason(&error))?;
        in_order(shape, array.is_standard_layout(), array.into_raw_vec_and_offset())
    }
}

fn slice<T: H5Type>(dataset: &Dataset, start: &[u64], shape: &[u64]) -> Result<Vec<T>, String> {
    let selections = start
        .iter()
        .zip(shape)
        .map(|(start, extent)| SliceInfoElem::Slice { start: *start, end: start + extent, step: 1 })
        .collect();
    let array =
        if start.is_empty() { dataset.read_array::<T>() } else { dataset.read_slice::<T>(&SliceInfo { selections }) }
            .map_err(one_line)?;
    in_order(shape, array.is_standard_layout(), array.into_raw_vec_and_offset())
}

/// The vector behind an array, once it is sure that it holds exactly the box in row-major order.
fn in_order<T>(shape: &[u64], row_major: bool, (cells, offset): (Vec<T>, Option<usize>)) -> Result<Vec<T>, String> {
    let expected = crate::chunks::product(shape.iter().copied());
    if row_major && offset.unwrap_or(0) == 0 && cells.len() as u64 == expected {
        Ok(cells)
    } else {
        Err(format!("a box of shape {shape:?} came with {} cells", cells.len()))
    }
}

fn characters(cells: Vec<Character>) -> StoredCells {
    StoredCells::Characters(cells.into_iter().map(|cell| cell.0).collect())
}

/// The strings that stored cells hold or point to.
fn strings(dataset: &Dataset, cells: Vec<StoredBytes>) -> Result<StoredCells, String> {
    let mut strings = VarCells::with_capacity(cells.len());
    let mut latin1 = false;
    for StoredBytes(bytes) in cells {
        let (bytes, padding) = match dataset.dtype() {
            Datatype::String { size: StringSize::Fixed(_), padding, .. } => (bytes, *padding),
            _ => (dataset.resolve_vlen_reference_bytes(&bytes, 1).map_err(one_line)?, StringPadding::NullTerminate),
        };
        let end = match padding {
            StringPadding::NullTerminate => bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()),
            StringPadding::NullPad => bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1),
            StringPadding::SpacePad => bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1),
        };
        let (text, is_latin1) = text::decode(&bytes[..end]);
        latin1 |= is_latin1;
        strings.push(text.as_bytes());
    }
    Ok(StoredCells::Strings(strings, latin1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_out_of_order_are_refused() {
        assert_eq!(in_order(&[2], true, (vec![1, 2], Some(0))), Ok(vec![1, 2]));
        assert!(in_order(&[2], true, (vec![1, 2, 3], Some(1))).is_err());
        assert!(in_order(&[2], false, (vec![1, 2], None)).is_err());
    }
}
