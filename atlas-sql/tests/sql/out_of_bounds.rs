//! `atlas.out_of_bounds`: what a dataset gives whose array does not contain the region.

use crate::fleet::{
    DATASETS, Fleet, empty, fleet, floats, has_temp, integers, names, query, ragged_rows, strings, write,
};
use crate::grids::{grids, tensor};
use arrow::array::{Array, AsArray};
use atlas_sql::{Options, OutOfBounds};
use atlas_store::{ArrayData, ArraySchema, DType};
use datafusion::prelude::{SessionConfig, SessionContext};

async fn set(fleet: &Fleet, value: &str) {
    fleet.query(&format!("SET atlas.out_of_bounds = '{value}'")).await;
}

#[tokio::test]
async fn the_option_is_a_setting_of_the_session() {
    let fleet = fleet();
    let shown = async || {
        let batch =
            fleet.query("SELECT value FROM information_schema.df_settings WHERE name = 'atlas.out_of_bounds'").await;
        strings(batch.column(0))
    };
    let sql = "SELECT element(ragged, 2, 0) FROM datasets ORDER BY dataset";
    assert_eq!(shown().await, [Some("error".to_string())]);
    assert!(fleet.failure(sql).await.contains("cast_00"));
    set(&fleet, "null").await;
    assert_eq!(shown().await, [Some("null".to_string())]);
    assert_eq!(fleet.query(sql).await.column(0).null_count(), 8);
    for (bad, parts) in [
        ("SET atlas.out_of_bounds = 'zero'", &["atlas.out_of_bounds", "'error' or 'null'", "'zero'"][..]),
        ("SET atlas.bounds = 'null'", &["atlas.bounds", "atlas.out_of_bounds"]),
    ] {
        let error = fleet.failure(bad).await;
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    assert_eq!(fleet.query(sql).await.column(0).null_count(), 8);
    set(&fleet, "ERROR").await;
    assert!(fleet.failure(sql).await.contains("cast_00"));
    // As the embedder's configuration, and of this session only.
    let options = Options { out_of_bounds: OutOfBounds::Null };
    let context = SessionContext::new_with_config(SessionConfig::new().with_option_extension(options));
    atlas_sql::register(&context, "mine", &fleet.store).unwrap();
    let batch = query(&context, "SELECT element(ragged, 2, 0) FROM mine.datasets").await;
    assert_eq!(batch.column(0).null_count(), 8);
}

#[tokio::test]
async fn datasets_that_do_not_contain_the_region_are_null() {
    let fleet = fleet();
    set(&fleet, "null").await;
    let has = |index: usize, rows: usize| ragged_rows(index) >= rows;
    for from in ["datasets", "(SELECT dataset, first_value(ragged) AS ragged FROM datasets GROUP BY dataset)"] {
        let batch = fleet
            .query(&format!(
                "SELECT dataset, element(ragged, 1, 1), slice(ragged, [1, 0], [1, 2]), slice(ragged, 'row', 2, 1), \
                 tensor_sum(slice(ragged, [1, 0], [2, 2])), element(ragged, 'pair', 0, 'row', 2), \
                 slice(ragged, [1, 0], [2, 0]), slice(ragged, [0], [1]), element(ragged, 0), \
                 tensor_sum(slice(slice(ragged, [0, 0], [1, 2]), [0, 1], [1, 1])), \
                 slice(slice(ragged, [0, 0], [1, 2]), [1, 1], [1, 1]), element(ragged, 0, 5) FROM {from} ORDER BY 1"
            ))
            .await;
        assert_eq!(batch.num_rows(), DATASETS);
        for index in 0..DATASETS {
            let cell = |at: usize| index as f64 + at as f64 / 10.0;
            let is_null = |column: usize| batch.column(column).is_null(index);
            assert_eq!(floats(batch.column(1))[index], has(index, 2).then(|| cell(3)), "{from}");
            assert_eq!(is_null(2), !has(index, 2), "{from}");
            if has(index, 2) {
                let cells = batch.column(2).as_fixed_size_list().value(index);
                assert_eq!(floats(&cells), [Some(cell(2)), Some(cell(3))]);
            }
            let third = has(index, 3).then(|| (vec![1, 2], vec![cell(4), cell(5)]));
            assert_eq!(tensor(batch.column(3), index), third, "{from}");
            let sum = has(index, 3).then(|| [2, 3, 4, 5].map(cell).iter().sum::<f64>());
            assert!((floats(batch.column(4))[index].unwrap_or(-1.0) - sum.unwrap_or(-1.0)).abs() < 1e-9, "{from}");
            assert_eq!(floats(batch.column(5))[index], has(index, 3).then(|| cell(4)), "{from}");
            assert_eq!(is_null(6), !has(index, 3), "{from}");
            assert!(is_null(7) && is_null(8) && is_null(10) && is_null(11), "{from}");
            assert_eq!(floats(batch.column(9))[index], Some(cell(1)));
        }
    }
}

#[tokio::test]
async fn a_region_that_no_dataset_contains_is_null_everywhere() {
    let fleet = fleet();
    set(&fleet, "null").await;
    for from in ["datasets", "(SELECT dataset, temp FROM datasets GROUP BY 1, 2)"] {
        let batch = fleet
            .query(&format!(
                "SELECT slice(temp, [3, 0], [2, 6]), slice(temp, 'depth', 3, 2), element(temp, 4, 0), slice(temp, [0], [1]), \
                 element(temp, 0), tensor_count(slice(temp, [0, 0], [5, 6])), element(slice(temp, [0, 0], [1, 1]), 1, 0), \
                 element(temp, 'time', 6, 'depth', 0), element(temp, 3, 5) FROM {from} ORDER BY dataset"
            ))
            .await;
        assert_eq!(batch.num_rows(), DATASETS);
        for column in 0..8 {
            assert_eq!(batch.column(column).null_count(), DATASETS, "column {column} of {from}");
        }
        assert_eq!(batch.column(8).null_count(), (0..DATASETS).filter(|index| !has_temp(*index)).count());
    }
    // What cannot be right for any array, or is not a dimension, is an error all the same.
    for (sql, part) in [
        ("SELECT element(temp, -1, 0) FROM datasets", "-1"),
        ("SELECT slice(temp, 'lat', 0, 1) FROM datasets", "lat"),
        ("SELECT element(temp, 'time', 0) FROM datasets", "depth"),
        ("SELECT slice(temp, [0, 0], [1]) FROM datasets", "[1]"),
        ("SELECT slice(temp, [0, 0], [40000, 40000]) FROM datasets", "more cells than it has in any dataset"),
    ] {
        assert!(fleet.failure(sql).await.contains(part), "{sql}");
    }
}

#[tokio::test]
async fn nothing_is_read_of_a_dataset_that_is_out_of_bounds() {
    let fleet = fleet();
    set(&fleet, "null").await;
    let snapshot = fleet.store.snapshot();
    let rows: Vec<u32> = (0..DATASETS as u32).filter(|row| ragged_rows(*row as usize) >= 3).collect();
    let region = atlas_store::Region::try_new(vec![2, 0], vec![1, 1]).unwrap();
    let plan = snapshot.plan_across(&["ragged"], &rows, Some(&region)).unwrap();
    for call in ["element(ragged, 2, 0)", "slice(ragged, [2, 0], [1, 1])", "tensor_max(slice(ragged, [2, 0], [1, 1]))"]
    {
        let sql = format!("SELECT {call} FROM datasets");
        let scans = fleet.scans(&sql).await;
        let end = format!("→{}, bytes={}", plan.chunks(), plan.bytes());
        assert!(scans[0].contains(&format!("columns=[{call}]")) && scans[0].ends_with(&end), "{scans:?}");
        let run = fleet.plan_lines(&format!("EXPLAIN ANALYZE {sql}"), "AtlasScanExec").await;
        assert!(run[0].contains(&format!("chunks_read={}", plan.chunks())), "{run:?}");
    }
    let scans = fleet.scans("SELECT slice(temp, [3, 0], [2, 6]) FROM datasets").await;
    assert!(scans[0].ends_with("chunks=36→0, bytes=0"), "{scans:?}");
    let batch = fleet.query("SELECT dataset FROM datasets WHERE element(ragged, 2, 0) > 4 ORDER BY 1").await;
    assert_eq!(names(&batch), ["cast_05", "cast_08", "cast_11"]);
    let batch = fleet.query("SELECT count(*) FROM datasets WHERE slice(ragged, [2, 0], [1, 1]) IS NULL").await;
    assert_eq!(integers(batch.column(0)), [Some(8)]);
    let batch = fleet.query("SELECT count(element(ragged, 1, 0)) FROM datasets").await;
    assert_eq!(integers(batch.column(0)), [Some(8)]);
}

#[tokio::test]
async fn datasets_of_another_rank_or_other_dimensions_are_null() {
    let (store, directory) = empty();
    for (name, dims, shape) in [
        ("flat", vec!["x"], vec![2]),
        ("cube", vec!["x", "y", "z"], vec![2, 2, 2]),
        ("plane", vec!["y", "x"], vec![2, 2]),
    ] {
        store.create_dataset(name).unwrap();
        let cells: Vec<i32> = (0..shape.iter().product::<u64>() as i32).collect();
        let schema = ArraySchema::new(DType::Int32, &dims, &shape);
        write(&store, name, "a", schema, ArrayData::from_numbers(shape.clone(), cells).unwrap());
    }
    store.flush().unwrap();
    let fleet = Fleet::of(store, directory);
    let sql = "SELECT dataset, element(a, 1, 0), slice(a, [0, 0], [1, 2]), slice(a, 'y', 1, 1), element(a, 'x', 1, 'y', 0), \
               shape(slice(a, 'x', 0, 1)), tensor_sum(sel(a, 'z', 1, 1)) FROM datasets ORDER BY 1";
    let error = fleet.failure(sql).await;
    assert!(error.contains("a of dataset"), "{error}");
    set(&fleet, "null").await;
    let batch = fleet.query(sql).await;
    assert_eq!(names(&batch), ["cube", "flat", "plane"]);
    assert_eq!(integers(batch.column(1)), [None, None, Some(2)]);
    assert_eq!(batch.column(2).null_count(), 2);
    assert_eq!(floats(&batch.column(2).as_fixed_size_list().value(2)), [Some(0.0), Some(1.0)]);
    assert_eq!(tensor(batch.column(3), 0), Some((vec![2, 1, 2], vec![2.0, 3.0, 6.0, 7.0])));
    assert_eq!(tensor(batch.column(3), 1), None);
    assert_eq!(tensor(batch.column(3), 2), Some((vec![1, 2], vec![2.0, 3.0])));
    assert_eq!(integers(batch.column(4)), [None, None, Some(1)]);
    let shapes = batch.column(5).as_list::<i32>();
    assert_eq!(integers(&shapes.value(0)), [Some(1), Some(2), Some(2)]);
    assert_eq!(integers(&shapes.value(1)), [Some(1)]);
    assert_eq!(integers(batch.column(6)), [Some(1 + 3 + 5 + 7), None, None]);
}

#[tokio::test]
async fn regions_of_selections_are_null_too_but_no_gap_between_labels_is() {
    let grids = grids();
    set(&grids, "null").await;
    let batch = grids
        .query(
            "SELECT dataset, element(sel(t, 'lat', 5, 15), 0, 0) FROM datasets WHERE dataset <> 'unsorted' ORDER BY 1",
        )
        .await;
    assert_eq!(names(&batch), ["ascending", "bare", "descending", "gap", "none", "short", "twin"]);
    assert_eq!(floats(batch.column(1)), [Some(6.0), None, Some(112.0), Some(206.0), None, Some(300.0), Some(406.0)]);
    let batch =
        grids.query("SELECT sel(slice(t, [3, 0], [1, 6]), 'lat', 0, 30) FROM datasets WHERE dataset = 'short'").await;
    assert_eq!(batch.column(0).null_count(), 1);
    let scans =
        grids.scans("SELECT sel(slice(t, [3, 0], [1, 6]), 'lat', 0, 30) FROM datasets WHERE dataset = 'short'").await;
    assert!(scans[0].contains("→0, bytes=0"), "{scans:?}");
    let error = grids.failure("SELECT sel(t, 'lat', 0, 15) FROM datasets").await;
    assert!(error.contains("unsorted") && error.contains("not neighbours"), "{error}");
}
