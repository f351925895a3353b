//! Atlas and DataFusion as systems that answer queries.

use crate::THREADS;
use crate::answer::Answer;
use arrow::array::RecordBatch;
use atlas_store::Store;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A query, in each system's tables.
pub(crate) struct Query {
    pub(crate) name: &'static str,
    /// Over the tables of a store.
    pub(crate) atlas: String,
    /// Over the Parquet file.
    pub(crate) flat: String,
    /// Whether each run is the first of a session.
    pub(crate) in_new_session: bool,
    /// Cells, or datasets, that the query is about.
    pub(crate) size: u64,
}

impl Query {
    /// A query that is the same text for all.
    pub(crate) fn new(name: &'static str, sql: &str, size: u64) -> Query {
        Query { name, atlas: sql.into(), flat: sql.into(), in_new_session: false, size }
    }
}

/// What one run of a query gave.
pub(crate) struct Run {
    pub(crate) time: Duration,
    pub(crate) answer: Answer,
    /// Chunks and bytes read, where the system says so.
    pub(crate) read: (Option<usize>, Option<usize>),
}

/// What answers queries.
pub(crate) trait Engine {
    fn name(&self) -> &str;

    fn run(&mut self, query: &Query) -> Run;
}

/// Makes a session with the tables in it.
type Connect = Box<dyn Fn(&Runtime, SessionConfig) -> SessionContext>;

/// DataFusion over something.
pub(crate) struct DataFusion {
    name: &'static str,
    is_atlas: bool,
    connect: Connect,
    context: SessionContext,
    runtime: Runtime,
}

impl DataFusion {
    fn new(name: &'static str, is_atlas: bool, connect: Connect) -> DataFusion {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).build().unwrap();
        let context = connect(&runtime, config());
        DataFusion { name, is_atlas, connect, context, runtime }
    }

    /// The tables of a store.
    pub(crate) fn atlas(store: &Store) -> DataFusion {
        let store = store.clone();
        let connect = move |_: &Runtime, config: SessionConfig| {
            let context = SessionContext::new_with_config(config.with_default_catalog_and_schema("atlas", "fleet"));
            atlas_sql::register(&context, "fleet", &store).unwrap();
            context
        };
        DataFusion::new("Atlas", true, Box::new(connect))
    }

    /// A Parquet file as a table.
    pub(crate) fn parquet(table: &'static str, file: &Path) -> DataFusion {
        let file = file.to_path_buf();
        let connect = move |runtime: &Runtime, config: SessionConfig| {
            let context = SessionContext::new_with_config(config);
            runtime.block_on(open_parquet(&context, table, &file));
            context
        };
        DataFusion::new("DataFusion, Parquet", false, Box::new(connect))
    }

    /// What is in a Parquet file as a table in memory.
    pub(crate) fn memory(table: &'static str, file: &Path) -> DataFusion {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).build().unwrap();
        let loaded: Arc<MemTable> = runtime.block_on(async {
            let context = SessionContext::new_with_config(config());
            open_parquet(&context, table, file).await;
            let rows = context.table(table).await.unwrap();
            let schema = Arc::new(rows.schema().as_arrow().clone());
            Arc::new(MemTable::try_new(schema, rows.collect_partitioned().await.unwrap()).unwrap())
        });
        let connect = move |_: &Runtime, config: SessionConfig| {
            let context = SessionContext::new_with_config(config);
            context.register_table(table, loaded.clone()).unwrap();
            context
        };
        DataFusion::new("DataFusion, MemTable", false, Box::new(connect))
    }

    async fn answer(context: &SessionContext, sql: &str) -> (Vec<RecordBatch>, Arc<dyn ExecutionPlan>) {
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        (collect(Arc::clone(&plan), context.task_ctx()).await.unwrap(), plan)
    }
}

/// Predicates are evaluated while decoding, which is the better choice for every query here.
fn config() -> SessionConfig {
    SessionConfig::new()
        .with_target_partitions(THREADS)
        .set_bool("datafusion.execution.parquet.pushdown_filters", true)
        .set_bool("datafusion.execution.parquet.reorder_filters", true)
}

async fn open_parquet(context: &SessionContext, table: &str, file: &Path) {
    context.register_parquet(table, file.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
}

impl Engine for DataFusion {
    fn name(&self) -> &str {
        self.name
    }

    fn run(&mut self, query: &Query) -> Run {
        let sql = if self.is_atlas { query.atlas.clone() } else { query.flat.clone() };
        let start = Instant::now();
        if query.in_new_session {
            self.context = (self.connect)(&self.runtime, config());
        }
        let context = self.context.clone();
        // On a worker thread, as in a server.
        let work = self.runtime.spawn(async move { DataFusion::answer(&context, &sql).await });
        let (batches, plan) = self.runtime.block_on(work).unwrap();
        let time = start.elapsed();
        let bytes = counted(plan.as_ref(), "bytes_read").or_else(|| counted(plan.as_ref(), "bytes_scanned"));
        Run { time, answer: Answer::of(&batches), read: (counted(plan.as_ref(), "chunks_read"), bytes) }
    }
}

/// The sum of a metric over a plan; `None` where no part of it has that.
fn counted(plan: &dyn ExecutionPlan, metric: &str) -> Option<usize> {
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name(metric)).map(|sum| sum.as_usize());
    plan.children().iter().map(|child| counted(child.as_ref(), metric)).chain([own]).flatten().reduce(|a, b| a + b)
}
