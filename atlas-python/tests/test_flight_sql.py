"""SQL over Flight: the answers of `atlas query`, parameters, formats, results that come in batches, errors."""

from __future__ import annotations

import datetime
import subprocess
import sys
import threading
from decimal import Decimal

import numpy as np
import pytest
from flight_server import Server, argo, command, fleet, fleet_server, wait_for  # noqa: F401

import atlas
from atlas.errors import (
    CancelledError,
    InvalidArgumentError,
    LimitExceededError,
    NotFoundError,
    PermissionDeniedError,
    StoreNotFoundError,
    UnavailableError,
)

ENDLESS = "SELECT value FROM generate_series(1, 1000000000000)"
SLOW = "SELECT count(*) FROM generate_series(1, 1000000000000) WHERE value % 7 = 3"


@pytest.fixture(scope="module")
def client(fleet_server):
    with atlas.connect(fleet_server.uri) as client:
        yield client


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT cruise, count(*) AS casts, max(temperature_max) AS warmest FROM catalog GROUP BY cruise ORDER BY cruise",
        "SELECT * FROM datasets ORDER BY dataset LIMIT 7",
        "SELECT dataset, slice(temperature, [0, 0], [2, 3]) AS top FROM datasets WHERE month = 7 ORDER BY dataset",
        "SELECT dataset, depth, temperature FROM cells_depth_time WHERE temperature > 29 ORDER BY dataset, depth, temperature",
        "SELECT dims, shape, fill_value FROM arrays WHERE dataset = 'cast_0001' ORDER BY array",
        "SELECT dataset FROM datasets WHERE month = 99",
    ],
)
def test_answers_are_those_of_the_command(client, command, fleet, sql):
    expected = command.query(fleet, sql)
    found = client.sql(sql)
    assert found.schema.names == expected.schema.names and found.num_rows == expected.num_rows
    for name in expected.schema.names:
        one, other = (table[name].combine_chunks() for table in (found, expected))
        if hasattr(other, "to_numpy_ndarray") and len(other):
            np.testing.assert_array_equal(one.to_numpy_ndarray(), other.to_numpy_ndarray())
        else:
            assert one.to_pylist() == other.to_pylist()


def test_arrays_come_in_the_format_that_is_asked_for(client):
    sql = "SELECT dataset, slice(temperature, [0, 0], [2, 3]) AS top FROM datasets ORDER BY dataset LIMIT 4"
    tensors = client.sql(sql)["top"].combine_chunks().to_numpy_ndarray()
    assert tensors.shape == (4, 2, 3)
    nested = np.array(client.sql(sql, array_format="nested")["top"].to_pylist(), dtype="float32")
    np.testing.assert_array_equal(nested, tensors)
    assert client.sql(sql, array_format="json")["top"][0].as_py().startswith("[[")
    assert client.sql(sql, array_format="omit").schema.names == ["dataset"]
    assert client.sql(sql, ["?"][:0], array_format="omit").schema.names == ["dataset"]
    prepared = client.sql(sql.replace("ORDER", "WHERE month = ? ORDER"), [7], array_format="omit")
    assert prepared.schema.names == ["dataset"]
    with pytest.raises(InvalidArgumentError, match="tensor.*lists"):
        client.sql(sql, array_format="lists")


# Parameters


def test_parameters_are_values_and_never_text_of_the_query(client):
    count = "SELECT count(*) AS n FROM datasets WHERE "
    one = "month = {} AND cruise <> {}"
    literal = client.sql(count + one.format(7, "'AT01'"))
    assert literal.equals(client.sql(count + one.format("?", "?"), [7, "AT01"]))
    assert literal.equals(client.sql(count + one.format("$2", "$1"), ("AT01", np.int64(7))))
    assert client.sql(count + "cruise = ?", ["' OR 1 = 1 --"])["n"].to_pylist() == [0]
    assert client.sql("SELECT '?' AS mark, ? AS value", ["it's"]).to_pylist() == [{"mark": "?", "value": "it's"}]


