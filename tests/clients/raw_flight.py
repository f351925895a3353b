"""Flight calls as bytes: protobuf messages written by hand, which may lie, sent by plain gRPC."""

from collections import deque
from dataclasses import dataclass

import grpc
import pyarrow as pa

SERVICE = "/arrow.flight.protocol.FlightService/"
SQL = "type.googleapis.com/arrow.flight.protocol.sql."
UNARY = ("GetFlightInfo", "PollFlightInfo", "GetSchema")
SERVER_STREAMS = ("ListFlights", "DoGet", "DoAction", "ListActions")
BOTH_STREAM = ("Handshake", "DoPut", "DoExchange")
METHODS = UNARY + SERVER_STREAMS + BOTH_STREAM
LONGEST_CALL_SECONDS = 30
LARGEST_MESSAGE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


# Protobuf


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def field(number: int, value: int | str | bytes, length: int | None = None) -> bytes:
    """One field; `length` is what it says of itself where that is a lie."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content) if length is None else length) + content


def fields(message: bytes) -> dict[int, list]:
    """The fields of a message that is well formed."""
    found, at = {}, 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            value = number()
        else:
            length = number() if key & 7 == 2 else {1: 8, 5: 4}[key & 7]
            value = message[at : at + length]
            at += length
        found.setdefault(key >> 3, []).append(value)
    return found


def sql_message(name: str, body: bytes = b"") -> bytes:
    """A Flight SQL message in its `Any`."""
    return field(1, SQL + name) + field(2, body)


def command(content: bytes) -> bytes:
    """A descriptor of a command."""
    return field(1, 2) + field(2, content)


def path(*parts: str) -> bytes:
    """A descriptor of a path."""
    return field(1, 1) + b"".join(field(3, part) for part in parts)


def action(kind: str, body: bytes = b"") -> bytes:
    return field(1, kind) + field(2, body)


def flight_data(header: bytes = b"", body: bytes = b"", descriptor: bytes = b"", metadata: bytes = b"") -> bytes:
    found = field(1, descriptor) if descriptor else b""
    return found + field(2, header) + (field(3, metadata) if metadata else b"") + field(1000, body)


def ipc_messages(*batches: pa.RecordBatch, options: pa.ipc.IpcWriteOptions | None = None) -> list[tuple[bytes, bytes]]:
    """Header and body of each message of a stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    reader = pa.ipc.MessageReader.open_stream(sink.getvalue())
    return [
        (message.metadata.to_pybytes(), message.body.to_pybytes() if message.body else b"") for message in reader
    ]


# gRPC


@dataclass
class Answer:
    """How a call ended, and what came before."""

    code: grpc.StatusCode
    details: str
    messages: list[bytes]


class RawClient:
    """Sends bytes to the methods of the service."""

    def __init__(self, port: int, metadata: tuple = ()):
        # A channel of its own for each client, not one that they share.
        options = [*LARGEST_MESSAGE, ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)
        self.metadata = metadata

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def start(self, method: str, *requests: bytes, stream=None, metadata: tuple = (), timeout: float = LONGEST_CALL_SECONDS):
        """A call that runs: a future, or for methods that answer with a stream an iterator. Where requests are a stream, it
        may come as an iterator, too."""
        kind = "unary" if method in UNARY else "stream"
        sends = "stream" if method in BOTH_STREAM else "unary"
        call = getattr(self.channel, f"{sends}_{kind}")(SERVICE + method)
        argument = (stream or iter(requests)) if sends == "stream" else requests[0]
        call = call.future if kind == "unary" else call
        return call(argument, metadata=(*self.metadata, *metadata), timeout=timeout)

    def call(self, method: str, *requests: bytes, metadata: tuple = ()) -> Answer:
        return ended(method, self.start(method, *requests, metadata=metadata))

    def calls(self, method: str, requests, at_a_time: int = 16):
        """Many calls of one method, each with a tuple of messages; the answers in order."""
        running = deque()
        for messages in requests:
            if len(running) == at_a_time:
                yield ended(method, running.popleft())
            running.append(self.start(method, *messages))
        while running:
            yield ended(method, running.popleft())


def ended(method: str, call) -> Answer:
    """How a call ends, once all that it answers is read."""
    messages = []
    try:
        if method in UNARY:
            messages.append(call.result())
        else:
            messages.extend(call)
    except grpc.RpcError:
        pass
    return Answer(call.code(), call.details() or "", messages)
