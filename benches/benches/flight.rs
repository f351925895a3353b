//! Arrow batches as messages of a Flight stream: stacked tensors, whose memory the messages share, and rows of a query's
//! result, which are cut into messages and have small columns. Beside them, what copying the same bytes takes.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a bench")]

#[path = "../brief.rs"]
mod brief;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field};
use atlas_benches::cells::mixed;
use atlas_flight::measure::Messages;
use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use tonic::Status;

/// Cells of a dataset in a stacked read: 12 × 42.
const CELLS: usize = 504;

/// A stacked read of so many datasets.
fn tensors(rows: usize) -> RecordBatch {
    let names = StringArray::from_iter_values((0..rows).map(|row| format!("profile{row:06}")));
    let cells = Float32Array::from_iter_values((0..(rows * CELLS) as u64).map(|at| (mixed(at) % 40_000) as f32));
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let tensors = FixedSizeListArray::new(item, CELLS as i32, Arc::new(cells), None);
    RecordBatch::try_from_iter([("dataset", Arc::new(names) as ArrayRef), ("t", Arc::new(tensors))]).unwrap()
}

/// So many rows as a query gives them: text, numbers, some of which are NULL, and booleans.
fn rows(rows: usize) -> RecordBatch {
    let number = |row: usize| mixed(row as u64);
    let names = StringArray::from_iter_values((0..rows).map(|row| format!("cast{row:08}")));
    let months = Int64Array::from_iter_values((0..rows).map(|row| (number(row) % 12) as i64));
    let degree = |row: usize| (!number(row).is_multiple_of(50)).then(|| (number(row) % 40_000) as f64 / 1000.0);
    let degrees: Float64Array = (0..rows).map(degree).collect();
    let warm: BooleanArray = (0..rows).map(|row| Some(number(row) % 2 == 0)).collect();
    let columns: [(&str, ArrayRef); 4] = [
        ("dataset", Arc::new(names)),
        ("month", Arc::new(months)),
        ("degrees", Arc::new(degrees)),
        ("warm", Arc::new(warm)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// How messages are made of a batch.
type Make = fn(&mut Messages, &RecordBatch) -> Result<Vec<Vec<Bytes>>, Status>;

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, (name, make): (&str, Make), batch: &RecordBatch) {
    let mut messages = Messages::try_new(&batch.schema()).unwrap();
    let parts = make(&mut messages, batch).unwrap();
    let bytes: usize = parts.iter().flatten().map(|part| part.len()).sum();
    group.throughput(Throughput::Bytes(bytes as u64));
    let size = format!("{} rows, {bytes} B in {} messages", batch.num_rows(), parts.len());
    group.bench_function(BenchmarkId::new(name, &size), |bench| {
        bench.iter(|| black_box(make(&mut messages, batch).unwrap()))
    });
    let mut copy = Vec::with_capacity(bytes);
    group.bench_function(BenchmarkId::new(format!("copying {name}"), &size), |bench| {
        bench.iter(|| {
            copy.clear();
            parts.iter().flatten().for_each(|part| copy.extend_from_slice(part));
            black_box(&mut copy);
        });
    });
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flight messages");
    // Of 256 KiB, of 4 MiB as the server makes them, and of 32 MiB.
    for datasets in [128, 2_048, 16_384] {
        measure(&mut group, ("tensors", Messages::of), &tensors(datasets));
    }
    for count in [1_000, 8_192, 131_072] {
        let rows = rows(count);
        measure(&mut group, ("rows", Messages::of_rows), &rows);
        // As a filter or a limit leaves them.
        let middle = rows.slice(count / 4 + 1, count / 2);
        measure(&mut group, ("rows from the middle of others", Messages::of_rows), &middle);
    }
    group.finish();
}

criterion_group!(name = benches; config = brief::criterion(); targets = encode);
criterion_main!(benches);
