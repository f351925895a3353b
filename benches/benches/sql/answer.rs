//! What a query answered, so that the answers of several systems can be compared.

use arrow::array::RecordBatch;
use datafusion::scalar::ScalarValue;
use std::cmp::Ordering;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
}

/// Rows in an order of their own.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Answer {
    pub(crate) fn of(batches: &[RecordBatch]) -> Answer {
        let row = |batch: &RecordBatch, at| batch.columns().iter().map(|column| value(column, at)).collect();
        let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| row(batch, at))).collect();
        Answer { rows }
    }

    /// Where it differs from another answer, which can have its rows in another order and floats that were added in
    /// another order.
    pub(crate) fn difference(&self, other: &Answer) -> Option<String> {
        if self.rows.len() != other.rows.len() {
            return Some(format!("{} rows, not {}", self.rows.len(), other.rows.len()));
        }
        let pairs = sorted(&self.rows).into_iter().zip(sorted(&other.rows));
        for (own, other) in pairs {
            if own.len() != other.len() || !own.iter().zip(other).all(|(a, b)| is_same(a, b)) {
                return Some(format!("{own:?}, not {other:?}"));
            }
        }
        None
    }
}

fn value(column: &arrow::array::ArrayRef, at: usize) -> Value {
    match ScalarValue::try_from_array(column, at).unwrap() {
        value if value.is_null() => Value::Null,
        ScalarValue::Float32(Some(value)) => Value::Float(f64::from(value)),
        ScalarValue::Float64(Some(value)) => Value::Float(value),
        ScalarValue::Int64(Some(value)) => Value::Int(value),
        ScalarValue::UInt64(Some(value)) => Value::Int(i64::try_from(value).unwrap()),
        other => match other.try_as_str() {
            Some(Some(text)) => Value::Text(text.to_string()),
            _ => panic!("no query of the bench asks for {other:?}"),
        },
    }
}

fn sorted(rows: &[Vec<Value>]) -> Vec<&Vec<Value>> {
    let mut sorted: Vec<&Vec<Value>> = rows.iter().collect();
    sorted.sort_by(|a, b| {
        a.iter().zip(b.iter()).map(|(a, b)| order(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    sorted
}

fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        _ => number(a).total_cmp(&number(b)),
    }
}

/// Of a number itself, of what is none a place after all numbers.
fn number(value: &Value) -> f64 {
    match value {
        Value::Int(value) => *value as f64,
        Value::Float(value) => *value,
        Value::Null | Value::Text(_) => f64::NAN,
    }
}

fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => (a - b).abs() <= 1e-6 * a.abs().max(b.abs()),
        // A whole float comes through JSON as an integer.
        (Value::Float(a), Value::Int(b)) | (Value::Int(b), Value::Float(a)) => *a == *b as f64,
        _ => a == b,
    }
}
