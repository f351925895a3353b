//! A store that an earlier version wrote, read by this one. Its files never change.
//!
//! `tests/golden/v1-life` was written by
//! `ATLAS_WRITE_GOLDEN=tests/golden cargo test -p atlas-store --test golden -- --ignored`, which writes stores that are
//! not there and leaves the others alone. A version of the format that writes other bytes gets stores of its own beside
//! it. `tests/clients/golden` has stores of imported files, of every codec and catalog.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, unreachable_pub, reason = "tests")]

#[path = "golden/expected.rs"]
mod expected;
#[path = "golden/files.rs"]
mod files;
#[path = "golden/life.rs"]
mod life;

use atlas_store::{ArrayData, Cells, CompactOptions, Region, Store};
use expected::{ODD, expected, numbers};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const NAME: &str = "v1-life";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn open(path: &Path) -> Store {
    Store::open(path.to_str().unwrap()).unwrap()
}

/// A copy, to be written to.
fn copy() -> TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let (path, to) = (entry.path(), to.join(entry.file_name()));
            if path.is_dir() {
                copy(&path, &to);
            } else {
                std::fs::copy(&path, to).unwrap();
            }
        }
    }
    let temp = tempfile::tempdir().unwrap();
    copy(&golden(NAME), temp.path());
    temp
}

/// Bit for bit.
fn same(found: &ArrayData, expected: &ArrayData) -> bool {
    let is_same = match (found.cells(), expected.cells()) {
        (Cells::F32(a), Cells::F32(b)) => a.iter().map(|cell| cell.to_bits()).eq(b.iter().map(|cell| cell.to_bits())),
        (Cells::F64(a), Cells::F64(b)) => a.iter().map(|cell| cell.to_bits()).eq(b.iter().map(|cell| cell.to_bits())),
        (a, b) => a == b,
    };
    is_same && found.dtype() == expected.dtype() && found.shape() == expected.shape()
}

/// Holds all that it must, and nothing else.
fn check(store: &Store) {
    let (snapshot, expected) = (store.snapshot(), expected());
    let names: Vec<&str> = expected.iter().map(|dataset| dataset.name).collect();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), names);
    for (row, dataset) in (0..).zip(&expected) {
        let attributes: Vec<_> = dataset.attributes.iter().map(|(key, value)| ((*key).into(), value.clone())).collect();
        assert_eq!(snapshot.attributes(row), attributes, "{}", dataset.name);
        let mut found: Vec<&str> =
            snapshot.families().filter(|family| family.entry(row).is_some()).map(|family| family.name()).collect();
        let mut names: Vec<&str> = dataset.arrays.iter().map(|array| array.name.as_str()).collect();
        found.sort_unstable();
        names.sort_unstable();
        assert_eq!(found, names, "{}", dataset.name);
        for array in &dataset.arrays {
            let what = format!("{} of {}", array.name, dataset.name);
            let (entry, schema) = snapshot.array(dataset.name, &array.name).unwrap();
            assert_eq!(*schema, array.schema, "{what}");
            assert_eq!(entry.statistics(), Some(array.statistics.clone()), "{what}");
            let cells = snapshot.read(dataset.name, &array.name, None).unwrap();
            assert!(same(&cells, &array.cells), "{what}: {cells:?}");
        }
    }
    assert_eq!(store.verify().unwrap().problems, []);
}

#[test]
fn a_store_of_version_1_is_read() {
    let store = open(&golden(NAME));
    check(&store);
    let snapshot = store.snapshot();
    for (row, dataset) in (0..).zip(expected()) {
        for array in dataset.arrays {
            let found = snapshot.array_codec(row, &array.name).unwrap();
            assert!(array.codec.is_none_or(|codec| codec == found), "{} of {}: {found}", array.name, dataset.name);
        }
    }
    let part = Region::try_new(vec![3, 2], vec![2, 3]).unwrap();
    let part = snapshot.read("alpha", "t", Some(&part)).unwrap();
    assert_eq!(part, numbers(&[2, 3], vec![1032f32, -33.0, -34.0, -42.0, -43.0, -44.0]));
    let stacked =
        snapshot.read_stacked("walk", &[5, 0], Some(&Region::try_new(vec![2900], vec![100]).unwrap())).unwrap();
    let tails = [4, 0].map(|seed| expected::walk(seed).as_numbers::<i32>().unwrap()[2900..].to_vec());
    assert_eq!(stacked, numbers(&[2, 100], tails.concat()));
}

/// That the store is what it is there for.
#[test]
fn the_store_has_an_eventful_life_behind_it() {
    let store = open(&golden(NAME));
    let report = store.verify().unwrap();
    assert_eq!(report.orphans, Some(vec![]));
    assert!(report.retained_bytes > 0, "nothing is retired");
    let snapshot = store.snapshot();
    let rows: Vec<u32> = (0..snapshot.dataset_count() as u32).collect();
    let live: u64 = snapshot.families().map(|family| snapshot.chunk_totals(family.name(), &rows).unwrap().0).sum();
    assert!(report.chunks > live + 4, "{} chunks, {live} of them live", report.chunks);
    let files = std::fs::read_dir(golden(NAME).join("walk")).unwrap().count();
    assert!(files >= 5, "{files} segments of the walks");
    assert_eq!(snapshot.find_family("T").map(|family| family.len()), Some(1));
}

#[test]
fn it_can_be_written_to_and_compacted() {
    let temp = copy();
    let store = open(temp.path());
    store.compact(CompactOptions { retention: Duration::ZERO }).unwrap();
    check(&store);
    let report = store.verify().unwrap();
    assert_eq!((report.retained_bytes, report.orphans), (0, Some(vec![])));
    let more = numbers(&[1, 1], vec![-5i16]);
    store.write_array(ODD, "sparse", &[0, 0], &more).unwrap();
    store.flush().unwrap();
    let cells = open(temp.path()).snapshot().read(ODD, "sparse", None).unwrap();
    assert_eq!((cells.as_numbers::<i16>().unwrap()[0], cells.as_numbers::<i16>().unwrap()[23]), (-5, -3));
}

#[test]
fn its_files_are_those_that_were_written() {
    let listed = std::fs::read_to_string(golden(&format!("{NAME}.checksums"))).unwrap();
    assert_eq!(files::checksums(&golden(NAME)), listed);
    let expected = std::fs::read_to_string(golden(&format!("{NAME}.expected.json"))).unwrap();
    assert!(files::expected_json() == expected, "what other readers compare with is not what this test expects");
}

#[test]
#[ignore = "writes a golden store"]
fn write() {
    let folder = PathBuf::from(std::env::var_os("ATLAS_WRITE_GOLDEN").unwrap());
    let path = folder.join(NAME);
    if path.exists() {
        return;
    }
    life::live(&path);
    check(&open(&path));
    std::fs::write(folder.join(format!("{NAME}.checksums")), files::checksums(&path)).unwrap();
    std::fs::write(folder.join(format!("{NAME}.expected.json")), files::expected_json()).unwrap();
}
