//! Plans by their numbers, over ten thousand datasets: what EXPLAIN says equals what the store's own plan says, what the
//! run counts, and what brute force says could not be left out.

use crate::fleet::{floats, integers, names, query, write};
use crate::numbers::{Scan, scan, scans};
use atlas_store::{
    ArrayData, ArraySchema, Attribute, Cells, CreateOptions, DType, MemoryStorage, Region, Scalar, Store,
};
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::{Arc, OnceLock};

const DATASETS: u32 = 10_000;
const HOUR: i64 = 3_600_000_000_000;

/// Whether a dataset has `t`.
fn has_t(row: u32) -> bool {
    row % 4 != 3
}

/// `t`: six levels in chunks of two; the fill value is -1.
fn t(row: u32) -> [f32; 6] {
    std::array::from_fn(|level| {
        if row.is_multiple_of(10) && level == 5 { -1.0 } else { (row % 1000) as f32 + level as f32 / 10.0 }
    })
}

/// `q`: time × x, 4 × 3 in chunks of 2 × 3; NaN, which is not missing, in some.
fn q(row: u32) -> [f64; 12] {
    std::array::from_fn(|cell| {
        if row % 500 == 7 && cell == 0 { f64::NAN } else { f64::from(row % 100) * 10.0 + (cell / 6) as f64 * 5.0 }
    })
}

/// Ascending, descending, or in no order.
fn time(row: u32) -> [i64; 4] {
    let first = i64::from(row % 240) * HOUR;
    [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]][row as usize % 3].map(|step: i64| first + step * HOUR)
}

struct Fleet {
    store: Store,
    context: SessionContext,
}

/// Made once.
fn fleet() -> &'static Fleet {
    static FLEET: OnceLock<Fleet> = OnceLock::new();
    FLEET.get_or_init(|| {
        let store = Store::create_on(Arc::new(MemoryStorage::new()), CreateOptions::default()).unwrap();
        for row in 0..DATASETS {
            let name = format!("p{row:05}");
            store.create_dataset(&name).unwrap();
            store.set_attribute(&name, "month", Attribute::Int64(i64::from(row % 12) + 1)).unwrap();
            store.set_attribute(&name, "cruise", Attribute::String(format!("C{}", row % 50))).unwrap();
            if row % 2 == 0 {
                store.set_attribute(&name, "latitude", Attribute::Float64(f64::from(row % 180) - 90.0)).unwrap();
            }
            if has_t(row) {
                let schema = ArraySchema::new(DType::Float32, &["level"], &[6])
                    .with_chunk_shape(&[2])
                    .with_fill_value(Scalar::Float32(-1.0));
                write(&store, &name, "t", schema, ArrayData::from_numbers(vec![6], t(row).to_vec()).unwrap());
            }
            let schema = ArraySchema::new(DType::Float64, &["time", "x"], &[4, 3]).with_chunk_shape(&[2, 3]);
            write(&store, &name, "q", schema, ArrayData::from_numbers(vec![4, 3], q(row).to_vec()).unwrap());
            let times = Cells::I64(time(row).to_vec());
            let times = ArrayData::try_new(DType::TimestampNanoseconds, vec![4], times).unwrap();
            write(&store, &name, "time", ArraySchema::new(DType::TimestampNanoseconds, &["time"], &[4]), times);
            if row % 1000 == 999 {
                store.flush().unwrap();
            }
        }
        let config = SessionConfig::new().with_default_catalog_and_schema("atlas", "fleet").with_target_partitions(4);
        let context = SessionContext::new_with_config(config);
        atlas_sql::register(&context, "fleet", &store).unwrap();
        Fleet { store, context }
    })
}

fn rows(keep: impl Fn(u32) -> bool) -> Vec<u32> {
    (0..DATASETS).filter(|row| keep(*row)).collect()
}

/// What EXPLAIN says is what the run reads.
fn assert_true(sql: &str, scan: &Scan) {
    assert!(!scan.is_bound, "{sql}: {}", scan.line);
    assert_eq!(scan.chunks_read, scan.chunks.1, "{sql}: {}", scan.line);
    assert_eq!(scan.bytes_read, scan.bytes, "{sql}: {}", scan.line);
}

type Keep = fn(u32) -> bool;

