//! Bulk reads: against reads cell by cell, and by the numbers of their plans.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    dead_code,
    unreachable_pub,
    reason = "tests"
)]

#[path = "backend/counting.rs"]
mod counting;
#[path = "backend/faulty.rs"]
mod faulty;
#[path = "model/values.rs"]
mod values;

use atlas_store::object_store::memory::InMemory;
use atlas_store::{
    ArrayData, ArraySchema, CancelToken, Cells, Codec, CreateOptions, DType, Element, ErrorKind, MemoryStorage,
    ObjectStorage, OpenOptions, ReadHooks, ReadProgress, Region, Snapshot, SpareMemory, Storage, Store, VarCells,
};
use counting::{Counting, Counts};
use faulty::Faulty;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use values::Random;

fn cells(dtype: DType, shape: &[u64], random: &mut Random) -> ArrayData {
    let cells: Vec<_> = (0..shape.iter().product::<u64>()).map(|_| values::value(dtype, random)).collect();
    values::array(dtype, shape, &cells)
}

fn region(start: &[u64], shape: &[u64]) -> Region {
    Region::try_new(start.to_vec(), shape.to_vec()).unwrap()
}

/// The cells of a region, one by one.
fn cut(data: &ArrayData, region: &Region) -> ArrayData {
    fn pick<T: Element>(cells: &[T], places: &[usize]) -> Cells {
        T::wrap(places.iter().map(|place| cells[*place]).collect())
    }
    let mut places = Vec::new();
    for cell in 0..region.shape().iter().product::<u64>() {
        let (mut rest, mut place, mut stride) = (cell, 0, 1);
        for dim in (0..region.rank()).rev() {
            place += (region.start()[dim] + rest % region.shape()[dim]) * stride;
            rest /= region.shape()[dim];
            stride *= data.shape()[dim];
        }
        places.push(place as usize);
    }
    let cells = match data.cells() {
        Cells::I8(cells) => pick(cells, &places),
        Cells::I16(cells) => pick(cells, &places),
        Cells::I32(cells) => pick(cells, &places),
        Cells::I64(cells) => pick(cells, &places),
        Cells::U8(cells) => pick(cells, &places),
        Cells::U16(cells) => pick(cells, &places),
        Cells::U32(cells) => pick(cells, &places),
        Cells::U64(cells) => pick(cells, &places),
        Cells::F32(cells) => pick(cells, &places),
        Cells::F64(cells) => pick(cells, &places),
        Cells::Var(cells) => Cells::Var(places.iter().map(|place| cells.get(*place)).collect::<VarCells>()),
    };
    ArrayData::try_new(data.dtype(), region.shape().to_vec(), cells).unwrap()
}

/// Equal bits: NaN is equal to itself.
fn same(a: &ArrayData, b: &ArrayData) -> bool {
    (a.dtype(), a.shape()) == (b.dtype(), b.shape()) && format!("{:?}", a.cells()) == format!("{:?}", b.cells())
}

fn memory() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new())
}

fn remote() -> Arc<dyn Storage> {
    Arc::new(ObjectStorage::new(Arc::new(InMemory::new()), "p").unwrap())
}

fn create(storage: &Arc<dyn Storage>, codec: Codec) -> Store {
    Store::create_on(storage.clone(), CreateOptions { codec, ..CreateOptions::default() }).unwrap()
}

/// A random fleet, flushed in several segments, some chunks unwritten, some written again; and what it holds.
fn fleet(storage: &Arc<dyn Storage>, random: &mut Random, dtype: DType, most: u64) -> Vec<Option<ArrayData>> {
    let store = create(storage, random.pick(&[Codec::Auto, Codec::Zstd, Codec::Lz4, Codec::None]));
    let rank = random.below(4) as usize;
    let dims: Vec<String> = (0..rank).map(|dim| format!("d{dim}")).collect();
    let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
    let shapes: Vec<Vec<u64>> = (0..3).map(|_| (0..rank).map(|_| random.below(most)).collect()).collect();
    let mut held = Vec::new();
    for row in 0..random.below(12) + 1 {
        let name = format!("d{row}");
        store.create_dataset(&name).unwrap();
        if random.below(6) == 0 {
            held.push(None);
            continue;
        }
        let shape = shapes[random.below(3) as usize].clone();
        let chunk: Vec<u64> = shape.iter().map(|extent| random.below((*extent).max(1)) + 1).collect();
        let schema = ArraySchema::new(dtype, &dims, &shape).with_chunk_shape(&chunk);
        store.define_array(&name, "v", schema).unwrap();
        for _ in 0..random.below(3) {
            let (start, extent) = random.region(&shape);
            let data = cells(dtype, &extent, random);
            store.write_array(&name, "v", &start, &data).unwrap();
        }
        held.push(Some(store.read_array(&name, "v", None).unwrap()));
        if random.below(3) == 0 {
            store.flush().unwrap();
        }
    }
    store.flush().unwrap();
    held
}

