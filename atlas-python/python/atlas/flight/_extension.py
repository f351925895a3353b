"""The parameters of an extension type that pyarrow knows but does not tell, such as `arrow.variable_shape_tensor`."""

from __future__ import annotations

import ctypes
import json
import struct
from typing import Any

_METADATA = b"ARROW:extension:metadata"


class _ArrowSchema(ctypes.Structure):
    """The beginning of `ArrowSchema` of the Arrow C data interface."""

    _fields_ = [("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_void_p)]


def parameters(kind: Any) -> dict[str, Any]:
    """The JSON that an extension type is serialized as; nothing where it is none."""
    capsule = kind.__arrow_c_schema__()
    address = _pointer(capsule, b"arrow_schema")
    metadata = ctypes.cast(address, ctypes.POINTER(_ArrowSchema)).contents.metadata
    text = _pairs(metadata).get(_METADATA) if metadata else None
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


def _pairs(address: int) -> dict[bytes, bytes]:
    """A count, and so many keys and values with their lengths: integers of 32 bits, in the machine's order."""

    def number() -> int:
        nonlocal address
        (value,) = struct.unpack("=i", ctypes.string_at(address, 4))
        address += 4
        return int(value)

    def content() -> bytes:
        nonlocal address
        length = number()
        found = ctypes.string_at(address, length)
        address += length
        return found

    return {content(): content() for _ in range(number())}
