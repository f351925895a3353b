//! Scans of stores that are much larger than what they take of memory: at their peak, as an allocator counts it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "../../atlas-store/tests/fuzz/allocation.rs"]
#[allow(dead_code, reason = "it is shared with tests that ask for more of it")]
mod allocation;
#[path = "sql/gate.rs"]
mod gate;

use allocation::Counting;
use atlas_store::{ArrayData, ArraySchema, CreateOptions, DType, OpenOptions, Store, storage_at};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use gate::Gate;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;
const DATASETS: u64 = 48;
/// Four MiB of each array of each dataset, 192 MiB of each array.
const CELLS: u64 = 1 << 19;
/// The most that a scan in one partition holds: three batches of 8 MiB (one is taken, one waits, one is made), and what
/// reading takes.
const BOUND: usize = 48 * MIB;

struct Big {
    context: SessionContext,
    gate: Arc<Gate>,
    _directory: tempfile::TempDir,
}

fn big() -> Big {
    let directory = tempfile::tempdir().unwrap();
    let location = directory.path().join("store");
    let location = location.to_str().unwrap();
    let store = Store::create(location, CreateOptions::default()).unwrap();
    for dataset in 0..DATASETS {
        let name = format!("d{dataset:02}");
        store.create_dataset(&name).unwrap();
        let schema = ArraySchema::new(DType::Float64, &["y", "x"], &[512, CELLS / 512]).with_chunk_shape(&[128, 1024]);
        let cells = (0..CELLS).map(|cell| (cell % 1000 * (dataset + 1)) as f64).collect();
        store.define_array(&name, "v", schema).unwrap();
        store
            .write_array(&name, "v", &[0, 0], ArrayData::from_numbers::<f64>(vec![512, CELLS / 512], cells).unwrap())
            .unwrap();
        // A text of a KiB in each of few cells.
        let schema = ArraySchema::new(DType::String, &["line"], &[4096]).with_chunk_shape(&[256]);
        let texts = (0..4096).map(|line| format!("{dataset} {line} {}", "words ".repeat(170)));
        store.define_array(&name, "log", schema).unwrap();
        store.write_array(&name, "log", &[0], ArrayData::from_strings(vec![4096], texts).unwrap()).unwrap();
        if dataset % 8 == 7 {
            store.flush().unwrap();
        }
    }
    store.flush().unwrap();
    drop(store);
    let (storage, gate) = Gate::around(storage_at(location).unwrap());
    let store = OpenOptions { cache_bytes: 0 }.open_on(storage).unwrap();
    let config = SessionConfig::new().with_default_catalog_and_schema("atlas", "big").with_target_partitions(1);
    let context = SessionContext::new_with_config(config);
    atlas_sql::register(&context, "big", &store).unwrap();
    Big { context, gate, _directory: directory }
}

/// Takes all of a query; gives its rows and bytes. `between` is called after each batch, while it is held.
async fn take(context: &SessionContext, sql: &str, between: impl Fn(usize)) -> (usize, usize) {
    let mut stream = context.sql(sql).await.unwrap().execute_stream().await.unwrap();
    let (mut rows, mut bytes, mut taken) = (0, 0, 0);
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        rows += batch.num_rows();
        bytes += batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap()).sum::<usize>();
        taken += 1;
        between(taken);
    }
    (rows, bytes)
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// One test: the allocator counts what all that run hold.
#[test]
fn memory_is_bounded() {
    let big = big();
    scans_hold_little_of_what_they_read(&big);
    a_slow_consumer_is_waited_for(&big);
}

fn scans_hold_little_of_what_they_read(Big { context, .. }: &Big) {
    let cells = (DATASETS * CELLS) as usize;
    let texts = DATASETS as usize * 4096;
    let mut too_much = Vec::new();
    for (sql, rows, least) in [
        ("SELECT dataset, v FROM datasets", DATASETS as usize, cells * 8),
        ("SELECT dataset, tensor_max(v) AS m FROM datasets", DATASETS as usize, 0),
        ("SELECT dataset, v FROM datasets WHERE element(v, 1, 1) >= 0", DATASETS as usize, cells * 8),
        ("SELECT dataset, y, x, v FROM cells_y_x", cells, cells * 24),
        ("SELECT dataset, log FROM datasets", DATASETS as usize, texts * 1000),
        ("SELECT dataset, tensor_max(log) AS m FROM datasets", DATASETS as usize, 0),
        ("SELECT dataset, line, log FROM cells_line", texts, texts * 1000),
    ] {
        let ((found, bytes), peak) = allocation::peak_of(|| runtime().block_on(take(context, sql, |_| ())));
        eprintln!("{sql}: {} MiB, at most {} MiB at a time", bytes / MIB, peak / MIB);
        assert_eq!(found, rows, "{sql}");
        assert!(bytes >= least, "{sql}: {bytes}");
        if peak >= BOUND {
            too_much.push(format!("{sql}: {} MiB", peak / MIB));
        }
    }
    assert!(too_much.is_empty(), "{too_much:#?}");
}

fn a_slow_consumer_is_waited_for(Big { context, gate, .. }: &Big) {
    // Two datasets, in eight reads of a MiB, are a batch.
    let (per_batch, batches) = (8, DATASETS / 2);
    let sql = "SELECT dataset, v FROM datasets";
    runtime().block_on(take(context, "SELECT element(v, 0, 0) AS e FROM datasets", |_| ()));
    gate.take();
    let ((rows, _), peak) = allocation::peak_of(|| {
        runtime().block_on(take(context, sql, |taken| {
            // One batch more waits to be taken, and one is made.
            let most = (taken as u64 + 2).min(batches) * per_batch;
            gate.until_begun(most);
            assert_eq!(gate.begun(), most, "{taken} batches were taken");
        }))
    });
    assert_eq!(rows, DATASETS as usize);
    assert!(peak < BOUND, "{} MiB", peak / MIB);
}
