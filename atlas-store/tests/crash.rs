//! A process that stops at any mutating call of the storage leaves the old snapshot or the new one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "backend/double.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared between tests")]
mod double;

use atlas_store::{
    ArrayData, ArraySchema, CompactOptions, CreateOptions, DType, ErrorKind, LocalStorage, MemoryStorage, Result,
    Snapshot, Storage, Store,
};
use double::Double;
use std::sync::Arc;
use std::time::Duration;

const AT_ONCE: CompactOptions = CompactOptions { retention: Duration::ZERO };

/// Noise that no codec makes smaller.
fn noise(k: u32, round: u32) -> i32 {
    let mut bits = (u64::from(k) << 8 | u64::from(round)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (bits >> 32) as i32
}

fn change(store: &Store, round: u32) -> Result<()> {
    mutate(store, round)?;
    store.flush()?;
    Ok(())
}

fn mutate(store: &Store, round: u32) -> Result<()> {
    let name = format!("d{round}");
    store.create_dataset(&name)?;
    for array in ["t", "s"] {
        // 2 MiB: more than is held in memory before a segment is begun.
        let shape = [1 << 19];
        store.define_array(
            &name,
            array,
            ArraySchema::new(DType::Int32, &["x"], &shape).with_chunk_shape(&[1 << 17]),
        )?;
        let noise = (0..shape[0] as u32).map(|k| noise(k, round)).collect();
        store.write_array(&name, array, &[0], &ArrayData::from_numbers(shape.to_vec(), noise)?)?;
    }
    if round > 0 {
        store.delete_array("d0", "s").or_else(|_| store.remove_attribute("d0", "x").map(drop))?;
    }
    Ok(())
}

fn check(snapshot: &Snapshot, rounds: u32) {
    let names: Vec<String> = (0..rounds).map(|round| format!("d{round}")).collect();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), names);
    for (round, name) in (0u32..).zip(&names) {
        let read = snapshot.read(name, "t", None).unwrap();
        assert_eq!(read.as_numbers::<i32>().unwrap()[5], noise(5, round));
    }
}

fn crash_everywhere(inner: &Arc<dyn Storage>) {
    let double = Double::new(inner.clone());
    let storage = double.storage();
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    change(&store, 0).unwrap();
    drop(store);
    let mut committed = 1;
    let mut crashes = 0;
    for steps in 0.. {
        double.fail_after(steps);
        let store = Store::open_on(storage.clone()).unwrap();
        let result = change(&store, committed);
        drop(store);
        double.heal();
        let reopened = Store::open_on(storage.clone()).unwrap().snapshot();
        match result {
            // An acknowledged flush survives; a failed one left the old snapshot.
            Ok(()) => {
                committed += 1;
                check(&reopened, committed);
                break;
            }
            Err(_) => check(&reopened, committed),
        }
        crashes += 1;
    }
    assert!(crashes >= 7, "only {crashes} mutating calls");
}

#[test]
fn a_crash_at_any_call_keeps_the_old_snapshot_in_memory() {
    crash_everywhere(&(Arc::new(MemoryStorage::new()) as Arc<dyn Storage>));
}

#[test]
fn a_crash_at_any_call_keeps_the_old_snapshot_on_disk() {
    let temp = tempfile::tempdir().unwrap();
    crash_everywhere(&(Arc::new(LocalStorage::new(temp.path().join("s"))) as Arc<dyn Storage>));
}

#[test]
fn a_failed_change_cannot_be_flushed_by_accident() {
    let double = Double::new(Arc::new(MemoryStorage::new()));
    let store = Store::create_on(double.storage(), CreateOptions::default()).unwrap();
    double.fail_after(0);
    assert!(change(&store, 0).is_err());
    double.heal();
    assert!(store.flush().is_err(), "half a change must not be committed");
    store.abandon();
    assert_eq!(store.snapshot().dataset_count(), 0);
    change(&store, 0).unwrap();
    check(&store.snapshot(), 1);
}

/// Whole chunks, parts of chunks over a committed chunk and over nothing, and a family that is new.
fn many_kinds(store: &Store) {
    mutate(store, 1).unwrap();
    store.write_array("d0", "t", &[5], ArrayData::from_numbers(vec![2], vec![-1, -2]).unwrap()).unwrap();
    store.define_array("d0", "part", ArraySchema::new(DType::Int16, &["x"], &[9])).unwrap();
    store.write_array("d0", "part", &[3], ArrayData::from_numbers(vec![1], vec![7i16]).unwrap()).unwrap();
    store.set_attribute("d1", "k", 5.into()).unwrap();
}

fn check_many_kinds(read: &dyn Fn(&str, &str) -> ArrayData) {
    let cells = read("d0", "t");
    let cells = cells.as_numbers::<i32>().unwrap();
    assert_eq!(cells[4..8], [noise(4, 0), -1, -2, noise(7, 0)]);
    assert_eq!(read("d0", "part").as_numbers::<i16>().unwrap(), [0, 0, 0, 7, 0, 0, 0, 0, 0]);
    for array in ["t", "s"] {
        let expected: Vec<i32> = (0..1 << 19).map(|k| noise(k, 1)).collect();
        assert_eq!(read("d1", array).as_numbers::<i32>().unwrap(), expected);
    }
}

