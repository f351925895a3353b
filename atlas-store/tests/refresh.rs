//! A refresh reads the catalog where it has changed, and only there; a commit replaces what its writer saw, and only that.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "backend/double.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared between tests")]
mod double;

use atlas_store::object_store::memory::InMemory;
use atlas_store::{
    CreateOptions, ErrorKind, LocalStorage, MemoryStorage, MetaCompression, MetaFormat, ObjectStorage, Storage, Store,
};
use double::Double;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[test]
fn a_refresh_without_a_change_reads_no_catalog() {
    let temp = tempfile::tempdir().unwrap();
    let storages: [Arc<dyn Storage>; 3] = [
        Arc::new(MemoryStorage::new()),
        Arc::new(LocalStorage::new(temp.path().join("s"))),
        Arc::new(ObjectStorage::new(Arc::new(InMemory::new()), "p").unwrap()),
    ];
    for inner in storages {
        let double = Double::new(inner.clone());
        let writer = Store::create_on(inner.clone(), CreateOptions::default()).unwrap();
        let reader = Store::open_on(double.storage()).unwrap();
        assert!(double.take_bytes_read() > 0);
        assert!(!reader.refresh().unwrap());
        assert_eq!(double.take_bytes_read(), 0);
        writer.create_dataset("a").unwrap();
        writer.flush().unwrap();
        assert!(reader.refresh().unwrap());
        assert!(double.take_bytes_read() > 0);
        // Its own commit is known to it, and what it knows it does not read before the next one.
        for name in ["b", "c"] {
            reader.create_dataset(name).unwrap();
            reader.flush().unwrap();
            assert!(!reader.refresh().unwrap());
        }
        assert_eq!(double.take_bytes_read(), 0, "{}", inner.location());
        assert!(writer.refresh().unwrap());
        assert_eq!(writer.snapshot().dataset_count(), 3);
    }
}

#[test]
fn readers_do_not_wait_for_a_refresh() {
    let inner: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let double = Double::new(inner.clone());
    let writer = Store::create_on(inner, CreateOptions::default()).unwrap();
    let reader = Store::open_on(double.storage()).unwrap();
    writer.create_dataset("a").unwrap();
    writer.flush().unwrap();
    let held = double.hold_reads();
    let refreshing = std::thread::spawn({
        let reader = reader.clone();
        move || reader.refresh().unwrap()
    });
    while !double.is_asked() {
        std::thread::yield_now();
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send((reader.snapshot().dataset_count(), reader)).unwrap());
    let (before, reader) = receiver.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(before, 0);
    drop(held);
    assert!(refreshing.join().unwrap());
    assert_eq!(reader.snapshot().dataset_count(), 1);
}

const VARIANTS: [(MetaFormat, MetaCompression); 6] = [
    (MetaFormat::Json, MetaCompression::None),
    (MetaFormat::Json, MetaCompression::Zstd),
    (MetaFormat::Json, MetaCompression::Lz4),
    (MetaFormat::Msgpack, MetaCompression::None),
    (MetaFormat::Msgpack, MetaCompression::Zstd),
    (MetaFormat::Msgpack, MetaCompression::Lz4),
];

/// A store with many datasets and one attribute in the midst of them.
fn written(path: &Path, (meta_format, meta_compression): (MetaFormat, MetaCompression), value: &str) -> PathBuf {
    let options = CreateOptions { meta_format, meta_compression, ..CreateOptions::default() };
    let store = Store::create(path.to_str().unwrap(), options).unwrap();
    for number in 0..300 {
        let name = format!("d{number}");
        store.create_dataset(&name).unwrap();
        store.set_attribute(&name, "k", "same".into()).unwrap();
    }
    store.set_attribute("d150", "k", value.into()).unwrap();
    store.flush().unwrap();
    let found = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut catalogs = found.filter(|path| path.file_name().unwrap() != "atlas.lock");
    let catalog = catalogs.next().unwrap();
    assert!(catalogs.next().is_none());
    catalog
}

/// Puts other bytes into a file, whose inode and time of modification stay as they are.
fn rewrite(path: &Path, bytes: &[u8]) {
    let before = fs::metadata(path).unwrap();
    fs::write(path, bytes).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(before.modified().unwrap()).unwrap();
    let after = fs::metadata(path).unwrap();
    let identity = |metadata: &fs::Metadata| (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    assert_eq!(identity(&after), identity(&before));
}

/// The catalog of another store of the same length, with another value.
fn twin(temp: &Path, variant: (MetaFormat, MetaCompression), bytes: usize) -> (String, Vec<u8>) {
    for number in 100..1000 {
        let value = format!("v{number}");
        let path = temp.join(&value);
        let catalog = fs::read(written(&path, variant, &value)).unwrap();
        fs::remove_dir_all(path).unwrap();
        if catalog.len() == bytes {
            return (value, catalog);
        }
    }
    panic!("no catalog has {bytes} bytes");
}

/// Two commits within one tick of the clock, in catalogs of one length, and the inode of the first used again.
#[test]
fn a_change_is_seen_whatever_the_clock_says() {
    for variant in VARIANTS {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("s");
        let catalog = written(&path, variant, "v000");
        let reader = Store::open(path.to_str().unwrap()).unwrap();
        let writer = Store::open(path.to_str().unwrap()).unwrap();
        writer.create_dataset("lost").unwrap();
        let (value, bytes) = twin(temp.path(), variant, fs::read(&catalog).unwrap().len());
        rewrite(&catalog, &bytes);
        assert_eq!(reader.snapshot().attribute(150, "k"), Some("v000".into()));
        assert!(reader.refresh().unwrap(), "{variant:?}");
        assert_eq!(reader.snapshot().attribute(150, "k"), Some(value.as_str().into()));
        // It was changed by somebody who does not take the lock.
        assert_eq!(writer.flush().unwrap_err().kind(), ErrorKind::Conflict, "{variant:?}");
        assert!(writer.rebase().unwrap());
        writer.flush().unwrap();
        assert!(reader.refresh().unwrap());
        assert_eq!(reader.snapshot().dataset_name(300), "lost");
        assert_eq!(reader.snapshot().attribute(150, "k"), Some(value.as_str().into()));
    }
}

/// Damage that leaves file and checksum as they were is not a commit: it shows that the catalog was not read.
#[test]
fn an_unchanged_local_catalog_is_not_read() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("s");
    let catalog = written(&path, VARIANTS[0], "v000");
    let reader = Store::open(path.to_str().unwrap()).unwrap();
    let mut bytes = fs::read(&catalog).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    rewrite(&catalog, &bytes);
    assert!(!reader.refresh().unwrap());
    assert_eq!(Store::open(path.to_str().unwrap()).unwrap_err().kind(), ErrorKind::Corrupt);
    // A copy that was put back is the same version in another file.
    bytes[middle] ^= 1;
    fs::remove_file(&catalog).unwrap();
    fs::write(&catalog, &bytes).unwrap();
    assert!(!reader.refresh().unwrap());
    reader.create_dataset("more").unwrap();
    reader.flush().unwrap();
}
