//! Where a command writes: standard output, or a file that appears whole or not at all.

use crate::cli::Failure;
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Bytes gathered before they are handed to the system.
const BUFFER_BYTES: usize = 64 * 1024;

/// The place that a command's answer goes to. Its errors name it.
pub(crate) struct Output {
    place: Place,
    name: String,
}

enum Place {
    Stdout(BufWriter<Stdout>),
    /// A new file beside `path`, renamed to it at the end: a failed command leaves what was there before.
    Replaced {
        file: BufWriter<NamedTempFile>,
        path: PathBuf,
    },
    /// A device or pipe, which cannot be replaced.
    Device(BufWriter<File>),
}

impl Output {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        let place = Place::Stdout(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()));
        Output { place, name: "standard output".to_owned() }
    }

    /// The file at `path`, replaced when [`Output::finish`] is called.
    pub(crate) fn file(path: &Path) -> Result<Self, Failure> {
        let failure = |error: io::Error| Failure::file(path, &error);
        let place = match path.metadata() {
            Ok(there) if there.is_dir() => return Err(Failure::failed(format!("{}: is a directory", path.display()))),
            Ok(there) if !there.is_file() => {
                let file = File::options().write(true).open(path).map_err(failure)?;
                Place::Device(BufWriter::with_capacity(BUFFER_BYTES, file))
            }
            _ => {
                let directory = match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
                let mut builder = tempfile::Builder::new();
                let file = readable_by_others(&mut builder).tempfile_in(directory).map_err(|error| {
                    // tempfile's message names the temporary file; the reason is what helps.
                    Failure::failed(format!("{}: {}", path.display(), error.kind()))
                })?;
                Place::Replaced { file: BufWriter::with_capacity(BUFFER_BYTES, file), path: path.into() }
            }
        };
        Ok(Output { place, name: path.display().to_string() })
    }

    /// Standard output, or the file if there is a path.
    pub(crate) fn to(path: Option<&Path>) -> Result<Self, Failure> {
        path.map_or_else(|| Ok(Self::stdout()), Self::file)
    }

    /// Whether a person looks at this directly.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(&self.place, Place::Stdout(_)) && io::stdout().is_terminal()
    }

    /// Whether what is written can only be read front to back.
    pub(crate) fn is_stream(&self) -> bool {
        !matches!(&self.place, Place::Replaced { .. })
    }

    /// Hands everything over; a file appears under its name now.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.flush()?;
        if let Place::Replaced { file, path } = self.place {
            let file = file.into_inner().map_err(|error| Failure::file(&path, error.error()))?;
            file.persist(&path).map_err(|error| Failure::file(&path, &error.error))?;
        }
        Ok(())
    }
}

/// Temporary files are private; a result has the permissions that any new file would have.
fn readable_by_others<'a, 'b>(
    builder: &'a mut tempfile::Builder<'b, 'static>,
) -> &'a mut tempfile::Builder<'b, 'static> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(Permissions::from_mode(0o666));
    }
    builder
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.place {
            Place::Stdout(out) => out.write(bytes),
            Place::Replaced { file, .. } => file.write(bytes),
            Place::Device(out) => out.write(bytes),
        };
        written.map_err(|error| named(&self.name, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match &mut self.place {
            Place::Stdout(out) => out.flush(),
            Place::Replaced { file, .. } => file.flush(),
            Place::Device(out) => out.flush(),
        };
        flushed.map_err(|error| named(&self.name, &error))
    }
}

/// The same kind of error, which says where it happened.
fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_leaves_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("answer.csv");
        std::fs::write(&path, "old").unwrap();
        let mut output = Output::file(&path).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");

        let mut output = Output::file(&path).unwrap();
        output.write_all(b"new").unwrap();
        output.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_device_is_written_in_place() {
        let mut output = Output::file(Path::new("/dev/null")).unwrap();
        output.write_all(b"gone").unwrap();
        output.finish().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
