//! The columns of a stacked read: their layout, Arrow fields and sizes.

use crate::status;
use crate::ticket::ColumnTicket;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use atlas_sql::tensor;
use atlas_store::{ArraySchema, DType, Region, Snapshot};
use std::collections::HashMap;
use std::sync::Arc;
use tonic::{Code, Status};

/// The column of dataset names.
const DATASET: &str = "dataset";

/// The key in the schema's metadata of the slice's coordinates: JSON, `{dim: {"dtype": …, "values": […]}}`.
pub(super) const COORDINATES: &str = "atlas.coords";

/// The most bytes of one value, so that a message with it stays below the 2 GiB that protobuf allows.
const MAX_VALUE_BYTES: u64 = (i32::MAX as u64) - (64 << 20);

/// What a cell of a string or binary array is taken to need, where only reading it would tell.
const ASSUMED_TEXT_BYTES: u64 = 16;

/// The layout of `array` in `rows`, those that lack it aside.
///
/// # Errors
/// `NOT_FOUND` for an array that no dataset has; `INVALID_ARGUMENT` where the region does not lie in a dataset's array,
/// or whole arrays differ in rank; `RESOURCE_EXHAUSTED` where one value is too large.
pub(super) fn layout(
    snapshot: &Snapshot,
    array: &str,
    rows: &[u32],
    region: Option<&Region>,
) -> Result<ColumnTicket, Status> {
    let family = snapshot.family(array).map_err(|error| status::from_store(&error))?;
    let present: Vec<u32> = rows.iter().copied().filter(|row| family.entry(*row).is_some()).collect();
    let nullable = present.len() < rows.len();
    // Where nothing is read, the column is that of the whole family: an empty answer looks like any other.
    let (described, nothing_read) = if present.is_empty() { (family.rows(), true) } else { (&*present, false) };
    let mut first: Option<(u32, &ArraySchema)> = None;
    let (mut one_shape, mut one_dims, mut one_fill) = (true, true, true);
    for &row in described {
        let Some(entry) = family.entry(row) else { continue };
        let schema = snapshot.schema(entry);
        if let Some(region) = region.filter(|_| !nothing_read) {
            let within = || format!("{} of dataset {}", array, snapshot.dataset_name(row));
            region.check(&within(), &schema.shape).map_err(|error| status::from_store(&error))?;
        }
        let Some((first_row, first)) = first else {
            first = Some((row, schema));
            check_size(array, snapshot.dataset_name(row), schema.dtype, region.map_or(&schema.shape, Region::shape))?;
            continue;
        };
        if std::ptr::eq(first, schema) {
            continue;
        }
        if first.rank() != schema.rank() {
            let message = format!(
                "array {array} has shape {:?} in dataset {} and {:?} in {}: their ranks differ",
                first.shape,
                snapshot.dataset_name(first_row),
                schema.shape,
                snapshot.dataset_name(row)
            );
            return Err(status::status(Code::InvalidArgument, &message));
        }
        if region.is_none() && schema.shape != first.shape {
            one_shape = false;
            check_size(array, snapshot.dataset_name(row), schema.dtype, &schema.shape)?;
        }
        one_dims &= schema.dims == first.dims;
        one_fill &= schema.fill_value == first.fill_value;
    }
    let first = first.map(|(_, schema)| schema);
    let rank = first.map_or_else(|| region.map_or(0, Region::rank), ArraySchema::rank);
    let dims = match first {
        Some(first) if one_dims => first.dims.clone(),
        _ => (0..rank).map(|dim| format!("dim_{dim}")).collect(),
    };
    let shape = match (region, first) {
        (Some(region), _) => region.shape().to_vec(),
        (None, Some(first)) if one_shape => first.shape.clone(),
        _ => Vec::new(),
    };
    let fill_value = first.filter(|_| one_fill).and_then(|first| first.fill_value.as_ref()).map(ToString::to_string);
    let dtype = family.dtype().name().to_string();
    Ok(ColumnTicket { array: array.into(), dtype, dims, shape, ragged: !one_shape, nullable, fill_value })
}

/// Checks that a column from a ticket is one that [`layout`] gives for `rows`: clients hold tickets, and may change them.
///
/// # Errors
/// `INVALID_ARGUMENT` where it is not.
pub(super) fn check(
    snapshot: &Snapshot,
    column: &ColumnTicket,
    rows: &[u32],
    region: Option<&Region>,
) -> Result<(), Status> {
    let unfit = || {
        let message = format!("the ticket's column {:?} does not fit the store", column.array);
        status::status(Code::InvalidArgument, &message)
    };
    let family = snapshot.find_family(&column.array).ok_or_else(unfit)?;
    let region_fits = region.is_none_or(|region| !column.ragged && column.shape == region.shape());
    let rank_fits = column.ragged || column.dims.len() == column.shape.len();
    if family.dtype() != dtype(column)? || !region_fits || !rank_fits {
        return Err(unfit());
    }
    for &row in rows {
        let fits = match family.entry(row).map(|entry| snapshot.schema(entry)) {
            None => column.nullable,
            Some(schema) => {
                let one_shape = region.is_some() || column.ragged || schema.shape == column.shape;
                schema.rank() == column.dims.len() && one_shape
            }
        };
        if !fits {
            return Err(unfit());
        }
    }
    Ok(())
}

