//! From paths, directories and patterns to files and dataset names.

use crate::error::{ImportError, one_line};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// A file to import, and the dataset it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// The file.
    pub path: PathBuf,
    /// The dataset's name: the file's stem.
    pub dataset: String,
}

const EXTENSIONS: [&str; 4] = ["nc", "nc4", "cdf", "netcdf"];

/// The files behind `paths`, in their order.
///
/// A file stands for itself, whatever its name. A directory stands for the files below it that are named `*.nc`,
/// `*.nc4`, `*.cdf` or `*.netcdf`, sorted by path; names that begin with a dot, and links to directories, are left out.
/// A path that does not exist and holds `*`, `?` or `[` is a pattern. A file found twice counts once.
///
/// # Errors
/// A path or pattern without files, a directory that cannot be read, and two files of the same stem.
pub fn find_files(paths: &[String]) -> Result<Vec<FoundFile>, ImportError> {
    let mut found = Vec::new();
    for path in paths {
        let nothing = |reason: String| ImportError::NothingFound { path: path.clone(), reason };
        let before = found.len();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                collect(Path::new(path), &mut found)?;
                if found.len() == before {
                    return Err(nothing("no netcdf file (*.nc, *.nc4, *.cdf, *.netcdf) in this directory".into()));
                }
            }
            Ok(_) => found.push(PathBuf::from(path)),
            Err(_) if path.contains(['*', '?', '[']) => {
                // As in a shell: `*` does not stand for hidden files.
                let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
                let matches = glob::glob_with(path, options)
                    .map_err(|error| nothing(format!("bad pattern: {}", one_line(error.msg))))?;
                for entry in matches {
                    let entry = entry.map_err(|error| nothing(one_line(error)))?;
                    if entry.is_dir() {
                        collect(&entry, &mut found)?;
                    } else {
                        found.push(entry);
                    }
                }
                if found.len() == before {
                    return Err(nothing("no file matches".into()));
                }
            }
            Err(error) => return Err(nothing(one_line(error))),
        }
    }
    name(found)
}

/// Adds the NetCDF files below `directory`, sorted by path.
fn collect(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), ImportError> {
    let failed = |error: std::io::Error| ImportError::File { path: directory.into(), reason: one_line(error) };
    let mut entries = fs::read_dir(directory)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed)?
        .into_iter()
        .map(|entry| entry.path())
        .collect::<Vec<_>>();
    entries.sort();
    for entry in entries {
        if entry.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with('.')) {
            continue;
        }
        if entry.is_dir() {
            // A link could lead back to a directory above.
            if !entry.is_symlink() {
                collect(&entry, found)?;
            }
        } else if entry.extension().and_then(OsStr::to_str).is_some_and(is_netcdf) {
            found.push(entry);
        }
    }
    Ok(())
}

fn is_netcdf(extension: &str) -> bool {
    EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

/// Names the datasets, and refuses two files of one name.
fn name(paths: Vec<PathBuf>) -> Result<Vec<FoundFile>, ImportError> {
    let mut files = Vec::with_capacity(paths.len());
    let mut seen = HashSet::new();
    let mut names = HashMap::<String, PathBuf>::new();
    for path in paths {
        if !seen.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
            continue;
        }
        let dataset = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(first) = names.insert(dataset.clone(), path.clone()) {
            return Err(ImportError::NameClash { dataset, first, second: path });
        }
        files.push(FoundFile { path, dataset });
    }
    Ok(files)
}
