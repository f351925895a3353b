//! Stacked slice reads, open included, at three fleet sizes: the profile workload, a
//! quarter of each dimension of (50, 168) float32 from every dataset.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a bench")]

use atlas_store::{ArrayData, ArraySchema, Codec, CreateOptions, DType, Region, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const SHAPE: [u64; 2] = [50, 168];

/// Smooth along both dimensions with a little noise, three decimals: what a sensor gives.
fn profile(seed: u64) -> ArrayData {
    let cells = (0..SHAPE[0] * SHAPE[1]).map(|k| {
        let noise = ((k + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as f64 / 1024.0;
        let (depth, time) = ((k / SHAPE[1]) as f64, (k % SHAPE[1]) as f64);
        ((20.0 - depth * 0.3 + (time / 24.0).sin() + noise) * 1000.0).round() as f32 / 1000.0
    });
    ArrayData::from_numbers(SHAPE.to_vec(), cells.collect()).unwrap()
}

fn build(path: &str, codec: Codec, datasets: u64) {
    let store = Store::create(path, CreateOptions { codec, ..CreateOptions::default() }).unwrap();
    for k in 0..datasets {
        let name = format!("profile{k:05}");
        store.create_dataset(&name).unwrap();
        store.define_array(&name, "t", ArraySchema::new(DType::Float32, &["z", "t"], &SHAPE)).unwrap();
        store.write_array(&name, "t", &[0, 0], &profile(k)).unwrap();
    }
    store.flush().unwrap();
}

fn stacked(criterion: &mut Criterion) {
    let temp = tempfile::tempdir().unwrap();
    let region = Region::try_new(vec![0, 0], vec![12, 42]).unwrap();
    let mut group = criterion.benchmark_group("stacked");
    group.sample_size(20);
    for datasets in [100u64, 1000, 4000] {
        for codec in [Codec::Auto, Codec::Zstd, Codec::None] {
            let path = temp.path().join(format!("{codec}{datasets}"));
            let path = path.to_str().unwrap();
            build(path, codec, datasets);
            let rows: Vec<u32> = (0..datasets as u32).collect();
            let plan = Store::open(path).unwrap().snapshot().plan_stacked("t", &rows, Some(&region)).unwrap();
            group.throughput(Throughput::Bytes(plan.output_bytes()));
            let label = format!("{codec}, {} stored bytes in {} requests", plan.bytes(), plan.requests());
            group.bench_function(BenchmarkId::new(label, datasets), |bench| {
                bench.iter(|| {
                    let snapshot = Store::open(path).unwrap().snapshot();
                    black_box(snapshot.read_stacked("t", &rows, Some(&region)).unwrap())
                });
            });
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("write and flush");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(1000 * SHAPE[0] * SHAPE[1] * 4));
    group.bench_function("auto, 1000 profiles", |bench| {
        bench.iter(|| {
            let temp = tempfile::tempdir().unwrap();
            build(temp.path().join("fleet").to_str().unwrap(), Codec::Auto, 1000);
        });
    });
    group.finish();
}

criterion_group!(benches, stacked);
criterion_main!(benches);
