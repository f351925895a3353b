//! Writing remote objects.

use super::runtime::wait;
use super::{ObjectStorage, PART_BYTES, failed, one_line};
use crate::error::{Error, Result};
use crate::io::ObjectWriter;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tokio::task::{JoinSet, spawn_blocking};

/// Up to this much is held in memory before it goes to a temporary file.
const MEMORY_BYTES: u64 = 1 << 20;

/// Parts of one object that are in memory and under way at a time.
const PARTS_AT_ONCE: usize = 4;

/// No object has more parts than this, on any store.
const MAX_PARTS: u64 = 10_000;

/// An object that is gathered here and uploaded when it is finished: what is abandoned was never there, what was appended
/// can be read back, and an upload that fails can be repeated.
pub(super) struct RemoteWriter {
    storage: ObjectStorage,
    object: String,
    path: Path,
    spool: Spool,
    /// Bytes that were appended. A write that fails halfway leaves more in a file; the next one goes over them.
    len: u64,
    is_finished: bool,
}

enum Spool {
    Memory(Vec<u8>),
    /// A temporary file without a name.
    File(Arc<File>),
}

impl Spool {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> std::io::Result<()> {
        if let Spool::Memory(held) = self {
            if at + bytes.len() as u64 <= MEMORY_BYTES {
                held.extend_from_slice(bytes);
                return Ok(());
            }
            let file = tempfile::tempfile()?;
            file.write_all_at(held, 0)?;
            *self = Spool::File(Arc::new(file));
        }
        match self {
            Spool::File(file) => file.write_all_at(bytes, at),
            Spool::Memory(_) => Ok(()),
        }
    }

    /// A range of what was appended.
    fn read(&self, range: Range<u64>) -> std::io::Result<Bytes> {
        match self {
            #[allow(clippy::cast_possible_truncation, reason = "the range was written from memory")]
            Spool::Memory(held) => held
                .get(range.start as usize..range.end as usize)
                .map(Bytes::copy_from_slice)
                .ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into()),
            Spool::File(file) => read_part(file, range).map(Bytes::from),
        }
    }
}

impl RemoteWriter {
    pub(super) fn new(storage: ObjectStorage, object: &str) -> Result<Self> {
        let path = storage.path(object)?;
        Ok(RemoteWriter {
            storage,
            object: object.into(),
            path,
            spool: Spool::Memory(Vec::new()),
            len: 0,
            is_finished: false,
        })
    }
}

impl ObjectWriter for RemoteWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.spool.write_at(bytes, self.len).map_err(|error| Error::storage(&self.object, error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn read_back(&mut self, range: Range<u64>) -> Result<Bytes> {
        self.spool.read(range).map_err(|error| Error::storage(&self.object, error))
    }

    fn finish(&mut self) -> Result<()> {
        if self.is_finished {
            return Ok(());
        }
        let (store, path, len, at_once) =
            (self.storage.store.clone(), self.path.clone(), self.len, self.storage.requests.min(PARTS_AT_ONCE));
        let put = match &self.spool {
            Spool::File(file) if len > PART_BYTES => {
                let file = file.clone();
                wait(&self.object, async move { upload(&*store, &path, file, len, at_once).await })?
            }
            spool => {
                let bytes = spool.read(0..len).map_err(|error| Error::storage(&self.object, error))?;
                wait(&self.object, async move { store.put(&path, bytes.into()).await.map(drop) })?
            }
        };
        put.map_err(|error| failed(&self.object, &error))?;
        self.is_finished = true;
        Ok(())
    }
}

/// Uploads a file in parts; leaves nothing behind where that fails.
async fn upload(
    store: &dyn ObjectStore,
    path: &Path,
    file: Arc<File>,
    len: u64,
    at_once: usize,
) -> object_store::Result<()> {
    let mut upload = store.put_multipart(path).await?;
    let uploaded = match put_parts(&mut *upload, file, len, at_once).await {
        Ok(()) => upload.complete().await.map(drop),
        Err(error) => Err(error),
    };
    if uploaded.is_err() {
        // The first error is the one to tell; parts that stay behind are for the store's lifecycle rule.
        let _ = upload.abort().await;
    }
    uploaded
}

async fn put_parts(
    upload: &mut dyn MultipartUpload,
    file: Arc<File>,
    len: u64,
    at_once: usize,
) -> object_store::Result<()> {
    let broken = |error: &dyn std::fmt::Display| object_store::Error::Generic {
        store: "temporary file",
        source: one_line(error).into(),
    };
    let part_bytes = PART_BYTES.max(len.div_ceil(MAX_PARTS));
    let mut under_way = JoinSet::new();
    let mut start = 0;
    while start < len || !under_way.is_empty() {
        if start < len && under_way.len() < at_once {
            let (file, end) = (file.clone(), len.min(start + part_bytes));
            let part = spawn_blocking(move || read_part(&file, start..end)).await.map_err(|error| broken(&error))?;
            under_way.spawn(upload.put_part(part.map_err(|error| broken(&error))?.into()));
            start = end;
        } else if let Some(done) = under_way.join_next().await {
            done.map_err(|error| broken(&error))??;
        }
    }
    Ok(())
}

fn read_part(file: &File, range: Range<u64>) -> std::io::Result<Vec<u8>> {
    #[allow(clippy::cast_possible_truncation, reason = "a part is held in memory")]
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}
