//! Each function against the cells that were written, in every place of a query.

use crate::fleet::{DATASETS, fleet, floats, has_temp, integers, names, strings, temp};
use arrow::array::{Array, AsArray};
use datafusion::common::ScalarValue;

fn with_temp() -> Vec<usize> {
    (0..DATASETS).filter(|index| has_temp(*index)).collect()
}

/// The 2 × 3 region that starts at (1, 2).
fn expected_slice(index: usize) -> Vec<f32> {
    let cells = temp(index);
    (1..3).flat_map(|row| (2..5).map(move |column| row * 6 + column)).map(|cell| cells[cell]).collect()
}

#[tokio::test]
async fn slices_equal_the_cells() {
    let fleet = fleet();
    let batch = fleet.query("SELECT dataset, slice(temp, [1, 2], [2, 3]) AS s FROM datasets ORDER BY dataset").await;
    let slices = batch.column(1).as_fixed_size_list();
    for index in 0..DATASETS {
        assert_eq!(slices.is_valid(index), has_temp(index));
        if has_temp(index) {
            let cells: Vec<f32> = floats(&slices.value(index)).into_iter().map(|cell| cell.unwrap() as f32).collect();
            assert_eq!(cells, expected_slice(index));
        }
    }
}

#[tokio::test]
async fn a_slice_of_ragged_arrays_reads_what_all_contain() {
    let fleet = fleet();
    let batch = fleet.query("SELECT slice(ragged, [0, 1], [1, 1]) FROM datasets ORDER BY dataset").await;
    let slices = batch.column(0).as_fixed_size_list();
    assert_eq!(floats(slices.values())[7], Some(7.1));
    let error = fleet.failure("SELECT slice(ragged, [1, 0], [1, 2]) FROM datasets").await;
    assert!(error.contains("cast_00") && error.contains("ragged") && error.contains('1'), "{error}");
    let batch = fleet
        .query("SELECT dataset, slice(ragged, [1, 0], [1, 2]) FROM datasets WHERE shape(ragged)[1] >= 2 ORDER BY 1")
        .await;
    assert_eq!(batch.num_rows(), 8);
}

#[tokio::test]
async fn slices_without_cells_keep_their_rows_and_shape() {
    let fleet = fleet();
    let of_value = "slice(array_or_null, [1, 0], [0, 6])";
    for (slice, from, shape) in [
        ("slice(temp, [1, 2], [0, 3])", "datasets", vec![Some(0), Some(3)]),
        ("slice(temp, [4, 0], [0, 6])", "datasets", vec![Some(0), Some(6)]),
        (of_value, "(SELECT dataset, temp AS array_or_null FROM datasets GROUP BY 1, 2)", vec![Some(0), Some(6)]),
    ] {
        let batch = fleet.query(&format!("SELECT dataset, {slice} FROM {from} ORDER BY dataset DESC")).await;
        assert_eq!(batch.num_rows(), DATASETS);
        let slices = batch.column(1).as_struct();
        let shapes = slices.column_by_name("shape").unwrap().as_fixed_size_list();
        for (row, index) in (0..DATASETS).rev().enumerate() {
            assert_eq!(slices.is_valid(row), has_temp(index), "{slice}");
            if has_temp(index) {
                assert_eq!(integers(&shapes.value(row)), shape, "{slice}");
            }
        }
        assert_eq!(slices.column_by_name("data").unwrap().as_list::<i32>().values().len(), 0);
    }
    let batch = fleet.query("SELECT slice(label, [1], [0]), shape(slice(level, [0], [0])) FROM datasets LIMIT 2").await;
    assert_eq!(batch.column(0).as_list::<i32>().value(1).len(), 0);
    assert_eq!(integers(&batch.column(1).as_list::<i32>().value(1)), [Some(0)]);
    let scans = fleet.scans("SELECT slice(temp, [1, 2], [0, 3]) FROM datasets").await;
    assert!(scans[0].contains("chunks=36→0, bytes=0"), "{scans:?}");
}

#[tokio::test]
async fn elements_are_null_where_the_cell_is() {
    let fleet = fleet();
    let batch = fleet
        .query(
            "SELECT element(temp, 0, 1), element(level, 1), element(level, 2), element(label, 1), \
        element(instant, 0), element(instant, 1), element(good, 2), element(single) FROM datasets ORDER BY dataset",
        )
        .await;
    let expected: Vec<Option<f64>> =
        (0..DATASETS).map(|index| (has_temp(index) && index != 2).then(|| f64::from(temp(index)[1]))).collect();
    assert_eq!(floats(batch.column(0)), expected);
    assert_eq!(batch.column(1).null_count(), DATASETS);
    assert_eq!(integers(batch.column(2))[4], Some(5));
    assert_eq!(batch.column(3).null_count(), DATASETS);
    assert_eq!(integers(batch.column(4))[3], Some(3_000_000_000));
    assert_eq!(batch.column(5).null_count(), DATASETS);
    assert!(batch.column(6).as_boolean().value(3));
    assert_eq!(floats(batch.column(7))[5], None);
    assert_eq!(floats(batch.column(7))[6], Some(6.0));
}

