"""DoPut with bytes that no client should send: damaged commands, and Arrow data that lies about itself."""

import datetime
import decimal
import random
import struct

import grpc
import pyarrow as pa
import pytest

from raw_flight import Answer, RawClient, command, field, flight_data, ipc_messages, sql_message
from test_hostile import CALLS, REFUSALS, SEED, Watch, assert_all_refused, corpus, prepare, request
from test_hostile import client, server  # noqa: F401 (fixtures)

ROUNDS = 60
"""Damaged versions of each message."""
COLUMNS = {
    "int": pa.array([5], pa.int32()),
    "string": pa.array(["héllo"]),
    "large string": pa.array(["x"], pa.large_string()),
    "string view": pa.array(["a long string that is not inlined"], pa.string_view()),
    "binary": pa.array([b"xx"]),
    "fixed size binary": pa.array([b"xx"], pa.binary(2)),
    "bool": pa.array([True]),
    "null": pa.nulls(1),
    "decimal": pa.array([decimal.Decimal("1.5")]),
    "timestamp": pa.array([datetime.datetime(2024, 1, 1)]),
    "list": pa.array([[1, 2, None]]),
    "large list": pa.array([[1, 2]], pa.large_list(pa.int8())),
    "list view": pa.array([[1, 2]], pa.list_view(pa.int8())),
    "fixed size list": pa.array([[1, 2]], pa.list_(pa.int8(), 2)),
    "struct": pa.array([{"a": 1, "b": "x"}]),
    "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
    "dictionary": pa.array(["x"]).dictionary_encode(),
    "run ends": pa.RunEndEncodedArray.from_arrays([1], ["x"]),
    "dense union": pa.UnionArray.from_dense(
        pa.array([1], pa.int8()), pa.array([0], pa.int32()), [pa.array([1]), pa.array(["x"])]
    ),
    "sparse union": pa.UnionArray.from_sparse(pa.array([1], pa.int8()), [pa.array([1]), pa.array(["x"])]),
}
LIES = [-(2**63), -(2**31), -1, 0, 1, 2**31 - 1, 2**31, 2**40, 2**50, 2**62]


@pytest.fixture
def watch(server):  # noqa: F811
    watch = Watch(server)
    yield watch
    # The Arrow crate panics where a bitmap is shorter than its column, which the server catches.
    watch.assert_unharmed(may_panic_in="/arrow-buffer-")


@pytest.fixture
def bind(client):  # noqa: F811
    """Binds the messages of a stream of Arrow data to a statement."""
    descriptor = command(sql_message("CommandPreparedStatementQuery", field(1, prepare(client, "SELECT ? AS a"))))

    def put(messages: list[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
        return tuple(
            flight_data(header, body, descriptor if at == 0 else b"") for at, (header, body) in enumerate(messages)
        )

    return put


def lying(rng: random.Random, content: bytes) -> bytes:
    """The same bytes with numbers that are not true."""
    found = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        if not found:
            break
        at, kind = rng.randrange(len(found)), rng.randrange(5)
        if kind == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            found[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            del found[at:]
        else:
            width = rng.choice([2, 4, 8])
            at -= at % width
            found[at : at + width] = (rng.choice(LIES) % 2 ** (8 * width)).to_bytes(width, "little")
    return bytes(found)


def test_damaged_requests_are_refused(client, watch):  # noqa: F811
    rng = random.Random(f"{SEED} DoPut")
    valid = corpus(client, "DoPut")
    assert_all_refused(list(client.calls("DoPut", ((request(rng, rng.choice(valid)),) for _ in range(CALLS)))))


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("name", COLUMNS)
def test_arrow_data_that_lie_are_refused(client, watch, bind, name, compression):  # noqa: F811
    rng = random.Random(f"{SEED} {name} {compression}")
    batch = pa.record_batch([COLUMNS[name]], names=["0"])
    messages = ipc_messages(batch, options=pa.ipc.IpcWriteOptions(compression=compression))

    def damaged() -> tuple[bytes, ...]:
        found = [list(message) for message in messages]
        at = rng.randrange(len(found))
        part = rng.choice([0, 0, 0, 1]) if found[at][1] else 0
        found[at][part] = lying(rng, found[at][part])
        return bind([tuple(message) for message in found])

    assert_all_refused(list(client.calls("DoPut", (damaged() for _ in range(ROUNDS)))))


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("claimed", [-2, 0, 2**24, 2**34, 2**50, 2**63 - 1])
def test_compressed_data_that_claim_a_size_are_refused(client, watch, bind, codec, claimed):  # noqa: F811
    size = 100_007
    batch = pa.record_batch([pa.array(["x" * size])], names=["0"])
    schema, (header, body) = ipc_messages(batch, options=pa.ipc.IpcWriteOptions(compression=codec))
    at = body.rindex(struct.pack("<q", size))
    lie = body[:at] + struct.pack("<q", claimed) + body[at + 8 :]
    assert client.call("DoPut", *bind([schema, (header, lie)])).code in REFUSALS


def test_a_bomb_of_compressed_zeros_is_refused(client, watch, bind):  # noqa: F811
    batch = pa.record_batch([pa.array(["x" * (256 << 20)])], names=["0"])
    messages = ipc_messages(batch, options=pa.ipc.IpcWriteOptions(compression="zstd"))
    assert len(messages[1][1]) < 1 << 20
    assert client.call("DoPut", *bind(messages)).code in REFUSALS


@pytest.mark.parametrize(
    "sequence", ["no schema", "schema twice", "body without a header", "cut", "a batch alone", "swapped"]
)
def test_messages_out_of_order_are_refused(client, watch, bind, sequence):  # noqa: F811
    one = ipc_messages(pa.record_batch([pa.array([1])], names=["0"]))
    other = ipc_messages(pa.record_batch([pa.array(["a"]), pa.array([2.5])], names=["0", "1"]))
    (schema, batch), (other_schema, _) = one, other
    messages = {
        "no schema": [batch],
        "schema twice": [schema, schema, other_schema, batch],
        "body without a header": [schema, (b"", b"x" * 100)],
        "cut": [schema, (batch[0], batch[1][: len(batch[1]) // 2])],
        "a batch alone": [(b"", b""), batch],
        "swapped": [batch, schema],
    }[sequence]
    answer: Answer = client.call("DoPut", *bind(messages))
    assert answer.code in REFUSALS, answer


@pytest.mark.parametrize("rows", [0, 2, 1000])
def test_anything_but_one_row_of_parameters_is_refused(client, watch, bind, rows):  # noqa: F811
    messages = ipc_messages(pa.record_batch([pa.array(range(rows), pa.int64())], names=["0"]))
    answer = client.call("DoPut", *bind(messages))
    assert answer.code == grpc.StatusCode.INVALID_ARGUMENT, answer
