//! Two writers without a lock between them: what one has committed first, the other goes on from, or is told why not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "backend/double.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared between tests")]
mod double;
#[path = "rebase/model.rs"]
mod model;

use atlas_store::object_store::memory::InMemory;
use atlas_store::{
    ArrayData, ArraySchema, CompactOptions, CreateOptions, DType, ErrorKind, MemoryStorage, ObjectStorage, Result,
    Storage, Store,
};
use double::Double;
use std::sync::Arc;
use std::time::Duration;

const AT_ONCE: CompactOptions = CompactOptions { retention: Duration::ZERO };

fn shared() -> Double {
    Double::new(Arc::new(MemoryStorage::new())).shared()
}

fn remote() -> Arc<dyn Storage> {
    Arc::new(ObjectStorage::new(Arc::new(InMemory::new()), "p").unwrap())
}

/// Six cells in chunks of two.
fn schema(dtype: DType) -> ArraySchema {
    ArraySchema::new(dtype, &["x"], &[6]).with_chunk_shape(&[2])
}

fn add(store: &Store, dataset: &str, array: &str, cells: [i32; 6]) -> Result<()> {
    store.create_dataset(dataset)?;
    store.define_array(dataset, array, schema(DType::Int32))?;
    write(store, dataset, array, 0, &cells)
}

fn write(store: &Store, dataset: &str, array: &str, at: u64, cells: &[i32]) -> Result<()> {
    store.write_array(dataset, array, &[at], &ArrayData::from_numbers(vec![cells.len() as u64], cells.to_vec())?)
}

fn read(store: &Store, dataset: &str, array: &str) -> Vec<i32> {
    store.snapshot().read(dataset, array, None).unwrap().as_numbers::<i32>().unwrap().to_vec()
}

/// The store holds these datasets and is sound; but for what nobody committed.
fn check(storage: &Arc<dyn Storage>, names: &[&str]) -> Store {
    let store = Store::open_on(storage.clone()).unwrap();
    assert_eq!(store.snapshot().dataset_names().collect::<Vec<_>>(), names);
    assert_eq!(store.verify().unwrap().problems, []);
    store
}

/// A store with the datasets `a` and `b`, and two handles that have seen it.
fn two_writers(storage: Arc<dyn Storage>) -> (Arc<dyn Storage>, Store, Store) {
    let one = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    for (dataset, first) in [("a", 0), ("b", 10)] {
        add(&one, dataset, "t", [0, 1, 2, 3, 4, 5].map(|k| first + k)).unwrap();
        one.set_attribute(dataset, "k", 1.into()).unwrap();
    }
    one.create_dataset("bare").unwrap();
    one.flush().unwrap();
    let other = Store::open_on(storage.clone()).unwrap();
    (storage, one, other)
}

type Change<'a> = &'a dyn Fn(&Store) -> Result<()>;

/// `theirs` is committed while `ours` waits, with segments that are written already or not; then `ours` goes on.
fn merged(theirs: Change<'_>, ours: Change<'_>, names: &[&str], check_cells: &dyn Fn(&Store)) {
    for has_flushed in [false, true] {
        for storage in [shared().storage(), remote()] {
            let (storage, one, other) = two_writers(storage);
            ours(&one).unwrap();
            theirs(&other).unwrap();
            other.flush().unwrap();
            if has_flushed {
                assert_eq!(one.flush().unwrap_err().kind(), ErrorKind::Conflict);
            }
            assert!(one.rebase().unwrap());
            assert!(!one.rebase().unwrap());
            one.flush().unwrap();
            let found = check(&storage, names);
            check_cells(&found);
            check_cells(&one);
            one.compact(AT_ONCE).unwrap();
            let compacted = check(&storage, names);
            check_cells(&compacted);
            assert_eq!(compacted.verify().unwrap().orphans, Some(vec![]));
        }
    }
}

