"""Parameters as unions, in which some clients send values of every type (flightsql-dbapi does), by plain Flight."""

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from raw_flight import RawClient, field, sql_message
from test_hostile import prepare

MEMBERS = {
    "null": pa.array([None, None], pa.int32()),
    "bool": pa.array([True, False]),
    "int8": pa.array([-1, 2], pa.int8()),
    "uint64": pa.array([2**64 - 1, 7], pa.uint64()),
    "double": pa.array([0.5, -2.5]),
    "string": pa.array(["Ærø", ""]),
    "large string": pa.array(["x" * 1000, "y"], pa.large_string()),
    "binary": pa.array([b"\x00\xff", b""]),
    "timestamp": pa.array([1, 2], pa.timestamp("us", "UTC")),
    "date": pa.array([19_000, 1], pa.int32()).cast(pa.date32()),
    "list": pa.array([[1, None], []], pa.list_(pa.int64())),
    "struct": pa.array([{"a": 1}, {"a": None}]),
    "dictionary": pa.array(["one", "two"]).dictionary_encode(),
}
NAMES = list(MEMBERS)


@pytest.fixture
def client(fleet_server):
    with RawClient(fleet_server.port) as client:
        yield client


def answer(server, client: RawClient, sql: str, batch: pa.RecordBatch) -> dict:
    """The one row of a query with these parameters; its handle stays the first one."""
    handle = prepare(client, sql)
    query = sql_message("CommandPreparedStatementQuery", field(1, handle))
    with server.connect() as plain:
        writer, _ = plain.do_put(flight.FlightDescriptor.for_command(query), batch.schema)
        writer.write_batch(batch)
        writer.close()
        info = plain.get_flight_info(flight.FlightDescriptor.for_command(query))
        (row,) = plain.do_get(info.endpoints[0].ticket).read_all().to_pylist()
    return row


def dense(member: str, at: int) -> pa.Array:
    """One value, in a union of all members, each with values of its own."""
    types = pa.array([NAMES.index(member)], pa.int8())
    return pa.UnionArray.from_dense(types, pa.array([at], pa.int32()), list(MEMBERS.values()), NAMES)


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("member", NAMES)
def test_a_value_comes_out_of_a_dense_union(fleet_server, client, member, at):
    batch = pa.record_batch([dense(member, at)], names=["anything"])
    expected = MEMBERS[member][at].as_py()
    row = answer(fleet_server, client, "SELECT $1 AS a, $1 IS NULL AS nothing", batch)
    assert row == {"a": expected, "nothing": expected is None}


@pytest.mark.parametrize("member", [name for name in NAMES if name != "dictionary"])
def test_a_value_comes_out_of_a_sparse_union(fleet_server, client, member):
    types = pa.array([NAMES.index(member)], pa.int8())
    children = [column.slice(1) for column in MEMBERS.values()]
    batch = pa.record_batch([pa.UnionArray.from_sparse(types, children, NAMES)], names=["0"])
    assert answer(fleet_server, client, "SELECT ? AS a", batch) == {"a": MEMBERS[member][1].as_py()}


def test_a_row_that_is_a_slice_of_many(fleet_server, client):
    types = pa.array([NAMES.index(name) for name in ("double", "string", "double", "string")], pa.int8())
    union = pa.UnionArray.from_dense(types, pa.array([0, 0, 1, 1], pa.int32()), list(MEMBERS.values()), NAMES)
    for at, expected in enumerate([0.5, "Ærø", -2.5, ""]):
        batch = pa.record_batch([union.slice(at, 1), pa.array(range(4)).slice(at, 1)], names=["a", "b"])
        assert answer(fleet_server, client, "SELECT ? AS a, ? AS b", batch) == {"a": expected, "b": at}


def test_several_unions_with_type_ids_of_their_own(fleet_server, client):
    children = [pa.array(["x"]), pa.array([3.5])]
    codes = [100, 7]
    columns = [
        pa.UnionArray.from_dense(pa.array([code], pa.int8()), pa.array([0], pa.int32()), children, ["s", "f"], codes)
        for code in codes
    ]
    batch = pa.record_batch(columns, names=["a", "a"])
    assert answer(fleet_server, client, "SELECT ? AS a, ? AS b", batch) == {"a": "x", "b": 3.5}


def test_a_union_in_a_union(fleet_server, client):
    inner = dense("string", 0)
    outer = pa.UnionArray.from_dense(pa.array([1], pa.int8()), pa.array([0], pa.int32()), [pa.array([1]), inner])
    assert answer(fleet_server, client, "SELECT ? AS a", pa.record_batch([outer], names=["0"])) == {"a": "Ærø"}


def test_unions_select_rows(fleet_server, client):
    sql = "SELECT count(*) AS n FROM catalog WHERE month = ? AND cruise = ?"
    month = pa.UnionArray.from_dense(pa.array([1], pa.int8()), pa.array([0], pa.int32()), [pa.array(["x"]), pa.array([5])])
    cruise = dense("string", 0)
    none = answer(fleet_server, client, sql, pa.record_batch([month, cruise], names=["0", "1"]))
    cruise = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array(["south"])])
    one = answer(fleet_server, client, sql, pa.record_batch([month, cruise], names=["0", "1"]))
    assert (none, one) == ({"n": 0}, {"n": 1})
