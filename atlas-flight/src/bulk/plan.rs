//! From a request to tickets: which datasets, in which layout, in how many parts.

use super::request::StackedRequest;
use super::stores::Stores;
use super::{column, coordinates, read, selection};
use crate::life::expiring;
use crate::limits::{self, Deadline, Limits};
use crate::observe::Call;
use crate::service::info::flight_info;
use crate::status;
use crate::ticket::{ColumnTicket, RegionTicket, Sealer, StackedTicket, runs_of};
use arrow_flight::{FlightDescriptor, FlightInfo};
use atlas_sql::Reads;
use atlas_store::{Region, Snapshot};
use std::sync::Arc;
use tonic::Status;

/// How many datasets are looked at together to see what they would read: what a plan takes of memory.
const ROWS_OF_A_PLAN: usize = 4096;

/// Plans a stacked read: its schema, exact totals, and one endpoint for each part, which all expire at the same time.
///
/// # Errors
/// `NOT_FOUND` and `INVALID_ARGUMENT` that name the store, dataset, array or field; `RESOURCE_EXHAUSTED` where it takes too
/// long, too many wait, or the read passes a limit.
pub(crate) async fn plan(
    stores: &Stores,
    sealer: &Sealer,
    request: StackedRequest,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    try_plan(stores, sealer, request, descriptor).await?
}

/// The same, with what is wrong with the request apart from what the server has no time or place for.
///
/// # Errors
/// `RESOURCE_EXHAUSTED` where planning takes too long, or too many wait.
pub(super) async fn try_plan(
    stores: &Stores,
    sealer: &Sealer,
    request: StackedRequest,
    descriptor: FlightDescriptor,
) -> Result<Result<FlightInfo, Status>, Status> {
    if let Some(call) = Call::current() {
        call.stacks();
    }
    if let Err(wrong) = request.check() {
        return Ok(Err(wrong));
    }
    let gate = Arc::clone(stores.gate());
    let deadline = Deadline::of(&gate.limits);
    let permit = deadline.within(gate.plans.admit()).await??;
    let planning = async {
        let snapshot = stores.snapshot(&request.store)?;
        let rows = selection::selected_rows(stores, &snapshot, &request).await?;
        let sealer = sealer.clone();
        // Coordinates are read from storage. The place goes along: a plan that is given up frees it no earlier than its
        // thread is free.
        let planned = tokio::task::spawn_blocking(move || {
            let _held_while_it_is_planned = permit;
            plan_rows(&snapshot, &sealer, &request, rows, descriptor, &gate.limits)
        });
        planned.await.map_err(|error| status::from_join(&error))?
    };
    deadline.within(planning).await
}

fn plan_rows(
    snapshot: &Snapshot,
    sealer: &Sealer,
    request: &StackedRequest,
    rows: Vec<u32>,
    descriptor: FlightDescriptor,
    limits: &Limits,
) -> Result<FlightInfo, Status> {
    let rows = selection::present_rows(snapshot, rows, &request.arrays, request.missing)?;
    let region = region_of(request)?;
    let columns = request
        .arrays
        .iter()
        .map(|array| column::layout(snapshot, array, &rows, region.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    check_reads(snapshot, &columns, region.as_ref(), &rows, limits)?;
    let coordinates = coordinates::find(snapshot, &columns, region.as_ref(), &rows)?;
    let life = sealer.begin()?;
    let whole = StackedTicket {
        store: request.store.clone(),
        snapshot: snapshot.number(),
        columns,
        region: region.map(|region| RegionTicket { start: region.start().to_vec(), shape: region.shape().to_vec() }),
        runs: Vec::new(),
        coordinates,
        life: None,
    };
    let parts = parts_of(&rows, request.partitions);
    let total_bytes = read::total_bytes(snapshot, &whole, &parts);
    limits::check_result(rows.len() as u64, u64::try_from(total_bytes).ok(), limits)?;
    let tickets = parts.iter().enumerate().map(|(number, part)| {
        let life = Some(life.part(number));
        sealer.stacked(&StackedTicket { runs: runs_of(part), life, ..whole.clone() })
    });
    let tickets = tickets.collect();
    // The schema is made of what the tickets say, as DoGet makes it.
    let schema = column::schema(&whole.columns, coordinates::to_json(snapshot, &whole.coordinates)?)?;
    let info = expiring(flight_info(&schema, tickets, descriptor)?, &life);
    let total_records = i64::try_from(rows.len()).unwrap_or(-1);
    Ok(FlightInfo { total_records, total_bytes, ..info })
}

/// Checks what of the store would be read.
fn check_reads(
    snapshot: &Snapshot,
    columns: &[ColumnTicket],
    region: Option<&Region>,
    rows: &[u32],
    limits: &Limits,
) -> Result<(), Status> {
    if limits.read_bytes.is_none() {
        return Ok(());
    }
    let mut reads = Reads::default();
    for column in columns {
        for some in rows.chunks(ROWS_OF_A_PLAN) {
            let plan =
                snapshot.plan_across(&[&column.array], some, region).map_err(|error| status::from_store(&error))?;
            reads.chunks = reads.chunks.saturating_add(plan.chunks());
            reads.bytes = reads.bytes.saturating_add(plan.bytes());
        }
    }
    limits::check_reads(reads, limits.read_bytes)
}

fn region_of(request: &StackedRequest) -> Result<Option<Region>, Status> {
    let Some(shape) = request.shape.clone() else { return Ok(None) };
    let start = request.start.clone().unwrap_or_else(|| vec![0; shape.len()]);
    Region::try_new(start, shape).map(Some).map_err(|error| status::from_store(&error))
}

/// Cuts rows into at most `count` runs of about equal length; one empty run where there are no rows.
fn parts_of(rows: &[u32], count: u32) -> Vec<&[u32]> {
    let count = usize::try_from(count).unwrap_or(usize::MAX).clamp(1, rows.len().max(1));
    (0..count).map(|part| &rows[part * rows.len() / count..(part + 1) * rows.len() / count]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_and_cover_all_rows() {
        let rows: Vec<u32> = (0..10).collect();
        for count in [1, 3, 4, 10, 50] {
            let parts = parts_of(&rows, count);
            assert_eq!(parts.concat(), rows);
            assert!(parts.iter().all(|part| !part.is_empty()) && parts.len() <= 10);
        }
        assert_eq!(parts_of(&[], 4), vec![&[] as &[u32]]);
    }
}
