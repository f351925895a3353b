//! Everything that a program does with a store, on one whose bytes cannot be trusted.

use atlas_store::{
    ArrayData, ArraySchema, Cells, CompactOptions, DType, ErrorKind, Region, Result, Snapshot, Storage, Store,
    VarCells, with_physical,
};
use std::sync::Arc;
use std::time::Duration;

/// What is small enough to be read whole: more is a caller's request, not a parser's mistake.
const MOST_CELLS: u64 = 1 << 16;

const READING: &[ErrorKind] = &[ErrorKind::Corrupt, ErrorKind::UnsupportedVersion, ErrorKind::LimitExceeded];
/// A snapshot can say what no writer would; what is refused then is not always called damage.
const WRITING: &[ErrorKind] = &[
    ErrorKind::Corrupt,
    ErrorKind::UnsupportedVersion,
    ErrorKind::LimitExceeded,
    ErrorKind::Conflict,
    ErrorKind::DtypeMismatch,
    ErrorKind::AlreadyExists,
    ErrorKind::NotFound,
    ErrorKind::InvalidArgument,
];

fn allow<T>(result: Result<T>, kinds: &[ErrorKind], what: &str) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(kinds.contains(&error.kind()), "{what}: {:?}: {error}", error.kind());
            assert!(!error.to_string().contains('\n'), "{what}: two lines: {error}");
            None
        }
    }
}

/// Cells of a chunk, and how many chunks there are.
fn chunk_cells(schema: &ArraySchema) -> u64 {
    let extents = schema.shape.iter().zip(&schema.chunk_shape).map(|(extent, chunk)| *extent.min(chunk));
    extents.fold(1, u64::saturating_mul)
}

/// All of a small array, the first cells of a large one.
fn region_of(schema: &ArraySchema) -> Region {
    if schema.cell_count() <= MOST_CELLS {
        return Region::full(&schema.shape);
    }
    let most = if schema.rank() <= 4 && chunk_cells(schema) <= MOST_CELLS { 2 } else { 1 };
    let shape = schema.shape.iter().map(|extent| *extent.min(&most)).collect();
    Region::try_new(vec![0; schema.rank()], shape).unwrap()
}

fn read(snapshot: &Snapshot) {
    let _ = (snapshot.number(), snapshot.stored_bytes(), snapshot.catalog_bytes());
    for (row, name) in (0u32..).zip(snapshot.dataset_names()) {
        assert_eq!(snapshot.find_dataset(name), Some(row), "{name:?}");
        for (key, value) in snapshot.attributes(row) {
            let _ = (snapshot.attribute(row, &key), value.to_string());
        }
    }
    for column in snapshot.attribute_columns() {
        assert!(column.rows().iter().all(|row| column.get(*row).is_some()));
    }
    for family in snapshot.families() {
        let array = family.name();
        let rows: Vec<u32> = family.rows().to_vec();
        allow(snapshot.chunk_totals(array, &rows), READING, "chunk_totals");
        allow(snapshot.family_totals(array), READING, "family_totals");
        if let Some((_, first)) = family.entries().next() {
            let region = region_of(snapshot.schema(first));
            let kinds = [READING, &[ErrorKind::InvalidArgument, ErrorKind::OutOfBounds]].concat();
            allow(snapshot.read_stacked(array, &rows, Some(&region)), &kinds, "read_stacked");
            allow(snapshot.read_across(array, &rows, Some(&region)), &kinds, "read_across");
        }
        for (row, entry) in family.entries() {
            if let Some(statistics) = entry.statistics() {
                let _ = (statistics.mean(), statistics.valid_count());
            }
            allow(snapshot.array_codec(row, array), READING, "array_codec");
            let region = region_of(snapshot.schema(entry));
            if let Some(read) = allow(snapshot.read(snapshot.dataset_name(row), array, Some(&region)), READING, "read")
            {
                assert_eq!((read.dtype(), read.shape()), (family.dtype(), region.shape()));
                // As sound as what a caller may make.
                ArrayData::try_new(read.dtype(), read.shape().to_vec(), read.into_cells()).unwrap();
            }
        }
    }
}

fn zeros(dtype: DType, shape: &[u64]) -> ArrayData {
    let count = shape.iter().product::<u64>() as usize;
    let cells = with_physical!(dtype.physical(), T => {
        <T as atlas_store::Element>::wrap(vec![T::default(); count])
    }, var => Cells::Var(vec![b""; count].into_iter().collect::<VarCells>()));
    ArrayData::try_new(dtype, shape.to_vec(), cells).unwrap()
}

/// A partial write to every array, a declaration, a deletion.
fn write(store: &Store, snapshot: &Snapshot) {
    for family in snapshot.families() {
        for (row, entry) in family.entries() {
            let (dataset, schema) = (snapshot.dataset_name(row), snapshot.schema(entry));
            if chunk_cells(schema) > MOST_CELLS || schema.cell_count() == 0 {
                continue;
            }
            let one = zeros(schema.dtype, &vec![1; schema.rank()]);
            let last: Vec<u64> = schema.shape.iter().map(|extent| extent - 1).collect();
            allow(store.read_array(dataset, family.name(), Some(&region_of(schema))), WRITING, "read_array");
            allow(store.write_array(dataset, family.name(), &last, &one), WRITING, "write_array");
            allow(store.read_array(dataset, family.name(), Some(&region_of(schema))), WRITING, "read_array");
        }
    }
    let first = snapshot.dataset_name(0);
    allow(store.define_array(first, "new", ArraySchema::new(DType::Int8, &[], &[])), WRITING, "define_array");
    allow(store.set_attribute(first, "new", 1.5.into()), WRITING, "set_attribute");
    if let Some(last) = snapshot.dataset_names().last() {
        allow(store.delete_dataset(last), WRITING, "delete_dataset");
    }
    allow(store.create_dataset("new"), WRITING, "create_dataset");
    if allow(store.flush(), WRITING, "flush").is_none() {
        store.abandon();
    }
}

/// Opens, reads, verifies, writes, compacts, and reads again.
pub(crate) fn exercise(storage: &Arc<dyn Storage>) {
    let opening = [ErrorKind::Corrupt, ErrorKind::UnsupportedVersion];
    let Some(store) = allow(Store::open_on(storage.clone()), &opening, "open") else { return };
    read(&store.snapshot());
    let report = allow(store.verify(), READING, "verify");
    for problem in report.into_iter().flat_map(|report| report.problems) {
        assert!(!problem.message.contains('\n'), "{problem:?}");
    }
    write(&store, &store.snapshot());
    allow(store.compact(CompactOptions { retention: Duration::ZERO }), WRITING, "compact");
    read(&store.snapshot());
    // What this build wrote, it reads.
    let reopened = Store::open_on(storage.clone()).expect("reopen");
    assert_eq!(reopened.snapshot().number(), store.snapshot().number());
}
