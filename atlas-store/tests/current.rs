//! What a handle sees of its own changes before they are flushed.
#![allow(clippy::unwrap_used, reason = "tests")]

use atlas_store::{
    ArrayData, ArraySchema, Attribute, CompactOptions, CreateOptions, Current, DType, ErrorKind, MemoryStorage, Scalar,
    Store,
};
use std::sync::Arc;
use std::time::Duration;

/// Everything that `look` shows: datasets, and for each its arrays, attributes, and whether statistics are known.
type Seen = Vec<(String, Vec<(String, bool)>, Vec<(String, Attribute)>)>;

fn seen(store: &Store) -> Seen {
    store.look(|current: Current<'_>| {
        assert_eq!(current.dataset_names().count(), current.dataset_count());
        let each = |name: &str| {
            let row = current.dataset_row(name).unwrap();
            let known = |array: &str| current.find_array(row, array).unwrap().0.statistics().is_some();
            let arrays = current.array_names(row).into_iter().map(|array| (array.to_string(), known(array))).collect();
            (name.to_string(), arrays, current.attributes(row))
        };
        current.dataset_names().map(each).collect()
    })
}

fn names(store: &Store) -> Vec<String> {
    store.look(|current| current.families().map(String::from).collect())
}

fn numbers(cells: &[i32]) -> ArrayData {
    ArrayData::from_numbers(vec![cells.len() as u64], cells.to_vec()).unwrap()
}

fn define(store: &Store, dataset: &str, array: &str) {
    store.define_array(dataset, array, ArraySchema::new(DType::Int32, &["x"], &[3])).unwrap();
}

#[test]
fn changes_are_seen_before_the_flush_and_are_the_same_after_it() {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), CreateOptions::default()).unwrap();
    for dataset in ["a", "b", "c"] {
        store.create_dataset(dataset).unwrap();
        define(&store, dataset, "z");
        define(&store, dataset, "y");
        store.write_array(dataset, "z", &[0], numbers(&[1, 2, 3])).unwrap();
    }
    store.set_attribute("a", "k", 1.into()).unwrap();
    assert!(store.is_changed());
    let known = |arrays: &[(&str, bool)]| arrays.iter().map(|(name, known)| (name.to_string(), *known)).collect();
    let expected = |known_z: bool| -> Seen {
        let arrays: Vec<(String, bool)> = known(&[("z", known_z), ("y", known_z)]);
        vec![
            ("a".into(), arrays.clone(), vec![("k".into(), 1.into())]),
            ("b".into(), arrays.clone(), vec![]),
            ("c".into(), arrays, vec![]),
        ]
    };
    assert_eq!(seen(&store), expected(false));
    assert_eq!(names(&store), ["y", "z"]);
    store.flush().unwrap();
    assert!(!store.is_changed());
    assert_eq!(seen(&store), expected(true));

    store.delete_dataset("a").unwrap();
    store.delete_array("b", "y").unwrap();
    store.create_dataset("a").unwrap();
    store.write_array("c", "z", &[0], numbers(&[9])).unwrap();
    let changed: Seen = vec![
        ("b".into(), known(&[("z", true)]), vec![]),
        ("c".into(), known(&[("z", false), ("y", true)]), vec![]),
        ("a".into(), vec![], vec![]),
    ];
    assert_eq!(seen(&store), changed);
    store.delete_array("c", "y").unwrap();
    assert_eq!(names(&store), ["z"]);
    store.abandon();
    assert_eq!(seen(&store), expected(true));
    let missing = store.look(|current| current.dataset_row("d").unwrap_err().kind());
    assert_eq!(missing, ErrorKind::NotFound);
}

#[test]
fn reads_see_what_was_written_deleted_and_made_again() {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), CreateOptions::default()).unwrap();
    let read = |dataset: &str| store.read_array(dataset, "z", None).unwrap().as_numbers::<i32>().unwrap().to_vec();
    for dataset in ["a", "b"] {
        store.create_dataset(dataset).unwrap();
        define(&store, dataset, "z");
        store.write_array(dataset, "z", &[0], numbers(&[1, 2, 3])).unwrap();
    }
    store.flush().unwrap();
    // A change elsewhere, then one in the family, in the dataset, and a dataset made anew.
    store.set_attribute("a", "k", 1.into()).unwrap();
    assert_eq!(read("a"), [1, 2, 3]);
    store.write_array("b", "z", &[1], numbers(&[7])).unwrap();
    assert_eq!((read("a"), read("b")), (vec![1, 2, 3], vec![1, 7, 3]));
    store.delete_dataset("a").unwrap();
    assert_eq!(store.read_array("a", "z", None).unwrap_err().kind(), ErrorKind::NotFound);
    store.create_dataset("a").unwrap();
    let schema = ArraySchema::new(DType::Int32, &["x"], &[3]).with_fill_value(Scalar::Int(-1));
    store.define_array("a", "z", schema).unwrap();
    assert_eq!(read("a"), [-1, -1, -1]);
    store.flush().unwrap();
    assert_eq!((read("a"), read("b")), (vec![-1, -1, -1], vec![1, 7, 3]));
}

#[test]
fn a_name_that_no_dataset_has_any_more_is_free_for_another_dtype() {
    let storage = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    store.create_dataset("a").unwrap();
    define(&store, "a", "z");
    store.write_array("a", "z", &[0], numbers(&[1, 2, 3])).unwrap();
    store.flush().unwrap();
    let before = store.snapshot();
    store.delete_array("a", "z").unwrap();
    for (dtype, cells) in [(DType::Float64, vec![0.5, 1.5]), (DType::Float64, vec![2.5, 3.5])] {
        store.define_array("a", "z", ArraySchema::new(dtype, &["x"], &[2])).unwrap();
        store.write_array("a", "z", &[0], ArrayData::from_numbers(vec![2], cells.clone()).unwrap()).unwrap();
        let read = || store.read_array("a", "z", None).unwrap().as_numbers::<f64>().unwrap().to_vec();
        assert_eq!(read(), cells);
        store.flush().unwrap();
        assert_eq!(read(), cells);
        let other = Store::open_on(storage.clone()).unwrap();
        assert_eq!(other.snapshot().read("a", "z", None).unwrap().as_numbers::<f64>(), Some(&cells[..]));
        assert!(other.verify().unwrap().problems.is_empty());
        store.delete_array("a", "z").unwrap();
    }
    // Readers of the old state still have it, until a compaction that need not keep it.
    assert_eq!(before.read("a", "z", None).unwrap().as_numbers::<i32>(), Some(&[1, 2, 3][..]));
    store.flush().unwrap();
    let report = store.compact(CompactOptions { retention: Duration::ZERO }).unwrap();
    assert!(report.deleted_objects >= 2, "{report:?}");
    assert_eq!(storage.names(), ["atlas.json"]);
}
