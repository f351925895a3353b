//! Why a call failed.

use arrow_flight::error::FlightError;
use std::error::Error;
use std::fmt;
use tonic::{Code, Status};

/// Why a call failed: a gRPC code for programs, one line for people.
#[derive(Debug, Clone)]
pub struct ClientError {
    code: Code,
    message: String,
    lost: bool,
}

impl ClientError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        ClientError { code, message: message.into(), lost: code == Code::Unavailable }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// What the server sent is not what the protocol says.
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// The gRPC code: the server's, or `UNAVAILABLE` where it is not reached.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What went wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the server could not be reached, or the connection ended: the same call may work later.
    pub fn is_lost(&self) -> bool {
        self.lost
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ClientError {}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        // A status with a cause was made here, of an error of the transport; the server's come without.
        if let Some(cause) = status.source() {
            let message = format!("the connection to the server is lost: {}", innermost(cause));
            return ClientError { code: Code::Unavailable, message, lost: true };
        }
        let message =
            if status.message().is_empty() { status.code().to_string() } else { status.message().to_string() };
        ClientError::new(status.code(), message)
    }
}

impl From<FlightError> for ClientError {
    fn from(error: FlightError) -> Self {
        match error {
            FlightError::Tonic(status) => (*status).into(),
            other => ClientError::protocol(format!("the server sent what is no Arrow data: {other}")),
        }
    }
}

/// The innermost cause says what happened; what wraps it only where.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn errors_of_the_transport_are_told_from_the_server_s() {
        let lost = ClientError::from(Status::from_error(Box::new(io::Error::other("connection reset"))));
        assert_eq!((lost.code(), lost.is_lost()), (Code::Unavailable, true));
        assert_eq!(lost.message(), "the connection to the server is lost: connection reset");
        let refused = ClientError::from(Status::not_found("no such store: x"));
        assert_eq!((refused.code(), refused.is_lost()), (Code::NotFound, false));
        assert_eq!(refused.to_string(), "no such store: x");
        assert!(ClientError::from(Status::unavailable("draining")).is_lost());
    }
}