/// Predicates over the catalog, in every form, and the datasets that satisfy them.
const CATALOG: [(&str, Keep); 18] = [
    ("month = 7", |row| row % 12 == 6),
    ("month IN (1, 2) AND cruise = 'C3'", |row| row % 12 < 2 && row % 50 == 3),
    ("NOT (month < 12)", |row| row % 12 == 11),
    ("month BETWEEN 3 AND 4 OR dataset = 'p00000'", |row| matches!(row % 12, 2 | 3) || row == 0),
    ("cruise LIKE 'C1%'", |row| matches!(row % 50, 1 | 10..=19)),
    ("cruise NOT LIKE '%1%' AND month <> 1", |row| !matches!(row % 50, 1 | 10..=19 | 21 | 31 | 41) && row % 12 != 0),
    ("lower(cruise) = 'c49'", |row| row % 50 == 49),
    ("abs(latitude) < 2", |row| row % 2 == 0 && row % 180 == 90),
    ("coalesce(latitude, -90) = -90", |row| row % 2 == 1 || row % 180 == 0),
    ("latitude IS NULL AND month = 2", |row| row % 2 == 1 && row % 12 == 1),
    ("CASE WHEN month > 6 THEN cruise = 'C0' ELSE false END", |row| row % 12 > 5 && row % 50 == 0),
    ("month * 2 + 1 = 25", |row| row % 12 == 11),
    ("stat_max(t) >= 999.5", |row| has_t(row) && row % 1000 == 999),
    ("stat_max(t) - stat_min(t) < 0.45 AND stat_null_count(t) = 1", |row| has_t(row) && row % 10 == 0),
    ("stat_mean(q) > 990 AND stat_row_count(q) = 12", |row| row % 100 == 99),
    ("t IS NULL AND month = 4", |row| !has_t(row) && row % 12 == 3),
    ("shape(t)[1] = 6 AND dims(q)[2] = 'x' AND dtype(t) = 'float32'", has_t),
    ("dataset IN ('p00004', 'p09998', 'nobody')", |row| row == 4 || row == 9998),
];

#[tokio::test]
async fn the_catalog_decides_exactly_and_the_rest_is_not_read() {
    let Fleet { store, context } = fleet();
    let snapshot = store.snapshot();
    for (predicate, keep) in CATALOG {
        let left = rows(keep);
        let with_t: Vec<u32> = left.iter().copied().filter(|row| has_t(*row)).collect();
        let sql = format!("SELECT dataset, t FROM datasets WHERE {predicate}");
        let scan = scan(context, &sql).await;
        let plan = snapshot.plan_stacked("t", &with_t, None).unwrap();
        assert_eq!(scan.datasets, (10_000, left.len() as u64), "{}", scan.line);
        assert_eq!(scan.rows, left.len() as u64, "{}", scan.line);
        assert_eq!(scan.chunks.1, plan.chunks(), "{}", scan.line);
        assert_eq!(scan.chunks_read, 3 * with_t.len() as u64, "{}", scan.line);
        assert_eq!(scan.bytes, plan.bytes(), "{}", scan.line);
        if scan.partitions == 1 {
            assert_true(&sql, &scan);
        } else {
            // Small arrays of several datasets share pages, which partitions read by themselves.
            assert!(
                scan.bytes_read >= scan.bytes && scan.bytes_read <= 2 * scan.bytes,
                "{}: {}",
                scan.bytes_read,
                scan.line
            );
        }
        let names = format!("SELECT dataset, stat_max(t) AS m FROM datasets WHERE {predicate}");
        let scan = crate::numbers::scan(context, &names).await;
        assert_eq!((scan.datasets.1, scan.chunks.1, scan.bytes_read), (left.len() as u64, 0, 0), "{}", scan.line);
    }
}

