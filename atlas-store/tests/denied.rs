//! Places that refuse: directories that may not be written to, files that may not be read, files where directories are
//! expected. What was flushed stays, and a flush that was refused is repeated.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

use atlas_store::{
    ArrayData, ArraySchema, CompactOptions, CreateOptions, DType, Error, ErrorKind, LocalStorage, Storage, Store,
};
use std::fmt::Debug;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LOCATION: &str = "ATLAS_DENIED_STORE";
const AT_ONCE: CompactOptions = CompactOptions { retention: Duration::ZERO };
const DENIED: &str = "Permission denied";

fn numbers(value: i32) -> ArrayData {
    ArrayData::from_numbers(vec![3], vec![value; 3]).unwrap()
}

fn add(store: &Store, dataset: &str, array: &str, value: i32) {
    store.create_dataset(dataset).unwrap();
    store.define_array(dataset, array, ArraySchema::new(DType::Int32, &["x"], &[3])).unwrap();
    store.write_array(dataset, array, &[0], numbers(value)).unwrap();
}

fn check(place: &Path, expected: &[(&str, &str, i32)]) {
    let store = open(place);
    let snapshot = store.snapshot();
    let names: Vec<&str> = expected.iter().map(|(dataset, ..)| *dataset).collect();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), names);
    for (dataset, array, value) in expected {
        assert_eq!(snapshot.read(dataset, array, None).unwrap(), numbers(*value), "{dataset}");
    }
    assert_eq!(store.verify().unwrap().problems, []);
}

fn open(place: &Path) -> Store {
    Store::open(place.to_str().unwrap()).unwrap()
}

/// A failure of the storage in one line that names the object and the reason.
fn told<T: Debug>(result: Result<T, Error>, object: &str, reason: &str) {
    let error = result.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Storage, "{text}");
    assert!(text.contains(object) && text.contains(reason) && !text.contains('\n'), "{text}");
}

/// Runs `refused` while a file or directory has these permissions.
fn with_mode(path: &Path, mode: u32, refused: impl FnOnce()) {
    let before = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    refused();
    fs::set_permissions(path, before).unwrap();
}

/// Not a test of its own: what runs without the right to pass permissions by.
#[test]
fn child() {
    let Ok(location) = std::env::var(LOCATION) else { return };
    let place = Path::new(&location);
    let segments = place.join("t");
    let store = Store::create(&location, CreateOptions::default()).unwrap();
    add(&store, "a", "t", 1);
    store.flush().unwrap();

    with_mode(place, 0o555, || {
        check(place, &[("a", "t", 1)]);
        add(&store, "b", "u", 2);
        told(store.flush(), "u/data.af", DENIED);
        check(place, &[("a", "t", 1)]);
        told(Store::create(place.join("new").to_str().unwrap(), CreateOptions::default()), "new", DENIED);
    });
    store.flush().unwrap();
    check(place, &[("a", "t", 1), ("b", "u", 2)]);

    store.write_array("a", "t", &[0], numbers(3)).unwrap();
    with_mode(&segments, 0o555, || told(store.flush(), "t/data.1.af", DENIED));
    // The segment is written, the catalog is not.
    with_mode(place, 0o555, || told(store.flush(), "atlas.json", DENIED));
    check(place, &[("a", "t", 1), ("b", "u", 2)]);
    store.flush().unwrap();
    assert_eq!(fs::read_dir(&segments).unwrap().count(), 2);
    check(place, &[("a", "t", 3), ("b", "u", 2)]);

    fs::remove_file(place.join("atlas.lock")).unwrap();
    with_mode(place, 0o555, || told(store.create_dataset("c"), "atlas.lock", DENIED));

    with_mode(&segments, 0o555, || told(store.compact(CompactOptions::default()), "t/data.2.af", DENIED));
    check(place, &[("a", "t", 3), ("b", "u", 2)]);
    assert!(store.compact(CompactOptions::default()).unwrap().retained_bytes > 0);
    with_mode(&segments, 0o555, || told(store.compact(AT_ONCE), "t/data", DENIED));
    check(place, &[("a", "t", 3), ("b", "u", 2)]);
    // What could not be deleted is left over, and deleted the next time.
    assert_eq!(store.compact(AT_ONCE).unwrap().deleted_objects, 2);
    check(place, &[("a", "t", 3), ("b", "u", 2)]);

    with_mode(&place.join("atlas.json"), 0, || told(Store::open(&location), "atlas.json", DENIED));
    with_mode(place, 0, || told(Store::open(&location), "atlas.json", DENIED));
    with_mode(&segments.join("data.2.af"), 0, || {
        let store = open(place);
        told(store.snapshot().read("a", "t", None), "t/data.2.af", DENIED);
        assert_eq!(store.snapshot().read("b", "u", None).unwrap(), numbers(2));
        let problems = store.verify().unwrap().problems;
        assert!(problems.iter().all(|problem| problem.object == "t/data.2.af"), "{problems:?}");
        assert!(problems.iter().any(|problem| problem.message.contains(DENIED)), "{problems:?}");
    });
    with_mode(&segments, 0, || told(store.verify(), &location, DENIED));
    println!("all of it was refused");
}

