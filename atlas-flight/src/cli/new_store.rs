//! A store that exists only if the command that makes it succeeds.

use crate::cli::Failure;
use atlas_store::{CreateOptions, Store};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Opens the store at `location`, or creates it where there is none: then the second value undoes that, unless kept.
///
/// # Errors
/// A directory with other things in it is neither: a store in the midst of somebody's files is seldom meant.
pub(crate) fn open_or_create(location: &str) -> Result<(Store, Option<NewStore>), Failure> {
    if Store::exists(location)? {
        return Ok((Store::open(location)?, None));
    }
    let new = NewStore::begin(location)?;
    let store = Store::create(location, CreateOptions::default())?;
    Ok((store, Some(new)))
}

/// Removes a store that was created, and the directories made for it, when dropped before [`NewStore::keep`].
pub(crate) struct NewStore {
    undo: Undo,
}

enum Undo {
    Nothing,
    /// This directory was not there.
    Directory(PathBuf),
    /// This directory was there, with these entries.
    Entries {
        directory: PathBuf,
        before: HashSet<OsString>,
    },
}

impl NewStore {
    /// Notes what is at `location` before a store is made there.
    ///
    /// # Errors
    /// A file, or a directory with anything in it.
    pub(crate) fn begin(location: &str) -> Result<Self, Failure> {
        let path = Path::new(location.strip_prefix("file://").unwrap_or(location));
        if path.to_string_lossy().contains("://") {
            return Ok(NewStore { undo: Undo::Nothing });
        }
        if path.is_file() {
            return Err(Failure::failed(format!("{location}: is a file, not a store")));
        }
        if path.is_dir() {
            let entries = path.read_dir().map_err(|error| Failure::file(path, &error))?;
            let before: HashSet<OsString> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
            if !before.is_empty() {
                return Err(Failure::failed(format!("{location}: is a directory with other files in it, not a store")));
            }
            return Ok(NewStore { undo: Undo::Entries { directory: path.into(), before } });
        }
        let missing = path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).last();
        Ok(NewStore { undo: missing.map_or(Undo::Nothing, |path| Undo::Directory(path.into())) })
    }

    /// The command has succeeded: the store stays.
    pub(crate) fn keep(mut self) {
        self.undo = Undo::Nothing;
    }
}

impl Drop for NewStore {
    /// Errors are passed over: the command has failed already, and says why.
    fn drop(&mut self) {
        match &self.undo {
            Undo::Nothing => {}
            Undo::Directory(directory) => {
                let _ = std::fs::remove_dir_all(directory);
            }
            Undo::Entries { directory, before } => {
                for entry in directory.read_dir().into_iter().flatten().flatten() {
                    if !before.contains(&entry.file_name()) {
                        let path = entry.path();
                        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_leaves_no_directory() {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("a/b/store");
        let new = NewStore::begin(store.to_str().unwrap()).unwrap();
        std::fs::create_dir_all(&store).unwrap();
        std::fs::write(store.join("atlas.json"), "{}").unwrap();
        drop(new);
        assert!(home.path().exists() && !home.path().join("a").exists());
    }

    #[test]
    fn a_failed_command_leaves_an_empty_directory_empty() {
        let home = tempfile::tempdir().unwrap();
        let new = NewStore::begin(home.path().to_str().unwrap()).unwrap();
        std::fs::write(home.path().join("atlas.json"), "{}").unwrap();
        drop(new);
        assert_eq!(home.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn other_peoples_directories_are_not_made_stores() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("thesis.tex"), "").unwrap();
        assert!(NewStore::begin(home.path().to_str().unwrap()).is_err());
        assert!(NewStore::begin(home.path().join("thesis.tex").to_str().unwrap()).is_err());
    }
}
