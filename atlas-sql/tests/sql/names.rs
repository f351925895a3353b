//! Column names and attribute types in hostile stores.

use crate::fleet::{empty, floats, query, strings, write};
use arrow::datatypes::DataType;
use atlas_store::{ArrayData, ArraySchema, Attribute, DType};

#[tokio::test]
async fn nothing_is_lost_to_a_clash() {
    let (store, _directory) = empty();
    store.create_dataset("d").unwrap();
    for (index, key) in ["dataset", "T", "t", "T_min", "a.b", "say \"hi\"", "größe", "SELECT"].iter().enumerate() {
        store.set_attribute("d", key, Attribute::Int64(index as i64)).unwrap();
    }
    for array in ["T", "dataset", "x.y"] {
        let data = ArrayData::from_numbers(vec![1], vec![7i32]).unwrap();
        write(&store, "d", array, ArraySchema::new(DType::Int32, &["n"], &[1]), data);
    }
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    let batch = query(&context, "SELECT * FROM datasets").await;
    let schema = batch.schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(
        columns,
        [
            "dataset",
            "SELECT",
            "T@attribute",
            "T_min@attribute",
            "a.b",
            "dataset@attribute",
            "größe",
            "say \"hi\"",
            "t",
            "T",
            "dataset@array",
            "x.y"
        ]
    );
    let batch = query(
        &context,
        r#"SELECT t, "T@attribute", "T_min@attribute", "dataset@attribute", "say ""hi""", "größe", "a.b", "SELECT", element("T", 0), stat_max("dataset@array"), element("x.y", 0) FROM datasets WHERE "a.b" = 4 AND stat_max("x.y") = 7"#,
    )
    .await;
    let values: Vec<f64> = (0..batch.num_columns()).map(|column| floats(batch.column(column))[0].unwrap()).collect();
    assert_eq!(values, [2.0, 1.0, 3.0, 0.0, 5.0, 6.0, 4.0, 7.0, 7.0, 7.0, 7.0]);
    let batch = query(&context, r#"SELECT "T_min", "dataset_max", "x.y_row_count", "T@attribute" FROM catalog"#).await;
    let values: Vec<f64> = (0..4).map(|column| floats(batch.column(column))[0].unwrap()).collect();
    assert_eq!(values, [7.0, 7.0, 1.0, 1.0]);
}

#[tokio::test]
async fn mixed_types_are_float_where_exact_and_text_otherwise() {
    let (store, _directory) = empty();
    let rows: [&[(&str, Attribute)]; 3] = [
        &[("exact", Attribute::Int64(3)), ("rough", Attribute::Int64((1 << 53) + 1)), ("any", Attribute::Bool(true))],
        &[
            ("exact", Attribute::Float64(0.5)),
            ("rough", Attribute::Float64(0.5)),
            ("any", Attribute::String("x".into())),
        ],
        &[("any", Attribute::Timestamp(0)), ("edge", Attribute::Int64(i64::MAX))],
    ];
    for (index, attributes) in rows.iter().enumerate() {
        let name = format!("d{index}");
        store.create_dataset(&name).unwrap();
        for (key, value) in *attributes {
            store.set_attribute(&name, key, value.clone()).unwrap();
        }
    }
    store.set_attribute("d0", "edge", Attribute::Float64(1.0)).unwrap();
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    let batch = query(&context, "SELECT exact, rough, \"any\", edge FROM datasets ORDER BY dataset").await;
    assert_eq!(batch.column(0).data_type(), &DataType::Float64);
    assert_eq!(floats(batch.column(0)), [Some(3.0), Some(0.5), None]);
    let text = |text: &str| Some(text.to_string());
    assert_eq!(strings(batch.column(1)), [text("9007199254740993"), text("0.5"), None]);
    assert_eq!(strings(batch.column(2)), [text("true"), text("x"), text("1970-01-01T00:00:00Z")]);
    assert_eq!(strings(batch.column(3)), [text("1.0"), None, text("9223372036854775807")]);
}

#[tokio::test]
async fn thousands_of_attributes_and_differing_ranks() {
    let (store, _directory) = empty();
    store.create_dataset("d").unwrap();
    store.create_dataset("e").unwrap();
    for key in 0..3000 {
        store.set_attribute("d", &format!("key {key:04}"), Attribute::Int64(key)).unwrap();
    }
    let numbers = |shape: Vec<u64>, count: i16| ArrayData::from_numbers(shape, (0..count).collect()).unwrap();
    write(&store, "d", "v", ArraySchema::new(DType::Int16, &["a"], &[4]), numbers(vec![4], 4));
    write(&store, "e", "v", ArraySchema::new(DType::Int16, &["b", "c"], &[2, 3]), numbers(vec![2, 3], 6));
    write(
        &store,
        "e",
        "s",
        ArraySchema::new(DType::String, &["b", "c"], &[1, 2]),
        ArrayData::from_strings(vec![1, 2], ["x", "y"]).unwrap(),
    );
    write(
        &store,
        "d",
        "s",
        ArraySchema::new(DType::String, &["b", "c"], &[0, 2]),
        ArrayData::from_strings::<&str>(vec![0, 2], []).unwrap(),
    );
    store.flush().unwrap();
    let context = atlas_sql::session(&[("s".to_string(), store)]).unwrap();
    let batch =
        query(&context, "SELECT \"key 2999\", v, s, shape(v)[1], shape(s)[1] FROM datasets ORDER BY dataset").await;
    assert_eq!(floats(batch.column(0)), [Some(2999.0), None]);
    assert_eq!(floats(batch.column(3)), [Some(4.0), Some(2.0)]);
    assert_eq!(floats(batch.column(4)), [Some(0.0), Some(1.0)]);
    let values = query(&context, "SELECT element(v, 1, 2), element(s, 0, 1) FROM datasets WHERE dataset = 'e'").await;
    assert_eq!(floats(values.column(0)), [Some(5.0)]);
    assert_eq!(strings(values.column(1)), [Some("y".to_string())]);
    let values = query(
        &context,
        "SELECT element(v, 1, 2), shape(v) FROM (SELECT v FROM datasets WHERE dataset = 'e' GROUP BY v)",
    )
    .await;
    assert_eq!(floats(values.column(0)), [Some(5.0)]);
}
