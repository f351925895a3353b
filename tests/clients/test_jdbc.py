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
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        assert self.process.wait(timeout=30) == 0


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
