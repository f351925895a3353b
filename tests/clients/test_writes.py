"""Writing through a server: uploads, SQL that changes datasets, actions; what is acknowledged is there, what is cut is not."""

import json
import os
import signal
import subprocess
import sys

import adbc_driver_flightsql.dbapi
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

from atlas_process import Server

COLUMNS = "dataset, month, station, temperature"
# What pyarrow makes of the codes: some have an exception of their own.
REFUSED = (flight.FlightError, pa.ArrowException)


@pytest.fixture
def store(atlas, tmp_path):
    """An empty store."""
    path = tmp_path / "store"
    atlas("create", path)
    return path


@pytest.fixture
def server(atlas, store):
    with Server(atlas, "--writable", fleet=store) as server:
        yield server


def tensors(values: np.ndarray, dims=None) -> pa.ExtensionArray:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values), dim_names=dims)


def casts(count: int, first: int = 0) -> pa.Table:
    numbers = np.arange(first, first + count)
    cells = (numbers[:, None, None] * 100 + np.arange(12).reshape(3, 4)).astype("f4")
    return pa.table(
        {
            "dataset": [f"cast_{number:04}" for number in numbers],
            "month": pa.array(numbers % 12 + 1, pa.int32()),
            "station": [f"S{number % 3}" for number in numbers],
            "temperature": tensors(cells, ["depth", "time"]),
        }
    )


def put(server, table: pa.Table, *path, command=None, rows_a_batch=7) -> dict:
    """Uploads a table; the acknowledgement."""
    descriptor = flight.FlightDescriptor.for_command(json.dumps(command)) if command else flight.FlightDescriptor.for_path(*path)
    with server.connect() as client:
        writer, reader = client.do_put(descriptor, table.schema)
        with writer:
            for batch in table.to_batches(max_chunksize=rows_a_batch):
                writer.write_batch(batch)
            writer.done_writing()
            return json.loads(reader.read().to_pybytes())


def act(server, action: str, **body) -> dict:
    with server.connect() as client:
        (answer,) = client.do_action(flight.Action(action, json.dumps(body).encode()))
        return json.loads(answer.body.to_pybytes())


def refused(server, *words, action=None, **body):
    with pytest.raises(REFUSED) as caught:
        act(server, action, **body)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def cells(table: pa.Table, column: str) -> np.ndarray:
    return np.concatenate([chunk.to_numpy_ndarray() for chunk in table.column(column).chunks])


def count(server, store="fleet") -> int:
    return server.sql(f"SELECT count(*) AS n FROM {store}.datasets").column("n")[0].as_py()


# Uploads.


def test_rows_become_datasets_and_are_read_back(atlas, server, store):
    table = casts(50)
    assert put(server, table, "fleet") == {"snapshot": 1, "rows": 50, "datasets": 50, "arrays": 50, "attributes": 100}
    answer = server.sql(f"SELECT {COLUMNS} FROM datasets ORDER BY dataset")
    assert answer.column("month").to_pylist() == table.column("month").to_pylist()
    assert answer.column("station").to_pylist() == table.column("station").to_pylist()
    np.testing.assert_array_equal(cells(answer, "temperature"), cells(table, "temperature"))
    assert answer.schema.field("temperature").type.dim_names == ["depth", "time"]
    # What was acknowledged is in the store's files: another process sees it.
    assert atlas.arrow(store, "SELECT count(*) AS n FROM datasets").column("n").to_pylist() == [50]
    atlas("verify", store)


def test_a_later_upload_extends(server):
    put(server, casts(10), "fleet")
    more = pa.table({"dataset": ["cast_0003", "new"], "salinity": pa.array([[1.0, 2.0], [3.0]]), "month": [99, None]})
    assert put(server, more, "fleet")["datasets"] == 1
    rows = server.sql("SELECT dataset, salinity, month FROM datasets WHERE salinity IS NOT NULL ORDER BY dataset").to_pylist()
    assert [row["month"] for row in rows] == [99, None]
    assert [row["salinity"]["data"] for row in rows] == [[1.0, 2.0], [3.0]]
    with pytest.raises(REFUSED, match="temperature"):
        put(server, casts(1), "fleet")


