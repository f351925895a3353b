//! The catalog as it is serialised: schemas once, everything else in columns over the datasets.

use crate::catalog::{
    ArrayEntry, AttributeColumn, AttributeValues, Catalog, DatasetNames, Family, RetiredSegment, SegmentRef,
};
use crate::cells::VarCells;
use crate::codec::Codec;
use crate::dtype::DType;
use crate::scalar::{Scalar, StoredScalar, float_text};
use crate::schema::{ArraySchema, check_name};
use crate::stats::{Statistics, Sum};
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A column whose cells are often all equal: one value then, else a list.
#[derive(Serialize)]
#[serde(untagged)]
enum Column<T> {
    All(T),
    Each(Vec<T>),
}

/// By hand: a derived untagged enum would buffer every list.
impl<'de, T: Deserialize<'de> + TryFrom<u64>> Deserialize<'de> for Column<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOrEach<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + TryFrom<u64>> Visitor<'de> for AllOrEach<T> {
            type Value = Column<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an unsigned integer or a list of them")
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Column<T>, E> {
                T::try_from(value).map(Column::All).map_err(|_| E::custom(format!("{value} is out of range")))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<Column<T>, A::Error> {
                let mut each = Vec::new();
                while let Some(cell) = cells.next_element()? {
                    each.push(cell);
                }
                Ok(Column::Each(each))
            }
        }
        deserializer.deserialize_any(AllOrEach(PhantomData))
    }
}

impl<T: PartialEq + Copy> Column<T> {
    fn new(cells: impl Iterator<Item = T>) -> Self {
        let cells: Vec<T> = cells.collect();
        match cells.first() {
            Some(first) if cells.iter().all(|cell| cell == first) => Column::All(*first),
            _ => Column::Each(cells),
        }
    }

    fn expand(self, count: usize) -> Result<Vec<T>, String> {
        match self {
            Column::All(cell) => Ok(vec![cell; count]),
            Column::Each(cells) if cells.len() == count => Ok(cells),
            Column::Each(cells) => Err(format!("a column has {} cells, expected {count}", cells.len())),
        }
    }
}

/// The rows of a column: `null` for every dataset, else a list.
fn put_rows(rows: &[u32], datasets: usize) -> Option<Vec<u32>> {
    (rows.len() != datasets).then(|| rows.to_vec())
}

fn take_rows(rows: Option<Vec<u32>>, datasets: usize) -> Result<Vec<u32>, String> {
    let all = u32::try_from(datasets).map_err(|_| "more than 2^32 datasets")?;
    let rows = rows.unwrap_or_else(|| (0..all).collect());
    if rows.is_sorted_by(|a, b| a < b) && rows.last().is_none_or(|last| *last < all) {
        Ok(rows)
    } else {
        Err(format!("rows are not ascending or pass {all}"))
    }
}

/// A float that JSON can always say.
struct Float(f64);

impl Serialize for Float {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match float_text(self.0, self.0.to_bits(), f64::NAN.to_bits()) {
            Some(text) => serializer.serialize_str(&text),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredScalar::deserialize(deserializer)?;
        match stored.resolve(DType::Float64) {
            Some(Scalar::Float64(value)) => Ok(Float(value)),
            _ => Err(serde::de::Error::custom("expected a float")),
        }
    }
}

/// Texts, packed: serialised from the catalog's own cells, parsed into cells without a text of their own each.
struct Texts<'a>(Cow<'a, VarCells>);

impl Serialize for Texts<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What is in the catalog came in as text.
        serializer.collect_seq(self.0.iter().map(|cell| std::str::from_utf8(cell).unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Texts<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Push<'c>(&'c mut VarCells);
        impl<'de> DeserializeSeed<'de> for Push<'_> {
            type Value = ();
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_str(self)
            }
        }
        impl Visitor<'_> for Push<'_> {
            type Value = ();
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E>(self, text: &str) -> Result<(), E> {
                self.0.push(text.as_bytes());
                Ok(())
            }
        }
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = VarCells;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<VarCells, A::Error> {
                let mut cells = VarCells::default();
                while texts.next_element_seed(Push(&mut cells))?.is_some() {}
                Ok(cells)
            }
        }
        deserializer.deserialize_seq(List).map(|cells| Texts(Cow::Owned(cells)))
    }
}

