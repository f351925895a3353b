//! The numbers of a plan, and of its run.

use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::SessionContext;
use std::sync::Arc;

/// A scan of a store: what it says before it runs, and what it counted while it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scan {
    /// As EXPLAIN shows it.
    pub(crate) line: String,
    /// Considered and left.
    pub(crate) datasets: (u64, u64),
    pub(crate) chunks: (u64, u64),
    pub(crate) bytes: u64,
    /// Whether what is left is a bound.
    pub(crate) is_bound: bool,
    pub(crate) partitions: usize,
    pub(crate) chunks_read: u64,
    pub(crate) bytes_read: u64,
    pub(crate) rows: u64,
}

/// The number behind the last `name=`, and the one behind an arrow that follows it.
fn pair(line: &str, name: &str) -> (u64, Option<u64>) {
    let (_, rest) = line.rsplit_once(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {line}"));
    let number = |text: &str| -> (u64, String) {
        let text = text.trim_start_matches('≤');
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let value = text[..digits].parse().unwrap_or_else(|_| panic!("no number after {name} in {line}"));
        (value, text[digits..].to_string())
    };
    let (first, rest) = number(rest);
    (first, rest.strip_prefix('→').map(|rest| number(rest).0))
}

fn nodes(plan: &Arc<dyn ExecutionPlan>, into: &mut Vec<Arc<dyn ExecutionPlan>>) {
    if ["AtlasScanExec", "AtlasCellsExec"].contains(&plan.name()) {
        into.push(Arc::clone(plan));
    }
    plan.children().into_iter().for_each(|child| nodes(child, into));
}

/// Plans a query and runs it; its scans of datasets and cells, in the order of the plan.
pub(crate) async fn scans(context: &SessionContext, sql: &str) -> Vec<Scan> {
    let frame = context.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let plan = frame.create_physical_plan().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut scans = Vec::new();
    nodes(&plan, &mut scans);
    // Before anything runs, as EXPLAIN does.
    let lines: Vec<String> =
        scans.iter().map(|scan| displayable(scan.as_ref()).one_line().to_string().trim().to_string()).collect();
    collect(plan, context.task_ctx()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let scan = |(line, scan): (String, Arc<dyn ExecutionPlan>)| {
        let metrics = scan.metrics().unwrap();
        let counted = |name: &str| metrics.sum_by_name(name).map_or(0, |value| value.as_usize() as u64);
        let (datasets, chunks) = (pair(&line, "datasets"), pair(&line, "chunks"));
        Scan {
            datasets: (datasets.0, datasets.1.unwrap()),
            chunks: (chunks.0, chunks.1.unwrap()),
            bytes: pair(&line, "bytes").0,
            is_bound: line.contains('≤'),
            partitions: scan.properties().output_partitioning().partition_count(),
            chunks_read: counted("chunks_read"),
            bytes_read: counted("bytes_read"),
            rows: metrics.output_rows().unwrap_or(0) as u64,
            line,
        }
    };
    lines.into_iter().zip(scans).map(scan).collect()
}

/// The one scan of a query.
pub(crate) async fn scan(context: &SessionContext, sql: &str) -> Scan {
    let scans = scans(context, sql).await;
    assert_eq!(scans.len(), 1, "{sql}: {scans:?}");
    scans.into_iter().next().unwrap()
}
