"""arrow-rs's own command line, `flight_sql_client`: every one of its commands against a server.

It is taken from ATLAS_FLIGHT_SQL_CLIENT, else from PATH; README.md says how to get it.
"""

import os
import shutil
import subprocess

import pytest

COMMAND_SECONDS = 60


@pytest.fixture(scope="module")
def binary() -> str:
    named = os.environ.get("ATLAS_FLIGHT_SQL_CLIENT")
    if named:
        assert os.access(named, os.X_OK), f"ATLAS_FLIGHT_SQL_CLIENT={named} is not an executable file"
        return named
    found = shutil.which("flight_sql_client")
    if not found:
        pytest.skip("flight_sql_client is missing: set ATLAS_FLIGHT_SQL_CLIENT (tests/clients/README.md says how to get it)")
    return found


@pytest.fixture
def run(binary, fleet_server):
    def run(*arguments, options=(), port=None) -> subprocess.CompletedProcess:
        server = ["--host", "127.0.0.1", "--port", str(port or fleet_server.port)]
        return subprocess.run(
            [binary, *server, *options, *arguments], capture_output=True, text=True, timeout=COMMAND_SECONDS
        )

    return run


@pytest.fixture
def rows(run):
    def rows(*arguments, **more) -> list[list[str]]:
        """The rows of the table that a command prints, its header first."""
        done = run(*arguments, **more)
        assert done.returncode == 0, done.stderr
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if line[:1] == "|"]

    return rows


def test_it_browses(rows):
    assert rows("catalogs") == [["catalog_name"], ["atlas"]]
    schemas = [row[1] for row in rows("db-schemas", "atlas")[1:]]
    assert "fleet" in schemas
    assert [row[1] for row in rows("db-schemas", "atlas", "--db-schema-filter", "fl%")[1:]] == ["fleet"]
    assert rows("table-types") == [["table_type"], ["TABLE"]]
    tables = [row[2] for row in rows("tables", "atlas", "--db-schema-filter", "fleet")[1:]]
    assert {"datasets", "catalog", "arrays", "attributes", "chunks"} <= set(tables)
    assert [row[2] for row in rows("tables", "atlas", "--table-filter", "data%", "--table-types", "TABLE")[1:]] == ["datasets"]


def test_it_queries(rows, fleet_files):
    casts = len(list(fleet_files.glob("*.nc")))
    assert rows("statement-query", "SELECT count(*) AS casts FROM datasets") == [["casts"], [str(casts)]]
    assert rows("statement-query", "SELECT dataset FROM datasets WHERE 1 = 0") == [["dataset"]] or casts == 0


def test_it_binds_parameters(rows):
    expected = rows("statement-query", "SELECT dataset FROM datasets ORDER BY dataset LIMIT 1")[1]
    prepared = "SELECT dataset FROM datasets WHERE dataset = $1 AND 1 < $2"
    assert rows("prepared-statement-query", prepared, "-p", f"$1={expected[0]}", "-p", "$2=7")[1:] == [expected]
    assert rows("prepared-statement-query", "SELECT 1 + 1 AS two") == [["two"], ["2"]]


def test_it_shows_what_is_wrong(run):
    done = run("statement-query", "SELECT nothing FROM datasets")
    assert done.returncode != 0 and "nothing" in done.stderr
    done = run("statement-query", "DROP TABLE datasets")
    assert done.returncode != 0 and "only reads" in done.stderr


def test_it_asks_for_compressed_answers(rows):
    compressed = ["--accept-compression", "gzip"]
    assert rows("statement-query", "SELECT 1 AS one", options=compressed) == [["one"], ["1"]]
