//! `atlas import`: what it makes, what it reports, and that it makes nothing when it fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use cli_support::{at, atlas, contents, home, small_store, write_netcdf};
use serde_json::json;
use tempfile::TempDir;

/// A directory with two NetCDF files, one of them in a directory below.
fn files(home: &TempDir) -> String {
    let directory = home.path().join("files");
    std::fs::create_dir_all(directory.join("deeper")).unwrap();
    write_netcdf(&directory.join("one.nc"), 1.0);
    write_netcdf(&directory.join("deeper/two.nc"), 20.0);
    std::fs::write(directory.join("notes.txt"), "not a NetCDF file").unwrap();
    directory.to_str().unwrap().to_owned()
}

#[test]
fn a_directory_becomes_a_store() {
    let home = home();
    let (files, store) = (files(&home), at(&home, "new/store"));
    let report = atlas(&["import", &store, &files, "--json"]).json();
    assert_eq!(report["datasets"], json!(["two", "one"]));
    assert_eq!((&report["arrays"], &report["cells"]), (&json!(4), &json!(16)));
    assert_eq!((&report["snapshot"], &report["segments"]), (&json!(1), &json!(2)));
    assert_eq!(report["skipped_files"], json!([]));
    let sql = "SELECT dataset, ship, stat_min(temp) AS low, stat_max(temp) AS high, stat_null_count(temp) AS missing \
               FROM datasets ORDER BY dataset";
    let csv = atlas(&["query", &store, sql, "--format", "csv"]).ok();
    assert_eq!(csv, "dataset,ship,low,high,missing\none,Sonne,1.0,4.0,1\ntwo,Sonne,20.0,23.0,1\n");
    let text = atlas(&["import", &at(&home, "again"), &files]).ok();
    assert!(text.starts_with("imported 2 datasets into ") && text.contains("snapshot 1"), "{text}");
    atlas(&["import", &store, &files]).fails(1, &["exists already", "two"]);
}

#[test]
fn chunks_and_raw_are_obeyed() {
    let home = home();
    let (files, store) = (files(&home), at(&home, "store"));
    atlas(&["import", &store, &files, "--chunks", "temp=3", "--raw"]).ok();
    let show = atlas(&["show", &store, "one", "--json"]).json();
    let temp = show["arrays"].as_array().unwrap().iter().find(|array| array["array"] == "temp").unwrap();
    assert_eq!((&temp["chunk_shape"], &temp["chunks"]), (&json!([3]), &json!(2)));
    assert_eq!(temp["fill_value"], -9.0);
}

#[test]
fn a_dry_run_touches_nothing() {
    let home = home();
    let (files, store) = (files(&home), at(&home, "store"));
    let text = atlas(&["import", &store, &files, "--dry-run"]).ok();
    assert!(text.contains("2 datasets would be imported into the new store"), "{text}");
    let report = atlas(&["import", &store, &files, "--dry-run", "--json"]).json();
    assert_eq!(report["files"][1]["dataset"], "one");
    assert_eq!(report["files"][1]["arrays"][1]["dtype"], "float32");
    assert!(!home.path().join("store").exists());
    atlas(&["import", &store, &files]).ok();
    let before = contents(home.path());
    atlas(&["import", &store, &files, "--dry-run"]).fails(1, &["exists already", "two"]);
    assert_eq!(contents(home.path()), before);
}

#[test]
fn a_failed_import_leaves_no_new_store() {
    let home = home();
    let (files, store) = (files(&home), at(&home, "deep/store"));
    std::fs::write(home.path().join("files/bad.nc"), "this is not NetCDF").unwrap();
    atlas(&["import", &store, &files]).fails(1, &["bad.nc"]);
    assert!(!home.path().join("deep").exists());
    atlas(&["import", &store, &at(&home, "files/bad.nc"), "--on-error", "skip"])
        .fails(1, &["nothing imported", "bad.nc"]);
    let run = atlas(&["import", &store, &at(&home, "files/bad.nc"), "--on-error", "skip", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, report["skipped_files"].as_array().unwrap().len()), (1, 1));
    assert!(!home.path().join("deep").exists());
    std::fs::create_dir(home.path().join("deep")).unwrap();
    atlas(&["import", &at(&home, "deep"), &files]).fails(1, &["bad.nc"]);
    assert_eq!(home.path().join("deep").read_dir().unwrap().count(), 0);
}

#[test]
fn a_failed_import_leaves_an_existing_store_as_it_was() {
    let home = home();
    let (files, store) = (files(&home), small_store(&home));
    std::fs::write(home.path().join("files/zz.nc"), "").unwrap();
    let before = contents(home.path());
    atlas(&["import", &store, &files]).fails(1, &["zz.nc"]);
    let after = contents(home.path());
    let catalog = |files: &[(std::path::PathBuf, Vec<u8>)]| {
        files.iter().find(|(path, _)| path.ends_with("small/atlas.json")).cloned().unwrap()
    };
    assert_eq!(catalog(&after), catalog(&before));
    assert_eq!(atlas(&["ls", &store, "--json"]).json().as_array().unwrap().len(), 3);
}

#[test]
fn skip_imports_the_rest_and_reports() {
    let home = home();
    let (files, store) = (files(&home), at(&home, "store"));
    std::fs::write(home.path().join("files/empty.nc"), "").unwrap();
    let run = atlas(&["import", &store, &files, "--on-error", "skip"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.starts_with("imported 2 datasets"), "{}", run.stdout);
    assert!(run.stderr.contains("skipped ") && run.stderr.contains("empty.nc"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1);
    let report = atlas(&["import", &at(&home, "two"), &files, "--on-error", "skip", "--json"]).json();
    assert!(report["skipped_files"][0]["path"].as_str().unwrap().ends_with("empty.nc"));
}

#[test]
fn impossible_imports_are_refused() {
    let home = home();
    let (files, store) = (files(&home), at(&home, "store"));
    write_netcdf(&home.path().join("files/two.nc"), 3.0);
    atlas(&["import", &store, &files]).fails(1, &["deeper/two.nc", "files/two.nc"]);
    atlas(&["import", &store, &at(&home, "files/*.hdf")]).fails(1, &["*.hdf"]);
    atlas(&["import", &store, &at(&home, "nowhere")]).fails(1, &["nowhere"]);
    atlas(&["import", &at(&home, "files"), &at(&home, "files/one.nc")]).fails(1, &["other files", "not a store"]);
    atlas(&["import", &store]).fails(2, &["PATH"]);
    atlas(&["import", &store, &files, "--chunks", "temp"]).fails(2, &["VAR=A,B"]);
    atlas(&["import", &store, &files, "--on-error", "maybe"]).fails(2, &["maybe"]);
    assert!(!home.path().join("store").exists());
}
