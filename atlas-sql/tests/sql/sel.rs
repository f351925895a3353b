//! `sel`: regions by coordinate labels, against a look at each label, and every way that it fails.

use crate::fleet::{Fleet, empty, floats, integers, names, query, strings, write};
use crate::grids::{Bounds, DAY, expected, float32, float64, grids, sel, tensor};
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use atlas_store::{ArrayData, ArraySchema, Cells, DType, Scalar};
use datafusion::common::ScalarValue;

#[tokio::test]
async fn regions_are_those_of_the_labels_within_both_bounds() {
    let grids = grids();
    let all: [&[Bounds]; 10] = [
        &[("lat", Some(10.0), Some(20.0))],
        &[("lat", Some(10.0), Some(20.0)), ("lon", Some(0.1), Some(0.3))],
        &[("lon", Some(0.3), Some(0.3)), ("lat", Some(-90.0), Some(90.0))],
        &[("lat", None, Some(10.0)), ("lon", Some(0.2), None)],
        &[("lat", Some(15.0), None)],
        &[("lat", Some(11.0), Some(14.0))],
        &[("lat", Some(1000.0), Some(2000.0)), ("lon", Some(0.1), Some(0.2))],
        &[("lon", None, None)],
        &[("lat", Some(0.0), Some(0.0))],
        &[("lat", Some(2.0), Some(3.0))],
    ];
    for bounds in all {
        let sql = format!(
            "SELECT dataset, {} AS s FROM datasets WHERE dataset NOT IN ('unsorted', 'gap') ORDER BY dataset",
            sel(bounds)
        );
        let batch = grids.query(&sql).await;
        assert_eq!(batch.num_rows(), 6);
        for (row, dataset) in names(&batch).iter().enumerate() {
            assert_eq!(tensor(batch.column(1), row), expected(&grids.store, dataset, bounds), "{dataset}: {sql}");
        }
    }
}

#[tokio::test]
async fn labels_in_any_order_are_a_region_where_they_are_neighbours() {
    let grids = grids();
    for (dataset, low, high) in [
        ("unsorted", 20.0, 20.0),
        ("unsorted", 25.0, 35.0),
        ("unsorted", 0.0, 30.0),
        ("gap", 0.0, 10.0),
        ("gap", 20.0, 90.0),
        ("gap", 11.0, 20.0),
    ] {
        let bounds = [("lat", Some(low), Some(high))];
        let batch = grids.query(&format!("SELECT {} FROM datasets WHERE dataset = '{dataset}'", sel(&bounds))).await;
        assert_eq!(tensor(batch.column(0), 0), expected(&grids.store, dataset, &bounds), "{dataset} {low} {high}");
    }
    let error = grids.failure("SELECT sel(t, 'lat', 0, 15) FROM datasets").await;
    for part in ["sel", "array t of dataset unsorted", "lat", "0 and 15", "2 of the 3 labels from index 1 to 3"] {
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    }
    let error = grids.failure("SELECT tensor_max(sel(t, 'lat', NULL, NULL)) FROM datasets").await;
    for part in ["dataset gap", "NULL and NULL", "3 of the 4 labels"] {
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    }
}

#[tokio::test]
async fn selections_have_the_cells_that_the_tables_of_cells_have() {
    let grids = grids();
    for (low, high) in [(0, 30), (10, 20), (15, 15), (20, 90)] {
        let filter = "t IS NOT NULL AND dataset NOT IN ('unsorted', 'gap', 'bare')";
        let selected = grids
            .query(&format!("SELECT sum(tensor_sum(sel(t, 'lat', {low}, {high}))) AS s, sum(tensor_count(sel(t, 'lat', {low}, {high}))) AS n FROM datasets WHERE {filter}"))
            .await;
        let cells = grids
            .query(&format!("SELECT sum(CAST(t AS DOUBLE)) AS s, count(t) AS n FROM cells_lat_lon WHERE {filter} AND lat BETWEEN {low} AND {high}"))
            .await;
        assert_eq!(floats(selected.column(0)), floats(cells.column(0)), "{low} to {high}");
        assert_eq!(integers(selected.column(1)), integers(cells.column(1)), "{low} to {high}");
    }
}

