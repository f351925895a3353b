"""What calls to a server fail with: the gRPC code as a class of :mod:`atlas.errors`, the server's message as one line."""

from __future__ import annotations

from typing import NoReturn

from atlas.errors import (
    AlreadyExistsError,
    AtlasError,
    CancelledError,
    ConflictError,
    CorruptError,
    DeadlineError,
    InvalidArgumentError,
    LimitExceededError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    StoreNotFoundError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    UnsupportedVersionError,
)

__all__ = ["fail", "translated"]


# How pyarrow says each gRPC code, in front of the server's message; its own classes fold several codes into one.
_MESSAGE = ", with message: "
_CLASSES: dict[str, type[AtlasError]] = {
    "Flight cancelled call": CancelledError,
    "Flight returned invalid argument error": InvalidArgumentError,
    "gRPC returned out-of-range error": InvalidArgumentError,
    "Flight returned timeout error": DeadlineError,
    "Flight returned not found error": NotFoundError,
    "Flight returned already exists error": AlreadyExistsError,
    "Flight returned unauthorized error": PermissionDeniedError,
    "Flight returned unauthenticated error": UnauthenticatedError,
    "gRPC returned resource exhausted error": LimitExceededError,
    "gRPC returned precondition failed error": UnsupportedVersionError,
    "gRPC returned aborted error": ConflictError,
    "Flight returned unimplemented error": UnsupportedError,
    "Flight returned unavailable error": UnavailableError,
    "gRPC returned data loss error": CorruptError,
    "Flight returned internal error": ServerError,
    "Flight RPC failed with message": ServerError,
}

# What pyarrow adds behind the message of a stream that fails.
_DEBUG = ". gRPC client debug context: "

# What gRPC says, as its own error and not the server's, of a stream whose connection ends.
_ENDED = ("Stream removed", "Connection reset", "Broken pipe", "Socket closed", "Server never sent a data message")


def translated(error: Exception) -> AtlasError:
    """The error of a call by pyarrow as one of ours."""
    text = str(error).split(_DEBUG)[0]
    head, mark, message = text.partition(_MESSAGE)
    if not mark:
        head, mark, message = text.partition(": ")
    found = _CLASSES.get(head.removeprefix("Unknown: "))
    line = " ".join((message if found else text).split()) or head
    if found is None or found is ServerError or found is CancelledError:
        # The transport's own words for a connection that ended while a stream ran.
        if any(words in line for words in _ENDED):
            return UnavailableError(f"the connection to the server is lost: {line}")
        return (found or ServerError)(line)
    if found is UnavailableError:
        return UnavailableError(_unreached(line))
    if found is NotFoundError and line.startswith("no such store"):
        return StoreNotFoundError(line)
    return found(line)


def _unreached(line: str) -> str:
    """What gRPC says of a connection, with what happened first."""
    _, mark, last = line.partition("failed to connect to all addresses; last error: ")
    if mark:
        return f"cannot connect to the server: {last.removeprefix('UNKNOWN: ')}"
    return f"the connection to the server is lost: {line}" if any(words in line for words in _ENDED) else line


def fail(error: Exception) -> NoReturn:
    """Raises the error of a call by pyarrow as one of ours, without pyarrow's beside it."""
    raise translated(error) from None
