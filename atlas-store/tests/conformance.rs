//! Every backend does what the store needs of it, and faults of a remote one lose nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    reason = "tests"
)]

mod backend;

use atlas_store::object_store::ObjectStore;
use atlas_store::object_store::memory::InMemory;
use atlas_store::{
    CreateOptions, ErrorKind, LocalStorage, MemoryStorage, ObjectOptions, ObjectStorage, Result, Storage, Store,
};
use backend::conform;
use backend::faulty::{Fault, Faulty};
use backend::scenarios::{AT_ONCE, add, check};
use std::sync::Arc;
use std::time::Duration;

fn remote(store: impl ObjectStore) -> Arc<dyn Storage> {
    Arc::new(ObjectStorage::new(Arc::new(store), "some/prefix").unwrap())
}

#[test]
fn local_storage_conforms() {
    let temp = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    conform("local", &|| {
        number.set(number.get() + 1);
        Arc::new(LocalStorage::new(temp.path().join(format!("{}/store", number.get()))))
    });
}

#[test]
fn memory_storage_conforms() {
    conform("memory", &|| Arc::new(MemoryStorage::new()));
}

#[test]
fn object_storage_conforms() {
    conform("object store", &|| remote(InMemory::new()));
}

#[test]
fn object_storage_without_a_prefix_conforms() {
    conform("whole bucket", &|| Arc::new(ObjectStorage::new(Arc::new(InMemory::new()), "").unwrap()));
}

#[test]
fn slow_object_storage_conforms() {
    conform("slow object store", &|| remote(Faulty::slow(Duration::from_millis(2))));
}

/// One life of a store: what it acknowledged is in `done`.
fn live(storage: &Arc<dyn Storage>, done: &mut usize) -> Result<()> {
    let store = Store::open_on(storage.clone())?;
    add(&store, "b", 2)?;
    store.flush()?;
    *done = 1;
    store.delete_dataset("a")?;
    add(&store, "c", 3)?;
    store.flush()?;
    *done = 2;
    for row in 0..2 {
        let name = store.snapshot().dataset_name(row).to_string();
        store.snapshot().read(&name, "t", None)?;
    }
    store.compact(AT_ONCE)?;
    Ok(())
}

/// Each call of a life fails in turn.
fn fails_everywhere(fault: Fault) {
    let states: [&[(&str, u64)]; 3] = [&[("a", 1)], &[("a", 1), ("b", 2)], &[("b", 2), ("c", 3)]];
    let mut unharmed = 0;
    for calls in 0.. {
        let faulty = Faulty::new(fault);
        let storage = remote(faulty.clone());
        let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
        add(&store, "a", 1).unwrap();
        store.flush().unwrap();
        faulty.fail_after(calls);
        let mut done = 0;
        let result = live(&storage, &mut done);
        let has_failed = faulty.heal();
        if let Err(error) = &result {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        let found = Store::open_on(storage.clone()).unwrap();
        let names: Vec<String> = found.snapshot().dataset_names().map(String::from).collect();
        let at = states.iter().position(|state| state.iter().map(|(name, _)| *name).eq(&names)).unwrap();
        // What was acknowledged is there; a flush that was not may be, if its outcome could not be learned.
        assert!(at == done || at == done + 1 && result.is_err(), "{fault:?} at call {calls}: {at} after {done}");
        check(&found, states[at]);
        found.compact(AT_ONCE).unwrap();
        assert_eq!(found.verify().unwrap().orphans, Some(vec![]));
        check(&found, states[at]);
        unharmed += usize::from(has_failed && result.is_ok());
        if !has_failed {
            assert!(calls > 15, "only {calls} calls");
            println!("{fault:?}: {calls} calls, {unharmed} of the faults went unnoticed");
            return;
        }
    }
}

#[test]
fn any_call_may_fail() {
    fails_everywhere(Fault::Fails);
}

#[test]
fn any_reply_may_be_lost() {
    fails_everywhere(Fault::LosesReply);
}

#[test]
fn any_body_may_be_short() {
    fails_everywhere(Fault::IsShort);
}

/// A reply that is cut off is the network's fault, and does not accuse the store of being damaged.
#[test]
fn a_short_body_is_not_taken_for_the_object() {
    let faulty = Faulty::new(Fault::IsShort);
    let storage = remote(faulty.clone());
    let mut writer = storage.create("x").unwrap();
    writer.write(&vec![1; 100_000]).unwrap();
    writer.finish().unwrap();
    let reader = storage.open("x").unwrap();
    let reads: [&dyn Fn() -> Result<()>; 3] =
        [&|| storage.get("x").map(drop), &|| storage.open("x").map(drop), &|| {
            reader.read_many(&[10..20, 500..60_000]).map(drop)
        }];
    for read in reads {
        faulty.fail_after(0);
        let error = read().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains("expected"), "{error}");
        assert!(faulty.heal());
        read().unwrap();
    }
}

#[test]
fn a_refresh_without_a_change_reads_no_body() {
    let faulty = Faulty::new(Fault::Fails);
    let storage = remote(faulty.clone());
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    let reader = Store::open_on(storage).unwrap();
    assert!(faulty.take_bytes_read() > 0);
    assert!(!reader.refresh().unwrap() && !store.refresh().unwrap());
    store.create_dataset("a").unwrap();
    store.flush().unwrap();
    assert_eq!(faulty.take_bytes_read(), 0);
    assert!(reader.refresh().unwrap());
    assert!(faulty.take_bytes_read() > 0);
}

