"""Tools that reach the server through ADBC or Flight SQL of their own: polars, DuckDB, flightsql-dbapi and SQLAlchemy."""

import json

import duckdb
import flightsql
import flightsql.sqlalchemy
import polars
import pytest
import sqlalchemy

CATALOG = "SELECT dataset, month, temperature_max FROM catalog WHERE month > 3 ORDER BY dataset"


@pytest.fixture(scope="module")
def expected(atlas, fleet_store):
    return [tuple(row.values()) for row in json.loads(atlas("query", fleet_store, CATALOG, "--format", "json"))]


def test_polars_reads_a_query_and_tensors(fleet_server, expected):
    with fleet_server.adbc() as connection:
        frame = polars.read_database(CATALOG, connection)
        assert frame.columns == ["dataset", "month", "temperature_max"]
        assert [(name, month, pytest.approx(t)) for name, month, t in expected] == frame.rows()
        slices = polars.read_database(
            "SELECT slice(temperature, [0, 0], [1, 3]) AS top FROM datasets WHERE temperature IS NOT NULL", connection
        )
    assert len(slices) > 0 and all(len(row) == 3 for (row,) in slices.rows())


def test_duckdb_queries_what_a_query_gave(fleet_server, expected):
    casts = fleet_server.sql(CATALOG)
    warmest = duckdb.sql("SELECT month, count(*), max(temperature_max) FROM casts GROUP BY month ORDER BY month")
    months = sorted({month for _, month, _ in expected})
    for (month, count, t), own in zip(warmest.fetchall(), months, strict=True):
        values = [value for _, other, value in expected if other == own]
        assert (month, count, t) == (own, len(values), pytest.approx(max(values)))
    assert casts.num_rows == len(expected)


@pytest.fixture
def flightsql_client(fleet_server):
    return flightsql.FlightSQLClient(host="127.0.0.1", port=fleet_server.port, insecure=True)


def test_flightsql_dbapi(flightsql_client, expected):
    info = flightsql_client.execute(CATALOG)
    assert len(info.endpoints) == 1
    table = flightsql_client.do_get(info.endpoints[0].ticket).read_all()
    assert [row["dataset"] for row in table.to_pylist()] == [name for name, _, _ in expected]
    with flightsql.connect(flightsql_client) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT dataset FROM catalog WHERE month = ? AND cruise = ? ORDER BY dataset", [5, "south"])
        found = cursor.fetchall()
        cursor.execute("SELECT dataset FROM catalog WHERE month = 5 AND cruise = 'south' ORDER BY dataset")
        assert found == cursor.fetchall() and found


def test_sqlalchemy_browses_and_reads(fleet_server, expected):
    engine = sqlalchemy.create_engine(f"datafusion+flightsql://127.0.0.1:{fleet_server.port}?insecure=True")
    inspector = sqlalchemy.inspect(engine)
    assert inspector.get_schema_names() == ["fleet"]
    tables = inspector.get_table_names(schema="fleet")
    assert {"arrays", "attributes", "catalog", "cells_depth_time", "chunks", "datasets"} <= set(tables)
    assert "temperature_max" in [column["name"] for column in inspector.get_columns("catalog", schema="fleet")]
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text(CATALOG)).fetchall()
    assert [tuple(row) for row in rows] == [(name, month, pytest.approx(t)) for name, month, t in expected]
