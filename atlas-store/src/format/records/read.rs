//! The catalog out of its serialised form, checked.

use super::columns::{Column, Floats, Texts};
use super::scalars::Scalars;
use super::{SchemaRecord, SegmentRecord};
use crate::catalog::{
    AttributeColumn, AttributeValues, Catalog, Compact, DatasetNames, Family, RetiredSegment, SegmentRef,
    StatisticsColumns, Sums,
};
use crate::cells::Cells;
use crate::codec::Codec;
use crate::dtype::DType;
use crate::schema::{ArraySchema, check_name};
use rayon::prelude::*;
use serde::Deserialize;
use std::sync::Arc;

/// Numbers beyond this were never given out, and counting on from them must not overflow.
pub(crate) const MAX_NUMBER: u64 = 1 << 62;
/// The same for segments of a family.
pub(crate) const MAX_SEGMENT_NUMBER: u32 = u32::MAX / 2;
/// Larger segments do not exist: the sum of many must not overflow either.
const MAX_SEGMENT_BYTES: u64 = 1 << 48;

/// The whole catalog, as it was parsed.
#[derive(Deserialize)]
pub(crate) struct CatalogRecord {
    snapshot: u64,
    codec: String,
    next_array_id: u64,
    datasets: Texts<'static>,
    schemas: Vec<SchemaRecord>,
    arrays: Vec<FamilyRecord>,
    attributes: Vec<AttributeRecord>,
    #[serde(default)]
    retired: Vec<RetiredSegment>,
}

#[derive(Deserialize)]
struct FamilyRecord {
    name: String,
    dtype: DType,
    directory: String,
    next_segment: u32,
    segments: Vec<SegmentRecord>,
    rows: Option<Vec<u32>>,
    ids: Vec<u64>,
    schemas: Column<u32>,
    statistics: StatisticsRecord,
}

#[derive(Deserialize)]
struct StatisticsRecord {
    row_count: Column<u64>,
    null_count: Column<u64>,
    nan_count: Column<u64>,
    min: Scalars,
    max: Scalars,
    /// Bit 0: min is exact. Bit 1: max is exact.
    exact: Column<u8>,
    sum: Scalars,
    /// Integer sums, which floats cannot carry.
    int_sum: Scalars,
}

