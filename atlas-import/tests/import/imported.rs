//! A store into which files were imported.

use crate::writer::Writer;
use atlas_import::{FoundFile, ImportOptions, ImportReport, import_files};
use atlas_store::{
    ArrayData, ArraySchema, Attribute, Cells, CreateOptions, Element, Scalar, Snapshot, Statistics, Store,
};
use std::path::PathBuf;
use tempfile::TempDir;

/// A directory with files and a store.
pub(crate) struct Imported {
    pub(crate) report: ImportReport,
    snapshot: Snapshot,
    _directory: TempDir,
}

/// A directory with these files, and an empty store beside them.
pub(crate) fn directory(files: &[(&str, &[u8])]) -> (TempDir, Vec<FoundFile>, Store) {
    let directory = tempfile::tempdir().unwrap();
    let found = files
        .iter()
        .map(|(name, bytes)| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let dataset = PathBuf::from(name).file_stem().unwrap().to_str().unwrap().to_string();
            FoundFile { path, dataset }
        })
        .collect();
    let store = Store::create(directory.path().join("store").to_str().unwrap(), CreateOptions::default()).unwrap();
    (directory, found, store)
}

/// Imports one file of these bytes as dataset `d`.
pub(crate) fn import(bytes: &[u8], options: &ImportOptions) -> Imported {
    let (directory, files, store) = directory(&[("d.nc", bytes)]);
    let report = import_files(&store, &files, options, &|_| {}).unwrap();
    store.flush().unwrap();
    Imported { snapshot: store.snapshot(), report, _directory: directory }
}

impl Writer {
    /// Imports the file with the default options.
    pub(crate) fn import(&self) -> Imported {
        import(&self.bytes(), &ImportOptions::default())
    }

    /// Imports the file with values as stored.
    pub(crate) fn import_raw(&self) -> Imported {
        import(&self.bytes(), &ImportOptions { raw: true, ..ImportOptions::default() })
    }
}

impl Imported {
    pub(crate) fn arrays(&self) -> Vec<&str> {
        self.snapshot.families().map(|family| family.name()).collect()
    }

    pub(crate) fn data(&self, array: &str) -> ArrayData {
        self.snapshot.read("d", array, None).unwrap()
    }

    /// The cells as numbers of this type, which must be the array's.
    pub(crate) fn numbers<T: Element>(&self, array: &str) -> Vec<T> {
        self.data(array).as_numbers::<T>().unwrap().to_vec()
    }

    /// The timestamps, in seconds.
    pub(crate) fn seconds(&self, array: &str) -> Vec<Option<i64>> {
        self.numbers::<i64>(array)
            .into_iter()
            .map(|nanoseconds| (nanoseconds != i64::MIN).then_some(nanoseconds / 1_000_000_000))
            .collect()
    }

    pub(crate) fn strings(&self, array: &str) -> Vec<String> {
        match self.data(array).cells() {
            Cells::Var(cells) => cells.iter().map(|cell| String::from_utf8(cell.to_vec()).unwrap()).collect(),
            other => panic!("not strings: {other:?}"),
        }
    }

    pub(crate) fn schema(&self, array: &str) -> ArraySchema {
        self.snapshot.array("d", array).unwrap().1.clone()
    }

    pub(crate) fn fill(&self, array: &str) -> Option<Scalar> {
        self.schema(array).fill_value
    }

    pub(crate) fn statistics(&self, array: &str) -> Statistics {
        self.snapshot.array("d", array).unwrap().0.statistics().unwrap()
    }

    pub(crate) fn attribute(&self, key: &str) -> Option<Attribute> {
        self.snapshot.attribute(0, key)
    }

    /// What was noted or skipped, as `variable: reason`.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let skipped = self.report.skipped_variables.iter().map(|it| format!("{}: {}", it.variable, it.reason));
        skipped.chain(self.report.notes.iter().map(|it| format!("{}: {}", it.variable, it.reason))).collect()
    }
}
