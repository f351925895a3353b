"""What goes wrong, as exceptions.

Every exception of atlas is an :class:`AtlasError` and, where Python has one for the case, that builtin too, so that
``except KeyError`` and ``except atlas.errors.NotFoundError`` both work. ``error.kind`` is the same word whatever the
class; the message is one line that names the thing and the numbers.

=========================  ===============================  =====================
class                      also                             kind
=========================  ===============================  =====================
NotFoundError              KeyError                         not_found
StoreNotFoundError         FileNotFoundError                not_found
AlreadyExistsError         FileExistsError                  already_exists
InvalidArgumentError       ValueError                       invalid_argument
DTypeError                 TypeError                        dtype_mismatch
NotContiguousError         TypeError, ValueError            invalid_argument
AttributeTypeError         TypeError, ValueError            invalid_argument
OutOfBoundsError           ValueError, IndexError           out_of_bounds
ValueRangeError            OverflowError, ValueError        out_of_range
UnsupportedError           NotImplementedError              unsupported
ConflictError              RuntimeError                     conflict
CorruptError               RuntimeError                     corrupt
UnsupportedVersionError    RuntimeError                     unsupported_version
LimitExceededError         MemoryError                      limit_exceeded
CancelledError             RuntimeError                     cancelled
StorageError               OSError                          storage
UnauthenticatedError       PermissionError                  unauthenticated
PermissionDeniedError      PermissionError                  permission_denied
UnavailableError           ConnectionError                  unavailable
DeadlineError              TimeoutError                     deadline_exceeded
ServerError                RuntimeError                     internal
=========================  ===============================  =====================

The last five are of servers only.
"""

from __future__ import annotations


class AtlasError(Exception):
    """Anything that atlas raises by itself."""

    #: One word for what went wrong.
    kind: str = "unknown"

    def __str__(self) -> str:
        # KeyError would show its argument with quotes, OSError a pair.
        return str(self.args[0]) if self.args else ""


class NotFoundError(AtlasError, KeyError):
    """There is no such dataset, array or attribute."""

    kind = "not_found"


class StoreNotFoundError(AtlasError, FileNotFoundError):
    """There is no store at a location."""

    kind = "not_found"


class AlreadyExistsError(AtlasError, FileExistsError):
    """The store, dataset or array exists already."""

    kind = "already_exists"


class InvalidArgumentError(AtlasError, ValueError):
    """An argument that cannot be right, whatever the store holds: a name, a shape, a query."""

    kind = "invalid_argument"


class DTypeError(AtlasError, TypeError):
    """Cells or a value of another type than the array's."""

    kind = "dtype_mismatch"


class NotContiguousError(AtlasError, TypeError, ValueError):
    """Data whose cells do not lie in C order."""

    kind = "invalid_argument"


class AttributeTypeError(AtlasError, TypeError, ValueError):
    """A value that cannot be an attribute."""

    kind = "invalid_argument"


class OutOfBoundsError(AtlasError, ValueError, IndexError):
    """A region that does not lie in its array."""

    kind = "out_of_bounds"


class ValueRangeError(AtlasError, OverflowError, ValueError):
    """A number that its type cannot hold."""

    kind = "out_of_range"


class UnsupportedError(AtlasError, NotImplementedError):
    """A dtype, or a structure of xarray, that cannot be stored."""

    kind = "unsupported"


class ConflictError(AtlasError, RuntimeError):
    """Another writer is at work, or has committed in between."""

    kind = "conflict"


class CorruptError(AtlasError, RuntimeError):
    """Stored bytes that are not what was written."""

    kind = "corrupt"


class UnsupportedVersionError(AtlasError, RuntimeError):
    """A store that this version cannot read."""

    kind = "unsupported_version"


class LimitExceededError(AtlasError, MemoryError):
    """More than fits in memory, or than a server allows."""

    kind = "limit_exceeded"


class CancelledError(AtlasError, RuntimeError):
    """Work that its caller, or a server, ended."""

    kind = "cancelled"


class StorageError(AtlasError, OSError):
    """The disk or the object store failed."""

    kind = "storage"


class UnauthenticatedError(AtlasError, PermissionError):
    """A server that does not know who is calling."""

    kind = "unauthenticated"


class PermissionDeniedError(AtlasError, PermissionError):
    """A server that does not allow it."""

    kind = "permission_denied"


class UnavailableError(AtlasError, ConnectionError):
    """A server that cannot be reached, or that is busy or stopping."""

    kind = "unavailable"


class DeadlineError(AtlasError, TimeoutError):
    """A call that took longer than it was given."""

    kind = "deadline_exceeded"


class ServerError(AtlasError, RuntimeError):
    """A server that failed, and its log says how; or that answered with what is not the protocol."""

    kind = "internal"
