//! Random queries: what the store's tables give equals what DataFusion gives over copies of them in memory.

use crate::cells::Random;
use crate::fleet::query;
use crate::generate::{Pool, Query, calls, off, on};
use crate::random;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use arrow::util::display::array_value_to_string;
use atlas_store::Store;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use std::sync::Arc;

/// A context over a store, and one over copies of its tables.
pub(crate) struct Pair {
    pub(crate) store: SessionContext,
    pub(crate) copy: SessionContext,
}

impl Pair {
    /// The functions are those of `atlas-sql` in both.
    pub(crate) fn new(store: &Store) -> Pair {
        let copy = SessionContext::new();
        atlas_sql::register(&copy, "unused", store).unwrap();
        Pair { store: atlas_sql::session(&[("r".to_string(), store.clone())]).unwrap(), copy }
    }

    /// Copies a table, with what its calls give as further columns.
    pub(crate) async fn copy(&self, pool: &Pool) {
        let calls = calls(pool);
        let columns: String = calls.iter().map(|call| format!(", {call}")).collect();
        let all = query(&self.store, &format!("SELECT *{columns} FROM {}", pool.table)).await;
        let schema = all.schema();
        let plain = schema.fields().len() - calls.len();
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| match at.checked_sub(plain) {
                Some(call) => Arc::new(field.as_ref().clone().with_name(&calls[call])),
                None => Arc::clone(field),
            })
            .collect();
        let copy = RecordBatch::try_new(Arc::new(Schema::new(fields)), all.columns().to_vec()).unwrap();
        self.copy.register_batch(pool.table.trim_matches('"'), copy).unwrap();
    }

    /// Runs both; whether DataFusion could run it over the copy at all.
    pub(crate) async fn compare(&self, query: &Query) -> bool {
        let Ok(expected) = run(&self.copy, &off(&query.sql)).await else { return false };
        let sql = on(&query.sql);
        let found = run(&self.store, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let (expected, found) = (texts(&expected, query), texts(&found, query));
        let is_same = expected.len() == found.len()
            && expected.iter().zip(&found).all(|(a, b)| a == b || (query.is_rounded && are_close(a, b)));
        let only = |of: &[Vec<String>], other: &[Vec<String>]| {
            of.iter().filter(|row| !other.contains(row)).take(5).cloned().collect::<Vec<_>>()
        };
        let plan = match is_same {
            true => None,
            false => run(&self.store, &format!("EXPLAIN {sql}")).await.ok(),
        };
        assert!(
            is_same,
            "{sql}\n{}\nin memory {} rows, with {:?}\nin the store {} rows, with {:?}",
            plan.map_or_else(String::new, |plan| text_of(&plan)),
            expected.len(),
            only(&expected, &found),
            found.len(),
            only(&found, &expected)
        );
        true
    }
}

/// The physical plan.
fn text_of(plan: &RecordBatch) -> String {
    crate::fleet::strings(plan.column(1)).into_iter().flatten().last().unwrap_or_default()
}

async fn run(context: &SessionContext, sql: &str) -> Result<RecordBatch> {
    let frame = context.sql(sql).await?;
    let schema = frame.schema().as_arrow().clone();
    let batches = frame.collect().await?;
    let schema = batches.first().map_or_else(|| Arc::new(schema), RecordBatch::schema);
    Ok(concat_batches(&schema, &batches)?)
}

/// Rows as text; sorted, where they have no order.
fn texts(batch: &RecordBatch, query: &Query) -> Vec<Vec<String>> {
    let cell = |column: &ArrayRef, row: usize| match column.is_null(row) {
        true => "NULL".to_string(),
        false => {
            let text = array_value_to_string(column, row).unwrap();
            // Which zero is the smallest, or the first of a group, depends on the order of rows.
            if query.is_rounded && text == "-0.0" { "0.0".into() } else { text }
        }
    };
    let row = |row| batch.columns().iter().map(|column| cell(column, row)).collect();
    let mut rows: Vec<Vec<String>> = (0..batch.num_rows()).map(row).collect();
    if !query.is_ordered {
        rows.sort();
    }
    rows
}

fn are_close(a: &[String], b: &[String]) -> bool {
    let close = |(a, b): (&String, &String)| {
        a == b
            || match (a.parse::<f64>(), b.parse::<f64>()) {
                (Ok(a), Ok(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1.0),
                _ => false,
            }
    };
    a.iter().zip(b).all(close)
}

/// The same numbers in each run, unless `ATLAS_TEST_SEED` asks for others.
pub(crate) fn seed(usual: u64) -> Random {
    Random(std::env::var("ATLAS_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(usual))
}

#[tokio::test]
async fn pushdown_changes_no_result() {
    let mut random = seed(31);
    let (mut compared, mut refused) = (0, 0);
    for _ in 0..4 {
        let datasets = 5 + random.below(9);
        let (store, _directory, families) = random::store(&mut random, datasets);
        let pair = Pair::new(&store);
        let mut pools = vec![random::of_datasets(&mut random, &families), random::of_catalog(&families)];
        pools.extend(random::of_listings());
        for pool in &pools {
            pair.copy(pool).await;
        }
        for (at, pool) in pools.iter().enumerate() {
            // `datasets` has most to get wrong.
            for _ in 0..if at == 0 { 50 } else { 15 } {
                let query = match random.below(4) {
                    0 => pool.join(&pools[random.below(pools.len() as u64) as usize], &mut random),
                    _ => pool.query(&mut random),
                };
                match pair.compare(&query).await {
                    true => compared += 1,
                    false => refused += 1,
                }
            }
        }
    }
    eprintln!("{compared} were compared, {refused} could not be");
    assert!(compared > 4 * refused, "{compared} were compared, {refused} could not be");
}
