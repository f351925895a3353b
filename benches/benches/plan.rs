//! Planning stacked reads: which pages of which segments hold a region of every dataset. No data is read.
//!
//! Arrays are of 48 × 48 cells in one chunk, which has a page of its own, or in 16 chunks, which share pages. Slices are
//! a quarter of each dimension, in the middle.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a bench")]

#[path = "../brief.rs"]
mod brief;

use atlas_benches::fleets::Grid;
use atlas_store::{Cells, Codec, CreateOptions, DType, Region, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const SIDE: u64 = 48;

fn plan(criterion: &mut Criterion) {
    let temp = tempfile::tempdir().unwrap();
    let slice = Region::try_new(vec![SIDE * 3 / 8; 2], vec![SIDE / 4; 2]).unwrap();
    let mut group = criterion.benchmark_group("plan_stacked");
    for datasets in [1_000u64, 10_000, 100_000] {
        for (chunks, side) in [("one chunk", SIDE), ("16 chunks", SIDE / 4)] {
            let grid = Grid { dtype: DType::UInt8, shape: [SIDE; 2], chunk: [side; 2] };
            // What the cells are does not matter to a plan: zeros are written quickly.
            let zeros = grid.data(Cells::U8(vec![0; grid.cells() as usize]));
            let path = temp.path().join(format!("{datasets} {chunks}"));
            let path = path.to_str().unwrap();
            grid.write(path, CreateOptions { codec: Codec::Pco, ..CreateOptions::default() }, datasets, &[zeros]);
            let snapshot = Store::open(path).unwrap().snapshot();
            let rows: Vec<u32> = (0..datasets as u32).collect();
            for (what, region) in [("whole", None), ("slice", Some(&slice))] {
                let plan = snapshot.plan_stacked("t", &rows, region).unwrap();
                group.throughput(Throughput::Elements(plan.chunks()));
                let cost = format!("{} chunks, {} B in {} requests", plan.chunks(), plan.bytes(), plan.requests());
                group.bench_function(BenchmarkId::new(format!("{datasets} of {chunks}, {what}"), cost), |bench| {
                    bench.iter(|| black_box(snapshot.plan_stacked("t", &rows, region).unwrap()));
                });
            }
        }
    }
    group.finish();
}

criterion_group!(name = benches; config = brief::criterion(); targets = plan);
criterion_main!(benches);