/// Floats that JSON can always say.
struct Floats<'a>(Cow<'a, [f64]>);

impl Serialize for Floats<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|value| Float(*value)))
    }
}

impl<'de> Deserialize<'de> for Floats<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Vec::<Float>::deserialize(deserializer)?;
        Ok(Floats(values.into_iter().map(|value| value.0).collect()))
    }
}

#[derive(Serialize, Deserialize)]
struct SchemaRecord {
    dtype: DType,
    dims: Vec<String>,
    shape: Vec<u64>,
    chunk_shape: Vec<u64>,
    fill_value: Option<StoredScalar>,
}

#[derive(Serialize, Deserialize)]
struct SegmentRecord {
    object: String,
    bytes: u64,
    crc32c: u32,
    first_id: u64,
    last_id: u64,
}

#[derive(Serialize, Deserialize)]
struct StatisticsRecord {
    row_count: Column<u64>,
    null_count: Column<u64>,
    nan_count: Column<u64>,
    min: Vec<Option<StoredScalar>>,
    max: Vec<Option<StoredScalar>>,
    /// Bit 0: min is exact. Bit 1: max is exact.
    exact: Column<u8>,
    sum: Vec<Option<Float>>,
    /// Integer sums, which floats cannot carry.
    int_sum: Vec<Option<i64>>,
}

#[derive(Serialize, Deserialize)]
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

