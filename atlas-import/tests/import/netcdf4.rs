//! A NetCDF-4 file; see `data/make.py` for what is in it.

use crate::imported::{Imported, import};
use atlas_import::{ImportOptions, inspect_file};
use atlas_store::DType;

pub(crate) const FILE: &[u8] = include_bytes!("data/netcdf4.nc");

fn imported() -> Imported {
    import(FILE, &ImportOptions::default())
}

#[test]
fn chunks_of_the_file_are_chunks_of_the_array() {
    let file = imported();
    assert_eq!(file.schema("packed").chunk_shape, [2, 4]);
    assert_eq!(file.schema("packed").dims, ["time", "x"]);
    let mut expected = (0..30).map(|cell| (cell - 1) as f32 * 0.5).collect::<Vec<_>>();
    expected[0] = f32::NAN;
    let bits = |cells: &[f32]| cells.iter().map(|cell| cell.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&file.numbers::<f32>("packed")), bits(&expected));
}

#[test]
fn records_that_were_never_written_are_null() {
    let file = imported();
    assert_eq!(file.schema("short").shape, [5]);
    assert_eq!(file.statistics("short").null_count, 3);
    assert_eq!(file.numbers::<f32>("short")[..2], [1.0, 2.0]);
}

#[test]
fn strings_of_any_length_are_strings() {
    let file = imported();
    assert_eq!(file.strings("label"), ["a", "", "é", "long enough to be anywhere", "d", "e"]);
    assert_eq!(file.schema("label").chunk_shape, [4]);
    let raw = import(FILE, &ImportOptions { raw: true, ..Default::default() });
    assert_eq!(raw.strings("label"), file.strings("label"));
}

#[test]
fn enumerations_are_numbers_with_flags() {
    let file = imported();
    assert_eq!(file.numbers::<u8>("sky"), [0, 3, 0, 3, 3, 0]);
    assert_eq!(file.attribute("sky.flag_values"), Some("json:[0, 3]".into()));
    assert_eq!(file.attribute("sky.flag_meanings"), Some("clear cloudy".into()));
}

#[test]
fn a_variable_named_like_a_dimension_it_does_not_have_keeps_its_name() {
    let file = imported();
    assert_eq!(file.numbers::<f64>("x"), [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(file.attribute("_pyatlas_coords"), Some(r#"["time", "label"]"#.into()));
}

#[test]
fn times_and_attributes_are_as_in_classic_files() {
    let file = imported();
    assert_eq!(file.schema("time").dtype, DType::TimestampNanoseconds);
    assert_eq!(file.seconds("time")[1], Some(946_688_400));
    assert_eq!(file.attribute("title"), Some("kinds of variables".into()));
    assert_eq!(file.attribute("levels"), Some("json:[1, 2, 3]".into()));
}

#[test]
fn what_cannot_be_stored_is_reported() {
    let file = imported();
    let mut skipped = file.report.skipped_variables.iter().map(|skipped| skipped.variable.as_str()).collect::<Vec<_>>();
    skipped.sort_unstable();
    assert_eq!(skipped, ["_hidden", "lists", "more/inside", "pairs"], "{:?}", file.remarks());
    assert!(file.remarks().iter().any(|remark| remark == "pairs: a compound type cannot be stored"));
}

#[test]
fn inspection_tells_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.nc");
    std::fs::write(&path, FILE).unwrap();
    let summary = inspect_file(&path, &ImportOptions::default()).unwrap();
    let file = imported();
    for variable in &summary.variables {
        assert_eq!(variable.schema, file.schema(&variable.name));
    }
    assert_eq!(summary.variables.len() as u64, file.report.arrays);
    assert_eq!(summary.skipped_variables.len(), file.report.skipped_variables.len());
}