def test_modes(server):
    put(server, casts(5), "fleet")
    request = {"store": "fleet"}
    with pytest.raises(REFUSED, match="cast_0000"):
        put(server, casts(2), command={"put": {**request, "mode": "create"}})
    changed = casts(2).set_column(3, "temperature", tensors(np.full((2, 2), 7, "f4"), ["x"]))
    put(server, changed, command={"put": {**request, "mode": "overwrite"}})
    row = server.sql("SELECT temperature FROM datasets WHERE dataset = 'cast_0001'").column(0)[0].as_py()
    assert row == {"data": [7.0, 7.0], "shape": [2]} or list(row) == [7.0, 7.0]
    assert put(server, casts(3, first=100), command={"put": {**request, "mode": "replace"}})["datasets"] == 3
    assert server.sql("SELECT dataset FROM datasets").column(0).to_pylist() == ["cast_0100", "cast_0101", "cast_0102"]


def test_regions_are_written_into(server):
    put(server, casts(4), "fleet")
    part = pa.table({"dataset": ["cast_0001", "cast_0002"], "temperature": tensors(np.full((2, 1, 2), -5, "f4"))})
    put(server, part, command={"put": {"store": "fleet", "start": [2, 1]}})
    written = cells(server.stacked("fleet", ["temperature"]), "temperature")
    expected = cells(casts(4), "temperature").copy()
    expected[1:3, 2:3, 1:3] = -5
    np.testing.assert_array_equal(written, expected)
    outside = {"put": {"store": "fleet", "start": [3, 1]}}
    with pytest.raises(REFUSED, match="temperature"):
        put(server, part, command=outside)


def test_a_stream_is_one_dataset_with_its_rows_as_leading_dimension(server):
    rows = 1000
    table = pa.table(
        {
            "time": pa.array(np.arange(rows), pa.timestamp("s")),
            "flag": [number % 2 == 0 for number in range(rows)],
            "name": [f"r{number}" for number in range(rows)],
            "wind": tensors(np.arange(rows * 6, dtype="f8").reshape(rows, 2, 3), ["y", "x"]),
        }
    )
    assert put(server, table, command={"put": {"store": "fleet", "dataset": "met", "dim": "time"}}, rows_a_batch=64) == {
        "snapshot": 1, "rows": rows, "datasets": 1, "arrays": 4, "attributes": 0,
    }  # fmt: skip
    wind = cells(server.path("fleet", "wind", "met"), "wind")[0]
    np.testing.assert_array_equal(wind, np.arange(rows * 6, dtype="f8").reshape(rows, 2, 3))
    arrays = {row["array"]: row for row in server.sql("SELECT * FROM arrays").to_pylist()}
    assert arrays["wind"]["dims"] == ["time", "y", "x"] and arrays["wind"]["shape"] == [rows, 2, 3]
    assert arrays["time"]["dtype"] == "timestamp_nanoseconds" and arrays["name"]["dtype"] == "string"
    put(server, table.select(["flag"]), "fleet", "other")
    with pytest.raises(REFUSED, match="flag"):
        put(server, table.select(["flag"]), "fleet", "other")


def test_an_array_in_fortran_order_keeps_its_cells(server):
    values = np.asfortranarray(np.arange(24, dtype="i4").reshape(2, 3, 4))
    cells_of_one = pa.array([values[0].T.ravel().tolist()], pa.list_(pa.int32(), 12))
    kind = pa.fixed_shape_tensor(pa.int32(), [4, 3], dim_names=["x", "y"], permutation=[1, 0])
    put(server, pa.table({"dataset": ["a"], "t": pa.ExtensionArray.from_storage(kind, cells_of_one)}), "fleet")
    np.testing.assert_array_equal(cells(server.path("fleet", "t", "a"), "t")[0], values[0])
    assert server.sql("SELECT dims FROM arrays").column(0).to_pylist() == [["y", "x"]]