#[tokio::test]
async fn statistics_are_those_of_the_cells() {
    let fleet = fleet();
    let batch = fleet.query("SELECT stat_min(temp), stat_max(temp), stat_mean(temp), stat_sum(temp), stat_null_count(temp), \
        stat_row_count(temp), stat_min(label), stat_max(instant), stat_sum(level), stat_mean(good) FROM datasets ORDER BY dataset").await;
    for index in 0..DATASETS {
        let cells: Vec<f64> = temp(index).into_iter().filter(|cell| !cell.is_nan()).map(f64::from).collect();
        let sum: f64 = cells.iter().sum();
        let or_null = |value: f64| has_temp(index).then_some(value);
        assert_eq!(floats(batch.column(0))[index], or_null(cells[0]));
        assert_eq!(floats(batch.column(1))[index], or_null(cells[cells.len() - 1]));
        assert_eq!(floats(batch.column(2))[index], or_null(sum / cells.len() as f64));
        assert_eq!(floats(batch.column(3))[index], or_null(sum));
        assert_eq!(integers(batch.column(4))[index], has_temp(index).then_some(24 - cells.len() as i64));
        assert_eq!(integers(batch.column(5))[index], has_temp(index).then_some(24));
        assert_eq!(strings(batch.column(6))[index], Some(format!("L{index}")));
        assert_eq!(integers(batch.column(7))[index], Some(index as i64 * 1_000_000_000));
        assert_eq!(integers(batch.column(8))[index], Some(index as i64 * 2 + 1));
    }
    assert_eq!(batch.schema().field(0).data_type(), &arrow::datatypes::DataType::Float32);
}

#[tokio::test]
async fn calls_work_in_every_clause() {
    let fleet = fleet();
    let warm: Vec<String> = with_temp()
        .into_iter()
        .filter(|index| temp(*index)[23] > 60.0)
        .map(|index| format!("cast_{index:02}"))
        .collect();
    for sql in [
        "SELECT dataset FROM datasets WHERE stat_max(temp) > 60 ORDER BY dataset",
        "SELECT dataset FROM (SELECT dataset, stat_max(temp) AS t FROM datasets) WHERE t > 60 ORDER BY dataset",
        "WITH w AS (SELECT dataset, temp FROM datasets) SELECT dataset FROM w WHERE stat_max(temp) > 60 ORDER BY stat_max(temp)",
        "SELECT a.dataset FROM datasets a JOIN catalog b ON a.dataset = b.dataset WHERE stat_max(a.temp) > 60 ORDER BY 1",
        "SELECT dataset FROM datasets WHERE dataset IN (SELECT dataset FROM datasets WHERE stat_max(temp) > 60) ORDER BY 1",
        "SELECT dataset FROM datasets GROUP BY dataset HAVING max(stat_max(temp)) > 60 ORDER BY dataset",
        "SELECT dataset FROM (SELECT * FROM datasets UNION ALL SELECT * FROM datasets WHERE false) u WHERE stat_max(temp) > 60 ORDER BY 1",
        "SELECT dataset FROM catalog WHERE temp_max > 60 ORDER BY dataset",
    ] {
        assert_eq!(names(&fleet.query(sql).await), warm, "{sql}");
        for scan in fleet.scans(sql).await {
            assert!(scan.ends_with("→0, bytes=0"), "{sql}: {scan}");
        }
    }
}

#[tokio::test]
async fn aggregates_windows_and_joins_over_calls() {
    let fleet = fleet();
    let batch = fleet.query("SELECT station, count(*), max(stat_max(temp)) AS m, sum(element(temp, 3, 5)) FROM datasets GROUP BY station ORDER BY station").await;
    assert_eq!(integers(batch.column(1)), [Some(4); 3]);
    let last = |index: usize| f64::from(temp(index)[23]);
    assert_eq!(floats(batch.column(2)), [Some(last(9)), Some(last(10)), Some(last(8))]);
    assert_eq!(floats(batch.column(3))[0], Some(last(0) + last(6) + last(9)));
    let batch = fleet.query("SELECT dataset, rank() OVER (ORDER BY stat_max(temp) DESC NULLS LAST) AS r FROM datasets ORDER BY r LIMIT 2").await;
    assert_eq!(names(&batch), ["cast_10", "cast_09"]);
    let batch = fleet.query("SELECT a.dataset, b.dataset FROM datasets a JOIN datasets b ON stat_min(a.temp) = stat_min(b.temp) + 10 ORDER BY 1").await;
    assert_eq!(batch.num_rows(), 6);
    let batch = fleet.query("SELECT q.x, q.y, element(q.x, 0, 0) + element(q.y, 0, 0) AS s FROM (SELECT a.temp AS x, b.temp AS y FROM datasets a JOIN datasets b ON a.dataset = b.dataset WHERE a.dataset = 'cast_04') q").await;
    assert_eq!(floats(batch.column(2)), [Some(80.0)]);
    let batch = fleet.query("SELECT b.dataset, stat_row_count(b.temp) FROM datasets a LEFT JOIN datasets b ON a.dataset = b.dataset AND b.depth > 500 ORDER BY a.dataset").await;
    assert_eq!(integers(batch.column(1))[..2], [None, None]);
    assert_eq!(integers(batch.column(1))[8], Some(24));
}

