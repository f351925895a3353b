//! The handle to a store: open, mutate, flush.

use crate::attribute::Attribute;
use crate::catalog::Catalog;
use crate::cells::ArrayData;
use crate::commit::{CatalogFile, CommittedCatalog, Found, commit_catalog, load_catalog, load_catalog_unless};
use crate::compact::{CompactOptions, CompactReport, compact, orphans, release};
use crate::current::Current;
use crate::draft::{Draft, FlushReport};
use crate::error::{Error, Result};
use crate::io::{Expected, Storage, storage_at};
use crate::options::{CreateOptions, OpenOptions};
use crate::read::{CacheTotals, SegmentPool};
use crate::region::Region;
use crate::schema::ArraySchema;
use crate::snapshot::Snapshot;
use crate::verify::{VerifyReport, verify};
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// A store: reads go to the snapshot that the handle last saw; mutations gather until [`Store::flush`].
///
/// The first mutation after opening or a flush takes the store's one writer's lock and moves the handle to the newest
/// snapshot; a flush that succeeds and [`Store::abandon`] give the lock back. Handles are clones of one another, shared
/// between threads.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    storage: Arc<dyn Storage>,
    pool: SegmentPool,
    /// Apart from the rest of the state, so that readers do not wait for a flush. Changed only under the state's lock.
    snapshot: RwLock<Snapshot>,
    state: Mutex<State>,
}

struct State {
    file: CatalogFile,
    draft: Option<Draft>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("location", &self.location()).finish_non_exhaustive()
    }
}

/// # Errors
/// `AlreadyExists` where there is a store. Whatever there is, also a damaged or foreign one, is not ours to replace.
fn check_absent(storage: &dyn Storage) -> Result<()> {
    match load_catalog(storage) {
        Ok(None) => Ok(()),
        Ok(Some(_)) | Err(Error::Corrupt { .. } | Error::UnsupportedVersion { .. }) => {
            Err(Error::AlreadyExists { what: "store", name: storage.location() })
        }
        Err(error) => Err(error),
    }
}

impl Store {
    /// Creates an empty store at a path or URL (see [`storage_at`]), with missing directories.
    ///
    /// # Errors
    /// `AlreadyExists` if there is a store.
    pub fn create(location: &str, options: CreateOptions) -> Result<Store> {
        Self::create_on(storage_at(location)?, options)
    }

