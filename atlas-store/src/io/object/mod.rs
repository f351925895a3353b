//! Remote storage: S3, Google Cloud Storage, Azure, HTTP, and whatever else `object_store` reaches.
//!
//! There is no lock between machines. What a writer commits is a conditional put on the version that it read: of two
//! that race, one wins, and the other is told.

mod options;
mod reader;
mod runtime;
mod writer;

pub use options::ObjectOptions;

use super::{ConditionalGet, Expected, ObjectInfo, ObjectReader, ObjectWriter, Storage, Version};
use crate::error::{Error, Result};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::limit::LimitStore;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use reader::RemoteReader;
use runtime::wait;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use writer::RemoteWriter;

/// Requests carry up to this much: larger reads and writes are several, which run at once.
const PART_BYTES: u64 = 8 << 20;

/// Objects under a prefix of an object store.
///
/// Works from any thread; requests run on two threads that all storages share.
#[derive(Clone)]
pub struct ObjectStorage {
    store: Arc<LimitStore<Arc<dyn ObjectStore>>>,
    prefix: Path,
    location: String,
    requests: usize,
    is_read_only: bool,
    can_list: bool,
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorage").field("location", &self.location).finish_non_exhaustive()
    }
}

impl ObjectStorage {
    /// Everything under `prefix` of this object store, a `/`-separated path; all of it where that is empty.
    ///
    /// To be written to, the store must support conditional puts ([`PutMode::Create`] and [`PutMode::Update`]). Those of
    /// S3, Google Cloud Storage, Azure and `InMemory` do; `LocalFileSystem` does not:
    /// [`LocalStorage`](super::LocalStorage) is for that.
    ///
    /// # Errors
    /// `InvalidArgument` where the prefix is not a path.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self> {
        Self::with_options(store, prefix, &ObjectOptions::default())
    }

    /// As [`Self::new`], with options.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_options(store: Arc<dyn ObjectStore>, prefix: &str, options: &ObjectOptions) -> Result<Self> {
        let prefix = Path::parse(prefix).map_err(|error| Error::invalid(one_line(&error)))?;
        let location = format!("{store}/{prefix}");
        let requests = options.requests.max(1);
        let store = Arc::new(LimitStore::new(store, requests));
        Ok(ObjectStorage { store, prefix, location, requests, is_read_only: false, can_list: true })
    }

    /// The same, called `location` in messages.
    #[must_use]
    pub fn named(self, location: impl Into<String>) -> Self {
        ObjectStorage { location: location.into(), ..self }
    }

    /// The same, where every write is refused.
    #[must_use]
    pub fn read_only(self) -> Self {
        ObjectStorage { is_read_only: true, ..self }
    }

    /// The same, which is never asked what it holds.
    #[must_use]
    pub fn unlisted(self) -> Self {
        ObjectStorage { can_list: false, ..self }
    }

    fn path(&self, object: &str) -> Result<Path> {
        let path = if self.prefix.as_ref().is_empty() { object.into() } else { format!("{}/{object}", self.prefix) };
        Path::parse(path).map_err(|error| Error::storage(object, one_line(&error)))
    }

    /// An object, or why not; `NotModified` where its ETag is `known`.
    fn fetch(&self, object: &str, known: Option<String>) -> Result<ConditionalGet> {
        let (store, path) = (self.store.clone(), self.path(object)?);
        let got = wait(object, async move {
            let got = store.get_opts(&path, GetOptions { if_none_match: known, ..GetOptions::default() }).await?;
            let meta = got.meta.clone();
            Ok((meta, got.bytes().await?))
        })?;
        match got {
            Ok((meta, bytes)) if meta.size == bytes.len() as u64 => {
                let version = version_of(meta.e_tag, meta.version, &bytes);
                Ok(ConditionalGet::Modified(bytes, version))
            }
            Ok((meta, bytes)) => Err(short(object, bytes.len(), meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(ConditionalGet::Absent),
            Err(object_store::Error::NotModified { .. }) => Ok(ConditionalGet::NotModified),
            Err(error) => Err(failed(object, &error)),
        }
    }

    fn check_writable(&self) -> Result<()> {
        if self.is_read_only {
            return Err(Error::invalid(format!(
                "{} is read-only: stores can be read there, not written",
                self.location
            )));
        }
        Ok(())
    }
}

/// What an object store said, as one line of reasonable length.
fn one_line(error: &dyn fmt::Display) -> String {
    const MAX_CHARS: usize = 500;
    let text = error.to_string();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn failed(object: &str, error: &object_store::Error) -> Error {
    Error::storage(object, one_line(error))
}

/// The version that a store tells: its ETag, its own version (a generation), or both.
fn version_of(e_tag: Option<String>, version: Option<String>, bytes: &[u8]) -> Version {
    match serde_json::to_string(&(&e_tag, &version)) {
        Ok(text) if e_tag.is_some() || version.is_some() => Version(text),
        _ => Version::of_bytes(bytes),
    }
}

/// What [`version_of`] was made of; `None` where the store told nothing.
fn told_version(version: &Version) -> Option<UpdateVersion> {
    let (e_tag, version) = serde_json::from_str(&version.0).ok()?;
    Some(UpdateVersion { e_tag, version })
}

impl Storage for ObjectStorage {
    fn location(&self) -> String {
        self.location.clone()
    }

    fn get(&self, object: &str) -> Result<Option<(Bytes, Version)>> {
        match self.fetch(object, None)? {
            ConditionalGet::Absent => Ok(None),
            ConditionalGet::Modified(bytes, version) => Ok(Some((bytes, version))),
            ConditionalGet::NotModified => Err(Error::storage(object, "not modified, but nothing was known of it")),
        }
    }

    fn get_unless(&self, object: &str, known: &Version) -> Result<ConditionalGet> {
        let e_tag = told_version(known).and_then(|told| told.e_tag);
        match self.fetch(object, e_tag)? {
            ConditionalGet::Modified(_, version) if version == *known => Ok(ConditionalGet::NotModified),
            found => Ok(found),
        }
    }

    fn open(&self, object: &str) -> Result<Arc<dyn ObjectReader>> {
        Ok(Arc::new(RemoteReader::open(self.clone(), object)?))
    }

    fn create(&self, object: &str) -> Result<Box<dyn ObjectWriter>> {
        self.check_writable()?;
        Ok(Box::new(RemoteWriter::new(self.clone(), object)?))
    }

    fn replace(&self, object: &str, bytes: &[u8], expected: &Expected) -> Result<Version> {
        self.check_writable()?;
        let unsupported = || {
            let message = "does not replace objects conditionally: stores can be read there, not written";
            Error::invalid(format!("{} {message}", self.location))
        };
        let mode = match expected {
            Expected::Absent => PutMode::Create,
            Expected::Version(version) => PutMode::Update(told_version(version).ok_or_else(unsupported)?),
        };
        let (store, path) = (self.store.clone(), self.path(object)?);
        let payload = Bytes::copy_from_slice(bytes);
        let options = PutOptions { mode, ..PutOptions::default() };
        match wait(object, async move { store.put_opts(&path, payload.into(), options).await })? {
            Ok(put) => Ok(version_of(put.e_tag, put.version, bytes)),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Err(Error::Conflict { message: format!("{object} was changed by another writer") })
            }
            Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
                Err(unsupported())
            }
            Err(error) => Err(failed(object, &error)),
        }
    }

    fn list(&self) -> Result<Vec<ObjectInfo>> {
        if !self.can_list {
            return Err(Error::invalid(format!("{} does not list what it holds", self.location)));
        }
        let (store, prefix) = (self.store.clone(), self.prefix.clone());
        let listed = wait(&self.location, async move { store.list(Some(&prefix)).try_collect::<Vec<_>>().await })?;
        let found = listed.map_err(|error| failed(&self.location, &error))?;
        let info = |meta: object_store::ObjectMeta| {
            let object = meta.location.as_ref().strip_prefix(self.prefix.as_ref())?.trim_start_matches('/');
            // Some tools mark a "directory" by an empty object that has its name.
            (!object.is_empty()).then(|| ObjectInfo {
                object: object.into(),
                bytes: meta.size,
                modified: meta.last_modified.into(),
            })
        };
        Ok(found.into_iter().filter_map(info).collect())
    }

    fn can_list(&self) -> bool {
        self.can_list
    }

    fn delete(&self, object: &str) -> Result<()> {
        self.check_writable()?;
        let (store, path) = (self.store.clone(), self.path(object)?);
        match wait(object, async move { store.delete(&path).await })? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(object, &error)),
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn prepare(&self) -> Result<()> {
        self.check_writable()
    }

    fn is_present(&self) -> bool {
        // There are no directories to ask for: what holds an object is there.
        let (store, prefix) = (self.store.clone(), self.prefix.clone());
        !self.can_list
            || wait(&self.location, async move { store.list(Some(&prefix)).try_next().await })
                .is_ok_and(|first| first.is_ok_and(|first| first.is_some()))
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>> {
        self.check_writable()?;
        Ok(Box::new(()))
    }
}

fn short(object: &str, got: usize, expected: u64) -> Error {
    Error::storage(object, format!("the reply has {got} bytes, expected {expected}"))
}
