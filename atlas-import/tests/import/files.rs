//! Which files are found, in which order they are written, and what happens to one that cannot be.

use crate::imported::directory;
use crate::writer::Values::Int;
use crate::writer::Writer;
use atlas_import::{ImportError, ImportOptions, OnError, find_files, import_files};
use atlas_store::{CreateOptions, Store};
use std::fs;
use std::path::Path;
use std::sync::Mutex;

fn good(value: i32) -> Vec<u8> {
    Writer::new(1).variable("v", &[], Int(vec![value]), &[]).bytes()
}

/// A header that promises more than there is.
fn cut() -> Vec<u8> {
    let mut bytes = Writer::new(1).dim("x", 100).variable("v", &["x"], Int(vec![7; 100]), &[]).bytes();
    bytes.truncate(bytes.len() - 8);
    bytes
}

fn paths(paths: &[&Path]) -> Vec<String> {
    paths.iter().map(|path| path.to_str().unwrap().to_string()).collect()
}

#[test]
fn directories_are_searched_and_sorted() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("b/c")).unwrap();
    for name in ["z.nc", "a.NC4", "b/m.cdf", "b/c/n.netcdf", "b/readme.txt", ".hidden.nc"] {
        fs::write(root.path().join(name), "x").unwrap();
    }
    let names = |paths: Vec<String>| {
        find_files(&paths).map(|found| found.into_iter().map(|file| file.dataset).collect::<Vec<_>>())
    };
    assert_eq!(names(paths(&[root.path()])).unwrap(), ["a", "n", "m", "z"]);
    assert_eq!(names(paths(&[&root.path().join("*.nc")])).unwrap(), ["z"]);
    // A file given twice counts once, and one given by name needs no extension.
    assert_eq!(
        names(paths(&[&root.path().join("b/readme.txt"), &root.path().join("b"), &root.path().join("b/m.cdf")]))
            .unwrap(),
        ["readme", "n", "m"]
    );
}

#[test]
fn where_nothing_is_found_the_error_names_the_path() {
    let root = tempfile::tempdir().unwrap();
    for (path, reason) in [("", "no netcdf file"), ("nowhere", "no such file"), ("*.nc", "no file matches")] {
        let path = root.path().join(path);
        let error = find_files(&paths(&[&path])).unwrap_err();
        assert!(matches!(error, ImportError::NothingFound { .. }));
        let error = error.to_string();
        assert!(error.starts_with(path.to_str().unwrap()) && error.contains(reason), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn two_files_of_one_stem_are_both_named() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("b")).unwrap();
    fs::write(root.path().join("a.nc"), "x").unwrap();
    fs::write(root.path().join("b/a.cdf"), "x").unwrap();
    let error = find_files(&paths(&[root.path()])).unwrap_err().to_string();
    assert!(error.contains("a.nc") && error.contains("b/a.cdf") && error.contains("dataset a"), "{error}");
}

#[test]
fn datasets_are_in_the_order_of_the_files() {
    let contents = (0..100).map(|value| (format!("f{:02}.nc", 99 - value), good(value))).collect::<Vec<_>>();
    let files = contents.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect::<Vec<_>>();
    let (_directory, found, store) = directory(&files);
    let seen = Mutex::new(Vec::new());
    let report = import_files(&store, &found, &ImportOptions::default(), &|progress| {
        seen.lock().unwrap().push((progress.done, progress.total, progress.current.to_path_buf()));
    })
    .unwrap();
    store.flush().unwrap();
    let expected = found.iter().map(|file| file.dataset.as_str()).collect::<Vec<_>>();
    assert_eq!(store.snapshot().dataset_names().collect::<Vec<_>>(), expected);
    assert_eq!(report.datasets, expected);
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 100);
    assert!(seen.iter().zip(&found).enumerate().all(|(i, (seen, file))| *seen == (i + 1, 100, file.path.clone())));
}

