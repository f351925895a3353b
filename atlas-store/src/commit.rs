//! The catalog on storage: finding it, reading it, and replacing it, which is the commit.

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::format::FORMAT_VERSION;
use crate::format::catalog_file::{VARIANTS, file_name};
use crate::format::envelope::{CatalogRefusal, MetaCompression, MetaFormat, decode, encode};
use crate::io::{Expected, Storage, Version};
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
    fn is(&self, format: MetaFormat, compression: MetaCompression, version: &Version) -> bool {
        (self.format, self.compression) == (format, compression)
            && matches!(&self.version, Expected::Version(own) if own == version)
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

/// The catalog, which is not parsed if it is `known`.
pub(crate) fn load_catalog_unless(storage: &dyn Storage, known: Option<&CatalogFile>) -> Result<Found> {
    for (name, format, compression) in VARIANTS {
        let Some((bytes, version)) = storage.get(name)? else { continue };
        if known.is_some_and(|known| known.is(format, compression, &version)) {
            return Ok(Found::Known);
        }
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
/// this catalog, and the commit went through; another one, and it is a conflict; the old one, and it failed.
pub(crate) fn commit_catalog(storage: &dyn Storage, catalog: &Catalog, file: &CatalogFile) -> Result<CatalogFile> {
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
