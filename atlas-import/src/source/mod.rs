//! An open NetCDF file, classic or NetCDF-4, in one form.

mod attribute;
mod cell;
mod chunk;
mod netcdf4;
mod open;
mod read;

pub(crate) use attribute::{Attributes, Number, numbers};
pub(crate) use read::StoredCells;

use atlas_store::DType;
use netcdf_reader::{NcAttribute, NcFile};

/// An open NetCDF file and what is in its root group.
pub(crate) struct Source {
    file: NcFile,
    /// The same bytes as HDF5, for what the NetCDF reader does not give: chunk shapes, and parts of string variables.
    hdf5: Option<hdf5_reader::Hdf5File>,
    /// The file with its shared lock, while cells are still to be read.
    _lock: Option<std::fs::File>,
    pub(crate) variables: Vec<SourceVariable>,
    pub(crate) attributes: Vec<NcAttribute>,
    /// Variables that cannot even be described, and why; those of other groups too.
    pub(crate) refused: Vec<(String, String)>,
    /// What was read other than it stands in the file: (variable or nothing, remark).
    pub(crate) remarks: Vec<(String, String)>,
}

/// A variable as it stands in the file.
#[derive(Debug, Clone)]
pub(crate) struct SourceVariable {
    pub(crate) name: String,
    /// The name that the reader knows it by.
    pub(crate) path: String,
    pub(crate) stored: Stored,
    pub(crate) dims: Vec<String>,
    pub(crate) shape: Vec<u64>,
    pub(crate) chunks: Option<Vec<u64>>,
    pub(crate) attributes: Vec<NcAttribute>,
    /// Why its cells cannot be read, although it is well described.
    pub(crate) unreadable: Option<String>,
}

/// What a variable's cells are made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stored {
    /// Numbers of this type.
    Numbers(DType),
    /// An enumeration over numbers of this type, with its members.
    Enumeration(DType, Vec<(String, i128)>),
    /// One byte a cell, of NetCDF's type `char`.
    Characters,
    /// Strings of any length.
    Strings,
    /// Something that cannot be stored: this.
    Unsupported(&'static str),
}

impl SourceVariable {
    pub(crate) fn attributes(&self) -> Attributes<'_> {
        Attributes(&self.attributes)
    }

    /// Bytes of one stored cell, where that is known.
    pub(crate) fn cell_bytes(&self) -> u64 {
        match &self.stored {
            Stored::Numbers(dtype) | Stored::Enumeration(dtype, _) => {
                dtype.physical().cell_bytes().map_or(8, |bytes| bytes as u64)
            }
            Stored::Characters => 1,
            Stored::Strings | Stored::Unsupported(_) => 32,
        }
    }
}
