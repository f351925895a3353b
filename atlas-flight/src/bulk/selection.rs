//! Which datasets a request selects.

use super::request::{Missing, StackedRequest};
use super::stores::Stores;
use crate::status;
use atlas_store::Snapshot;
use std::collections::HashSet;
use tonic::{Code, Status};

/// The rows of the datasets that a request names and its predicate accepts: in the order of `datasets`, else of the
/// store.
///
/// # Errors
/// `NOT_FOUND` for a dataset that does not exist, `INVALID_ARGUMENT` for a predicate that is not one.
pub(super) async fn selected_rows(
    stores: &Stores,
    snapshot: &Snapshot,
    request: &StackedRequest,
) -> Result<Vec<u32>, Status> {
    let accepted = match &request.where_ {
        Some(predicate) => Some(stores.select(snapshot, predicate).await?),
        None => None,
    };
    let Some(datasets) = &request.datasets else {
        return match accepted {
            Some(rows) => Ok(rows),
            None => all_rows(snapshot),
        };
    };
    let rows = datasets.iter().map(|dataset| snapshot.dataset_row(dataset)).collect::<Result<Vec<_>, _>>();
    let mut rows = rows.map_err(|error| status::from_store(&error))?;
    if let Some(accepted) = accepted {
        let accepted: HashSet<u32> = accepted.into_iter().collect();
        rows.retain(|row| accepted.contains(row));
    }
    Ok(rows)
}

/// The rows among `rows` that are read, by what the request says of datasets that lack an array.
///
/// # Errors
/// `NOT_FOUND` for an array that no dataset has, and for the first dataset that lacks one where that is an error.
pub(super) fn present_rows(
    snapshot: &Snapshot,
    rows: Vec<u32>,
    arrays: &[String],
    missing: Missing,
) -> Result<Vec<u32>, Status> {
    let families = arrays.iter().map(|array| snapshot.family(array)).collect::<Result<Vec<_>, _>>();
    let families = families.map_err(|error| status::from_store(&error))?;
    match missing {
        Missing::Null => Ok(rows),
        Missing::Skip => {
            let has_all = |row: &u32| families.iter().all(|family| family.entry(*row).is_some());
            Ok(rows.into_iter().filter(has_all).collect())
        }
        Missing::Error => {
            for &row in &rows {
                if let Some(family) = families.iter().find(|family| family.entry(row).is_none()) {
                    let message = format!(
                        "dataset {} has no array {}: \"missing\" says whether to skip such datasets or give null",
                        snapshot.dataset_name(row),
                        family.name()
                    );
                    return Err(status::status(Code::NotFound, &message));
                }
            }
            Ok(rows)
        }
    }
}

fn all_rows(snapshot: &Snapshot) -> Result<Vec<u32>, Status> {
    let count = u32::try_from(snapshot.dataset_count()).map_err(|error| status::internal(&error))?;
    Ok((0..count).collect())
}
