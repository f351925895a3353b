"""Bulk ingest by ADBC: a table becomes datasets, a row each, all in one commit."""

import subprocess

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcStatusCode

from arrow_cells import by_dataset
from atlas_process import Server

DTYPES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]


@pytest.fixture
def store(atlas, tmp_path):
    atlas("create", tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def server(atlas, store):
    with Server(atlas, "--writable", fleet=store) as server:
        yield server


def tensors(cells: np.ndarray, dims: list[str] | None = None) -> pa.Array:
    """The first axis are the rows."""
    shape = cells.shape[1:]
    kind = pa.fixed_shape_tensor(pa.from_numpy_dtype(cells.dtype), shape, dim_names=dims)
    storage = pa.FixedSizeListArray.from_arrays(pa.array(cells.reshape(-1)), int(np.prod(shape)))
    return pa.ExtensionArray.from_storage(kind, storage)


def casts(first: int, count: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng([seed, first])
    numbers = range(first, first + count)
    return pa.table(
        {
            "dataset": [f"cast_{number:03}" for number in numbers],
            "month": pa.array([number % 12 + 1 for number in numbers], pa.int64()),
            "ratio": pa.array([number / 4 for number in numbers]),
            "station": [f"S{number % 5}" for number in numbers],
            "good": pa.array([number % 2 == 0 for number in numbers]),
            "temperature": tensors(rng.random((count, 4, 3), "f4"), ["depth", "time"]),
            "depth": tensors(np.tile(np.arange(4.0), (count, 1)), ["depth"]),
        }
    )


def ingest(server: Server, data, mode: str, table: str = "datasets", store: str | None = "fleet", **options) -> int:
    with server.adbc() as connection, connection.cursor() as cursor:
        return cursor.adbc_ingest(table, data, mode=mode, db_schema_name=store, **options)


def names(server: Server) -> list[str]:
    return server.sql("SELECT dataset FROM fleet.datasets ORDER BY dataset")["dataset"].to_pylist()


def refused(server: Server, *statuses: AdbcStatusCode, **call) -> str:
    """The message with which an ingest is refused, after which nothing has changed."""
    before = names(server)
    with pytest.raises(adbc_driver_manager.Error) as caught:
        ingest(server, **call)
    assert caught.value.status_code in statuses, caught.value
    assert names(server) == before
    return str(caught.value)


def assert_holds(server: Server, atlas, store, expected: pa.Table) -> None:
    """The server, and the store itself, hold this table."""
    for found in (server.sql("SELECT * FROM fleet.datasets"), atlas.arrow(store, "SELECT * FROM datasets")):
        assert sorted(found["dataset"].to_pylist()) == sorted(expected["dataset"].to_pylist())
        rows = {row["dataset"]: row for row in found.select(["dataset", "month", "ratio", "station", "good"]).to_pylist()}
        for row in expected.select(["dataset", "month", "ratio", "station", "good"]).to_pylist():
            assert rows[row["dataset"]] == row
        for array in ("temperature", "depth"):
            cells, wanted = by_dataset(found, array), by_dataset(expected, array)
            for dataset in wanted:
                np.testing.assert_array_equal(cells[dataset].reshape(wanted[dataset].shape), wanted[dataset])
    atlas("verify", store)


# The modes


def test_create_fills_an_empty_store(server, atlas, store):
    assert ingest(server, casts(0, 5), "create") in (5, -1)
    assert_holds(server, atlas, store, casts(0, 5))


def test_create_in_a_store_that_has_datasets_is_refused(server):
    ingest(server, casts(0, 2), "create")
    refused(server, AdbcStatusCode.ALREADY_EXISTS, data=casts(5, 2), mode="create")


def test_append_adds(server, atlas, store):
    ingest(server, casts(0, 3), "create")
    ingest(server, casts(3, 4), "append")
    assert_holds(server, atlas, store, pa.concat_tables([casts(0, 3), casts(3, 4)]))


def test_append_of_a_dataset_that_exists_is_refused_as_a_whole(server, atlas, store):
    ingest(server, casts(0, 3), "create")
    message = refused(server, AdbcStatusCode.ALREADY_EXISTS, data=casts(2, 4, seed=1), mode="append")
    assert "cast_002" in message
    assert_holds(server, atlas, store, casts(0, 3))


def test_replace_replaces_everything(server, atlas, store):
    ingest(server, casts(0, 6), "create")
    ingest(server, casts(4, 3, seed=1), "replace")
    assert_holds(server, atlas, store, casts(4, 3, seed=1))
    ingest(server, casts(4, 3, seed=2), "replace")
    assert_holds(server, atlas, store, casts(4, 3, seed=2))


def test_create_append_does_either(server, atlas, store):
    ingest(server, casts(0, 2), "create_append")
    ingest(server, casts(2, 2), "create_append")
    assert_holds(server, atlas, store, pa.concat_tables([casts(0, 2), casts(2, 2)]))
    refused(server, AdbcStatusCode.ALREADY_EXISTS, data=casts(1, 1), mode="create_append")


# What is sent


def test_a_stream_of_many_batches_is_one_commit(server, atlas, store):
    batches = [batch for first in range(0, 60, 3) for batch in casts(first, 3).to_batches()]
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, iter(batches))
    ingest(server, reader, "append")
    assert_holds(server, atlas, store, pa.Table.from_batches(batches))
    assert "snapshot 1" in atlas("info", store)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7,), (2, 3), (1, 2, 3, 2)], ids=str)
