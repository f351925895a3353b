//! Which datasets satisfy a predicate over the catalog: by a pass over the catalog's own columns, and by planning a scan of
//! the table `catalog`, which evaluates the predicates of SQL. What a scan finds is not read.

use atlas_store::{AttributeValues, Cells, Scalar, Snapshot, Store};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::prelude::{SessionContext, col, lit};
use std::hint::black_box;
use std::sync::Arc;

/// The datasets whose `float0` is beyond a value: one pass over the column.
fn by_attribute(snapshot: &Snapshot, beyond: f64) -> Vec<u32> {
    let column = snapshot.attribute_columns().find(|column| column.key() == "float0").unwrap();
    let AttributeValues::Float64(values) = column.values() else { return Vec::new() };
    column.rows().iter().zip(values).filter(|(_, value)| **value > beyond).map(|(row, _)| *row).collect()
}

/// The datasets whose greatest temperature is beyond a value: one pass over the column.
fn by_statistic(snapshot: &Snapshot, beyond: f32) -> Vec<u32> {
    let family = snapshot.family("temperature").unwrap();
    let (known, Cells::F32(maxs)) = (family.statistics(), family.statistics().maxs()) else { return Vec::new() };
    let has_max = known.has_max();
    let places = family.rows().iter().zip(maxs).zip(has_max.iter());
    places.filter(|((_, max), has)| *has && **max > beyond).map(|((row, _), _)| *row).collect()
}

/// The same, array by array.
fn by_entry(snapshot: &Snapshot, beyond: f32) -> Vec<u32> {
    let family = snapshot.family("temperature").unwrap();
    let passes = |max: &Option<Scalar>| matches!(max, Some(Scalar::Float32(max)) if *max > beyond);
    let entries = family.entries().filter(|(_, entry)| entry.statistics().is_some_and(|known| passes(&known.max)));
    entries.map(|(row, _)| row).collect()
}

/// A session with the store, and its table `catalog`.
fn connect(store: &Store) -> (SessionContext, Arc<dyn TableProvider>) {
    let context = atlas_sql::session(&[("fleet".to_string(), store.clone())]).unwrap();
    let table = futures::executor::block_on(context.table_provider("catalog")).unwrap();
    (context, table)
}

/// Plans a scan, and gives the number of datasets that are left.
fn scan((context, table): &(SessionContext, Arc<dyn TableProvider>), filters: &[Expr]) -> usize {
    let plan = futures::executor::block_on(table.scan(&context.state(), Some(&vec![0]), filters, None)).unwrap();
    let known = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).unwrap();
    *known.num_rows.get_value().unwrap()
}

/// Measures the filters on the store at a path.
pub(crate) fn measure(criterion: &mut Criterion, datasets: u64, path: &str) {
    let store = Store::open(path).unwrap();
    let snapshot = store.snapshot();
    let mut group = criterion.benchmark_group("catalog filter");
    group.throughput(Throughput::Elements(datasets));
    let id = |what: &str| BenchmarkId::new(what, datasets);
    let beyond = datasets as f64 * 17.0 / 1024.0 * 0.999;
    group.bench_function(id("attribute, columns"), |bench| {
        bench.iter(|| black_box(by_attribute(&snapshot, beyond)));
    });
    group.bench_function(id("statistic, columns"), |bench| bench.iter(|| black_box(by_statistic(&snapshot, 39.9))));
    group.bench_function(id("statistic, array by array"), |bench| {
        bench.iter(|| black_box(by_entry(&snapshot, 39.9)));
    });
    let (attribute, statistic) = (col("float0").gt(lit(beyond)), col("temperature_max").gt(lit(39.9f32)));
    let text = col("cruise").eq(lit("AT000"));
    let session = connect(&store);
    assert_eq!(scan(&session, std::slice::from_ref(&attribute)), by_attribute(&snapshot, beyond).len());
    assert_eq!(scan(&session, std::slice::from_ref(&statistic)), by_statistic(&snapshot, 39.9).len());
    let cases = [
        ("attribute, SQL", vec![attribute.clone()]),
        ("statistic, SQL", vec![statistic.clone()]),
        ("text attribute, SQL", vec![text]),
        ("attribute and statistic, SQL", vec![attribute, statistic]),
    ];
    for (name, filters) in &cases {
        group.bench_function(id(name), |bench| bench.iter(|| black_box(scan(&session, filters))));
    }
    let (_, both) = &cases[3];
    group.bench_function(id("attribute and statistic, SQL, new session"), |bench| {
        let first = |store: Store| {
            let session = connect(&store);
            black_box(scan(&session, both));
            session
        };
        bench.iter_batched(|| store.clone(), first, BatchSize::PerIteration);
    });
    group.finish();
}
