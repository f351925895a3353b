//! The catalog at growing numbers of datasets (10 attributes, 5 arrays each, statistics that differ): size, memory, open,
//! look-up, filters, and the flush of one more dataset.
//!
//! `cargo bench -p atlas-benches --bench catalog` measures 1 000 and 100 000 datasets;
//! `ATLAS_BENCH_DATASETS=1000000 cargo bench …` another number; `-- flush` only what has that in its
//! name. Times are the best and the median of several runs, and the
//! least that all threads ran, which is worth more where other processes take the cores.
//! Memory is that of a process of its own that opens the store and lists it: resident bytes after less before, and the peak
//! less before, as `/proc/self/status` has them.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a bench")]

use atlas_store::{
    ArrayData, ArraySchema, Attribute, AttributeValues, Cells, Codec, CreateOptions, DType, MetaCompression,
    MetaFormat, Scalar, Snapshot, Store,
};
use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

const CELLS: u64 = 4;
/// Set in the process that measures memory: the store that it opens.
const OPEN: &str = "ATLAS_BENCH_OPEN";

fn name_of(number: u64) -> String {
    format!("cast{number:08}")
}

/// Numbers that look like measurements: up to 40 with three decimals, and without a pattern.
fn measured(number: u64, array: u64) -> Vec<f32> {
    let cell = |at: u64| {
        let mixed = (number * 64 + array * 8 + at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((mixed ^ mixed >> 31) % 40_000) as f32 / 1000.0
    };
    let nulls = number % 3;
    (0..CELLS).map(|at| if at < nulls { f32::NAN } else { cell(at) }).collect()
}

fn add(store: &Store, number: u64) {
    let name = name_of(number);
    store.create_dataset(&name).unwrap();
    for key in 0..4 {
        store.set_attribute(&name, &format!("int{key}"), Attribute::Int64((number * 31 + key) as i64 % 1000)).unwrap();
        let float = (number * 17 + key) as f64 / 1024.0;
        store.set_attribute(&name, &format!("float{key}"), Attribute::Float64(float)).unwrap();
    }
    store.set_attribute(&name, "cruise", Attribute::String(format!("AT{:03}", number / 1000))).unwrap();
    store.set_attribute(&name, "station", Attribute::String(format!("station {number}"))).unwrap();
    for (array, kind) in (0..).zip(["temperature", "salinity", "oxygen", "depth"]) {
        let fill = Scalar::Float32(f32::NAN);
        store
            .define_array(&name, kind, ArraySchema::new(DType::Float32, &["z"], &[CELLS]).with_fill_value(fill))
            .unwrap();
        let data = ArrayData::from_numbers(vec![CELLS], measured(number, array)).unwrap();
        store.write_array(&name, kind, &[0], &data).unwrap();
    }
    store.define_array(&name, "time", ArraySchema::new(DType::TimestampNanoseconds, &[], &[])).unwrap();
    let time = Cells::I64(vec![1_600_000_000_000_000_000 + number as i64 * 61_000_000_000]);
    store
        .write_array(&name, "time", &[], &ArrayData::try_new(DType::TimestampNanoseconds, vec![], time).unwrap())
        .unwrap();
}

/// A field of `/proc/self/status` in bytes.
fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// In a process of its own: opens the store and prints what that took.
fn print_memory(path: &str) {
    let before = status("VmRSS");
    let store = Store::open(path).unwrap();
    let snapshot = store.snapshot();
    black_box(snapshot.dataset_names().map(str::len).sum::<usize>());
    println!("{} {}", status("VmRSS").saturating_sub(before), status("VmHWM").saturating_sub(before));
}

/// The time that the threads of this process have run: other processes on the machine do not count in it.
fn processor_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let times = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    Duration::from_nanos(times.filter_map(|times| times.split(' ').next()?.parse::<u64>().ok()).sum())
}

