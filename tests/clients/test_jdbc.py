"""The Flight SQL JDBC driver: what DBeaver, Tableau and other Java tools do, with the answers of SQL in process."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fleet import CASTS

PROBE = Path(__file__).parent / "jdbc" / "Probe.java"
STORE_TABLES = {"arrays", "attributes", "catalog", "cells_depth_time", "chunks", "datasets"}


class Jdbc:
    """A Java process with a connection: asks, line by line."""

    def __init__(self, server, driver, options="useEncryption=false"):
        url = f"jdbc:arrow-flight-sql://localhost:{server.port}?{options}"
        self.process = subprocess.Popen(
            ["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", str(driver), str(PROBE), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, TZ="UTC"),
            text=True,
        )
        connected = self.process.stdout.readline()
        if not connected:
            raise RuntimeError(self.process.communicate()[1])

    def ask(self, *request: str) -> dict:
        self.process.stdin.write("\t".join(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return json.loads(line)

    def rows(self, *request: str) -> list[list]:
        answer = self.ask(*request)
        assert "error" not in answer, answer
        return answer["rows"]

    def close(self):
        # Closes its input, which ends it.
        _, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, errors


    def kill(self):
        self.process.kill()
        self.process.communicate()


def driver_jar() -> str:
    driver = os.environ.get("ATLAS_JDBC_DRIVER")
    if not driver or not shutil.which("java"):
        pytest.skip("needs Java 17 and ATLAS_JDBC_DRIVER, the driver's jar (scripts/test sets it)")
    return driver


@pytest.fixture(scope="module")
def jdbc(fleet_server):
    jdbc = Jdbc(fleet_server, driver_jar())
    yield jdbc
    jdbc.close()


@pytest.fixture(scope="module")
def leaking_jdbc(fleet_server):
    """For what the driver does not clean up after: it fails to close its connection."""
    jdbc = Jdbc(fleet_server, driver_jar())
    yield jdbc
    jdbc.kill()


@pytest.fixture(scope="module")
def in_process(atlas, fleet_store):
    return lambda sql: json.loads(atlas("query", fleet_store, sql, "--format", "json"))


def test_the_product_reads_only(jdbc):
    name, read_only, quote, escape, transactions = jdbc.rows("product")[0]
    assert (name, read_only, quote, escape, transactions) == ("Atlas", True, '"', "\\", False)


def test_the_tree_of_catalogs_schemas_and_tables(jdbc):
    assert jdbc.rows("catalogs") == [["atlas"]]
    assert jdbc.rows("schemas") == [["fleet", "atlas"]]
    assert jdbc.rows("table types") == [["TABLE"]]
    tables = jdbc.rows("tables", "fleet", "%")
    assert STORE_TABLES <= {table[2] for table in tables}
    assert all(table[:2] == ["atlas", "fleet"] and table[3] == "TABLE" for table in tables)
    assert {table[2] for table in jdbc.rows("tables", "%", "c%")} >= {"catalog", "chunks", "cells_depth_time"}
    assert jdbc.rows("tables", "elsewhere", "%") == []


@pytest.mark.parametrize("table", sorted(STORE_TABLES))
def test_columns_of_every_table(jdbc, in_process, table):
    described = {row["column_name"]: row["data_type"] for row in in_process(f"DESCRIBE {table}")}
    columns = jdbc.rows("columns", "fleet", table)
    assert [column[3] for column in columns] == list(described)
    types = {column[3]: column[5] for column in columns}
    expected = {"Utf8": "VARCHAR", "Int64": "BIGINT", "Float64": "DOUBLE", "Float32": "FLOAT"}
    for name, data_type in described.items():
        if data_type in expected:
            assert types[name] == expected[data_type], name


def test_keys(jdbc):
    assert [key[2:5] for key in jdbc.rows("primary keys", "fleet", "datasets")] == [["datasets", "dataset", "1"]]
    assert jdbc.rows("primary keys", "fleet", "arrays") == []
    assert jdbc.rows("imported keys", "fleet", "datasets") == []


def test_type_info_is_answered(jdbc):
    # The driver asks no server for it: the table is its own, and empty.
    assert jdbc.ask("types")["columns"][0][0] == "TYPE_NAME"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT dataset, month, cruise, depth_offset FROM catalog ORDER BY dataset",
        "SELECT cruise, count(*) AS casts, max(temperature_max) AS warmest FROM catalog GROUP BY cruise ORDER BY cruise",
        "SELECT dataset, temperature IS NULL AS lacks, stat_max(temperature) AS warmest FROM datasets ORDER BY dataset",
        "SELECT dataset, depth, temperature FROM cells_depth_time WHERE temperature > 20 ORDER BY 1, 2, 3",
        "SELECT dataset, salinity_max FROM catalog WHERE 1 = 0",
        "SELECT dataset FROM datasets ORDER BY dataset LIMIT 0",
        "SELECT 'é \" \\\\ 漢' AS text, CAST(NULL AS INT) AS nothing, true AS yes, 1.5 AS half",
    ],
)
def test_answers_are_those_in_process(jdbc, in_process, sql):
    answer = jdbc.ask("query", sql)
    labels = [label for label, _ in answer["columns"]]
    expected = [[as_text(row[label]) for label in labels] for row in in_process(sql)]
    assert [[numeric(value) for value in row] for row in answer["rows"]] == [
        [numeric(value) for value in row] for row in expected
    ]


def as_text(value):
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def numeric(text):
    """Java and JSON write floats differently."""
    try:
        return round(float(text), 4)
    except (TypeError, ValueError):
        return text


def test_arrays_are_json_text(jdbc, in_process):
    sql = "SELECT dataset, slice(temperature, [0, 0], [2, 3]) AS top FROM datasets ORDER BY dataset LIMIT 3"
    answer = jdbc.ask("query", sql)
    assert answer["columns"][1] == ["top", "VARCHAR"]
    for (_, text), row in zip(answer["rows"], in_process(sql), strict=True):
        assert json.loads(text) == row["top"]
    assert dict((column[3], column[5]) for column in jdbc.rows("columns", "fleet", "datasets"))["temperature"] == "VARCHAR"


def test_times_have_their_nanoseconds(jdbc):
    rows = jdbc.rows("query", "SELECT arrow_cast('2024-01-02T03:04:05.123456789', 'Timestamp(ns)') AS time")
    assert rows[0][0].startswith("2024-01-02 03:04:05.123")


@pytest.mark.parametrize(
    "predicate, parameters",
    [
        ("month = ?", ["int:3"]),
        ("month = ?", ["long:3"]),
        ("temperature_max > ?", ["double:20.25"]),
        ("cruise = ?", ["text:north"]),
        ("month > ? AND cruise = ? AND depth_offset < ?", ["int:2", "text:south", "double:4.5"]),
        ("(month > 6) = ?", ["bool:true"]),
    ],
)
def test_parameters_of_prepared_statements(jdbc, in_process, predicate, parameters):
    literal = predicate
    for parameter in parameters:
        kind, value = parameter.split(":", 1)
        literal = literal.replace("?", f"'{value}'" if kind == "text" else value, 1)
    rows = jdbc.rows("prepared", f"SELECT dataset FROM catalog WHERE {predicate} ORDER BY dataset", *parameters)
    expected = in_process(f"SELECT dataset FROM catalog WHERE {literal} ORDER BY dataset")
    assert rows == [[row["dataset"]] for row in expected] and 0 < len(rows) < CASTS


def test_a_prepared_statement_is_executed_again(jdbc):
    answer = jdbc.ask("twice", "SELECT count(*) AS n FROM catalog WHERE cruise = ?", "text:north", "text:nowhere")
    assert int(answer["first"]["rows"][0][0]) > 0
    assert answer["second"]["rows"] == [["0"]]


@pytest.mark.parametrize(
    "request_, part",
    [
        (("query", "SELECT nothing FROM catalog"), "nothing"),
        (("query", "SELEKT 1"), "SELEKT"),
        (("query", "SELECT * FROM nowhere"), "nowhere"),
        (("update", "DROP TABLE datasets"), "only reads"),
        (("update", "INSERT INTO catalog VALUES (1)"), "only reads"),
    ],
)
def test_errors_say_what_is_wrong(jdbc, request_, part):
    assert part in jdbc.ask(*request_)["error"]
    assert jdbc.rows("query", "SELECT 1 AS one") == [["1"]]


# Browsing, by filters


def test_tables_by_catalog_and_type(jdbc):
    names = {table[2] for table in jdbc.rows("tables of types", "atlas", "fleet", "%", "TABLE")}
    assert STORE_TABLES <= names
    assert {table[2] for table in jdbc.rows("tables of types", "atlas", "fl_et", "%", "VIEW,TABLE")} == names
    assert jdbc.rows("tables of types", "atlas", "fleet", "%", "VIEW,SYSTEM TABLE") == []
    assert jdbc.rows("tables of types", "nowhere", "fleet", "%", "TABLE") == []
    assert jdbc.rows("schemas of", "atlas", "fl%") == [["fleet", "atlas"]]
    assert jdbc.rows("schemas of", "nowhere", "%") == []


def test_no_table_refers_to_another(jdbc):
    assert jdbc.rows("exported keys", "fleet", "datasets") == []
    assert jdbc.rows("imported keys", "fleet", "catalog") == []
    assert jdbc.rows("cross reference", "fleet", "datasets", "catalog") == []


# Columns of every type

NUMBERS = ["byte", "short", "int", "long", "float", "double", "decimal"]
TYPES = {
    "arrow_cast(7, 'Int8')": ("TINYINT", "7", NUMBERS),
    "arrow_cast(7, 'Int16')": ("SMALLINT", "7", NUMBERS),
    "arrow_cast(7, 'Int32')": ("INTEGER", "7", NUMBERS),
    "arrow_cast(7, 'Int64')": ("BIGINT", "7", NUMBERS),
    "arrow_cast(7, 'UInt8')": ("TINYINT", "7", NUMBERS),
    "arrow_cast(7, 'UInt16')": ("SMALLINT", "7", NUMBERS),
    "arrow_cast(7, 'UInt32')": ("INTEGER", "7", NUMBERS),
    "arrow_cast(7, 'UInt64')": ("BIGINT", "7", NUMBERS),
    "arrow_cast(2.5, 'Float16')": ("FLOAT", "2.5", ["float", "double", "decimal"]),
    "arrow_cast(2.5, 'Float32')": ("FLOAT", "2.5", ["float", "double", "decimal"]),
    "arrow_cast(2.5, 'Float64')": ("DOUBLE", "2.5", ["float", "double", "decimal"]),
    "arrow_cast(2.5, 'Decimal128(5, 1)')": ("DECIMAL", "2.5", ["float", "double", "decimal"]),
    "true": ("BOOLEAN", "true", ["boolean"]),
    "'é'": ("VARCHAR", "é", []),
    "arrow_cast('é', 'LargeUtf8')": ("LONGVARCHAR", "é", []),
    "arrow_cast('é', 'Utf8View')": ("VARCHAR", "é", []),
    "X'6162'": ("VARBINARY", "[97, 98]", ["bytes"]),
    "DATE '2024-02-29'": ("DATE", "2024-02-29", ["date"]),
    "TIME '03:04:05.678'": ("TIME", "03:04:05.678", ["time"]),
    "arrow_cast('2024-01-02T03:04:05.678', 'Timestamp(ms)')": ("TIMESTAMP", "2024-01-02 03:04:05.678", ["timestamp"]),
    "arrow_cast('2024-01-02T03:04:05.678', 'Timestamp(ns)')": ("TIMESTAMP", "2024-01-02 03:04:05.678", ["timestamp"]),
    "arrow_cast(5, 'Duration(s)')": ("JAVA_OBJECT", "PT5S", []),
    "[1, NULL, 3]": ("VARCHAR", "[1,null,3]", []),
    "struct(1 AS a, 'x' AS b)": ("VARCHAR", '{"a":1,"b":"x"}', []),
}


@pytest.mark.parametrize("expression", TYPES)
def test_a_column_of_every_type_by_its_getters(jdbc, expression):
    type_name, text, getters = TYPES[expression]
    (column,) = jdbc.rows("getters", f"SELECT {expression} AS a")
    assert (column["type"], column["object"]) == (type_name, text)
    for getter in getters:
        found = column[getter]
        assert found == text or float(found) == float(text), getter
    if text != "[97, 98]":
        assert column["string"].removesuffix(".0") == text


@pytest.mark.parametrize("expression", TYPES)
def test_a_null_of_every_type(jdbc, expression):
    ((found,),) = jdbc.rows("query", f"SELECT CASE WHEN false THEN {expression} END AS a")
    assert found is None


# Parameters of every type

BINDS = {
    **{
        kind: [f"{setter}:12" for setter in ("byte", "short", "int", "long", "double", "float", "decimal")]
        for kind in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64")
    },
    "Decimal128(5, 2)": ["decimal:12.00"],
    "Utf8": ["text:12", "object:12"],
    "LargeUtf8": ["text:12"],
    "Binary": ["bytes:12"],
}


@pytest.mark.parametrize("kind", BINDS)
def test_parameters_by_every_setter(jdbc, kind):
    literal = "'12'" if kind in ("Utf8", "LargeUtf8", "Binary") else "12"
    sql = f"SELECT arrow_cast({literal}, '{kind}') = ? AS equal"
    for parameter in BINDS[kind]:
        assert jdbc.rows("prepared", sql, parameter) == [["true"]], parameter
        if not kind.startswith(("Utf8", "LargeUtf8", "Binary")):
            other = parameter.replace("12", "11")
            assert jdbc.rows("prepared", sql, other) == [["false"]], parameter
    for null in ("null", "null int", "null object"):
        assert jdbc.rows("prepared", sql, f"{null}:") == [[None]]


def test_dates_and_truth_as_parameters(jdbc):
    for value, equal in (("2024-02-29", "true"), ("2024-03-01", "false")):
        assert jdbc.rows("prepared", "SELECT DATE '2024-02-29' = ? AS equal", f"date:{value}") == [[equal]]
    for value in ("true", "false"):
        assert jdbc.rows("prepared", "SELECT true = ? AS equal", f"bool:{value}") == [[value]]


def test_the_types_of_parameters_are_told(jdbc):
    sql = "SELECT dataset FROM catalog WHERE month = ? AND cruise = ? AND temperature_max > ? AND ? IS NULL"
    assert [kind for _, kind in jdbc.rows("parameters", sql)] == [-5, 12, 6, 12]


def test_too_few_parameters_are_refused(leaking_jdbc):
    assert "error" in leaking_jdbc.ask("prepared", "SELECT dataset FROM catalog WHERE month = ? AND cruise = ?", "int:1")
    assert leaking_jdbc.rows("query", "SELECT 1 AS one") == [["1"]]


# Statements and connections


def test_two_results_are_open_at_once(jdbc):
    assert jdbc.rows("open at once", "SELECT 1 AS a", "SELECT 2 AS a") == [["1", "2"]]


def test_execute_tells_a_query_from_an_update(jdbc):
    assert jdbc.rows("execute", "SELECT 1 AS one") == [["1"]]
    assert "only reads" in jdbc.ask("execute", "DROP TABLE datasets")["error"]


def test_the_limits_of_a_statement(jdbc):
    sql = "SELECT dataset FROM datasets ORDER BY dataset"
    assert len(jdbc.rows("max rows", sql, "2")) == 2
    assert len(jdbc.rows("max rows", sql, "0")) == CASTS
    assert len(jdbc.rows("timeout", sql, "60")) == CASTS


def test_cancelling_a_statement_stops_the_servers_work(leaking_jdbc, fleet_server):
    answer = leaking_jdbc.ask("cancel", "SELECT repeat('x', 1000) AS text FROM generate_series(1, 1000000000000)")
    assert "cancel" in answer["error"].lower()
    fleet_server.wait_until_idle()
    assert leaking_jdbc.rows("query", "SELECT 1 AS one") == [["1"]]


def test_a_batch_of_updates_is_refused(leaking_jdbc):
    assert "error" in leaking_jdbc.ask("batch", "INSERT INTO datasets VALUES (?)", "int:1", "int:2")
    assert "error" in leaking_jdbc.ask("batch", "SELECT dataset FROM datasets WHERE month = ?", "int:1", "int:2")
    assert leaking_jdbc.rows("query", "SELECT 1 AS one") == [["1"]]


def test_a_connection_is_what_a_pool_expects(fleet_server):
    jdbc = Jdbc(fleet_server, driver_jar(), "useEncryption=false&array_format=nested")
    _, _, valid, autocommit, read_only, closed = jdbc.rows("session")[0]
    assert (valid, autocommit, read_only, closed) == (True, True, True, False)
    # Pools set these, and go on.
    assert jdbc.rows("set catalog", "atlas") == [["atlas"]]
    assert jdbc.rows("set schema", "fleet") == [["fleet"]]
    jdbc.ask("set autocommit", "false")
    jdbc.ask("set autocommit", "true")
    assert jdbc.rows("query", "SELECT count(*) AS n FROM datasets") == [[str(CASTS)]]
    # The property is sent as the header.
    (column,) = jdbc.rows("getters", "SELECT [1, 2] AS a")
    assert column["array"] == column["object"] == "[1, 2]"
    jdbc.close()


@pytest.mark.parametrize(
    "kind", ["Timestamp(s)", "Timestamp(ms)", "Timestamp(µs)", "Timestamp(ns)", 'Timestamp(ns, "UTC")']
)
def test_timestamps_as_parameters(jdbc, kind):
    sql = f"SELECT arrow_cast('2024-01-02T03:04:05', '{kind}') = ? AS equal"
    for value, equal in (("2024-01-02 03:04:05", "true"), ("2024-01-02 03:04:06", "false")):
        assert jdbc.rows("prepared", sql, f"time:{value}") == [[equal]]


def test_times_of_day_as_parameters(jdbc):
    sql = "SELECT arrow_cast('03:04:05', 'Time32(ms)') = ? AS equal"
    for value, equal in (("03:04:05", "true"), ("03:04:06", "false")):
        assert jdbc.rows("prepared", sql, f"clock:{value}") == [[equal]]


@pytest.mark.parametrize(
    "kind, parameter, text",
    [("INT", "int:5", "5"), ("DOUBLE", "double:2.5", "2.5"), ("VARCHAR", "text:5", "5"), ("DATE", "date:2024-02-29", "2024-02-29")],
)
def test_a_parameter_has_the_type_that_it_is_cast_to(jdbc, kind, parameter, text):
    assert jdbc.rows("prepared", f"SELECT CAST(? AS {kind}) AS a", parameter) == [[text]]