def test_what_a_query_gives_can_be_uploaded(atlas, fleet_store, server, store):
    with Server(atlas, source=fleet_store) as source:
        everything = source.sql("SELECT * FROM datasets")
    assert put(server, everything, "fleet")["datasets"] == everything.num_rows
    for sql in (
        "SELECT dataset, array, dtype, shape, dims, row_count, null_count, min, max FROM arrays ORDER BY dataset, array",
        "SELECT * FROM attributes ORDER BY dataset, key",
        "SELECT dataset, pressure, label, flag, profile, tensor_sum(temperature) AS t FROM datasets ORDER BY dataset",
    ):
        copied, original = atlas.arrow(store, sql), atlas.arrow(fleet_store, sql)
        # As text, in which NaN is equal to itself.
        assert str(copied.to_pylist()) == str(original.to_pylist()), sql


@pytest.mark.parametrize(
    "table, word",
    [
        (pa.table({"a": [1]}), "no column dataset"),
        (pa.table({"dataset": [1]}), "dataset"),
        (pa.table({"dataset": ["a", None]}), "NULL"),
        (pa.table({"dataset": ["a/b"]}), "a/b"),
        (pa.table({"dataset": ["a"], "t": pa.array([{"x": 1}])}), "column t"),
        (pa.table({"dataset": ["a"], "t": pa.array([[[1, 2], [3]]])}), "side by side"),
        (pa.table({"dataset": ["a"], "t": pa.array([[1, None]])}), "fill value"),
        (pa.table({"dataset": ["a"], "n": pa.array([2**63], pa.uint64())}), "9223372036854775808"),
        (pa.table({"dataset": ["a", "a"], "t": pa.array([[1], [2]])}), "t"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(server, table, word):
    with pytest.raises(REFUSED) as caught:
        put(server, table, "fleet")
    assert word in str(caught.value)
    assert count(server) == 0
    assert act(server, "flush", store="fleet") == {"snapshot": 0}


CUT = """
import json, os, sys, signal
import pyarrow as pa, pyarrow.flight as flight
client = flight.connect(sys.argv[1])
schema = pa.schema({"dataset": pa.string(), "t": pa.list_(pa.float64())})
writer, reader = client.do_put(flight.FlightDescriptor.for_path("fleet"), schema)
for number in range(int(sys.argv[2])):
    writer.write_batch(pa.record_batch({"dataset": [f"d{number}"], "t": [[float(number)] * 100_000]}, schema=schema))
print("sent", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_cut_stream_leaves_nothing(server):
    for batches in (0, 1, 30):
        done = subprocess.run([sys.executable, "-c", CUT, server.uri, str(batches)], capture_output=True, text=True, timeout=60)
        assert done.returncode == -signal.SIGKILL and done.stdout == "sent\n", done.stderr
    # Writers take turns: this one comes after whatever was begun.
    assert put(server, casts(1), "fleet")["snapshot"] == 1
    assert server.sql("SELECT dataset FROM datasets").column(0).to_pylist() == ["cast_0000"]


def test_a_stream_of_fewer_rows_than_it_says_leaves_nothing(server):
    with pytest.raises(REFUSED, match="has 3 rows, the command says 4"):
        put(server, casts(3), command={"put": {"store": "fleet", "rows": 4}})
    assert count(server) == 0
    assert put(server, casts(4), command={"put": {"store": "fleet", "rows": 4}})["datasets"] == 4


def test_what_was_acknowledged_survives_a_kill(atlas, store):
    acknowledged = []
    for round_ in range(3):
        with Server(atlas, "--writable", fleet=store) as server:
            for number in range(5):
                put(server, casts(1, first=round_ * 10 + number), "fleet")
                acknowledged.append(f"cast_{round_ * 10 + number:04}")
            server.child.send_signal(signal.SIGKILL)
            server.child.wait()
        assert atlas.arrow(store, "SELECT dataset FROM datasets").column(0).to_pylist() == acknowledged
    atlas("verify", store)


def test_an_upload_has_a_limit(atlas, store):
    with Server(atlas, "--writable", "--max-upload", "1", fleet=store) as server:
        with pytest.raises(REFUSED, match="1048576 bytes"):
            put(server, casts(20_000), "fleet", rows_a_batch=1000)
        assert count(server) == 0


def test_a_client_that_sends_nothing_is_cut_off(atlas, store):
    with Server(atlas, "--writable", "--idle-timeout", "1", fleet=store) as server:
        with server.connect() as client, pytest.raises(REFUSED, match="sent nothing for 1s"):
            writer, reader = client.do_put(flight.FlightDescriptor.for_path("fleet"), casts(1).schema)
            writer.write_table(casts(1))
            try:
                reader.read()
            finally:
                writer.close()
        assert count(server) == 0


# SQL that changes datasets.


def test_insert_update_delete(server):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO datasets (dataset, month, ship) VALUES ('a', 1, 'x'), ('b', 2, NULL)")
        assert cursor.rowcount == 2
        cursor.execute("UPDATE fleet.datasets SET month = month + 10, checked = true WHERE dataset = 'b'")
        assert cursor.rowcount == 1
        cursor.execute("SELECT dataset, month, ship, checked FROM datasets ORDER BY dataset")
        assert cursor.fetchall() == [("a", 1, "x", None), ("b", 12, None, True)]
        cursor.execute("UPDATE datasets SET ship = NULL")
        cursor.execute("SELECT count(*) FROM attributes WHERE key = 'ship'")
        assert cursor.fetchall() == [(0,)]
        cursor.execute("INSERT INTO datasets SELECT dataset || '_copy' AS dataset, month FROM datasets")
        cursor.execute("DELETE FROM datasets WHERE month > ?", (5,))
        cursor.execute("SELECT dataset FROM datasets ORDER BY 1")
        assert cursor.fetchall() == [("a",), ("a_copy",)]


def test_many_rows_are_one_commit(server):
    rows = [(f"d{number:05}", number, number / 2, f"s{number % 7}") for number in range(5000)]
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO datasets (dataset, n, x, station) VALUES (?, ?, ?, ?)", rows)
        cursor.execute("SELECT dataset, n, x, station FROM datasets ORDER BY dataset")
        assert cursor.fetchall() == rows
        cursor.executemany("UPDATE datasets SET n = ? WHERE dataset = ?", [(-1, "d00001"), (-2, "d00002"), (-3, "none")])
        cursor.execute("SELECT n FROM datasets WHERE dataset <= 'd00002' ORDER BY dataset")
        assert cursor.fetchall() == [(0,), (-1,), (-2,)]
        cursor.executemany("DELETE FROM datasets WHERE dataset = ?", [("d00000",), ("d00004",)])
    assert count(server) == 4998
    assert act(server, "stats", store="fleet")["snapshot"] == 3
    # A row that fails takes the others with it.
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_flightsql.dbapi.Error, match="d00001"):
            cursor.executemany("INSERT INTO datasets (dataset) VALUES (?)", [("new",), ("d00001",)])
    assert count(server) == 4998


def test_asking_for_a_schema_changes_nothing(server):
    put(server, casts(3), "fleet")
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_execute_schema("DELETE FROM datasets")
        cursor.adbc_prepare("DELETE FROM datasets")
    with server.connect() as client:
        schema = client.get_schema(statement("DELETE FROM datasets")).schema
        assert schema.names == ["rows_affected"] and count(server) == 3
        info = client.get_flight_info(statement("DELETE FROM datasets WHERE month = 1"))
        assert info.schema == schema and info.total_records == 1
        assert client.do_get(info.endpoints[0].ticket).read_all().to_pylist() == [{"rows_affected": 1}]
    assert count(server) == 2


def statement(sql: str) -> flight.FlightDescriptor:
    """CommandStatementQuery in an Any: two protobuf messages of a field or two."""

    def field(number: int, content: bytes) -> bytes:
        assert len(content) < 128
        return bytes([number << 3 | 2, len(content)]) + content

    kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return flight.FlightDescriptor.for_command(field(1, kind) + field(2, field(1, sql.encode())))


def test_rows_that_mean_the_same_dataset_delete_it_once(server):
    put(server, casts(3), "fleet")
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.executemany("DELETE FROM datasets WHERE station = ?", [("S0",), ("S0",), ("S1",), ("none",)])
    assert count(server) == 1


def test_sql_sees_what_another_process_committed(atlas, server, store):
    put(server, casts(3), "fleet")
    atlas("rm", store, "cast_0001")
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE datasets SET seen = true")
        assert cursor.rowcount == 2
    assert put(server, casts(1, first=9), command={"put": {"store": "fleet", "mode": "replace"}})["datasets"] == 1
    assert atlas.arrow(store, "SELECT dataset FROM datasets").column(0).to_pylist() == ["cast_0009"]


def test_null_cells_of_a_region_are_those_of_the_array(server):
    kind = pa.field("t", pa.list_(pa.int32(), 3), metadata={"atlas.fill_value": "-9", "atlas.shape": "[3]"})
    whole_ = pa.table({"dataset": ["a"], "t": [[1, 2, 3]]}, schema=pa.schema([("dataset", pa.string()), kind]))
    put(server, whole_, "fleet")
    part = pa.table({"dataset": ["a"], "t": pa.array([[None, 7]], pa.list_(pa.int32(), 2))})
    put(server, part, command={"put": {"store": "fleet", "start": [1]}})
    assert server.sql("SELECT tensor_count(t) AS n, element(t, 2) AS last FROM datasets").to_pylist() == [{"n": 2, "last": 7}]


def test_bound_text_takes_the_attribute_s_type(server):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO datasets (dataset, n, x) VALUES ('a', 1, 0.5)")
        cursor.executemany("INSERT INTO datasets (dataset, n, x) VALUES (?, ?, ?)", [("b", "2", 3)])
        cursor.execute("SELECT n, x FROM datasets WHERE dataset = 'b'")
        assert cursor.fetchall() == [(2, 3.0)]
        with pytest.raises(adbc_driver_flightsql.dbapi.Error, match="many"):
            cursor.executemany("INSERT INTO datasets (dataset, n) VALUES (?, ?)", [("c", "many")])


@pytest.mark.parametrize(
    "sql, word",
    [
        ("DELETE FROM catalog", "catalog"),
        ("UPDATE arrays SET shape = 1", "arrays"),
        ("DROP TABLE datasets", "DROP"),
        ("CREATE TABLE t (a INT)", "CREATE"),
        ("INSERT INTO datasets (dataset) VALUES ('a') RETURNING dataset", "RETURNING"),
        ("UPDATE datasets SET dataset = 'x'", "dataset"),
        ("UPDATE datasets SET temperature = 1", "temperature"),
        ("INSERT INTO other.datasets (dataset) VALUES ('a')", "other"),
        ("INSERT INTO datasets (dataset, a) VALUES ('a')", "2 columns"),
        ("DELETE FROM datasets WHERE nothing = 1", "nothing"),
        ("DELETE FROM datasets; DELETE FROM datasets", "one statement"),
    ],
)
def test_sql_that_cannot_be_done_says_so(server, sql, word):
    put(server, casts(2), "fleet")
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_flightsql.dbapi.Error, match=word):
            cursor.execute(sql)
    assert count(server) == 2


# Actions.


def test_actions(atlas, server, store):
    assert act(server, "create_dataset", store="fleet", datasets=["a", "b"], attributes={"month": 1, "x": 0.5}) == {
        "snapshot": 1, "datasets": 2,
    }  # fmt: skip
    values = {"month": None, "at": {"timestamp": "2026-01-31T12:00:00Z"}, "ok": True, "ship": "é"}
    act(server, "set_attributes", store="fleet", dataset="a", attributes=values)
    row = server.sql("SELECT month, at, ok, ship FROM datasets WHERE dataset = 'a'").to_pylist()[0]
    assert (row["month"], row["ok"], row["ship"]) == (None, True, "é") and str(row["at"]).startswith("2026-01-31 12:00")
    act(server, "delete_dataset", store="fleet", dataset="b")
    assert server.sql("SELECT dataset FROM datasets").column(0).to_pylist() == ["a"]
    assert act(server, "flush", store="fleet") == {"snapshot": 3}
    assert act(server, "stats", store="fleet")["datasets"] == 1
    put(server, casts(2), "fleet")
    act(server, "delete_dataset", store="fleet", dataset="cast_0001")
    compacted = act(server, "compact", store="fleet", retention_seconds=0)
    assert compacted["families"] == 1 and compacted["bytes_after"] < compacted["bytes_before"]
    assert act(server, "refresh", store="fleet")["changed"] is False
    atlas("rm", store, "a")
    assert act(server, "refresh", store="fleet")["changed"] is True
    assert server.sql("SELECT dataset FROM datasets").column(0).to_pylist() == ["cast_0000"]
    with server.connect() as client:
        assert {"create_dataset", "compact", "stats"} <= {action.type for action in client.list_actions()}
    refused(server, "cast_0000", action="create_dataset", store="fleet", dataset="cast_0000")
    refused(server, "nowhere", action="compact", store="nowhere")
    refused(server, "datset", action="delete_dataset", store="fleet", datset="x")
    refused(server, "list", action="set_attributes", store="fleet", dataset="cast_0000", attributes={"a": [1]})


def test_readers_see_the_old_snapshot_until_the_new_one_is_there(server):
    put(server, casts(30), "fleet")
    with server.connect() as client:
        writer, reader = client.do_put(flight.FlightDescriptor.for_path("fleet"), casts(1).schema)
        with writer:
            writer.write_table(casts(5, first=100))
            # Others read and write while the upload is open.
            assert count(server) == 30
            act(server, "create_dataset", store="fleet", dataset="between")
            writer.done_writing()
            assert json.loads(reader.read().to_pybytes())["snapshot"] == 3
    assert count(server) == 36


# Who may.


def test_a_server_that_only_reads(atlas, fleet_server):
    for change in (
        lambda: put(fleet_server, casts(1), "fleet"),
        lambda: act(fleet_server, "create_dataset", store="fleet", dataset="x"),
        lambda: act(fleet_server, "compact", store="fleet"),
        lambda: act(fleet_server, "stats", store="fleet"),
    ):
        with pytest.raises(flight.FlightUnauthorizedError, match="--writable"):
            change()
    with fleet_server.adbc() as connection, connection.cursor() as cursor:
        for sql in ("DELETE FROM datasets", "INSERT INTO datasets (dataset) VALUES ('x')", "UPDATE datasets SET a = 1"):
            with pytest.raises(adbc_driver_flightsql.dbapi.Error, match="only reads"):
                cursor.execute(sql)


def test_roles(atlas, store, tmp_path):
    token = {}
    lines = []
    for user, stores in {"ann": '{ fleet = "write" }', "bob": '{ fleet = "read" }', "eve": "{}"}.items():
        token[user], line = atlas("token").splitlines()
        lines.append(f"[users.{user}]\n{line}\nstores = {stores}\n")
    users = tmp_path / "users.toml"
    users.write_text("".join(lines))
    with Server(atlas, "--writable", "--users", users, fleet=store) as server:
        def change(user):
            options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {token[user]}".encode())])
            with server.connect() as client:
                body = json.dumps({"store": "fleet", "dataset": user}).encode()
                list(client.do_action(flight.Action("create_dataset", body), options))

        change("ann")
        with pytest.raises(flight.FlightUnauthorizedError, match="bob may not write"):
            change("bob")
        with pytest.raises(REFUSED, match="no such store"):
            change("eve")
