//! `slice` and `element` by the names of dimensions, against the positional forms and the cells.

use crate::fleet::{DATASETS, Fleet, empty, fleet, floats, names, ragged_rows, write};
use crate::grids::tensor;
use arrow::array::{Array, AsArray};
use atlas_store::{ArrayData, ArraySchema, DType, Scalar};

#[tokio::test]
async fn named_forms_are_the_positional_ones() {
    let fleet = fleet();
    for (named, positional) in [
        ("slice(c, 'depth', 1, 2, 'time', 2, 3)", "slice(c, [1, 2], [2, 3])"),
        ("slice(c, 'time', 2, 3, 'depth', 1, 2)", "slice(c, [1, 2], [2, 3])"),
        ("slice(c, 'depth', 1, 2)", "slice(c, [1, 0], [2, 6])"),
        ("slice(c, 'time', 5, 1)", "slice(c, [0, 5], [4, 1])"),
        ("slice(c, 'time', 6, 0)", "slice(c, [0, 6], [4, 0])"),
        ("slice(slice(c, 'time', 1, 4), 'depth', 1, 2)", "slice(c, [1, 1], [2, 4])"),
        ("slice(slice(c, [1, 1], [3, 4]), 'time', 1, 2)", "slice(c, [1, 2], [3, 2])"),
        ("element(c, 'depth', 3, 'time', 5)", "element(c, 3, 5)"),
        ("element(c, 'time', 1, 'depth', 0)", "element(c, 0, 1)"),
        ("element(slice(c, 'time', 1, 4), 'time', 2, 'depth', 1)", "element(c, 1, 3)"),
        ("tensor_sum(slice(c, 'depth', 1, 2))", "tensor_sum(slice(c, [1, 0], [2, 6]))"),
        ("shape(slice(c, 'depth', 1, 2))", "shape(slice(c, [1, 0], [2, 6]))"),
    ] {
        for from in
            ["(SELECT dataset, temp AS c FROM datasets)", "(SELECT dataset, temp AS c FROM datasets GROUP BY 1, 2)"]
        {
            let of =
                async |call: &str| fleet.query(&format!("SELECT dataset, {call} AS v FROM {from} ORDER BY 1")).await;
            let (own, expected) = (of(named).await, of(positional).await);
            assert_eq!(own.schema(), expected.schema(), "{named}");
            assert_eq!(own, expected, "{named} from {from}");
            assert!(own.column(1).null_count() > 0);
        }
        let of = async |call: &str| {
            let scans = fleet.scans(&format!("SELECT {} FROM datasets", call.replace("(c,", "(temp,"))).await;
            scans[0].clone()
        };
        assert_eq!(of(named).await, of(positional).await, "{named}");
    }
    let batch =
        fleet.query("SELECT slice(temp, 'depth', 1, 2), element(temp, 'time', 0, 'depth', 1) FROM datasets").await;
    assert_eq!(batch.schema().field(0).name(), "slice(datasets.temp,depth,1,2)");
    let batch =
        fleet.query("SELECT dataset FROM datasets WHERE element(temp, 'time', 0, 'depth', 0) > 75 ORDER BY 1").await;
    assert_eq!(names(&batch), ["cast_08", "cast_09", "cast_10"]);
    let batch = fleet.query("SELECT element(v, 'depth', i, 'time', 5) FROM (SELECT dataset, temp AS v FROM datasets), (VALUES (3), (0)) t(i) WHERE dataset = 'cast_01' ORDER BY i").await;
    assert_eq!(floats(batch.column(0)), [Some(12.5), Some(21.5)]);
}

