//! ListFlights: the array families.

use super::request::StackedRequest;
use super::{plan, stores::Stores};
use arrow_flight::{FlightDescriptor, FlightInfo};
use futures::{Stream, StreamExt, stream};
use tonic::Status;

/// A FlightInfo for each array family of each store: what its path descriptor gives, planned when the stream comes to it.
pub(crate) fn list(stores: &Stores) -> Result<impl Stream<Item = Result<FlightInfo, Status>> + Send + 'static, Status> {
    let mut paths = Vec::new();
    for store in stores.names() {
        let snapshot = stores.snapshot(store)?;
        paths.extend(snapshot.families().map(|family| vec![store.to_string(), family.name().to_string()]));
    }
    let stores = stores.clone();
    Ok(stream::iter(paths).then(move |path| {
        let stores = stores.clone();
        async move { plan(&stores, StackedRequest::from_path(&path)?, FlightDescriptor::new_path(path)).await }
    }))
}
