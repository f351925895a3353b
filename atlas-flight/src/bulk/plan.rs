//! From a request to tickets: which datasets, in which layout, in how many parts.

use super::request::StackedRequest;
use super::stores::Stores;
use super::{column, coordinates, read, selection};
use crate::observe::Call;
use crate::service::info::flight_info;
use crate::status;
use crate::ticket::{RegionTicket, Sealer, StackedTicket, runs_of};
use arrow_flight::{FlightDescriptor, FlightInfo};
use atlas_store::{Region, Snapshot};
use tonic::Status;

/// Plans a stacked read: its schema, exact totals, and one endpoint for each part.
///
/// # Errors
/// `NOT_FOUND` and `INVALID_ARGUMENT` that name the store, dataset, array or field.
pub(crate) async fn plan(
    stores: &Stores,
    sealer: &Sealer,
    request: StackedRequest,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    if let Some(call) = Call::current() {
        call.stacks();
    }
    request.check()?;
    let snapshot = stores.snapshot(&request.store)?;
    let rows = selection::selected_rows(stores, &snapshot, &request).await?;
    // Coordinates are read from storage.
    let sealer = sealer.clone();
    let planned = tokio::task::spawn_blocking(move || plan_rows(&snapshot, &sealer, &request, rows, descriptor)).await;
    planned.map_err(|error| status::from_join(&error))?
}

fn plan_rows(
    snapshot: &Snapshot,
    sealer: &Sealer,
    request: &StackedRequest,
    rows: Vec<u32>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let rows = selection::present_rows(snapshot, rows, &request.arrays, request.missing)?;
    let region = region_of(request)?;
    let columns = request
        .arrays
        .iter()
        .map(|array| column::layout(snapshot, array, &rows, region.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let coordinates = coordinates::find(snapshot, &columns, region.as_ref(), &rows)?;
    let whole = StackedTicket {
        store: request.store.clone(),
        snapshot: snapshot.number(),
        columns,
        region: region.map(|region| RegionTicket { start: region.start().to_vec(), shape: region.shape().to_vec() }),
        runs: Vec::new(),
        coordinates,
    };
    let parts = parts_of(&rows, request.partitions);
    let total_bytes = read::total_bytes(snapshot, &whole, &parts);
    let tickets =
        parts.iter().map(|part| sealer.stacked(&StackedTicket { runs: runs_of(part), ..whole.clone() })).collect();
    // The schema is made of what the tickets say, as DoGet makes it.
    let schema = column::schema(&whole.columns, coordinates::to_json(snapshot, &whole.coordinates)?)?;
    let info = flight_info(&schema, tickets, descriptor)?;
    let total_records = i64::try_from(rows.len()).unwrap_or(-1);
    Ok(FlightInfo { total_records, total_bytes, ..info })
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
