//! The local file system: positional reads, and writes that are fsynced before they are renamed into place.

use super::{ConditionalGet, Expected, ObjectInfo, ObjectReader, ObjectWriter, Storage, Version};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::any::Any;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, IoSliceMut, Read};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A directory of the local file system.
#[derive(Debug, Clone)]
pub struct LocalStorage {
    root: PathBuf,
    /// The object that was last got or replaced: the catalog.
    seen: Arc<Mutex<Option<Seen>>>,
}

/// A version that was read or written, and the file that it was.
#[derive(Debug)]
struct Seen {
    object: String,
    identity: FileIdentity,
    version: Version,
}

/// The file whose advisory lock the writer holds.
const LOCK: &str = "atlas.lock";

impl LocalStorage {
    /// The directory `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        LocalStorage { root: root.into(), seen: Arc::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Option<Seen>> {
        // It is replaced whole.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version of the file of this identity, where it is the one that was last seen.
    fn seen_version(&self, object: &str, identity: FileIdentity) -> Option<Version> {
        let seen = self.seen();
        let seen = seen.as_ref().filter(|seen| seen.object == object && seen.identity == identity);
        seen.map(|seen| seen.version.clone())
    }

    /// An object's file; `None` where there is none.
    fn find(&self, object: &str) -> Result<Option<File>> {
        match File::open(self.path(object)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(Error::storage(object, error)),
        }
    }

    /// All of a file, whose identity was taken before: what is written to it since makes it another one.
    fn read(&self, object: &str, mut file: File, identity: FileIdentity) -> Result<(Bytes, Version)> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| Error::storage(object, error))?;
        let version = Version::of_bytes(&bytes);
        *self.seen() = Some(Seen { object: object.into(), identity, version: version.clone() });
        Ok((bytes.into(), version))
    }

    /// The version of an object, which is read only where it is not the one that was last seen.
    fn version(&self, object: &str) -> Result<Option<Version>> {
        let Some(file) = self.find(object)? else { return Ok(None) };
        let identity = FileIdentity::of(&file).map_err(|error| Error::storage(object, error))?;
        match self.seen_version(object, identity) {
            Some(version) => Ok(Some(version)),
            None => self.read(object, file, identity).map(|(_, version)| Some(version)),
        }
    }

    fn path(&self, object: &str) -> PathBuf {
        self.root.join(object)
    }

    fn begin(&self, object: &str) -> Result<LocalWriter> {
        let failed = |error| Error::storage(object, error);
        let path = self.path(object);
        let directory = path.parent().unwrap_or(&self.root);
        if !directory.exists() {
            fs::create_dir_all(directory).map_err(failed)?;
            if let Err(error) = sync_directory(&self.root) {
                // Whoever tries again must not take the directory for a durable one.
                let _ = fs::remove_dir(directory);
                return Err(failed(error));
            }
        }
        let temporary = PathBuf::from(format!("{}.tmp", path.display()));
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&temporary).map_err(failed)?;
        Ok(LocalWriter { object: object.into(), file, len: 0, temporary: Some(temporary), path, lost: None })
    }

    /// A writer may be at work: what vanishes meanwhile is not listed.
    fn list_directory(&self, prefix: &str, found: &mut Vec<ObjectInfo>) -> std::io::Result<()> {
        for entry in fs::read_dir(self.path(prefix))? {
            let entry = entry?;
            // Names that are not Unicode are not ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let object = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let listed = entry.metadata().and_then(|metadata| {
                if metadata.is_dir() {
                    return self.list_directory(&object, found);
                }
                found.push(ObjectInfo { object, bytes: metadata.len(), modified: metadata.modified()? });
                Ok(())
            });
            match listed {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                listed => listed?,
            }
        }
        Ok(())
    }
}

/// What tells a file from a later one of its name without reading all of it.
///
/// The time of a modification is as coarse as a tick of the kernel's clock, inode numbers are used again at once, and two
/// catalogs may have one length: none of them is enough. With the ends of the file they are. A catalog has a checksum of
/// itself there, whatever its format: JSON and MessagePack in their head, those that are compressed in their last bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    ends: u32,
}

