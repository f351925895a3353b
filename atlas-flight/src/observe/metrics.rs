//! What is counted as calls end, for Prometheus.
//!
//! Labels have few values: methods, kinds, codes and the stores that are served. What users write is never one.

use super::call::{Counted, Kind, code_name};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tonic::Code;

/// Seconds: from what the catalog answers to what is given up at the default limit.
const SECONDS: [f64; 12] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    kind: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabels {
    store: String,
    outcome: &'static str,
}

/// What became of a refresh.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refreshed {
    /// There was nothing new.
    Unchanged,
    /// The store moved to another snapshot.
    Changed,
    /// It failed; the old snapshot goes on being served.
    Failed,
}

impl Refreshed {
    const ALL: [Refreshed; 3] = [Refreshed::Unchanged, Refreshed::Changed, Refreshed::Failed];

    fn name(self) -> &'static str {
        match self {
            Refreshed::Unchanged => "unchanged",
            Refreshed::Changed => "changed",
            Refreshed::Failed => "failed",
        }
    }
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The numbers of one server.
pub(crate) struct Metrics {
    registry: Registry,
    running: Gauge,
    calls: Family<CallLabels, Counter>,
    call_seconds: Histograms<MethodLabel>,
    sent_bytes: Family<MethodLabel, Counter>,
    refused: Counter,
    queries: Family<QueryLabels, Counter>,
    query_seconds: Histograms<KindLabel>,
    rows: Family<KindLabel, Counter>,
    batches: Family<KindLabel, Counter>,
    chunks_read: Family<KindLabel, Counter>,
    bytes_read: Family<KindLabel, Counter>,
    datasets_pruned: Family<KindLabel, Counter>,
    refreshes: Family<RefreshLabels, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Numbers that are all zero, of a server of these stores; the collectors' come with them.
    pub(crate) fn new(stores: &[String], collectors: Vec<Box<dyn Collector>>) -> Self {
        fn histogram() -> Histogram {
            Histogram::new(SECONDS)
        }
        let mut metrics = Metrics {
            registry: Registry::default(),
            running: Gauge::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(histogram),
            sent_bytes: Family::default(),
            refused: Counter::default(),
            queries: Family::default(),
            query_seconds: Family::new_with_constructor(histogram),
            rows: Family::default(),
            batches: Family::default(),
            chunks_read: Family::default(),
            bytes_read: Family::default(),
            datasets_pruned: Family::default(),
            refreshes: Family::default(),
        };
        metrics.register();
        for collector in collectors {
            metrics.registry.register_collector(collector);
        }
        metrics.begin_at_zero(stores);
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("atlas_calls_running", "Calls that are being answered", self.running.clone());
        registry.register("atlas_calls", "Calls that ended, by method and gRPC code", self.calls.clone());
        let help = "Seconds from a call's beginning to the end of its answer";
        registry.register("atlas_call_duration_seconds", help, self.call_seconds.clone());
        registry.register("atlas_sent_bytes", "Bytes of answers, before TLS", self.sent_bytes.clone());
        let help = "Calls whose credentials were missing or wrong";
        registry.register("atlas_authentication_failures", help, self.refused.clone());
        let help = "Queries whose answer ended, by kind and gRPC code";
        registry.register("atlas_queries", help, self.queries.clone());
        let help = "Seconds from a query's DoGet to the end of its answer";
        registry.register("atlas_query_duration_seconds", help, self.query_seconds.clone());
        registry.register("atlas_rows_sent", "Rows of answers", self.rows.clone());
        registry.register("atlas_batches_sent", "Record batches of answers", self.batches.clone());
        registry.register("atlas_chunks_read", "Chunks that queries read", self.chunks_read.clone());
        registry.register("atlas_read_bytes", "Stored bytes of the chunks that queries read", self.bytes_read.clone());
        let help = "Datasets that queries left out by the catalog alone";
        registry.register("atlas_datasets_pruned", help, self.datasets_pruned.clone());
        registry.register("atlas_refreshes", "Looks for new snapshots, by outcome", self.refreshes.clone());
    }

    /// Makes the series that are sure to come, so that the first of an event is a step from zero.
    fn begin_at_zero(&self, stores: &[String]) {
        let ok = code_name(Code::Ok);
        for method in ["GetFlightInfo", "DoGet"] {
            drop(self.calls.get_or_create(&CallLabels { method, code: ok }));
            drop(self.call_seconds.get_or_create(&MethodLabel { method }));
            drop(self.sent_bytes.get_or_create(&MethodLabel { method }));
        }
        for kind in [Kind::Sql, Kind::Stacked].map(Kind::name) {
            let label = KindLabel { kind };
            drop(self.queries.get_or_create(&QueryLabels { kind, code: ok }));
            drop(self.query_seconds.get_or_create(&label));
            for counter in [&self.rows, &self.batches, &self.chunks_read, &self.bytes_read, &self.datasets_pruned] {
                drop(counter.get_or_create(&label));
            }
        }
        for store in stores {
            for outcome in Refreshed::ALL.map(Refreshed::name) {
                drop(self.refreshes.get_or_create(&RefreshLabels { store: store.clone(), outcome }));
            }
        }
    }

    /// Counts a call that begins.
    pub(super) fn begin(&self) {
        self.running.inc();
    }

    /// Counts a call that ended.
    pub(super) fn count(
        &self,
        method: &'static str,
        kind: Option<Kind>,
        code: &'static str,
        elapsed: Duration,
        counted: &Counted,
    ) {
        self.running.dec();
        self.calls.get_or_create(&CallLabels { method, code }).inc();
        self.call_seconds.get_or_create(&MethodLabel { method }).observe(elapsed.as_secs_f64());
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.sent_bytes.get_or_create(&MethodLabel { method }).inc_by(read(&counted.sent_bytes));
        if code == code_name(Code::Unauthenticated) {
            self.refused.inc();
        }
        // Other calls about a query plan it, and do not run it.
        let Some(kind) = kind.filter(|_| method == "DoGet").map(Kind::name) else { return };
        let label = KindLabel { kind };
        self.queries.get_or_create(&QueryLabels { kind, code }).inc();
        self.query_seconds.get_or_create(&label).observe(elapsed.as_secs_f64());
        self.rows.get_or_create(&label).inc_by(read(&counted.rows));
        self.batches.get_or_create(&label).inc_by(read(&counted.batches));
        self.chunks_read.get_or_create(&label).inc_by(read(&counted.chunks_read));
        self.bytes_read.get_or_create(&label).inc_by(read(&counted.bytes_read));
        self.datasets_pruned.get_or_create(&label).inc_by(read(&counted.datasets_pruned));
    }

    /// Counts a look for a new snapshot.
    pub(crate) fn refreshed(&self, store: &str, outcome: Refreshed) {
        self.refreshes.get_or_create(&RefreshLabels { store: store.to_owned(), outcome: outcome.name() }).inc();
    }

    /// All numbers, in the text format of OpenMetrics, which Prometheus reads.
    ///
    /// # Errors
    /// Where a collector fails.
    pub(super) fn to_text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