/// `ours` cannot go on from `theirs`, is told why, and is kept until it is abandoned.
fn refused(theirs: Change<'_>, ours: Change<'_>, kind: ErrorKind, words: &[&str]) {
    for has_flushed in [false, true] {
        for storage in [shared().storage(), remote()] {
            let (storage, one, other) = two_writers(storage);
            ours(&one).unwrap();
            // Two catalogs that are the same would be one commit.
            one.set_attribute("bare", "ours", true.into()).unwrap();
            theirs(&other).unwrap();
            other.flush().unwrap();
            if has_flushed {
                assert_eq!(one.flush().unwrap_err().kind(), ErrorKind::Conflict);
            }
            let names: Vec<String> = other.snapshot().dataset_names().map(String::from).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let before = one.snapshot().number();
            for _ in 0..2 {
                let error = one.rebase().unwrap_err();
                assert_eq!(error.kind(), kind, "{error}");
                for word in words {
                    assert!(error.to_string().contains(word), "{error}: {word}");
                }
                assert_eq!(one.snapshot().number(), before);
                assert_eq!(one.flush().unwrap_err().kind(), ErrorKind::Conflict);
            }
            one.abandon();
            check(&storage, &names);
            one.create_dataset("again").unwrap();
            one.flush().unwrap();
            check(&storage, &[&names[..], &["again"]].concat());
        }
    }
}

#[test]
fn different_datasets_are_merged() {
    merged(
        &|store| add(store, "c", "t", [7; 6]).and_then(|()| add(store, "e", "u", [6; 6])),
        &|store| add(store, "d", "t", [8; 6]).and_then(|()| add(store, "f", "u", [9; 6])),
        &["a", "b", "bare", "c", "e", "d", "f"],
        &|store| {
            assert_eq!(read(store, "a", "t"), [0, 1, 2, 3, 4, 5]);
            assert_eq!((read(store, "c", "t"), read(store, "d", "t")), (vec![7; 6], vec![8; 6]));
            assert_eq!((read(store, "e", "u"), read(store, "f", "u")), (vec![6; 6], vec![9; 6]));
        },
    );
}

#[test]
fn different_arrays_of_one_dataset_are_merged() {
    merged(
        &|store| {
            store.define_array("a", "new", schema(DType::Int32))?;
            store.define_array("bare", "x", schema(DType::Int32))?;
            write(store, "b", "t", 0, &[-1])
        },
        &|store| {
            // Part of a committed chunk, part of a new one, a whole one.
            write(store, "a", "t", 1, &[-1, -2])?;
            store.define_array("b", "new", schema(DType::Int32))?;
            write(store, "b", "new", 3, &[3, 4, 5])?;
            store.define_array("bare", "y", schema(DType::Int32))
        },
        &["a", "b", "bare"],
        &|store| {
            assert_eq!(read(store, "a", "t"), [0, -1, -2, 3, 4, 5]);
            assert_eq!(read(store, "b", "t"), [-1, 11, 12, 13, 14, 15]);
            assert_eq!((read(store, "a", "new"), read(store, "b", "new")), (vec![0; 6], vec![0, 0, 0, 3, 4, 5]));
            assert_eq!(store.snapshot().array("bare", "x").unwrap().1, store.snapshot().array("bare", "y").unwrap().1);
        },
    );
}

#[test]
fn deletes_are_merged() {
    merged(
        &|store| {
            add(store, "c", "t", [7; 6])?;
            store.delete_dataset("bare")?;
            // What is deleted next door goes with what was written to it.
            write(store, "b", "t", 0, &[-1])
        },
        &|store| {
            add(store, "d", "t", [8; 6])?;
            add(store, "gone", "v", [8; 6])?;
            store.delete_dataset("gone")?;
            store.delete_array("a", "t")?;
            store.delete_dataset("b")
        },
        &["a", "c", "d"],
        &|store| {
            assert!(store.snapshot().array("a", "t").is_err());
            assert_eq!((read(store, "c", "t"), read(store, "d", "t")), (vec![7; 6], vec![8; 6]));
        },
    );
}