#[derive(Deserialize)]
struct AttributeRecord {
    key: String,
    rows: Option<Vec<u32>>,
    values: ValuesRecord,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ValuesRecord {
    Bool(Vec<bool>),
    Int64(Vec<i64>),
    Float64(Floats<'static>),
    String(Texts<'static>),
    TimestampNanoseconds(Vec<i64>),
}

impl CatalogRecord {
    /// The catalog, checked: what a parser lets through and a catalog must not hold.
    pub(crate) fn into_catalog(self) -> Result<Catalog, String> {
        if self.snapshot > MAX_NUMBER || self.next_array_id > MAX_NUMBER {
            return Err(format!("snapshot {} or array id {} is too large", self.snapshot, self.next_array_id));
        }
        if let Some(retired) = self.retired.iter().find(|retired| !is_within_the_store(&retired.object)) {
            return Err(format!("segment {:?} is not the name of an object in the store", retired.object));
        }
        if self.retired.iter().any(|retired| retired.bytes > MAX_SEGMENT_BYTES) {
            return Err(format!("a retired segment is larger than {MAX_SEGMENT_BYTES} bytes"));
        }
        let mut catalog = Catalog {
            snapshot: self.snapshot,
            codec: self.codec.parse::<Codec>().map_err(|error| error.to_string())?,
            next_array_id: self.next_array_id,
            retired: self.retired,
            ..Catalog::default()
        };
        for record in self.schemas {
            catalog.schemas.push(Arc::new(schema_of(record)?));
        }
        let datasets = self.datasets.0.into_owned();
        for name in datasets.iter() {
            check_name("dataset", std::str::from_utf8(name).unwrap_or_default()).map_err(|error| error.to_string())?;
        }
        let all = AllRows::new(datasets.len())?;
        let (families, attributes) = (self.arrays, self.attributes);
        let (names, columns) = rayon::join(
            || DatasetNames::try_new(datasets).ok_or("two datasets have one name"),
            || {
                let families = families.into_par_iter().map(|record| family_of(record, &catalog, &all));
                let families = families.collect::<Result<Vec<_>, String>>()?;
                let attributes = attributes.into_iter().map(|record| attribute_of(record, &all));
                Ok::<_, String>((families, attributes.collect::<Result<Vec<_>, String>>()?))
            },
        );
        let (families, attributes) = columns?;
        catalog.datasets = Arc::new(names?);
        catalog.families = families.into_iter().map(|family| (family.name().to_string(), Arc::new(family))).collect();
        let id = |column: &AttributeColumn| (column.key().to_string(), column.kind());
        catalog.attributes = attributes.into_iter().map(|column| (id(&column), Arc::new(column))).collect();
        Ok(catalog)
    }
}

fn schema_of(record: SchemaRecord) -> Result<ArraySchema, String> {
    let fill_value = match record.fill_value {
        None => None,
        Some(stored) => Some(stored.resolve(record.dtype).ok_or("a fill value does not fit its dtype")?),
    };
    let SchemaRecord { dtype, dims, shape, chunk_shape, .. } = record;
    let schema = ArraySchema { dtype, dims, shape, chunk_shape, fill_value };
    schema.check("in the catalog").map_err(|error| error.to_string())?;
    Ok(schema)
}

/// The rows of datasets that columns name, of which the list of all is shared.
struct AllRows(Arc<Vec<u32>>);

impl AllRows {
    fn new(datasets: usize) -> Result<Self, String> {
        let all = u32::try_from(datasets).map_err(|_| "more than 2^32 datasets")?;
        Ok(AllRows(Arc::new((0..all).collect())))
    }

    /// The rows of a column: all for `None`, else an ascending list.
    fn take(&self, rows: Option<Vec<u32>>) -> Result<Arc<Vec<u32>>, String> {
        let all = self.0.len();
        match rows {
            None => Ok(Arc::clone(&self.0)),
            Some(rows) if rows == *self.0 => Ok(Arc::clone(&self.0)),
            Some(mut rows)
                if rows.is_sorted_by(|a, b| a < b) && rows.last().is_none_or(|last| (*last as usize) < all) =>
            {
                rows.shrink_to_fit();
                Ok(Arc::new(rows))
            }
            Some(_) => Err(format!("rows are not ascending or pass {all}")),
        }
    }
}

fn family_of(record: FamilyRecord, catalog: &Catalog, all: &AllRows) -> Result<Family, String> {
    let FamilyRecord { name, dtype, directory, next_segment, segments, rows, mut ids, schemas, statistics } = record;
    check_name("array", &name).map_err(|error| error.to_string())?;
    let failed = |what: String| format!("array {name}: {what}");
    let rows = all.take(rows).map_err(failed)?;
    let count = rows.len();
    if ids.len() != count {
        return Err(failed(format!("{} ids for {count} datasets", ids.len())));
    }
    if let Some(id) = ids.iter().find(|id| **id >= catalog.next_array_id) {
        return Err(failed(format!("id {id} was not given out yet")));
    }
    if !ids.is_sorted_by(|a, b| a < b) {
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(failed(format!("id {} occurs twice", pair[0])));
        }
    }
    ids.shrink_to_fit();
    let schemas = schemas.of(count).map_err(failed)?;
    let fits = |schema: u32| catalog.schemas.get(schema as usize).is_some_and(|schema| schema.dtype == dtype);
    if let Some(schema) = schemas.iter().find(|schema| !fits(*schema)) {
        return Err(failed(format!("schema {schema} does not exist or has another dtype")));
    }
    let cells: Vec<u64> = catalog.schemas.iter().map(|schema| schema.cell_count()).collect();
    let cells = schemas.iter().map(|schema| cells[schema as usize]);
    let statistics = statistics_of(statistics, dtype, &ids, cells).map_err(failed)?;
    if directory.contains('/') || !is_within_the_store(&directory) || next_segment > MAX_SEGMENT_NUMBER {
        return Err(failed(format!("directory {directory:?} or segment number {next_segment} cannot be right")));
    }
    if let Some(segment) = segments.iter().find(|segment| segment.bytes > MAX_SEGMENT_BYTES) {
        return Err(failed(format!("segment {:?} is larger than {MAX_SEGMENT_BYTES} bytes", segment.object)));
    }
    if let Some(segment) = segments.iter().find(|segment| !is_within_the_store(&segment.object)) {
        return Err(failed(format!("segment {:?} is not the name of an object in the store", segment.object)));
    }
    let mut family = Family::new(name, dtype, directory).with_arrays(rows, ids, schemas, statistics);
    family.next_segment = next_segment;
    family.segments = segments
        .into_iter()
        .map(|segment| SegmentRef {
            object: segment.object,
            bytes: segment.bytes,
            crc32c: segment.crc32c,
            first_id: segment.first_id,
            last_id: segment.last_id,
        })
        .collect();
    Ok(family)
}

/// The statistics of the arrays with these ids, which have so many `cells`.
fn statistics_of(
    record: StatisticsRecord,
    dtype: DType,
    ids: &[u64],
    cells: impl Iterator<Item = u64>,
) -> Result<StatisticsColumns, String> {
    let StatisticsRecord { row_count, null_count, nan_count, min, max, exact, sum, int_sum } = record;
    let count = ids.len();
    let (bounds, sums) = ([min.len(), max.len()], [sum.len(), int_sum.len()]);
    if bounds != [count; 2] || sums.iter().any(|length| *length != 0 && *length != count) {
        return Err(format!("columns of {bounds:?} and {sums:?} cells for {count} datasets"));
    }
    let (rows, nulls, nans) = (row_count.of(count)?, null_count.of(count)?, nan_count.of(count)?);
    let counts = rows.iter().zip(nulls.iter()).zip(nans.iter()).zip(cells);
    let is_right = |((rows, nulls), nans): ((u64, u64), u64), cells: u64| {
        rows == cells && nulls.checked_add(nans).is_some_and(|counted| counted <= rows)
    };
    if let Some(at) = counts.enumerate().find_map(|(at, (counts, cells))| (!is_right(counts, cells)).then_some(at)) {
        return Err(format!("the statistics of id {} count other cells than it has", ids[at]));
    }
    let none = Compact::All(false, count);
    let sums = match Sums::new(dtype) {
        Sums::Int(_) if int_sum.len() > 0 => match int_sum.resolve(DType::Int64)? {
            (Cells::I64(sums), present) => (Sums::Int(sums), present),
            _ => (Sums::None, none),
        },
        Sums::Float(_) if sum.len() > 0 => match sum.resolve(DType::Float64)? {
            (Cells::F64(sums), present) => (Sums::Float(sums), present),
            _ => (Sums::None, none),
        },
        // No list says that there is none.
        Sums::Int(_) => (Sums::Int(vec![0; count]), none),
        Sums::Float(_) => (Sums::Float(vec![0.0; count]), none),
        Sums::None => (Sums::None, none),
    };
    let (min, max, exact) = (min.resolve(dtype)?, max.resolve(dtype)?, exact.of(count)?);
    Ok(StatisticsColumns::from_columns(dtype, [rows, nulls, nans], min, max, &exact, sums))
}

/// Whether an object's name leads nowhere else: relative, and without empty, `.` and `..` parts.
fn is_within_the_store(object: &str) -> bool {
    !object.contains('\\') && object.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn attribute_of(record: AttributeRecord, all: &AllRows) -> Result<AttributeColumn, String> {
    let AttributeRecord { key, rows, values } = record;
    let mut values = match values {
        ValuesRecord::Bool(values) => AttributeValues::Bool(values),
        ValuesRecord::Int64(values) => AttributeValues::Int64(values),
        ValuesRecord::Float64(values) => AttributeValues::Float64(values.0.into_owned()),
        ValuesRecord::String(values) => AttributeValues::String(values.0.into_owned()),
        ValuesRecord::TimestampNanoseconds(values) => AttributeValues::Timestamp(values),
    };
    let rows = all.take(rows).map_err(|error| format!("attribute {key}: {error}"))?;
    if rows.len() != values.len() {
        return Err(format!("attribute {key}: {} values for {} datasets", values.len(), rows.len()));
    }
    values.shrink_to_fit();
    Ok(AttributeColumn::from_parts(key, rows, values))
}
