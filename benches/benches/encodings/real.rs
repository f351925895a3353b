//! Argo profiles and gridded fields, imported as by `atlas import`.

use crate::Case;
use atlas_import::{ImportOptions, find_files, import_files};
use atlas_store::{Cells, CreateOptions, Element, MemoryStorage, Region, Snapshot, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn data(directory: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ATLAS_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = root.join(directory);
    if !path.is_dir() {
        println!("skipped: no test data at {} (set ATLAS_TEST_DATA)", path.display());
        return None;
    }
    Some(path)
}

fn imported(path: &Path, raw: bool) -> Snapshot {
    let files = find_files(&[path.to_str().unwrap().to_string()]).unwrap();
    let store = Store::create_on(Arc::new(MemoryStorage::new()), CreateOptions::default()).unwrap();
    import_files(&store, &files, &ImportOptions { raw, ..ImportOptions::default() }, &|_| {}).unwrap();
    store.flush().unwrap();
    store.snapshot()
}

/// The cells of every chunk of every dataset's array, with the length of the chunk's rows.
fn chunks<T: Element>(fleet: &Snapshot, array: &str) -> Vec<(Vec<T>, usize)> {
    let mut found = Vec::new();
    for (row, entry) in fleet.family(array).unwrap().entries() {
        let schema = fleet.schema(entry);
        let mut corners = vec![Vec::new()];
        for (extent, step) in schema.shape.iter().zip(&schema.chunk_shape) {
            let starts = (0..*extent).step_by(usize::try_from(*step).unwrap());
            corners = corners
                .iter()
                .flat_map(|corner: &Vec<u64>| starts.clone().map(|start| [&corner[..], &[start]].concat()))
                .collect();
        }
        for start in corners {
            let sizes = start.iter().zip(schema.shape.iter().zip(&schema.chunk_shape));
            let shape: Vec<u64> = sizes.map(|(start, (extent, step))| (*step).min(extent - start)).collect();
            let row_cells = shape.iter().skip(1).product::<u64>();
            let region = Region::try_new(start, shape).unwrap();
            let data = fleet.read(fleet.dataset_name(row), array, Some(&region)).unwrap();
            found.push((data.as_numbers::<T>().unwrap().to_vec(), usize::try_from(row_cells).unwrap()));
        }
    }
    found
}

fn texts(fleet: &Snapshot, array: &str) -> Case {
    let read = |row: u32| match fleet.read(fleet.dataset_name(row), array, None).unwrap().into_cells() {
        Cells::Var(cells) => cells.iter().map(<[u8]>::to_vec).collect(),
        _ => Vec::new(),
    };
    let cells = fleet.family(array).unwrap().entries().flat_map(|(row, _)| read(row)).collect();
    Case::texts(&format!("argo {array}, strings"), cells)
}

fn argo(path: &Path) -> Vec<Case> {
    let fleet = imported(path, false);
    let mut cases = Vec::new();
    for array in ["TEMP", "PRES", "TEMP_ADJUSTED"] {
        let profiles = chunks::<f32>(&fleet, array);
        cases.push(Case::numbers(&format!("argo {array} f4, packed"), &profiles, true));
        cases.push(Case::numbers(&format!("argo {array} f4, a block a profile"), &profiles, false));
    }
    cases.push(Case::numbers("argo JULD i8 (ns)", &chunks::<i64>(&fleet, "JULD"), true));
    cases.push(Case::numbers("argo JULD f8 (days)", &chunks::<f64>(&imported(path, true), "JULD"), true));
    cases.push(Case::numbers("argo LATITUDE f8", &chunks::<f64>(&fleet, "LATITUDE"), true));
    cases.push(Case::numbers("argo CYCLE_NUMBER i4", &chunks::<i32>(&fleet, "CYCLE_NUMBER"), true));
    for array in ["TEMP_QC", "PLATFORM_NUMBER", "DATE_CREATION", "SCIENTIFIC_CALIB_COMMENT"] {
        cases.push(texts(&fleet, array));
    }
    cases
}

fn gridded(path: &Path) -> Vec<Case> {
    let (packed, unpacked) = (imported(path, true), imported(path, false));
    let mut cases = Vec::new();
    for array in ["u", "v", "z"] {
        cases.push(Case::numbers(&format!("era {array} i2"), &chunks::<i16>(&packed, array), true));
        let doubles = chunks::<f64>(&unpacked, array);
        #[allow(clippy::cast_possible_truncation, reason = "single precision is what many stores of such fields hold")]
        let floats: Vec<(Vec<f32>, usize)> =
            doubles.iter().map(|(cells, row)| (cells.iter().map(|cell| *cell as f32).collect(), *row)).collect();
        cases.push(Case::numbers(&format!("era {array} f4"), &floats, true));
        cases.push(Case::numbers(&format!("era {array} f8"), &doubles, true));
    }
    let basins = chunks::<i8>(&packed, "basin");
    let is_atlantic = basins.iter().flat_map(|(cells, _)| cells).map(|basin| u8::from(*basin == 1)).collect();
    cases.push(Case::numbers("ocean basins i1", &basins, true));
    cases.push(Case::bools("ocean mask, bool", is_atlantic));
    cases
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = data("argo").map(|path| argo(&path)).unwrap_or_default();
    cases.extend(data("gridded").map(|path| gridded(&path)).unwrap_or_default());
    cases
}
