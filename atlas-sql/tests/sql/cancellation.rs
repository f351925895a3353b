//! A query that nobody waits for any more stops reading: no read begins beyond those that were under way.

use crate::fleet::write;
use crate::gate::Gate;
use atlas_store::{ArrayData, ArraySchema, CreateOptions, DType, MemoryStorage, OpenOptions, Store};
use datafusion::error::Result;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::runtime::{Builder, Runtime};

const DATASETS: u64 = 12;
/// A dataset is four reads of each array; two are a batch.
const CELLS: u64 = 1 << 19;

struct Big {
    context: SessionContext,
    gate: Arc<Gate>,
}

/// Made once; for one test at a time, since held reads hold threads that the other would wait for.
fn big() -> MutexGuard<'static, Big> {
    static BIG: OnceLock<Mutex<Big>> = OnceLock::new();
    BIG.get_or_init(|| Mutex::new(made())).lock().unwrap_or_else(PoisonError::into_inner)
}

fn made() -> Big {
    let (storage, gate) = Gate::around(Arc::new(MemoryStorage::new()));
    let store = Store::create_on(Arc::clone(&storage), CreateOptions::default()).unwrap();
    for dataset in 0..DATASETS {
        let name = format!("d{dataset:02}");
        store.create_dataset(&name).unwrap();
        for array in ["x", "v"] {
            let schema = ArraySchema::new(DType::Float64, &["x"], &[CELLS]).with_chunk_shape(&[1 << 16]);
            let cells = (0..CELLS).map(|cell| (cell * (dataset + 1)) as f64).collect();
            write(&store, &name, array, schema, ArrayData::from_numbers::<f64>(vec![CELLS], cells).unwrap());
        }
    }
    store.flush().unwrap();
    drop(store);
    let store = OpenOptions { cache_bytes: 0 }.open_on(storage).unwrap();
    // Indexes are read once.
    ["x", "v"].iter().for_each(|array| assert!(store.snapshot().chunks(0, array).unwrap().len() == 8));
    let config = SessionConfig::new().with_default_catalog_and_schema("atlas", "big").with_target_partitions(1);
    let context = SessionContext::new_with_config(config);
    atlas_sql::register(&context, "big", &store).unwrap();
    Big { context, gate }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Reads a query to its end; gives the number of rows.
async fn rows(context: &SessionContext, sql: &str) -> Result<usize> {
    let mut stream = context.sql(sql).await?.execute_stream().await?;
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch?.num_rows();
    }
    Ok(rows)
}

const SCANS: [&str; 4] = [
    "SELECT v FROM datasets",
    "SELECT dataset, tensor_max(v) FROM datasets WHERE element(x, 3) > 5",
    "SELECT x, v FROM cells_x",
    "SELECT v FROM cells_x WHERE v % 2 = 1",
];

/// The most reads that are under way at a time: a thread has one, and so has the part of a batch.
fn under_way() -> u64 {
    std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64)
}

#[test]
fn what_is_dropped_while_it_reads_reads_no_more() {
    let big = big();
    let Big { context, gate } = &*big;
    // The second is dropped while it is planned, when it reads the coordinates.
    for sql in SCANS.into_iter().chain(["SELECT dataset FROM cells_x WHERE x % 3 = 1 AND x > 100"]) {
        let all = runtime();
        gate.take();
        all.block_on(rows(context, sql)).unwrap();
        let total = gate.take();
        assert!(total >= 24, "{sql}: {total}");
        gate.close();
        let (context, query) = (context.clone(), sql.to_string());
        let running = all.spawn(async move { rows(&context, &query).await });
        gate.until_one_waits();
        running.abort();
        assert!(all.block_on(running).unwrap_err().is_cancelled(), "{sql}");
        let before = gate.take();
        gate.open();
        // Waits for every thread that still reads.
        drop(all);
        let after = gate.take();
        assert!(before > 0 && after <= under_way(), "{sql}: {before} then {after} of {total}");
        assert!(2 * (before + after) < total, "{sql}: {before} then {after} of {total}");
    }
}

#[test]
fn who_takes_few_batches_has_few_read() {
    let big = big();
    let Big { context, gate } = &*big;
    for sql in SCANS {
        let all = runtime();
        gate.take();
        all.block_on(rows(context, sql)).unwrap();
        let total = gate.take();
        all.block_on(async {
            let mut stream = context.sql(sql).await.unwrap().execute_stream().await.unwrap();
            assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
        });
        drop(all);
        let read = gate.take();
        assert!(2 * read < total, "{sql}: {read} of {total}");
    }
}

/// Joins that would take minutes end within a batch of their source, whether or not they give any row.
#[test]
fn joins_that_multiply_rows_stop_when_they_are_dropped() {
    let numbers = |rows: u32| format!("generate_series(1, {rows})");
    let (many, few) = (numbers(300_000), numbers(8_192));
    for sql in [
        format!("SELECT count(*) FROM {many} a CROSS JOIN {few} b WHERE a.value + b.value < 0"),
        format!("SELECT count(*) FROM {many} a CROSS JOIN {few} b"),
        format!("SELECT count(*) FROM {many} a JOIN {few} b ON a.value + b.value < 0"),
        format!("SELECT count(*) FROM {many} a JOIN {many} b ON a.value % 2 = b.value % 2 AND a.value + b.value < 0"),
    ] {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let task = runtime.spawn(async move {
            let context = SessionContext::new();
            let store = Store::create_on(Arc::new(MemoryStorage::new()), CreateOptions::default()).unwrap();
            atlas_sql::register(&context, "store", &store).unwrap();
            let stream = context.sql(&sql).await.unwrap().execute_stream().await.unwrap();
            begun.send(()).unwrap();
            stream.collect::<Vec<_>>().await.len()
        });
        has_begun.recv().unwrap();
        // The one thread is back when the task that held it is gone.
        runtime.block_on(async {
            tokio::task::yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        });
    }
}
