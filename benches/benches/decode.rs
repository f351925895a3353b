//! Decoding chunks, by codec and dtype: the decoder by itself, whole arrays through plan and read, and a slice of them.
//!
//! All of it on one core, without the cache of decoded pages, from files that are in the page cache. Rates are those of
//! the bytes that decoding makes, in a slice as well (its pages hold more cells than are wanted): what a read is slower
//! than the bare decoder is planning, the file, checksums and putting cells in their place.
//!
//! `64 of 128x128` is 64 datasets with a chunk of 128 × 128 cells each; slices are a quarter of each dimension.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a bench")]

#[path = "../brief.rs"]
mod brief;

use atlas_benches::cells;
use atlas_benches::fleets::Grid;
use atlas_store::measure::{self, Block};
use atlas_store::{ArrayData, Cells, Codec, CreateOptions, DType, OpenOptions, Region, Snapshot};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rayon::ThreadPool;
use std::hint::black_box;

const CODECS: [Codec; 4] = [Codec::Auto, Codec::Zstd, Codec::Lz4, Codec::None];
/// Cells of all datasets together, whatever the size of a chunk.
const ALL_CELLS: u64 = 1 << 20;
/// Small chunks are packed to blocks of about this many bytes, as by the store.
const BLOCK_BYTES: usize = 256 << 10;

/// One array in each of some datasets, and their chunks one after another as the store packs them.
struct Arrays {
    grid: Grid,
    data: Vec<ArrayData>,
    /// The cells of each block, and how many chunks they are.
    blocks: Vec<(Cells, usize)>,
}

impl Arrays {
    fn new(dtype: DType, side: u64) -> Arrays {
        let grid = Grid { dtype, shape: [side, side], chunk: [side, side] };
        let datasets = ALL_CELLS / grid.cells();
        let data: Vec<ArrayData> = (0..datasets).map(|number| grid.measured(number)).collect();
        let in_block = (BLOCK_BYTES / data[0].cells().byte_len()).clamp(1, data.len());
        let blocks = (0..datasets).step_by(in_block).map(|first| {
            let last = datasets.min(first + in_block as u64);
            (cells::measured(dtype, grid.shape, first..last), (last - first) as usize)
        });
        Arrays { grid, blocks: blocks.collect(), data }
    }

    fn label(&self) -> String {
        let [rows, columns] = self.grid.shape;
        format!("{}, {} of {rows}x{columns}", self.grid.dtype.name(), self.data.len())
    }

    fn encode(&self, codec: Codec) -> Vec<Block> {
        let is_bool = self.grid.dtype == DType::Bool;
        let chunk = (self.grid.cells() as usize, self.grid.shape[1] as usize);
        let encode = |(cells, chunks): &(Cells, usize)| measure::encode(cells, &vec![chunk; *chunks], codec, is_bool);
        self.blocks.iter().map(|block| encode(block).unwrap()).collect()
    }
}

fn bare(group: &mut BenchmarkGroup<'_, WallTime>, arrays: &Arrays, codec: Codec) {
    let blocks = arrays.encode(codec);
    let mut out: Vec<Cells> = arrays.blocks.iter().map(|(cells, _)| cells.clone()).collect();
    let stored: usize = blocks.iter().map(Block::stored_bytes).sum();
    let made: usize = blocks.iter().map(Block::raw_bytes).sum();
    group.throughput(Throughput::Bytes(made as u64));
    let name = format!("{}, {codec}, bare decoder", arrays.label());
    group.bench_function(BenchmarkId::new(name, format!("{} of {stored} B", blocks[0].encoding())), |bench| {
        bench.iter(|| blocks.iter().zip(&mut out).for_each(|(block, cells)| block.decode(cells).unwrap()));
    });
    let expected = arrays.blocks.iter().map(|(cells, _)| cells);
    assert!(out.iter().eq(expected), "{} does not decode to what was encoded", arrays.label());
}

fn read(
    group: &mut BenchmarkGroup<'_, WallTime>,
    (snapshot, pool): (&Snapshot, &ThreadPool),
    name: String,
    region: Option<&Region>,
) {
    let rows: Vec<u32> = (0..snapshot.dataset_count() as u32).collect();
    let plan = snapshot.plan_stacked("t", &rows, region).unwrap();
    group.throughput(Throughput::Bytes(plan.decoded_bytes()));
    let cost = format!("{} B in {} requests", plan.bytes(), plan.requests());
    group.bench_function(BenchmarkId::new(name, cost), |bench| {
        bench.iter(|| pool.install(|| black_box(snapshot.read_stacked("t", &rows, region).unwrap())));
    });
}

fn measure_codec(group: &mut BenchmarkGroup<'_, WallTime>, arrays: &Arrays, codec: Codec, pool: &ThreadPool) {
    bare(group, arrays, codec);
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("fleet");
    let path = path.to_str().unwrap();
    arrays.grid.write(
        path,
        CreateOptions { codec, ..CreateOptions::default() },
        arrays.data.len() as u64,
        &arrays.data,
    );
    let snapshot = OpenOptions { cache_bytes: 0 }.open(path).unwrap().snapshot();
    let label = arrays.label();
    read(group, (&snapshot, pool), format!("{label}, {codec}, whole"), None);
    let [rows, columns] = arrays.grid.shape;
    let quarter = Region::try_new(vec![rows * 3 / 8, columns * 3 / 8], vec![rows / 4, columns / 4]).unwrap();
    read(group, (&snapshot, pool), format!("{label}, {codec}, slice"), Some(&quarter));
}

fn decode(criterion: &mut Criterion) {
    let pool = brief::one_core();
    let mut group = criterion.benchmark_group("decode");
    for dtype in cells::DTYPES {
        let arrays = Arrays::new(dtype, 128);
        CODECS.into_iter().for_each(|codec| measure_codec(&mut group, &arrays, codec, &pool));
    }
    for side in [16, 1024] {
        let arrays = Arrays::new(DType::Float32, side);
        [Codec::Auto, Codec::None].into_iter().for_each(|codec| measure_codec(&mut group, &arrays, codec, &pool));
    }
    group.finish();
}

criterion_group!(name = benches; config = brief::criterion(); targets = decode);
criterion_main!(benches);
