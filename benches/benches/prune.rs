//! What predicates over cells leave of a store, found while a scan of `cells_y_x` is planned: by zone maps, chunk by chunk
//! of every dataset, and by the statistics of whole datasets.
//!
//! Arrays are of 64 × 64 cells in 64 chunks. One chunk of each dataset is warm, so that statistics of whole datasets leave
//! out none; one dataset in a hundred is hot. The segment's index and zone maps are in memory, as after a first query.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a bench")]

#[path = "../brief.rs"]
mod brief;

use atlas_benches::cells::mixed;
use atlas_benches::fleets::Grid;
use atlas_store::{ArrayData, Cells, Codec, CreateOptions, DType, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::prelude::{col, lit};
use std::hint::black_box;

const SIDE: u64 = 64;
const CHUNK: u64 = 8;
const CHUNKS: u64 = (SIDE / CHUNK) * (SIDE / CHUNK);
/// Datasets of which one is hot.
const COLD: u64 = 100;

/// Cells below 1000, but for one chunk: 2000 and more there, 3000 and more in a hot dataset.
fn temperature(grid: &Grid, number: u64) -> ArrayData {
    let warm = mixed(number) % CHUNKS;
    let cell = |at: u64| {
        let (row, column) = (at / SIDE, at % SIDE);
        let chunk = row / CHUNK * (SIDE / CHUNK) + column / CHUNK;
        let heat = if chunk != warm {
            0
        } else if number.is_multiple_of(COLD) {
            3000
        } else {
            2000
        };
        (heat + mixed(number * grid.cells() + at) % 1000) as i16
    };
    grid.data(Cells::I16((0..grid.cells()).map(cell).collect()))
}

fn prune(criterion: &mut Criterion) {
    let temp = tempfile::tempdir().unwrap();
    let grid = Grid { dtype: DType::Int16, shape: [SIDE; 2], chunk: [CHUNK; 2] };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let cases: [(&str, Expr, u64); 3] = [
        ("zone maps, 1 chunk of each dataset", col("t").gt_eq(lit(2000i16)), 1),
        ("statistics, then zone maps, 1 dataset in 100", col("t").gt_eq(lit(3000i16)), COLD),
        ("statistics, no dataset", col("t").gt_eq(lit(5000i16)), 0),
    ];
    let mut group = criterion.benchmark_group("prune");
    for datasets in [100u64, 1_000, 10_000] {
        let path = temp.path().join(datasets.to_string());
        let path = path.to_str().unwrap();
        let arrays: Vec<ArrayData> = (0..datasets.min(1_000)).map(|number| temperature(&grid, number)).collect();
        grid.write(path, CreateOptions { codec: Codec::None, ..CreateOptions::default() }, datasets, &arrays);
        let context = atlas_sql::session(&[("fleet".to_string(), Store::open(path).unwrap())]).unwrap();
        let table = runtime.block_on(context.table_provider("cells_y_x")).unwrap();
        let state = context.state();
        for (name, filter, one_in) in &cases {
            let filters = std::slice::from_ref(filter);
            let scan = || runtime.block_on(table.scan(&state, None, filters, None)).unwrap();
            let left = datasets.checked_div(*one_in).unwrap_or(0);
            let known = StatisticsContext::new().compute(scan().as_ref(), &StatisticsArgs::new()).unwrap();
            let rows = known.num_rows;
            assert_eq!(rows.get_value(), Some(&((left * CHUNK * CHUNK) as usize)), "{rows:?} of {name}");
            group.throughput(Throughput::Elements(datasets * CHUNKS));
            let size = format!("{datasets} datasets of {CHUNKS} chunks");
            group.bench_function(BenchmarkId::new(*name, size), |bench| bench.iter(|| black_box(scan())));
        }
    }
    group.finish();
}

criterion_group!(name = benches; config = brief::criterion(); targets = prune);
criterion_main!(benches);
