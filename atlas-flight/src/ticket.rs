//! Tickets: what a client carries from GetFlightInfo to DoGet.
//!
//! A ticket says everything that DoGet needs, so that any server which serves the same store and has the same key can redeem
//! it, as often as a client likes. It is signed, and good for the user whom it was given to. The handle of a prepared
//! statement is one, too. [`Sealer`] makes them all, and [`Tickets`] accepts them.

use crate::auth::{Caller, Key, OpenError, Opened, Purpose};
use crate::running::{Run, Running};
use crate::status;
use arrow_flight::Ticket;
use bytes::Bytes;
use prost::Message;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tonic::{Code, Status};

/// Begins each ticket of a stacked read. Flight SQL tickets are protobuf `Any` messages and begin with another byte.
const STACKED_MAGIC: &[u8] = b"ATS2";

/// A part of a stacked read: some datasets of one snapshot, and the columns to make of them.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StackedTicket {
    /// The store's name on the server.
    #[prost(string, tag = "1")]
    pub(crate) store: String,
    /// The snapshot in which the read was planned.
    #[prost(uint64, tag = "2")]
    pub(crate) snapshot: u64,
    /// The arrays to read.
    #[prost(message, repeated, tag = "3")]
    pub(crate) columns: Vec<ColumnTicket>,
    /// The region to read of each; whole arrays where it is absent.
    #[prost(message, optional, tag = "4")]
    pub(crate) region: Option<RegionTicket>,
    /// The datasets' rows as runs of consecutive ones: how far from the last run's end each starts, and its length.
    #[prost(sint64, repeated, tag = "5")]
    pub(crate) runs: Vec<i64>,
    /// The coordinates that the schema's metadata holds.
    #[prost(message, repeated, tag = "6")]
    pub(crate) coordinates: Vec<CoordinateTicket>,
    /// Which part of which query this is, and until when it is good.
    #[prost(message, optional, tag = "7")]
    pub(crate) life: Option<Life>,
}

/// Which query a ticket is of, and until when it is good.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Life {
    /// The query's id, the same in all of its tickets.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) query: Bytes,
    /// The ticket's number among them.
    #[prost(uint32, tag = "2")]
    pub(crate) part: u32,
    /// When it ends, in milliseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub(crate) expires_ms: u64,
}

/// What a query means apart from its text: what was in force when its ticket or handle was made.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SettingsTicket {
    /// The name of the format of array columns.
    #[prost(string, tag = "1")]
    pub(crate) array_format: String,
    /// The schema of tables that are named without one.
    #[prost(string, tag = "2")]
    pub(crate) schema: String,
    /// Whether datasets that do not contain a region give null; they fail the query otherwise.
    #[prost(bool, tag = "3")]
    pub(crate) null_out_of_bounds: bool,
}

/// One column of a stacked read.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ColumnTicket {
    /// The array's name.
    #[prost(string, tag = "1")]
    pub(crate) array: String,
    /// Its dtype's name.
    #[prost(string, tag = "2")]
    pub(crate) dtype: String,
    /// The dimensions' names.
    #[prost(string, repeated, tag = "3")]
    pub(crate) dims: Vec<String>,
    /// The shape of each value; empty where it varies from dataset to dataset.
    #[prost(uint64, repeated, tag = "4")]
    pub(crate) shape: Vec<u64>,
    /// Whether shapes vary.
    #[prost(bool, tag = "5")]
    pub(crate) ragged: bool,
    /// Whether datasets that lack the array have a null.
    #[prost(bool, tag = "6")]
    pub(crate) nullable: bool,
    /// The fill value as text, where all datasets have the same.
    #[prost(string, optional, tag = "7")]
    pub(crate) fill_value: Option<String>,
}

/// A region.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegionTicket {
    /// The first cell of each dimension.
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) start: Vec<u64>,
    /// The number of cells of each dimension.
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) shape: Vec<u64>,
}

/// A coordinate of the slice, equal in all of the read's datasets.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CoordinateTicket {
    /// The dimension, and the array that holds the coordinate.
    #[prost(string, tag = "1")]
    pub(crate) dim: String,
    /// A dataset's row to read it from.
    #[prost(uint32, tag = "2")]
    pub(crate) row: u32,
    /// The first cell.
    #[prost(uint64, tag = "3")]
    pub(crate) start: u64,
    /// The number of cells.
    #[prost(uint64, tag = "4")]
    pub(crate) len: u64,
}