#[tokio::test]
async fn times_and_text_are_labels() {
    let grids = grids();
    let flags = |batch: &arrow::array::RecordBatch, row: usize| -> Option<Vec<bool>> {
        let column = batch.column(1).as_list::<i32>();
        column.is_valid(row).then(|| column.value(row).as_boolean().iter().map(Option::unwrap).collect())
    };
    for bounds in [
        "'1970-01-02', '1970-01-04'",
        "TIMESTAMP '1970-01-02', TIMESTAMP '1970-01-04T00:00:00'",
        "DATE '1970-01-02', DATE '1970-01-04'",
        "'1970-01-01T00:00:00.000000001Z', '1970-01-04T12:00:00+12:00'",
        "TIMESTAMP '1970-01-01 12:00:00', '1970-01-04 23:59:59'",
    ] {
        let sql = format!("SELECT dataset, sel(v, 'day', {bounds}) FROM datasets ORDER BY dataset");
        let batch = grids.query(&sql).await;
        assert_eq!(names(&batch)[..3], ["ascending", "bare", "descending"]);
        assert_eq!(flags(&batch, 0), Some(vec![false, true, true]), "{bounds}");
        assert_eq!(flags(&batch, 1), None);
        assert_eq!(flags(&batch, 2), Some(vec![]), "{bounds}");
    }
    let batch = grids.query("SELECT dataset, sel(v, 'day', '1970-01-05', '9999-12-31') FROM datasets ORDER BY 1").await;
    assert_eq!((flags(&batch, 0), flags(&batch, 2)), (Some(vec![false]), Some(vec![true, false, true, true, false])));
    let batch = grids
        .query("SELECT dataset, sel(w, 'station', 'B', 'BZ'), sel(w, 'station', NULL, 'B') FROM datasets ORDER BY 1")
        .await;
    for (row, up_to) in [(0, vec![1.0, 2.0]), (2, vec![2.0, 3.0])] {
        assert_eq!(tensor(batch.column(1), row), Some((vec![1], vec![2.0])));
        assert_eq!(tensor(batch.column(2), row), Some((vec![2], up_to)));
    }
    // A coordinate is an array as any other.
    let batch =
        grids.query("SELECT sel(day, 'day', '1970-01-05', NULL) FROM datasets WHERE dataset = 'ascending'").await;
    let days = batch.column(0).as_list::<i32>().value(0);
    assert_eq!(integers(&days), [Some(4 * DAY)]);
}

