//! The actions that change a store, or say what there is of it; bodies and answers are JSON objects.

use super::attributes;
use super::writers::Writers;
use crate::auth::Caller;
use crate::status;
use arrow_flight::Action;
use atlas_store::{Attribute, CompactOptions, CompactReport, Snapshot, Store};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tonic::{Code, Status};

/// Every such action, and what it does.
pub(crate) const ACTIONS: [(&str, &str); 7] = [
    ("create_dataset", r#"create datasets; body: {"store", "dataset" or "datasets", "attributes": {...}?}"#),
    ("delete_dataset", r#"delete datasets; body: {"store", "dataset" or "datasets"}"#),
    (
        "set_attributes",
        r#"set attributes, null removes; body: {"store", "dataset" or "datasets", "attributes": {...}}"#,
    ),
    ("flush", r#"the snapshot that holds all that was acknowledged; body: {"store"}"#),
    ("compact", r#"give back the space of what was deleted; body: {"store", "retention_seconds": 3600?}"#),
    ("refresh", r#"go to the newest snapshot, after other writers; body: {"store"}"#),
    ("stats", r#"what the store holds; body: {"store"}"#),
];

/// The body of an action that only names its store.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfStore {
    store: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfDatasets {
    store: String,
    dataset: Option<String>,
    datasets: Option<Vec<String>>,
    attributes: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compaction {
    store: String,
    retention_seconds: Option<u64>,
}

/// What a call changes.
struct Change {
    store: String,
    datasets: Vec<String>,
    attributes: Vec<(String, Option<Attribute>)>,
}

/// Runs an action of [`ACTIONS`]; gives its answer, `None` for another action. What changed is durable then.
///
/// # Errors
/// `PERMISSION_DENIED` on a server that only reads, and where the caller's role does not allow it; `INVALID_ARGUMENT` for a
/// body that is not its own; those of the store, which is then as it was.
pub(crate) async fn run(writers: &Writers, caller: &Caller, action: &Action) -> Result<Option<Bytes>, Status> {
    let kind = action.r#type.as_str();
    if !ACTIONS.iter().any(|(name, _)| *name == kind) {
        return Ok(None);
    }
    writers.check(kind)?;
    let answer = match kind {
        "create_dataset" => change(writers, caller, action, create).await,
        "delete_dataset" => change(writers, caller, action, delete).await,
        "set_attributes" => change(writers, caller, action, set_attributes).await,
        "compact" => {
            let Compaction { store, retention_seconds } = body(action)?;
            let default = CompactOptions::default();
            let retention = retention_seconds.map_or(default.retention, Duration::from_secs);
            let turn = writers.turn(caller, &store, kind).await?;
            turn.run(move |store| compact(store, CompactOptions { retention })).await
        }
        _ => {
            let OfStore { store } = body(action)?;
            let turn = writers.turn(caller, &store, kind).await?;
            let (kind, moved) = (kind.to_string(), turn.moved());
            turn.run(move |store| {
                let snapshot = store.snapshot();
                Ok(match kind.as_str() {
                    "refresh" => json!({ "snapshot": snapshot.number(), "changed": moved }),
                    "stats" => stats(store, &snapshot),
                    // Whatever was acknowledged is in a snapshot.
                    _ => json!({ "snapshot": snapshot.number() }),
                })
            })
            .await
        }
    }?;
    Ok(Some(answer.to_string().into()))
}

async fn change(
    writers: &Writers,
    caller: &Caller,
    action: &Action,
    apply: fn(&Store, &Change) -> atlas_store::Result<()>,
) -> Result<Value, Status> {
    let kind = action.r#type.as_str();
    let invalid = |message: String| Err(status::status(Code::InvalidArgument, &message));
    let OfDatasets { store, dataset, datasets, attributes } = body(action)?;
    let datasets = match (dataset, datasets) {
        (Some(dataset), None) => vec![dataset],
        (None, Some(datasets)) if !datasets.is_empty() => datasets,
        _ => return invalid(format!("{kind} takes a dataset, or a list of datasets that is not empty")),
    };
    let attributes = match attributes {
        Some(_) if kind == "delete_dataset" => return invalid(format!("{kind} takes no attributes")),
        None if kind == "set_attributes" => return invalid(format!("{kind} takes attributes")),
        attributes => attributes.unwrap_or_default(),
    };
    let read = |(key, value): (&String, &Value)| Ok((key.clone(), attributes::from_json(key, value)?));
    let attributes = attributes.iter().map(read).collect::<Result<Vec<_>, Status>>()?;
    let change = Change { store, datasets, attributes };
    let turn = writers.turn(caller, &change.store, kind).await?;
    let count = change.datasets.len();
    let ((), report) =
        turn.commit(move |store| apply(store, &change).map_err(|error| status::from_store(&error))).await?;
    Ok(json!({ "snapshot": report.snapshot, "datasets": count }))
}

fn create(store: &Store, change: &Change) -> atlas_store::Result<()> {
    change.datasets.iter().try_for_each(|dataset| store.create_dataset(dataset))?;
    set_attributes(store, change)
}

fn delete(store: &Store, change: &Change) -> atlas_store::Result<()> {
    change.datasets.iter().try_for_each(|dataset| store.delete_dataset(dataset))
}

fn set_attributes(store: &Store, change: &Change) -> atlas_store::Result<()> {
    for dataset in &change.datasets {
        for (key, value) in &change.attributes {
            match value {
                Some(value) => store.set_attribute(dataset, key, value.clone())?,
                None => {
                    store.remove_attribute(dataset, key)?;
                }
            }
        }
    }
    Ok(())
}

fn compact(store: &Store, options: CompactOptions) -> Result<Value, Status> {
    let report = store.compact(options).map_err(|error| status::from_store(&error))?;
    Ok(compacted(&report))
}

/// What a compaction did, as the action and `atlas compact --json` say it.
pub fn compacted(report: &CompactReport) -> Value {
    json!({
        "snapshot": report.snapshot,
        "families": report.families,
        "bytes_before": report.bytes_before,
        "bytes_after": report.bytes_after,
        "reclaimed_bytes": report.reclaimed_bytes(),
        "deleted_objects": report.deleted_objects,
        "deleted_bytes": report.deleted_bytes,
        "retained_bytes": report.retained_bytes,
    })
}

fn stats(store: &Store, snapshot: &Snapshot) -> Value {
    let cache = store.cache_totals();
    json!({
        "snapshot": snapshot.number(),
        "datasets": snapshot.dataset_count(),
        "families": snapshot.families().len(),
        "stored_bytes": snapshot.stored_bytes(),
        "catalog_bytes": snapshot.catalog_bytes(),
        "cache": { "hits": cache.hits, "misses": cache.misses, "bytes": cache.bytes },
    })
}

fn body<T: DeserializeOwned>(action: &Action) -> Result<T, Status> {
    serde_json::from_slice(&action.body).map_err(|error| {
        let message = format!("the body of {} is not readable: {error}", action.r#type);
        status::status(Code::InvalidArgument, &message)
    })
}
