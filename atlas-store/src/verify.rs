//! Verification: every checksum, index, zone map and statistic of a store, against one another.

use crate::catalog::Family;
use crate::commit::load_catalog;
use crate::compact::orphans;
use crate::error::{Error, Result};
use crate::io::Storage;
use crate::read::{Segment, read_chunks};
use crate::schema::ArraySchema;
use crate::snapshot::Snapshot;
use crate::stats::Statistics;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// The snapshot that was verified.
    pub snapshot: u64,
    /// Segments read.
    pub segments: u64,
    /// Chunks decoded, dead ones included.
    pub chunks: u64,
    /// Bytes of segments.
    pub bytes: u64,
    /// What does not hold. Empty: the store is whole.
    pub problems: Vec<Problem>,
    /// Objects that the catalog does not name, left by writers that did not finish: harmless, deleted by a compaction.
    /// `None` where that cannot be known, because the storage does not list what it holds.
    pub orphans: Option<Vec<(String, u64)>>,
    /// Bytes of segments kept for readers of earlier snapshots.
    pub retained_bytes: u64,
}

/// One thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The object that is damaged, or whose content does not fit the catalog.
    pub object: String,
    /// The byte offset of the damage, where there is one.
    pub offset: Option<u64>,
    /// What does not hold.
    pub message: String,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Corrupt { object, offset, message } => Problem { object, offset: Some(offset), message },
            Error::Storage { object, message } => Problem { object, offset: None, message },
            other => Problem { object: String::new(), offset: None, message: other.to_string() },
        }
    }
}

/// Chunks that are decoded at a time.
const BATCH_CHUNKS: usize = 256;

/// Reads all of a snapshot.
///
/// # Cost
/// All bytes of all live segments, decoded on all cores.
///
/// # Errors
/// `Storage` where the storage lists its objects and that fails.
pub(crate) fn verify(snapshot: &Snapshot, storage: &dyn Storage) -> Result<VerifyReport> {
    // Where another writer has committed since, its segments are not leftovers.
    let newest = load_catalog(storage).ok().flatten();
    let newest = newest.as_ref().map_or(snapshot.catalog(), |committed| &committed.catalog);
    let mut orphans = orphans(newest, storage, Duration::ZERO)?;
    if let Some(orphans) = &mut orphans {
        orphans.retain(|(object, _)| !snapshot.catalog().names(object));
    }
    let mut report = VerifyReport {
        snapshot: snapshot.number(),
        orphans,
        retained_bytes: snapshot.catalog().retired_bytes(),
        ..VerifyReport::default()
    };
    let families: Vec<&Family> = snapshot.families().collect();
    let found: Vec<VerifyReport> = families.par_iter().map(|family| verify_family(snapshot, family)).collect();
    for part in found {
        report.segments += part.segments;
        report.chunks += part.chunks;
        report.bytes = report.bytes.saturating_add(part.bytes);
        report.problems.extend(part.problems);
    }
    Ok(report)
}

fn verify_family(snapshot: &Snapshot, family: &Family) -> VerifyReport {
    let mut report = VerifyReport::default();
    let schemas: HashMap<u64, &ArraySchema> =
        family.entries().map(|(_, entry)| (entry.id, snapshot.schema(entry))).collect();
    let segments = snapshot.segments(family.name());
    for segment in segments {
        report.segments += 1;
        report.bytes = report.bytes.saturating_add(segment.reference.bytes);
        match verify_segment(family, segment, &schemas, &mut report.problems) {
            Ok(chunks) => report.chunks += chunks,
            Err(error) => report.problems.push(error.into()),
        }
    }
    if report.problems.is_empty()
        && let Err(error) = verify_statistics(snapshot, family, segments, &mut report.problems)
    {
        report.problems.push(error.into());
    }
    report
}

/// Decodes every chunk and compares it with its zone map and its array's declaration.
fn verify_segment(
    family: &Family,
    segment: &Arc<Segment>,
    schemas: &HashMap<u64, &ArraySchema>,
    problems: &mut Vec<Problem>,
) -> Result<u64> {
    let index = segment.index()?;
    segment.verify_header()?;
    let zones = segment.zones()?;
    let chunks = index.chunk_array.len();
    for first in (0..chunks).step_by(BATCH_CHUNKS) {
        let places: Vec<(usize, usize)> = (first..(first + BATCH_CHUNKS).min(chunks)).map(|entry| (0, entry)).collect();
        let cells = read_chunks(std::slice::from_ref(segment), family.dtype(), &places)?;
        for ((_, entry), cells) in places.into_iter().zip(cells) {
            let (array, chunk) = (index.chunk_array[entry], index.chunk_index[entry]);
            // Of a dead array nothing is declared any more.
            let Some(schema) = schemas.get(&array) else { continue };
            let problem = |message: String| Problem {
                object: segment.reference.object.clone(),
                offset: None,
                message: format!("chunk {chunk} of array {array}: {message}"),
            };
            if u64::from(chunk) >= schema.chunk_count() {
                problems.push(problem(format!("the array has {} chunks", schema.chunk_count())));
                continue;
            }
            let extent = schema.chunk_extent(chunk);
            if extent.iter().product::<u64>() != cells.len() as u64 {
                problems.push(problem(format!("it holds {} cells, its shape is {extent:?}", cells.len())));
            }
            let actual = Statistics::of_cells(family.dtype(), &cells, schema.fill_value.as_ref());
            if actual != zones[entry] {
                problems.push(problem("its zone map does not match its cells".into()));
            }
        }
    }
    Ok(chunks as u64)
}

/// Compares the catalog's statistics with the zone maps.
fn verify_statistics(
    snapshot: &Snapshot,
    family: &Family,
    segments: &[Arc<Segment>],
    problems: &mut Vec<Problem>,
) -> Result<()> {
    for (row, entry) in family.entries() {
        let schema = snapshot.schema(entry);
        let expected = crate::write::array_statistics(segments, entry.id, schema)?;
        if entry.statistics() != Some(expected) {
            problems.push(Problem {
                object: "catalog".into(),
                offset: None,
                message: format!(
                    "the statistics of array {} of dataset {} do not match its zone maps",
                    family.name(),
                    snapshot.dataset_name(row)
                ),
            });
        }
    }
    Ok(())
}