def test_cells_of_every_dtype_and_rank(server, dtype, shape):
    kind = np.dtype(dtype)
    rng = np.random.default_rng(1)
    if kind.kind == "f":
        cells = rng.standard_normal((3, *shape)).astype(kind)
        cells[0].flat[0] = np.nan
    else:
        limits = np.iinfo(kind)
        cells = rng.integers(limits.min, limits.max, (3, *shape), kind, endpoint=True)
    ingest(server, pa.table({"dataset": ["a", "b", "c"], "x": tensors(cells)}), "create")
    found = by_dataset(server.sql("SELECT dataset, x FROM fleet.datasets"), "x")
    for name, wanted in zip("abc", cells, strict=True):
        assert found[name].dtype == kind
        np.testing.assert_array_equal(found[name].reshape(shape), wanted)
    table = server.stacked("fleet", ["x"])
    np.testing.assert_array_equal(table["x"].combine_chunks().to_numpy_ndarray(), cells)


def test_dimension_names_are_kept(server):
    ingest(server, casts(0, 1), "create")
    (found,) = server.sql("SELECT dims(temperature) AS dims, shape(temperature) AS shape FROM fleet.datasets").to_pylist()
    assert found == {"dims": ["depth", "time"], "shape": [4, 3]}


def test_a_null_is_an_attribute_or_an_array_that_the_dataset_lacks(server):
    cells = np.arange(6.0).reshape(2, 3)
    storage = pa.FixedSizeListArray.from_arrays(pa.array(cells.reshape(-1)), 3, mask=pa.array([False, True]))
    data = pa.table(
        {
            "dataset": ["a", "b"],
            "month": pa.array([None, 3], pa.int64()),
            "x": pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float64(), (3,)), storage),
        }
    )
    ingest(server, data, "create")
    found = server.sql("SELECT dataset, month, x IS NULL AS lacks FROM fleet.datasets ORDER BY 1").to_pylist()
    assert found == [{"dataset": "a", "month": None, "lacks": False}, {"dataset": "b", "month": 3, "lacks": True}]


@pytest.mark.parametrize(
    "data",
    [
        pa.table({"x": tensors(np.zeros((1, 2)))}),
        pa.table({"dataset": pa.array([None], pa.string()), "month": [1]}),
        pa.table({"dataset": [1], "month": [1]}),
        pa.table({"dataset": ["a", "a"], "month": [1, 2]}),
        pa.table({"dataset": [""], "month": [1]}),
        pa.table([pa.array(["a"]), pa.array([1]), pa.array([2])], names=["dataset", "x", "x"]),
    ],
    ids=["no dataset column", "null name", "name of another type", "a name twice", "empty name", "a column twice"],
)
def test_data_that_are_no_datasets_are_refused(server, data):
    ingest(server, casts(0, 1), "create")
    refused(
        server,
        AdbcStatusCode.INVALID_ARGUMENT,
        AdbcStatusCode.ALREADY_EXISTS,
        data=data,
        mode="append",
    )


def test_an_array_of_another_dtype_than_its_family_is_refused(server):
    ingest(server, casts(0, 1), "create")
    data = pa.table({"dataset": ["other"], "temperature": tensors(np.zeros((1, 2), "i4"))})
    assert "temperature" in refused(server, AdbcStatusCode.INVALID_ARGUMENT, data=data, mode="append")