@pytest.mark.parametrize(
    "value",
    [
        True,
        -3,
        2**62,
        0.1,
        float("inf"),
        "é\n",
        b"\x00\xff",
        None,
        datetime.date(2024, 2, 29),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
        Decimal("1.25"),
        np.float32(0.1),
        np.datetime64("2024-02-29T01:02:03.000000004", "ns"),
    ],
    ids=repr,
)
def test_parameters_of_every_type_come_back(client, value):
    (found,) = client.sql("SELECT ? AS value", [value])["value"].to_pylist()
    assert found == (np.datetime64(found, "ns") and found if value is None else _as_python(value, found))


def _as_python(value, found):
    if isinstance(value, np.datetime64):
        return found if np.datetime64(found.value, "ns") == value else value
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ([], "value"),
        ([7], "[12]"),
        ([7, "a", 1], "[23]"),
        ({"month": 7}, "list of values"),
        ("7a", "list of values"),
        ([7, object()], r"\$2"),
        ([7, 2**70], r"\$2"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(client, parameters, says):
    with pytest.raises(InvalidArgumentError, match=says):
        client.sql("SELECT dataset FROM datasets WHERE month = ? AND cruise = ?", parameters)


# Errors


@pytest.mark.parametrize(
    ("sql", "error", "says"),
    [
        ("SELEC 1", InvalidArgumentError, "SELEC"),
        ("SELECT tempratur FROM datasets", InvalidArgumentError, "no such column: tempratur .*temperature"),
        ("SELECT * FROM nothing", NotFoundError, "nothing"),
        ("SELECT 1 / 0", InvalidArgumentError, "zero"),
        ("DELETE FROM datasets", PermissionDeniedError, "only reads"),
        ("SELECT 'unterminated", InvalidArgumentError, "nterminated"),
    ],
)
def test_errors_have_a_class_and_one_line(client, sql, error, says):
    with pytest.raises(error, match=says) as caught:
        client.sql(sql)
    line = str(caught.value)
    assert "\n" not in line and "gRPC" not in line and "Flight" not in line and caught.value.kind != "unknown"


def test_a_limit_of_the_server_has_its_own_class(command, fleet):
    with Server(command, "--max-result-rows", "10", fleet=fleet) as server, atlas.connect(server.uri) as client:
        with pytest.raises(LimitExceededError, match="10"):
            client.sql("SELECT dataset FROM datasets")


# Batches


def test_batches_come_as_they_are_taken(client):
    with client.sql_batches("SELECT dataset, temperature FROM datasets ORDER BY dataset") as batches:
        assert batches.schema.names == ["dataset", "temperature"]
        first = next(batches)
        rest = batches.read_all()
    assert first.num_rows + rest.num_rows == 1000
    names = first["dataset"].to_pylist() + rest["dataset"].to_pylist()
    assert names == [f"cast_{number:04}" for number in range(1, 1001)]
    assert list(batches) == []


def test_batches_are_an_arrow_stream(client):
    import pyarrow

    batches = client.sql_batches("SELECT dataset, month FROM datasets")
    table = pyarrow.RecordBatchReader.from_stream(batches).read_all()
    assert table.num_rows == 1000 and table.schema.names == ["dataset", "month"]


@pytest.mark.parametrize("leaves", ["close", "with", "del", "error"])
def test_a_result_that_is_left_ends_on_the_server(client, fleet_server, leaves):
    batches = client.sql_batches(ENDLESS)
    assert next(batches).num_rows
    if leaves == "close":
        batches.close()
        assert list(batches) == []
    elif leaves == "with":
        with batches:
            pass
    elif leaves == "error":
        with pytest.raises(RuntimeError), batches:
            raise RuntimeError
    del batches
    fleet_server.wait_until_idle()


def test_a_query_that_somebody_else_cancels_says_so(client):
    import pyarrow.flight as flight

    from atlas.flight import _sql, _wire

    info = client._queries.plan(ENDLESS, None, "tensor")
    batches = _sql.Batches(client._connection, info, None)
    next(batches)
    cancel = flight.Action("CancelFlightInfo", _wire.field(1, info.serialize()))
    client._connection.call(lambda other, options: list(other.do_action(cancel, options)))
    with pytest.raises(CancelledError, match="cancel"):
        for _ in batches:
            pass


def test_a_program_that_leaves_a_result_open_ends(fleet_server):
    program = f"import atlas; b = atlas.connect({fleet_server.uri!r}).sql_batches({ENDLESS!r}); next(b)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    fleet_server.wait_until_idle()


def test_a_server_that_ends_in_a_query_is_an_error(command, fleet):
    with Server(command, fleet=fleet) as server, atlas.connect(server.uri) as client:
        batches = client.sql_batches(ENDLESS)
        next(batches)
        server.kill()
        with pytest.raises(UnavailableError) as caught:
            for _ in batches:
                pass
        assert isinstance(caught.value, ConnectionError) and "\n" not in str(caught.value)


def test_progress_is_told_and_its_error_ends_the_query(client, fleet_server, capsys):
    told = []
    table = client.sql("SELECT dataset FROM datasets", progress=lambda *numbers: told.append(numbers))
    assert told[-1][0] == table.nbytes and told[-1][2] == 1000
    client.sql("SELECT dataset FROM datasets", progress=True)
    assert "1000 rows" in capsys.readouterr().err

    def stop(*_):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        client.sql(ENDLESS, progress=stop)
    fleet_server.wait_until_idle()


def test_threads_share_a_client(client):
    answers = {}

    def ask(month):
        answers[month] = client.sql("SELECT count(*) AS n FROM datasets WHERE month = ?", [month])["n"].to_pylist()

    threads = [threading.Thread(target=ask, args=(month,)) for month in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(count for (count,) in answers.values()) == 1000 and len(answers) == 12


# What there is


def test_datasets_are_a_table_of_attributes(client):
    table = client.datasets()
    assert table.schema.names == ["dataset", "cruise", "latitude", "longitude", "month", "station"]
    assert table.num_rows == 1000 and table["dataset"].to_pylist() == sorted(table["dataset"].to_pylist())
    warm = client.datasets("stat_max(temperature) > 29 OR false", columns=["latitude"])
    assert warm.schema.names == ["dataset", "latitude"]
    assert warm.num_rows == client.sql("SELECT count(*) AS n FROM datasets WHERE stat_max(temperature) > 29")["n"][0].as_py()
    assert client.datasets("month = 1", columns=[]).schema.names == ["dataset"]
    for bad in ({"where": "month ="}, {"columns": ["tempo"]}, {"columns": "month"}):
        with pytest.raises(InvalidArgumentError):
            client.datasets(**bad)


def test_arrays_are_a_table_of_families(client):
    arrays = {row["array"]: row for row in client.arrays().to_pylist()}
    assert set(arrays) == {"depth", "salinity", "temperature", "time"}
    temperature = arrays["temperature"]
    assert (temperature["dtype"], temperature["dims"], temperature["shape"]) == ("float32", ["depth", "time"], [50, 24])
    assert temperature["datasets"] == 1000 and temperature["stored_bytes"] > 0
    for call in (client.arrays, lambda store: client.datasets(store=store)):
        with pytest.raises(StoreNotFoundError, match="no such store: nowhere; served are fleet"):
            call("nowhere")


def test_real_datasets_and_arrays(command, argo):
    with Server(command, argo=argo) as server, atlas.connect(server.uri) as client:
        attributes = client.datasets()
        # A single cell is an array, too.
        assert "DATA_TYPE" not in attributes.schema.names and "TEMP.units" in attributes.schema.names
        temperature = next(row for row in client.arrays().to_pylist() if row["array"] == "TEMP")
        assert temperature["shape"] is None and temperature["dims"] == ["N_PROF", "N_LEVELS"]


# Changes


def test_statements_change_a_writable_server(command, tmp_path):
    store = tmp_path / "fleet"
    command("demo", store)
    with Server(command, "--writable", fleet=store) as server, atlas.connect(server.uri) as client:
        assert client.sql("UPDATE datasets SET season = 'summer' WHERE month IN (6, 7)").num_rows == 1
        changed = client.datasets("season = 'summer'").num_rows
        assert changed == client.datasets("month IN (6, 7)").num_rows > 0
        client.sql("INSERT INTO datasets (dataset, month) VALUES (?, ?)", ["new", 5])
        assert client.datasets("dataset = 'new'").to_pylist()[0]["month"] == 5
