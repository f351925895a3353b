//! Real data, where there is some: a `shared/data` directory beside the repository, or `ATLAS_TEST_DATA`.

use atlas_import::{ImportOptions, find_files, import_files, inspect_file};
use atlas_store::{CreateOptions, DType, Scalar, Snapshot, Store};
use std::path::{Path, PathBuf};

fn data(directory: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ATLAS_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = root.join(directory);
    if !path.is_dir() {
        eprintln!("skipped: no test data at {} (set ATLAS_TEST_DATA)", path.display());
        return None;
    }
    Some(path)
}

fn imported(path: &Path) -> (tempfile::TempDir, Snapshot) {
    let files = find_files(&[path.to_str().unwrap().to_string()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(directory.path().join("store").to_str().unwrap(), CreateOptions::default()).unwrap();
    let report = import_files(&store, &files, &ImportOptions::default(), &|_| {}).unwrap();
    assert_eq!((report.datasets.len(), report.skipped_variables, report.notes), (files.len(), vec![], vec![]));
    store.flush().unwrap();
    (directory, store.snapshot())
}

#[test]
fn argo_profiles_become_datasets() {
    let Some(path) = data("argo") else { return };
    let (_directory, fleet) = imported(&path);
    assert_eq!(fleet.dataset_count(), 191);
    let temperature = fleet.family("TEMP").unwrap();
    assert_eq!((temperature.dtype(), temperature.len()), (DType::Float32, 191));
    for (_, entry) in temperature.entries() {
        let schema = fleet.schema(entry);
        assert_eq!(schema.dims, ["N_PROF", "N_LEVELS"]);
        assert_eq!(schema.fill_value, Some(Scalar::Float32(f32::NAN)));
        let statistics = entry.statistics().unwrap();
        assert_eq!(statistics.row_count, schema.cell_count());
        assert!(statistics.max.as_ref().is_none_or(|max| max.as_f64().unwrap() < 40.0));
    }
    let (entry, schema) = fleet.array("R13857_001", "TEMP_QC").unwrap();
    assert_eq!((schema.dtype, schema.dims.len()), (DType::String, 2));
    assert_eq!(entry.statistics().unwrap().row_count, schema.cell_count());
    assert_eq!(fleet.array("R13857_001", "PLATFORM_NUMBER").unwrap().1.dims, ["N_PROF"]);
    let time = fleet.read("R13857_001", "JULD", None).unwrap();
    assert_eq!(time.scalar(0).unwrap().to_string(), "1997-07-29T20:03:00.002150144Z");
}

#[test]
fn gridded_fields_are_unpacked_and_chunked() {
    let Some(path) = data("gridded") else { return };
    let (_directory, fields) = imported(&path);
    let (entry, schema) = fields.array("basin_mask", "basin").unwrap();
    assert_eq!((schema.dtype, schema.chunk_shape.clone()), (DType::Int8, vec![33, 180, 360]));
    assert_eq!(entry.statistics().unwrap().null_count, 983_204);
    let (_, schema) = fields.array("eraint_uvz", "z").unwrap();
    assert_eq!((schema.dtype, schema.chunk_shape.clone()), (DType::Float64, vec![1, 2, 241, 480]));
    let row = fields.dataset_row("eraint_uvz").unwrap();
    let coordinates = r#"["longitude", "latitude", "level", "month"]"#;
    assert_eq!(fields.attribute(row, "_pyatlas_coords"), Some(coordinates.into()));
}

#[test]
fn inspection_of_real_files_finds_nothing_to_refuse() {
    for directory in ["argo", "gridded"] {
        let Some(path) = data(directory) else { return };
        for file in find_files(&[path.to_str().unwrap().to_string()]).unwrap() {
            let summary = inspect_file(&file.path, &ImportOptions::default()).unwrap();
            assert!(summary.skipped_variables.is_empty() && !summary.variables.is_empty());
        }
    }
}
