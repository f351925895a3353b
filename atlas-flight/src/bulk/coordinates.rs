//! The coordinates of a slice: 1-D arrays named like a dimension, where all datasets of the read agree on them.

use crate::status;
use crate::ticket::{ColumnTicket, CoordinateTicket};
use atlas_store::{ArrayData, Region, Scalar, Snapshot};
use serde_json::{Map, Value, json};
use tonic::Status;

/// The longest coordinate that is put into metadata.
const MAX_CELLS: u64 = 1 << 16;

/// The most cells that are read to learn whether datasets agree on a coordinate.
const MAX_COMPARED_CELLS: u64 = 1 << 22;

/// The coordinates on which all of `rows` agree.
///
/// # Cost
/// Reads the coordinate of every dataset, up to a few million cells; beyond that there are no coordinates.
///
/// # Errors
/// What reading fails with.
pub(super) fn find(
    snapshot: &Snapshot,
    columns: &[ColumnTicket],
    region: Option<&Region>,
    rows: &[u32],
) -> Result<Vec<CoordinateTicket>, Status> {
    let mut found: Vec<CoordinateTicket> = Vec::new();
    let Some(&row) = rows.first() else { return Ok(found) };
    for column in columns.iter().filter(|column| !column.ragged) {
        for (index, (dim, &len)) in column.dims.iter().zip(&column.shape).enumerate() {
            let start = region.map_or(0, |region| region.start()[index]);
            let candidate = CoordinateTicket { dim: dim.clone(), row, start, len };
            if !found.iter().any(|other| other.dim == *dim) && agree(snapshot, &candidate, rows)? {
                found.push(candidate);
            }
        }
    }
    Ok(found)
}

/// Whether every one of `rows` has this coordinate, with the same cells.
fn agree(snapshot: &Snapshot, coordinate: &CoordinateTicket, rows: &[u32]) -> Result<bool, Status> {
    let Some(family) = snapshot.find_family(&coordinate.dim) else { return Ok(false) };
    if coordinate.len == 0 || coordinate.len > MAX_CELLS || coordinate.len * rows.len() as u64 > MAX_COMPARED_CELLS {
        return Ok(false);
    }
    for &row in rows {
        let Some(entry) = family.entry(row) else { return Ok(false) };
        let schema = snapshot.schema(entry);
        let fits = schema.shape.first().is_some_and(|extent| coordinate.start + coordinate.len <= *extent);
        if schema.dims.as_slice() != [coordinate.dim.as_str()] || !fits {
            return Ok(false);
        }
    }
    let region = region_of(coordinate)?;
    let read =
        snapshot.read_across(&coordinate.dim, rows, Some(&region)).map_err(|error| status::from_store(&error))?;
    let first = read.first();
    Ok(read.iter().all(|cells| Some(cells) == first))
}

/// The coordinates as the JSON of the schema's metadata; `None` where there are none.
///
/// # Errors
/// `INVALID_ARGUMENT` for a ticket that names other than coordinates, and what reading fails with.
pub(super) fn to_json(snapshot: &Snapshot, coordinates: &[CoordinateTicket]) -> Result<Option<String>, Status> {
    if coordinates.is_empty() {
        return Ok(None);
    }
    let mut object = Map::new();
    for coordinate in coordinates {
        let in_store = usize::try_from(coordinate.row).is_ok_and(|row| row < snapshot.dataset_count());
        if !in_store || coordinate.len > MAX_CELLS {
            return Err(Status::invalid_argument("the ticket's coordinates are not those of this store"));
        }
        let dataset = snapshot.dataset_name(coordinate.row);
        let cells = snapshot
            .read(dataset, &coordinate.dim, Some(&region_of(coordinate)?))
            .map_err(|error| status::from_store(&error))?;
        let entry = json!({ "dtype": cells.dtype().name(), "values": values(&cells) });
        object.insert(coordinate.dim.clone(), entry);
    }
    Ok(Some(Value::Object(object).to_string()))
}

fn region_of(coordinate: &CoordinateTicket) -> Result<Region, Status> {
    Region::try_new(vec![coordinate.start], vec![coordinate.len]).map_err(|error| status::from_store(&error))
}

/// Cells as JSON: times as nanoseconds since 1970, NaN as null, bytes as the text that they may be.
fn values(cells: &ArrayData) -> Vec<Value> {
    let value = |index| match cells.scalar(index)? {
        Scalar::Bool(value) => Some(json!(value)),
        Scalar::Int(value) | Scalar::Timestamp(value) => Some(json!(value)),
        Scalar::UInt(value) => Some(json!(value)),
        Scalar::Float32(value) => Some(json!(value)),
        Scalar::Float64(value) => Some(json!(value)),
        Scalar::String(value) => Some(json!(value)),
        Scalar::Binary(value) => Some(json!(String::from_utf8_lossy(&value))),
    };
    (0..cells.cells().len()).map(|index| value(index).unwrap_or(Value::Null)).collect()
}
