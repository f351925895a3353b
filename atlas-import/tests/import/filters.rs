//! Filters that cannot be undone, damage that looks alike, and groups; see `data/make.py` for what is in the file.

use crate::imported::{directory, import};
use atlas_import::{ImportOptions, OnError, import_files, inspect_file};

const FILE: &[u8] = include_bytes!("data/filters.nc");

fn expected() -> Vec<i32> {
    (0..64).map(|cell| cell / 3).collect()
}

#[test]
fn variables_of_unsupported_filters_are_skipped_and_the_others_imported() {
    for raw in [false, true] {
        let file = import(FILE, &ImportOptions { raw, ..ImportOptions::default() });
        assert_eq!(file.arrays(), ["szip", "zlib"]);
        assert_eq!(file.numbers::<i32>("zlib"), expected());
        assert_eq!(file.numbers::<i32>("szip"), expected());
        let reason = |variable: &str| {
            let skipped = file.report.skipped_variables.iter().find(|skipped| skipped.variable == variable).unwrap();
            skipped.reason.clone()
        };
        assert_eq!(
            reason("zstd"),
            "its chunks are stored with the filter zstd (hdf5 filter 32015), which is not supported"
        );
        assert_eq!(reason("time"), reason("zstd"));
        assert!(reason("bzip2").contains("bzip2 (hdf5 filter 307)"));
        assert!(reason("blosc_lz4").contains("blosc (hdf5 filter 32001)"));
        assert_eq!(file.attribute("time.units"), None);
    }
}

#[test]
fn damaged_chunks_fail_the_file() {
    // Every byte of the compressed chunks is covered by a checksum.
    let stored = FILE.windows(2).enumerate().filter(|(_, bytes)| *bytes == b"\x78\x5e").map(|(at, _)| at);
    let stored = stored.collect::<Vec<_>>();
    assert_eq!(stored.len(), 2, "the chunks of zlib");
    for at in stored {
        let mut bytes = FILE.to_vec();
        bytes[at + 8] ^= 0x10;
        let (_directory, files, store) = directory(&[("d.nc", &bytes)]);
        let error = import_files(&store, &files, &ImportOptions::default(), &|_| {}).unwrap_err().to_string();
        assert!(error.contains("d.nc: variable zlib: "), "{error}");
        let options = ImportOptions { on_error: OnError::Skip, ..ImportOptions::default() };
        let report = import_files(&store, &files, &options, &|_| {}).unwrap();
        assert_eq!((report.arrays, report.skipped_files.len()), (0, 1));
    }
}

#[test]
fn attributes_of_groups_are_noted() {
    let file = import(FILE, &ImportOptions::default());
    let remarks = file.remarks();
    for expected in [
        ": attributes of group more are left out: note, level",
        ": attributes of group more/deep are left out: title",
        "more/deep/inside: only variables of the root group are imported",
    ] {
        assert!(remarks.iter().any(|remark| remark == expected), "{remarks:?}");
    }
    assert!(!remarks.iter().any(|remark| remark.contains("bare")), "{remarks:?}");
}

#[test]
fn inspection_tells_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.nc");
    std::fs::write(&path, FILE).unwrap();
    let summary = inspect_file(&path, &ImportOptions::default()).unwrap();
    let reasons = |skipped: &[atlas_import::SkippedVariable]| {
        skipped.iter().map(|skipped| (skipped.variable.clone(), skipped.reason.clone())).collect::<Vec<_>>()
    };
    let file = import(FILE, &ImportOptions::default());
    assert_eq!(reasons(&summary.skipped_variables), reasons(&file.report.skipped_variables));
    assert_eq!(summary.notes.len(), file.report.notes.len());
}
