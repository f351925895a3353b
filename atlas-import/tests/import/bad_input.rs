//! Files that are not what they say: an error of one line, never a panic.

use crate::imported::directory;
use crate::netcdf4;
use crate::writer::Values::{Double, Float, Int};
use crate::writer::Writer;
use atlas_import::{ImportOptions, OnError, import_files, inspect_file};
use std::path::Path;

fn refused(bytes: &[u8]) -> String {
    let (_directory, files, store) = directory(&[("bad.nc", bytes)]);
    let error = import_files(&store, &files, &ImportOptions::default(), &|_| {}).unwrap_err().to_string();
    let (path, reason) = error.split_once("bad.nc: ").unwrap();
    assert!(!path.contains(' ') && !reason.contains('\n'), "{error}");
    assert!(reason.chars().next().unwrap().is_lowercase(), "{error}");
    reason.to_string()
}

#[test]
fn files_that_are_not_netcdf_are_refused() {
    assert_eq!(refused(b""), "the file is empty");
    assert_eq!(refused(b"x"), "not a netcdf file");
    assert_eq!(refused(b"time,temp\n1,2\n"), "not a netcdf file");
    assert_eq!(refused(&[0; 5_000]), "not a netcdf file");
    assert_eq!(refused(b"CDF\x03 and more"), "netcdf format version 3 is not known");
    refused(b"\x89HDF\r\n\x1a\n and no more");
}

#[test]
fn a_directory_and_a_missing_file_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let options = ImportOptions::default();
    assert!(inspect_file(root.path(), &options).unwrap_err().to_string().ends_with("is a directory"));
    let error = inspect_file(Path::new("/nowhere/at.nc"), &options).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/at.nc: no such file"), "{error}");
}

fn classic() -> Vec<u8> {
    Writer::new(1)
        .attribute("title", "some title")
        .record_dim("t", 2)
        .dim("x", 3)
        .variable("v", &["t", "x"], Float(vec![1.0; 6]), &[("units", "K".into())])
        .variable("time", &["t"], Double(vec![1.0; 2]), &[("units", "days since 2000-01-01".into())])
        .variable("word", &["x"], "abc".into(), &[])
        .variable("n", &["x"], Int(vec![0; 3]), &[])
        .bytes()
}

/// Inspects and imports what may be anything; it must end, and leave a dataset or none.
fn survives(bytes: &[u8]) -> bool {
    let (_directory, files, store) = directory(&[("d.nc", bytes)]);
    let options = ImportOptions { on_error: OnError::Skip, ..ImportOptions::default() };
    let inspected = inspect_file(&files[0].path, &options).is_ok();
    let report = import_files(&store, &files, &options, &|_| {}).unwrap();
    assert!(inspected || !report.skipped_files.is_empty());
    assert_eq!(store.dataset_exists("d"), report.skipped_files.is_empty());
    report.skipped_files.is_empty()
}

#[test]
fn every_prefix_of_a_classic_file_is_refused() {
    let bytes = classic();
    assert!(survives(&bytes));
    for length in 0..bytes.len() {
        assert!(!survives(&bytes[..length]), "{length} of {}", bytes.len());
    }
}

#[test]
fn every_prefix_of_a_netcdf4_file_is_survived() {
    assert!(survives(netcdf4::FILE));
    for length in (0..netcdf4::FILE.len()).step_by(41) {
        survives(&netcdf4::FILE[..length]);
    }
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

#[test]
fn changed_bytes_are_survived() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for original in [classic(), netcdf4::FILE.to_vec()] {
        for _ in 0..400 {
            let mut bytes = original.clone();
            for _ in 0..1 + random.below(6) {
                let at = random.below(bytes.len());
                bytes[at] = [0, 0xff, bytes[at] ^ (1 << random.below(8)), random.byte()][random.below(4)];
            }
            survives(&bytes);
        }
    }
}

#[test]
fn random_bytes_behind_a_good_beginning_are_survived() {
    let mut random = Random(42);
    for beginning in [&b"CDF\x01"[..], b"CDF\x02", b"CDF\x05", b"\x89HDF\r\n\x1a\n\x00", b"\x89HDF\r\n\x1a\n\x02"] {
        for _ in 0..100 {
            let mut bytes = beginning.to_vec();
            bytes.extend((0..random.below(600)).map(|_| random.byte()));
            survives(&bytes);
        }
    }
}