/// A query to run: what the statement handle of a Flight SQL ticket holds.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatementTicket {
    /// The query, its parameters as `$1`, `$2`, …
    #[prost(string, tag = "1")]
    pub(crate) sql: String,
    /// The parameters' values: one row of an Arrow IPC stream; empty where there are none.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) parameters: Bytes,
    /// What else the query means.
    #[prost(message, optional, tag = "3")]
    pub(crate) settings: Option<SettingsTicket>,
    /// Which query this is, and until when the ticket is good.
    #[prost(message, optional, tag = "4")]
    pub(crate) life: Option<Life>,
}

/// A prepared statement: what its handle holds.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PreparedTicket {
    /// The query, its parameters as `$1`, `$2`, …
    #[prost(string, tag = "1")]
    pub(crate) sql: String,
    /// How many parameters it has.
    #[prost(uint64, tag = "2")]
    pub(crate) parameter_count: u64,
    /// Tells statements of the same text apart.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) id: Bytes,
    /// The values that were bound when the handle was made, as in [`StatementTicket`].
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) parameters: Bytes,
    /// What else the query means.
    #[prost(message, optional, tag = "5")]
    pub(crate) settings: Option<SettingsTicket>,
}

/// Accepts tickets, and gives what makes them.
#[derive(Clone)]
pub(crate) struct Tickets {
    key: Key,
    lifetime: Duration,
    running: Arc<Running>,
}

impl Tickets {
    /// Tickets signed with this key, good for this long.
    pub(crate) fn new(key: Key, lifetime: Duration) -> Self {
        Tickets { key, lifetime, running: Arc::default() }
    }

    /// For how long a ticket is good.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The streams that run for tickets.
    pub(crate) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// Makes tickets for one caller.
    pub(crate) fn sealer(&self, caller: &Caller) -> Sealer {
        Sealer { key: self.key.clone(), caller: caller.clone(), lifetime: self.lifetime }
    }

    /// Begins to redeem a ticket: its stream can be cancelled from now on.
    ///
    /// # Errors
    /// `NOT_FOUND` where it has expired, `CANCELLED` where its query has been.
    pub(crate) fn redeem(&self, life: Option<&Life>) -> Result<Run, Status> {
        let life = life.cloned().unwrap_or_default();
        life.check(SystemTime::now())?;
        self.running.start(life.id())
    }

    /// The part of a stacked read that a ticket names; `None` where it is a ticket of another kind.
    ///
    /// # Errors
    /// As [`Tickets::open`].
    pub(crate) fn open_stacked(&self, caller: &Caller, ticket: &Ticket) -> Result<Option<StackedTicket>, Status> {
        let sealed = ticket.ticket.strip_prefix(STACKED_MAGIC);
        sealed.map(|sealed| self.open(Purpose::Stacked, caller, sealed)).transpose()
    }

    /// The message that `caller` brought back.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` where the bytes are none that a [`Sealer`] makes, `PERMISSION_DENIED` where they were changed,
    /// signed with another key, or given to another user.
    pub(crate) fn open<M: Message + Default>(
        &self,
        purpose: Purpose,
        caller: &Caller,
        bytes: &[u8],
    ) -> Result<M, Status> {
        let what = if purpose == Purpose::Prepared { "prepared statement" } else { "ticket" };
        let refused = |code: Code, why: &str| status::status(code, &format!("the {what} {why}"));
        match self.key.open(purpose, bytes) {
            Ok(Opened { user, message }) if *user == *caller.user => Ok(message),
            Ok(_) => Err(refused(Code::PermissionDenied, "was given to another user")),
            Err(OpenError::Forged) => Err(refused(
                Code::PermissionDenied,
                "is not one that this server gave, or the server has another key since: ask for a new one",
            )),
            Err(OpenError::Malformed) => Err(refused(Code::InvalidArgument, "is not one that this server gave")),
        }
    }
}

/// Makes the tickets of one caller.
#[derive(Clone)]
pub(crate) struct Sealer {
    key: Key,
    caller: Caller,
    lifetime: Duration,
}

impl Sealer {
    /// The life of a new query's first ticket.
    ///
    /// # Errors
    /// `INTERNAL` where the system gives no random bytes.
    pub(crate) fn begin(&self) -> Result<Life, Status> {
        Life::begin(SystemTime::now(), self.lifetime)
    }

