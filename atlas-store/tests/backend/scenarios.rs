//! Whole stores, from creation to verification.

use super::Fresh;
use atlas_store::{
    ArrayData, ArraySchema, Attribute, CompactOptions, CreateOptions, DType, ErrorKind, MetaCompression, MetaFormat,
    Region, Result, Storage, Store,
};
use std::sync::Arc;
use std::time::Duration;

pub const AT_ONCE: CompactOptions = CompactOptions { retention: Duration::ZERO };
const SHAPE: [u64; 2] = [64, 1000];

/// Numbers that no codec makes much smaller, different for each seed.
pub fn numbers(seed: u64) -> ArrayData {
    let noise =
        |k: u64| ((k + 1).wrapping_mul(seed.wrapping_mul(2).wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 40;
    let cells = (0..SHAPE[0] * SHAPE[1]).map(|k| noise(k) as f32 / 8.0).collect();
    ArrayData::from_numbers(SHAPE.to_vec(), cells).unwrap()
}

pub fn add(store: &Store, dataset: &str, seed: u64) -> Result<()> {
    store.create_dataset(dataset)?;
    store.set_attribute(dataset, "seed", Attribute::Int64(i64::try_from(seed).unwrap()))?;
    let schema = ArraySchema::new(DType::Float32, &["z", "x"], &SHAPE).with_chunk_shape(&[16, 1000]);
    store.define_array(dataset, "t", schema)?;
    store.write_array(dataset, "t", &[0, 0], numbers(seed))?;
    store.define_array(dataset, "név #1", ArraySchema::new(DType::String, &["s"], &[2]))?;
    let words = ArrayData::from_strings(vec![2], [dataset, "é"]).unwrap();
    store.write_array(dataset, "név #1", &[0], &words)
}

/// The store holds these datasets, whole, and is sound.
pub fn check(store: &Store, datasets: &[(&str, u64)]) {
    let snapshot = store.snapshot();
    let names: Vec<&str> = datasets.iter().map(|(name, _)| *name).collect();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), names);
    for (row, (name, seed)) in (0u32..).zip(datasets) {
        assert_eq!(snapshot.attribute(row, "seed"), Some(Attribute::Int64(i64::try_from(*seed).unwrap())));
        assert_eq!(snapshot.read(name, "t", None).unwrap(), numbers(*seed), "{name}");
        let words = snapshot.read(name, "név #1", None).unwrap();
        assert_eq!(words, ArrayData::from_strings(vec![2], [*name, "é"]).unwrap());
    }
    if !datasets.is_empty() {
        let rows: Vec<u32> = (0..u32::try_from(datasets.len()).unwrap()).rev().collect();
        let region = Region::try_new(vec![30, 7], vec![10, 100]).unwrap();
        let stacked = snapshot.read_stacked("t", &rows, Some(&region)).unwrap();
        let stacked = stacked.as_numbers::<f32>().unwrap();
        for (at, row) in rows.iter().enumerate() {
            let whole = numbers(datasets[*row as usize].1);
            let whole = whole.as_numbers::<f32>().unwrap();
            assert_eq!(stacked[at * 1000 + 100..at * 1000 + 200], whole[31 * 1000 + 7..31 * 1000 + 107]);
        }
    }
    let report = store.verify().unwrap();
    assert_eq!(report.problems, [], "{report:?}");
}

pub fn a_store_lives(fresh: Fresh<'_>) {
    let storage = fresh();
    assert_eq!(Store::open_on(storage.clone()).unwrap_err().kind(), ErrorKind::NotFound);
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    let again = Store::create_on(storage.clone(), CreateOptions::default()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    check(&Store::open_on(storage.clone()).unwrap(), &[]);
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        add(&store, name, seed).unwrap();
    }
    assert!(storage.list().unwrap().iter().all(|info| !info.object.ends_with(".af")));
    store.flush().unwrap();
    check(&store, &[("a", 1), ("b", 2), ("c", 3)]);
    let reopened = Store::open_on(storage.clone()).unwrap();
    check(&reopened, &[("a", 1), ("b", 2), ("c", 3)]);
    // A second segment, over which later writes win.
    reopened.write_array("b", "t", &[0, 0], numbers(8)).unwrap();
    reopened.set_attribute("b", "seed", Attribute::Int64(8)).unwrap();
    reopened.delete_dataset("a").unwrap();
    add(&reopened, "d", 4).unwrap();
    reopened.flush().unwrap();
    let expected = [("b", 8), ("c", 3), ("d", 4)];
    check(&Store::open_on(storage.clone()).unwrap(), &expected);
    assert!(store.refresh().unwrap());
    check(&store, &expected);
    store.abandon();
    let report = store.compact(AT_ONCE).unwrap();
    assert!(report.reclaimed_bytes() > 0 && report.deleted_objects > 0, "{report:?}");
    let last = Store::open_on(storage.clone()).unwrap();
    check(&last, &expected);
    assert_eq!(last.verify().unwrap().orphans, Some(vec![]));
    let segments = storage.list().unwrap().iter().filter(|info| info.object.ends_with(".af")).count();
    assert_eq!(segments, 2);
}

