//! Attributes and coordinates.

use crate::writer::Values::{Byte, Double, Float, Int, Short};
use crate::writer::{Values, Writer};
use atlas_store::Attribute;

#[test]
fn attributes_keep_their_type_and_several_values_are_json() {
    let file = Writer::new(5)
        .attribute("title", "a title")
        .attribute("empty", "")
        .attribute("level", Byte(vec![-3]))
        .attribute("range", Double(vec![-1.0, f64::INFINITY]))
        .attribute("half", Float(vec![0.5]))
        .attribute("bits", Values::Int64(vec![i64::MIN]))
        .dim("x", 1)
        .variable("v", &["x"], Int(vec![0]), &[("valid", Short(vec![1, 2])), ("units", "1".into())])
        .import();
    assert_eq!(file.attribute("title"), Some("a title".into()));
    assert_eq!(file.attribute("empty"), Some("".into()));
    assert_eq!(file.attribute("level"), Some((-3i64).into()));
    assert_eq!(file.attribute("range"), Some("json:[-1.0, Infinity]".into()));
    assert_eq!(file.attribute("half"), Some(Attribute::Float64(0.5)));
    assert_eq!(file.attribute("bits"), Some(i64::MIN.into()));
    assert_eq!(file.attribute("v.valid"), Some("json:[1, 2]".into()));
    assert_eq!(file.attribute("v.units"), Some("1".into()));
}

#[test]
fn an_attribute_whose_name_is_taken_is_left_out_and_noted() {
    let file = Writer::new(1)
        .attribute("v.units", "of the file")
        .attribute("_pyatlas_coords", "[]")
        .dim("v", 1)
        .variable("v", &["v"], Int(vec![0]), &[("units", "m".into())])
        .import();
    assert_eq!(file.attribute("v.units"), Some("m".into()));
    assert_eq!(file.attribute("_pyatlas_coords"), Some(r#"["v"]"#.into()));
    let remark = |key| format!(": attribute {key:?} is left out: another one has this name in the dataset");
    assert_eq!(file.remarks(), [remark("v.units"), remark("_pyatlas_coords")]);
}

#[test]
fn coordinates_are_named_like_their_dimension_or_by_an_attribute() {
    let file = Writer::new(1)
        .attribute("coordinates", "station nowhere")
        .dim("x", 2)
        .dim("y", 2)
        .variable("x", &["x"], Int(vec![0, 1]), &[])
        .variable("y", &["x", "y"], Int(vec![0; 4]), &[])
        .variable("lon", &["x"], Int(vec![0, 1]), &[])
        .variable("station", &[], Int(vec![0]), &[])
        .variable("v", &["x"], Int(vec![0, 1]), &[("coordinates", "lon lat".into())])
        .import();
    assert_eq!(file.attribute("_pyatlas_coords"), Some(r#"["x", "lon", "station"]"#.into()));
    assert_eq!(file.attribute("v.coordinates"), None);
    assert_eq!(file.attribute("coordinates"), None);
    assert_eq!(file.attribute("_pyatlas_encoding"), Some(r#"{"v": {"coordinates": "lon lat"}}"#.into()));
}

#[test]
fn names_that_cannot_be_arrays_are_reported() {
    let file = Writer::new(1)
        .variable("_hidden", &[], Int(vec![0]), &[("units", "m".into())])
        .variable("a/b", &[], Int(vec![0]), &[])
        .variable("fine", &[], Int(vec![0]), &[])
        .import();
    assert_eq!(file.arrays(), ["fine"]);
    assert_eq!(file.report.skipped_variables.len(), 2, "{:?}", file.remarks());
    assert_eq!(file.attribute("_hidden.units"), None);
}

#[test]
fn a_name_used_twice_is_reported() {
    let file = Writer::new(1).variable("v", &[], Int(vec![1]), &[]).variable("v", &[], Float(vec![2.0]), &[]).import();
    assert_eq!(file.numbers::<i32>("v"), [1]);
    assert_eq!(file.remarks(), ["v: the name is used twice"]);
}

#[test]
fn a_family_of_another_dtype_is_reported() {
    let writer = |values| Writer::new(1).dim("x", 1).variable("v", &["x"], values, &[]).bytes();
    let (_directory, files, store) =
        crate::imported::directory(&[("a.nc", &writer(Int(vec![1]))), ("b.nc", &writer(Float(vec![1.0])))]);
    let report = atlas_import::import_files(&store, &files, &Default::default(), &|_| {}).unwrap();
    assert_eq!(report.datasets, ["a", "b"]);
    let skipped = &report.skipped_variables[0];
    assert_eq!((skipped.path.clone(), skipped.variable.as_str()), (files[1].path.clone(), "v"));
    assert!(skipped.reason.contains("int32") && skipped.reason.contains("float32"), "{}", skipped.reason);
}
