//! Batches in pieces that take the plan above no longer than a moment each.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::{Stream, StreamExt};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How long a piece should take, about: pieces are made larger below the first, smaller above the second.
const MOMENT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(40));

/// The first piece of a stream, in rows: the other side may have any number, and each is compared with all of them.
const FIRST_ROWS: usize = 1;

/// Gives its input's batches in pieces, and yields before each that comes a moment after the last.
///
/// The time between two pieces is what the plan above takes for one: pieces grow to whole batches where it is fast.
#[derive(Debug)]
pub(super) struct PacedExec {
    input: Arc<dyn ExecutionPlan>,
}

impl PacedExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        PacedExec { input }
    }
}

impl DisplayAs for PacedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacedExec")
    }
}

impl ExecutionPlan for PacedExec {
    fn name(&self) -> &'static str {
        "PacedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(PacedExec { input }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        Ok(Box::pin(Paced { input, rest: None, rows: FIRST_ROWS, given: None }))
    }
}

struct Paced {
    input: SendableRecordBatchStream,
    /// What of the input's last batch has not been given.
    rest: Option<RecordBatch>,
    /// How many rows a piece has at most.
    rows: usize,
    /// When a piece was given last, while it may still be worked on.
    given: Option<Instant>,
}

impl Stream for Paced {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(given) = self.given.take() {
            let took = given.elapsed();
            if took < MOMENT.0 {
                self.rows = self.rows.saturating_mul(2);
            } else {
                if took > MOMENT.1 {
                    self.rows = (self.rows / 2).max(1);
                }
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match futures::ready!(self.input.poll_next_unpin(context)) {
                Some(Ok(batch)) => batch,
                ended => return Poll::Ready(ended),
            },
        };
        let rows = self.rows.min(batch.num_rows());
        self.rest = (rows < batch.num_rows()).then(|| batch.slice(rows, batch.num_rows() - rows));
        self.given = Some(Instant::now());
        Poll::Ready(Some(Ok(batch.slice(0, rows))))
    }
}

impl RecordBatchStream for Paced {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
