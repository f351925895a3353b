"""The few protobuf messages of Flight SQL that pyarrow does not write: each is some length-delimited fields.

Their layout is that of Apache Arrow's `FlightSql.proto` and `Flight.proto`.
"""

from __future__ import annotations

from atlas.errors import ServerError

_TYPE_URL = "type.googleapis.com/arrow.flight.protocol.sql."


def field(number: int, value: bytes | str) -> bytes:
    """A field of bytes, text, or a message."""
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def packed(name: str, body: bytes = b"") -> bytes:
    """A Flight SQL message in its `Any`."""
    return field(1, _TYPE_URL + name) + field(2, body)


def unpacked(message: bytes) -> bytes:
    """The message in an `Any`."""
    return last(message, 2)


def last(message: bytes, number: int) -> bytes:
    """The bytes of a field, the last of them as protobuf has it; none where it is absent."""
    found = [value for key, value in fields(message) if key == number]
    return found[-1] if found else b""


def fields(message: bytes) -> list[tuple[int, bytes]]:
    """The length-delimited fields of a message, in order.

    Raises:
        ServerError: where the bytes are no message.
    """
    found, at = [], 0
    try:
        while at < len(message):
            key, at = _number(message, at)
            if key & 7 == 2:
                length, at = _number(message, at)
                if at + length > len(message):
                    raise IndexError
                found.append((key >> 3, message[at : at + length]))
                at += length
            elif key & 7 == 0:
                _, at = _number(message, at)
            else:
                at += {1: 8, 5: 4}[key & 7]
    except (IndexError, KeyError):
        raise ServerError("the server's answer cannot be read") from None
    return found


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _number(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
