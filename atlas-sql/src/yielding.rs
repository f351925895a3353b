//! Joins that let go of their thread.
//!
//! A query is cancelled where one of its plans yields. DataFusion has its sources do so; but a join that makes billions of rows
//! of one batch of its source does not come to that for minutes, and whoever runs as many of them as there are threads has
//! them all. So the plans that multiply rows yield, too, once in so many batches.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use std::sync::Arc;

/// What makes more rows than it is given, by the name of its plan.
const MULTIPLYING: [&str; 5] =
    ["CrossJoinExec", "NestedLoopJoinExec", "HashJoinExec", "SortMergeJoinExec", "UnnestExec"];

/// Has the plans that multiply rows yield.
#[derive(Debug)]
pub(crate) struct YieldInJoins;

impl PhysicalOptimizerRule for YieldInJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let wrapped = plan.transform_up(|plan| {
            if !MULTIPLYING.contains(&plan.name()) {
                return Ok(Transformed::no(plan));
            }
            let yielding: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(plan));
            Ok(Transformed::yes(yielding))
        });
        Ok(wrapped?.data)
    }

    fn name(&self) -> &'static str {
        "YieldInJoins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
