//! Functions whose results are as large as a number in their arguments says.
//!
//! `repeat('x', 2000000000)` is a few bytes of SQL and gigabytes of memory, which no limit of the query's memory counts: functions
//! allocate for themselves. Here they are asked first what they would make of a batch.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::length::length;
use arrow::compute::{cast, max};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;
use tonic::Code;

use crate::status;

/// The most bytes that such a function may make of a batch, and the most steps that it may take.
const MOST: u64 = 256 << 20;

/// Functions that go in steps.
const RANGE: &str = "range";
const SERIES: &str = "generate_series";

/// How much a function does, given the largest of each argument.
type Cost = fn(&[u64]) -> u64;

/// The functions, by name, and what they cost a row: bytes, or steps.
const FUNCTIONS: [(&str, Cost); 10] = [
    ("repeat", |sizes| product(&[at(sizes, 0), at(sizes, 1)])),
    ("lpad", |sizes| product(&[4, at(sizes, 1)])),
    ("rpad", |sizes| product(&[4, at(sizes, 1)])),
    ("replace", |sizes| product(&[at(sizes, 0) + 1, at(sizes, 2) + 1])),
    ("regexp_replace", |sizes| product(&[at(sizes, 0) + 1, at(sizes, 2) + 1])),
    ("levenshtein", |sizes| product(&[at(sizes, 0), at(sizes, 1)])),
    ("array_repeat", |sizes| product(&[at(sizes, 0).max(16), at(sizes, 1)])),
    ("array_resize", |sizes| product(&[16, at(sizes, 1)])),
    // From start to stop, or from 0 to the one argument, in steps of 1 at least.
    (RANGE, |sizes| product(&[8, at(sizes, 0).saturating_add(at(sizes, 1))])),
    (SERIES, |sizes| product(&[8, at(sizes, 0).saturating_add(at(sizes, 1))])),
];

fn at(sizes: &[u64], argument: usize) -> u64 {
    sizes.get(argument).copied().unwrap_or(0)
}

fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor))
}

/// The same function, within bounds if it is one that needs them.
pub(crate) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match FUNCTIONS.iter().find(|(name, _)| *name == function.name()) {
        Some((_, cost)) => Arc::new(ScalarUDF::from(Bounded { function, cost: *cost })),
        None => function,
    }
}

/// A function that is asked what it costs before it is run.
#[derive(Debug)]
struct Bounded {
    function: Arc<ScalarUDF>,
    cost: Cost,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for Bounded {}

impl std::hash::Hash for Bounded {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.function.return_field_from_args(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_time = |argument: &ColumnarValue| argument.data_type().is_temporal();
        if [RANGE, SERIES].contains(&self.name()) && arguments.args.iter().any(is_time) {
            let message = format!("{} of times is not supported: take one of integers", self.name());
            return Err(DataFusionError::NotImplemented(message));
        }
        let sizes: Vec<u64> = arguments.args.iter().map(largest).collect::<Result<_>>()?;
        let is_constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { arguments.number_rows as u64 };
        let cost = (self.cost)(&sizes).saturating_mul(rows);
        if cost > MOST {
            let message = format!(
                "{} of arguments as large as {sizes:?}, {rows} times, could take {cost} bytes or steps, the limit is {MOST}",
                self.name()
            );
            let refused = status::status(Code::ResourceExhausted, &message);
            return Err(DataFusionError::External(Box::new(refused)));
        }
        self.function.invoke_with_args(arguments)
    }
}

/// The largest number, or the longest text or list, of an argument.
fn largest(argument: &ColumnarValue) -> Result<u64> {
    match argument {
        ColumnarValue::Array(values) => largest_of(values),
        ColumnarValue::Scalar(ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text)) => {
            Ok(text.as_ref().map_or(0, |text| text.len() as u64))
        }
        ColumnarValue::Scalar(value) => largest_of(&value.to_array()?),
    }
}

fn largest_of(values: &ArrayRef) -> Result<u64> {
    let numbers = match values.data_type() {
        kind if kind.is_integer() => cast(values, &DataType::Int64)?,
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(_, _) => cast(&length(values)?, &DataType::Int64)?,
        _ => return Ok(0),
    };
    Ok(max(numbers.as_primitive::<Int64Type>()).map_or(0, |most| most.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use datafusion::prelude::SessionContext;

    fn context() -> SessionContext {
        let context = SessionContext::new();
        let functions: Vec<_> = context.state().scalar_functions().values().cloned().collect();
        functions.into_iter().for_each(|function| context.register_udf(bounded(function).as_ref().clone()));
        context
    }

    #[tokio::test]
    async fn what_a_number_makes_large_is_refused() {
        let context = context();
        for sql in [
            "SELECT length(repeat('x', 2000000000))",
            "SELECT length(repeat(column1, column2)) FROM (VALUES ('x', 2000000000), ('y', 1))",
            "SELECT lpad('x', 2000000000), rpad('x', 5)",
            "SELECT rpad('x', 2000000000)",
            "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 10000)))",
            "SELECT length(regexp_replace(repeat('x', 1000000), 'x', repeat('y', 10000), 'g'))",
            "SELECT levenshtein(repeat('x', 100000), repeat('y', 100000))",
            "SELECT array_repeat(1, 2000000000)",
            "SELECT array_resize([1], 2000000000)",
            "SELECT range(2000000000)",
            "SELECT list_repeat('x', 2000000000)",
        ] {
            let ran = match context.sql(sql).await {
                Ok(query) => query.collect().await.map(drop),
                Err(error) => Err(error),
            };
            let error = ran.expect_err(sql).to_string();
            assert!(error.contains("the limit is 268435456"), "{sql}: {error}");
        }
    }

    #[tokio::test]
    async fn times_have_no_ranges() {
        let sql = "SELECT generate_series(TIMESTAMP '1970-01-01', TIMESTAMP '2200-01-01', INTERVAL '1 millisecond')";
        let ran = match context().sql(sql).await {
            Ok(query) => query.collect().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(ran.unwrap_err().to_string().contains("of times is not supported"));
    }

    #[tokio::test]
    async fn what_people_write_is_as_it_was() {
        let context = context();
        let sql = "SELECT repeat('ab', 3), lpad('7', 3, '0'), replace('a-b', '-', '+'), levenshtein('kitten', 'sitting'), \
                   array_repeat(1, 2), range(3), list_repeat('x', 2), regexp_replace('a1b2', '[0-9]', '#', 'g')";
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        let row = shown.lines().nth(3).unwrap();
        for value in ["ababab", "007", "a+b", " 3 ", "[1, 1]", "[0, 1, 2]", "[x, x]", "a#b#"] {
            assert!(row.contains(value), "{value}: {row}");
        }
    }
}
