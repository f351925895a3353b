//! The catalog at growing numbers of datasets (10 attributes, 5 arrays each, statistics that differ): size, memory, open,
//! look-up, filters, and the flush of one more dataset.
//!
//! `cargo bench -p atlas-benches --bench catalog` measures 1 000, 10 000 and 100 000 datasets;
//! `ATLAS_BENCH_DATASETS=1000000 cargo bench …` another number (a million takes a minute to make, twice); `-- filter` only
//! what has that in its name.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a bench")]

#[path = "../brief.rs"]
mod brief;

#[path = "catalog/filter.rs"]
mod filter;
#[path = "catalog/memory.rs"]
mod memory;

use atlas_benches::casts::Cast;
use atlas_store::{Codec, CreateOptions, MetaCompression, MetaFormat, Store};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use std::cell::Cell;
use std::hint::black_box;

/// Opening, look-ups and one more dataset, of a store at a path.
fn measure(criterion: &mut Criterion, (datasets, label): (u64, &str), path: &str, catalog_bytes: u64) {
    let mut group = criterion.benchmark_group("catalog");
    let id = |what: &str| BenchmarkId::new(format!("{what}, {label}"), datasets);
    group.throughput(Throughput::Elements(datasets));
    group.bench_function(id(&format!("open, {catalog_bytes} B")), |bench| {
        bench.iter(|| black_box(Store::open(path).unwrap()));
    });
    let store = Store::open(path).unwrap();
    let snapshot = store.snapshot();
    group.bench_function(id("list all names"), |bench| {
        bench.iter(|| black_box(snapshot.dataset_names().map(str::len).sum::<usize>()));
    });
    let next = Cell::new(datasets);
    let add = || {
        Cast::new(next.get()).add_to(&store);
        next.set(next.get() + 1);
    };
    group.bench_function(id("flush one more"), |bench| {
        bench.iter_batched(add, |()| store.flush().unwrap(), BatchSize::PerIteration);
    });
    let another = Store::open(path).unwrap();
    group.bench_function(id("refresh, one more"), |bench| {
        let flush = || {
            add();
            store.flush().unwrap();
        };
        bench.iter_batched(flush, |()| another.refresh().unwrap(), BatchSize::PerIteration);
    });
    // Look-ups of one thing, whose rates are not of datasets.
    group.throughput(Throughput::Elements(1));
    let name = Cast::new(datasets / 2).name;
    group.bench_function(id("find one by name, just opened"), |bench| {
        let find = |store: Store| {
            let found = black_box(store.snapshot().find_dataset(&name));
            (store, found)
        };
        bench.iter_batched(|| Store::open(path).unwrap(), find, BatchSize::PerIteration);
    });
    group.bench_function(id("find one by name"), |bench| bench.iter(|| black_box(snapshot.find_dataset(&name))));
    group.bench_function(id("refresh, nothing new"), |bench| bench.iter(|| another.refresh().unwrap()));
    group.finish();
}

fn main() {
    if let Some(path) = memory::to_measure() {
        return memory::print(&path);
    }
    let mut criterion = brief::criterion();
    for datasets in brief::numbers("ATLAS_BENCH_DATASETS", &[1_000, 10_000, 100_000]) {
        let forms = [(MetaFormat::Json, MetaCompression::None), (MetaFormat::Msgpack, MetaCompression::Zstd)];
        for (meta_format, meta_compression) in forms {
            let temp = tempfile::tempdir().unwrap();
            let path = temp.path().join("fleet");
            let path = path.to_str().unwrap();
            let store =
                Store::create(path, CreateOptions { meta_format, meta_compression, codec: Codec::None }).unwrap();
            (0..datasets).for_each(|number| Cast::new(number).add_to(&store));
            let catalog_bytes = store.flush().unwrap().catalog_bytes;
            drop(store);
            let label = format!("{meta_format}+{meta_compression}");
            let (resident, peak) = memory::of(path);
            let each = |bytes: u64| format!("{bytes} B ({:.0} a dataset)", bytes as f64 / datasets as f64);
            println!("catalog of {datasets} datasets, {label}: file {}", each(catalog_bytes));
            println!("open it takes {}, while it is opened {}", each(resident), each(peak));
            if meta_format == MetaFormat::Msgpack {
                // In memory, catalogs of both forms are alike.
                filter::measure(&mut criterion, datasets, path);
            }
            measure(&mut criterion, (datasets, &label), path, catalog_bytes);
        }
    }
    criterion.final_summary();
}
