//! The catalog at growing numbers of datasets (10 attributes, 5 arrays each): open, look-up, and the flush of one more.
//!
//! `ATLAS_BENCH_DATASETS=1000000 cargo bench -p atlas-benches --bench catalog` for another number than the default two.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use atlas_store::{ArraySchema, Attribute, CreateOptions, DType, MetaCompression, MetaFormat, Store};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn add(store: &Store, number: u64) {
    let name = format!("cast{number:08}");
    store.create_dataset(&name).unwrap();
    for key in 0..4 {
        store.set_attribute(&name, &format!("int{key}"), Attribute::Int64((number * 31 + key) as i64 % 1000)).unwrap();
        let float = (number * 17 + key) as f64 / 1024.0;
        store.set_attribute(&name, &format!("float{key}"), Attribute::Float64(float)).unwrap();
    }
    store.set_attribute(&name, "cruise", Attribute::String(format!("AT{:03}", number / 1000))).unwrap();
    store.set_attribute(&name, "station", Attribute::String(format!("station {number}"))).unwrap();
    for array in ["temperature", "salinity", "oxygen", "depth", "time"] {
        store.define_array(&name, array, ArraySchema::new(DType::Float32, &["z"], &[50])).unwrap();
    }
}

fn sizes() -> Vec<u64> {
    match std::env::var("ATLAS_BENCH_DATASETS").ok().and_then(|text| text.parse().ok()) {
        Some(size) => vec![size],
        None => vec![1_000, 100_000],
    }
}

fn catalog(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("catalog");
    group.sample_size(10);
    for datasets in sizes() {
        for (format, compression) in
            [(MetaFormat::Json, MetaCompression::None), (MetaFormat::Msgpack, MetaCompression::Zstd)]
        {
            let temp = tempfile::tempdir().unwrap();
            let path = temp.path().join("fleet");
            let path = path.to_str().unwrap();
            let options =
                CreateOptions { meta_format: format, meta_compression: compression, ..CreateOptions::default() };
            let store = Store::create(path, options).unwrap();
            (0..datasets).for_each(|number| add(&store, number));
            let report = store.flush().unwrap();
            drop(store);
            let label = format!("{format}+{compression}, {} bytes", report.catalog_bytes);
            group.bench_function(BenchmarkId::new(format!("open {label}"), datasets), |bench| {
                bench.iter(|| black_box(Store::open(path).unwrap()));
            });
            let store = Store::open(path).unwrap();
            let snapshot = store.snapshot();
            group.bench_function(BenchmarkId::new(format!("count one cruise {label}"), datasets), |bench| {
                bench.iter(|| {
                    let rows = snapshot.attribute_columns().find(|column| column.key() == "cruise").unwrap().rows();
                    let is_wanted = |row: &&u32| snapshot.attribute(**row, "cruise") == Some("AT000".into());
                    black_box(rows.iter().filter(is_wanted).count())
                });
            });
            let mut next = datasets;
            group.bench_function(BenchmarkId::new(format!("flush one more {label}"), datasets), |bench| {
                bench.iter(|| {
                    add(&store, next);
                    next += 1;
                    black_box(store.flush().unwrap())
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, catalog);
criterion_main!(benches);
