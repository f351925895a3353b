//! Compaction gives back space, changes no value, and disturbs no reader; verification finds what does not hold.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

use atlas_store::{
    ArrayData, ArraySchema, CompactOptions, CreateOptions, DType, ErrorKind, LocalStorage, MemoryStorage, Region,
    Scalar, Storage, Store,
};
use std::sync::Arc;
use std::time::Duration;

const AT_ONCE: CompactOptions = CompactOptions { retention: Duration::ZERO };

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let bits = |k: usize| {
        let bits = (k as u64 + 1 + (seed << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (bits ^ bits >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40
    };
    (0..count).map(|k| bits(k) as f32 / 1024.0).collect()
}

fn add(store: &Store, name: &str, seed: u64) {
    store.create_dataset(name).unwrap();
    let schema = ArraySchema::new(DType::Float32, &["z", "t"], &[40, 60])
        .with_chunk_shape(&[16, 60])
        .with_fill_value(Scalar::Float32(f32::NAN));
    store.define_array(name, "t", schema).unwrap();
    let cells = ArrayData::from_numbers(vec![40, 60], noise(2400, seed)).unwrap();
    store.write_array(name, "t", &[0, 0], &cells).unwrap();
    store.define_array(name, "s", ArraySchema::new(DType::String, &[], &[])).unwrap();
    store.write_array(name, "s", &[], ArrayData::from_strings(vec![], [name]).unwrap()).unwrap();
}

fn check(store: &Store, names: &[(&str, u64)]) {
    let snapshot = store.snapshot();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), names.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, seed) in names {
        assert_eq!(snapshot.read(name, "t", None).unwrap().as_numbers::<f32>().unwrap(), noise(2400, *seed));
        assert_eq!(snapshot.read(name, "s", None).unwrap(), ArrayData::from_strings(vec![], [name]).unwrap());
    }
}

fn clean(store: &Store) {
    let report = store.verify().unwrap();
    assert_eq!(report.problems, [], "{report:?}");
    assert_eq!(report.orphans, Some(vec![]));
}

#[test]
fn dead_chunks_are_given_back_and_every_value_stays() {
    for storage in [Arc::new(MemoryStorage::new()) as Arc<dyn Storage>, on_disk().1] {
        let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
        for (name, seed) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            add(&store, name, seed);
            store.flush().unwrap();
        }
        clean(&store);
        let untouched = store.compact(AT_ONCE).unwrap();
        assert_eq!((untouched.families, untouched.reclaimed_bytes()), (0, 0));
        store.delete_dataset("b").unwrap();
        let rewritten = ArrayData::from_numbers(vec![40, 60], noise(2400, 9)).unwrap();
        store.write_array("c", "t", &[0, 0], &rewritten).unwrap();
        store.flush().unwrap();
        clean(&store);
        let before = store.snapshot().stored_bytes();
        let report = store.compact(AT_ONCE).unwrap();
        assert_eq!((report.families, report.retained_bytes), (2, 0));
        // Two of five noise arrays were dead.
        assert!(report.reclaimed_bytes() * 3 > before, "{report:?} of {before}");
        assert_eq!(store.snapshot().stored_bytes(), report.bytes_after);
        let expected = [("a", 1), ("c", 9), ("d", 4)];
        check(&store, &expected);
        clean(&store);
        check(&Store::open_on(storage).unwrap(), &expected);
        assert_eq!(store.compact(AT_ONCE).unwrap().families, 0);
    }
}

fn on_disk() -> (tempfile::TempDir, Arc<dyn Storage>) {
    let temp = tempfile::tempdir().unwrap();
    let storage = Arc::new(LocalStorage::new(temp.path().join("s")));
    (temp, storage)
}

#[test]
fn a_reader_of_the_old_snapshot_is_not_disturbed_within_the_retention() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    add(&store, "a", 1);
    add(&store, "b", 2);
    store.flush().unwrap();
    // Opens no segment until it reads.
    let reader = Store::open_on(storage.clone()).unwrap();
    store.delete_dataset("a").unwrap();
    store.flush().unwrap();
    let report = store.compact(CompactOptions::default()).unwrap();
    assert!(report.retained_bytes > 0 && report.deleted_objects == 0, "{report:?}");
    check(&reader, &[("a", 1), ("b", 2)]);
    assert!(reader.refresh().unwrap());
    check(&reader, &[("b", 2)]);
    let report = store.compact(AT_ONCE).unwrap();
    assert!(report.deleted_bytes > 0 && report.retained_bytes == 0, "{report:?}");
    check(&Store::open_on(storage).unwrap(), &[("b", 2)]);
    clean(&store);
}