#[tokio::test]
async fn slices_elements_and_reductions_cost_their_chunks() {
    let Fleet { store, context } = fleet();
    let snapshot = store.snapshot();
    let left: Vec<u32> = rows(|row| row % 12 == 6 && has_t(row));
    for (column, start, shape) in [
        ("element(t, 3)", 3, 1),
        ("slice(t, [0], [2])", 0, 2),
        ("slice(t, [1], [2])", 1, 2),
        ("slice(slice(t, [1], [5]), [3], [2])", 4, 2),
        ("tensor_max(slice(t, [2], [2]))", 2, 2),
        ("tensor_mean(t)", 0, 6),
        ("element(slice(t, [2], [4]), 3)", 5, 1),
    ] {
        let region = Region::try_new(vec![start], vec![shape]).unwrap();
        let plan = snapshot.plan_stacked("t", &left, Some(&region)).unwrap();
        let sql = format!("SELECT {column} AS c FROM datasets WHERE month = 7 AND t IS NOT NULL");
        let scan = scan(context, &sql).await;
        assert_eq!((scan.datasets.1, scan.chunks.1), (left.len() as u64, plan.chunks()), "{}", scan.line);
        assert_eq!(scan.bytes, plan.bytes(), "{}", scan.line);
        assert_true(&sql, &scan);
    }
    // A predicate over cells reads its chunks of all, then the others of those that are left.
    let sql = "SELECT dataset, q FROM datasets WHERE element(t, 0) > 990 AND month = 7";
    let scan = scan(context, sql).await;
    let winners = rows(|row| row % 12 == 6 && has_t(row) && row % 1000 > 990);
    assert!(scan.is_bound && scan.line.contains("cell_filter=[element(t, 0) > "), "{}", scan.line);
    assert_eq!(scan.rows, winners.len() as u64);
    assert_eq!(scan.chunks_read, (left.len() + 2 * winners.len()) as u64, "{}", scan.line);
    assert!(scan.chunks_read <= scan.chunks.1 && scan.bytes_read <= scan.bytes, "{}", scan.line);
    // Through a subquery, a join and a union.
    for sql in [
        "SELECT s FROM (SELECT month, slice(t, [0], [2]) AS s FROM datasets) WHERE month = 7",
        "WITH c AS (SELECT dataset, element(t, 1) AS e, month FROM datasets) SELECT e FROM c WHERE month = 7",
        "SELECT element(d.t, 0) FROM datasets d JOIN (VALUES (7)) v(m) ON d.month = v.m WHERE d.month = 7",
    ] {
        let scan = crate::numbers::scan(context, sql).await;
        assert_eq!((scan.datasets.1, scan.chunks.1), (833, left.len() as u64), "{sql}: {}", scan.line);
        assert_true(sql, &scan);
    }
}

#[tokio::test]
async fn limits_read_as_many_datasets() {
    let Fleet { store, context } = fleet();
    let snapshot = store.snapshot();
    let of = |left: &[u32]| {
        let with_t: Vec<u32> = left.iter().copied().filter(|row| has_t(*row)).collect();
        let plans = [
            snapshot.plan_stacked("q", left, None).unwrap(),
            snapshot.plan_stacked("t", &with_t, None).unwrap(),
            snapshot.plan_stacked("time", left, None).unwrap(),
        ];
        (plans.iter().map(|plan| plan.chunks()).sum::<u64>(), plans.iter().map(|plan| plan.bytes()).sum::<u64>())
    };
    let mut warm = rows(has_t);
    warm.sort_by_key(|row| (std::cmp::Reverse(row % 1000), *row));
    for (sql, left) in [
        ("SELECT * FROM datasets LIMIT 10", (0..10).collect::<Vec<u32>>()),
        ("SELECT * FROM datasets WHERE month = 7 LIMIT 10", rows(|row| row % 12 == 6)[..10].to_vec()),
        ("SELECT * FROM datasets LIMIT 3 OFFSET 7", (0..10).collect()),
        // 999 is not of `t`: 3 beyond a multiple of 4 never is.
        ("SELECT * FROM datasets ORDER BY stat_max(t) DESC NULLS LAST, dataset LIMIT 10", warm[..10].to_vec()),
        ("SELECT * FROM datasets WHERE t IS NOT NULL ORDER BY stat_max(t) DESC, dataset LIMIT 10", warm[..10].to_vec()),
        ("SELECT * FROM datasets ORDER BY dataset DESC LIMIT 10", (9990..10_000).rev().collect()),
        (
            "SELECT * FROM (SELECT * FROM datasets ORDER BY month DESC, dataset LIMIT 10)",
            rows(|row| row % 12 == 11)[..10].to_vec(),
        ),
    ] {
        let scan = scan(context, sql).await;
        let (chunks, bytes) = of(&left);
        assert_eq!((scan.datasets, scan.chunks.1, scan.bytes), ((10_000, 10), chunks, bytes), "{sql}: {}", scan.line);
        assert_true(sql, &scan);
        let wanted = query(context, sql).await;
        if left.len() == wanted.num_rows() {
            let expected: Vec<String> = left.iter().map(|row| format!("p{row:05}")).collect();
            assert_eq!(names(&wanted), expected, "{sql}");
        }
    }
    let scan =
        crate::numbers::scan(context, "SELECT dataset, q FROM datasets WHERE element(q, 3, 0) >= 995 LIMIT 2").await;
    assert!(scan.line.contains("limit=2") && scan.rows == 2, "{}", scan.line);
    // 16 datasets are tried first, then 32, 64 and 128 of which the second is in the last.
    assert_eq!(scan.chunks_read, 16 + 32 + 64 + 128 + 2 * 2, "{}", scan.line);
}