pub fn every_catalog_variant_is_found(fresh: Fresh<'_>) {
    for meta_format in [MetaFormat::Json, MetaFormat::Msgpack] {
        for meta_compression in [MetaCompression::None, MetaCompression::Zstd, MetaCompression::Lz4] {
            let storage = fresh();
            let options = CreateOptions { meta_format, meta_compression, ..CreateOptions::default() };
            let store = Store::create_on(storage.clone(), options).unwrap();
            store.create_dataset("d").unwrap();
            store.flush().unwrap();
            let found = Store::open_on(storage).unwrap();
            assert_eq!(found.options(), options);
            assert_eq!(found.snapshot().dataset_count(), 1);
        }
    }
}

pub fn one_of_two_writers_wins_and_nothing_is_lost(fresh: Fresh<'_>) {
    let storage = fresh();
    let first = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    let second = Store::open_on(storage.clone()).unwrap();
    add(&first, "a", 1).unwrap();
    // Who is told when depends on whether there is a lock.
    let told = if storage.is_shared() {
        add(&second, "b", 2).unwrap();
        first.flush().unwrap();
        second.flush().unwrap_err()
    } else {
        let told = add(&second, "b", 2).unwrap_err();
        first.flush().unwrap();
        told
    };
    assert_eq!(told.kind(), ErrorKind::Conflict, "{told}");
    check(&Store::open_on(storage.clone()).unwrap(), &[("a", 1)]);
    if storage.is_shared() {
        assert!(second.rebase().unwrap());
    } else {
        add(&second, "b", 2).unwrap();
    }
    second.flush().unwrap();
    check(&second, &[("a", 1), ("b", 2)]);
    check(&Store::open_on(storage).unwrap(), &[("a", 1), ("b", 2)]);
}

/// Calls until it is done and nobody is in the way.
fn retried<T>(mut attempt: impl FnMut() -> Result<T>) -> T {
    for _ in 0..10_000 {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Conflict => std::thread::sleep(Duration::from_millis(2)),
            done => return done.unwrap(),
        }
    }
    panic!("10 000 conflicts");
}

pub fn many_writers_lose_nothing(fresh: Fresh<'_>) {
    let storage = fresh();
    Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    let write = |storage: Arc<dyn Storage>, writer: u64| {
        let store = retried(|| Store::open_on(storage.clone()));
        for number in 0..3 {
            let seed = writer * 10 + number;
            // Where there is a lock it is waited for, where there is none the first commit wins.
            retried(|| add(&store, &format!("d{seed}"), seed));
            retried(|| store.flush().inspect_err(|_| assert!(store.rebase().is_ok())));
        }
    };
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let storage = storage.clone();
            scope.spawn(move || write(storage, writer));
        }
    });
    let store = Store::open_on(storage).unwrap();
    let snapshot = store.snapshot();
    let mut found: Vec<(&str, u64)> = snapshot.dataset_names().map(|name| (name, name[1..].parse().unwrap())).collect();
    check(&store, &found);
    found.sort_by_key(|(_, seed)| *seed);
    let seeds: Vec<u64> = found.iter().map(|(_, seed)| *seed).collect();
    assert_eq!(seeds, (0..4).flat_map(|writer| (0..3).map(move |number| writer * 10 + number)).collect::<Vec<_>>());
}

pub fn a_reader_keeps_its_snapshot(fresh: Fresh<'_>) {
    let storage = fresh();
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    add(&store, "a", 1).unwrap();
    add(&store, "b", 2).unwrap();
    store.flush().unwrap();
    let reader = Store::open_on(storage).unwrap();
    store.delete_dataset("a").unwrap();
    add(&store, "c", 3).unwrap();
    store.flush().unwrap();
    let report = store.compact(CompactOptions::default()).unwrap();
    assert!(report.retained_bytes > 0 && report.deleted_objects == 0, "{report:?}");
    // It has opened no segment until here.
    check(&reader, &[("a", 1), ("b", 2)]);
    assert!(reader.refresh().unwrap());
    check(&reader, &[("b", 2), ("c", 3)]);
    assert!(!reader.refresh().unwrap());
}

/// Only where writers share a place without a lock: an orphan may be what one of them is about to commit.
pub fn orphans_are_kept_as_long_as_promised(fresh: Fresh<'_>) {
    let storage = fresh();
    if !storage.is_shared() {
        return;
    }
    let first = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    let second = Store::open_on(storage.clone()).unwrap();
    add(&second, "b", 2).unwrap();
    add(&first, "a", 1).unwrap();
    first.flush().unwrap();
    second.flush().unwrap_err();
    second.abandon();
    let orphans = || Store::open_on(storage.clone()).unwrap().verify().unwrap().orphans.unwrap().len();
    assert_eq!(orphans(), 2);
    assert_eq!(first.compact(CompactOptions::default()).unwrap().deleted_objects, 0);
    assert_eq!(orphans(), 2);
    assert_eq!(first.compact(AT_ONCE).unwrap().deleted_objects, 2);
    assert_eq!(orphans(), 0);
    check(&first, &[("a", 1)]);
}