#[test]
fn stop_abandons_everything_and_names_the_file() {
    let (_directory, files, store) = directory(&[("a.nc", &good(1)), ("b.nc", &cut()), ("c.nc", &good(3))]);
    store.create_dataset("pending").unwrap();
    let error = import_files(&store, &files, &ImportOptions::default(), &|_| {}).unwrap_err().to_string();
    assert!(error.starts_with(files[1].path.to_str().unwrap()) && error.contains("variable v"), "{error}");
    for dataset in ["a", "b", "c", "pending"] {
        assert!(!store.dataset_exists(dataset));
    }
    store.flush().unwrap();
    assert_eq!(Store::open(&store.location()).unwrap().snapshot().dataset_count(), 0);
}

#[test]
fn skip_leaves_nothing_of_the_file_and_reports_it() {
    let (_directory, files, store) = directory(&[("a.nc", &good(1)), ("b.nc", &cut()), ("c.nc", &good(3))]);
    let options = ImportOptions { on_error: OnError::Skip, ..ImportOptions::default() };
    let report = import_files(&store, &files, &options, &|_| {}).unwrap();
    store.flush().unwrap();
    assert_eq!(report.datasets, ["a", "c"]);
    assert_eq!(report.skipped_files.len(), 1);
    assert_eq!(report.skipped_files[0].path, files[1].path);
    let snapshot = Store::open(&store.location()).unwrap().snapshot();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(snapshot.family("v").unwrap().len(), 2);
}

#[test]
fn a_file_that_is_being_written_is_refused() {
    let (_directory, files, store) = directory(&[("a.nc", &good(1))]);
    let writer = fs::OpenOptions::new().write(true).open(&files[0].path).unwrap();
    writer.try_lock().unwrap();
    let error = import_files(&store, &files, &ImportOptions::default(), &|_| {}).unwrap_err().to_string();
    assert!(error.ends_with("a.nc: the file is locked: another process is writing it"), "{error}");
    drop(writer);
    // Readers do not keep each other out.
    let reader = fs::File::open(&files[0].path).unwrap();
    reader.try_lock_shared().unwrap();
    assert_eq!(import_files(&store, &files, &ImportOptions::default(), &|_| {}).unwrap().arrays, 1);
}

#[test]
fn a_large_file_that_breaks_off_leaves_nothing_either() {
    // Too large to be decoded ahead: its dataset is being written when the end is reached.
    let rows = 2_200u64;
    let mut bytes = Writer::new(2)
        .dim("t", rows)
        .dim("x", 8_000)
        .variable("ok", &["x"], Int(vec![1; 8_000]), &[])
        .variable("v", &["t", "x"], Int(vec![7; 17_600_000]), &[])
        .bytes();
    bytes.truncate(bytes.len() - 8);
    let (_directory, files, store) = directory(&[("a.nc", &good(1)), ("b.nc", &bytes)]);
    let options = ImportOptions { on_error: OnError::Skip, ..ImportOptions::default() };
    let report = import_files(&store, &files, &options, &|_| {}).unwrap();
    assert_eq!((report.arrays, report.skipped_files.len()), (1, 1));
    assert!(!store.dataset_exists("b"));
    store.flush().unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.family("v").unwrap().len(), 1);
    assert!(snapshot.find_family("ok").is_none());
}

#[test]
fn a_dataset_that_exists_is_left_alone() {
    let (_directory, files, store) = directory(&[("a.nc", &good(2))]);
    import_files(&store, &files, &ImportOptions::default(), &|_| {}).unwrap();
    store.flush().unwrap();
    let error = import_files(&store, &files, &ImportOptions::default(), &|_| {}).unwrap_err().to_string();
    assert!(error.contains("a.nc: ") && error.contains("exists"), "{error}");
    let options = ImportOptions { on_error: OnError::Skip, ..ImportOptions::default() };
    assert_eq!(import_files(&store, &files, &options, &|_| {}).unwrap().skipped_files.len(), 1);
    store.flush().unwrap();
    assert_eq!(store.snapshot().read("a", "v", None).unwrap().as_numbers::<i32>(), Some(&[2][..]));
}

#[test]
fn no_files_are_no_error() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::create(root.path().join("s").to_str().unwrap(), CreateOptions::default()).unwrap();
    let report = import_files(&store, &[], &ImportOptions::default(), &|_| {}).unwrap();
    assert!(report.datasets.is_empty());
}
