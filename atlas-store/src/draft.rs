//! The mutations since the last flush.

use crate::attribute::Attribute;
use crate::catalog::Catalog;
use crate::cells::ArrayData;
use crate::error::{Error, ErrorKind, Result};
use crate::grid::Grid;
use crate::io::Storage;
use crate::read::{Segment, fill_cells, scatter};
use crate::rebase::{ChangedAttributes, Merge, Merged};
use crate::region::{Region, cell_count};
use crate::schema::ArraySchema;
use crate::snapshot::Snapshot;
use crate::write::PendingFamily;
use rayon::prelude::*;
use std::any::Any;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// What is not encoded yet takes at most this much memory; beyond it it is encoded as it is.
const MAX_HELD_BYTES: usize = 128 << 20;

/// The writer's lock, held as long as the draft.
pub(crate) type Lock = Box<dyn Any + Send + Sync>;

/// What a flush wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlushReport {
    /// The number of the snapshot that is now the newest.
    pub snapshot: u64,
    /// New segments: one for each array family that was written to, more where it was written to between flushes that
    /// failed.
    pub segments: usize,
    /// Their bytes.
    pub segment_bytes: u64,
    /// Bytes of the new catalog; 0 if there was nothing to flush.
    pub catalog_bytes: u64,
}

/// The segments of a snapshot that a family still has in a catalog made from it: none, if it was forgotten and its name
/// used anew.
fn committed(snapshot: &Snapshot, catalog: &Catalog, array: &str) -> Vec<Arc<Segment>> {
    let live = catalog.families.get(array).map_or(&[][..], |family| &family.segments);
    let segments = snapshot.segments(array).iter();
    segments.filter(|segment| live.contains(&segment.reference)).cloned().collect()
}

/// A catalog in the making, and the cells written to it.
pub(crate) struct Draft {
    storage: Arc<dyn Storage>,
    base: Snapshot,
    catalog: Catalog,
    pending: BTreeMap<String, PendingFamily>,
    /// What was set or removed of the datasets of `base`.
    attributes: ChangedAttributes,
    is_clean: bool,
    /// Why a mutation failed halfway, if one did: the draft must not be committed then.
    failure: Option<String>,
    _lock: Lock,
}

impl Draft {
    pub(crate) fn new(storage: Arc<dyn Storage>, base: Snapshot, lock: Lock) -> Self {
        let catalog = Catalog::clone(base.catalog());
        let (pending, attributes) = (BTreeMap::new(), ChangedAttributes::new());
        Draft { storage, base, catalog, pending, attributes, is_clean: true, failure: None, _lock: lock }
    }

    /// The catalog with all mutations.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What the changes began with.
    pub(crate) fn base(&self) -> &Snapshot {
        &self.base
    }

