//! The catalog on storage: finding it, reading it, and replacing it, which is the commit.

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::format::FORMAT_VERSION;
use crate::format::catalog_file::{VARIANTS, file_name};
use crate::format::envelope::{CatalogRefusal, MetaCompression, MetaFormat, decode, encode};
use crate::format::records::{MAX_NUMBER, MAX_SEGMENT_NUMBER};
use crate::io::{ConditionalGet, Expected, Storage, Version};
use std::sync::Arc;

/// A catalog as it was found on storage, or put there.
pub(crate) struct CommittedCatalog {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) file: CatalogFile,
}

/// Which file the catalog is, in which version.
#[derive(Debug, Clone)]
pub(crate) struct CatalogFile {
    pub(crate) format: MetaFormat,
    pub(crate) compression: MetaCompression,
    pub(crate) bytes: u64,
    pub(crate) version: Expected,
}

impl CatalogFile {
    /// The version of it that is known, if it is the file of this kind.
    fn version_of(&self, format: MetaFormat, compression: MetaCompression) -> Option<&Version> {
        match &self.version {
            Expected::Version(version) if (self.format, self.compression) == (format, compression) => Some(version),
            _ => None,
        }
    }

    /// The file of a store that is about to be created.
    pub(crate) fn absent(format: MetaFormat, compression: MetaCompression) -> Self {
        CatalogFile { format, compression, bytes: 0, version: Expected::Absent }
    }
}

/// What is found where a catalog is looked for.
pub(crate) enum Found {
    /// No catalog.
    Nothing,
    /// The one that is known already.
    Known,
    Catalog(CommittedCatalog),
}

/// The first of the six catalog files that exists; `None` where there is none.
pub(crate) fn load_catalog(storage: &dyn Storage) -> Result<Option<CommittedCatalog>> {
    match load_catalog_unless(storage, None)? {
        Found::Catalog(committed) => Ok(Some(committed)),
        Found::Nothing | Found::Known => Ok(None),
    }
}

/// The catalog, which is not read if it is `known`, where the storage can tell.
pub(crate) fn load_catalog_unless(storage: &dyn Storage, known: Option<&CatalogFile>) -> Result<Found> {
    for (name, format, compression) in VARIANTS {
        let (bytes, version) = match known.and_then(|known| known.version_of(format, compression)) {
            Some(version) => match storage.get_unless(name, version)? {
                ConditionalGet::Absent => continue,
                ConditionalGet::NotModified => return Ok(Found::Known),
                ConditionalGet::Modified(bytes, version) => (bytes, version),
            },
            None => match storage.get(name)? {
                None => continue,
                Some(found) => found,
            },
        };
        let catalog = decode(&bytes, format, compression).map_err(|refusal| match refusal {
            CatalogRefusal::Corrupt(offset, message) => Error::corrupt(name, offset, message),
            CatalogRefusal::Version(version) => Error::UnsupportedVersion {
                message: format!(
                    "store {} has format version {version}, this build reads up to {FORMAT_VERSION}",
                    storage.location()
                ),
            },
            CatalogRefusal::Foreign => Error::UnsupportedVersion {
                message: format!(
                    "store {} was written by atlas-python, which cannot be opened yet",
                    storage.location()
                ),
            },
        })?;
        let file = CatalogFile { format, compression, bytes: bytes.len() as u64, version: Expected::Version(version) };
        return Ok(Found::Catalog(CommittedCatalog { catalog: Arc::new(catalog), file }));
    }
    Ok(Found::Nothing)
}

/// Replaces the catalog, if it is still `file`. Before this the old snapshot is the store, after it the new one.
///
/// # Errors
/// `Conflict` where another writer has replaced it. Where the reply to the replacement was lost, what is stored decides:
/// this catalog, and the commit went through (or somebody else's of the very same changes, without cells: their segments
/// would have other names); another one, and it is a conflict; the old one, and it failed. `LimitExceeded` where the
/// numbers have run out, so that no reader would take the catalog.
pub(crate) fn commit_catalog(storage: &dyn Storage, catalog: &Catalog, file: &CatalogFile) -> Result<CatalogFile> {
    let segments = catalog.families.values().map(|family| family.next_segment).max().unwrap_or(0);
    if catalog.snapshot.max(catalog.next_array_id) > MAX_NUMBER || segments > MAX_SEGMENT_NUMBER {
        let Catalog { snapshot, next_array_id, .. } = catalog;
        let message = format!("snapshot {snapshot}, array id {next_array_id} or segment {segments} is too large");
        return Err(Error::LimitExceeded { message });
    }
    let name = file_name(file.format, file.compression);
    let bytes = encode(catalog, file.format, file.compression)?;
    let version = match storage.replace(name, &bytes, &file.version) {
        Ok(version) => version,
        Err(error @ (Error::Storage { .. } | Error::Conflict { .. })) => match storage.get(name) {
            Ok(Some((stored, version))) if stored == bytes => version,
            Ok(Some((_, version))) if file.version != Expected::Version(version.clone()) => {
                return Err(Error::Conflict {
                    message: format!("another writer has committed to {} meanwhile", storage.location()),
                });
            }
            _ => return Err(error),
        },
        Err(error) => return Err(error),
    };
    Ok(CatalogFile { bytes: bytes.len() as u64, version: Expected::Version(version), ..*file })
}
