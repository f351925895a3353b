//! The one error type of the store, and what a caller can do about each kind.

use std::fmt;

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, with the names and numbers that identify it.
///
/// Every message is one lowercase line.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A store, dataset, array or attribute that does not exist.
    NotFound {
        /// The kind of thing, for example `dataset`.
        what: &'static str,
        /// Its name, and where it was looked for.
        name: String,
    },
    /// A store, dataset or array that exists already.
    AlreadyExists {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// An argument that cannot be right whatever the store holds.
    InvalidArgument {
        /// The argument, what was expected and what was given.
        message: String,
    },
    /// Cells of one dtype where another is stored.
    DtypeMismatch {
        /// The array.
        array: String,
        /// The stored dtype.
        expected: String,
        /// The dtype that was given.
        actual: String,
    },
    /// A region that does not lie within its array.
    OutOfBounds {
        /// The dataset and array.
        array: String,
        /// The numbers: start, shape and extent.
        message: String,
    },
    /// Another writer holds the store, or has committed since this one read it.
    Conflict {
        /// Who or what is in the way.
        message: String,
    },
    /// Stored bytes that are not what was written.
    Corrupt {
        /// The object (file) that is damaged.
        object: String,
        /// The byte offset in it of the damaged part.
        offset: u64,
        /// What does not hold.
        message: String,
    },
    /// A store that this version cannot read.
    UnsupportedVersion {
        /// Which store, which version, and which this build reads.
        message: String,
    },
    /// A request that is larger than a limit allows.
    LimitExceeded {
        /// The limit and the size asked for.
        message: String,
    },
    /// A read that its caller ended.
    Cancelled,
    /// The storage failed: an I/O error with the object that it concerns.
    Storage {
        /// The object (file).
        object: String,
        /// What the storage said.
        message: String,
    },
}

/// What a caller can do about an [`Error`]; matched without a wildcard by servers and bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// See [`Error::NotFound`].
    NotFound,
    /// See [`Error::AlreadyExists`].
    AlreadyExists,
    /// See [`Error::InvalidArgument`].
    InvalidArgument,
    /// See [`Error::DtypeMismatch`].
    DtypeMismatch,
    /// See [`Error::OutOfBounds`].
    OutOfBounds,
    /// See [`Error::Conflict`].
    Conflict,
    /// See [`Error::Corrupt`].
    Corrupt,
    /// See [`Error::UnsupportedVersion`].
    UnsupportedVersion,
    /// See [`Error::LimitExceeded`].
    LimitExceeded,
    /// See [`Error::Cancelled`].
    Cancelled,
    /// See [`Error::Storage`].
    Storage,
}

impl Error {
    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Error::InvalidArgument { .. } => ErrorKind::InvalidArgument,
            Error::DtypeMismatch { .. } => ErrorKind::DtypeMismatch,
            Error::OutOfBounds { .. } => ErrorKind::OutOfBounds,
            Error::Conflict { .. } => ErrorKind::Conflict,
            Error::Corrupt { .. } => ErrorKind::Corrupt,
            Error::UnsupportedVersion { .. } => ErrorKind::UnsupportedVersion,
            Error::LimitExceeded { .. } => ErrorKind::LimitExceeded,
            Error::Cancelled => ErrorKind::Cancelled,
            Error::Storage { .. } => ErrorKind::Storage,
        }
    }

    /// An [`Error::InvalidArgument`] with this message.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::InvalidArgument { message: message.into() }
    }

    /// An [`Error::NotFound`] for a thing of this kind and name.
    pub fn not_found(what: &'static str, name: impl Into<String>) -> Self {
        Error::NotFound { what, name: name.into() }
    }

    pub(crate) fn corrupt(object: &str, offset: u64, message: impl Into<String>) -> Self {
        Error::Corrupt { object: object.into(), offset, message: message.into() }
    }

    pub(crate) fn storage(object: &str, error: impl fmt::Display) -> Self {
        Error::Storage { object: object.into(), message: error.to_string() }
    }
}

/// Passes text on with control characters escaped: names may hold line breaks, and a message is one line.
struct OneLine<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| match character.is_control() {
            true => write!(self.0, "{}", character.escape_default()),
            false => self.0.write_char(character),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(&mut OneLine(f))
    }
}

impl Error {
    fn write(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Error::NotFound { what, name } => write!(f, "no such {what}: {name}"),
            Error::AlreadyExists { what, name } => write!(f, "{what} exists already: {name}"),
            Error::InvalidArgument { message } => f.write_str(message),
            Error::DtypeMismatch { array, expected, actual } => {
                write!(f, "dtype mismatch: array {array} holds {expected}, got {actual}")
            }
            Error::OutOfBounds { array, message } => write!(f, "out of bounds: array {array}: {message}"),
            Error::Conflict { message } => write!(f, "conflict: {message}"),
            Error::Corrupt { object, offset, message } => {
                write!(f, "corrupt: {object} at byte {offset}: {message}")
            }
            Error::UnsupportedVersion { message } => write!(f, "unsupported version: {message}"),
            Error::LimitExceeded { message } => write!(f, "limit exceeded: {message}"),
            Error::Cancelled => f.write_str("the read was cancelled"),
            Error::Storage { object, message } => write!(f, "storage: {object}: {message}"),
        }
    }
}

impl std::error::Error for Error {}