    /// Whether cells of an array may differ from those in the snapshot that the changes began with.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn is_written(&self, dataset: &str, array: &str) -> Result<bool> {
        let row = self.catalog.dataset_row(dataset)?;
        let (entry, _) = self.catalog.array(row, array)?;
        // A dataset or array that was deleted and made again has another id.
        let known = self.base.array(dataset, array).is_ok_and(|(known, _)| known.id == entry.id);
        Ok(!known || self.pending.contains_key(array))
    }

    /// Whether nothing was mutated.
    pub(crate) fn is_clean(&self) -> bool {
        self.is_clean
    }

    /// Remembers an error that may have left a mutation half done.
    pub(crate) fn note(&mut self, error: &Error) {
        if matches!(error.kind(), ErrorKind::Storage | ErrorKind::Corrupt) {
            self.failure.get_or_insert_with(|| error.to_string());
        }
    }

    /// # Errors
    /// `Conflict` where a mutation failed halfway.
    pub(crate) fn check_whole(&self) -> Result<()> {
        match &self.failure {
            None => Ok(()),
            Some(failure) => Err(Error::Conflict {
                message: format!(
                    "an earlier change failed halfway ({failure}): abandon the changes and make them again"
                ),
            }),
        }
    }

    pub(crate) fn create_dataset(&mut self, name: &str) -> Result<()> {
        self.catalog.create_dataset(name)?;
        self.is_clean = false;
        Ok(())
    }

    pub(crate) fn delete_dataset(&mut self, name: &str) -> Result<()> {
        let row = self.catalog.dataset_row(name)?;
        for (array, pending) in &mut self.pending {
            if let Some(entry) = self.catalog.family(array)?.entry(row) {
                pending.forget(entry.id);
            }
        }
        self.catalog.delete_dataset(row);
        self.is_clean = false;
        Ok(())
    }

    pub(crate) fn define_array(&mut self, dataset: &str, array: &str, schema: ArraySchema) -> Result<()> {
        let row = self.catalog.dataset_row(dataset)?;
        self.forget_unused(array);
        let id = self.catalog.define_array(row, array, schema)?;
        self.is_clean = false;
        self.pending(array)?.touched.insert(id, row);
        Ok(())
    }

    fn forget_unused(&mut self, array: &str) {
        if self.catalog.forget_unused(array) {
            self.pending.remove(array);
        }
    }

    /// The unflushed writes to a family that exists.
    fn pending(&mut self, array: &str) -> Result<&mut PendingFamily> {
        if !self.pending.contains_key(array) {
            let dtype = self.catalog.family(array)?.dtype();
            let committed = committed(&self.base, &self.catalog, array);
            let pending = PendingFamily::new(dtype, self.catalog.codec, self.storage.clone(), committed);
            self.pending.insert(array.to_string(), pending);
        }
        self.pending.get_mut(array).ok_or_else(|| Error::not_found("array", array))
    }

    pub(crate) fn write_array(
        &mut self,
        dataset: &str,
        array: &str,
        start: &[u64],
        data: Cow<'_, ArrayData>,
    ) -> Result<()> {
        let row = self.catalog.dataset_row(dataset)?;
        let (entry, schema) = self.catalog.array(row, array)?;
        let (id, schema) = (entry.id, schema.clone());
        let named = format!("{array} of dataset {dataset}");
        if data.dtype() != schema.dtype {
            let (expected, actual) = (schema.dtype.to_string(), data.dtype().to_string());
            return Err(Error::DtypeMismatch { array: named, expected, actual });
        }
        let region = Region::try_new(start.to_vec(), data.shape().to_vec())?;
        region.check(&named, &schema.shape)?;
        if let Some(family) = self.catalog.families.get_mut(array) {
            Arc::make_mut(family).forget_statistics(row);
        }
        self.is_clean = false;
        let pending = self.pending(array)?;
        pending.touched.insert(id, row);
        if !pending.is_open() {
            self.begin_segment(array)?;
        }
        self.pending(array)?.write(id, &schema, &region, data)?;
        if self.pending.values().map(PendingFamily::held_bytes).sum::<usize>() > MAX_HELD_BYTES {
            // Each begins what is left of it when its last batch is appended, before any waits for that.
            self.pending.values_mut().try_for_each(PendingFamily::encode_all)?;
            self.pending.values_mut().try_for_each(PendingFamily::append_all)?;
        }
        Ok(())
    }

    fn begin_segment(&mut self, array: &str) -> Result<()> {
        let family = self.catalog.families.get_mut(array).ok_or_else(|| Error::not_found("array", array))?;
        let object = Arc::make_mut(family).take_segment_name(self.storage.is_shared());
        self.pending(array)?.begin_segment(object);
        Ok(())
    }

    pub(crate) fn read_array(&mut self, dataset: &str, array: &str, region: Option<&Region>) -> Result<ArrayData> {
        let row = self.catalog.dataset_row(dataset)?;
        let (entry, schema) = self.catalog.array(row, array)?;
        let (id, schema) = (entry.id, schema.clone());
        let region = region.cloned().unwrap_or_else(|| Region::full(&schema.shape));
        region.check(&format!("{array} of dataset {dataset}"), &schema.shape)?;
        let count = cell_count(region.shape()).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        let mut cells = fill_cells(schema.dtype, schema.fill_value.as_ref(), count)?;
        let pending = self.pending(array)?;
        for (chunk, extent) in Grid::new(&schema.shape, &schema.chunk_shape).chunks_in(&region) {
            // A schema has at most 2^32 chunks.
            let Ok(chunk) = u32::try_from(chunk) else { continue };
            if let Some(found) = pending.find(id, chunk, &extent)? {
                scatter(&found, &extent, &mut cells, &region);
            }
        }
        Ok(ArrayData::new_unchecked(schema.dtype, region.shape().to_vec(), cells))
    }

    pub(crate) fn delete_array(&mut self, dataset: &str, array: &str) -> Result<()> {
        let row = self.catalog.dataset_row(dataset)?;
        let id = self.catalog.array(row, array)?.0.id;
        self.catalog.delete_array(row, array)?;
        self.is_clean = false;
        if let Some(pending) = self.pending.get_mut(array) {
            pending.forget(id);
        }
        Ok(())
    }

    pub(crate) fn set_attribute(&mut self, dataset: &str, key: &str, value: Attribute) -> Result<()> {
        let row = self.catalog.dataset_row(dataset)?;
        self.catalog.set_attribute(row, key, value)?;
        self.attribute_changed(row, key);
        Ok(())
    }

    fn attribute_changed(&mut self, row: u32, key: &str) {
        self.is_clean = false;
        if (row as usize) < self.base.dataset_count() {
            self.attributes.entry(key.to_string()).or_default().insert(row);
        }
    }

    pub(crate) fn remove_attribute(&mut self, dataset: &str, key: &str) -> Result<bool> {
        let row = self.catalog.dataset_row(dataset)?;
        let removed = self.catalog.remove_attribute(row, key);
        if removed {
            self.attribute_changed(row, key);
        }
        Ok(removed)
    }

    /// Makes the segments durable and gives the catalog that names them; the store is not changed by that. Where the
    /// storage fails it can be called again.
    pub(crate) fn write_segments(&mut self) -> Result<(Catalog, FlushReport)> {
        let written = self.try_write_segments();
        if let Err(error) = &written
            && error.kind() != ErrorKind::Storage
        {
            self.failure.get_or_insert_with(|| error.to_string());
        }
        written
    }

    fn try_write_segments(&mut self) -> Result<(Catalog, FlushReport)> {
        for array in self.pending.keys().cloned().collect::<Vec<_>>() {
            self.forget_unused(&array);
        }
        self.pending.values_mut().try_for_each(PendingFamily::encode_all)?;
        self.pending.par_iter_mut().try_for_each(|(_, pending)| pending.settle())?;
        let Catalog { families, schemas, .. } = &mut self.catalog;
        if self.storage.is_shared() {
            let now = Instant::now();
            for (array, pending) in &mut self.pending {
                let Some(family) = families.get_mut(array) else { continue };
                pending.renew(now, || Arc::make_mut(family).take_segment_name(true))?;
            }
        }
        for (array, pending) in &mut self.pending {
            let Some(family) = families.get_mut(array) else { continue };
            let mut known = Vec::new();
            for (&id, &row) in &pending.touched {
                // An array that was deleted and declared again has another id.
                if let Some(entry) = family.entry(row).filter(|entry| entry.id == id) {
                    known.push((row, pending.statistics(id, &schemas[entry.schema as usize])?));
                }
            }
            Arc::make_mut(family).set_statistics(known);
            pending.touched.clear();
        }
        let finished: Vec<_> = self
            .pending
            .par_iter_mut()
            .map(|(array, pending)| Ok((array, pending.committed_count(), pending.finish()?)))
            .collect::<Result<_>>()?;
        let mut report = FlushReport::default();
        for (array, committed, segments) in finished {
            let Some(family) = families.get_mut(array).filter(|_| !segments.is_empty()) else { continue };
            report.segments += segments.len();
            report.segment_bytes += segments.iter().map(|segment| segment.bytes).sum::<u64>();
            // An earlier attempt may have named some of them.
            let named = &mut Arc::make_mut(family).segments;
            named.truncate(committed);
            named.extend(segments);
        }
        // The draft keeps its rows as they are, for the next attempt. It can do without the index of schemas.
        let interned = self.catalog.interned.take();
        let mut catalog = Catalog { interned, ..self.catalog.clone() };
        catalog.settle();
        catalog.snapshot += 1;
        report.snapshot = catalog.snapshot;
        Ok((catalog, report))
    }

    /// Moves the draft onto a newer snapshot; where that fails it is as it was.
    pub(crate) fn rebase(&mut self, newest: Snapshot) -> Result<()> {
        let named: HashSet<&str> = newest.catalog().objects().collect();
        let own = self.pending.values().flat_map(PendingFamily::objects).find(|object| named.contains(object));
        if let Some(object) = own {
            // Only where the reply to the commit was lost, and could not be learned before somebody else's commit.
            let message = format!("an earlier flush of these changes went through, the catalog names {object}");
            return Err(Error::Conflict { message: format!("{message}: abandon the changes") });
        }
        let first = self.base.catalog().next_array_id;
        let written =
            self.pending.iter().map(|(array, pending)| (array.clone(), pending.written_before(first))).collect();
        let merge = Merge {
            base: &self.base,
            ours: &self.catalog,
            newest: &newest,
            written: &written,
            attributes: &self.attributes,
        };
        let Merged { mut catalog, rows, ids } = merge.merge()?;
        let mut copies = BTreeMap::new();
        for (array, pending) in &mut self.pending {
            // Of arrays that the draft deleted again nothing is left to commit.
            let family = catalog.families.get_mut(array).filter(|family| family.dtype() == pending.dtype());
            if let Some(family) = family {
                let is_shared = self.storage.is_shared();
                let name = || Arc::make_mut(family).take_segment_name(is_shared);
                copies.insert(array.clone(), pending.copy_renumbered(ids, name)?);
            }
        }
        self.pending.retain(|array, _| copies.contains_key(array));
        for (array, pending) in &mut self.pending {
            pending.adopt(copies.remove(array).unwrap_or_default());
            pending.rebase(committed(&newest, &catalog, array), ids, &rows);
        }
        for changed in self.attributes.values_mut() {
            *changed = changed.iter().filter_map(|row| rows.get(row).copied()).collect();
        }
        self.catalog = catalog;
        self.base = newest;
        Ok(())
    }
}
