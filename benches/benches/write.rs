//! Writing: encoding by itself, by codec and dtype, and profiles from memory to a flushed store at three sizes.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a bench")]

#[path = "../brief.rs"]
mod brief;

use atlas_benches::cells;
use atlas_benches::fleets::{Grid, PROFILE};
use atlas_store::{ArrayData, Codec, CreateOptions, DType, measure};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const CODECS: [Codec; 4] = [Codec::Auto, Codec::Zstd, Codec::Lz4, Codec::None];
/// Profiles that differ; a fleet has each several times.
const DIFFERENT: u64 = 100;

/// One block of packed profiles, on one core.
fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let profile = PROFILE[0] * PROFILE[1];
    for dtype in cells::DTYPES {
        let packed = ((256 << 10) / (profile as usize * dtype.cell_bytes().unwrap_or(12))).max(1);
        let cells = cells::measured(dtype, PROFILE, 0..packed as u64);
        let chunks = vec![(profile as usize, PROFILE[1] as usize); packed];
        for codec in CODECS {
            let encode = || measure::encode(&cells, &chunks, codec, dtype == DType::Bool).unwrap();
            let block = encode();
            group.throughput(Throughput::Bytes(block.raw_bytes() as u64));
            let gave = format!("{} B by {}", block.stored_bytes(), block.encoding());
            let name = format!("{} {codec}, {} B", dtype.name(), block.raw_bytes());
            group.bench_function(BenchmarkId::new(name, gave), |bench| bench.iter(encode));
        }
    }
    group.finish();
}

fn write_and_flush(criterion: &mut Criterion) {
    let grid = Grid::profile();
    let profiles: Vec<ArrayData> = (0..DIFFERENT).map(|number| grid.measured(number)).collect();
    let mut group = criterion.benchmark_group("write and flush");
    for datasets in [100, 500, 2000] {
        group.throughput(Throughput::Bytes(datasets * grid.cells() * 4));
        for codec in [Codec::Auto, Codec::Zstd, Codec::None] {
            let options = CreateOptions { codec, ..CreateOptions::default() };
            group.bench_function(BenchmarkId::new(codec.name(), datasets), |bench| {
                let write = |temp: tempfile::TempDir| {
                    grid.write(temp.path().join("fleet").to_str().unwrap(), options, datasets, &profiles);
                    temp
                };
                bench.iter_batched(|| tempfile::tempdir().unwrap(), write, BatchSize::PerIteration);
            });
        }
    }
    group.finish();
}

criterion_group!(name = benches; config = brief::criterion(); targets = encode, write_and_flush);
criterion_main!(benches);