#[test]
fn a_dataset_and_an_array_that_are_made_anew_are_merged() {
    merged(
        &|store| add(store, "c", "t", [7; 6]),
        &|store| {
            store.delete_dataset("a")?;
            add(store, "a", "t", [9; 6])?;
            store.delete_array("b", "t")?;
            store.define_array("b", "t", ArraySchema::new(DType::Int32, &["y"], &[2]))?;
            write(store, "b", "t", 1, &[5])
        },
        &["b", "bare", "c", "a"],
        &|store| {
            assert_eq!((read(store, "a", "t"), read(store, "b", "t")), (vec![9; 6], vec![0, 5]));
            assert_eq!(read(store, "c", "t"), [7; 6]);
        },
    );
}

#[test]
fn of_two_attributes_the_later_commit_wins() {
    merged(
        &|store| {
            for (key, value) in [("k", 2), ("same", 2), ("theirs", 2)] {
                store.set_attribute("a", key, value.into())?;
            }
            store.set_attribute("b", "k", "two".into())?;
            store.set_attribute("bare", "k", 5.into())
        },
        &|store| {
            // Also where it is the value that it had, and of another type.
            store.set_attribute("a", "k", 1.into())?;
            store.set_attribute("a", "same", 3.5.into())?;
            store.set_attribute("a", "ours", true.into())?;
            assert!(!store.remove_attribute("a", "theirs")?);
            assert!(store.remove_attribute("b", "k")?);
            store.create_dataset("n")?;
            store.set_attribute("n", "k", 9.into())
        },
        &["a", "b", "bare", "n"],
        &|store| {
            let snapshot = store.snapshot();
            let of = |dataset, key| snapshot.attribute(snapshot.dataset_row(dataset).unwrap(), key);
            assert_eq!((of("a", "k"), of("a", "same")), (Some(1.into()), Some(3.5.into())));
            assert_eq!((of("a", "ours"), of("a", "theirs")), (Some(true.into()), Some(2.into())));
            assert_eq!((of("b", "k"), of("bare", "k"), of("n", "k")), (None, Some(5.into()), Some(9.into())));
        },
    );
}

#[test]
fn a_compaction_next_door_is_merged() {
    merged(
        &|store| {
            store.delete_dataset("b")?;
            store.flush()?;
            store.compact(AT_ONCE).map(drop)
        },
        &|store| add(store, "c", "t", [7; 6]).and_then(|()| store.set_attribute("a", "k", 2.into())),
        &["a", "bare", "c"],
        &|store| assert_eq!((read(store, "a", "t"), read(store, "c", "t")), (vec![0, 1, 2, 3, 4, 5], vec![7; 6])),
    );
}