#[tokio::test]
async fn calls_on_values_equal_calls_on_columns() {
    let fleet = fleet();
    let calls = "slice(c, [1, 2], [2, 3]) AS s, element(c, 0, 1) AS e, shape(c) AS n, dims(c) AS d, dtype(c) AS t, \
                 element(slice(c, [1, 1], [2, 2]), 1, 1) AS es, slice(slice(c, [1, 1], [3, 3]), [1, 0], [1, 2]) AS ss";
    let direct = fleet
        .query(&format!("SELECT dataset, {calls} FROM (SELECT dataset, temp AS c FROM datasets) ORDER BY 1"))
        .await;
    let value = fleet
        .query(&format!(
            "SELECT dataset, {calls} FROM (SELECT dataset, temp AS c FROM datasets GROUP BY dataset, temp) ORDER BY 1"
        ))
        .await;
    assert_eq!(direct.schema(), value.schema());
    assert_eq!(direct, value);
    let direct = fleet.query("SELECT dataset, slice(ragged, [0, 1], [1, 1]) AS s, element(ragged, 0, 1) AS e, shape(ragged) AS n FROM datasets ORDER BY 1").await;
    let value = fleet.query("SELECT dataset, slice(r, [0, 1], [1, 1]) AS s, element(r, 0, 1) AS e, shape(r) AS n FROM (SELECT dataset, first_value(ragged) AS r FROM datasets GROUP BY dataset) ORDER BY 1").await;
    assert_eq!(direct, value);
    let batch = fleet.query("SELECT element(level, i % 3) FROM datasets, (VALUES (0), (1), (2)) v(i) WHERE dataset = 'cast_03' ORDER BY i").await;
    assert_eq!(integers(batch.column(0)), [Some(3), None, Some(4)]);
}

#[tokio::test]
async fn the_predicate_selects_datasets_in_insertion_order() {
    let fleet = fleet();
    let snapshot = fleet.store.snapshot();
    let rows = atlas_sql::select_datasets(&snapshot, "stat_max(temp) > 60 AND flagged").await.unwrap();
    assert_eq!(rows, [6, 8, 10]);
    let rows = atlas_sql::select_datasets(&snapshot, "element(temp, 0, 0) > 40 OR station = 'S0'").await.unwrap();
    assert_eq!(rows, [0, 3, 5, 6, 8, 9, 10]);
    assert!(atlas_sql::select_datasets(&snapshot, "nonsense > 3").await.is_err());
    assert!(atlas_sql::select_datasets(&snapshot, "station = 'S0') OR (true").await.is_err());
    for subquery in [
        "dataset IN (SELECT dataset FROM catalog)",
        "EXISTS (SELECT 1 FROM arrays)",
        "depth > (SELECT avg(depth) FROM catalog)",
        "NOT (flagged OR depth = ANY (SELECT 1))",
    ] {
        let error = atlas_sql::select_datasets(&snapshot, subquery).await.unwrap_err();
        let error = atlas_sql::describe(&error);
        assert!(error.contains("no subquery") && !error.contains("datafusion"), "{subquery}: {error}");
    }
}

#[tokio::test]
async fn calls_work_in_subqueries_and_prepared_statements() {
    let fleet = fleet();
    let all = fleet.query("SELECT avg(temp_max) FROM catalog").await;
    let mean = floats(all.column(0))[0].unwrap();
    let above = |mean: f64, of: Vec<usize>| -> Vec<String> {
        of.into_iter()
            .filter(|index| f64::from(temp(*index)[23]) > mean)
            .map(|index| format!("cast_{index:02}"))
            .collect()
    };
    let sql = "SELECT dataset FROM datasets WHERE stat_max(temp) > (SELECT avg(temp_max) FROM catalog) ORDER BY 1";
    assert_eq!(names(&fleet.query(sql).await), above(mean, with_temp()));
    let sql = "SELECT dataset FROM datasets a WHERE stat_max(temp) > (SELECT avg(stat_max(b.temp)) FROM datasets b WHERE b.station = a.station) ORDER BY 1";
    let expected: Vec<String> = (0..3)
        .flat_map(|station| {
            let of: Vec<usize> = with_temp().into_iter().filter(|index| index % 3 == station).collect();
            above(of.iter().map(|index| f64::from(temp(*index)[23])).sum::<f64>() / of.len() as f64, of)
        })
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(names(&fleet.query(sql).await), expected);
    let frame = fleet
        .context
        .sql("SELECT dataset FROM datasets WHERE element(temp, $1, $2) > $3 ORDER BY dataset")
        .await
        .unwrap();
    let values = [ScalarValue::Int64(Some(3)), ScalarValue::Int64(Some(5)), ScalarValue::Float64(Some(100.0))];
    let batches = frame.with_param_values(values.to_vec()).unwrap().collect().await.unwrap();
    assert_eq!(batches.iter().flat_map(names).collect::<Vec<_>>(), ["cast_09", "cast_10"]);
}
