//! Writing remote objects.

use super::runtime::wait;
use super::{ObjectStorage, PART_BYTES, failed, one_line};
use crate::error::{Error, Result};
use crate::io::ObjectWriter;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tempfile::{SpooledData, SpooledTempFile};
use tokio::task::{JoinSet, spawn_blocking};

/// Up to this much is held in memory before it goes to a temporary file.
const MEMORY_BYTES: usize = 1 << 20;

/// Parts of one object that are in memory and under way at a time.
const PARTS_AT_ONCE: usize = 4;

/// No object has more parts than this, on any store.
const MAX_PARTS: u64 = 10_000;

/// An object that is gathered in a temporary file and uploaded when it is finished: what is abandoned was never there,
/// and what was appended can be read back.
pub(super) struct RemoteWriter {
    storage: ObjectStorage,
    object: String,
    path: Path,
    spool: SpooledTempFile,
    len: u64,
}

impl RemoteWriter {
    pub(super) fn new(storage: ObjectStorage, object: &str) -> Result<Self> {
        let path = storage.path(object)?;
        Ok(RemoteWriter { storage, object: object.into(), path, spool: SpooledTempFile::new(MEMORY_BYTES), len: 0 })
    }
}

impl ObjectWriter for RemoteWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.spool.write_all(bytes).map_err(|error| Error::storage(&self.object, error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn read_back(&mut self, range: Range<u64>) -> Result<Bytes> {
        let failed = |error| Error::storage(&self.object, error);
        #[allow(clippy::cast_possible_truncation, reason = "the range was written from memory")]
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.spool.seek(SeekFrom::Start(range.start)).map_err(failed)?;
        let read = self.spool.read_exact(&mut bytes);
        self.spool.seek(SeekFrom::End(0)).map_err(failed)?;
        read.map_err(failed)?;
        Ok(bytes.into())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let (store, object, len, at_once) = (self.storage.store.clone(), self.object, self.len, self.storage.requests);
        let path = self.path;
        let put = if len <= PART_BYTES {
            let mut bytes = Vec::new();
            self.spool.rewind().map_err(|error| Error::storage(&object, error))?;
            self.spool.read_to_end(&mut bytes).map_err(|error| Error::storage(&object, error))?;
            wait(&object, async move { store.put(&path, bytes.into()).await.map(drop) })?
        } else {
            let file = match self.spool.into_inner() {
                SpooledData::OnDisk(file) => Arc::new(file),
                SpooledData::InMemory(_) => return Err(Error::storage(&object, "the temporary file is missing")),
            };
            wait(&object, async move { upload(&*store, &path, file, len, at_once.min(PARTS_AT_ONCE)).await })?
        };
        put.map_err(|error| failed(&object, &error))
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
