//! Array columns in Arrow: types, metadata, and what survives a plan.

use crate::fleet::{DATASETS, fleet, floats, has_temp, query, ragged_rows, temp};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field};
use atlas_sql::tensor::{DIMS, EXTENSION_METADATA, EXTENSION_NAME, FILL_VALUE, SHAPE, array_from, field_for};
use atlas_store::{ArrayData, DType};
use std::collections::HashMap;

fn expect(field: &Field, name: &str, metadata: &str) {
    assert_eq!(field.metadata().get(EXTENSION_NAME).map(String::as_str), Some(name), "{field:?}");
    let found: serde_json::Value = serde_json::from_str(&field.metadata()[EXTENSION_METADATA]).unwrap();
    assert_eq!(found, serde_json::from_str::<serde_json::Value>(metadata).unwrap());
}

const TEMP: &str = r#"{"shape": [4, 6], "dim_names": ["depth", "time"]}"#;

#[tokio::test]
async fn equal_shapes_are_fixed_and_others_variable() {
    let fleet = fleet();
    let batch = fleet.query("SELECT * FROM datasets ORDER BY dataset").await;
    let schema = batch.schema();
    let field = schema.field_with_name("temp").unwrap();
    assert!(matches!(field.data_type(), DataType::FixedSizeList(_, 24)));
    expect(field, "arrow.fixed_shape_tensor", TEMP);
    assert_eq!(field.metadata()[FILL_VALUE], "NaN");
    let column = batch.column_by_name("temp").unwrap().as_fixed_size_list();
    for index in (0..DATASETS).filter(|index| has_temp(*index)) {
        let cells: Vec<u32> =
            floats(&column.value(index)).iter().map(|cell| (cell.unwrap() as f32).to_bits()).collect();
        assert_eq!(cells, temp(index).iter().map(|cell| cell.to_bits()).collect::<Vec<_>>());
    }
    assert!((0..DATASETS).all(|index| column.is_valid(index) == has_temp(index)));

    let field = schema.field_with_name("ragged").unwrap();
    expect(field, "arrow.variable_shape_tensor", r#"{"dim_names": ["row", "pair"]}"#);
    let DataType::Struct(fields) = field.data_type() else { panic!("{field:?}") };
    assert_eq!(fields[0].name(), "data");
    assert!(
        matches!(fields[1].data_type(), DataType::FixedSizeList(extent, 2) if *extent.data_type() == DataType::Int32)
    );
    let column = batch.column_by_name("ragged").unwrap().as_struct();
    for index in 0..DATASETS {
        let rows = ragged_rows(index);
        let shape = column.column(1).as_fixed_size_list().value(index);
        assert_eq!(floats(&shape), [Some(rows as f64), Some(2.0)]);
        let cells = column.column(0).as_list::<i32>().value(index);
        assert_eq!(
            floats(&cells),
            (0..rows * 2).map(|cell| Some(index as f64 + cell as f64 / 10.0)).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn text_time_and_bool_are_plain_lists() {
    let fleet = fleet();
    let batch = fleet.query("SELECT label, instant, good, single FROM datasets ORDER BY dataset").await;
    let schema = batch.schema();
    for (field, shape, dims) in [
        ("label", "[2]", r#"["label"]"#),
        ("instant", "[2]", r#"["instant"]"#),
        ("good", "[3]", r#"["q"]"#),
        ("single", "[]", "[]"),
    ] {
        let metadata: &HashMap<_, _> = schema.field_with_name(field).unwrap().metadata();
        assert_eq!((metadata[SHAPE].as_str(), metadata[DIMS].as_str()), (shape, dims));
        assert!(!metadata.contains_key(EXTENSION_NAME));
    }
    let label = batch.column(0).as_fixed_size_list().value(3);
    assert_eq!(label.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("L3"), None]);
    let instant = batch.column(1).as_fixed_size_list().value(3);
    assert!(matches!(instant.data_type(), DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, None)));
    assert_eq!(instant.null_count(), 1);
    assert_eq!(
        batch.column(2).as_fixed_size_list().value(1).as_boolean().iter().collect::<Vec<_>>(),
        [Some(true), Some(false), Some(true)]
    );
    assert_eq!(floats(batch.column(3))[7], Some(7.0));
}

#[tokio::test]
async fn metadata_survives_every_operator() {
    let fleet = fleet();
    for sql in [
        "SELECT temp AS t FROM datasets WHERE depth > 200",
        "SELECT temp AS t FROM datasets WHERE element(temp, 0, 0) > 10",
        "SELECT x.temp AS t FROM (SELECT temp, dataset FROM datasets) x ORDER BY x.dataset DESC LIMIT 3",
        "SELECT a.temp AS t FROM datasets a JOIN catalog b ON a.dataset = b.dataset",
        "SELECT b.temp AS t FROM catalog a LEFT JOIN datasets b ON a.dataset = b.dataset",
        "SELECT temp AS t FROM datasets UNION ALL SELECT temp FROM datasets",
        "SELECT first_value(temp) AS t FROM datasets GROUP BY station",
        "SELECT DISTINCT temp AS t FROM datasets",
        "WITH c AS (SELECT temp FROM datasets) SELECT temp AS t FROM c",
    ] {
        let batch = fleet.query(sql).await;
        expect(batch.schema().field(0), "arrow.fixed_shape_tensor", TEMP);
        let plan = fleet.context.sql(sql).await.unwrap();
        expect(plan.schema().field(0), "arrow.fixed_shape_tensor", TEMP);
    }
    for sql in [
        "SELECT slice(temp, [1, 2], [2, 3]) AS t FROM datasets",
        "SELECT slice(temp, [1, 2], [2, 3]) AS t FROM datasets UNION ALL SELECT slice(temp, [0, 0], [2, 3]) FROM datasets",
        "SELECT slice(temp, [1, 2], [2, 3]) AS t FROM datasets WHERE station = 'S0' ORDER BY stat_max(temp)",
    ] {
        let batch = fleet.query(sql).await;
        expect(
            batch.schema().field(0),
            "arrow.fixed_shape_tensor",
            r#"{"shape": [2, 3], "dim_names": ["depth", "time"]}"#,
        );
        let plan = fleet.context.sql(sql).await.unwrap();
        assert_eq!(plan.schema().field(0).metadata(), batch.schema().field(0).metadata());
    }
}

#[tokio::test]
async fn unnamed_results_are_called_as_they_were_written() {
    let fleet = fleet();
    let batch = fleet.query("SELECT slice(temp, [1, 2], [2, 3]), element(temp, 0, 1) FROM datasets").await;
    let schema = batch.schema();
    assert_eq!(schema.field(0).name(), "slice(datasets.temp,[1, 2],[2, 3])");
    assert_eq!(schema.field(1).name(), "element(datasets.temp,0,1)");
}

#[tokio::test]
async fn tensors_pass_through_ipc() {
    let fleet = fleet();
    let batch = fleet.query("SELECT dataset, temp, ragged, label FROM datasets").await;
    let mut bytes = Vec::new();
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let mut reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap(), batch);
}

#[test]
fn a_stacked_array_is_a_tensor_column() {
    let data = ArrayData::from_numbers(vec![3, 2, 2], (0..12i32).collect()).unwrap();
    let column = array_from(data).unwrap();
    let field = field_for("a", DType::Int32, &["y".into(), "x".into()], &[2, 2]).unwrap();
    assert_eq!(column.data_type(), field.data_type());
    assert_eq!(column.len(), 3);
    expect(&field, "arrow.fixed_shape_tensor", r#"{"shape": [2, 2], "dim_names": ["y", "x"]}"#);
    assert!(field_for("a", DType::Int8, &["y".into()], &[1 << 40]).is_err());
    assert!(array_from(ArrayData::from_numbers(vec![], vec![1i8]).unwrap()).is_err());
}

#[tokio::test]
async fn an_empty_store_has_its_tables() {
    let (store, _directory) = crate::fleet::empty();
    let context = atlas_sql::session(&[("none".to_string(), store)]).unwrap();
    for table in ["datasets", "catalog", "arrays"] {
        assert_eq!(query(&context, &format!("SELECT * FROM {table}")).await.num_rows(), 0);
    }
}
