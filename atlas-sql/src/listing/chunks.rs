//! The table `chunks`: a row is a chunk that was written.

use super::{Listing, Pair, Rows};
use crate::columns::{Statistic, View, as_i64, statistic, text};
use crate::error::from_store;
use arrow::array::{ArrayRef, Float64Array, Int64Array, Int64Builder, ListBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use atlas_store::{ChunkInfo, Scalar, Sum};
use datafusion::error::Result;
use std::fmt;
use std::sync::Arc;

/// The chunks of all arrays. A part is an array; a pair has a row per chunk that was written.
pub(super) struct Chunks {
    view: Arc<View>,
    schema: SchemaRef,
}

/// A column that neither the dataset nor the array decides.
#[derive(Debug, Clone, Copy)]
enum Value {
    Chunk,
    Start,
    Shape,
    RowCount,
    NullCount,
    NanCount,
    Min,
    Max,
    Sum,
    MinText,
    MaxText,
    SumText,
    Segment,
    Offset,
    StoredBytes,
    Codec,
}

/// The columns after `dataset`, `array` and `dtype`.
const VALUES: [(Value, &str); 16] = [
    (Value::Chunk, "chunk"),
    (Value::Start, "start"),
    (Value::Shape, "shape"),
    (Value::RowCount, "row_count"),
    (Value::NullCount, "null_count"),
    (Value::NanCount, "nan_count"),
    (Value::Min, "min"),
    (Value::Max, "max"),
    (Value::Sum, "sum"),
    (Value::MinText, "min_text"),
    (Value::MaxText, "max_text"),
    (Value::SumText, "sum_text"),
    (Value::Segment, "segment"),
    (Value::Offset, "offset"),
    (Value::StoredBytes, "stored_bytes"),
    (Value::Codec, "codec"),
];

/// The columns that come before those.
const DECIDED: usize = 3;

impl Value {
    fn field(self, name: &str) -> Field {
        let (data_type, nullable) = match self {
            Value::Start | Value::Shape => {
                (DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true))), false)
            }
            Value::Min | Value::Max | Value::Sum => (DataType::Float64, true),
            Value::MinText | Value::MaxText | Value::SumText => (DataType::Utf8, true),
            Value::Segment | Value::Codec => (DataType::Utf8, false),
            _ => (DataType::Int64, false),
        };
        Field::new(name, data_type, nullable)
    }

    fn column(self, chunks: &[ChunkInfo<'_>]) -> Result<ArrayRef> {
        let counts = |of: &dyn Fn(&ChunkInfo<'_>) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(chunks.iter().map(|chunk| as_i64(of(chunk)))))
        };
        let lists = |of: &dyn Fn(&ChunkInfo<'_>) -> Vec<u64>| -> ArrayRef {
            let mut lists = ListBuilder::new(Int64Builder::new());
            for chunk in chunks {
                lists.append_value(of(chunk).into_iter().map(|extent| Some(as_i64(extent))));
            }
            Arc::new(lists.finish())
        };
        let known = |chunk: &ChunkInfo<'_>, wanted| statistic(chunk.statistics, wanted);
        let floats = |wanted| -> ArrayRef {
            let of = |chunk: &ChunkInfo<'_>| known(chunk, wanted).as_ref().and_then(Scalar::as_f64);
            Arc::new(Float64Array::from_iter(chunks.iter().map(of)))
        };
        let texts = |wanted| {
            let of = |chunk: &ChunkInfo<'_>| known(chunk, wanted).as_ref().map(Scalar::to_string);
            let texts: Vec<Option<String>> = chunks.iter().map(of).collect();
            text(texts.iter().map(Option::as_deref))
        };
        Ok(match self {
            Value::Chunk => counts(&|chunk| chunk.index.into()),
            Value::Start => lists(&|chunk| chunk.region.start().to_vec()),
            Value::Shape => lists(&|chunk| chunk.region.shape().to_vec()),
            Value::RowCount => counts(&|chunk| chunk.statistics.row_count),
            Value::NullCount => counts(&|chunk| chunk.statistics.null_count),
            Value::NanCount => counts(&|chunk| chunk.statistics.nan_count),
            Value::Min => floats(Statistic::Min),
            Value::Max => floats(Statistic::Max),
            Value::Sum => {
                let sums = chunks.iter().map(|chunk| {
                    let sum = chunk.statistics.sum.filter(|_| chunk.statistics.valid_count() > 0);
                    sum.map(Sum::as_f64)
                });
                Arc::new(Float64Array::from_iter(sums))
            }
            Value::MinText => texts(Statistic::Min)?,
            Value::MaxText => texts(Statistic::Max)?,
            Value::SumText => texts(Statistic::Sum)?,
            Value::Segment => text(chunks.iter().map(|chunk| Some(chunk.segment)))?,
            Value::Offset => counts(&|chunk| chunk.offset),
            Value::StoredBytes => counts(&|chunk| chunk.stored_bytes),
            Value::Codec => text(chunks.iter().map(|chunk| Some(chunk.codec.as_str())))?,
        })
    }
}