/// Predicates over cells: the chunks of `q`, by dataset and row of chunks, that cannot be left out.
type KeepChunk = fn(u32, u32) -> bool;

fn low(row: u32, chunk: u32) -> f64 {
    f64::from(row % 100) * 10.0 + f64::from(chunk) * 5.0
}

/// A NaN that is not missing is above all numbers, so that a chunk with one can hold anything.
fn has_nan(row: u32, chunk: u32) -> bool {
    row % 500 == 7 && chunk == 0
}

/// The indices along time whose hour satisfies something, in two rows of chunks.
fn hours(row: u32, chunk: u32, keep: impl Fn(i64) -> bool) -> bool {
    time(row)[chunk as usize * 2..][..2].iter().any(|time| keep(time / HOUR))
}

const CELLS: [(&str, KeepChunk); 18] = [
    ("q > 990", |row, chunk| low(row, chunk) > 990.0 || has_nan(row, chunk)),
    ("q >= 995", |row, chunk| low(row, chunk) >= 995.0 || has_nan(row, chunk)),
    ("q = 505", |row, chunk| low(row, chunk) == 505.0 || has_nan(row, chunk)),
    ("q IN (0, 5)", |row, chunk| low(row, chunk) <= 5.0 || has_nan(row, chunk)),
    ("q BETWEEN 101 AND 109", |row, chunk| low(row, chunk) == 105.0 || has_nan(row, chunk)),
    ("NOT (q < 995)", |row, chunk| low(row, chunk) >= 995.0 || has_nan(row, chunk)),
    ("q < 5 OR q > 990", |row, chunk| low(row, chunk) < 5.0 || low(row, chunk) > 990.0 || has_nan(row, chunk)),
    ("q > 500 AND q < 506 AND month = 7", |row, chunk| {
        (low(row, chunk) == 505.0 || has_nan(row, chunk)) && row % 12 == 6
    }),
    ("q IS NULL", |_, _| false),
    ("q IS NOT NULL AND month = 2", |row, _| row % 12 == 1),
    ("q > 990 OR cruise = 'C1'", |row, chunk| low(row, chunk) > 990.0 || has_nan(row, chunk) || row % 50 == 1),
    ("lower(cruise) = 'c3' AND abs(month - 7) < 1", |row, _| row % 50 == 3 && row % 12 == 6),
    ("time = TIMESTAMP '1970-01-01T00:00:00'", |row, chunk| hours(row, chunk, |hour| hour == 0)),
    ("time >= TIMESTAMP '1970-01-10T21:00:00'", |row, chunk| hours(row, chunk, |hour| hour >= 237)),
    ("time < TIMESTAMP '1970-01-01T02:00:00' AND q < 700", |row, chunk| {
        hours(row, chunk, |hour| hour < 2) && (low(row, chunk) < 700.0 || has_nan(row, chunk))
    }),
    ("date_part('day', time) = 5 AND date_part('hour', time) = 12", |row, chunk| hours(row, chunk, |hour| hour == 108)),
    ("x = 7", |_, _| false),
    ("x % 2 = 1 AND month = 7", |row, _| row % 12 == 6),
];

