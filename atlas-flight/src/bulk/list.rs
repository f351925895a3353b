//! ListFlights: the array families.

use super::request::StackedRequest;
use super::{plan, stores::Stores};
use crate::ticket::Sealer;
use arrow_flight::{FlightDescriptor, FlightInfo};
use futures::{Stream, StreamExt, stream};
use tonic::{Code, Status};

/// A FlightInfo for each array family of each store: what its path descriptor gives, planned when the stream comes to it.
///
/// A family that cannot be read whole (ranks differ, or one array is too large for a message) is no flight.
pub(crate) fn list(
    stores: &Stores,
    sealer: &Sealer,
) -> Result<impl Stream<Item = Result<FlightInfo, Status>> + Send + 'static, Status> {
    let mut paths = Vec::new();
    for store in stores.names() {
        let snapshot = stores.snapshot(store)?;
        paths.extend(snapshot.families().map(|family| vec![store.to_string(), family.name().to_string()]));
    }
    let (stores, sealer) = (stores.clone(), sealer.clone());
    Ok(stream::iter(paths).filter_map(move |path| {
        let (stores, sealer) = (stores.clone(), sealer.clone());
        async move { flight(&stores, &sealer, path).await.transpose() }
    }))
}

async fn flight(stores: &Stores, sealer: &Sealer, path: Vec<String>) -> Result<Option<FlightInfo>, Status> {
    let request = StackedRequest::from_path(&path)?;
    match plan(stores, sealer, request, FlightDescriptor::new_path(path)).await {
        Ok(info) => Ok(Some(info)),
        Err(status) if matches!(status.code(), Code::InvalidArgument | Code::ResourceExhausted) => {
            tracing::debug!(reason = status.message(), "not listed");
            Ok(None)
        }
        Err(status) => Err(status),
    }
}
