//! `_FillValue`, `missing_value`, `scale_factor`, `add_offset`, `_Unsigned`.

use crate::writer::Values::{Byte, Double, Float, Int, Short};
use crate::writer::{Values, Writer};
use atlas_store::{DType, Scalar};

fn one(values: Values, attributes: &[(&str, Values)]) -> crate::imported::Imported {
    Writer::new(1).dim("x", 4).variable("v", &["x"], values, attributes).import()
}

fn same(actual: &[f32], expected: &[f32]) {
    let bits = |cells: &[f32]| cells.iter().map(|cell| cell.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(actual), bits(expected), "{actual:?} {expected:?}");
}

#[test]
fn integers_stay_integers_and_their_fill_value_is_null() {
    let file = one(Short(vec![1, -9, 3, -9]), &[("_FillValue", Short(vec![-9]))]);
    assert_eq!(file.numbers::<i16>("v"), [1, -9, 3, -9]);
    assert_eq!(file.fill("v"), Some(Scalar::Int(-9)));
    assert_eq!(file.statistics("v").null_count, 2);
    assert_eq!(file.attribute("v._FillValue"), None);
}

#[test]
fn missing_value_is_the_fill_value_where_there_is_no_other() {
    // The attribute may be of another type than the cells.
    let file = one(Short(vec![1, -9, 3, 4]), &[("missing_value", Double(vec![-9.0]))]);
    assert_eq!(file.fill("v"), Some(Scalar::Int(-9)));
    assert_eq!(file.statistics("v").null_count, 1);
}

