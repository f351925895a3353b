"""Bytes that no client should send, to every method: the server answers each with a clear refusal, and goes on.

`ATLAS_TEST_SEED` is the seed of what is made up; it is printed where a test fails.
"""

import json
import os
import random
import socket
import struct
from collections import Counter
from contextlib import suppress

import grpc
import pytest

from atlas_process import Server
from fleet import CASTS, cast_name
from raw_flight import (
    METHODS,
    SERVICE,
    Answer,
    RawClient,
    action,
    command,
    field,
    fields,
    flight_data,
    path,
    sql_message,
    varint,
)

SEED = int(os.environ.get("ATLAS_TEST_SEED", "20"))
CALLS = 1000
"""Calls of each method."""
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNAUTHENTICATED,
}
NO_PROTOBUF = "failed to decode Protobuf message"
"""How tonic refuses a request that is no protobuf message: with INTERNAL, as gRPC's own list of codes says."""
MEGABYTES = 1 << 20


@pytest.fixture(scope="module")
def server(atlas, fleet_store):
    with Server(atlas, fleet=fleet_store) as server:
        yield server


@pytest.fixture
def client(server):
    with RawClient(server.port) as client:
        yield client


# What is sent


def prepare(client: RawClient, sql: str) -> bytes:
    """The handle of a prepared statement."""
    request = sql_message("ActionCreatePreparedStatementRequest", field(1, sql))
    answer = client.call("DoAction", action("CreatePreparedStatement", request))
    assert answer.code == grpc.StatusCode.OK, answer
    any_message = fields(answer.messages[0])[1][0]
    return fields(fields(any_message)[2][0])[1][0]


def ticket_of(client: RawClient, descriptor: bytes) -> bytes:
    answer = client.call("GetFlightInfo", descriptor)
    assert answer.code == grpc.StatusCode.OK, answer
    endpoint = fields(answer.messages[0])[3][0]
    return fields(fields(endpoint)[1][0])[1][0]


def stacked(**request) -> bytes:
    return json.dumps({"stacked": {"store": "fleet", "arrays": ["temperature"], **request}}).encode()


def commands(client: RawClient) -> list[bytes]:
    """Commands of every kind."""
    statement = field(1, "SELECT dataset, month FROM datasets WHERE month = 3")
    tables = field(1, "atlas") + field(2, "fleet") + field(3, "%") + field(4, "TABLE") + field(5, 1)
    of_a_table = field(1, "atlas") + field(2, "fleet") + field(3, "datasets")
    return [
        stacked(),
        stacked(where="month = 3", start=[0, 0], shape=[2, 2], missing="null", partitions=3),
        stacked(datasets=[cast_name(3)]),
        sql_message("CommandStatementQuery", statement),
        sql_message("CommandStatementUpdate", field(1, "DROP TABLE datasets")),
        sql_message("CommandStatementSubstraitPlan", field(1, field(1, b"\x0a\x0b\x0c") + field(2, "0.1"))),
        sql_message("CommandPreparedStatementQuery", field(1, prepare(client, "SELECT dataset FROM datasets"))),
        sql_message("CommandPreparedStatementUpdate", field(1, prepare(client, "SELECT 1"))),
        sql_message("CommandStatementIngest", field(2, "datasets") + field(3, "fleet")),
        sql_message("CommandGetCatalogs"),
        sql_message("CommandGetDbSchemas", field(1, "atlas") + field(2, "fl%")),
        sql_message("CommandGetTables", tables),
        sql_message("CommandGetTableTypes"),
        sql_message("CommandGetSqlInfo", field(1, varint(0) + varint(8))),
        sql_message("CommandGetXdbcTypeInfo", field(1, 12)),
        sql_message("CommandGetPrimaryKeys", of_a_table),
        sql_message("CommandGetExportedKeys", of_a_table),
        sql_message("CommandGetImportedKeys", of_a_table),
        sql_message("CommandGetCrossReference", of_a_table + field(4, "atlas") + field(5, "fleet") + field(6, "x")),
    ]