#[derive(Serialize, Deserialize)]
struct AttributeRecord<'a> {
    key: String,
    rows: Option<Vec<u32>>,
    values: ValuesRecord<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ValuesRecord<'a> {
    Bool(Cow<'a, [bool]>),
    Int64(Cow<'a, [i64]>),
    Float64(Floats<'a>),
    String(Texts<'a>),
    TimestampNanoseconds(Cow<'a, [i64]>),
}

/// Numbers beyond this were never given out, and counting on from them must not overflow.
const MAX_NUMBER: u64 = 1 << 62;
/// Larger segments do not exist: the sum of many must not overflow either.
const MAX_SEGMENT_BYTES: u64 = 1 << 48;

/// The whole catalog.
#[derive(Serialize, Deserialize)]
pub(crate) struct CatalogRecord<'a> {
    snapshot: u64,
    codec: String,
    next_array_id: u64,
    datasets: Texts<'a>,
    schemas: Vec<SchemaRecord>,
    arrays: Vec<FamilyRecord>,
    attributes: Vec<AttributeRecord<'a>>,
    #[serde(default)]
    retired: Vec<RetiredSegment>,
}

impl<'a> CatalogRecord<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        let datasets = catalog.datasets.len();
        let schema = |schema: &Arc<ArraySchema>| SchemaRecord {
            dtype: schema.dtype,
            dims: schema.dims.clone(),
            shape: schema.shape.clone(),
            chunk_shape: schema.chunk_shape.clone(),
            fill_value: schema.fill_value.as_ref().map(StoredScalar::new),
        };
        CatalogRecord {
            snapshot: catalog.snapshot,
            codec: catalog.codec.name().into(),
            next_array_id: catalog.next_array_id,
            datasets: Texts(Cow::Borrowed(catalog.datasets.packed())),
            schemas: catalog.schemas.iter().map(schema).collect(),
            arrays: catalog.families.values().map(|family| family_record(family, datasets)).collect(),
            attributes: catalog.attributes.values().map(|column| attribute_record(column, datasets)).collect(),
            retired: catalog.retired.clone(),
        }
    }

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
        let names = DatasetNames::from_names(self.datasets.0.into_owned());
        for name in names.iter() {
            check_name("dataset", name).map_err(|error| error.to_string())?;
        }
        if names.has_duplicates() {
            return Err("two datasets have one name".into());
        }
        let datasets = names.len();
        catalog.datasets = Arc::new(names);
        for record in self.arrays {
            let family = family_of(record, &catalog, datasets)?;
            catalog.families.insert(family.name().to_string(), Arc::new(family));
        }
        for record in self.attributes {
            let column = attribute_of(record, datasets)?;
            catalog.attributes.insert((column.key().to_string(), column.kind()), Arc::new(column));
        }
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

fn family_record(family: &Family, datasets: usize) -> FamilyRecord {
    let entries = || family.entries().map(|(_, entry)| entry);
    // Every array has statistics once it is committed.
    let empty = Statistics::empty(family.dtype());
    let stats: Vec<&Statistics> = entries().map(|entry| entry.statistics.as_ref().unwrap_or(&empty)).collect();
    let bound = |bound: &Option<Scalar>| bound.as_ref().map(StoredScalar::new);
    FamilyRecord {
        name: family.name().into(),
        dtype: family.dtype(),
        directory: family.directory.clone(),
        next_segment: family.next_segment,
        segments: family
            .segments
            .iter()
            .map(|segment| SegmentRecord {
                object: segment.object.clone(),
                bytes: segment.bytes,
                crc32c: segment.crc32c,
                first_id: segment.first_id,
                last_id: segment.last_id,
            })
            .collect(),
        rows: put_rows(family.rows(), datasets),
        ids: entries().map(|entry| entry.id).collect(),
        schemas: Column::new(entries().map(|entry| entry.schema)),
        statistics: StatisticsRecord {
            row_count: Column::new(stats.iter().map(|stats| stats.row_count)),
            null_count: Column::new(stats.iter().map(|stats| stats.null_count)),
            nan_count: Column::new(stats.iter().map(|stats| stats.nan_count)),
            min: stats.iter().map(|stats| bound(&stats.min)).collect(),
            max: stats.iter().map(|stats| bound(&stats.max)).collect(),
            exact: Column::new(stats.iter().map(|stats| u8::from(stats.min_exact) | u8::from(stats.max_exact) << 1)),
            sum: sums(&stats, |sum| match sum {
                Sum::Float(sum) => Some(Float(sum)),
                Sum::Int(_) => None,
            }),
            int_sum: sums(&stats, |sum| match sum {
                Sum::Int(sum) => Some(sum),
                Sum::Float(_) => None,
            }),
        },
    }
}

/// The sums of one kind; no list at all where there are none.
fn sums<T>(stats: &[&Statistics], pick: impl Fn(Sum) -> Option<T>) -> Vec<Option<T>> {
    let sums: Vec<Option<T>> = stats.iter().map(|stats| stats.sum.and_then(&pick)).collect();
    if sums.iter().any(Option::is_some) { sums } else { Vec::new() }
}

fn family_of(record: FamilyRecord, catalog: &Catalog, datasets: usize) -> Result<Family, String> {
    let FamilyRecord { name, dtype, directory, next_segment, segments, rows, ids, schemas, statistics: stats } = record;
    check_name("array", &name).map_err(|error| error.to_string())?;
    let failed = |what: String| format!("array {name}: {what}");
    let rows = take_rows(rows, datasets).map_err(failed)?;
    let count = rows.len();
    let lengths = [ids.len(), stats.min.len(), stats.max.len()];
    let sums = [stats.sum.len(), stats.int_sum.len()];
    if lengths != [count; 3] || sums.iter().any(|length| *length != 0 && *length != count) {
        return Err(failed(format!("columns of {lengths:?} and {sums:?} cells for {count} datasets")));
    }
    let schemas = schemas.expand(count).map_err(failed)?;
    let row_counts = stats.row_count.expand(count).map_err(failed)?;
    let null_counts = stats.null_count.expand(count).map_err(failed)?;
    let nan_counts = stats.nan_count.expand(count).map_err(failed)?;
    let exact = stats.exact.expand(count).map_err(failed)?;
    let mut sums = stats.sum.into_iter();
    let mut int_sums = stats.int_sum.into_iter();
    let resolve = |stored: Option<StoredScalar>| match stored {
        None => Ok(None),
        Some(stored) => stored.resolve(dtype).map(Some).ok_or("a bound does not fit the dtype".to_string()),
    };
    let mut family = Family::new(name.clone(), dtype, directory.clone());
    family.next_segment = next_segment;
    for (at, (min, max)) in stats.min.into_iter().zip(stats.max).enumerate() {
        let schema = schemas[at];
        if catalog.schemas.get(schema as usize).is_none_or(|schema| schema.dtype != dtype) {
            return Err(failed(format!("schema {schema} does not exist or has another dtype")));
        }
        if ids[at] >= catalog.next_array_id {
            return Err(failed(format!("id {} was not given out yet", ids[at])));
        }
        let counted = null_counts[at].checked_add(nan_counts[at]);
        if row_counts[at] != catalog.schemas[schema as usize].cell_count()
            || counted.is_none_or(|counted| counted > row_counts[at])
        {
            return Err(failed(format!("the statistics of id {} count other cells than it has", ids[at])));
        }
        let float_sum = sums.next().flatten().map(|sum| Sum::Float(sum.0));
        let statistics = Statistics {
            row_count: row_counts[at],
            null_count: null_counts[at],
            nan_count: nan_counts[at],
            min: resolve(min).map_err(failed)?,
            max: resolve(max).map_err(failed)?,
            min_exact: exact[at] & 1 != 0,
            max_exact: exact[at] & 2 != 0,
            sum: int_sums.next().flatten().map(Sum::Int).or(float_sum),
        };
        family.insert(rows[at], ArrayEntry { id: ids[at], schema, statistics: Some(statistics) });
    }
    if directory.contains('/') || !is_within_the_store(&directory) || next_segment > u32::MAX / 2 {
        return Err(failed(format!("directory {directory:?} or segment number {next_segment} cannot be right")));
    }
    if let Some(segment) = segments.iter().find(|segment| segment.bytes > MAX_SEGMENT_BYTES) {
        return Err(failed(format!("segment {:?} is larger than {MAX_SEGMENT_BYTES} bytes", segment.object)));
    }
    if let Some(segment) = segments.iter().find(|segment| !is_within_the_store(&segment.object)) {
        return Err(failed(format!("segment {:?} is not the name of an object in the store", segment.object)));
    }
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

/// Whether an object's name leads nowhere else: relative, and without empty, `.` and `..` parts.
fn is_within_the_store(object: &str) -> bool {
    !object.contains('\\') && object.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn attribute_record(column: &AttributeColumn, datasets: usize) -> AttributeRecord<'_> {
    AttributeRecord {
        key: column.key().into(),
        rows: put_rows(column.rows(), datasets),
        values: match column.values() {
            AttributeValues::Bool(values) => ValuesRecord::Bool(Cow::Borrowed(values)),
            AttributeValues::Int64(values) => ValuesRecord::Int64(Cow::Borrowed(values)),
            AttributeValues::Float64(values) => ValuesRecord::Float64(Floats(Cow::Borrowed(values))),
            AttributeValues::String(values) => ValuesRecord::String(Texts(Cow::Borrowed(values))),
            AttributeValues::Timestamp(values) => ValuesRecord::TimestampNanoseconds(Cow::Borrowed(values)),
        },
    }
}

fn attribute_of(record: AttributeRecord<'_>, datasets: usize) -> Result<AttributeColumn, String> {
    let AttributeRecord { key, rows, values } = record;
    let values = match values {
        ValuesRecord::Bool(values) => AttributeValues::Bool(values.into_owned()),
        ValuesRecord::Int64(values) => AttributeValues::Int64(values.into_owned()),
        ValuesRecord::Float64(values) => AttributeValues::Float64(values.0.into_owned()),
        ValuesRecord::String(values) => AttributeValues::String(values.0.into_owned()),
        ValuesRecord::TimestampNanoseconds(values) => AttributeValues::Timestamp(values.into_owned()),
    };
    let rows = take_rows(rows, datasets).map_err(|error| format!("attribute {key}: {error}"))?;
    if rows.len() != values.len() {
        return Err(format!("attribute {key}: {} values for {} datasets", values.len(), rows.len()));
    }
    Ok(AttributeColumn::from_parts(key, rows, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_survive_json_and_msgpack() {
        let odd = f64::from_bits(f64::NAN.to_bits() | 7);
        for value in [0.0, -0.0, 1.0, 0.1, f64::MIN_POSITIVE, f64::MAX, f64::NAN, odd, f64::INFINITY, f64::NEG_INFINITY]
        {
            let json = serde_json::to_vec(&Float(value)).unwrap();
            assert_eq!(serde_json::from_slice::<Float>(&json).unwrap().0.to_bits(), value.to_bits());
            let msgpack = rmp_serde::to_vec(&Float(value)).unwrap();
            assert_eq!(rmp_serde::from_slice::<Float>(&msgpack).unwrap().0.to_bits(), value.to_bits());
        }
    }
}