    /// Creates an empty store on this storage.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_on(storage: Arc<dyn Storage>, options: CreateOptions) -> Result<Store> {
        // Before the lock, which would leave its file in somebody else's store; and under it, for two that create.
        check_absent(&*storage)?;
        storage.prepare()?;
        let _lock = storage.lock()?;
        check_absent(&*storage)?;
        let catalog = Arc::new(Catalog { codec: options.codec, ..Catalog::default() });
        let file = CatalogFile::absent(options.meta_format, options.meta_compression);
        let file = commit_catalog(&*storage, &catalog, &file)?;
        Ok(Self::with_catalog(storage, CommittedCatalog { catalog, file }, OpenOptions::default()))
    }

    /// Opens the store at a path or URL (see [`storage_at`]).
    ///
    /// # Cost
    /// One read of the catalog. Segments are opened when they are read.
    ///
    /// # Errors
    /// `NotFound` if there is none, `UnsupportedVersion` if it is of a newer format or of atlas-python, `Corrupt` if its
    /// catalog is damaged.
    pub fn open(location: &str) -> Result<Store> {
        Self::open_on(storage_at(location)?)
    }

    /// Opens the store on this storage.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(storage: Arc<dyn Storage>) -> Result<Store> {
        OpenOptions::default().open_on(storage)
    }

    /// Whether there is a store, readable or not.
    ///
    /// # Errors
    /// `Storage` if that cannot be told.
    pub fn exists(location: &str) -> Result<bool> {
        match check_absent(&*storage_at(location)?) {
            Ok(()) => Ok(false),
            Err(Error::AlreadyExists { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn with_catalog(storage: Arc<dyn Storage>, committed: CommittedCatalog, options: OpenOptions) -> Store {
        let pool = SegmentPool::new(options.cache_bytes);
        let segments = pool.segments_of(&storage, &committed.catalog);
        let snapshot = Snapshot::new(committed.catalog, segments, committed.file.bytes);
        let state = State { file: committed.file, draft: None };
        Store { inner: Arc::new(Inner { storage, pool, snapshot: RwLock::new(snapshot), state: Mutex::new(state) }) }
    }

    /// Makes `snapshot` the one that reads see; the caller holds the state's lock.
    fn publish(&self, snapshot: Snapshot) {
        *self.inner.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a mutation poisons the draft at most; the snapshot is whole.
        self.inner.state.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut state = poisoned.into_inner();
            state.draft = None;
            state
        })
    }

    /// Where the store is.
    pub fn location(&self) -> String {
        self.inner.storage.location()
    }

    /// How the store is written.
    pub fn options(&self) -> CreateOptions {
        let state = self.state();
        CreateOptions {
            codec: self.snapshot().catalog().codec,
            meta_format: state.file.format,
            meta_compression: state.file.compression,
        }
    }

    /// What the cache of decoded pages holds and did.
    pub fn cache_totals(&self) -> CacheTotals {
        self.inner.pool.cache_totals()
    }

    /// The committed state that this handle last saw. Never waits for a writer.
    pub fn snapshot(&self) -> Snapshot {
        self.inner.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves to the newest committed snapshot; tells whether it is another one.
    ///
    /// # Cost
    /// Where it is not: one look at the catalog file, or one request, which the store answers without the catalog. Else
    /// one read of the catalog.
    ///
    /// # Errors
    /// As [`Self::open`]; `Conflict` while there are unflushed mutations.
    pub fn refresh(&self) -> Result<bool> {
        let mut state = self.state();
        if state.draft.is_some() {
            return Err(Error::Conflict {
                message: "cannot refresh with unflushed changes: flush or abandon them".into(),
            });
        }
        self.refresh_state(&mut state)
    }

    fn refresh_state(&self, state: &mut State) -> Result<bool> {
        let Some((snapshot, file)) = self.newest_unless(&state.file)? else { return Ok(false) };
        self.publish(snapshot);
        state.file = file;
        Ok(true)
    }

    /// The newest committed snapshot; `None` where it is the known one.
    fn newest_unless(&self, known: &CatalogFile) -> Result<Option<(Snapshot, CatalogFile)>> {
        let storage = &self.inner.storage;
        let CommittedCatalog { catalog, file } = match load_catalog_unless(&**storage, Some(known))? {
            Found::Catalog(committed) => committed,
            Found::Known => return Ok(None),
            Found::Nothing => return Err(Error::not_found("store", storage.location())),
        };
        let segments = self.inner.pool.segments_of(storage, &catalog);
        Ok(Some((Snapshot::new(catalog, segments, file.bytes), file)))
    }

    /// Runs `mutate` on the draft, which is begun if need be.
    fn mutate<T>(&self, mutate: impl FnOnce(&mut Draft) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        if state.draft.is_none() {
            let lock = self.inner.storage.lock()?;
            self.refresh_state(&mut state)?;
            state.draft = Some(Draft::new(self.inner.storage.clone(), self.snapshot(), lock));
        }
        let Some(draft) = &mut state.draft else { return Err(Error::invalid("no draft")) };
        draft.check_whole()?;
        let result = mutate(draft);
        if let Err(error) = &result {
            draft.note(error);
        }
        if draft.is_clean() {
            // A refused first mutation must not keep the lock.
            state.draft = None;
        }
        result
    }

    /// Creates a dataset.
    ///
    /// # Errors
    /// `AlreadyExists`, or `InvalidArgument` for a name that is empty, contains `/` or NUL, begins with `_`, or is `.`
    /// or `..`. Every mutation: `Conflict` where another writer is at work.
    pub fn create_dataset(&self, name: &str) -> Result<()> {
        self.mutate(|draft| draft.create_dataset(name))
    }

    /// Deletes a dataset with its arrays and attributes.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn delete_dataset(&self, name: &str) -> Result<()> {
        self.mutate(|draft| draft.delete_dataset(name))
    }

    /// Whether a dataset exists, unflushed ones included.
    pub fn dataset_exists(&self, name: &str) -> bool {
        self.look(|current| current.dataset_row(name).is_ok())
    }

    /// What `look` finds in the metadata, unflushed changes included.
    ///
    /// Where there are such changes, writers wait for `look`, which must not call the store.
    pub fn look<T>(&self, look: impl FnOnce(Current<'_>) -> T) -> T {
        let snapshot = {
            let state = self.state();
            match &state.draft {
                Some(draft) => return look(Current::new(draft.catalog())),
                None => self.snapshot(),
            }
        };
        look(Current::new(snapshot.catalog()))
    }

    /// Which catalog file this handle saw: an ETag, or a checksum of its bytes. Two stores that were made one after the other
    /// in one place can have the same snapshot numbers, not the same of these.
    pub fn catalog_version(&self) -> String {
        match &self.state().file.version {
            Expected::Version(version) => version.0.clone(),
            Expected::Absent => String::new(),
        }
    }

    /// Whether there are changes that were not flushed.
    pub fn is_changed(&self) -> bool {
        self.state().draft.is_some()
    }

    /// Declares an array of a dataset. Its cells read as the fill value (zero without one) until they are written.
    ///
    /// # Errors
    /// `NotFound` for the dataset, `AlreadyExists` for the array, `DtypeMismatch` where the array has another dtype in
    /// other datasets, `InvalidArgument` for a bad name, ranks that differ, or a fill value that does not fit.
    pub fn define_array(&self, dataset: &str, array: &str, schema: ArraySchema) -> Result<()> {
        self.mutate(|draft| draft.define_array(dataset, array, schema))
    }

    /// Writes `data` at `start`. Later writes win.
    ///
    /// # Cost
    /// Whole chunks are encoded as they come, about a MiB of an array name at a time, by the threads of the pool while the
    /// caller goes on; parts of chunks are held until the flush. What is held takes at most 128 MiB: beyond it, it is encoded
    /// as it is. Data that is borrowed is copied.
    ///
    /// # Errors
    /// `NotFound`, `DtypeMismatch` (nothing is widened), `OutOfBounds`. `Storage` where earlier chunks could not be
    /// encoded or kept: the changes can then only be abandoned.
    pub fn write_array<'data>(
        &self,
        dataset: &str,
        array: &str,
        start: &[u64],
        data: impl Into<Cow<'data, ArrayData>>,
    ) -> Result<()> {
        let data = data.into();
        self.mutate(|draft| draft.write_array(dataset, array, start, data))
    }

    /// Reads `region` (all, if `None`) of an array, unflushed writes included.
    ///
    /// # Cost
    /// As [`Snapshot::read`], beside other reads; while the array's family has unflushed writes, one read at a time.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub fn read_array(&self, dataset: &str, array: &str, region: Option<&Region>) -> Result<ArrayData> {
        let snapshot = {
            let mut state = self.state();
            match &mut state.draft {
                Some(draft) if draft.is_written(dataset, array)? => return draft.read_array(dataset, array, region),
                Some(draft) => draft.base().clone(),
                None => self.snapshot(),
            }
        };
        snapshot.read(dataset, array, region)
    }

    /// Deletes an array of a dataset.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn delete_array(&self, dataset: &str, array: &str) -> Result<()> {
        self.mutate(|draft| draft.delete_array(dataset, array))
    }

    /// Sets an attribute of a dataset, whatever type it had.
    ///
    /// # Errors
    /// `NotFound` for the dataset, `InvalidArgument` for an empty key.
    pub fn set_attribute(&self, dataset: &str, key: &str, value: Attribute) -> Result<()> {
        self.mutate(|draft| draft.set_attribute(dataset, key, value))
    }

    /// Removes an attribute of a dataset; tells whether there was one.
    ///
    /// # Errors
    /// `NotFound` for the dataset.
    pub fn remove_attribute(&self, dataset: &str, key: &str) -> Result<bool> {
        self.mutate(|draft| draft.remove_attribute(dataset, key))
    }

    /// Makes all mutations since the last flush durable and visible, together.
    ///
    /// Where it fails the store is as it was, the mutations stay, and so does the writer's lock: flush again once there
    /// is space or the network is back, [`Self::rebase`] and flush again after a `Conflict`, or [`Self::abandon`].
    /// Segments that are durable by then are not written again; but where writers share a storage, after a quarter of an
    /// hour they are, lest a compaction takes them for leftovers.
    ///
    /// # Cost
    /// One segment for each array family that was written to, one catalog.
    ///
    /// # Errors
    /// `Storage` where the storage fails. After a failed fsync what was written cannot be trusted: every later flush then
    /// fails with `Storage` and says to abandon. Where it cannot be learned whether the commit went through, the next
    /// flush tells: it succeeds if it did.
    ///
    /// `Conflict` where another writer has committed since the first of these mutations, or where one of them failed
    /// halfway: they can only be abandoned then, as after any other error.
    pub fn flush(&self) -> Result<FlushReport> {
        let mut state = self.state();
        let State { file, draft: held } = &mut *state;
        let Some(draft) = held else {
            return Ok(FlushReport { snapshot: self.snapshot().number(), ..FlushReport::default() });
        };
        draft.check_whole()?;
        let (catalog, mut report) = draft.write_segments()?;
        let catalog = Arc::new(catalog);
        let storage = &self.inner.storage;
        *file = commit_catalog(&**storage, &catalog, file)?;
        report.catalog_bytes = file.bytes;
        let segments = self.inner.pool.segments_of(storage, &catalog);
        self.publish(Snapshot::new(catalog, segments, report.catalog_bytes));
        *held = None;
        Ok(report)
    }

    /// Moves the mutations since the last flush onto the newest committed snapshot, after a `Conflict`; tells whether it
    /// is another one. Without mutations it is [`Self::refresh`].
    ///
    /// Where writers share a storage without a lock, of two that commit at once one is told `Conflict`. Both can go on if
    /// they add different datasets or arrays, write to different arrays, or set attributes, of which the later commit
    /// wins. A delete takes with it what others added to or wrote in what is deleted.
    ///
    /// ```
    /// # use atlas_store::object_store::memory::InMemory;
    /// # use atlas_store::{CreateOptions, Error, ObjectStorage, Result, Store};
    /// fn commit(store: &Store) -> Result<()> {
    ///     loop {
    ///         match store.flush() {
    ///             Err(Error::Conflict { .. }) => store.rebase()?,
    ///             flushed => return flushed.map(drop),
    ///         };
    ///     }
    /// }
    /// # fn main() -> Result<()> {
    /// # let storage = std::sync::Arc::new(ObjectStorage::new(std::sync::Arc::new(InMemory::new()), "")?);
    /// # let one = Store::create_on(storage.clone(), CreateOptions::default())?;
    /// # let other = Store::open_on(storage.clone())?;
    ///
    /// one.create_dataset("a")?;
    /// other.create_dataset("b")?;
    /// commit(&one)?;
    /// commit(&other)?;
    /// assert_eq!(other.snapshot().dataset_names().collect::<Vec<_>>(), ["a", "b"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cost
    /// One read of the catalog; the indexes of segments that others committed, of families in which committed arrays were
    /// written to. Where others declared arrays too, segments that are durable already are read and written once more, to
    /// list their chunks under other ids; nothing is decoded or encoded again.
    ///
    /// # Errors
    /// Where another writer is in the way the mutations stay as they were, to be abandoned: `AlreadyExists` where it
    /// created the same dataset or declared the same array, `NotFound` where it deleted what was changed here,
    /// `DtypeMismatch` where it declared an array of that name with another dtype, and `Conflict` where it wrote to,
    /// compacted or declared anew an array that was written to here, or deleted and created anew a dataset that was
    /// changed here. Each names the dataset and the array. `Storage` where the storage fails: call it again.
    pub fn rebase(&self) -> Result<bool> {
        let mut state = self.state();
        let state = &mut *state;
        let Some(draft) = &mut state.draft else { return self.refresh_state(state) };
        draft.check_whole()?;
        let Some((newest, file)) = self.newest_unless(&state.file)? else { return Ok(false) };
        draft.rebase(newest.clone())?;
        self.publish(newest);
        state.file = file;
        Ok(true)
    }

    /// Rewrites the array families that hold deleted or overwritten chunks, and deletes what no reader needs: segments
    /// retired longer ago than the retention, and what writers left that did not finish.
    ///
    /// Readers of earlier snapshots are not disturbed within the retention.
    ///
    /// # Cost
    /// Reads and writes the live chunks of those families, a few MiB at a time.
    ///
    /// # Errors
    /// `Conflict` while there are unflushed mutations or another writer is at work; else as [`Self::flush`]. Before the
    /// commit the store is as it was.
    pub fn compact(&self, options: CompactOptions) -> Result<CompactReport> {
        let mut state = self.state();
        if state.draft.is_some() {
            let message = "cannot compact with unflushed changes: flush or abandon them".into();
            return Err(Error::Conflict { message });
        }
        let storage = &self.inner.storage;
        let _lock = storage.lock()?;
        self.refresh_state(&mut state)?;
        let before = self.snapshot();
        let (mut catalog, mut report) = compact(&before, &**storage)?;
        let released = release(&mut catalog, options.retention);
        catalog.settle();
        let forgets = catalog.families.len() < before.families().len();
        if report.families > 0 || forgets || !released.is_empty() {
            catalog.snapshot += 1;
            let catalog = Arc::new(catalog);
            state.file = commit_catalog(&**storage, &catalog, &state.file)?;
            let segments = self.inner.pool.segments_of(storage, &catalog);
            self.publish(Snapshot::new(catalog, segments, state.file.bytes));
        }
        let after = self.snapshot();
        let catalog = after.catalog();
        let released = released.into_iter().map(|retired| (retired.object, retired.bytes));
        let mut unneeded: Vec<(String, u64)> = released.filter(|(object, _)| !catalog.names(object)).collect();
        for orphan in orphans(catalog, &**storage, options.retention)?.unwrap_or_default() {
            if !unneeded.contains(&orphan) {
                unneeded.push(orphan);
            }
        }
        for (object, bytes) in unneeded {
            storage.delete(&object)?;
            report.deleted_objects += 1;
            report.deleted_bytes += bytes;
        }
        report.snapshot = after.number();
        report.retained_bytes = catalog.retired_bytes();
        Ok(report)
    }

    /// Reads all of the snapshot that this handle last saw: every checksum, index, zone map and statistic.
    ///
    /// # Cost
    /// All bytes of all live segments.
    ///
    /// # Errors
    /// `Storage` where the storage lists its objects ([`Storage::can_list`]) and that fails. What is damaged is in the
    /// report.
    pub fn verify(&self) -> Result<VerifyReport> {
        verify(&self.snapshot(), &*self.inner.storage)
    }

    /// Drops all mutations since the last flush.
    pub fn abandon(&self) {
        self.state().draft = None;
    }
}