#[tokio::test]
async fn chunks_of_cells_are_left_out_by_zone_maps_and_coordinates() {
    let Fleet { context, .. } = fleet();
    for (predicate, keep) in CELLS {
        let chunks: Vec<(u32, u32)> =
            (0..DATASETS).flat_map(|row| [(row, 0), (row, 1)]).filter(|(row, chunk)| keep(*row, *chunk)).collect();
        let mut datasets: Vec<u32> = chunks.iter().map(|(row, _)| *row).collect();
        datasets.dedup();
        let sql = format!("SELECT q FROM cells_time_x WHERE {predicate}");
        let scan = scan(context, &sql).await;
        // The coordinate counts too, where the filter above the scan needs it.
        let coordinates = u64::from(predicate.contains("time"));
        let considered = 20_000 + coordinates * 10_000;
        assert_eq!(scan.datasets, (10_000, datasets.len() as u64), "{predicate}: {}", scan.line);
        let left = chunks.len() as u64;
        assert_eq!(scan.chunks.0, considered, "{predicate}: {}", scan.line);
        if coordinates == 0 {
            assert_eq!(scan.chunks.1, left, "{predicate}: {}", scan.line);
        } else {
            assert!(scan.chunks.1 > left && scan.chunks.1 <= 2 * left, "{predicate}: {left}: {}", scan.line);
        }
        assert_eq!(scan.chunks_read, scan.chunks.1, "{predicate}: {}", scan.line);
        if scan.partitions == 1 {
            assert_true(&sql, &scan);
        }
    }
    // Statistics say nothing of sums; EXPLAIN says so.
    let scan = scan(context, "SELECT q FROM cells_time_x WHERE q + 10 > 1000 AND month = 7").await;
    assert!(scan.line.contains("not_pruned=[q + 10 > 1000: statistics cannot decide it]"), "{}", scan.line);
    assert_eq!((scan.datasets.1, scan.chunks.1), (833, 2 * 833), "{}", scan.line);
}

#[tokio::test]
async fn counts_read_nothing_and_scans_are_partitioned() {
    let Fleet { context, .. } = fleet();
    for (sql, expected) in [
        ("SELECT count(*) FROM cells_time_x", 120_000),
        ("SELECT count(*) FROM cells_time_x WHERE month = 7", 833 * 12),
        ("SELECT count(*) FROM datasets WHERE stat_max(t) > 998", 10),
        ("SELECT count(*) FROM catalog", 10_000),
        ("SELECT count(t) FROM datasets", 7_500),
    ] {
        for scan in scans(context, sql).await {
            assert_eq!((scan.chunks.1, scan.bytes, scan.chunks_read), (0, 0, 0), "{sql}: {}", scan.line);
        }
        assert_eq!(integers(query(context, sql).await.column(0)), [Some(expected)], "{sql}");
    }
    for sql in ["SELECT dataset, q FROM datasets", "SELECT tensor_max(q) FROM datasets"] {
        let scan = scan(context, sql).await;
        assert!(scan.partitions > 1, "{sql}: {}", scan.partitions);
        assert_eq!((scan.rows, scan.chunks_read), (10_000, scan.chunks.1), "{}", scan.line);
    }
    let sql = "SELECT max(stat_max(t)), sum(stat_sum(q)) FROM datasets WHERE month = 3";
    let scan = scan(context, sql).await;
    assert_eq!((scan.chunks.1, scan.bytes_read), (0, 0), "{}", scan.line);
    let sum: f64 = rows(|row| row % 12 == 2).iter().flat_map(|row| q(*row)).filter(|cell| !cell.is_nan()).sum();
    assert_eq!(floats(query(context, sql).await.column(1)), [Some(sum)]);
}