def corpus(client: RawClient, method: str) -> list[tuple]:
    """Valid requests of a method: the message inside, and functions that wrap it, from the inside out."""
    in_descriptor = [(content, command) for content in commands(client)]
    match method:
        case "GetFlightInfo" | "PollFlightInfo" | "GetSchema":
            paths = [("fleet", "temperature"), ("fleet", "profile", cast_name(2)), ("fleet",), ("no", "such")]
            return in_descriptor + [(path(*parts),) for parts in paths]
        case "DoGet":
            tickets = [
                ticket_of(client, command(content))
                for content in commands(client)
                if not any(name in content for name in (b"Update", b"Substrait", b"Ingest"))
            ]
            return [(ticket, lambda content: field(1, content)) for ticket in tickets]
        case "ListFlights":
            expressions = [b"", b"fleet", b'{"store": "fleet"}', b"\xff\x00"]
            return [(content, lambda content: field(1, content)) for content in expressions]
        case "ListActions":
            return [(b"",), (field(1, "unknown"),)]
        case "Handshake":
            basic = field(2, "ann") + field(3, "secret")
            return [(basic, lambda content: field(1, 0) + field(2, content)), (field(1, 2**63),)]
        case "DoAction":
            info = client.call("GetFlightInfo", path("fleet", "temperature")).messages[0]
            session = field(1, "schema") + field(2, field(1, "fleet"))
            bodies = {
                "CreatePreparedStatement": sql_message("ActionCreatePreparedStatementRequest", field(1, "SELECT ?")),
                "ClosePreparedStatement": sql_message(
                    "ActionClosePreparedStatementRequest", field(1, prepare(client, "SELECT 1"))
                ),
                "CancelQuery": sql_message("ActionCancelQueryRequest", field(1, info)),
                "CancelFlightInfo": field(1, info),
                "RenewFlightEndpoint": field(1, fields(info)[3][0]),
                "SetSessionOptions": field(1, session),
                "GetSessionOptions": b"",
                "CloseSession": b"",
                "BeginTransaction": sql_message("ActionBeginTransactionRequest"),
                "delete_dataset": b'{"store": "fleet", "dataset": "cast_000"}',
                "refresh": b'{"store": "fleet"}',
            }
            return [(body, lambda body, kind=kind: action(kind, body)) for kind, body in bodies.items()]
        case "DoPut" | "DoExchange":
            put = [
                (content, lambda content: flight_data(descriptor=command(content)))
                for content in commands(client)
            ]
            paths = [(path("fleet"), lambda content: flight_data(descriptor=content))]
            return put + paths + [(b"header", lambda content: flight_data(header=content, body=b"body"))]


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Bytes near these: flipped, cut, doubled, moved, or with a number that lies."""
    found = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(found) + 1)
        kind = rng.randrange(8)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(found):
            found[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif kind == 2:
            del found[at:]
        elif kind == 3:
            del found[at : at + rng.choice([1, 4, 8, 20])]
        elif kind == 4:
            found[at:at] = rng.randbytes(rng.choice([1, 4, 100]))
        elif kind == 5:
            found[at:at] = found[at : at + rng.randrange(1, 40)] * rng.choice([1, 2, 50])
        elif kind == 6:
            found[at : at + rng.choice([1, 4])] = varint(rng.choice([2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1]))
        else:
            found[at:at] = field(rng.choice([1, 2, 3, 1000]), b"x", length=rng.choice([0, 2**28, 2**31, 2**63]))
    return bytes(found)


def nested(rng: random.Random, content: bytes) -> bytes:
    """A message in a message in a message."""
    for _ in range(rng.choice([20, 120, 1000])):
        content = field(rng.choice([1, 2, 3]), content)
    return content


def request(rng: random.Random, valid: tuple) -> bytes:
    """One request of a corpus, damaged at one of its layers."""
    content, *wraps = valid
    layer = rng.randrange(len(wraps) + 1)
    damage = rng.choices([damaged, nested], [19, 1])[0]
    for at, wrap in enumerate([*wraps, None]):
        if at == layer:
            content = damage(rng, content)
        if wrap:
            content = wrap(content)
    return content


# What must hold


def is_refusal(answer: Answer) -> bool:
    of_protobuf = answer.code == grpc.StatusCode.INTERNAL and answer.details.startswith(NO_PROTOBUF)
    # Some of what is damaged cancels a query, and the rest is about it then.
    of_cancelled = answer.code == grpc.StatusCode.CANCELLED and answer.details == "the query was cancelled"
    return of_protobuf or of_cancelled or answer.code in REFUSALS


def assert_clear(answer: Answer) -> None:
    assert answer.details and "\n" not in answer.details and len(answer.details) < 4096, answer
    assert "panicked" not in answer.details and ".rs:" not in answer.details, answer


class Watch:
    """What a server holds before a storm of calls, and whether it is unharmed by it."""

    def __init__(self, server: Server):
        self.server = server
        self.answers()
        self.logged = len(server.output)
        self.resident, self.handles = server.resident_bytes(), server.handles()

    def answers(self) -> None:
        assert self.server.sql("SELECT count(*) AS n FROM datasets")["n"].to_pylist() == [CASTS]

    def assert_unharmed(self, may_panic_in: str | None = None) -> None:
        assert self.server.child.poll() is None, "".join(self.server.output[-20:])
        self.answers()
        log = self.server.output[self.logged :]
        wrong = [line for line in log if "panicked at" in line or "internal error" in line]
        assert not [line for line in wrong if may_panic_in is None or may_panic_in not in line], "".join(wrong)
        self.server.wait_until(lambda: self.server.handles() <= self.handles + 8, "file handles are given back")
        # What an allocator keeps is bounded, too.
        assert self.server.resident_bytes() < self.resident + 128 * MEGABYTES


@pytest.fixture
def watch(server):
    watch = Watch(server)
    yield watch
    watch.assert_unharmed()


def assert_all_refused(answers: list[Answer]) -> None:
    bad = [answer for answer in answers if answer.code != grpc.StatusCode.OK and not is_refusal(answer)]
    codes = Counter(answer.code.name for answer in answers)
    assert not bad, f"ATLAS_TEST_SEED={SEED}: {codes}, {bad[:5]}"
    for answer in answers:
        if answer.code != grpc.StatusCode.OK:
            assert_clear(answer)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "DoPut"])
def test_damaged_requests_are_refused(client, watch, method):
    rng = random.Random(f"{SEED} {method}")
    valid = corpus(client, method)
    answers = list(client.calls(method, ((request(rng, rng.choice(valid)),) for _ in range(CALLS))))
    assert_all_refused(answers)
    refused = sum(answer.code != grpc.StatusCode.OK for answer in answers)
    assert refused > CALLS // 10 or method == "Handshake"


@pytest.mark.parametrize("method", METHODS)
def test_noise_is_refused(client, watch, method):
    rng = random.Random(f"{SEED} noise {method}")
    lengths = [0, 1, 2, 5, 20, 100, 2000]
    noise = ((rng.randbytes(rng.choice(lengths)),) for _ in range(200))
    assert_all_refused(list(client.calls(method, noise)))


@pytest.mark.parametrize("method", ["GetFlightInfo", "GetSchema", "DoAction"])
@pytest.mark.parametrize("depth", [100, 10_000, 1_000_000])
def test_what_is_nested_deep_is_refused(client, watch, method, depth):
    select = "SELECT " + "(" * depth + "1" + ")" * depth
    contents = [
        b'{"stacked": ' + b"[" * depth,
        b'{"stacked": {"store": ' + b'{"a":' * depth,
        stacked(where="(" * depth + "true" + ")" * depth),
        stacked(where="NOT " * depth + "true"),
        sql_message("CommandStatementQuery", field(1, select)),
        sql_message("CommandStatementQuery", field(1, "SELECT " + "-" * depth + "1")),
        sql_message("CommandStatementQuery", field(1, "SELECT " + "[" * depth + "]" * depth)),
        sql_message("CommandStatementQuery", field(1, "SELECT * FROM (" * depth + "SELECT 1" + ")" * depth)),
        sql_message("CommandStatementQuery", field(1, "SELECT 1" + " UNION ALL SELECT 1" * depth)),
    ]
    if method == "DoAction":
        contents = [
            action("CreatePreparedStatement", sql_message("ActionCreatePreparedStatementRequest", field(1, text)))
            for text in (select, "SELECT " + "CASE WHEN true THEN " * depth)
        ]
    else:
        contents = [command(content) for content in contents]
    answers = [client.call(method, content) for content in contents]
    assert_all_refused(answers)
    assert depth == 100 or all(is_refusal(answer) for answer in answers), answers


@pytest.mark.parametrize("length", [1 << 12, 1 << 21])
def test_huge_texts_are_answered_or_refused(client, watch, length):
    text = "x" * length
    contents = [
        sql_message("CommandStatementQuery", field(1, f"SELECT '{text}' AS a")),
        sql_message("CommandStatementQuery", field(1, f"SELECT {text} FROM datasets")),
        sql_message("CommandStatementQuery", field(1, f"SELECT 1 AS {text}")),
        sql_message("CommandStatementQuery", field(1, f"SELECT {'9' * length}")),
        sql_message("CommandStatementQuery", field(1, f"SELECT * FROM datasets WHERE dataset LIKE '{'%_' * (length // 2)}'")),
        sql_message("CommandStatementQuery", field(1, " " * length)),
        sql_message("CommandGetTables", field(2, text) + field(3, "%" * length)),
        stacked(where=f"dataset = '{text}'"),
        stacked(datasets=[text]),
        json.dumps({"stacked": {"store": text, "arrays": ["temperature"]}}).encode(),
        json.dumps({"stacked": {"store": "fleet", "arrays": [text]}}).encode(),
        json.dumps({"stacked": {"store": "fleet", "arrays": ["temperature"], text: 1}}).encode(),
    ]
    answers = [client.call("GetFlightInfo", command(content)) for content in contents]
    answers.append(client.call("GetFlightInfo", path("fleet", text)))
    answers.append(client.call("GetFlightInfo", path(*["fleet"] * (length // 64))))
    answers.append(client.call("DoAction", action(text)))
    answers.append(client.call("DoGet", field(1, text)))
    assert_all_refused(answers)


# HTTP/2

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, END_STREAM, END_HEADERS = 0, 1, 4, 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers_frame(method: str) -> bytes:
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": SERVICE + method,
        ":authority": "atlas",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    literal = (b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in headers.items())
    return frame(HEADERS, END_HEADERS, 1, b"".join(literal))


def received_frames(connection: socket.socket):
    """Kind, flags and stream of each frame that the server sends, until it closes the connection."""
    received = connection.makefile("rb")
    while len(head := received.read(9)) == 9:
        received.read(int.from_bytes(head[:3], "big"))
        yield head[3], head[4], int.from_bytes(head[5:], "big")


FRAMINGS = {
    "longer than any message may be": b"\0\xff\xff\xff\xff" + b"x" * 100,
    "longer than what comes": b"\0\0\0\0\5ab",
    "compressed, which was not agreed": b"\1\0\0\0\2ab",
    "an unknown flag": b"\7\0\0\0\2ab",
    "a cut prefix": b"\0\0",
    "nothing": b"",
    "two messages": (b"\0\0\0\0\2\x08\1") * 2,
}


@pytest.mark.parametrize("method", ["GetFlightInfo", "DoGet", "DoPut", "Handshake"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_wrong_framing_ends_the_call(server, watch, method, framing):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        sent = frame(SETTINGS, 0, 0, b"") + headers_frame(method) + frame(DATA, END_STREAM, 1, FRAMINGS[framing])
        connection.sendall(PREFACE + sent)
        ended = (kind == HEADERS and flags & END_STREAM and stream == 1 for kind, flags, stream in received_frames(connection))
        assert any(ended)


def test_connections_that_speak_something_else_are_closed(server, watch):
    rng = random.Random(f"{SEED} connections")
    for start in [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", PREFACE, PREFACE + headers_frame("DoGet")]:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
                # The server may close it before all is sent.
                with suppress(OSError):
                    connection.sendall(start + rng.randbytes(rng.choice([1, 50, 5000])))
                    connection.shutdown(socket.SHUT_WR)
                    list(received_frames(connection))
