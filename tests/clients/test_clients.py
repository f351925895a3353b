"""Tools that reach the server through ADBC or Flight SQL of their own: polars, DuckDB, flightsql-dbapi and SQLAlchemy."""

import json

import duckdb
import flightsql
import flightsql.sqlalchemy
import pandas
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


def test_pandas_reads_with_arrow_types(fleet_server, atlas, fleet_store):
    with fleet_server.adbc() as connection:
        frame = pandas.read_sql(CATALOG, connection, dtype_backend="pyarrow")
        whole = pandas.read_sql_table("catalog", connection, schema="fleet")
    table = atlas.arrow(fleet_store, CATALOG)
    assert [dtype.pyarrow_dtype for dtype in frame.dtypes] == table.schema.types
    assert frame.to_dict("records") == table.to_pylist()
    assert list(whole.columns) == atlas.arrow(fleet_store, "SELECT * FROM catalog").column_names


def test_polars_binds_parameters_and_reads_in_batches(fleet_server, expected):
    with fleet_server.adbc() as connection:
        query = "SELECT dataset FROM catalog WHERE month > ? ORDER BY dataset"
        frame = polars.read_database(query, connection, execute_options={"parameters": [3]})
        batches = list(polars.read_database(query.replace("?", "3"), connection, iter_batches=True, batch_size=5))
    assert frame["dataset"].to_list() == [name for name, _, _ in expected]
    assert polars.concat(batches).equals(frame)


def test_duckdb_reads_a_stream_and_arrays(fleet_server, atlas, fleet_store):
    ticket = fleet_server.statement_ticket("SELECT value AS n FROM generate_series(1, 100000)")
    with fleet_server.connect() as client:
        reader = client.do_get(ticket).to_reader()
        assert duckdb.sql("SELECT count(*), max(n) FROM reader").fetchall() == [(100_000, 100_000)]
    arrays = fleet_server.sql("SELECT dataset, temperature, shape(profile) AS shape FROM datasets")
    types = duckdb.sql("SELECT DISTINCT typeof(temperature), typeof(shape) FROM arrays").fetchall()
    assert types == [("FLOAT[40]", "BIGINT[]")]
    found = duckdb.sql("SELECT max(list_max(list_filter(temperature::FLOAT[], lambda t: NOT isnan(t)))) FROM arrays").fetchall()
    assert [*found[0]] == atlas.arrow(fleet_store, "SELECT max(temperature_max) AS t FROM catalog")["t"].to_pylist()


@pytest.fixture
def engine(fleet_server):
    return sqlalchemy.create_engine(f"datafusion+flightsql://127.0.0.1:{fleet_server.port}?insecure=True")


def test_sqlalchemy_reflects_a_table_and_queries_it(engine, expected):
    inspector = sqlalchemy.inspect(engine)
    assert inspector.has_table("catalog", schema="fleet") and not inspector.has_table("nothing", schema="fleet")
    table = sqlalchemy.Table("catalog", sqlalchemy.MetaData(), autoload_with=engine, schema="fleet")
    columns = table.c.dataset, table.c.month, table.c.temperature_max
    query = sqlalchemy.select(*columns).where(table.c.month > 3).order_by(table.c.dataset)
    with engine.connect() as connection:
        rows = connection.execute(query).fetchall()
        bound = connection.execute(sqlalchemy.text("SELECT :a AS a").bindparams(a="it's")).fetchall()
    assert [tuple(row) for row in rows] == [(name, month, pytest.approx(t)) for name, month, t in expected]
    assert [tuple(row) for row in bound] == [("it's",)]


@pytest.mark.parametrize("table", ["arrays", "attributes", "catalog", "cells_depth_time", "chunks", "datasets"])
def test_sqlalchemy_tells_the_columns_of_every_table(engine, atlas, fleet_store, table):
    columns = [column["name"] for column in sqlalchemy.inspect(engine).get_columns(table, schema="fleet")]
    assert columns == atlas.arrow(fleet_store, f"SELECT * FROM {table} LIMIT 0").column_names


def test_sqlalchemy_goes_on_after_an_error(engine):
    with engine.connect() as connection:
        with pytest.raises(Exception, match="nothing"):
            connection.execute(sqlalchemy.text("SELECT nothing")).fetchall()
        assert connection.execute(sqlalchemy.text("SELECT 1 AS one")).fetchall() == [(1,)]