#[test]
fn a_commit_whose_reply_is_lost_is_settled_by_reading_back() {
    let faulty = Faulty::new(Fault::LosesReply);
    let storage = remote(faulty.clone());
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    store.create_dataset("a").unwrap();
    // No array, no segment: the commit is the next call.
    faulty.fail_after(0);
    store.flush().unwrap();
    assert!(faulty.heal());
    store.create_dataset("b").unwrap();
    store.flush().unwrap();
    assert_eq!(Store::open_on(storage).unwrap().snapshot().dataset_count(), 2);
}

#[test]
fn an_upload_in_parts_that_fails_leaves_nothing() {
    for calls in 0..5 {
        let faulty = Faulty::new(Fault::Fails);
        let storage = remote(faulty.clone());
        let mut writer = storage.create("large").unwrap();
        writer.write(&vec![7; 20 << 20]).unwrap();
        faulty.fail_after(calls);
        assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::Storage);
        assert!(faulty.heal());
        assert!(storage.list().unwrap().is_empty());
        writer.finish().unwrap();
        assert!(storage.get("large").unwrap().unwrap().0 == vec![7; 20 << 20]);
    }
}

/// Each request of a flush fails in turn, or its reply is lost; the next flush commits what the first could not.
#[test]
fn a_flush_whose_request_fails_is_repeated() {
    for fault in [Fault::Fails, Fault::LosesReply] {
        for calls in 0.. {
            let faulty = Faulty::new(fault);
            let storage = remote(faulty.clone());
            let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
            add(&store, "a", 1).unwrap();
            store.flush().unwrap();
            add(&store, "b", 2).unwrap();
            faulty.fail_after(calls);
            let first = store.flush();
            let has_failed = faulty.heal();
            if let Err(error) = first {
                assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
                check(&Store::open_on(storage.clone()).unwrap(), &[("a", 1)]);
                store.flush().unwrap();
            }
            check(&store, &[("a", 1), ("b", 2)]);
            let reopened = Store::open_on(storage).unwrap();
            check(&reopened, &[("a", 1), ("b", 2)]);
            assert_eq!(reopened.verify().unwrap().orphans, Some(vec![]));
            if !has_failed {
                assert!(calls >= 3, "only {calls} calls");
                break;
            }
        }
    }
}

#[test]
fn requests_run_at_once_up_to_the_limit() {
    let faulty = Faulty::slow(Duration::from_millis(20));
    let options = ObjectOptions { requests: 5, ..ObjectOptions::default() };
    let storage = ObjectStorage::with_options(Arc::new(faulty.clone()), "", &options).unwrap();
    let mut writer = storage.create("x").unwrap();
    writer.write(&vec![1; 1 << 20]).unwrap();
    writer.finish().unwrap();
    let reader = storage.open("x").unwrap();
    let ranges: Vec<_> = (0..20).map(|k| k * 20_000..k * 20_000 + 10).collect();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(reader.read_many(&ranges).unwrap().len(), 20));
        }
    });
    assert_eq!(faulty.most_at_once(), 5);
}

#[test]
fn a_store_is_used_from_within_async_tasks() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let storage = remote(InMemory::new());
    let task = async move {
        let store = Store::create_on(storage, CreateOptions::default()).unwrap();
        add(&store, "a", 1).unwrap();
        store.flush().unwrap();
        check(&store, &[("a", 1)]);
    };
    runtime.block_on(runtime.spawn(task)).unwrap();
}

#[test]
fn a_store_that_replaces_nothing_conditionally_is_told_plainly() {
    let storage = remote(Faulty::without_updates());
    let store = Store::create_on(storage, CreateOptions::default()).unwrap();
    store.create_dataset("a").unwrap();
    let error = store.flush().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("does not replace objects conditionally"), "{error}");
}

#[test]
fn a_segment_deleted_under_a_reader_is_told_plainly() {
    let storage = remote(InMemory::new());
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    add(&store, "a", 1).unwrap();
    store.flush().unwrap();
    let info = storage.list().unwrap().into_iter().find(|info| info.object.starts_with("t/")).unwrap();
    let reader = storage.open(&info.object).unwrap();
    storage.delete(&info.object).unwrap();
    let error = reader.read(0..10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("refresh"), "{error}");
}

#[test]
fn read_only_storage_refuses_every_write() {
    let inner = Arc::new(InMemory::new());
    let writable: Arc<dyn Storage> = Arc::new(ObjectStorage::new(inner.clone(), "").unwrap());
    let store = Store::create_on(writable, CreateOptions::default()).unwrap();
    add(&store, "a", 1).unwrap();
    store.flush().unwrap();
    let storage = ObjectStorage::new(inner, "").unwrap().named("https://host/x").read_only();
    let store = Store::open_on(Arc::new(storage.clone())).unwrap();
    check(&store, &[("a", 1)]);
    let refusals = [
        store.create_dataset("b").unwrap_err(),
        store.compact(AT_ONCE).unwrap_err(),
        storage.prepare().unwrap_err(),
        storage.delete("atlas.json").unwrap_err(),
        storage.create("x").map(drop).unwrap_err(),
    ];
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("https://host/x is read-only"), "{error}");
    }
}