/// The dtype of a column's cells.
///
/// # Errors
/// `INVALID_ARGUMENT` for a ticket that names none.
pub(super) fn dtype(column: &ColumnTicket) -> Result<DType, Status> {
    column.dtype.parse().map_err(|error| status::from_store(&error))
}

/// The schema of a read with these columns; `coordinates` is the JSON for its metadata, if there are any.
///
/// # Errors
/// `INVALID_ARGUMENT` where a column's shape has more cells than Arrow allows.
pub(super) fn schema(columns: &[ColumnTicket], coordinates: Option<String>) -> Result<SchemaRef, Status> {
    let mut fields = vec![Field::new(DATASET, DataType::Utf8, false)];
    for column in columns {
        fields.push(field(column)?);
    }
    let metadata: HashMap<_, _> = coordinates.map(|json| (COORDINATES.to_string(), json)).into_iter().collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
}

/// The Arrow field of a column.
fn field(column: &ColumnTicket) -> Result<Field, Status> {
    let dtype = dtype(column)?;
    let mut field = if column.ragged {
        ragged_field(column, dtype)
    } else {
        tensor::field_for(&column.array, dtype, &column.dims, &column.shape)
            .map_err(|error| status::from_datafusion(&error))?
    };
    if let Some(fill) = &column.fill_value {
        let mut metadata = field.metadata().clone();
        metadata.insert(tensor::FILL_VALUE.into(), fill.clone());
        field = field.with_metadata(metadata);
    }
    Ok(field.with_nullable(column.nullable))
}

/// A struct of `data` and `shape`: the canonical variable-shape tensor, or the same struct for cells that are no numbers.
fn ragged_field(column: &ColumnTicket, dtype: DType) -> Field {
    let dims = serde_json::json!(column.dims);
    let metadata: HashMap<String, String> = if dtype.is_number() {
        let parameters = serde_json::json!({ "dim_names": dims });
        [
            (tensor::EXTENSION_NAME.into(), "arrow.variable_shape_tensor".into()),
            (tensor::EXTENSION_METADATA.into(), parameters.to_string()),
        ]
        .into()
    } else {
        [(tensor::DIMS.into(), dims.to_string())].into()
    };
    Field::new(&column.array, ragged_type(dtype, column.dims.len()), true).with_metadata(metadata)
}

/// The storage of a ragged column.
fn ragged_type(dtype: DType, rank: usize) -> DataType {
    let item = Field::new_list_field(tensor::data_type(dtype), true);
    let extent = Field::new_list_field(DataType::Int32, true);
    let rank = i32::try_from(rank).unwrap_or(0);
    DataType::Struct(
        vec![
            Field::new("data", DataType::List(Arc::new(item)), true),
            Field::new("shape", DataType::FixedSizeList(Arc::new(extent), rank), true),
        ]
        .into(),
    )
}

/// How many bytes of Arrow buffers the value of `column` in dataset `row` takes, validity apart; bools as bytes.
pub(super) fn value_bytes(snapshot: &Snapshot, column: &ColumnTicket, row: u32) -> u64 {
    let cell_bytes = dtype(column).map_or(ASSUMED_TEXT_BYTES, cell_bytes);
    // An offset and the shape come with the cells of a ragged column.
    let beside = if column.ragged { 4 + 4 * column.dims.len() as u64 } else { 0 };
    cell_count(snapshot, column, row).saturating_mul(cell_bytes).saturating_add(beside)
}

/// How many cells of Arrow buffers the value of `column` in dataset `row` takes.
pub(super) fn cell_count(snapshot: &Snapshot, column: &ColumnTicket, row: u32) -> u64 {
    let cells = |shape: &[u64]| shape.iter().fold(1u64, |cells, extent| cells.saturating_mul(*extent));
    if !column.ragged {
        return cells(&column.shape);
    }
    let entry = snapshot.find_family(&column.array).and_then(|family| family.entry(row));
    entry.map_or(0, |entry| cells(&snapshot.schema(entry).shape))
}

fn cell_bytes(dtype: DType) -> u64 {
    dtype.cell_bytes().map_or(ASSUMED_TEXT_BYTES, |bytes| bytes as u64)
}

fn check_size(array: &str, dataset: &str, dtype: DType, shape: &[u64]) -> Result<(), Status> {
    let bytes = shape.iter().fold(cell_bytes(dtype), |bytes, extent| bytes.saturating_mul(*extent));
    if bytes > MAX_VALUE_BYTES {
        let message = format!(
            "array {array} of dataset {dataset} takes {bytes} bytes, one message holds {MAX_VALUE_BYTES}: read a region"
        );
        return Err(status::status(Code::ResourceExhausted, &message));
    }
    Ok(())
}
