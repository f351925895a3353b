//! The table `attributes`: a row is an attribute of a dataset.

use super::{Listing, Pair, Rows};
use crate::columns::{View, text};
use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use atlas_store::{Attribute, AttributeColumn, AttributeType};
use datafusion::error::{DataFusionError, Result};
use std::fmt;
use std::sync::Arc;

/// The attributes of all datasets. A part is a key with one type.
pub(super) struct Attributes {
    view: Arc<View>,
    schema: SchemaRef,
    /// Key and type of each part.
    parts: Vec<(String, AttributeType)>,
}

impl Attributes {
    /// The position of `value`; `number` follows.
    const VALUE: usize = 3;

    pub(super) fn new(view: &Arc<View>) -> Self {
        let schema = Schema::new(vec![
            Field::new("dataset", DataType::Utf8, false),
            Field::new("key", DataType::Utf8, false),
            Field::new("type", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, false),
            Field::new("number", DataType::Float64, true),
        ]);
        let parts = view.snapshot.attribute_columns().map(|stored| (stored.key().to_string(), stored.kind())).collect();
        Attributes { view: Arc::clone(view), schema: Arc::new(schema), parts }
    }

    fn stored(&self, part: u32) -> Result<&AttributeColumn> {
        let (key, kind) = &self.parts[part as usize];
        let stored = self.view.snapshot.attribute_column(key, *kind);
        stored.ok_or_else(|| DataFusionError::Internal(format!("no attribute {key} of type {}", kind.name())))
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attributes({:?})", self.view)
    }
}

impl Listing for Attributes {
    fn name(&self) -> &'static str {
        "attributes"
    }

    fn unit(&self) -> &'static str {
        "attributes"
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn view(&self) -> &Arc<View> {
        &self.view
    }

    fn part_columns(&self) -> usize {
        2
    }

    fn part_column(&self, column: usize) -> Result<ArrayRef> {
        match column {
            1 => text(self.parts.iter().map(|(key, _)| Some(key.as_str()))),
            _ => text(self.parts.iter().map(|(_, kind)| Some(kind.name()))),
        }
    }

    fn part_count(&self) -> usize {
        self.parts.len()
    }

    fn datasets(&self, part: u32) -> Result<&[u32]> {
        Ok(self.stored(part)?.rows())
    }

    fn is_one_to_one(&self) -> bool {
        true
    }

    fn list(
        &self,
        pairs: &[Pair],
        columns: &[usize],
        most: usize,
        emit: &mut dyn FnMut(Rows) -> Result<bool>,
    ) -> Result<bool> {
        let mut start = 0u32;
        for pairs in pairs.chunks(most.max(1)) {
            let end = start + u32::try_from(pairs.len()).unwrap_or(u32::MAX);
            let mut values = Vec::with_capacity(if columns.is_empty() { 0 } else { pairs.len() });
            // Pairs of one part follow each other.
            for run in pairs.chunk_by(|one, next| one.0 == next.0).filter(|_| !columns.is_empty()) {
                let stored = self.stored(run[0].0)?;
                values.extend(run.iter().map(|(_, row)| stored.get(*row)));
            }
            let columns = columns.iter().map(|column| {
                if *column == Self::VALUE {
                    let texts: Vec<Option<String>> =
                        values.iter().map(|value| value.as_ref().map(Attribute::to_string)).collect();
                    text(texts.iter().map(Option::as_deref))
                } else {
                    let numbers = values.iter().map(|value| match value {
                        Some(Attribute::Int64(value)) => Some(*value as f64),
                        Some(Attribute::Float64(value)) => Some(*value),
                        _ => None,
                    });
                    let numbers: ArrayRef = Arc::new(Float64Array::from_iter(numbers));
                    Ok(numbers)
                }
            });
            if !emit(Rows { columns: columns.collect::<Result<_>>()?, pairs: (start..end).collect() })? {
                return Ok(false);
            }
            start = end;
        }
        Ok(true)
    }
}