fn check_bulk(snapshot: &Snapshot, held: &[Option<ArrayData>], random: &mut Random) {
    if snapshot.find_family("v").is_none() {
        return;
    }
    let mut rows: Vec<u32> = (0..held.len() as u32).collect();
    for at in 0..rows.len() {
        rows.swap(at, random.below(held.len() as u64) as usize);
    }
    rows.truncate(random.below(held.len() as u64 + 1) as usize);
    let rank = held.iter().flatten().map(|data| data.shape().len()).next().unwrap_or(0);
    let least: Vec<u64> = (0..rank)
        .map(|dim| rows.iter().filter_map(|row| held[*row as usize].as_ref()).map(|data| data.shape()[dim]).min())
        .map(Option::unwrap_or_default)
        .collect();
    let wanted = match random.below(3) {
        0 => None,
        _ => {
            let (start, shape) = random.region(&least);
            Some(region(&start, &shape))
        }
    };
    let expected = |row: u32| {
        let data = held[row as usize].as_ref()?;
        Some(wanted.as_ref().map_or_else(|| data.clone(), |wanted| cut(data, wanted)))
    };
    let across = snapshot.read_across("v", &rows, wanted.as_ref()).unwrap();
    for (row, got) in rows.iter().zip(&across) {
        match (expected(*row), got) {
            (Some(expected), Some(got)) => assert!(same(&expected, got), "{row}: {got:?}, expected {expected:?}"),
            (expected, got) => assert!(expected.is_none() && got.is_none(), "{row}: {got:?}"),
        }
    }
    let there: Vec<ArrayData> = across.into_iter().flatten().collect();
    let present: Vec<u32> = rows.iter().copied().filter(|row| held[*row as usize].is_some()).collect();
    let plan = snapshot.plan_across(&["v", "v"], &rows, wanted.as_ref()).unwrap();
    let [joined, twice] = plan.execute_joined(ReadHooks::new()).unwrap().try_into().unwrap();
    assert_eq!(texts(&twice), texts(&joined));
    let total: usize = there.iter().map(|data| data.cells().len()).sum();
    assert_eq!(joined.len(), total);
    let one_by_one: Vec<String> = there.iter().flat_map(|data| texts(data.cells())).collect();
    assert_eq!(texts(&joined), one_by_one);
    let plan = snapshot.plan_across(&["v"], &rows, wanted.as_ref()).unwrap();
    let again = plan.execute_joined(ReadHooks::new().reusing(&used(joined))).unwrap();
    assert_eq!(texts(&again[0]), one_by_one, "in memory that held other cells");
    let stacked = snapshot.read_stacked("v", &present, wanted.as_ref());
    if there.iter().all(|data| data.shape() == there[0].shape()) {
        assert_eq!(texts(stacked.unwrap().cells()), one_by_one);
    } else {
        assert_eq!(stacked.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    if rows.len() > present.len() {
        let error = snapshot.read_stacked("v", &rows, wanted.as_ref()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

/// Memory for as many cells, which holds none of them.
fn used(cells: Cells) -> SpareMemory {
    fn other<T: Element>(mut cells: Vec<T>) -> Cells {
        bytemuck::cast_slice_mut::<T, u8>(&mut cells).iter_mut().for_each(|byte| *byte ^= 0xA5);
        T::wrap(cells)
    }
    let spare = SpareMemory::new(usize::MAX);
    spare.put(match cells {
        Cells::I8(cells) => other(cells),
        Cells::I16(cells) => other(cells),
        Cells::I32(cells) => other(cells),
        Cells::I64(cells) => other(cells),
        Cells::U8(cells) => other(cells),
        Cells::U16(cells) => other(cells),
        Cells::U32(cells) => other(cells),
        Cells::U64(cells) => other(cells),
        Cells::F32(cells) => other(cells),
        Cells::F64(cells) => other(cells),
        Cells::Var(cells) => Cells::Var(cells),
    });
    spare
}

fn texts(cells: &Cells) -> Vec<String> {
    fn of<T: Element>(cells: &[T]) -> Vec<String> {
        cells.iter().map(|cell| format!("{:?}", bytemuck::bytes_of(cell))).collect()
    }
    match cells {
        Cells::I8(cells) => of(cells),
        Cells::I16(cells) => of(cells),
        Cells::I32(cells) => of(cells),
        Cells::I64(cells) => of(cells),
        Cells::U8(cells) => of(cells),
        Cells::U16(cells) => of(cells),
        Cells::U32(cells) => of(cells),
        Cells::U64(cells) => of(cells),
        Cells::F32(cells) => of(cells),
        Cells::F64(cells) => of(cells),
        Cells::Var(cells) => cells.iter().map(|cell| format!("{cell:?}")).collect(),
    }
}

#[test]
fn bulk_reads_equal_reads_cell_by_cell() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let storage = if seed % 3 == 0 { remote() } else { memory() };
        let dtype = random.pick(&DType::ALL);
        let held = fleet(&storage, &mut random, dtype, 14);
        let options = OpenOptions { cache_bytes: if seed % 2 == 0 { 0 } else { 1 << 20 } };
        let store = options.open_on(storage).unwrap();
        for _ in 0..8 {
            check_bulk(&store.snapshot(), &held, &mut random);
        }
    }
}

#[test]
fn large_arrays_equal_reads_cell_by_cell() {
    // Slabs; rows too wide for slabs; a leading dimension of one; one long row; text.
    let cases: [(DType, &[u64], &[u64]); 6] = [
        (DType::Float32, &[900, 40, 30], &[900, 40, 30]),
        (DType::Int16, &[700, 50, 60], &[64, 25, 25]),
        (DType::Float64, &[3, 900, 900], &[3, 200, 200]),
        (DType::UInt8, &[1, 2500, 1900], &[1, 400, 400]),
        (DType::Int32, &[1_500_000], &[1_500_000]),
        (DType::String, &[400, 500], &[150, 300]),
    ];
    for (dtype, shape, chunk) in cases {
        for storage in [memory(), remote()] {
            let store = create(&storage, Codec::Auto);
            let dims: Vec<String> = (0..shape.len()).map(|dim| format!("d{dim}")).collect();
            let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
            store.create_dataset("d").unwrap();
            let fill = (dtype != DType::String).then(|| values::value(dtype, &mut Random(5)));
            let schema = ArraySchema::new(dtype, &dims, shape).with_chunk_shape(chunk).with_fill_value(fill);
            store.define_array("d", "v", schema).unwrap();
            // The last quarter of the last dimension stays unwritten.
            let mut written = shape.to_vec();
            *written.last_mut().unwrap() = written.last().unwrap() * 3 / 4;
            store.write_array("d", "v", &vec![0; shape.len()], numbered(dtype, &written)).unwrap();
            let whole = store.read_array("d", "v", None).unwrap();
            store.flush().unwrap();
            let snapshot = store.snapshot();
            assert!(snapshot.read("d", "v", None).unwrap() == whole, "{dtype} {shape:?}");
            let start: Vec<u64> = shape.iter().map(|extent| extent / 7).collect();
            let extent: Vec<u64> = shape.iter().zip(&start).map(|(extent, start)| (extent - start).max(1)).collect();
            let wanted = region(&start, &extent);
            let got = snapshot.read_stacked("v", &[0, 0], Some(&wanted)).unwrap();
            let plan = snapshot.plan_stacked("v", &[0, 0], Some(&wanted)).unwrap();
            let again = plan.execute(ReadHooks::new().reusing(&used(got.cells().clone()))).unwrap();
            assert!(again[0] == got, "{dtype} {shape:?}: in memory that held other cells");
            let expected = cut(&whole, &wanted);
            assert_eq!(got.cells().len(), 2 * expected.cells().len());
            let half = |from: u64| cut(&got, &region(&with_lead(from, &vec![0; shape.len()]), &with_lead(1, &extent)));
            for half in [half(0), half(1)] {
                assert!(half.cells() == expected.cells(), "{dtype} {shape:?} {wanted:?}");
            }
        }
    }
}

fn with_lead(first: u64, rest: &[u64]) -> Vec<u64> {
    std::iter::once(first).chain(rest.iter().copied()).collect()
}

/// Cells that tell their place.
fn numbered(dtype: DType, shape: &[u64]) -> ArrayData {
    let count = shape.iter().product::<u64>();
    let cells = match dtype {
        DType::Float32 => Cells::F32((0..count).map(|k| (k % 100_003) as f32).collect()),
        DType::Float64 => Cells::F64((0..count).map(|k| k as f64 / 3.0).collect()),
        DType::Int16 => Cells::I16((0..count).map(|k| (k % 30_011) as i16).collect()),
        DType::Int32 => Cells::I32((0..count).map(|k| k as i32).collect()),
        DType::UInt8 => Cells::U8((0..count).map(|k| (k * 7 % 251) as u8).collect()),
        _ => Cells::Var((0..count).map(|k| format!("t{k}")).collect::<VarCells>()),
    };
    ArrayData::try_new(dtype, shape.to_vec(), cells).unwrap()
}

/// A store that counts, reopened so that only reads count, with a cache of so many bytes.
fn counted(cache_bytes: u64, fill: impl Fn(&Store)) -> (Store, Arc<Counts>) {
    let (storage, counts) = Counting::around(memory());
    let store = create(&storage, Codec::Auto);
    fill(&store);
    store.flush().unwrap();
    let store = OpenOptions { cache_bytes }.open_on(storage).unwrap();
    (store, counts)
}

fn add(store: &Store, name: &str, array: &str, shape: &[u64], dims: &[&str]) {
    if !store.dataset_exists(name) {
        store.create_dataset(name).unwrap();
    }
    store.define_array(name, array, ArraySchema::new(DType::Float32, dims, shape)).unwrap();
    store.write_array(name, array, &vec![0; shape.len()], numbered(DType::Float32, shape)).unwrap();
}

#[test]
fn ragged_arrays_are_read_once_although_they_share_pages() {
    let (store, counts) = counted(0, |store| {
        for row in 0..2000u64 {
            add(store, &format!("d{row}"), "v", &[20 + row % 30], &["z"]);
        }
    });
    let snapshot = store.snapshot();
    let rows: Vec<u32> = (0..2000).collect();
    let plan = snapshot.plan_across(&["v"], &rows, None).unwrap();
    counts.take();
    let read = plan.execute(ReadHooks::new()).unwrap();
    let (ranges, bytes) = counts.take();
    assert_eq!(read.len(), 2000);
    assert_eq!(bytes, plan.bytes(), "in {ranges} ranges");
    assert!(plan.requests() as u64 <= ranges && ranges < 40, "{ranges} ranges");
    assert_eq!(plan.chunks(), 2000);
}

/// Cells that do not compress to nothing.
fn wavy() -> ArrayData {
    let cells =
        (0..60 * 40_000u32).map(|k| (f64::from(k) / 700.0).sin() as f32 + (k.wrapping_mul(2_654_435_761) >> 20) as f32);
    ArrayData::from_numbers(vec![60, 40_000], cells.collect()).unwrap()
}

#[test]
fn a_thin_column_of_wide_rows_reads_the_pages_that_hold_it() {
    let (store, counts) = counted(0, |store| {
        store.create_dataset("d").unwrap();
        store.define_array("d", "v", ArraySchema::new(DType::Float32, &["y", "x"], &[60, 40_000])).unwrap();
        store.write_array("d", "v", &[0, 0], wavy()).unwrap();
    });
    let snapshot = store.snapshot();
    let whole = snapshot.plan_arrays(0, &["v"], None).unwrap();
    let wanted = region(&[0, 20_000], &[60, 10]);
    let plan = snapshot.plan_arrays(0, &["v"], Some(&wanted)).unwrap();
    counts.take();
    let got = plan.execute(ReadHooks::new()).unwrap().remove(0);
    let (_, bytes) = counts.take();
    assert!(got == cut(&wavy(), &wanted));
    assert!(plan.bytes() * 2 < whole.bytes(), "{} of {}", plan.bytes(), whole.bytes());
    assert!(bytes >= plan.bytes() && bytes < plan.bytes() * 5 / 4, "{bytes}, planned {}", plan.bytes());
}

#[test]
fn many_arrays_of_one_dataset_are_one_plan() {
    let (store, counts) = counted(0, |store| {
        for row in 0..50 {
            for array in ["a", "b", "c"] {
                add(store, &format!("d{row}"), array, &[30, 4], &["z", "t"]);
            }
            store.define_array(&format!("d{row}"), "text", ArraySchema::new(DType::String, &["z"], &[2])).unwrap();
        }
    });
    let snapshot = store.snapshot();
    let arrays = ["c", "a", "text", "b"];
    let plan = snapshot.plan_arrays(7, &arrays, None).unwrap();
    assert_eq!((plan.chunks(), plan.requests(), plan.outputs().count()), (3, 3, 4));
    counts.take();
    let read = snapshot.read_arrays("d7", &arrays, None).unwrap();
    let (ranges, bytes) = counts.take();
    // Between a block's header and the page lie other pages, which are read along.
    assert!(ranges == 3 && (plan.bytes()..plan.bytes() + 3 * 4096).contains(&bytes), "{bytes} in {ranges}");
    for (array, data) in arrays.iter().zip(&read) {
        assert!(same(data, &snapshot.read("d7", array, None).unwrap()), "{array}");
    }
    let error = snapshot.plan_arrays(7, &["a", "nowhere"], None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let (some, rows) = (["c", "text", "a"], [3, 40, 7]);
    counts.take();
    let joined = snapshot.plan_across(&some, &rows, None).unwrap().execute_joined(ReadHooks::new()).unwrap();
    assert_eq!((joined.len(), counts.take().0), (3, 2), "neighbours of two arrays that hold cells");
    for (array, cells) in some.iter().zip(&joined) {
        let alone = snapshot.read_across(array, &rows, None).unwrap();
        let expected: Vec<String> = alone.iter().flatten().flat_map(|data| texts(data.cells())).collect();
        assert_eq!(texts(cells), expected, "{array}");
    }
}

#[test]
fn small_reads_come_out_of_the_cache_and_large_ones_leave_it_alone() {
    let (store, counts) = counted(2560 << 10, |store| {
        for row in 0..40 {
            add(store, &format!("d{row}"), "v", &[100, 200], &["z", "t"]);
        }
        store.create_dataset("t").unwrap();
        store.define_array("t", "text", ArraySchema::new(DType::String, &["z"], &[500])).unwrap();
        store.write_array("t", "text", &[0], numbered(DType::String, &[500])).unwrap();
    });
    let snapshot = store.snapshot();
    let wanted = region(&[3, 10], &[2, 5]);
    let first = snapshot.read("d3", "v", Some(&wanted)).unwrap();
    counts.take();
    assert_eq!(snapshot.read("d3", "v", Some(&wanted)).unwrap(), first);
    assert_eq!(snapshot.read("d3", "v", Some(&region(&[3, 0], &[1, 200]))).unwrap().shape(), [1, 200]);
    assert_eq!(counts.take(), (0, 0), "the page is kept");
    let text = snapshot.read("t", "text", None).unwrap();
    counts.take();
    assert_eq!(snapshot.read("t", "text", Some(&region(&[77], &[1]))).unwrap().shape(), [1]);
    assert_eq!(snapshot.read("t", "text", None).unwrap(), text);
    assert_eq!(counts.take(), (0, 0), "the text is kept");
    let before = store.cache_totals();
    let rows: Vec<u32> = (0..40).collect();
    snapshot.read_stacked("v", &rows, None).unwrap();
    assert_eq!(store.cache_totals().bytes, before.bytes, "a large read does not go through the cache");
    let part = snapshot.plan_stacked("v", &[39], None).unwrap();
    part.execute(ReadHooks::new().part_of(40 * part.decoded_bytes())).unwrap();
    assert_eq!(store.cache_totals().bytes, before.bytes, "nor does a part of one");
    for row in 0..40 {
        snapshot.read(&format!("d{row}"), "v", None).unwrap();
    }
    let after = store.cache_totals();
    assert!(after.bytes > before.bytes && after.bytes <= after.capacity_bytes, "{after:?}");
    assert!(after.hits >= 4 && after.misses > 40, "{after:?}");
}

#[test]
fn a_cache_serves_no_cells_of_what_was_replaced() {
    let (store, _) = counted(1 << 20, |store| add(store, "d", "v", &[50], &["z"]));
    let old = store.snapshot();
    assert_eq!(old.read("d", "v", None).unwrap(), numbered(DType::Float32, &[50]));
    let twos = ArrayData::from_numbers(vec![50], vec![2f32; 50]).unwrap();
    store.write_array("d", "v", &[0], &twos).unwrap();
    store.flush().unwrap();
    assert_eq!(store.snapshot().read("d", "v", None).unwrap(), twos);
    assert_eq!(old.read("d", "v", None).unwrap(), numbered(DType::Float32, &[50]));
    store.compact(atlas_store::CompactOptions::default()).unwrap();
    assert_eq!(store.snapshot().read("d", "v", None).unwrap(), twos);
}

#[test]
fn progress_ascends_to_the_end_and_a_cancelled_read_stops() {
    let (store, counts) = counted(0, |store| {
        for row in 0..600 {
            add(store, &format!("d{row}"), "v", &[100, 50], &["z", "t"]);
        }
    });
    let snapshot = store.snapshot();
    let rows: Vec<u32> = (0..600).collect();
    let plan = snapshot.plan_stacked("v", &rows, None).unwrap();
    let seen = Mutex::new(Vec::new());
    let tell = |progress: ReadProgress| seen.lock().unwrap().push(progress);
    plan.execute(ReadHooks::new().on_progress(&tell)).unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() > 5 && seen.is_sorted_by(|a, b| a.done_bytes < b.done_bytes), "{seen:?}");
    assert_eq!(seen.last().map(|last| (last.done_bytes, last.total_bytes)), Some((12_000_000, 12_000_000)));

    counts.take();
    let token = CancelToken::new();
    let last = AtomicU64::new(0);
    let stop = |progress: ReadProgress| {
        last.store(progress.done_bytes, Ordering::SeqCst);
        token.cancel();
    };
    let error = plan.execute(ReadHooks::new().on_progress(&stop).cancelled_by(&token)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let (_, bytes) = counts.take();
    assert!(bytes < plan.bytes() / 2 && last.into_inner() < 6_000_000, "{bytes} of {}", plan.bytes());

    let guard_token = CancelToken::new();
    drop(guard_token.guard());
    let error = plan.execute_joined(ReadHooks::new().cancelled_by(&guard_token)).unwrap_err();
    assert_eq!((error.kind(), counts.take().0), (ErrorKind::Cancelled, 0));
}

#[test]
fn a_plan_outlives_what_is_deleted_beside_it() {
    let storage = memory();
    let store = create(&storage, Codec::Auto);
    let mut held = BTreeMap::new();
    for row in 0..20u64 {
        let name = format!("d{row}");
        add(&store, &name, "v", &[10 + row], &["z"]);
        held.insert(name, numbered(DType::Float32, &[10 + row]));
    }
    store.flush().unwrap();
    let rows: Vec<u32> = (0..20).collect();
    let plan = store.snapshot().plan_across(&["v"], &rows, None).unwrap();
    for row in 0..10 {
        store.delete_dataset(&format!("d{row}")).unwrap();
    }
    store.flush().unwrap();
    store.compact(atlas_store::CompactOptions::default()).unwrap();
    let read = plan.execute(ReadHooks::new()).unwrap();
    for (row, data) in read.iter().enumerate() {
        assert_eq!(data, &held[&format!("d{row}")]);
    }
}

#[test]
fn reads_of_remote_storage_have_many_requests_under_way() {
    let bucket = Faulty::slow(Duration::from_millis(20));
    let storage: Arc<dyn Storage> = Arc::new(ObjectStorage::new(Arc::new(bucket.clone()), "p").unwrap());
    let store = create(&storage, Codec::None);
    // A segment for each dataset, larger than what comes with its opening.
    for row in 0..24 {
        add(&store, &format!("d{row}"), "v", &[120, 200], &["z", "t"]);
        store.flush().unwrap();
    }
    let snapshot = Store::open_on(storage).unwrap().snapshot();
    let rows: Vec<u32> = (0..24).collect();
    bucket.most_at_once();
    let plan = snapshot.plan_stacked("v", &rows, None).unwrap();
    let opening = bucket.most_at_once();
    let read = plan.execute(ReadHooks::new()).unwrap().remove(0);
    assert_eq!(read.cells().len(), 24 * 24_000);
    let reading = bucket.most_at_once();
    assert!(opening >= 4 && reading >= 4, "{opening} while opening, {reading} while reading");
}