/// Bytes of each end of a file that are part of its identity.
const END_BYTES: usize = 512;

impl FileIdentity {
    fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        let bytes = metadata.len();
        let mut ends = [0; 2 * END_BYTES];
        let (head, tail) = ends.split_at_mut(END_BYTES);
        let count = usize::try_from(bytes).map_or(END_BYTES, |bytes| bytes.min(END_BYTES));
        file.read_exact_at(&mut head[..count], 0)?;
        file.read_exact_at(&mut tail[..count], bytes - count as u64)?;
        Ok(FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes,
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            ends: crc32c::crc32c(&ends),
        })
    }
}

/// Makes the names in a directory durable.
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

impl Storage for LocalStorage {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn get(&self, object: &str) -> Result<Option<(Bytes, Version)>> {
        let Some(file) = self.find(object)? else { return Ok(None) };
        let identity = FileIdentity::of(&file).map_err(|error| Error::storage(object, error))?;
        self.read(object, file, identity).map(Some)
    }

    fn get_unless(&self, object: &str, known: &Version) -> Result<ConditionalGet> {
        let Some(file) = self.find(object)? else { return Ok(ConditionalGet::Absent) };
        let identity = FileIdentity::of(&file).map_err(|error| Error::storage(object, error))?;
        if self.seen_version(object, identity).as_ref() == Some(known) {
            return Ok(ConditionalGet::NotModified);
        }
        let (bytes, version) = self.read(object, file, identity)?;
        Ok(if version == *known { ConditionalGet::NotModified } else { ConditionalGet::Modified(bytes, version) })
    }

    fn open(&self, object: &str) -> Result<Arc<dyn ObjectReader>> {
        let file = File::open(self.path(object)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::corrupt(object, 0, "the catalog names this file, which is missing"),
            _ => Error::storage(object, error),
        })?;
        let len = file.metadata().map_err(|error| Error::storage(object, error))?.len();
        Ok(Arc::new(LocalReader { object: object.into(), file, len }))
    }

    fn create(&self, object: &str) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(self.begin(object)?))
    }

    fn replace(&self, object: &str, bytes: &[u8], expected: &Expected) -> Result<Version> {
        // The lock keeps other writers out; this tells of those that do not take it.
        let current = self.version(object)?.map_or(Expected::Absent, Expected::Version);
        if current != *expected {
            return Err(Error::Conflict { message: format!("{object} was changed by another writer") });
        }
        let mut writer = self.begin(object)?;
        writer.write(bytes)?;
        writer.finish()?;
        let version = Version::of_bytes(bytes);
        // Where this fails the file is read when it is next asked for.
        *self.seen() = FileIdentity::of(&writer.file).ok().map(|identity| Seen {
            object: object.into(),
            identity,
            version: version.clone(),
        });
        Ok(version)
    }

    fn list(&self) -> Result<Vec<ObjectInfo>> {
        let mut found = Vec::new();
        self.list_directory("", &mut found).map_err(|error| Error::storage(&self.location(), error))?;
        Ok(found)
    }

    fn delete(&self, object: &str) -> Result<()> {
        match fs::remove_file(self.path(object)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::storage(object, error)),
            _ => Ok(()),
        }
    }

    fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.root).map_err(|error| Error::storage(&self.location(), error))
    }

    fn is_present(&self) -> bool {
        self.root.exists()
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(LOCK))
            .map_err(|error| Error::storage(LOCK, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(LockGuard(file))),
            Err(TryLockError::WouldBlock) => Err(Error::Conflict {
                message: format!("another writer holds the store {} (its {LOCK})", self.location()),
            }),
            Err(TryLockError::Error(error)) => Err(Error::storage(LOCK, error)),
        }
    }
}

/// Unlocks explicitly: a child process that is being spawned holds a copy of the descriptor for a moment, and closing
/// ours alone would leave the lock with it.
struct LockGuard(File);

