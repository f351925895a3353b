//! Opening a file and listing what is in it.

use super::netcdf4;
use super::{Source, SourceVariable, Stored};
use crate::error::{Failure, one_line};
use atlas_store::DType;
use netcdf_reader::{
    BlockCacheStorage, BytesStorage, DynStorage, Error, FileStorage, NcFile, NcFormat, NcGroup, NcMetadataMode,
    NcOpenOptions, NcType, NcVariable,
};
use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Files up to this size are read at once; of larger ones, blocks of 1 MiB are kept, up to 32 of them.
const AT_ONCE_BYTES: u64 = 16 << 20;
/// The most that one read, and one chunk of NetCDF-4, may allocate. Boxes are far smaller; this stops what a damaged
/// header asks for.
pub(super) const MOST_BYTES_A_READ: usize = 1 << 30;

/// What netCDF-C puts before the name of a variable that is named like a dimension without being its coordinate.
const NOT_A_COORDINATE: &str = "_nc4_non_coord_";

/// Opens the file and lists its root group.
pub(crate) fn open(path: &Path) -> Result<Source, Failure> {
    let (storage, lock) = storage(path).map_err(Failure::File)?;
    let unreadable = |error: Error| Failure::File(reason(&error));
    let with_mode = |mode| {
        let options = NcOpenOptions {
            metadata_mode: mode,
            max_chunk_bytes: MOST_BYTES_A_READ,
            max_read_bytes: MOST_BYTES_A_READ,
            ..NcOpenOptions::default()
        };
        NcFile::from_storage_with_options(storage.clone(), options)
    };
    let mut file = with_mode(NcMetadataMode::Strict).map_err(unreadable)?;
    let mut remarks = Vec::new();
    if let Err(error) = file.root_group() {
        // One variable or attribute of a type that NetCDF-4 does not have fails the whole file in strict mode, and is
        // left out in lossy mode: what is left out is found by comparison with the HDF5 objects, and reported.
        let lossy = with_mode(NcMetadataMode::Lossy).map_err(unreadable)?;
        lossy.root_group().map_err(unreadable)?;
        remarks.push((String::new(), format!("not strict netcdf-4, read leniently: {}", reason(&error))));
        file = lossy;
    }
    let hdf5 = match file.format() {
        NcFormat::Nc4 | NcFormat::Nc4Classic => {
            let options = hdf5_reader::OpenOptions {
                max_chunk_bytes: MOST_BYTES_A_READ,
                max_read_bytes: MOST_BYTES_A_READ,
                ..hdf5_reader::OpenOptions::default()
            };
            Some(
                hdf5_reader::Hdf5File::from_storage_with_options(storage, options)
                    .map_err(|error| Failure::File(one_line(error)))?,
            )
        }
        _ => None,
    };
    let root = file.root_group().map_err(unreadable)?;
    let mut source = Source {
        variables: root.variables.iter().map(variable).collect(),
        attributes: root.attributes.clone(),
        refused: Vec::new(),
        remarks,
        hdf5: None,
        file,
        _lock: lock,
    };
    let (mut refused, mut remarks) = (Vec::new(), Vec::new());
    if let Ok(root) = source.file.root_group() {
        for group in &root.groups {
            refuse_group(group, &group.name, &mut refused, &mut remarks);
        }
    }
    source.refused = refused;
    source.remarks.append(&mut remarks);
    if let Some(hdf5) = hdf5 {
        netcdf4::complete(&mut source, &hdf5).map_err(Failure::File)?;
        source.hdf5 = Some(hdf5);
    }
    Ok(source)
}

/// The bytes of the file, and what keeps it from being written where they are read later.
fn storage(path: &Path) -> Result<(DynStorage, Option<File>), String> {
    let mut file = File::open(path).map_err(one_line)?;
    let metadata = file.metadata().map_err(one_line)?;
    if metadata.is_dir() {
        return Err("is a directory".into());
    }
    if metadata.len() == 0 {
        return Err("the file is empty".into());
    }
    // The lock that HDF5 takes too: a file that is being written has a valid header long before it has its cells.
    // Where a file system has no locks there is nothing to be learned from them.
    if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return Err("the file is locked: another process is writing it".into());
    }
    // Positional reads rather than a memory map: a file that shrinks while it is read is an error, not a crash.
    if metadata.len() <= AT_ONCE_BYTES {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(one_line)?;
        return Ok((Arc::new(BytesStorage::new(bytes)), None));
    }
    let blocks = FileStorage::open(path).map_err(one_line)?;
    Ok((Arc::new(BlockCacheStorage::new(Arc::new(blocks), 1 << 20, 32)), Some(file)))
}

/// The reader's error as one line.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::InvalidMagic => "not a netcdf file".into(),
        Error::UnsupportedVersion(version) => format!("netcdf format version {version} is not known"),
        Error::Io(error) => one_line(error),
        Error::Hdf5(error) => one_line(error),
        error => one_line(error),
    }
}

fn variable(variable: &NcVariable) -> SourceVariable {
    SourceVariable {
        name: variable.name.strip_prefix(NOT_A_COORDINATE).unwrap_or(&variable.name).to_string(),
        path: variable.name.clone(),
        stored: stored(&variable.dtype),
        dims: variable.dimensions.iter().map(|dim| dim.name.clone()).collect(),
        shape: variable.shape(),
        chunks: None,
        attributes: variable.attributes.clone(),
        unreadable: None,
    }
}

fn stored(dtype: &NcType) -> Stored {
    match dtype {
        NcType::Byte => Stored::Numbers(DType::Int8),
        NcType::Short => Stored::Numbers(DType::Int16),
        NcType::Int => Stored::Numbers(DType::Int32),
        NcType::Int64 => Stored::Numbers(DType::Int64),
        NcType::UByte => Stored::Numbers(DType::UInt8),
        NcType::UShort => Stored::Numbers(DType::UInt16),
        NcType::UInt => Stored::Numbers(DType::UInt32),
        NcType::UInt64 => Stored::Numbers(DType::UInt64),
        NcType::Float => Stored::Numbers(DType::Float32),
        NcType::Double => Stored::Numbers(DType::Float64),
        NcType::Char => Stored::Characters,
        NcType::String => Stored::Strings,
        NcType::Enum { base, members } => match stored(base) {
            Stored::Numbers(dtype) => Stored::Enumeration(
                dtype,
                members
                    .iter()
                    .map(|member| (member.name.clone(), member.value.as_i128().unwrap_or_default()))
                    .collect(),
            ),
            _ => Stored::Unsupported("an enumeration of something other than integers"),
        },
        NcType::Compound { .. } => Stored::Unsupported("a compound type"),
        NcType::Opaque { .. } => Stored::Unsupported("an opaque type"),
        NcType::Array { .. } => Stored::Unsupported("an array type"),
        NcType::VLen { .. } => Stored::Unsupported("a variable-length type"),
    }
}

/// Reports what is in another group than the root: its variables one by one, its attributes together.
fn refuse_group(group: &NcGroup, path: &str, refused: &mut Vec<(String, String)>, remarks: &mut Vec<(String, String)>) {
    if !group.attributes.is_empty() {
        let names = group.attributes.iter().map(|attribute| attribute.name.as_str()).collect::<Vec<_>>();
        let remark = format!("attributes of group {path} are left out: {}", names.join(", "));
        remarks.push((String::new(), remark));
    }
    for variable in &group.variables {
        refused.push((format!("{path}/{}", variable.name), "only variables of the root group are imported".into()));
    }
    for child in &group.groups {
        refuse_group(child, &format!("{path}/{}", child.name), refused, remarks);
    }
}