#[tokio::test]
async fn what_is_left_whole_keeps_the_shape_of_each_dataset() {
    let fleet = fleet();
    let expected = |index: usize| {
        let cells = (0..ragged_rows(index)).map(|row| index as f64 + (row * 2 + 1) as f64 / 10.0);
        Some((vec![ragged_rows(index) as i64, 1], cells.collect::<Vec<_>>()))
    };
    for sql in [
        "SELECT dataset, slice(ragged, 'pair', 1, 1) FROM datasets ORDER BY 1",
        "SELECT dataset, slice(r, 'pair', 1, 1) FROM (SELECT dataset, first_value(ragged) AS r FROM datasets GROUP BY dataset) ORDER BY 1",
    ] {
        let batch = fleet.query(sql).await;
        for index in 0..DATASETS {
            assert_eq!(tensor(batch.column(1), index), expected(index), "{sql}");
        }
        assert_eq!(batch.schema().field(1).metadata()["ARROW:extension:name"], "arrow.variable_shape_tensor");
    }
    let batch = fleet.query("SELECT slice(ragged, 'row', 0, 1) FROM datasets ORDER BY dataset").await;
    assert_eq!(tensor(batch.column(0), 3), Some((vec![1, 2], vec![3.0, 3.1])));
    let batch = fleet.query("SELECT slice(ragged, 'row', 0, 1, 'pair', 0, 2) FROM datasets ORDER BY dataset").await;
    assert_eq!(floats(&batch.column(0).as_fixed_size_list().value(3)), [Some(3.0), Some(3.1)]);
    let error = fleet.failure("SELECT slice(ragged, 'row', 1, 1) FROM datasets").await;
    assert!(error.contains("ragged of dataset cast_00") && error.contains("extent 1"), "{error}");
    let scans = fleet.scans("SELECT slice(ragged, 'pair', 1, 1) FROM datasets WHERE depth > 1000").await;
    let chunks = fleet.store.snapshot().chunk_totals("ragged", &[11]).unwrap().0;
    assert!(scans[0].contains("columns=[slice(ragged, 'pair', 1, 1)]"), "{scans:?}");
    assert!(scans[0].contains(&format!("→{chunks},")), "{scans:?}");
}

/// `a` is x × y in `xy`, y × x in `yx`, and x × z in `xz`; `lone` has another array only.
fn mixed() -> Fleet {
    let (store, directory) = empty();
    for (name, dims, shape) in [("xy", ["x", "y"], [2, 3]), ("yx", ["y", "x"], [3, 2]), ("xz", ["x", "z"], [2, 2])] {
        store.create_dataset(name).unwrap();
        let cells: Vec<i32> = (0..(shape[0] * shape[1]) as i32).collect();
        let schema = ArraySchema::new(DType::Int32, &dims, &shape).with_fill_value(Scalar::Int(0));
        write(&store, name, "a", schema, ArrayData::from_numbers(shape.to_vec(), cells).unwrap());
    }
    store.create_dataset("lone").unwrap();
    store.flush().unwrap();
    Fleet::of(store, directory)
}

#[tokio::test]
async fn dimensions_in_another_order_are_found_in_each_dataset() {
    let mixed = mixed();
    let batch = mixed
        .query(
            "SELECT dataset, slice(a, 'y', 1, 2), element(a, 'y', 2, 'x', 0), tensor_sum(slice(a, 'x', 1, 1)), \
             element(a, 'x', 0, 'y', 0) FROM datasets WHERE dataset <> 'xz' ORDER BY 1",
        )
        .await;
    assert_eq!(names(&batch), ["lone", "xy", "yx"]);
    assert_eq!(tensor(batch.column(1), 0), None);
    assert_eq!(tensor(batch.column(1), 1), Some((vec![2, 2], vec![1.0, 2.0, 4.0, 5.0])));
    assert_eq!(tensor(batch.column(1), 2), Some((vec![2, 2], vec![2.0, 3.0, 4.0, 5.0])));
    assert_eq!(floats(batch.column(2)), [None, Some(2.0), Some(4.0)]);
    assert_eq!(floats(batch.column(3)), [None, Some(12.0), Some(9.0)]);
    assert_eq!(floats(batch.column(4)), [None, None, None]);
    let batch = mixed.query("SELECT slice(slice(a, 'x', 0, 1), 'x', 0, 1), sel(slice(a, 'x', 1, 1), 'x', 0, 0) FROM datasets ORDER BY dataset DESC").await;
    assert_eq!(tensor(batch.column(0), 0), Some((vec![3, 1], vec![0.0, 2.0, 4.0])));
    assert_eq!(tensor(batch.column(1), 1), Some((vec![1, 2], vec![2.0, 3.0])));
    let scans = mixed.scans("SELECT element(a, 'y', 2, 'x', 0) FROM datasets WHERE dataset LIKE '%y%'").await;
    assert!(scans[0].contains("columns=[element(a, 'y', 2, 'x', 0)]") && scans[0].contains("→2,"), "{scans:?}");
    for (sql, parts) in [
        ("SELECT slice(a, 'y', 0, 1) FROM datasets", &["a of dataset xz", "\"x\", \"z\"", "\"y\""][..]),
        ("SELECT element(a, 'x', 0, 'y', 0) FROM datasets", &["a of dataset xz", "\"y\""]),
        ("SELECT element(a, 'x', 0) FROM datasets", &["a of dataset xy", "one cell", "\"x\", \"y\""]),
        ("SELECT slice(a, 'w', 0, 1) FROM datasets", &["slice", "array a", "\"w\""]),
        ("SELECT sel(a, 'w', 0, 1) FROM datasets", &["sel", "array a", "\"w\""]),
        ("SELECT sel(a, 'z', 0, 1) FROM datasets", &["a of dataset xy", "\"z\""]),
        (
            "SELECT slice(v, 'x', 0, 1) FROM (SELECT a AS v FROM datasets GROUP BY a)",
            &["slice", "dimensions", "differ"],
        ),
        ("SELECT element(v, 'x', 0, 'y', 1) FROM (SELECT a AS v FROM datasets GROUP BY a)", &["element", "differ"]),
    ] {
        let error = mixed.failure(sql).await;
        for part in parts {
            assert!(error.contains(part), "{sql}: {error:?} lacks {part:?}");
        }
    }
}