impl Drop for LockGuard {
    fn drop(&mut self) {
        // Where this fails, closing the file is what is left.
        let _ = self.0.unlock();
    }
}

/// Places that one call to the system takes (`IOV_MAX` of Linux and BSDs).
const MAX_PLACES: usize = 1024;

#[derive(Debug)]
struct LocalReader {
    object: String,
    file: File,
    len: u64,
}

impl LocalReader {
    /// Checks that the file had so many bytes when it was opened.
    fn check(&self, range: &Range<u64>) -> Result<()> {
        if range.end <= self.len {
            return Ok(());
        }
        let message = format!("bytes up to {} are needed, the file has {} (truncated?)", range.end, self.len);
        Err(Error::corrupt(&self.object, range.start, message))
    }

    fn truncated(&self, offset: u64) -> Error {
        Error::corrupt(&self.object, offset, "the file was truncated")
    }
}

impl ObjectReader for LocalReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.check(&range)?;
        let count = usize::try_from(range.end - range.start).map_err(|error| Error::storage(&self.object, error))?;
        let mut bytes = vec![0; count];
        self.file.read_exact_at(&mut bytes, range.start).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => self.truncated(range.start),
            _ => Error::storage(&self.object, error),
        })?;
        Ok(bytes.into())
    }

    fn read_into(&self, offset: u64, mut places: &mut [IoSliceMut<'_>]) -> Result<()> {
        let total: u64 = places.iter().map(|place| place.len() as u64).sum();
        self.check(&(offset..offset.saturating_add(total)))?;
        let mut at = offset;
        // Empty ones would look like the end of the file.
        IoSliceMut::advance_slices(&mut places, 0);
        while !places.is_empty() {
            let some = places.len().min(MAX_PLACES);
            match rustix::io::preadv(&self.file, &mut places[..some], at) {
                Ok(0) => return Err(self.truncated(at)),
                Ok(count) => {
                    at += count as u64;
                    IoSliceMut::advance_slices(&mut places, count);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Error::storage(&self.object, error)),
            }
        }
        Ok(())
    }
}

struct LocalWriter {
    object: String,
    file: File,
    /// Bytes that were appended. A write that fails halfway leaves more in the file; the next one goes over them.
    len: u64,
    /// Taken once the file has its final name.
    temporary: Option<PathBuf>,
    path: PathBuf,
    /// Why an fsync failed. The kernel then drops what it could not write, and a second fsync may succeed without it.
    lost: Option<String>,
}

impl LocalWriter {
    fn lose(&mut self, error: std::io::Error) -> Error {
        self.lost = Some(error.to_string());
        Error::storage(&self.object, format!("fsync: {error}"))
    }
}

impl ObjectWriter for LocalWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, self.len).map_err(|error| Error::storage(&self.object, error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn read_back(&mut self, range: Range<u64>) -> Result<Bytes> {
        let failed = |error| Error::storage(&self.object, error);
        #[allow(clippy::cast_possible_truncation, reason = "the range was written from memory")]
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.file.read_exact_at(&mut bytes, range.start).map_err(failed)?;
        Ok(bytes.into())
    }

    fn finish(&mut self) -> Result<()> {
        if let Some(error) = &self.lost {
            let message = format!("an earlier fsync failed ({error}), what was written may be lost");
            return Err(Error::storage(&self.object, format!("{message}: abandon the changes and make them again")));
        }
        let Some(temporary) = &self.temporary else { return Ok(()) };
        let failed = |error| Error::storage(&self.object, error);
        // A write that failed halfway may have left more.
        self.file.set_len(self.len).map_err(failed)?;
        if let Err(error) = self.file.sync_all() {
            return Err(self.lose(error));
        }
        fs::rename(temporary, &self.path).map_err(failed)?;
        self.temporary = None;
        match self.path.parent().map_or(Ok(()), sync_directory) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.lose(error)),
        }
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Nothing refers to the file; a leftover would be overwritten or collected.
            let _ = fs::remove_file(temporary);
        }
    }
}
