//! The flags that say what queries may take of a server.

use atlas_flight::Limits;
use clap::Args;
use std::time::Duration;

/// What queries may take of a server; 0 is no limit.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits (0: no limit)")]
pub(crate) struct LimitFlags {
    /// Seconds that a query may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    query_timeout: u64,
    /// MiB that sorts, joins and aggregations of one query may hold before they spill to disk, or fail
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    query_memory: usize,
    /// MiB that a query may read of stores, by its plan
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    max_read: u64,
    /// Rows that a result may have
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    max_result_rows: u64,
    /// MiB that a result may have
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    max_result: u64,
    /// MiB that an upload may have
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    max_upload: u64,
    /// Queries that run at a time
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    max_queries: usize,
    /// Queries that wait for one of those to end
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    max_waiting: usize,
    /// Queries and stacked reads that are planned at a time; four times as many wait for that
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    max_plans: usize,
    /// Stacked reads that are delivered at a time
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    max_bulk_reads: usize,
    /// Seconds that a client may take nothing of a result or a stacked read
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    idle_timeout: u64,
    /// Connections at a time; further ones are closed
    #[arg(long, value_name = "COUNT", default_value_t = 1024)]
    max_connections: usize,
    /// MiB that one message of a request may have
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    max_message: usize,
    /// Wrong passwords for one user from one address within a minute; ten times as many for all users
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    max_login_failures: u32,
}

impl LimitFlags {
    pub(crate) fn limits(&self) -> Limits {
        let counted = |count: usize| if count > 0 { count } else { usize::MAX };
        let mebibytes = |count: u64| (count > 0).then(|| count.saturating_mul(1 << 20));
        Limits {
            timeout: (self.query_timeout > 0).then(|| Duration::from_secs(self.query_timeout)),
            memory_bytes: (self.query_memory > 0).then(|| self.query_memory.saturating_mul(1 << 20)),
            result_rows: Some(self.max_result_rows).filter(|rows| *rows > 0),
            result_bytes: mebibytes(self.max_result),
            read_bytes: mebibytes(self.max_read),
            upload_bytes: mebibytes(self.max_upload),
            queries: counted(self.max_queries),
            waiting_queries: counted(self.max_waiting),
            plans: counted(self.max_plans),
            bulk_reads: counted(self.max_bulk_reads),
            idle_timeout: (self.idle_timeout > 0).then(|| Duration::from_secs(self.idle_timeout)),
            connections: counted(self.max_connections),
            message_bytes: counted(self.max_message.saturating_mul(1 << 20)),
            login_failures: Some(self.max_login_failures).filter(|failures| *failures > 0),
        }
    }
}
