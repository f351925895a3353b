//! Numbers that are looked up when they are asked for.

use crate::limits::Gate;
use atlas_store::{CacheTotals, Store};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The state of each store, and how many queries run and wait.
#[derive(Debug)]
pub(crate) struct StoreNumbers {
    stores: Vec<(String, Store)>,
    gate: Arc<Gate>,
}

impl StoreNumbers {
    /// Of these stores, and the queries of all of them.
    pub(crate) fn new(stores: Vec<(String, Store)>, gate: Arc<Gate>) -> Self {
        StoreNumbers { stores, gate }
    }

    /// A number of each store.
    fn each(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, kind): (&str, &str, MetricType),
        number: impl Fn(&Store) -> u64,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        for (name, store) in &self.stores {
            let (labels, number) = ([("store", name.as_str())], number(store));
            let encoder = family.encode_family(&labels)?;
            match kind {
                MetricType::Counter => ConstCounter::new(number).encode(encoder)?,
                _ => ConstGauge::new(to_gauge(number)).encode(encoder)?,
            }
        }
        Ok(())
    }
}

impl Collector for StoreNumbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let cached = |number: fn(CacheTotals) -> u64| move |store: &Store| number(store.cache_totals());
        let (gauge, counter) = (MetricType::Gauge, MetricType::Counter);
        let help = "Datasets in the snapshot that is served";
        self.each(encoder, ("atlas_store_datasets", help, gauge), |store| store.snapshot().dataset_count() as u64)?;
        let help = "Number of the snapshot that is served";
        self.each(encoder, ("atlas_store_snapshot", help, gauge), |store| store.snapshot().number())?;
        let help = "Bytes of decoded pages in the cache";
        self.each(encoder, ("atlas_cache_bytes", help, gauge), cached(|totals| totals.bytes))?;
        let help = "Bytes that the cache holds at most";
        self.each(encoder, ("atlas_cache_capacity_bytes", help, gauge), cached(|totals| totals.capacity_bytes))?;
        let help = "Pages that were found in the cache";
        self.each(encoder, ("atlas_cache_hits", help, counter), cached(|totals| totals.hits))?;
        let help = "Pages that were looked for in the cache in vain";
        self.each(encoder, ("atlas_cache_misses", help, counter), cached(|totals| totals.misses))?;
        let (running, waiting) = self.gate.queries.counts();
        gauge_of(encoder, "atlas_queries_running", "SQL queries that run", running as u64)?;
        gauge_of(encoder, "atlas_queries_waiting", "SQL queries that wait for one of those to end", waiting as u64)
    }
}

/// The process and the program.
#[derive(Debug)]
pub(crate) struct ProcessNumbers {
    began_seconds: u64,
}

impl ProcessNumbers {
    /// Of this process, whose server begins now.
    pub(crate) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        ProcessNumbers { began_seconds: since.map_or(0, |since| since.as_secs()) }
    }
}

impl Collector for ProcessNumbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let mut info =
            encoder.encode_descriptor("atlas_build_info", "The program's version", None, MetricType::Gauge)?;
        ConstGauge::new(1i64).encode(info.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)?;
        let help = "When the server began, in seconds since 1970";
        gauge_of(encoder, "atlas_start_time_seconds", help, self.began_seconds)?;
        if let Some(bytes) = resident_bytes() {
            gauge_of(encoder, "process_resident_memory_bytes", "Memory that the process occupies", bytes)?;
        }
        if let Some(files) = open_files() {
            gauge_of(encoder, "process_open_fds", "Files and connections that the process has open", files)?;
        }
        Ok(())
    }
}

fn gauge_of(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, number: u64) -> fmt::Result {
    ConstGauge::new(to_gauge(number)).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn to_gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Linux tells; where nothing does, the number is left out.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn open_files() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}
