//! `tensor_*` and `chunk_shape`, against brute force and by what they read.

use crate::fleet::{
    DATASETS, Fleet, empty, fleet, floats, has_temp, integers, names, query, ragged_rows, strings, temp, write,
};
use arrow::array::Array;
use atlas_store::{ArrayData, ArraySchema, DType, Scalar};

/// Minimum, maximum, mean, sum, standard deviation and count of the cells that are valid.
fn brute(cells: &[f64]) -> [Option<f64>; 6] {
    let cells: Vec<f64> = cells.iter().copied().filter(|cell| !cell.is_nan()).collect();
    if cells.is_empty() {
        return [None, None, None, None, None, Some(0.0)];
    }
    let count = cells.len() as f64;
    let sum: f64 = cells.iter().sum();
    let mean = sum / count;
    let variance = cells.iter().map(|cell| (cell - mean).powi(2)).sum::<f64>() / count;
    let min = cells.iter().copied().fold(f64::INFINITY, f64::min);
    let max = cells.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [Some(min), Some(max), Some(mean), Some(sum), Some(variance.sqrt()), Some(count)]
}

fn same(own: Option<f64>, expected: Option<f64>) -> bool {
    match (own, expected) {
        (Some(own), Some(expected)) => (own - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        (own, expected) => own == expected,
    }
}

/// All six numbers of an expression in each row of a source, against those of these cells (`None`: NULL).
async fn check(fleet: &Fleet, tensor: &str, from: &str, expected: &[Option<Vec<f64>>]) {
    let calls: Vec<String> =
        ["min", "max", "mean", "sum", "std", "count"].iter().map(|kind| format!("tensor_{kind}({tensor})")).collect();
    let sql = format!("SELECT {} FROM {from}", calls.join(", "));
    let batch = fleet.query(&sql).await;
    assert_eq!(batch.num_rows(), expected.len(), "{sql}");
    for (column, call) in calls.iter().enumerate() {
        let own = floats(batch.column(column));
        for (row, cells) in expected.iter().enumerate() {
            let expected = cells.as_ref().and_then(|cells| brute(cells)[column]);
            assert!(same(own[row], expected), "{call}, row {row}: {:?}, not {expected:?}", own[row]);
        }
    }
}

fn doubles(cells: Vec<f32>) -> Vec<f64> {
    cells.into_iter().map(f64::from).collect()
}

fn level(index: usize) -> Vec<f64> {
    vec![index as f64, f64::NAN, index as f64 + 1.0]
}

fn ragged(index: usize) -> Vec<f64> {
    (0..ragged_rows(index) * 2).map(|cell| index as f64 + cell as f64 / 10.0).collect()
}

#[tokio::test]
async fn reductions_leave_out_missing_cells_and_nan() {
    let fleet = fleet();
    let all = |cells: &dyn Fn(usize) -> Option<Vec<f64>>| (0..DATASETS).map(cells).collect::<Vec<_>>();
    let temps = all(&|index| has_temp(index).then(|| doubles(temp(index))));
    let corner = all(&|index| has_temp(index).then(|| [0, 1, 6, 7].map(|cell| f64::from(temp(index)[cell])).to_vec()));
    let nothing = all(&|index| has_temp(index).then(Vec::new));
    let ordered = "datasets ORDER BY dataset";
    // By the scan, and by the function on a value that no rule can follow.
    let value = |array: &str| {
        format!("(SELECT dataset, {array} AS v FROM datasets GROUP BY dataset, {array}) ORDER BY dataset")
    };
    check(&fleet, "temp", ordered, &temps).await;
    check(&fleet, "v", &value("temp"), &temps).await;
    check(&fleet, "slice(temp, [0, 0], [2, 2])", ordered, &corner).await;
    check(&fleet, "slice(v, [0, 0], [2, 2])", &value("temp"), &corner).await;
    check(&fleet, "slice(slice(temp, [0, 0], [3, 3]), [0, 0], [2, 2])", ordered, &corner).await;
    check(&fleet, "slice(temp, [0, 0], [0, 6])", ordered, &nothing).await;
    check(&fleet, "slice(v, [0, 0], [0, 6])", &value("temp"), &nothing).await;
    check(&fleet, "level", ordered, &all(&|index| Some(level(index)))).await;
    check(&fleet, "v", &value("level"), &all(&|index| Some(level(index)))).await;
    check(&fleet, "ragged", ordered, &all(&|index| Some(ragged(index)))).await;
    check(&fleet, "v", &value("ragged"), &all(&|index| Some(ragged(index)))).await;
    check(&fleet, "slice(ragged, [0, 1], [1, 1])", ordered, &all(&|index| Some(vec![ragged(index)[1]]))).await;
    let single = all(&|index| Some(vec![if index == 5 { f64::NAN } else { index as f64 }]));
    check(&fleet, "single", ordered, &single).await;
}

#[tokio::test]
async fn each_dataset_has_its_own_fill_value() {
    let (store, _directory) = empty();
    for (name, fill) in [("a", Some(-9)), ("b", Some(0)), ("c", None)] {
        store.create_dataset(name).unwrap();
        let mut schema = ArraySchema::new(DType::Int32, &["x"], &[4]);
        if let Some(fill) = fill {
            schema = schema.with_fill_value(Scalar::Int(fill));
        }
        write(&store, name, "x", schema, ArrayData::from_numbers(vec![4], vec![-9i32, 0, 1, 5]).unwrap());
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    for sql in [
        "SELECT tensor_min(x), tensor_max(x), tensor_sum(x), tensor_count(x), stat_sum(x) FROM datasets ORDER BY dataset",
        "SELECT tensor_min(s), tensor_max(s), tensor_sum(s), tensor_count(s), 0 FROM (SELECT dataset, slice(x, [0], [4]) AS s FROM datasets) ORDER BY dataset",
    ] {
        let batch = query(&context, sql).await;
        assert_eq!(integers(batch.column(0)), [Some(0), Some(-9), Some(-9)]);
        assert_eq!(integers(batch.column(1)), [Some(5), Some(5), Some(5)]);
        assert_eq!(integers(batch.column(2)), [Some(6), Some(-3), Some(-3)]);
        assert_eq!(integers(batch.column(3)), [Some(3), Some(3), Some(4)]);
    }
    // Past GROUP BY nobody knows which value has which fill value.
    let sql = "SELECT tensor_sum(x) FROM (SELECT x FROM datasets GROUP BY x)";
    let error = match context.sql(sql).await {
        Ok(frame) => frame.collect().await.unwrap_err(),
        Err(error) => error,
    };
    let text = atlas_sql::describe(&error);
    assert!(text.contains("tensor_sum") && text.contains("fill value"), "{text}");
}

#[tokio::test]
async fn a_union_of_arrays_keeps_their_fill_values_apart() {
    let fleet = fleet();
    let both = "SELECT level AS v FROM datasets UNION ALL SELECT level AS v FROM datasets";
    let batch = fleet.query(&format!("SELECT sum(tensor_count(v)) FROM ({both})")).await;
    assert_eq!(integers(batch.column(0)), [Some(4 * DATASETS as i64)]);
    let (store, _directory) = empty();
    store.create_dataset("a").unwrap();
    for (array, fill) in [("x", 1), ("y", 2)] {
        let schema = ArraySchema::new(DType::Int32, &["n"], &[3]).with_fill_value(Scalar::Int(fill));
        write(&store, "a", array, schema, ArrayData::from_numbers(vec![3], vec![1i32, 2, 4]).unwrap());
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    let all = "SELECT x AS v FROM datasets UNION ALL SELECT y FROM datasets";
    let batch = query(&context, &format!("SELECT tensor_sum(v) AS s FROM ({all}) ORDER BY s")).await;
    assert_eq!(integers(batch.column(0)), [Some(5), Some(6)]);
    let sql = "SELECT tensor_sum(v) FROM (SELECT x AS v FROM datasets UNION SELECT x FROM datasets)";
    assert_eq!(integers(query(&context, sql).await.column(0)), [Some(6)]);
    for tensor in [
        "SELECT x AS v FROM datasets UNION SELECT y FROM datasets",
        "SELECT v FROM (SELECT x AS v FROM datasets UNION ALL SELECT y FROM datasets) GROUP BY v",
        "SELECT CASE WHEN dataset = 'b' THEN x ELSE y END AS v FROM datasets",
    ] {
        let sql = format!("SELECT tensor_sum(v) FROM ({tensor})");
        let failed = match context.sql(&sql).await {
            Ok(frame) => frame.collect().await.is_err(),
            Err(_) => true,
        };
        assert!(failed, "{sql}: which cells are missing is not known");
    }
}

#[tokio::test]
async fn reductions_of_text_time_and_bool() {
    let fleet = fleet();
    let batch = fleet
        .query("SELECT tensor_min(label), tensor_max(label), tensor_count(label), tensor_min(instant), tensor_count(instant), tensor_sum(good), tensor_mean(good), tensor_max(good), arrow_typeof(tensor_max(temp)), arrow_typeof(tensor_sum(level)), arrow_typeof(tensor_min(instant)) FROM datasets ORDER BY dataset")
        .await;
    assert_eq!(strings(batch.column(0))[3].as_deref(), Some("L3"));
    assert_eq!(strings(batch.column(1))[3].as_deref(), Some("L3"));
    assert_eq!(integers(batch.column(2))[3], Some(1));
    assert_eq!(integers(batch.column(3))[3], Some(3_000_000_000));
    assert_eq!(integers(batch.column(4))[3], Some(1));
    assert_eq!(integers(batch.column(5))[..2], [Some(1), Some(2)]);
    assert!(same(floats(batch.column(6))[1], Some(2.0 / 3.0)));
    assert_eq!(strings(batch.column(7))[0].as_deref(), Some("true"));
    assert_eq!(strings(batch.column(8))[0].as_deref(), Some("Float32"));
    assert_eq!(strings(batch.column(9))[0].as_deref(), Some("Int64"));
    assert!(strings(batch.column(10))[0].as_deref().unwrap().starts_with("Timestamp"));
}

#[tokio::test]
async fn reductions_work_in_any_clause() {
    let fleet = fleet();
    let batch =
        fleet.query("SELECT dataset FROM datasets WHERE tensor_max(temp) > 75 ORDER BY tensor_mean(temp) DESC").await;
    assert_eq!(names(&batch), ["cast_10", "cast_09", "cast_08"]);
    let batch = fleet
        .query("SELECT station, max(tensor_max(temp)) AS m FROM datasets GROUP BY station HAVING max(tensor_max(temp)) > 95 ORDER BY station")
        .await;
    let best = |station: usize| (0..DATASETS).filter(|index| index % 3 == station && has_temp(*index)).max().unwrap();
    let expected: Vec<Option<f64>> =
        (0..3).map(|station| best(station) as f64 * 10.0 + 11.5).filter(|max| *max > 95.0).map(Some).collect();
    assert_eq!(floats(batch.column(1)), expected);
    let batch = fleet
        .query("WITH s AS (SELECT dataset, slice(temp, [0, 0], [1, 2]) AS top FROM datasets) SELECT a.dataset, tensor_count(a.top) AS n FROM s a JOIN s b ON a.dataset = b.dataset WHERE tensor_count(b.top) < 2 ORDER BY 1")
        .await;
    assert_eq!(names(&batch), ["cast_02"]);
    assert_eq!(integers(batch.column(1)), [Some(1)]);
    let batch = fleet
        .query("SELECT dataset FROM datasets WHERE tensor_max(level) = (SELECT max(tensor_max(level)) FROM datasets)")
        .await;
    assert_eq!(names(&batch), ["cast_11"]);
    let batch = fleet
        .query(
            "SELECT tensor_count(temp) AS n, count(*) FROM datasets GROUP BY tensor_count(temp) ORDER BY n NULLS LAST",
        )
        .await;
    assert_eq!(integers(batch.column(0)), [Some(23), Some(24), None]);
    assert_eq!(integers(batch.column(1)), [Some(1), Some(8), Some(3)]);
}

#[tokio::test]
async fn a_reduction_reads_what_its_argument_does() {
    let fleet = fleet();
    for (sql, chunks) in [
        ("SELECT tensor_mean(temp) FROM datasets", "chunks=36→36,"),
        ("SELECT tensor_mean(slice(temp, [0, 0], [2, 3])) FROM datasets", "chunks=36→9,"),
        ("SELECT tensor_mean(slice(temp, [0, 0], [2, 3])) FROM datasets WHERE station = 'S0'", "chunks=36→3,"),
        ("SELECT dataset FROM datasets WHERE tensor_max(slice(temp, [0, 0], [2, 3])) > 3", "chunks=36→≤9,"),
        ("SELECT tensor_mean(slice(temp, [0, 0], [0, 3])) FROM datasets", "chunks=36→0,"),
        ("SELECT chunk_shape(temp) FROM datasets", "chunks=36→0,"),
    ] {
        let scans = fleet.scans(sql).await;
        assert!(scans.len() == 1 && scans[0].contains(chunks), "{sql}: {scans:?}");
    }
    let scans = fleet.scans("SELECT tensor_mean(slice(temp, [0, 0], [2, 3])) FROM datasets").await;
    assert!(scans[0].contains("columns=[tensor_mean(slice(temp, [0, 0], [2, 3]))]"), "{}", scans[0]);
}

#[tokio::test]
async fn chunk_shapes_are_declared() {
    let fleet = fleet();
    let batch = fleet
        .query("SELECT chunk_shape(temp)[1] AS a, chunk_shape(temp)[2] AS b, count(*) FROM datasets WHERE chunk_shape(temp) = [2, 3] GROUP BY 1, 2")
        .await;
    assert_eq!((integers(batch.column(0)), integers(batch.column(1))), (vec![Some(2)], vec![Some(3)]));
    assert_eq!(integers(batch.column(2)), [Some(9)]);
    assert_eq!(fleet.query("SELECT chunk_shape(temp) FROM datasets").await.column(0).null_count(), 3);
    for (sql, parts) in [
        ("SELECT chunk_shape(slice(temp, [0, 0], [1, 1])) FROM datasets", &["chunk_shape", "slice"][..]),
        ("SELECT chunk_shape(t) FROM (SELECT temp AS t FROM datasets GROUP BY temp)", &["chunk_shape", "GROUP BY"]),
        ("SELECT chunk_shape(station) FROM datasets", &["chunk_shape", "array column", "station"]),
        ("SELECT tensor_mean(label) FROM datasets", &["tensor_mean", "label", "Utf8"]),
        ("SELECT tensor_sum(instant) FROM datasets", &["tensor_sum", "instant"]),
        ("SELECT tensor_sum(temp, 1) FROM datasets", &["tensor_sum", "one argument", "2"]),
        ("SELECT tensor_sum() FROM datasets", &["tensor_sum"]),
        ("SELECT tensor_max(depth) FROM datasets", &["tensor_max", "array column", "depth"]),
        ("SELECT tensor_max(slice(temp, [0, 0], [5, 1])) FROM datasets", &["slice", "temp", "5", "4"]),
        ("SELECT tensor_mean(coalesce(level, level)) FROM datasets", &["tensor_mean"]),
    ] {
        let error = fleet.failure(sql).await;
        for part in parts {
            assert!(error.contains(part), "{sql}: {error:?} lacks {part:?}");
        }
    }
}
