//! Cell types that the readers do not come with.

use hdf5_reader::{Datatype, H5Type, StringSize, dtype_element_size};
use netcdf_reader::NcType;
use netcdf_reader::classic::data::NcReadType;

/// One byte of NetCDF's type `char`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Character(pub(crate) u8);

impl NcReadType for Character {
    fn nc_type() -> NcType {
        NcType::Char
    }

    fn from_be_bytes(bytes: &[u8]) -> netcdf_reader::Result<Self> {
        match bytes {
            [byte, ..] => Ok(Character(*byte)),
            [] => Err(netcdf_reader::Error::InvalidData("no byte for a character".into())),
        }
    }

    fn element_size() -> usize {
        1
    }
}

/// The bytes of a cell as HDF5 stores them: the characters of a fixed-length string, or a reference into the heap.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoredBytes(pub(crate) Vec<u8>);

impl H5Type for StoredBytes {
    // Only what writes files would ask for this.
    fn hdf5_type() -> Datatype {
        Datatype::Opaque { size: 1, tag: String::new() }
    }

    fn from_bytes(bytes: &[u8], _: &Datatype) -> hdf5_reader::error::Result<Self> {
        Ok(StoredBytes(bytes.to_vec()))
    }

    fn element_size(dtype: &Datatype) -> usize {
        dtype_element_size(dtype).unwrap_or(1)
    }
}

impl H5Type for Character {
    fn hdf5_type() -> Datatype {
        <u8 as H5Type>::hdf5_type()
    }

    fn from_bytes(bytes: &[u8], dtype: &Datatype) -> hdf5_reader::error::Result<Self> {
        match (bytes, dtype) {
            ([byte, ..], Datatype::String { size: StringSize::Fixed(1), .. }) => Ok(Character(*byte)),
            _ => Err(hdf5_reader::error::Error::InvalidData("a character is not one byte".into())),
        }
    }

    fn element_size(_: &Datatype) -> usize {
        1
    }
}

/// A member of an enumeration, as its number.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Member<T>(pub(crate) T);

impl<T: H5Type> H5Type for Member<T> {
    fn hdf5_type() -> Datatype {
        T::hdf5_type()
    }

    fn from_bytes(bytes: &[u8], dtype: &Datatype) -> hdf5_reader::error::Result<Self> {
        match dtype {
            Datatype::Enum { base, .. } => T::from_bytes(bytes, base).map(Member),
            other => T::from_bytes(bytes, other).map(Member),
        }
    }

    fn element_size(dtype: &Datatype) -> usize {
        match dtype {
            Datatype::Enum { base, .. } => T::element_size(base),
            other => T::element_size(other),
        }
    }
}