/// `t` is the family of another dtype, once nothing is stored of the first.
#[test]
fn a_family_that_was_only_ever_a_draft_binds_nobody() {
    let (storage, one, other) = two_writers(remote());
    add(&one, "c", "v", [7; 6]).unwrap();
    other.create_dataset("d").unwrap();
    other.define_array("d", "v", schema(DType::String)).unwrap();
    other.flush().unwrap();
    assert_eq!(one.flush().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(one.rebase().unwrap_err().kind(), ErrorKind::DtypeMismatch);
    one.delete_array("c", "v").unwrap();
    one.rebase().unwrap();
    one.flush().unwrap();
    check(&storage, &["a", "b", "bare", "d", "c"]);
}

#[test]
fn the_same_dataset_is_refused() {
    let words = ["dataset", "c", "another writer"];
    refused(
        &|store| store.create_dataset("c"),
        &|store| add(store, "c", "t", [1; 6]),
        ErrorKind::AlreadyExists,
        &words,
    );
}

#[test]
fn what_was_deleted_next_door_is_refused() {
    let changes: [Change<'_>; 4] = [
        &|store| write(store, "a", "t", 0, &[1]),
        &|store| store.define_array("a", "u", schema(DType::Int32)),
        &|store| store.set_attribute("a", "k", 2.into()),
        &|store| store.delete_dataset("a"),
    ];
    for change in changes {
        refused(&|store| store.delete_dataset("a"), change, ErrorKind::NotFound, &["dataset: a"]);
        let anew: Change<'_> = &|store| store.delete_dataset("a").and_then(|()| add(store, "a", "t", [4; 6]));
        refused(anew, change, ErrorKind::Conflict, &["dataset a"]);
    }
    let write: Change<'_> = &|store| write(store, "a", "t", 0, &[1]);
    let delete: Change<'_> = &|store| store.delete_array("a", "t");
    for change in [write, delete] {
        refused(delete, change, ErrorKind::NotFound, &["array: t in dataset a"]);
    }
}

#[test]
fn what_was_written_or_declared_next_door_is_refused() {
    let first: Change<'_> = &|store| write(store, "a", "t", 0, &[-1]);
    let last: Change<'_> = &|store| write(store, "a", "t", 5, &[-2]);
    refused(first, last, ErrorKind::Conflict, &["wrote to array t of dataset a"]);
    let anew: Change<'_> = &|store| {
        store.delete_array("a", "t")?;
        store.define_array("a", "t", schema(DType::Int32))
    };
    refused(anew, first, ErrorKind::Conflict, &["array t of dataset a anew"]);
    refused(anew, anew, ErrorKind::Conflict, &["array t of dataset a anew"]);
    let new: Change<'_> = &|store| store.define_array("a", "u", schema(DType::Int32));
    refused(new, new, ErrorKind::AlreadyExists, &["array", "u in dataset a"]);
    let text: Change<'_> = &|store| store.define_array("b", "u", schema(DType::String));
    refused(new, text, ErrorKind::DtypeMismatch, &["array u of dataset b", "int32", "string"]);
    let compaction: Change<'_> = &|store| {
        store.delete_dataset("b")?;
        store.flush()?;
        store.compact(CompactOptions::default()).map(drop)
    };
    refused(compaction, last, ErrorKind::Conflict, &["array t of dataset a", "compacted"]);
}

