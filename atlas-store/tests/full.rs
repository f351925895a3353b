//! A disk that is full at a flush, for real: the kernel limits the size of files, and cuts a write short at the limit.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

use atlas_store::{ArrayData, ArraySchema, CreateOptions, DType, ErrorKind, Store};
use std::process::{Command, id};

const LOCATION: &str = "ATLAS_FULL_STORE";
const CELLS: u64 = 100_000;

fn noise() -> Vec<i64> {
    (0..CELLS).map(|k| (k + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17).wrapping_mul(k | 1) as i64).collect()
}

/// Not a test of its own: what runs with the limit.
#[test]
fn child() {
    let Ok(location) = std::env::var(LOCATION) else { return };
    let store = Store::create(&location, CreateOptions::default()).unwrap();
    store.create_dataset("a").unwrap();
    // 800 kB: less than is held in memory, more than the limit.
    store.define_array("a", "t", ArraySchema::new(DType::Int64, &["x"], &[CELLS])).unwrap();
    store.write_array("a", "t", &[0], ArrayData::from_numbers(vec![CELLS], noise()).unwrap()).unwrap();
    for _ in 0..3 {
        let error = store.flush().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
        assert!(error.to_string().contains("t/data.af"), "{error}");
        assert_eq!(Store::open(&location).unwrap().snapshot().dataset_count(), 0);
    }
    let pid = id().to_string();
    let more = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:unlimited"]).status().unwrap();
    assert!(more.success());
    store.flush().unwrap();
    let reopened = Store::open(&location).unwrap();
    assert!(reopened.snapshot().read("a", "t", None).unwrap().as_numbers::<i64>().unwrap() == noise());
    let report = reopened.verify().unwrap();
    assert_eq!((report.problems, report.orphans), (vec![], Some(vec![])));
    println!("committed at last");
}

#[test]
fn a_flush_onto_a_full_disk_is_repeated_when_there_is_space() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no prlimit to lift the limit with");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes. The signal that goes with the limit would end the process.
    let limited = "trap '' XFSZ; ulimit -S -f 300; exec \"$0\" child --exact --nocapture --test-threads=1";
    let output = Command::new("sh")
        .args(["-c", limited, std::env::current_exe().unwrap().to_str().unwrap()])
        .env(LOCATION, temp.path().join("s"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("committed at last"), "{said}{complained}");
}