fn check_store(storage: Arc<dyn Storage>) {
    let store = Store::open_on(storage).unwrap();
    let snapshot = store.snapshot();
    check_many_kinds(&|dataset, array| snapshot.read(dataset, array, None).unwrap());
    assert_eq!(snapshot.attribute(1, "k"), Some(5.into()));
    assert!(snapshot.array("d0", "s").is_err());
    let report = store.verify().unwrap();
    assert_eq!((report.problems, report.orphans), (vec![], Some(vec![])));
}

/// A store of one dataset, and changes that are not flushed.
fn begun(inner: &Arc<dyn Storage>) -> (Double, Store) {
    let double = Double::new(inner.clone());
    let store = Store::create_on(double.storage(), CreateOptions::default()).unwrap();
    change(&store, 0).unwrap();
    many_kinds(&store);
    double.take_finished();
    (double, store)
}

/// Where the nth call of a flush fails; until a flush has fewer.
fn each_call_of_a_flush(fresh: &dyn Fn() -> Arc<dyn Storage>, failed: impl Fn(&Arc<dyn Storage>, &Double, &Store)) {
    for calls in 0.. {
        let inner = fresh();
        let (double, store) = begun(&inner);
        double.fail_once_after(calls);
        let Err(error) = store.flush() else {
            assert!(calls >= 7, "only {calls} mutating calls");
            return check_store(inner);
        };
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
        let committed = Store::open_on(inner.clone()).unwrap();
        check(&committed.snapshot(), 1);
        assert_eq!(committed.verify().unwrap().problems, []);
        failed(&inner, &double, &store);
    }
}

fn a_flush_is_repeated(fresh: &dyn Fn() -> Arc<dyn Storage>) {
    each_call_of_a_flush(fresh, |inner, double, store| {
        check_many_kinds(&|dataset, array| store.read_array(dataset, array, None).unwrap());
        let other = Store::open_on(inner.clone()).unwrap();
        assert_eq!(other.create_dataset("x").unwrap_err().kind(), ErrorKind::Conflict, "the lock is still held");
        let report = store.flush().unwrap();
        assert_eq!(report.segments, 3);
        assert_eq!(store.flush().unwrap().segments, 0);
        let mut finished = double.take_finished();
        finished.sort();
        assert_eq!(finished, ["part/data.af", "s/data.1.af", "t/data.1.af"], "each is written once");
        check_store(inner.clone());
        other.create_dataset("x").unwrap();
    });
}

#[test]
fn a_flush_that_fails_at_any_call_is_repeated_in_memory() {
    a_flush_is_repeated(&|| Arc::new(MemoryStorage::new()));
}

#[test]
fn a_flush_that_fails_at_any_call_is_repeated_on_disk() {
    let temp = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    a_flush_is_repeated(&|| {
        number.set(number.get() + 1);
        Arc::new(LocalStorage::new(temp.path().join(number.get().to_string())))
    });
}

#[test]
fn changes_go_on_after_a_flush_that_failed() {
    each_call_of_a_flush(&|| Arc::new(MemoryStorage::new()), |inner, double, store| {
        store.write_array("d1", "s", &[9], ArrayData::from_numbers(vec![1], vec![-9]).unwrap()).unwrap();
        store.create_dataset("d2").unwrap();
        store.define_array("d2", "t", ArraySchema::new(DType::Int32, &["x"], &[2])).unwrap();
        store.write_array("d2", "t", &[0], ArrayData::from_numbers(vec![2], vec![1, 2]).unwrap()).unwrap();
        store.delete_dataset("d0").unwrap();
        // Again, each attempt a call further than the last.
        (0..).find(|calls| {
            double.fail_once_after(*calls);
            store.flush().is_ok()
        });
        double.heal();
        // The family of an array that was deleted again leaves its segment behind.
        store.compact(AT_ONCE).unwrap();
        let reopened = Store::open_on(inner.clone()).unwrap();
        let snapshot = reopened.snapshot();
        assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), ["d1", "d2"]);
        let cells = snapshot.read("d1", "s", None).unwrap();
        assert_eq!(cells.as_numbers::<i32>().unwrap()[8..11], [noise(8, 1), -9, noise(10, 1)]);
        assert_eq!(snapshot.read("d2", "t", None).unwrap().as_numbers::<i32>().unwrap(), [1, 2]);
        let report = reopened.verify().unwrap();
        assert_eq!((report.problems, report.orphans), (vec![], Some(vec![])));
    });
}

#[test]
fn what_an_abandoned_flush_leaves_is_collected() {
    each_call_of_a_flush(&|| Arc::new(MemoryStorage::new()), |inner, _, store| {
        store.abandon();
        assert_eq!(store.flush().unwrap().catalog_bytes, 0);
        store.compact(AT_ONCE).unwrap();
        let reopened = Store::open_on(inner.clone()).unwrap();
        assert_eq!(reopened.verify().unwrap().orphans, Some(vec![]));
        check(&reopened.snapshot(), 1);
        many_kinds(store);
        store.flush().unwrap();
        check_store(inner.clone());
    });
}

/// As after a failed fsync.
#[test]
fn a_segment_that_may_be_lost_is_never_committed() {
    for calls in 0.. {
        let inner: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let (double, store) = begun(&inner);
        double.lose();
        double.fail_once_after(calls);
        assert!(store.flush().is_err(), "no call of these made a segment durable");
        let Err(error) = store.flush() else { continue };
        for error in [error, store.flush().unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Storage);
            assert!(error.to_string().contains("abandon"), "{error}");
        }
        check(&Store::open_on(inner.clone()).unwrap().snapshot(), 1);
        store.abandon();
        many_kinds(&store);
        store.flush().unwrap();
        return check_store(inner);
    }
}
