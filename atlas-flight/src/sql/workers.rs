//! Threads for running queries, apart from those that serve connections: a query that keeps a thread busy for long must
//! not keep other clients from being answered, nor the server from stopping.

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tonic::Status;

use crate::status;

/// Planning and executing SQL recurses deeply: this is enough for what `guard` lets pass, in unoptimised builds, too. Only what
/// is used of a stack takes memory.
const STACK_BYTES: usize = 64 << 20;

/// Batches that wait for a client: a slow one slows its query, nothing else.
const WAITING_BATCHES: usize = 2;

/// What a query gives, piece by piece.
type Batch = Result<RecordBatch, DataFusionError>;

/// The threads that queries run on.
pub(crate) struct Workers {
    /// Taken when dropped.
    runtime: Option<Runtime>,
}

impl Workers {
    /// One thread a core.
    ///
    /// # Errors
    /// Where threads cannot be started.
    pub(crate) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("atlas-query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        Ok(Workers { runtime: Some(runtime) })
    }

    /// Does `work` on one of the threads, which have the stack that planning takes.
    ///
    /// # Errors
    /// `UNAVAILABLE` where the server is stopping.
    pub(crate) async fn plan<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        let gone = || Status::unavailable("the server is stopping");
        let task = self.runtime.as_ref().ok_or_else(gone)?.spawn(work);
        match Task(task).finished().await {
            Ok(done) => done,
            Err(error) if error.is_panic() => Err(status::from_join(&error)),
            Err(_) => Err(gone()),
        }
    }

    /// Runs a query, if `check` lets its plan pass; its batches come as they are made, with the plan that counts what it
    /// reads. Dropping the stream stops it where it next yields.
    ///
    /// # Errors
    /// What planning the execution fails with, and `check`; later errors are in the stream.
    pub(crate) async fn run(
        &self,
        query: DataFrame,
        check: impl FnOnce(&dyn ExecutionPlan) -> Result<(), DataFusionError> + Send + 'static,
    ) -> Result<(Arc<dyn ExecutionPlan>, BoxStream<'static, Batch>), DataFusionError> {
        let gone = || DataFusionError::Execution("the server is stopping".into());
        let runtime = self.runtime.as_ref().ok_or_else(gone)?;
        let mut planning = Task(runtime.spawn(async move {
            let context = Arc::new(query.task_ctx());
            let plan = query.create_physical_plan().await?;
            check(plan.as_ref())?;
            let batches = execute_stream(Arc::clone(&plan), context)?;
            Ok::<_, DataFusionError>((plan, batches))
        }));
        let planned = (&mut planning.0).await;
        let (plan, batches) = planned.map_err(|error| match error.is_panic() {
            true => DataFusionError::ExecutionJoin(Box::new(error)),
            false => gone(),
        })??;
        let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
        let task = Task(runtime.spawn(forward(batches, sender)));
        let received = futures::stream::unfold(Some((receiver, task)), |running| async {
            let (mut receiver, task) = running?;
            if let Some(batch) = receiver.recv().await {
                return Some((batch, Some((receiver, task))));
            }
            // A query that panicked has not given all that it has.
            let ended = task.finished().await.err().filter(JoinError::is_panic);
            ended.map(|error| (Err(DataFusionError::ExecutionJoin(Box::new(error))), None))
        });
        Ok((plan, received.boxed()))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Without waiting: a query may be busy for long.
            runtime.shutdown_background();
        }
    }
}

/// A query that is planned or runs, which is of no use once nobody waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    async fn finished(mut self) -> Result<T, JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn forward(mut batches: SendableRecordBatchStream, sender: mpsc::Sender<Batch>) {
    while let Some(batch) = batches.next().await {
        if sender.send(batch).await.is_err() {
            return;
        }
    }
}
