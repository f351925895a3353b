//! What is wrong with a DoPut that the Flight SQL half cannot read.

use crate::status;
use tonic::{Code, Status};

/// The status for the client of a DoPut that failed: arrow-flight calls a command that cannot be read an internal error, and
/// names it as Rust does.
pub(super) fn refused(error: Status) -> Status {
    // The server's own internal errors all read the same, and not so.
    let unreadable = match error.code() {
        Code::Internal => error.message().starts_with("ParseError("),
        Code::InvalidArgument => error.message().starts_with("DecodeError"),
        _ => false,
    };
    if unreadable {
        return status::status(Code::InvalidArgument, "the descriptor's command is no Flight SQL message");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_cannot_be_read_are_the_clients_mistake() {
        for error in [
            Status::internal("ParseError(\"Unable to decode Any value: …\")"),
            Status::invalid_argument("DecodeError { description: … }"),
        ] {
            let refused = refused(error);
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().starts_with("the descriptor"), "{refused}");
        }
        for error in [status::internal(&"x"), Status::permission_denied("x"), Status::invalid_argument("x")] {
            let (code, message) = (error.code(), error.message().to_string());
            let kept = refused(error);
            assert_eq!((kept.code(), kept.message()), (code, message.as_str()));
        }
    }
}