#[test]
fn leftovers_are_found_and_collected_and_nothing_else_is() {
    let (temp, storage) = on_disk();
    let store = Store::create_on(storage, CreateOptions::default()).unwrap();
    add(&store, "a", 1);
    store.flush().unwrap();
    let root = temp.path().join("s");
    std::fs::write(root.join("t/data.7.af"), b"left behind").unwrap();
    std::fs::write(root.join("t/data.8.af.tmp"), b"half").unwrap();
    std::fs::write(root.join("notes.txt"), b"mine").unwrap();
    let report = store.verify().unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.orphans.as_ref().map(Vec::len), Some(2), "{report:?}");
    assert_eq!(store.compact(CompactOptions::default()).unwrap().deleted_objects, 2);
    assert!(root.join("notes.txt").exists() && !root.join("t/data.7.af").exists());
    check(&store, &[("a", 1)]);
}

#[test]
fn a_name_that_nobody_has_any_more_is_free_for_another_dtype() {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), CreateOptions::default()).unwrap();
    add(&store, "a", 1);
    store.flush().unwrap();
    store.delete_array("a", "t").unwrap();
    store.flush().unwrap();
    store.define_array("a", "t", ArraySchema::new(DType::Int8, &["x"], &[1])).unwrap();
    store.flush().unwrap();
    clean(&store);
    store.compact(AT_ONCE).unwrap();
    clean(&store);
    // Nor does one that was declared and never written bind anybody.
    store.delete_array("a", "t").unwrap();
    store.flush().unwrap();
    store.compact(AT_ONCE).unwrap();
    store.define_array("a", "t", ArraySchema::new(DType::Float64, &["x"], &[1])).unwrap();
}

#[test]
fn an_array_declared_anew_does_not_touch_what_readers_of_the_old_one_need() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    add(&store, "a", 1);
    store.flush().unwrap();
    let reader = Store::open_on(storage.clone()).unwrap();
    store.delete_dataset("a").unwrap();
    store.flush().unwrap();
    store.compact(CompactOptions::default()).unwrap();
    add(&store, "b", 2);
    store.flush().unwrap();
    check(&reader, &[("a", 1)]);
    store.compact(AT_ONCE).unwrap();
    check(&Store::open_on(storage).unwrap(), &[("b", 2)]);
    clean(&store);
}

#[test]
fn infinite_cells_of_both_signs_verify() {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), CreateOptions::default()).unwrap();
    store.create_dataset("a").unwrap();
    store.define_array("a", "v", ArraySchema::new(DType::Float64, &["x"], &[2])).unwrap();
    let cells = ArrayData::from_numbers(vec![2], vec![f64::INFINITY, f64::NEG_INFINITY]).unwrap();
    store.write_array("a", "v", &[0], &cells).unwrap();
    store.flush().unwrap();
    clean(&store);
}

#[test]
fn arrays_named_like_the_stores_own_files_have_directories_of_their_own() {
    let (_temp, storage) = on_disk();
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    store.create_dataset("a").unwrap();
    for name in ["atlas.json", "atlas.lock", "ATLAS.JSON", "t", "T"] {
        store.define_array("a", name, ArraySchema::new(DType::Int8, &[], &[])).unwrap();
        store.write_array("a", name, &[], ArrayData::from_numbers(vec![], vec![7i8]).unwrap()).unwrap();
    }
    store.flush().unwrap();
    let reopened = Store::open_on(storage).unwrap();
    assert_eq!(reopened.snapshot().families().len(), 5);
    clean(&reopened);
}

#[test]
fn compaction_waits_for_a_flush_and_yields_to_another_writer() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    store.create_dataset("a").unwrap();
    assert_eq!(store.compact(AT_ONCE).unwrap_err().kind(), ErrorKind::Conflict);
    let other = Store::open_on(storage).unwrap();
    assert_eq!(other.compact(AT_ONCE).unwrap_err().kind(), ErrorKind::Conflict);
    store.flush().unwrap();
    other.compact(AT_ONCE).unwrap();
}

#[test]
fn verification_names_the_damaged_object() {
    let (temp, storage) = on_disk();
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    add(&store, "a", 1);
    store.flush().unwrap();
    let file = temp.path().join("s/t/data.af");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 4;
    std::fs::write(&file, &bytes).unwrap();
    let report = Store::open_on(storage).unwrap().verify().unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(report.problems[0].object, "t/data.af");
    let slice = Region::try_new(vec![0, 0], vec![1, 1]).unwrap();
    assert_eq!(
        Store::open_on(Arc::new(LocalStorage::new(temp.path().join("s"))))
            .unwrap()
            .snapshot()
            .read("a", "t", Some(&slice))
            .unwrap_err()
            .kind(),
        ErrorKind::Corrupt
    );
}
