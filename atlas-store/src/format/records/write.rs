//! The catalog into its serialised form, from the columns that it has in memory.

use super::columns::{Floats, Texts, WrittenColumn};
use super::scalars::WrittenScalars;
use super::{SchemaRecord, SegmentRecord};
use crate::catalog::{
    AttributeColumn, AttributeValues, Catalog, Compact, DatasetNames, Family, RetiredSegment, StatisticsColumns, Sums,
};
use crate::dtype::DType;
use crate::scalar::StoredScalar;
use crate::schema::ArraySchema;
use serde::Serialize;
use std::borrow::Cow;

/// The whole catalog, to be written.
pub(crate) struct WrittenCatalog<'a> {
    pub(super) snapshot: u64,
    pub(super) codec: &'a str,
    pub(super) next_array_id: u64,
    datasets: &'a DatasetNames,
    pub(super) schemas: Vec<SchemaRecord>,
    pub(super) arrays: Vec<WrittenFamily<'a>>,
    pub(super) attributes: Vec<WrittenAttribute<'a>>,
    pub(super) retired: &'a [RetiredSegment],
}

#[derive(Serialize)]
pub(super) struct WrittenFamily<'a> {
    name: &'a str,
    dtype: DType,
    directory: &'a str,
    next_segment: u32,
    segments: Vec<SegmentRecord>,
    rows: Option<&'a [u32]>,
    ids: &'a [u64],
    schemas: WrittenColumn<'a, u32>,
    statistics: WrittenStatistics<'a>,
}

#[derive(Serialize)]
struct WrittenStatistics<'a> {
    row_count: WrittenColumn<'a, u64>,
    null_count: WrittenColumn<'a, u64>,
    nan_count: WrittenColumn<'a, u64>,
    min: WrittenScalars<'a>,
    max: WrittenScalars<'a>,
    exact: WrittenColumn<'a, u8>,
    /// Of floats and of integers: no list at all where there are none.
    sum: WrittenScalars<'a>,
    int_sum: WrittenScalars<'a>,
}

#[derive(Serialize)]
pub(super) struct WrittenAttribute<'a> {
    key: &'a str,
    rows: Option<&'a [u32]>,
    values: WrittenValues<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum WrittenValues<'a> {
    Bool(&'a [bool]),
    Int64(&'a [i64]),
    Float64(Floats<'a>),
    String(Texts<'a>),
    TimestampNanoseconds(&'a [i64]),
}

/// The rows of a column: `None` for every dataset, else a list.
fn rows(rows: &[u32], datasets: usize) -> Option<&[u32]> {
    (rows.len() != datasets).then_some(rows)
}

fn column<T: Copy + PartialEq>(column: &Compact<T>) -> WrittenColumn<'_, T> {
    WrittenColumn(Cow::Borrowed(column))
}

impl<'a> WrittenCatalog<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        let datasets = catalog.datasets.len();
        WrittenCatalog {
            snapshot: catalog.snapshot,
            codec: catalog.codec.name(),
            next_array_id: catalog.next_array_id,
            datasets: &catalog.datasets,
            schemas: catalog.schemas.iter().map(|schema| schema_record(schema)).collect(),
            arrays: catalog.families.values().map(|family| WrittenFamily::new(family, datasets)).collect(),
            attributes: catalog.attributes.values().map(|column| WrittenAttribute::new(column, datasets)).collect(),
            retired: &catalog.retired,
        }
    }

    /// The names of the datasets.
    pub(super) fn datasets(&self) -> impl ExactSizeIterator<Item = &str> {
        self.datasets.iter()
    }
}

fn schema_record(schema: &ArraySchema) -> SchemaRecord {
    SchemaRecord {
        dtype: schema.dtype,
        dims: schema.dims.clone(),
        shape: schema.shape.clone(),
        chunk_shape: schema.chunk_shape.clone(),
        fill_value: schema.fill_value.as_ref().map(StoredScalar::new),
    }
}

impl<'a> WrittenFamily<'a> {
    fn new(family: &'a Family, datasets: usize) -> Self {
        let segments = family.segments.iter().map(|segment| SegmentRecord {
            object: segment.object.clone(),
            bytes: segment.bytes,
            crc32c: segment.crc32c,
            first_id: segment.first_id,
            last_id: segment.last_id,
        });
        WrittenFamily {
            name: family.name(),
            dtype: family.dtype(),
            directory: &family.directory,
            next_segment: family.next_segment,
            segments: segments.collect(),
            rows: rows(family.rows(), datasets),
            ids: family.ids(),
            schemas: column(family.schemas()),
            statistics: WrittenStatistics::new(family.dtype(), family.statistics()),
        }
    }
}

impl<'a> WrittenStatistics<'a> {
    fn new(dtype: DType, statistics: &'a StatisticsColumns) -> Self {
        let has_sum = || Some(statistics.has_sum()).filter(|has_sum| has_sum.shared() != Some(false));
        let (sum, int_sum) = match (statistics.sums(), has_sum()) {
            (Sums::Float(sums), Some(present)) => (WrittenScalars::Floats(sums, present), WrittenScalars::None),
            (Sums::Int(sums), Some(present)) => (WrittenScalars::None, WrittenScalars::Ints(sums, present)),
            _ => (WrittenScalars::None, WrittenScalars::None),
        };
        WrittenStatistics {
            row_count: column(statistics.row_counts()),
            null_count: column(statistics.null_counts()),
            nan_count: column(statistics.nan_counts()),
            min: WrittenScalars::Cells(dtype, statistics.mins(), statistics.has_min()),
            max: WrittenScalars::Cells(dtype, statistics.maxs(), statistics.has_max()),
            exact: WrittenColumn(Cow::Owned(statistics.exact())),
            sum,
            int_sum,
        }
    }
}

impl<'a> WrittenAttribute<'a> {
    fn new(column: &'a AttributeColumn, datasets: usize) -> Self {
        WrittenAttribute {
            key: column.key(),
            rows: rows(column.rows(), datasets),
            values: match column.values() {
                AttributeValues::Bool(values) => WrittenValues::Bool(values),
                AttributeValues::Int64(values) => WrittenValues::Int64(values),
                AttributeValues::Float64(values) => WrittenValues::Float64(Floats(Cow::Borrowed(values))),
                AttributeValues::String(values) => WrittenValues::String(Texts(Cow::Borrowed(values))),
                AttributeValues::Timestamp(values) => WrittenValues::TimestampNanoseconds(values),
            },
        }
    }
}
