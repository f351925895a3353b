//! Stacked slice reads, open included, at three fleet sizes: the profile workload, a
//! quarter of each dimension of (50, 168) float32 from every dataset.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a bench")]

#[path = "../brief.rs"]
mod brief;

use atlas_benches::fleets::Grid;
use atlas_store::{ArrayData, Codec, CreateOptions, Region, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn stacked(criterion: &mut Criterion) {
    let temp = tempfile::tempdir().unwrap();
    let region = Region::try_new(vec![0, 0], vec![12, 42]).unwrap();
    let grid = Grid::profile();
    let profiles: Vec<ArrayData> = (0..1000).map(|number| grid.measured(number)).collect();
    let mut group = criterion.benchmark_group("stacked");
    group.sample_size(20);
    for datasets in [100u64, 1000, 4000] {
        for codec in [Codec::Auto, Codec::Zstd, Codec::None] {
            let path = temp.path().join(format!("{codec}{datasets}"));
            let path = path.to_str().unwrap();
            grid.write(path, CreateOptions { codec, ..CreateOptions::default() }, datasets, &profiles);
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
}

criterion_group!(name = benches; config = brief::criterion(); targets = stacked);
criterion_main!(benches);
