//! The memory of a process of its own that opens a store and lists it: resident bytes after less before, and the peak
//! less before, as `/proc/self/status` has them.

use atlas_store::Store;
use std::fs;
use std::hint::black_box;
use std::process::Command;

/// Set in the process that measures memory: the store that it opens.
const OPEN: &str = "ATLAS_BENCH_OPEN";

/// The store that this process is to open, if it is there for that only.
pub(crate) fn to_measure() -> Option<String> {
    std::env::var(OPEN).ok()
}

/// A field of `/proc/self/status` in bytes.
fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// In the process of its own: opens the store and prints what that took.
pub(crate) fn print(path: &str) {
    let before = status("VmRSS");
    let store = Store::open(path).unwrap();
    let snapshot = store.snapshot();
    black_box(snapshot.dataset_names().map(str::len).sum::<usize>());
    println!("{} {}", status("VmRSS").saturating_sub(before), status("VmHWM").saturating_sub(before));
}

/// What an open store takes, and the most that opening it does.
pub(crate) fn of(path: &str) -> (u64, u64) {
    let output = Command::new(std::env::current_exe().unwrap()).env(OPEN, path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    (numbers[0], numbers[1])
}
