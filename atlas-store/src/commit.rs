//! The catalog on storage: finding it, reading it, and replacing it, which is the commit.

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::format::FORMAT_VERSION;
use crate::format::catalog_file::VARIANTS;
use crate::format::envelope::{CatalogRefusal, MetaCompression, MetaFormat, decode, encode};
use crate::io::Storage;
use std::sync::Arc;

/// A catalog as it was found on storage.
pub(crate) struct CommittedCatalog {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) meta: (MetaFormat, MetaCompression),
    pub(crate) bytes: u64,
}

/// The first of the six catalog files that exists; `None` where there is none.
pub(crate) fn load_catalog(storage: &dyn Storage) -> Result<Option<CommittedCatalog>> {
    for (name, format, compression) in VARIANTS {
        let Some(bytes) = storage.get(name)? else { continue };
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
        let bytes = bytes.len() as u64;
        return Ok(Some(CommittedCatalog { catalog: Arc::new(catalog), meta: (format, compression), bytes }));
    }
    Ok(None)
}

/// Replaces the catalog; gives its size. Before this the old snapshot is the store, after it the new one.
pub(crate) fn commit_catalog(
    storage: &dyn Storage,
    catalog: &Catalog,
    name: &str,
    (format, compression): (MetaFormat, MetaCompression),
) -> Result<u64> {
    let bytes = encode(catalog, format, compression)?;
    storage.replace(name, &bytes)?;
    Ok(bytes.len() as u64)
}