#[test]
fn permissions_that_are_missing_are_told_and_lose_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let child = std::env::current_exe().unwrap();
    let arguments = ["child", "--exact", "--nocapture", "--test-threads=1"];
    let user = Command::new("id").arg("-u").output().unwrap().stdout;
    let mut command = if user.starts_with(b"0\n") {
        // Permissions do not bind root, unless it gives up that right.
        let mut command = Command::new("setpriv");
        let rights = "-dac_override,-dac_read_search";
        command.args(["--inh-caps", rights, "--bounding-set", rights]).arg(child);
        let is_there = Command::new("setpriv").args(["--bounding-set", rights, "true"]).status();
        if !is_there.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no setpriv to give up the rights of root with");
            return;
        }
        command
    } else {
        Command::new(child)
    };
    let output = command.args(arguments).env(LOCATION, temp.path().join("s")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("all of it was refused"), "{said}{complained}");
}

#[test]
fn a_file_in_the_place_of_a_directory_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let place = temp.path().join("s");
    fs::write(&place, b"mine").unwrap();
    for location in [place.clone(), place.join("below")] {
        let location = location.to_str().unwrap();
        assert_eq!(Store::open(location).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(Store::create(location, CreateOptions::default()).unwrap_err().kind(), ErrorKind::Storage);
    }
    assert_eq!(fs::read(&place).unwrap(), b"mine");

    fs::remove_file(&place).unwrap();
    let store = Store::create(place.to_str().unwrap(), CreateOptions::default()).unwrap();
    fs::write(place.join("t"), b"mine").unwrap();
    add(&store, "a", "t", 1);
    told(store.flush(), "t/data.af", "directory");
    fs::remove_file(place.join("t")).unwrap();
    store.flush().unwrap();
    check(&place, &[("a", "t", 1)]);

    fs::rename(place.join("atlas.json"), place.join("kept")).unwrap();
    fs::create_dir(place.join("atlas.json")).unwrap();
    told(Store::open(place.to_str().unwrap()), "atlas.json", "directory");
    let again = Store::create(place.to_str().unwrap(), CreateOptions::default());
    told(again, "atlas.json", "directory");
}

/// A verification may run next to a writer, whose temporary files come and go.
#[test]
fn files_that_vanish_while_they_are_listed_are_no_failure() {
    let temp = tempfile::tempdir().unwrap();
    let storage = LocalStorage::new(temp.path().join("s"));
    storage.prepare().unwrap();
    fs::write(temp.path().join("s/stays"), b"").unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let folder = temp.path().join("s/t");
            while !is_over.load(Ordering::Relaxed) {
                fs::create_dir(&folder).unwrap();
                (0..20).for_each(|k| fs::write(folder.join(format!("{k}.tmp")), b"").unwrap());
                fs::remove_dir_all(&folder).unwrap();
            }
        });
        let listings: Vec<_> = (0..2000).map(|_| storage.list()).collect();
        is_over.store(true, Ordering::Relaxed);
        for listed in listings {
            assert!(listed.unwrap().iter().any(|info| info.object == "stays"));
        }
    });
}