#[tokio::test]
async fn zone_maps_know_which_chunks_have_missing_cells() {
    let Fleet { context, .. } = fleet();
    let cells = |row: u32, chunk: u32| t(row)[chunk as usize * 2..][..2].to_vec();
    let known =
        |row, chunk, keep: &dyn Fn(f32) -> bool| cells(row, chunk).into_iter().any(|cell| cell != -1.0 && keep(cell));
    let missing = |row, chunk| cells(row, chunk).contains(&-1.0);
    type Keeps<'a> = &'a dyn Fn(u32, u32) -> bool;
    let cases: [(&str, Keeps<'_>); 5] = [
        ("t IS NULL", &missing),
        ("t < 0", &|row, chunk| known(row, chunk, &|cell| cell < 0.0)),
        ("t < 0.25 OR t IS NULL", &|row, chunk| missing(row, chunk) || known(row, chunk, &|cell| cell < 0.25)),
        ("NOT (t < 999)", &|row, chunk| known(row, chunk, &|cell| cell >= 999.0)),
        ("t IS NOT NULL AND level = 5 AND month = 1", &|row, chunk| row % 12 == 0 && chunk == 2),
    ];
    for (predicate, keep) in cases {
        let left = rows(has_t).iter().map(|row| (0..3).filter(|chunk| keep(*row, *chunk)).count() as u64).sum::<u64>();
        let sql = format!("SELECT t FROM cells_level WHERE {predicate}");
        let scan = scan(context, &sql).await;
        assert_eq!(scan.datasets.0, 7_500, "{predicate}: {}", scan.line);
        assert_eq!(scan.chunks, (22_500, left), "{predicate}: {}", scan.line);
        assert_eq!(scan.chunks_read, left, "{predicate}: {}", scan.line);
    }
}

#[tokio::test]
async fn aggregates_of_cells_read_what_statistics_do_not_know() {
    let Fleet { context, .. } = fleet();
    let known = |row: &u32| has_t(*row).then(|| t(*row)).into_iter().flatten().filter(|cell| *cell != -1.0);
    // The statistics of `t` tell all.
    for (condition, keep) in
        [("", (|_| true) as Keep), (" WHERE month = 7", |row| row % 12 == 6), (" WHERE cruise = 'none'", |_| false)]
    {
        let sql = format!("SELECT min(t), max(t), sum(t), avg(t), count(t), count(*) FROM cells_level{condition}");
        for scan in scans(context, &sql).await {
            assert_eq!((scan.chunks.1, scan.chunks_read, scan.bytes_read), (0, 0, 0), "{sql}: {}", scan.line);
        }
        let batch = query(context, &sql).await;
        let left: Vec<u32> = rows(keep).into_iter().filter(|row| has_t(*row)).collect();
        let cells: Vec<f64> = left.iter().flat_map(known).map(f64::from).collect();
        let some = |value: f64| (!cells.is_empty()).then_some(value);
        let sum: f64 = cells.iter().sum();
        let close = |found: Option<f64>, expected: Option<f64>| match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9 * expected.abs(),
            (found, expected) => found == expected,
        };
        assert_eq!(floats(batch.column(0)), [some(cells.iter().copied().fold(f64::INFINITY, f64::min))], "{sql}");
        assert_eq!(floats(batch.column(1)), [some(cells.iter().copied().fold(f64::NEG_INFINITY, f64::max))], "{sql}");
        assert!(close(floats(batch.column(2))[0], some(sum)), "{sql}");
        assert!(close(floats(batch.column(3))[0], some(sum / cells.len() as f64)), "{sql}");
        assert_eq!(integers(batch.column(4)), [Some(cells.len() as i64)], "{sql}");
        assert_eq!(integers(batch.column(5)), [Some(left.len() as i64 * 6)], "{sql}");
    }
    // NaN that is not missing is a value: the twenty datasets with one are read, no other.
    for sql in ["SELECT max(q) FROM cells_time_x", "SELECT month, avg(q) FROM cells_time_x GROUP BY month"] {
        let scan = scan(context, sql).await;
        assert_eq!((scan.datasets.1, scan.chunks.1), (20, 40), "{sql}: {}", scan.line);
        assert_eq!((scan.chunks_read, scan.bytes_read), (40, scan.bytes), "{sql}: {}", scan.line);
    }
    let batch = query(context, "SELECT max(q) FROM cells_time_x").await;
    assert!(floats(batch.column(0))[0].unwrap().is_nan());
    // A predicate over cells is decided by cells: chunks that zone maps leave.
    let scan = scan(context, "SELECT count(q), max(q) FROM cells_time_x WHERE q >= 995").await;
    assert_eq!((scan.chunks.1, scan.chunks_read), (100 + 20, 100 + 20), "{}", scan.line);
}
