//! Attributes of one key and type, over the datasets that have them.

use super::compact::retain;
use crate::attribute::{Attribute, AttributeType};
use crate::cells::VarCells;
use std::sync::Arc;

/// The values of one attribute key of one type. A key whose values have several types has a column for each.
#[derive(Debug, Clone)]
pub struct AttributeColumn {
    key: String,
    /// Shared with the other columns that every dataset has a value in.
    rows: Arc<Vec<u32>>,
    values: AttributeValues,
}

/// Values, parallel to the rows of their [`AttributeColumn`].
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the variants are their own description")]
pub enum AttributeValues {
    Bool(Vec<bool>),
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    String(VarCells),
    /// Nanoseconds since the epoch.
    Timestamp(Vec<i64>),
}

impl AttributeValues {
    pub(crate) fn len(&self) -> usize {
        match self {
            AttributeValues::Bool(values) => values.len(),
            AttributeValues::Int64(values) | AttributeValues::Timestamp(values) => values.len(),
            AttributeValues::Float64(values) => values.len(),
            AttributeValues::String(values) => values.len(),
        }
    }

    pub(crate) fn kind(&self) -> AttributeType {
        match self {
            AttributeValues::Bool(_) => AttributeType::Bool,
            AttributeValues::Int64(_) => AttributeType::Int64,
            AttributeValues::Float64(_) => AttributeType::Float64,
            AttributeValues::String(_) => AttributeType::String,
            AttributeValues::Timestamp(_) => AttributeType::TimestampNanoseconds,
        }
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        match self {
            AttributeValues::Bool(values) => values.shrink_to_fit(),
            AttributeValues::Int64(values) | AttributeValues::Timestamp(values) => values.shrink_to_fit(),
            AttributeValues::Float64(values) => values.shrink_to_fit(),
            AttributeValues::String(values) => values.shrink_to_fit(),
        }
    }

    fn get(&self, at: usize) -> Attribute {
        match self {
            AttributeValues::Bool(values) => Attribute::Bool(values[at]),
            AttributeValues::Int64(values) => Attribute::Int64(values[at]),
            AttributeValues::Float64(values) => Attribute::Float64(values[at]),
            AttributeValues::String(values) => Attribute::String(String::from_utf8_lossy(values.get(at)).into_owned()),
            AttributeValues::Timestamp(values) => Attribute::Timestamp(values[at]),
        }
    }

    /// Inserts at `at`, replacing what is there if `replace`.
    fn put(&mut self, at: usize, value: Attribute, replace: bool) {
        fn put<T>(values: &mut Vec<T>, at: usize, value: T, replace: bool) {
            if replace { values[at] = value } else { values.insert(at, value) }
        }
        match (self, value) {
            (AttributeValues::Bool(values), Attribute::Bool(value)) => put(values, at, value, replace),
            (AttributeValues::Int64(values), Attribute::Int64(value)) => put(values, at, value, replace),
            (AttributeValues::Float64(values), Attribute::Float64(value)) => put(values, at, value, replace),
            (AttributeValues::Timestamp(values), Attribute::Timestamp(value)) => put(values, at, value, replace),
            (AttributeValues::String(values), Attribute::String(value)) => {
                if at == values.len() {
                    values.push(value.as_bytes());
                } else {
                    let tail = at + usize::from(replace);
                    *values =
                        values.iter().take(at).chain([value.as_bytes()]).chain(values.iter().skip(tail)).collect();
                }
            }
            // The catalog picks the column by the value's type.
            _ => {}
        }
    }

    fn retain(&mut self, keep: &[bool]) {
        match self {
            AttributeValues::Bool(values) => retain(values, keep),
            AttributeValues::Int64(values) | AttributeValues::Timestamp(values) => retain(values, keep),
            AttributeValues::Float64(values) => retain(values, keep),
            AttributeValues::String(values) => {
                *values = values.iter().zip(keep).filter(|(_, keep)| **keep).map(|(value, _)| value).collect();
            }
        }
    }
}

impl AttributeColumn {
    pub(crate) fn new(key: String, kind: AttributeType) -> Self {
        let values = match kind {
            AttributeType::Bool => AttributeValues::Bool(Vec::new()),
            AttributeType::Int64 => AttributeValues::Int64(Vec::new()),
            AttributeType::Float64 => AttributeValues::Float64(Vec::new()),
            AttributeType::String => AttributeValues::String(VarCells::default()),
            AttributeType::TimestampNanoseconds => AttributeValues::Timestamp(Vec::new()),
        };
        AttributeColumn { key, rows: Arc::default(), values }
    }

    /// `rows` ascending, `values` parallel to it.
    pub(crate) fn from_parts(key: String, rows: Arc<Vec<u32>>, values: AttributeValues) -> Self {
        AttributeColumn { key, rows, values }
    }

    /// The attribute's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The type of every value.
    pub fn kind(&self) -> AttributeType {
        self.values.kind()
    }

    /// How many datasets have the attribute with this type.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no dataset has it.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows of the datasets that have it, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    pub(super) fn shared_rows(&self) -> &Arc<Vec<u32>> {
        &self.rows
    }

    /// The values, parallel to [`Self::rows`].
    pub fn values(&self) -> &AttributeValues {
        &self.values
    }

    /// The value of one dataset.
    pub fn get(&self, row: u32) -> Option<Attribute> {
        let at = self.rows.binary_search(&row).ok()?;
        Some(self.values.get(at))
    }

    pub(crate) fn set(&mut self, row: u32, value: Attribute) {
        // Rows come mostly in order: the end is tried first.
        let place = if self.rows.last().is_none_or(|last| *last < row) {
            Err(self.rows.len())
        } else {
            self.rows.binary_search(&row)
        };
        match place {
            Ok(at) => self.values.put(at, value, true),
            Err(at) => {
                Arc::make_mut(&mut self.rows).insert(at, row);
                self.values.put(at, value, false);
            }
        }
    }

    pub(crate) fn remove(&mut self, row: u32) {
        self.renumber(&|other| (other != row).then_some(other));
    }

    /// Keeps the values whose row has a new number.
    pub(crate) fn renumber(&mut self, renumber: &impl Fn(u32) -> Option<u32>) {
        let keep: Vec<bool> = self.rows.iter().map(|row| renumber(*row).is_some()).collect();
        self.values.retain(&keep);
        self.rows = Arc::new(self.rows.iter().filter_map(|row| renumber(*row)).collect());
    }

    pub(super) fn rows_mut(&mut self) -> &mut Arc<Vec<u32>> {
        &mut self.rows
    }
}