@pytest.mark.parametrize(
    "call, statuses",
    [
        ({"table": "catalog"}, {AdbcStatusCode.INVALID_ARGUMENT, AdbcStatusCode.NOT_FOUND, AdbcStatusCode.NOT_IMPLEMENTED}),
        ({"store": "nowhere"}, {AdbcStatusCode.NOT_FOUND}),
        ({"temporary": True}, {AdbcStatusCode.INVALID_ARGUMENT, AdbcStatusCode.NOT_IMPLEMENTED}),
        ({"catalog_name": "nowhere"}, {AdbcStatusCode.NOT_FOUND, AdbcStatusCode.INVALID_ARGUMENT}),
    ],
    ids=str,
)
def test_any_other_target_is_refused(server, call, statuses):
    refused(server, *statuses, data=casts(0, 1), mode="append", **call)


# Who may


def test_a_server_that_is_not_writable_refuses(atlas, store):
    with Server(atlas, fleet=store) as server:
        for mode in ("create", "append", "replace", "create_append"):
            refused(server, AdbcStatusCode.UNAUTHORIZED, data=casts(0, 1), mode=mode)


def test_a_user_who_may_only_read_is_refused(atlas, store, tmp_path):
    def password_line(password: str) -> str:
        return subprocess.run([atlas.binary, "passwd"], input=password, capture_output=True, text=True, check=True).stdout

    users = tmp_path / "users.toml"
    users.write_text(
        f"[users.ann]\n{password_line('a')}stores = {{ fleet = 'write' }}\n"
        f"[users.bob]\n{password_line('b')}stores = {{ fleet = 'read' }}\n"
    )

    def attempt(server: Server, user: str, password: str) -> None:
        options = {"username": user, "password": password}
        with adbc_driver_flightsql.dbapi.connect(server.uri, db_kwargs=options, autocommit=True) as connection:
            with connection.cursor() as cursor:
                cursor.adbc_ingest("datasets", casts(0, 1), mode="append", db_schema_name="fleet")

    with Server(atlas, "--writable", "--users", users, fleet=store) as server:
        with pytest.raises(adbc_driver_manager.Error) as caught:
            attempt(server, "bob", "b")
        assert caught.value.status_code == AdbcStatusCode.UNAUTHORIZED
        attempt(server, "ann", "a")
    assert [row["dataset"] for row in atlas.json("query", store, "SELECT dataset FROM datasets", "--format", "json")] == [
        "cast_000"
    ]


# Tools


def test_pandas_writes(server):
    frame = pandas.DataFrame(
        {
            "dataset": ["a", "b"],
            "month": [1, 2],
            "ratio": [1.5, None],
            "station": ["S1", None],
            "good": [True, False],
            "time": pandas.to_datetime(["2024-01-01T00:00:00", "2024-02-29T01:02:03"]),
        }
    )
    with server.adbc() as connection:
        assert frame.to_sql("datasets", connection, schema="fleet", if_exists="append", index=False) == 2
        with pytest.raises(ValueError, match="exists"):
            frame.to_sql("datasets", connection, schema="fleet", if_exists="fail", index=False)
        found = pandas.read_sql("SELECT * FROM fleet.datasets ORDER BY dataset", connection)
    pandas.testing.assert_frame_equal(found[frame.columns], frame, check_dtype=False)


def test_polars_writes_and_replaces(server):
    cells = np.arange(6.0).reshape(2, 3)
    with server.adbc() as connection:
        for offset, exists in ((0, "append"), (1, "replace")):
            frame = polars.DataFrame({"dataset": ["a", "b"], "month": [1 + offset, 2 + offset], "x": cells + offset})
            assert frame.write_database("fleet.datasets", connection, if_table_exists=exists, engine="adbc") == 2
            found = server.sql("SELECT dataset, month, x FROM fleet.datasets ORDER BY dataset")
            assert found["month"].to_pylist() == [1 + offset, 2 + offset]
            np.testing.assert_array_equal(found["x"].combine_chunks().to_numpy_ndarray(), cells + offset)
        with pytest.raises(adbc_driver_manager.Error) as caught:
            frame.write_database("fleet.datasets", connection, if_table_exists="fail", engine="adbc")
    assert caught.value.status_code == AdbcStatusCode.ALREADY_EXISTS