#[tokio::test]
async fn bad_names_are_refused_while_planning() {
    let fleet = fleet();
    for (sql, parts) in [
        ("SELECT slice(temp, 'lat', 0, 1) FROM datasets", &["slice", "temp", "\"depth\", \"time\"", "\"lat\""][..]),
        ("SELECT slice(temp, 'time', 0, 1, 'time', 0, 1) FROM datasets", &["slice", "temp", "time is named twice"]),
        ("SELECT slice(temp, 'time', 0) FROM datasets", &["slice(array, 'dimension', start, size, …)", "3 arguments"]),
        ("SELECT slice(temp, 'time', 0, 7) FROM datasets", &["slice", "temp", "7", "6"]),
        (
            "SELECT slice(temp, 'time', 0, -1) FROM datasets",
            &["slice", "temp", "size -1 of dimension time is negative"],
        ),
        ("SELECT slice(temp, 'time', 0.5, 1) FROM datasets", &["slice", "temp", "start 0.5 of dimension time"]),
        ("SELECT slice(temp, 'time', 0, depth) FROM datasets", &["slice", "temp", "size of dimension time", "literal"]),
        ("SELECT slice(temp, 'time', 0, 1, 2, 3, 4) FROM datasets", &["slice", "temp", "name of a dimension", "2"]),
        ("SELECT element(temp, 'time', 0) FROM datasets", &["element", "temp", "\"depth\", \"time\"", "[\"time\"]"]),
        ("SELECT element(temp, 'time', 0, 'depth') FROM datasets", &["element", "4 arguments"]),
        ("SELECT element(temp, 'time', 0, 'time', 1) FROM datasets", &["element", "temp", "time is named twice"]),
        ("SELECT element(temp, 'time', 0, 'lat', 1) FROM datasets", &["element", "temp", "\"lat\""]),
        ("SELECT element(temp, 'time', 6, 'depth', 0) FROM datasets", &["element", "temp", "6"]),
        ("SELECT element(temp, 'time', 'x', 'depth', 0) FROM datasets", &["element", "integer"]),
        ("SELECT element(temp, 'time', -1, 'depth', 0) FROM datasets", &["element", "temp", "-1 of dimension time"]),
        (
            "SELECT element(v, 'lat', 0, 'time', 0) FROM (SELECT temp AS v FROM datasets GROUP BY temp)",
            &["element", "v", "\"lat\""],
        ),
        ("SELECT slice(v, 'time', 0, 7) FROM (SELECT temp AS v FROM datasets GROUP BY temp)", &["slice", "v", "7"]),
    ] {
        let error = fleet.failure(sql).await;
        for part in parts {
            assert!(error.contains(part), "{sql}: {error:?} lacks {part:?}");
        }
    }
}
