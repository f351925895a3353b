//! Reading parts of remote objects.

use super::runtime::{Pending, begin, wait};
use super::{ObjectStorage, PART_BYTES, failed, short};
use crate::error::{Error, Result};
use crate::io::{ObjectReader, PendingRead};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use std::ops::Range;

/// The end of an object comes with its size, in one request: what a segment's reader asks for first lies there, and a
/// small segment is all there.
const TAIL_BYTES: u64 = 32 << 10;

/// A remote object. It is readable until it is deleted.
#[derive(Debug)]
pub(super) struct RemoteReader {
    storage: ObjectStorage,
    object: String,
    path: Path,
    len: u64,
    tail: Bytes,
}

impl RemoteReader {
    /// # Cost
    /// One request.
    pub(super) fn open(storage: ObjectStorage, object: &str) -> Result<Self> {
        let (store, path) = (storage.store.clone(), storage.path(object)?);
        let target = path.clone();
        let opened = wait(object, async move {
            let options = GetOptions { range: Some(GetRange::Suffix(TAIL_BYTES)), ..GetOptions::default() };
            match store.get_opts(&target, options).await {
                Ok(got) => Ok((got.meta.size, got.bytes().await?)),
                Err(error @ object_store::Error::NotFound { .. }) => Err(error),
                // Azure has no ranges from the end, and nobody has one of an empty object.
                Err(_) => Ok((store.head(&target).await?.size, Bytes::new())),
            }
        })?;
        match opened {
            Ok((len, tail)) if tail.is_empty() || tail.len() as u64 == TAIL_BYTES.min(len) => {
                Ok(RemoteReader { storage, object: object.into(), path, len, tail })
            }
            Ok((len, tail)) => Err(short(object, tail.len(), TAIL_BYTES.min(len))),
            Err(object_store::Error::NotFound { .. }) => {
                Err(Error::corrupt(object, 0, "the catalog names this object, which is missing"))
            }
            Err(error) => Err(failed(object, &error)),
        }
    }

    fn check(&self, range: &Range<u64>) -> Result<()> {
        if range.start > range.end || range.end > self.len {
            let message = format!("bytes up to {} are needed, the object has {} (truncated?)", range.end, self.len);
            return Err(Error::corrupt(&self.object, range.start, message));
        }
        Ok(())
    }

    /// The range, where it lies in the tail.
    fn in_tail(&self, range: &Range<u64>) -> Option<Bytes> {
        let start = self.len - self.tail.len() as u64;
        let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
        let to = usize::try_from(range.end - start).ok()?;
        Some(self.tail.slice(from..to))
    }

    /// Begins to fetch parts of at most [`PART_BYTES`], at once.
    fn begin(&self, parts: Vec<Range<u64>>) -> Result<Pending<object_store::Result<Vec<Bytes>>>> {
        let (store, path, at_once) = (self.storage.store.clone(), self.path.clone(), self.storage.requests);
        begin(&self.object, async move {
            let requests = parts.into_iter().map(|part| {
                let (store, path) = (store.clone(), path.clone());
                async move { store.get_range(&path, part).await }
            });
            stream::iter(requests).buffered(at_once).try_collect().await
        })
    }
}

/// The parts that were fetched, in their order.
fn fetched(
    object: &str,
    parts: &[Range<u64>],
    pending: Pending<object_store::Result<Vec<Bytes>>>,
) -> Result<Vec<Bytes>> {
    let fetched = pending.wait()?.map_err(|error| match error {
        object_store::Error::NotFound { .. } => Error::storage(
            object,
            "the object was deleted while it was open: the snapshot is older than the retention, refresh it",
        ),
        error => failed(object, &error),
    })?;
    for (bytes, part) in fetched.iter().zip(parts) {
        if bytes.len() as u64 != part.end - part.start {
            return Err(short(object, bytes.len(), part.end - part.start));
        }
    }
    Ok(fetched)
}

/// A range in parts of at most [`PART_BYTES`].
fn split(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let Range { start, end } = *range;
    (0..(end - start).div_ceil(PART_BYTES)).map(move |part| {
        let start = start + part * PART_BYTES;
        start..end.min(start + PART_BYTES)
    })
}

impl ObjectReader for RemoteReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        Ok(self.read_many(&[range])?.pop().unwrap_or_default())
    }

    fn read_many(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.begin_read(ranges).wait()
    }

    fn begin_read(&self, ranges: &[Range<u64>]) -> PendingRead {
        let mut parts = Vec::with_capacity(ranges.len());
        let mut places = Vec::with_capacity(ranges.len());
        for range in ranges {
            if let Err(error) = self.check(range) {
                return PendingRead::new(|| Err(error));
            }
            places.push(match self.in_tail(range) {
                Some(bytes) => Place::Here(bytes),
                None => {
                    parts.extend(split(range));
                    Place::Parts(split(range).count())
                }
            });
        }
        let pending = if parts.is_empty() { None } else { Some(self.begin(parts.clone())) };
        let object = self.object.clone();
        PendingRead::new(move || {
            let fetched = pending.map_or(Ok(Vec::new()), |pending| fetched(&object, &parts, pending?))?;
            let mut fetched = fetched.into_iter();
            let whole = places.into_iter().map(|place| match place {
                Place::Here(bytes) => bytes,
                Place::Parts(1) => fetched.next().unwrap_or_default(),
                Place::Parts(count) => {
                    let mut whole = BytesMut::new();
                    fetched.by_ref().take(count).for_each(|part| whole.extend_from_slice(&part));
                    whole.freeze()
                }
            });
            Ok(whole.collect())
        })
    }
}

/// Where the bytes of a range come from.
enum Place {
    Here(Bytes),
    /// So many parts.
    Parts(usize),
}
