//! Bad queries: each one clear line.

use crate::fleet::fleet;

#[tokio::test]
async fn bad_arguments_name_the_array_and_the_numbers() {
    let fleet = fleet();
    for (sql, parts) in [
        ("SELECT slice(temp, [0], [4]) FROM datasets", &["slice", "temp", "rank 1", "rank 2"][..]),
        ("SELECT slice(temp, [0, 0], [5, 6]) FROM datasets", &["slice", "temp", "5", "4"]),
        ("SELECT slice(temp, [0, 0], [4]) FROM datasets", &["slice", "[0, 0]", "[4]"]),
        ("SELECT slice(temp, [0, -1], [1, 1]) FROM datasets", &["slice: start [0, -1] has a negative number"]),
        ("SELECT slice(temp, [4, 0], [1, 0]) FROM datasets", &["slice", "temp", "5", "4"]),
        ("SELECT avg(temp) FROM datasets", &["avg: FixedSizeList(24 x Float32) is an array", "element"]),
        ("SELECT sum(ragged) FROM datasets", &["sum: Struct", "is an array"]),
        ("SELECT max(temp) FROM datasets", &["max", "temp", "stat_max"]),
        ("SELECT min(ragged) OVER (ORDER BY depth) FROM datasets", &["min", "ragged", "stat_min"]),
        ("SELECT max(slice(temp, [0, 0], [1, 1])) FROM datasets", &["max", "slice", "no order"]),
        ("SELECT slice(temp, depth, depth) FROM datasets", &["slice", "list of integers"]),
        ("SELECT slice(temp, [0, 0]) FROM datasets", &["slice(array, start, shape)", "2 arguments"]),
        ("SELECT slice(ragged, [0], [1]) FROM datasets", &["slice", "ragged", "rank 2"]),
        (
            "SELECT slice(ragged, [0, 0], [40000, 40000]) FROM datasets",
            &["slice", "ragged", "[40000, 40000]", "more cells than it has in any dataset"],
        ),
        (
            "SELECT slice(r, [0, 0], [40000, 40000]) FROM (SELECT nullif(ragged, ragged) AS r FROM datasets)",
            &["slice", "40000"],
        ),
        ("SELECT slice(station, [0], [1]) FROM datasets", &["slice", "array column", "station"]),
        ("SELECT element(temp, 0) FROM datasets", &["element", "temp", "rank 2", "1 ind"]),
        ("SELECT element(temp, 4, 0) FROM datasets", &["element", "temp", "4"]),
        ("SELECT element(temp, -1, 0) FROM datasets", &["element", "-1"]),
        ("SELECT element(temp, 0.5, 0) FROM datasets", &["element", "integer"]),
        ("SELECT element(ragged, 2, 0) FROM datasets", &["ragged", "cast_0", "2"]),
        ("SELECT element(slice(temp, [0, 0], [1, 1]), 1, 0) FROM datasets", &["element", "temp"]),
        ("SELECT stat_max(station) FROM datasets", &["stat_max", "array column", "station"]),
        ("SELECT stat_max(temp, 1) FROM datasets", &["stat_max", "one argument"]),
        ("SELECT stat_mean(label) FROM datasets", &["stat_mean", "label", "Utf8"]),
        ("SELECT stat_max(t) FROM (SELECT temp AS t FROM datasets GROUP BY temp)", &["stat_max", "GROUP BY"]),
        ("SELECT stat_max(slice(temp, [0, 0], [1, 1])) FROM datasets", &["stat_max"]),
        ("SELECT nothing FROM datasets", &["nothing"]),
        ("SELECT * FROM nowhere", &["nowhere"]),
        ("SELEC 1", &["SELEC"]),
    ] {
        let error = fleet.failure(sql).await;
        for part in parts {
            assert!(error.contains(part), "{sql}: {error:?} lacks {part:?}");
        }
    }
}

#[tokio::test]
async fn the_tables_cannot_be_changed() {
    let fleet = fleet();
    for sql in [
        "DROP TABLE datasets",
        "INSERT INTO arrays SELECT * FROM arrays",
        "DELETE FROM datasets",
        "CREATE TABLE fleet.other AS SELECT 1",
    ] {
        assert!(!fleet.failure(sql).await.is_empty());
    }
    assert_eq!(fleet.query("SELECT 1 FROM datasets").await.num_rows(), crate::fleet::DATASETS);
}