/// Several writers, one after the other, from one base: what the first rebase has made is rebased again.
#[test]
fn a_draft_is_rebased_again_and_again() {
    let (storage, one, other) = two_writers(remote());
    add(&one, "mine", "t", [9; 6]).unwrap();
    write(&one, "a", "t", 0, &[-5]).unwrap();
    one.set_attribute("a", "k", 7.into()).unwrap();
    let mut names = vec!["a".to_string(), "b".into(), "bare".into()];
    for round in 0..4 {
        let name = format!("c{round}");
        add(&other, &name, "t", [round; 6]).unwrap();
        other.delete_dataset(&names.remove(1)).unwrap();
        other.flush().unwrap();
        names.push(name);
        assert_eq!(one.flush().unwrap_err().kind(), ErrorKind::Conflict);
        assert!(one.rebase().unwrap());
        // Some of the changes are made on the way.
        write(&one, "mine", "t", round as u64, &[round]).unwrap();
    }
    one.flush().unwrap();
    names.push("mine".into());
    let found = check(&storage, &names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((read(&found, "mine", "t"), read(&found, "a", "t")), (vec![0, 1, 2, 3, 9, 9], vec![-5, 1, 2, 3, 4, 5]));
    assert_eq!(read(&found, "c3", "t"), [3; 6]);
    assert_eq!(found.snapshot().attribute(0, "k"), Some(7.into()));
}

/// Larger than what is held in memory: part of the segment is spilled when ids change.
#[test]
fn large_segments_keep_their_cells() {
    let noise = |seed: u64| -> Vec<i64> {
        (0..1u64 << 18).map(|k| ((k + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ k << 20) as i64).collect()
    };
    let large = |store: &Store, name: &str, seed: u64| -> Result<()> {
        store.create_dataset(name)?;
        let schema = ArraySchema::new(DType::Int64, &["x"], &[1 << 18]).with_chunk_shape(&[30_000]);
        store.define_array(name, "big", schema)?;
        store.write_array(name, "big", &[0], &ArrayData::from_numbers(vec![1 << 18], noise(seed))?)
    };
    merged(
        &|store| large(store, "c", 1),
        &|store| large(store, "d", 2).and_then(|()| large(store, "e", 3)),
        &["a", "b", "bare", "c", "d", "e"],
        &|store| {
            for (name, seed) in [("c", 1), ("d", 2), ("e", 3)] {
                let cells = store.snapshot().read(name, "big", None).unwrap();
                assert!(cells.as_numbers::<i64>().unwrap() == noise(seed), "{name}");
            }
        },
    );
}

#[test]
fn a_rebase_that_fails_at_any_call_is_repeated() {
    for calls in 0.. {
        let double = shared();
        let (storage, one, other) = two_writers(double.storage());
        add(&one, "d", "t", [8; 6]).unwrap();
        add(&one, "e", "u", [9; 6]).unwrap();
        add(&other, "c", "t", [7; 6]).unwrap();
        other.flush().unwrap();
        assert_eq!(one.flush().unwrap_err().kind(), ErrorKind::Conflict);
        double.fail_once_after(calls);
        let mut has_failed = false;
        while let Err(error) = one.rebase().and_then(|_| one.flush()) {
            assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
            has_failed = true;
            check(&storage, &["a", "b", "bare", "c"]);
        }
        let found = check(&storage, &["a", "b", "bare", "c", "d", "e"]);
        assert_eq!((read(&found, "c", "t"), read(&found, "d", "t")), (vec![7; 6], vec![8; 6]));
        if !has_failed {
            assert!(calls >= 9, "only {calls} mutating calls");
            return;
        }
    }
}

/// A copy is written only where ids collide, and encoded cells are never decoded for it.
#[test]
fn segments_that_are_durable_are_copied_only_where_ids_collide() {
    let double = shared();
    let (_, one, other) = two_writers(double.storage());
    add(&one, "d", "t", [8; 6]).unwrap();
    other.set_attribute("a", "k", 2.into()).unwrap();
    other.flush().unwrap();
    one.flush().unwrap_err();
    double.take_finished();
    one.rebase().unwrap();
    one.flush().unwrap();
    assert_eq!(double.take_finished(), [""; 0]);
    add(&one, "e", "t", [8; 6]).unwrap();
    assert!(other.rebase().unwrap());
    add(&other, "f", "t", [8; 6]).unwrap();
    other.flush().unwrap();
    one.flush().unwrap_err();
    double.take_finished();
    one.rebase().unwrap();
    one.flush().unwrap();
    assert_eq!(double.take_finished().len(), 1);
}

/// Whether a commit went through could not be learned at once; the next flush learns it.
#[test]
fn a_commit_whose_reply_was_lost_is_not_made_twice() {
    for with_cells in [true, false] {
        for is_overtaken in [false, true] {
            let double = shared();
            let (storage, one, _) = two_writers(double.storage());
            if with_cells {
                add(&one, "c", "t", [7; 6]).unwrap();
            } else {
                one.create_dataset("c").unwrap();
            }
            double.lose_next_reply();
            assert_eq!(one.flush().unwrap_err().kind(), ErrorKind::Storage);
            double.heal();
            if !is_overtaken {
                one.flush().unwrap();
                check(&storage, &["a", "b", "bare", "c"]);
                continue;
            }
            let other = Store::open_on(storage.clone()).unwrap();
            add(&other, "d", "t", [8; 6]).unwrap();
            other.flush().unwrap();
            assert_eq!(one.flush().unwrap_err().kind(), ErrorKind::Conflict);
            let error = one.rebase().unwrap_err();
            let expected = if with_cells { ErrorKind::Conflict } else { ErrorKind::AlreadyExists };
            assert_eq!(error.kind(), expected, "{error}");
            one.abandon();
            check(&storage, &["a", "b", "bare", "c", "d"]);
        }
    }
}

#[test]
fn without_changes_a_rebase_is_a_refresh() {
    let (_, one, other) = two_writers(remote());
    add(&other, "c", "t", [7; 6]).unwrap();
    other.flush().unwrap();
    assert!(one.rebase().unwrap());
    assert!(!one.rebase().unwrap());
    assert_eq!(one.snapshot().dataset_count(), 4);
}