impl Chunks {
    pub(super) fn new(view: &Arc<View>) -> Self {
        let decided = ["dataset", "array", "dtype"].map(|name| Field::new(name, DataType::Utf8, false));
        let fields: Vec<Field> =
            decided.into_iter().chain(VALUES.iter().map(|(value, name)| value.field(name))).collect();
        Chunks { view: Arc::clone(view), schema: Arc::new(Schema::new(fields)) }
    }

    /// Rows of which nothing is wanted but how many there are: the zone maps stay closed.
    fn count(&self, pairs: &[Pair], most: usize, emit: &mut dyn FnMut(Rows) -> Result<bool>) -> Result<bool> {
        for (position, (part, row)) in (0u32..).zip(pairs) {
            let name = &self.view.families[*part as usize].name;
            let (mut left, _) = self.view.snapshot.chunk_totals(name, &[*row]).map_err(from_store)?;
            while left > 0 {
                let some = left.min(most as u64);
                left -= some;
                let pairs = (0..some).map(|_| position).collect();
                if !emit(Rows { pairs, columns: Vec::new() })? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunks({:?})", self.view)
    }
}

impl Listing for Chunks {
    fn name(&self) -> &'static str {
        "chunks"
    }

    fn unit(&self) -> &'static str {
        "arrays"
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn view(&self) -> &Arc<View> {
        &self.view
    }

    fn part_columns(&self) -> usize {
        DECIDED - 1
    }

    fn part_column(&self, column: usize) -> Result<ArrayRef> {
        let families = self.view.families.iter();
        match column {
            1 => text(families.map(|family| Some(family.name.as_str()))),
            _ => text(families.map(|family| Some(family.dtype.name()))),
        }
    }

    fn part_count(&self) -> usize {
        self.view.families.len()
    }

    fn datasets(&self, part: u32) -> Result<&[u32]> {
        Ok(self.view.family(part as usize)?.rows())
    }

    fn is_one_to_one(&self) -> bool {
        false
    }

    fn list(
        &self,
        pairs: &[Pair],
        columns: &[usize],
        most: usize,
        emit: &mut dyn FnMut(Rows) -> Result<bool>,
    ) -> Result<bool> {
        let most = most.max(1);
        if columns.is_empty() {
            return self.count(pairs, most, emit);
        }
        let (mut owners, mut chunks) = (Vec::new(), Vec::new());
        let mut give = |owners: &[u32], chunks: &[ChunkInfo<'_>]| {
            let made =
                columns.iter().map(|column| VALUES[*column - DECIDED].0.column(chunks)).collect::<Result<_>>()?;
            emit(Rows { pairs: owners.to_vec(), columns: made })
        };
        for (position, (part, row)) in (0u32..).zip(pairs) {
            let name = &self.view.families[*part as usize].name;
            let own = self.view.snapshot.chunks(*row, name).map_err(from_store)?;
            owners.extend(std::iter::repeat_n(position, own.len()));
            chunks.extend(own);
            let full = chunks.len() / most * most;
            for start in (0..full).step_by(most) {
                if !give(&owners[start..start + most], &chunks[start..start + most])? {
                    return Ok(false);
                }
            }
            owners.drain(..full);
            chunks.drain(..full);
        }
        if chunks.is_empty() { Ok(true) } else { give(&owners, &chunks) }
    }
}
