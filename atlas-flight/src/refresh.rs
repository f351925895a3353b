//! Following the writers of the stores.

use crate::bulk::Given;
use crate::observe::{Metrics, Refreshed};
use atlas_store::{ErrorKind, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Moves `store` to its newest snapshot again and again, with `every` between. Queries that run keep the snapshot they have.
/// What fails is logged and counted, and the old snapshot goes on being served.
pub(crate) async fn follow(name: String, store: Store, every: Duration, metrics: Arc<Metrics>, given: Arc<Given>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is at once, and the store was just opened.
    ticks.tick().await;
    let mut fails = false;
    loop {
        ticks.tick().await;
        given.forget_old();
        let looked = store.clone();
        let outcome = match tokio::task::spawn_blocking(move || looked.refresh()).await {
            Ok(Ok(true)) => {
                let snapshot = store.snapshot();
                let (number, datasets) = (snapshot.number(), snapshot.dataset_count());
                tracing::info!(store = name, snapshot = number, datasets, "a new snapshot is served");
                Refreshed::Changed
            }
            Ok(Ok(false)) => Refreshed::Unchanged,
            // Changes of this server are under way: the flush moves to the newest snapshot.
            Ok(Err(error)) if error.kind() == ErrorKind::Conflict => Refreshed::Unchanged,
            Ok(Err(error)) => {
                tracing::warn!(store = name, %error, "refresh failed, the old snapshot is served");
                Refreshed::Failed
            }
            Err(error) => {
                tracing::error!(store = name, %error, "refresh failed, the old snapshot is served");
                Refreshed::Failed
            }
        };
        if std::mem::replace(&mut fails, matches!(outcome, Refreshed::Failed)) && !fails {
            tracing::info!(store = name, "refresh works again");
        }
        metrics.refreshed(&name, outcome);
    }
}
