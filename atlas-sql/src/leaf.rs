//! What the physical plans that read a store have in common: each is a leaf, in partitions.

use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::DisplayFormatType;
use std::fmt;

/// The methods of `ExecutionPlan` that are the same for every leaf with the fields `properties` and `metrics`.
macro_rules! leaf_methods {
    ($name:literal) => {
        fn name(&self) -> &str {
            $name
        }

        fn properties(&self) -> &std::sync::Arc<datafusion::physical_plan::PlanProperties> {
            &self.properties
        }

        fn children(&self) -> Vec<&std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            Vec::new()
        }

        fn apply_expressions(
            &self,
            _: &mut dyn FnMut(
                &std::sync::Arc<dyn datafusion::physical_expr::PhysicalExpr>,
            ) -> datafusion::error::Result<datafusion::common::tree_node::TreeNodeRecursion>,
        ) -> datafusion::error::Result<datafusion::common::tree_node::TreeNodeRecursion> {
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        }

        fn with_new_children(
            self: std::sync::Arc<Self>,
            children: Vec<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>,
        ) -> datafusion::error::Result<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            if children.is_empty() {
                Ok(self)
            } else {
                Err(datafusion::error::DataFusionError::Internal(concat!($name, " has no children").into()))
            }
        }

        fn metrics(&self) -> Option<datafusion::physical_plan::metrics::MetricsSet> {
            Some(self.metrics.clone_inner())
        }
    };
}

pub(crate) use leaf_methods;

/// What a partition is of.
///
/// # Errors
/// An internal error where there is no such partition.
pub(crate) fn partition<T: Clone>(partitions: &[T], partition: usize) -> Result<T> {
    let of = partitions.get(partition).cloned();
    of.ok_or_else(|| DataFusionError::Internal(format!("partition {partition} of {}", partitions.len())))
}

/// Begins the line of a leaf in EXPLAIN; gives what stands between its parts. A tree has the name in its box already.
pub(crate) fn begin(
    name: &str,
    format: DisplayFormatType,
    f: &mut fmt::Formatter<'_>,
) -> Result<&'static str, fmt::Error> {
    if matches!(format, DisplayFormatType::TreeRender) {
        return Ok("\n");
    }
    write!(f, "{name}: ")?;
    Ok(", ")
}
