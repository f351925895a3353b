//! Attributes as columns.
//!
//! A key has one column. Where datasets give it values of different types, `int64` and `float64` together are
//! `Float64` if that is exact for each of the integers; any other mix is text.

use super::declaration;
use super::spread::Spread;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, TimestampNanosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use atlas_store::{AttributeType, AttributeValues, Snapshot};
use datafusion::error::Result;
use std::borrow::Cow;
use std::sync::Arc;

/// One attribute key as a column.
#[derive(Debug)]
pub(crate) struct AttributeColumn {
    pub(crate) key: String,
    /// The column's name.
    pub(crate) column: String,
    pub(crate) data_type: DataType,
}

impl AttributeColumn {
    /// The columns of all keys, sorted by key; their names are still to be assigned.
    pub(crate) fn of(snapshot: &Snapshot) -> Vec<AttributeColumn> {
        let mut columns: Vec<AttributeColumn> = Vec::new();
        for stored in snapshot.attribute_columns() {
            let own = own_type(stored.kind());
            match columns.last_mut() {
                Some(column) if column.key == stored.key() => {
                    let numbers = [DataType::Int64, DataType::Float64];
                    let both = numbers.contains(&own) && numbers.contains(&column.data_type);
                    column.data_type = if both { DataType::Float64 } else { DataType::Utf8 };
                }
                _ => columns.push(AttributeColumn {
                    key: stored.key().to_string(),
                    column: String::new(),
                    data_type: own,
                }),
            }
        }
        for stored in snapshot.attribute_columns() {
            if let AttributeValues::Int64(values) = stored.values()
                && let Ok(index) = columns.binary_search_by(|column| column.key.as_str().cmp(stored.key()))
                && columns[index].data_type == DataType::Float64
                && !values.iter().all(|value| is_exact(*value))
            {
                columns[index].data_type = DataType::Utf8;
            }
        }
        columns
    }

    /// The values of all datasets.
    pub(crate) fn array(&self, snapshot: &Snapshot) -> Result<ArrayRef> {
        let datasets = snapshot.dataset_count();
        let kinds = AttributeType::ALL.into_iter();
        let parts: Vec<_> = kinds.filter_map(|kind| snapshot.attribute_column(&self.key, kind)).collect();
        Ok(match &self.data_type {
            DataType::Boolean => {
                let mut column = Spread::new(datasets);
                for part in &parts {
                    if let AttributeValues::Bool(own) = part.values() {
                        column.put(part.rows(), own.iter().map(|value| Some(*value)));
                    }
                }
                let (values, nulls) = column.finish();
                Arc::new(BooleanArray::new(values.into(), nulls))
            }
            DataType::Int64 => {
                let mut column = Spread::new(datasets);
                for part in &parts {
                    if let AttributeValues::Int64(own) = part.values() {
                        column.put(part.rows(), own.iter().map(|value| Some(*value)));
                    }
                }
                let (values, nulls) = column.finish();
                Arc::new(Int64Array::new(values.into(), nulls))
            }
            DataType::Timestamp(..) => {
                let mut column = Spread::new(datasets);
                for part in &parts {
                    if let AttributeValues::Timestamp(own) = part.values() {
                        column.put(part.rows(), own.iter().map(|time| Some(*time).filter(|time| *time != i64::MIN)));
                    }
                }
                let (values, nulls) = column.finish();
                Arc::new(TimestampNanosecondArray::new(values.into(), nulls))
            }
            DataType::Float64 => {
                let mut column = Spread::new(datasets);
                for part in &parts {
                    match part.values() {
                        AttributeValues::Float64(own) => column.put(part.rows(), own.iter().map(|value| Some(*value))),
                        AttributeValues::Int64(own) => {
                            column.put(part.rows(), own.iter().map(|value| Some(*value as f64)));
                        }
                        _ => {}
                    }
                }
                let (values, nulls) = column.finish();
                Arc::new(Float64Array::new(values.into(), nulls))
            }
            _ => {
                let mut texts: Vec<Option<Cow<'_, str>>> = vec![None; datasets];
                for part in &parts {
                    if let AttributeValues::String(own) = part.values() {
                        for (row, value) in part.rows().iter().zip(own.iter()) {
                            texts[*row as usize] = Some(String::from_utf8_lossy(value));
                        }
                        continue;
                    }
                    for row in part.rows() {
                        texts[*row as usize] = part.get(*row).map(|value| Cow::Owned(value.to_string()));
                    }
                }
                declaration::text(texts.iter().map(Option::as_deref))?
            }
        })
    }
}

fn own_type(kind: AttributeType) -> DataType {
    match kind {
        AttributeType::Bool => DataType::Boolean,
        AttributeType::Int64 => DataType::Int64,
        AttributeType::Float64 => DataType::Float64,
        AttributeType::String => DataType::Utf8,
        AttributeType::TimestampNanoseconds => DataType::Timestamp(TimeUnit::Nanosecond, None),
    }
}

/// Whether a float can hold this integer.
fn is_exact(value: i64) -> bool {
    let float = value as f64;
    // 2^63 as a float would saturate to i64::MAX on the way back.
    #[allow(clippy::cast_possible_truncation, reason = "the value below 2^63 is an integer")]
    let back = float as i64;
    float < 9_223_372_036_854_775_808.0 && back == value
}
