//! Joins that let go of their thread.
//!
//! A query is cancelled where one of its plans yields. DataFusion has its sources do so; but a join that makes billions of rows
//! of one batch of its source does not come to that for minutes, and whoever runs as many of them as there are threads has
//! them all. So the plans that multiply rows yield, once in so many batches that they give; and joins that may give none for
//! long are fed in pieces that take no longer than a moment ([`paced::PacedExec`]).

mod paced;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use paced::PacedExec;
use std::sync::Arc;

/// What makes more rows than it is given, by the name of its plan, and whether it is a join that goes over all of its left side
/// for each batch of its right one, its second child.
const MULTIPLYING: [(&str, bool); 5] = [
    ("CrossJoinExec", false),
    ("NestedLoopJoinExec", true),
    ("HashJoinExec", true),
    ("SortMergeJoinExec", false),
    ("UnnestExec", false),
];

/// Has the plans that multiply rows yield.
#[derive(Debug)]
pub(crate) struct YieldInJoins;

impl PhysicalOptimizerRule for YieldInJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let wrapped = plan.transform_up(|plan| {
            let Some((_, probes)) = MULTIPLYING.iter().find(|(name, _)| *name == plan.name()) else {
                return Ok(Transformed::no(plan));
            };
            let mut plan = plan;
            let children: Vec<_> = plan.children().into_iter().cloned().collect();
            if let ([left, right], true) = (children.as_slice(), probes) {
                let paced: Arc<dyn ExecutionPlan> = Arc::new(PacedExec::new(Arc::clone(right)));
                let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
                plan = plan.replace_children(vec![Arc::clone(left), paced], keep)?;
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
