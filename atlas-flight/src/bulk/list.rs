//! ListFlights: the array families, or the arrays of datasets.

use super::criteria::ListRequest;
use super::request::{Missing, StackedRequest};
use super::{plan, stores::Stores};
use crate::limits::Deadline;
use crate::status;
use crate::ticket::Sealer;
use arrow_flight::{FlightDescriptor, FlightInfo};
use atlas_store::Snapshot;
use futures::{Stream, StreamExt, stream};
use tonic::{Code, Status};

/// The most flights of one listing.
const MAX_FLIGHTS: usize = 100_000;

/// The rows of the datasets that a listing is about; all of them where it says nothing.
type Rows = Option<Vec<u32>>;

/// A FlightInfo for each array family, or each dataset's array, that the request accepts: what its descriptor gives, planned
/// when the stream comes to it. The stream counts as a stacked read.
///
/// A family that cannot be read whole (ranks differ, or one array is too large for a message, or it passes a limit) is no
/// flight, nor is what was deleted since the listing began.
///
/// # Errors
/// `NOT_FOUND` for a store that is not served, `INVALID_ARGUMENT` for a predicate that is not one, `RESOURCE_EXHAUSTED` for
/// more flights than one listing has, and where too many run.
pub(crate) async fn list(
    stores: &Stores,
    sealer: &Sealer,
    request: ListRequest,
) -> Result<impl Stream<Item = Result<FlightInfo, Status>> + Send + 'static, Status> {
    let permit = stores.gate().bulk_reads.admit().await?;
    let names = match &request.store {
        Some(store) => vec![store.clone()],
        None => stores.names().map(str::to_string).collect(),
    };
    let mut flights = Vec::new();
    for store in names {
        let snapshot = stores.snapshot(&store)?;
        let rows = selected(stores, &snapshot, &request).await?;
        let left = MAX_FLIGHTS - flights.len();
        // Names are looked up, for many datasets.
        let (wanted, named) = (request.clone(), store.clone());
        let listed = tokio::task::spawn_blocking(move || paths(&named, &snapshot, &wanted, rows.as_deref(), left));
        flights.extend(listed.await.map_err(|error| status::from_join(&error))??);
    }
    let (stores, sealer) = (stores.clone(), sealer.clone());
    Ok(stream::iter(flights).filter_map(move |path| {
        let _held_while_it_is_listed = &permit;
        let (stores, sealer, request) = (stores.clone(), sealer.clone(), request.clone());
        async move { flight(&stores, &sealer, &request, path).await.transpose() }
    }))
}

/// The datasets that the request's predicate accepts.
async fn selected(stores: &Stores, snapshot: &Snapshot, request: &ListRequest) -> Result<Rows, Status> {
    let Some(predicate) = &request.where_ else { return Ok(None) };
    let deadline = Deadline::of(&stores.gate().limits);
    let _place = deadline.within(stores.gate().plans.admit()).await??;
    deadline.within(stores.select(snapshot, predicate)).await?.map(Some)
}

/// The paths of one store's flights: `[store, array]`, or `[store, array, dataset]`.
fn paths(
    store: &str,
    snapshot: &Snapshot,
    request: &ListRequest,
    rows: Option<&[u32]>,
    most: usize,
) -> Result<Vec<Vec<String>>, Status> {
    let mut paths = Vec::new();
    for family in snapshot.families().filter(|family| request.accepts(family.name())) {
        if request.datasets {
            let rows = rows.unwrap_or(family.rows());
            let present = rows.iter().filter(|row| family.entry(**row).is_some());
            let path = |row: &u32| vec![store.into(), family.name().into(), snapshot.dataset_name(*row).into()];
            paths.extend(present.take(most + 1 - paths.len()).map(path));
        } else {
            paths.push(vec![store.into(), family.name().into()]);
        }
        if paths.len() > most {
            let message = format!(
                "there are more than {MAX_FLIGHTS} flights, the limit of one listing: give \"array\" or \"where\" in the \
                 criteria"
            );
            return Err(status::status(Code::ResourceExhausted, &message));
        }
    }
    Ok(paths)
}

async fn flight(
    stores: &Stores,
    sealer: &Sealer,
    listed: &ListRequest,
    path: Vec<String>,
) -> Result<Option<FlightInfo>, Status> {
    let mut request = StackedRequest::from_path(&path)?;
    let descriptor = match &listed.where_ {
        // No path says which datasets of a family.
        Some(predicate) if !listed.datasets => {
            request.where_ = Some(predicate.clone());
            request.missing = Missing::Skip;
            FlightDescriptor::new_cmd(request.to_command())
        }
        _ => FlightDescriptor::new_path(path),
    };
    match plan::try_plan(stores, sealer, request, descriptor).await? {
        Ok(info) => Ok(Some(info)),
        Err(status) if matches!(status.code(), Code::InvalidArgument | Code::ResourceExhausted | Code::NotFound) => {
            tracing::debug!(reason = status.message(), "not listed");
            Ok(None)
        }
        Err(status) => Err(status),
    }
}
