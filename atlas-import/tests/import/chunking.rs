//! Chunk shapes, and arrays that are read in several boxes.

use crate::imported::import;
use crate::writer::Values::{Double, Int};
use crate::writer::Writer;
use atlas_import::ImportOptions;

#[test]
fn the_user_decides_about_chunks() {
    let writer = Writer::new(1).dim("x", 5).dim("y", 4).variable("v", &["x", "y"], Int((0..20).collect()), &[]);
    let options = |chunks: &[u64]| ImportOptions { chunks: vec![("v".into(), chunks.to_vec())], ..Default::default() };
    let file = import(&writer.bytes(), &options(&[2, 100]));
    assert_eq!(file.schema("v").chunk_shape, [2, 4]);
    assert_eq!(file.numbers::<i32>("v"), (0..20).collect::<Vec<_>>());

    let (_directory, files, store) = crate::imported::directory(&[("d.nc", &writer.bytes())]);
    let error = atlas_import::import_files(&store, &files, &options(&[2]), &|_| {}).unwrap_err().to_string();
    assert!(error.contains("d.nc: variable v: chunks [2] have rank 1"), "{error}");
}

#[test]
fn chunks_for_a_variable_that_is_not_there_are_noted() {
    let writer = Writer::new(1).dim("x", 2).variable("v", &["x"], Int(vec![1, 2]), &[]);
    let options = ImportOptions { chunks: vec![("w".into(), vec![1])], ..Default::default() };
    let file = import(&writer.bytes(), &options);
    assert_eq!(file.remarks(), ["w: chunks are given for it, and the file has no such variable"]);
}

#[test]
fn a_large_array_is_cut_and_read_in_boxes() {
    // Larger than what is decoded ahead, so that it is read as it is written.
    let (rows, columns) = (700u32, 16_000u32);
    let cells = (0..rows * columns).map(f64::from).collect::<Vec<_>>();
    let writer = Writer::new(2).record_dim("t", rows.into()).dim("x", columns.into()).variable(
        "v",
        &["t", "x"],
        Double(cells.clone()),
        &[],
    );
    let file = writer.import();
    assert_eq!(file.schema("v").chunk_shape, [16, 16_000]);
    assert!(file.numbers::<f64>("v") == cells);
    assert_eq!(file.report.bytes, u64::from(rows * columns) * 8);
}