fn memory_of(path: &str) -> (u64, u64) {
    let output = Command::new(std::env::current_exe().unwrap()).env(OPEN, path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    (numbers[0], numbers[1])
}

struct Report {
    datasets: u64,
    label: String,
    /// Part of the name of what is to be timed.
    only: String,
}

impl Report {
    fn line(&self, what: &str, value: &str) {
        println!("{:>8}  {:<13} {what:<44} {value}", self.datasets, self.label);
    }

    /// Times `work` on what `setup` gives: five times, more if both are quick.
    fn time<S, T>(&self, what: &str, mut setup: impl FnMut() -> S, mut work: impl FnMut(S) -> T) {
        if !what.contains(&self.only) {
            return;
        }
        let begin = Instant::now();
        let mut times: Vec<Duration> = Vec::new();
        let mut least_run = Duration::MAX;
        while times.len() < 5 || (times.len() < 200 && begin.elapsed() < Duration::from_secs(2)) {
            let input = setup();
            let (run, start) = (processor_time(), Instant::now());
            let output = black_box(work(input));
            times.push(start.elapsed());
            least_run = least_run.min(processor_time().saturating_sub(run));
            drop(output);
        }
        times.sort();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let (best, median, run) = (millis(times[0]), millis(times[times.len() / 2]), millis(least_run));
        self.line(what, &format!("{best:>12.4} ms  (median {median:.4}, processor {run:.1})"));
    }
}

/// The datasets whose `float0` is beyond a value: one pass over the column.
fn filter_attribute(snapshot: &Snapshot, beyond: f64) -> Vec<u32> {
    let column = snapshot.attribute_columns().find(|column| column.key() == "float0").unwrap();
    let AttributeValues::Float64(values) = column.values() else { return Vec::new() };
    column.rows().iter().zip(values).filter(|(_, value)| **value > beyond).map(|(row, _)| *row).collect()
}

/// The datasets whose greatest temperature is beyond a value: one pass over the column.
fn filter_statistic(snapshot: &Snapshot, beyond: f32) -> Vec<u32> {
    let family = snapshot.family("temperature").unwrap();
    let (known, Cells::F32(maxs)) = (family.statistics(), family.statistics().maxs()) else { return Vec::new() };
    let has_max = known.has_max();
    let places = family.rows().iter().zip(maxs).zip(has_max.iter());
    places.filter(|((_, max), has)| *has && **max > beyond).map(|((row, _), _)| *row).collect()
}

/// The same, array by array.
fn filter_entries(snapshot: &Snapshot, beyond: f32) -> Vec<u32> {
    let family = snapshot.family("temperature").unwrap();
    let passes = |max: &Option<Scalar>| matches!(max, Some(Scalar::Float32(max)) if *max > beyond);
    let entries = family.entries().filter(|(_, entry)| entry.statistics().is_some_and(|known| passes(&known.max)));
    entries.map(|(row, _)| row).collect()
}

fn measure(only: &str, datasets: u64, format: MetaFormat, compression: MetaCompression) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("fleet");
    let path = path.to_str().unwrap();
    let options = CreateOptions { meta_format: format, meta_compression: compression, codec: Codec::None };
    let store = Store::create(path, options).unwrap();
    (0..datasets).for_each(|number| add(&store, number));
    let bytes = store.flush().unwrap().catalog_bytes;
    drop(store);

    let report = Report { datasets, label: format!("{format}+{compression}"), only: only.to_string() };
    let each = |bytes: u64| format!("{bytes:>12} B   ({:.0} a dataset)", bytes as f64 / datasets as f64);
    report.line("catalog file", &each(bytes));
    let (resident, peak) = memory_of(path);
    report.line("memory, open", &each(resident));
    report.line("memory, peak while opening", &each(peak));
    report.time("open", || (), |()| Store::open(path).unwrap());
    report.time(
        "find one by name, just opened",
        || Store::open(path).unwrap(),
        |store| {
            let found = store.snapshot().find_dataset(&name_of(datasets / 2));
            (store, found)
        },
    );
    let store = Store::open(path).unwrap();
    let snapshot = store.snapshot();
    report.time("find one by name", || (), |()| snapshot.find_dataset(&name_of(datasets / 2)));
    report.time("list all names", || (), |()| snapshot.dataset_names().map(str::len).sum::<usize>());
    let beyond = datasets as f64 * 17.0 / 1024.0 * 0.999;
    report.time("filter on an attribute", || (), |()| filter_attribute(&snapshot, beyond));
    report.time("filter on a statistic", || (), |()| filter_statistic(&snapshot, 39.9));
    report.time("filter on a statistic, array by array", || (), |()| filter_entries(&snapshot, 39.9));
    drop(snapshot);
    report.time("refresh, nothing new", || (), |()| store.refresh().unwrap());
    let mut next = datasets;
    let another = Store::open(path).unwrap();
    report.time(
        "flush one more",
        || {},
        |()| {
            add(&store, next);
            next += 1;
            store.flush().unwrap()
        },
    );
    report.time(
        "refresh, one more",
        || {
            add(&store, next);
            next += 1;
            store.flush().unwrap();
        },
        |()| another.refresh().unwrap(),
    );
}

fn main() {
    if let Ok(path) = std::env::var(OPEN) {
        return print_memory(&path);
    }
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let sizes = match std::env::var("ATLAS_BENCH_DATASETS").ok().and_then(|text| text.parse().ok()) {
        Some(size) => vec![size],
        None => vec![1_000, 100_000],
    };
    for datasets in sizes {
        measure(&only, datasets, MetaFormat::Json, MetaCompression::None);
        measure(&only, datasets, MetaFormat::Msgpack, MetaCompression::Zstd);
    }
}