#[tokio::test]
async fn results_are_typed_by_what_all_datasets_share() {
    let grids = grids();
    let batch = grids
        .query(
            "SELECT sel(t, 'lat', 0, 1), sel(v, 'day', NULL, NULL), sel(w, 'station', 'A', 'A') FROM datasets LIMIT 0",
        )
        .await;
    let schema = batch.schema();
    let of = |column: usize, key: &str| schema.field(column).metadata().get(key).cloned().unwrap_or_default();
    assert_eq!(of(0, "ARROW:extension:name"), "arrow.variable_shape_tensor");
    assert_eq!(of(0, "ARROW:extension:metadata"), r#"{"dim_names":["lat","lon"]}"#);
    assert_eq!(of(0, "atlas.fill_value"), "NaN");
    assert_eq!(schema.field(0).name(), "sel(datasets.t,lat,0,1)");
    assert!(matches!(schema.field(1).data_type(), DataType::List(item) if *item.data_type() == DataType::Boolean));
    assert_eq!(of(1, "atlas.dims"), r#"["day"]"#);
    assert_eq!(of(2, "ARROW:extension:name"), "arrow.variable_shape_tensor");
    let plan = grids.context.sql("SELECT sel(t, 'lat', 0, 1) FROM datasets").await.unwrap();
    assert_eq!(plan.schema().field(0).metadata(), schema.field(0).metadata());
}

#[tokio::test]
async fn functions_of_a_selection_take_it_as_any_tensor() {
    let grids = grids();
    let bounds = [("lat", Some(8.0), Some(15.0)), ("lon", Some(0.1), Some(0.4))];
    let sel = sel(&bounds);
    let batch = grids
        .query(&format!(
            "SELECT dataset, tensor_sum({sel}), tensor_count({sel}), shape({sel})[1], dims({sel})[2], dtype({sel}), \
             element({sel}, 0, 1), slice({sel}, [0, 1], [1, 2]), slice({sel}, 'lon', 1, 2), \
             tensor_max(slice({sel}, [0, 0], [1, 2])), element({sel}, 'lon', 1, 'lat', 0), \
             tensor_sum(sel(sel(t, 'lat', 8, 15), 'lon', 0.1, 0.4)) FROM datasets \
             WHERE dataset NOT IN ('unsorted', 'bare') ORDER BY dataset"
        ))
        .await;
    for (row, dataset) in names(&batch).iter().enumerate() {
        let Some((shape, cells)) = expected(&grids.store, dataset, &bounds) else {
            assert!((1..batch.num_columns()).all(|column| batch.column(column).is_null(row)), "{dataset}");
            continue;
        };
        assert_eq!(shape, [1, 4]);
        let sum: f64 = cells.iter().sum();
        assert_eq!(floats(batch.column(1))[row], Some(sum));
        assert_eq!(integers(batch.column(2))[row], Some(4));
        assert_eq!(integers(batch.column(3))[row], Some(1));
        assert_eq!(strings(batch.column(4))[row].as_deref(), Some("lon"));
        assert_eq!(strings(batch.column(5))[row].as_deref(), Some("float32"));
        assert_eq!(floats(batch.column(6))[row], Some(cells[1]));
        let slice = batch.column(7).as_fixed_size_list().value(row);
        assert_eq!(floats(&slice), [Some(cells[1]), Some(cells[2])]);
        assert_eq!(tensor(batch.column(8), row), Some((vec![1, 2], cells[1..3].to_vec())));
        assert_eq!(floats(batch.column(9))[row], Some(cells[1]));
        assert_eq!(floats(batch.column(10))[row], Some(cells[1]));
        assert_eq!(floats(batch.column(11))[row], Some(sum));
    }
}

#[tokio::test]
async fn a_selection_does_not_contain_more_than_it_has() {
    let grids = grids();
    let error =
        grids.failure("SELECT element(sel(t, 'lat', 5, 15), 0, 0) FROM datasets WHERE dataset <> 'unsorted'").await;
    assert!(error.contains("t of dataset bare") && error.contains("extent 0"), "{error}");
    let error =
        grids.failure("SELECT slice(sel(t, 'lat', 5, 15), [0, 0], [2, 1]) FROM datasets WHERE dataset = 'twin'").await;
    assert!(error.contains("t of dataset twin") && error.contains("exceeds the extent 1"), "{error}");
    // The labels of a slice are those that it has.
    let batch = grids
        .query("SELECT sel(slice(t, [1, 0], [2, 6]), 'lat', 0, 10) FROM datasets WHERE dataset = 'ascending'")
        .await;
    assert_eq!(tensor(batch.column(0), 0), Some((vec![1, 6], (6..12).map(f64::from).collect())));
    let batch =
        grids.query("SELECT sel(slice(t, [2, 0], [2, 6]), 'lat', 1, 1) FROM datasets WHERE dataset = 'bare'").await;
    assert_eq!(tensor(batch.column(0), 0), Some((vec![1, 6], (18..24).map(|cell| f64::from(600 + cell)).collect())));
}

#[tokio::test]
async fn selections_work_in_every_clause() {
    let grids = grids();
    let max = "tensor_max(sel(t, 'lat', 10, 10))";
    let clean = "(SELECT * FROM datasets WHERE dataset <> 'unsorted')";
    // The row of latitude 10 ends in this cell; `short` has no such latitude, nor has `bare` such an index.
    let warm = ["descending", "gap", "twin"];
    for sql in [
        format!("SELECT dataset FROM {clean} WHERE {max} > 100 ORDER BY dataset"),
        format!("SELECT dataset FROM {clean} WHERE {max} > 100 ORDER BY dataset LIMIT 10"),
        format!("SELECT dataset FROM (SELECT dataset, {max} AS m FROM {clean}) WHERE m > 100 ORDER BY m"),
        format!(
            "WITH w AS (SELECT dataset, sel(t, 'lat', 10, 10) AS s FROM {clean}) SELECT dataset FROM w WHERE tensor_max(s) > 100 ORDER BY tensor_max(s)"
        ),
        format!(
            "SELECT a.dataset FROM {clean} a JOIN catalog b ON a.dataset = b.dataset WHERE tensor_max(sel(a.t, 'lat', 10, 10)) > 100 ORDER BY 1"
        ),
        format!(
            "SELECT dataset FROM datasets WHERE dataset IN (SELECT dataset FROM {clean} WHERE {max} > 100) ORDER BY 1"
        ),
        format!("SELECT dataset FROM {clean} GROUP BY dataset, {max} HAVING {max} > 100 ORDER BY dataset"),
        format!(
            "SELECT dataset FROM (SELECT * FROM {clean} UNION ALL SELECT * FROM datasets WHERE false) u WHERE {max} > 100 ORDER BY 1"
        ),
    ] {
        assert_eq!(names(&grids.query(&sql).await), warm, "{sql}");
    }
    let batch = grids
        .query(&format!(
            "SELECT shape(sel(t, 'lat', 5, 25))[1] AS n, count(*) FROM {clean} GROUP BY 1 ORDER BY n NULLS LAST"
        ))
        .await;
    // gap has one such label, ascending, descending and twin two, short three, bare none; none has no array.
    assert_eq!(integers(batch.column(0)), [Some(0), Some(1), Some(2), Some(3), None]);
    assert_eq!(integers(batch.column(1)), [Some(1), Some(1), Some(3), Some(1), Some(1)]);
    let frame = grids
        .context
        .sql("SELECT dataset, tensor_sum(sel(t, $1, $2, $3)) FROM datasets WHERE dataset = 'twin'")
        .await
        .unwrap();
    let values = [ScalarValue::from("lat"), ScalarValue::from(0i64), ScalarValue::from(9.5)];
    let batches = frame.with_param_values(values.to_vec()).unwrap().collect().await.unwrap();
    assert_eq!(floats(batches[0].column(1)), [Some((400..406).sum::<i32>().into())]);
}

#[tokio::test]
async fn a_coordinate_may_differ_from_its_array_in_length_and_lack_labels() {
    let (store, directory) = empty();
    for (name, labels) in [("longer", vec![1.0, 2.0, 3.0, 4.0, 5.0]), ("shorter", vec![1.0, 2.0]), ("empty", vec![])] {
        store.create_dataset(name).unwrap();
        let schema = ArraySchema::new(DType::Int32, &["x"], &[4]);
        write(&store, name, "a", schema, ArrayData::from_numbers(vec![4], vec![10i32, 20, 30, 40]).unwrap());
        let schema = ArraySchema::new(DType::Float64, &["x"], &[labels.len() as u64]);
        write(&store, name, "x", schema, float64(&labels));
    }
    // Named like the dimension, and no coordinate: it has two dimensions.
    store.create_dataset("wide").unwrap();
    let schema = ArraySchema::new(DType::Int32, &["x"], &[4]);
    write(&store, "wide", "a", schema, ArrayData::from_numbers(vec![4], vec![10i32, 20, 30, 40]).unwrap());
    let schema = ArraySchema::new(DType::Float64, &["x", "y"], &[1, 1]);
    write(&store, "wide", "x", schema, ArrayData::from_numbers(vec![1, 1], vec![9.0]).unwrap());
    store.flush().unwrap();
    let fleet = Fleet::of(store, directory);
    let batch = fleet.query("SELECT dataset, sel(a, 'x', 2, 9) FROM datasets ORDER BY 1").await;
    assert_eq!(tensor(batch.column(1), 0), Some((vec![0], vec![])));
    assert_eq!(tensor(batch.column(1), 1), Some((vec![3], vec![20.0, 30.0, 40.0])));
    assert_eq!(tensor(batch.column(1), 2), Some((vec![1], vec![20.0])));
    assert_eq!(tensor(batch.column(1), 3), Some((vec![2], vec![30.0, 40.0])));
}

#[tokio::test]
async fn a_coordinate_of_millions_is_looked_through_in_parts() {
    let (store, _directory) = empty();
    store.create_dataset("long").unwrap();
    let length = 2_500_000u64;
    let schema = ArraySchema::new(DType::Int64, &["x"], &[length]).with_chunk_shape(&[100_000]);
    let labels: Vec<i64> = (0..length as i64).map(|at| at * 2).collect();
    write(&store, "long", "x", schema, ArrayData::from_numbers(vec![length], labels).unwrap());
    let schema = ArraySchema::new(DType::UInt8, &["x"], &[length]).with_chunk_shape(&[100_000]);
    let cells: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    write(&store, "long", "a", schema, ArrayData::from_numbers(vec![length], cells).unwrap());
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    let batch = query(
        &context,
        "SELECT tensor_count(sel(a, 'x', 2000001, 4200000)), element(sel(a, 'x', 4999997, NULL), 0) FROM datasets",
    )
    .await;
    assert_eq!(integers(batch.column(0)), [Some(1_100_000)]);
    assert_eq!(integers(batch.column(1)), [Some((length as i64 - 1) % 251)]);
}

#[tokio::test]
async fn each_dataset_keeps_its_own_fill_value() {
    let (store, directory) = empty();
    for (name, fill) in [("a", -9), ("b", 0)] {
        store.create_dataset(name).unwrap();
        let schema = ArraySchema::new(DType::Int32, &["x"], &[4]).with_fill_value(Scalar::Int(fill));
        write(&store, name, "v", schema, ArrayData::from_numbers(vec![4], vec![-9i32, 0, 1, 5]).unwrap());
        let labels: Vec<f32> = if name == "a" { vec![0.0, 1.0, 2.0, 3.0] } else { vec![3.0, 2.0, 1.0, 0.0] };
        write(&store, name, "x", ArraySchema::new(DType::Float32, &["x"], &[4]), float32(labels));
    }
    store.flush().unwrap();
    let fleet = Fleet::of(store, directory);
    let batch = fleet.query("SELECT tensor_sum(sel(v, 'x', 0, 2)), tensor_min(sel(v, 'x', 0, 2)), element(sel(v, 'x', 2, 3), 1) FROM datasets ORDER BY dataset").await;
    assert_eq!(integers(batch.column(0)), [Some(1), Some(6)]);
    assert_eq!(integers(batch.column(1)), [Some(0), Some(1)]);
    assert_eq!(integers(batch.column(2)), [Some(5), None]);
}

#[tokio::test]
async fn what_cannot_be_selected_says_why() {
    let grids = grids();
    for (sql, parts) in [
        ("SELECT sel(t) FROM datasets", &["sel(array, 'dimension', low, high, …)", "1 arguments", "array t"][..]),
        ("SELECT sel(t, 'lat', 10) FROM datasets", &["sel", "3 arguments"]),
        ("SELECT sel(t, 'lat', 20, 10) FROM datasets", &["sel", "array t", "lat", "20 and 10", "reversed"]),
        ("SELECT sel(t, 'lat', 20.5, 20.25) FROM datasets", &["sel", "array t", "20.5 and 20.25", "reversed"]),
        ("SELECT sel(v, 'day', '2020-01-02', '2020-01-01') FROM datasets", &["array v", "'2020-01-02'", "reversed"]),
        ("SELECT sel(w, 'station', 'B', 'A') FROM datasets", &["array w", "'B' and 'A'", "reversed"]),
        ("SELECT sel(t, 'depth', 1, 2) FROM datasets", &["sel", "array t", "depth", "lat", "lon"]),
        ("SELECT sel(t, 'lat', 1, 2, 'lat', 1, 2) FROM datasets", &["sel", "array t", "lat is named twice"]),
        ("SELECT sel(t, 1, 1, 2) FROM datasets", &["sel", "array t", "name of a dimension", "got 1"]),
        ("SELECT sel(t, NULL, 1, 2) FROM datasets", &["sel", "array t", "name of a dimension", "NULL"]),
        ("SELECT sel(t, dataset, 1, 2) FROM datasets", &["sel", "array t", "literal", "dataset"]),
        ("SELECT sel(t, 'lat', dataset, 2) FROM datasets", &["sel", "array t", "literal", "dataset"]),
        ("SELECT sel(t, 'lat', 1 + 1, 2) FROM datasets", &["sel", "array t", "literal", "1"]),
        ("SELECT sel(v, 'day', NULL, now()) FROM datasets", &["sel", "array v", "literal", "now()"]),
        ("SELECT sel(t, 'lat', '10', '20') FROM datasets", &["sel", "array t", "lat", "float64", "'10' is no number"]),
        (
            "SELECT sel(t, 'lat', DATE '2020-01-01', NULL) FROM datasets",
            &["array t", "lat", "'2020-01-01' is no number"],
        ),
        ("SELECT sel(t, 'lat', true, NULL) FROM datasets", &["array t", "lat", "true is no number"]),
        ("SELECT sel(t, 'lat', CAST('NaN' AS DOUBLE), 1) FROM datasets", &["array t", "lat", "NaN is no bound"]),
        ("SELECT sel(v, 'day', 1, 2) FROM datasets", &["array v", "day", "timestamp", "1 is no time"]),
        ("SELECT sel(v, 'day', 'today', NULL) FROM datasets", &["array v", "day", "'today' is no time"]),
        ("SELECT sel(w, 'station', 1, 2) FROM datasets", &["array w", "station", "1 is no text"]),
        ("SELECT sel(dataset, 'lat', 1, 2) FROM datasets", &["sel", "array column", "dataset"]),
        (
            "SELECT sel(s, 'lat', 1, 2) FROM (SELECT t AS s FROM datasets GROUP BY t)",
            &["sel", "coordinates", "GROUP BY"],
        ),
        ("SELECT sel(coalesce(t, t), 'lat', 1, 2) FROM datasets", &["sel"]),
        ("SELECT stat_max(sel(t, 'lat', 1, 2)) FROM datasets", &["stat_max"]),
        ("SELECT chunk_shape(sel(t, 'lat', 1, 2)) FROM datasets", &["chunk_shape"]),
        ("SELECT max(sel(t, 'lat', 1, 2)) FROM datasets", &["max", "no order"]),
        ("SELECT avg(sel(t, 'lat', 1, 2)) FROM datasets", &["avg", "is an array"]),
    ] {
        let error = grids.failure(sql).await;
        for part in parts {
            assert!(error.contains(part), "{sql}: {error:?} lacks {part:?}");
        }
    }
    // Every latitude of `bare` is an index, and text is none.
    let (store, directory) = empty();
    for name in ["timed", "untimed"] {
        store.create_dataset(name).unwrap();
        write(&store, name, "a", ArraySchema::new(DType::Float32, &["day"], &[2]), float32([1.0, 2.0]));
    }
    let days = ArrayData::try_new(DType::TimestampNanoseconds, vec![2], Cells::I64(vec![0, DAY])).unwrap();
    write(&store, "timed", "day", ArraySchema::new(DType::TimestampNanoseconds, &["day"], &[2]), days);
    store.flush().unwrap();
    let fleet = Fleet::of(store, directory);
    let select = "SELECT sel(a, 'day', '1970-01-01', '1970-01-01') FROM datasets";
    let error = fleet.failure(select).await;
    for part in ["sel", "array a of dataset untimed", "day", "no coordinate", "'1970-01-01' is no number"] {
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    }
    let batch = fleet.query(&format!("{select} WHERE day IS NOT NULL")).await;
    assert_eq!(tensor(batch.column(0), 0), Some((vec![1], vec![1.0])));
}