#[test]
fn integers_equal_to_either_of_two_fill_values_are_null() {
    let attributes = [("missing_value", Short(vec![7, 8])), ("_FillValue", Short(vec![-9]))];
    let file = one(Short(vec![7, -9, 8, 4]), &attributes);
    assert_eq!(file.numbers::<i16>("v"), [-9, -9, -9, 4]);
    assert_eq!(file.statistics("v").null_count, 3);
    assert_eq!(file.attribute("_pyatlas_encoding"), Some(r#"{"v": {"missing_value": [7, 8]}}"#.into()));
}

#[test]
fn fill_values_that_no_cell_can_have_are_ignored() {
    for fill in [Double(vec![f64::NAN]), Double(vec![1e20]), Double(vec![0.5]), "none".into()] {
        let file = one(Short(vec![1, 0, 3, 4]), &[("missing_value", fill)]);
        assert_eq!(file.numbers::<i16>("v"), [1, 0, 3, 4]);
        assert_eq!(file.fill("v"), None);
    }
}

#[test]
fn a_fill_value_that_is_text_is_noted() {
    let file = one(Float(vec![1.0, -999.0, 3.0, 4.0]), &[("missing_value", "-999".into())]);
    assert_eq!(file.numbers::<f32>("v")[1], -999.0);
    assert_eq!(file.remarks(), ["v: missing_value is a text, which no cell can be equal to"]);
    assert_eq!(file.attribute("_pyatlas_encoding"), Some(r#"{"v": {"missing_value": "-999"}}"#.into()));
}

#[test]
fn masked_floats_are_nan_and_null() {
    let attributes = [("_FillValue", Float(vec![99999.0])), ("missing_value", Float(vec![-1.0]))];
    // A NaN with another payload than the fill value's is missing as well.
    let file = one(Float(vec![99999.0, -1.0, f32::from_bits(0xffc0_0001), 2.5]), &attributes);
    same(&file.numbers::<f32>("v"), &[f32::NAN, f32::NAN, f32::NAN, 2.5]);
    assert_eq!(file.fill("v"), Some(Scalar::Float32(f32::NAN)));
    let statistics = file.statistics("v");
    assert_eq!((statistics.null_count, statistics.max), (3, Some(Scalar::Float32(2.5))));
}

#[test]
fn a_fill_value_is_compared_in_the_precision_of_the_cells() {
    let file = one(Float(vec![-999.9, 1.0, 2.0, 3.0]), &[("missing_value", Double(vec![-999.9]))]);
    assert_eq!(file.statistics("v").null_count, 1);
}

#[test]
fn scaled_integers_are_floats_of_the_precision_of_their_factors() {
    let cells = || Short(vec![100, -9, -100, 0]);
    let fill = ("_FillValue", Short(vec![-9]));

    let (scale, offset) = (("scale_factor", Float(vec![0.01])), ("add_offset", Float(vec![273.15])));
    let file = one(cells(), &[fill.clone(), scale.clone(), offset.clone()]);
    same(&file.numbers::<f32>("v"), &[100.0 * 0.01 + 273.15, f32::NAN, -100.0 * 0.01 + 273.15, 273.15]);
    assert_eq!(file.statistics("v").null_count, 1);
    assert_eq!(file.attribute("v.scale_factor"), None);

    let file = one(cells(), &[fill.clone(), ("scale_factor", Double(vec![0.01])), ("add_offset", Double(vec![1.0]))]);
    assert_eq!(file.numbers::<f64>("v")[0], 100.0 * 0.01 + 1.0);

    // Precisions that differ, or an offset alone, make doubles; so do 4-byte integers.
    for attributes in [vec![scale.clone(), ("add_offset", Double(vec![1.0]))], vec![offset.clone()]] {
        assert_eq!(one(cells(), &attributes).schema("v").dtype, DType::Float64);
    }
    let file = one(Int(vec![1, 2, 3, 4]), &[scale.clone(), offset]);
    assert_eq!(file.schema("v").dtype, DType::Float64);
    assert_eq!(one(cells(), &[scale]).schema("v").dtype, DType::Float32);
}

#[test]
fn what_decoding_consumed_is_kept_apart() {
    let file = one(
        Short(vec![1, 2, 3, 4]),
        &[("_FillValue", Short(vec![-9])), ("scale_factor", Float(vec![0.5])), ("units", "K".into())],
    );
    let kept = r#"{"v": {"dtype": "int16", "_FillValue": -9, "scale_factor": 0.5}}"#;
    assert_eq!(file.attribute("_pyatlas_encoding"), Some(kept.into()));
    assert_eq!(file.attribute("v.units"), Some("K".into()));
}

#[test]
fn a_factor_that_is_no_number_is_not_applied_and_noted() {
    let file = one(Short(vec![1, 2, 3, 4]), &[("scale_factor", "0.1".into())]);
    assert_eq!(file.numbers::<i16>("v"), [1, 2, 3, 4]);
    assert_eq!(file.attribute("v.scale_factor"), Some("0.1".into()));
    assert_eq!(file.remarks(), ["v: scale_factor is a text, not one number, and is not applied"]);
    let file = one(Short(vec![1, 2, 3, 4]), &[("add_offset", Double(vec![1.0, 2.0]))]);
    assert_eq!(file.remarks(), ["v: add_offset is a list of 2 numbers, not one number, and is not applied"]);
}

#[test]
fn unsigned_reads_bytes_from_0_to_255() {
    let attributes = [("_Unsigned", "true".into()), ("_FillValue", Byte(vec![-1]))];
    let file = one(Byte(vec![-1, -128, 127, 0]), &attributes);
    assert_eq!(file.numbers::<u8>("v"), [255, 128, 127, 0]);
    assert_eq!(file.fill("v"), Some(Scalar::UInt(255)));

    let scaled = [attributes[0].clone(), attributes[1].clone(), ("scale_factor", Float(vec![0.5]))];
    same(&one(Byte(vec![-1, -128, 127, 0]), &scaled).numbers::<f32>("v"), &[f32::NAN, 64.0, 63.5, 0.0]);
}

#[test]
fn unsigned_false_reads_signed_numbers() {
    let file = Writer::new(5)
        .dim("x", 2)
        .variable("v", &["x"], Values::UShort(vec![65_535, 1]), &[("_Unsigned", "false".into())])
        .import();
    assert_eq!(file.numbers::<i16>("v"), [-1, 1]);
}

#[test]
fn integers_marked_as_bool_are_bools() {
    let file = one(Byte(vec![0, 1, 0, 1]), &[("dtype", "bool".into())]);
    assert_eq!(file.schema("v").dtype, DType::Bool);
    assert_eq!(file.numbers::<u8>("v"), [0, 1, 0, 1]);
    assert_eq!(file.attribute("v.dtype"), None);
}

#[test]
fn raw_keeps_cells_and_attributes_as_stored() {
    let writer = Writer::new(2).dim("x", 2).variable(
        "v",
        &["x"],
        Short(vec![5, -9]),
        &[
            ("_FillValue", Short(vec![-9])),
            ("scale_factor", Double(vec![0.1])),
            ("units", "days since 2000-01-01".into()),
        ],
    );
    let file = writer.import_raw();
    assert_eq!(file.numbers::<i16>("v"), [5, -9]);
    assert_eq!(file.fill("v"), Some(Scalar::Int(-9)));
    assert_eq!(file.attribute("v._FillValue"), Some((-9i64).into()));
    assert_eq!(file.attribute("v.scale_factor"), Some(0.1.into()));
    assert_eq!(file.attribute("v.units"), Some("days since 2000-01-01".into()));
    assert_eq!(file.attribute("_pyatlas_encoding"), None);
}

#[test]
fn every_version_of_the_classic_format_reads_alike() {
    for version in [1, 2, 5] {
        let file = Writer::new(version)
            .record_dim("t", 3)
            .dim("x", 2)
            .variable("fixed", &["x"], Double(vec![0.5, 1.5]), &[])
            .variable("byte", &["t"], Byte(vec![1, 2, 3]), &[])
            .variable("record", &["t", "x"], Int(vec![1, 2, 3, 4, 5, 6]), &[])
            .variable("scalar", &[], Int(vec![7]), &[])
            .import();
        assert_eq!(file.numbers::<f64>("fixed"), [0.5, 1.5]);
        assert_eq!(file.numbers::<i8>("byte"), [1, 2, 3]);
        assert_eq!(file.numbers::<i32>("record"), [1, 2, 3, 4, 5, 6]);
        assert_eq!(file.schema("record").shape, [3, 2]);
        assert_eq!(file.numbers::<i32>("scalar"), [7]);
        assert_eq!(file.schema("scalar").shape, [0u64; 0]);
        assert_eq!((file.report.arrays, file.report.cells, file.report.bytes), (4, 12, 16 + 3 + 24 + 4));
    }
}

#[test]
fn a_lone_record_variable_is_not_padded() {
    let file = Writer::new(1).record_dim("t", 3).variable("v", &["t"], Byte(vec![1, 2, 3]), &[]).import();
    assert_eq!(file.numbers::<i8>("v"), [1, 2, 3]);
}

#[test]
fn arrays_without_cells_are_arrays() {
    let file = Writer::new(1)
        .record_dim("t", 0)
        .dim("x", 2)
        .variable("v", &["t", "x"], Float(vec![]), &[])
        .variable("time", &["t"], Double(vec![]), &[("units", "days since 2000-01-01".into())])
        .variable("text", &["t", "x"], "".into(), &[])
        .import();
    assert_eq!(file.schema("v").shape, [0, 2]);
    assert_eq!(file.schema("time").dtype, DType::TimestampNanoseconds);
    assert_eq!(file.schema("text").shape, [0, 2]);
    assert_eq!(file.data("v").shape(), [0, 2]);
}