    /// The bytes that the caller carries for `message`.
    pub(crate) fn seal(&self, purpose: Purpose, message: &impl Message) -> Bytes {
        self.key.seal(purpose, &self.caller.user, message).into()
    }

    /// The ticket of a part of a stacked read.
    pub(crate) fn stacked(&self, ticket: &StackedTicket) -> Ticket {
        let mut bytes = STACKED_MAGIC.to_vec();
        bytes.extend(self.seal(Purpose::Stacked, ticket));
        Ticket::new(bytes)
    }
}

/// Datasets' rows as [`StackedTicket::runs`].
pub(crate) fn runs_of(rows: &[u32]) -> Vec<i64> {
    let mut runs: Vec<i64> = Vec::new();
    let mut end = 0i64;
    for &row in rows {
        let row = i64::from(row);
        match runs.last_mut() {
            Some(len) if row == end => *len += 1,
            _ => runs.extend([row - end, 1]),
        }
        end = row + 1;
    }
    runs
}

/// The rows that `runs` stand for, each below `dataset_count`.
///
/// # Errors
/// `INVALID_ARGUMENT` where the runs are not well formed.
pub(crate) fn rows_of(runs: &[i64], dataset_count: usize) -> Result<Vec<u32>, Status> {
    let malformed = || Status::invalid_argument("the ticket's datasets are not those of this store");
    let mut rows = Vec::new();
    let mut end = 0i64;
    for run in runs.chunks(2) {
        let &[gap, len] = run else { return Err(malformed()) };
        let start = end.checked_add(gap).ok_or_else(malformed)?;
        end = start.checked_add(len).ok_or_else(malformed)?;
        let in_store = start >= 0 && len > 0 && usize::try_from(end).is_ok_and(|end| end <= dataset_count);
        // A dataset occurs once in a read.
        if !in_store || rows.len() + usize::try_from(len).unwrap_or(usize::MAX) > dataset_count {
            return Err(malformed());
        }
        for row in start..end {
            rows.push(u32::try_from(row).map_err(|_| malformed())?);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn rows_survive_their_runs() {
        for rows in [vec![], vec![0], vec![3, 4, 5, 9, 1, 2], vec![9, 8, 7], (0..1000).collect()] {
            assert_eq!(rows_of(&runs_of(&rows), 1000).unwrap(), rows);
        }
        assert_eq!(runs_of(&(0..1_000_000).collect::<Vec<_>>()).len(), 2);
    }

    #[test]
    fn runs_outside_the_store_are_refused() {
        for runs in [vec![0], vec![0, 11], vec![-1, 1], vec![0, 0], vec![0, -1], vec![i64::MAX, i64::MAX], vec![9, 2]] {
            assert_eq!(rows_of(&runs, 10).unwrap_err().code(), Code::InvalidArgument, "{runs:?}");
        }
        assert!(rows_of(&[0, 10, -10, 10], 10).is_err());
    }

    #[test]
    fn tickets_are_good_for_their_user_and_nobody_else() {
        let tickets = Tickets::new(Key::random().unwrap(), HOUR);
        let (ann, bob) = (Caller::new("ann", Arc::default()), Caller::new("bob", Arc::default()));
        let read = StackedTicket { store: "fleet".into(), ..StackedTicket::default() };
        let ticket = tickets.sealer(&ann).stacked(&read);
        assert_eq!(tickets.open_stacked(&ann, &ticket).unwrap().unwrap().store, "fleet");
        let replica = tickets.clone();
        assert!(replica.open_stacked(&ann, &ticket).is_ok());
        for refused in [
            tickets.open_stacked(&bob, &ticket),
            tickets.open_stacked(&Caller::anybody(), &ticket),
            Tickets::new(Key::random().unwrap(), HOUR).open_stacked(&ann, &ticket),
            tickets.open_stacked(&ann, &Ticket::new(ticket.ticket.slice(..ticket.ticket.len() - 1))),
        ] {
            assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        }
        let short = Ticket::new(ticket.ticket.slice(..20));
        assert_eq!(tickets.open_stacked(&ann, &short).unwrap_err().code(), Code::InvalidArgument);
        assert!(tickets.open_stacked(&ann, &Ticket::new("\nother")).unwrap().is_none());
        let statement = tickets.sealer(&ann).seal(Purpose::Statement, &StatementTicket::default());
        let crossed = tickets.open::<PreparedTicket>(Purpose::Prepared, &ann, &statement);
        assert_eq!(crossed.unwrap_err().code(), Code::PermissionDenied);
    }
}
