"""SQL in process (`atlas query`) and through ADBC: the same answers, and the browse calls that tools make."""

import csv
import io
import json
import re

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import numpy as np
import pandas
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from arrow_cells import by_dataset
from fleet import CASTS, DEPTHS, TIMES, cast_name

WARMEST = 'SELECT dataset, stat_max("TEMP") AS t FROM datasets WHERE stat_max("TEMP") > 28 ORDER BY t DESC LIMIT 5'


# Real data


def test_warmest_casts_are_the_same_in_process_through_adbc_and_in_the_files(atlas, argo, argo_store, real_server):
    through_adbc = warmest(real_server.sql(WARMEST).to_pylist())
    assert len(through_adbc) == 5
    assert warmest(json.loads(atlas("query", argo_store, WARMEST, "--format", "json"))) == through_adbc
    as_csv = io.StringIO(atlas("query", argo_store, WARMEST, "--format", "csv"))
    assert warmest(csv.DictReader(as_csv)) == through_adbc
    highest = {dataset: values.valid.max() for dataset, values in argo.variables["TEMP"].items() if values.valid.size}
    best = sorted((t for t in highest.values() if t > 28), reverse=True)[:5]
    assert [t for _, t in through_adbc] == best
    assert all(highest[dataset] == t for dataset, t in through_adbc)


def warmest(rows) -> list[tuple[str, np.float32]]:
    """The answer's rows; text formats write a float32 with the digits that identify it."""
    return [(row["dataset"], np.float32(row["t"])) for row in rows]


def test_explain_of_it_reads_no_chunk(atlas, argo_store, real_server):
    in_process = atlas("query", argo_store, "EXPLAIN " + WARMEST)
    through_adbc = "\n".join(str(row) for row in real_server.sql("EXPLAIN " + WARMEST)["plan"].to_pylist())
    for plan in (in_process, through_adbc):
        assert_reads_nothing(plan)
        considered, left = map(int, re.search(r"datasets=(\d+)→(\d+)", plan).groups())
        assert considered == 191 and left < 191, plan


def assert_reads_nothing(plan: str) -> None:
    assert re.search(r"chunks=\d+→0, bytes=0\b", plan), plan


def test_slice_of_real_temperature_equals_xarray(argo, real_server):
    table = real_server.sql(
        'SELECT dataset, slice("TEMP", [0, 0], [1, 20]) AS top FROM datasets WHERE shape("TEMP")[2] >= 20'
    )
    deep = {dataset: values for dataset, values in argo.variables["TEMP"].items() if values.shape[1] >= 20}
    found = by_dataset(table, "top")
    assert set(found) == set(deep)
    for dataset, values in deep.items():
        expected = np.where(values.missing, np.nan, values.values)[:, :20]
        np.testing.assert_array_equal(found[dataset].reshape(1, 20), expected)


# The same in process and through ADBC

QUERIES = [
    "SELECT count(*) AS n FROM datasets",
    "SELECT dataset, station, month, depth_offset, cruise FROM datasets ORDER BY dataset",
    "SELECT station, count(*) AS n, avg(month) AS m FROM catalog GROUP BY station ORDER BY station",
    "SELECT dataset, temperature_max, temperature_mean, temperature_null_count FROM catalog ORDER BY dataset DESC",
    "SELECT dataset, stat_mean(temperature) AS m FROM datasets WHERE month BETWEEN 2 AND 4 ORDER BY m",
    "SELECT dataset, shape(profile) AS s, dims(temperature) AS d FROM datasets ORDER BY dataset",
    "SELECT dataset, element(temperature, 0, 0) AS t FROM datasets WHERE element(temperature, 0, 0) > 15 ORDER BY 1",
    "SELECT dataset FROM datasets WHERE stat_min(salinity) IS NULL ORDER BY dataset",
    "SELECT array, count(*) AS n, sum(null_count) AS nulls FROM arrays GROUP BY array ORDER BY array",
    "WITH warm AS (SELECT dataset, stat_max(temperature) AS t FROM datasets) SELECT a.dataset, b.t FROM warm a "
    "JOIN warm b ON a.dataset = b.dataset WHERE b.t > 18 ORDER BY a.dataset",
    "SELECT dataset, stat_max(time) AS t FROM datasets ORDER BY t LIMIT 3",
    "SELECT 1 AS a, 'x' AS b, CAST(NULL AS BIGINT) AS c",
]


@pytest.mark.parametrize("query", QUERIES)
def test_answers_in_process_and_through_adbc_are_equal(atlas, fleet_store, fleet_server, query):
    in_process = atlas.arrow(fleet_store, query)
    through_adbc = fleet_server.sql(query)
    assert in_process.num_rows > 0
    assert through_adbc.column_names == in_process.column_names
    assert through_adbc.to_pydict() == in_process.to_pydict()


def test_every_output_format_says_the_same(atlas, fleet_store, tmp_path):
    query = "SELECT dataset, month, stat_max(temperature) AS t FROM datasets WHERE month < 4 ORDER BY dataset"
    expected = atlas.arrow(fleet_store, query).to_pylist()
    assert len(expected) == 6
    assert json.loads(atlas("query", fleet_store, query, "--format", "json")) == expected
    as_csv = pa.csv.read_csv(io.BytesIO(atlas("query", fleet_store, query, "--format", "csv").encode()))
    assert as_csv.to_pylist() == [row | {"t": pytest.approx(row["t"])} for row in expected]
    atlas("query", fleet_store, query, "--format", "parquet", "-o", tmp_path / "t.parquet")
    assert pa.parquet.read_table(tmp_path / "t.parquet").to_pylist() == expected
    table = atlas("query", fleet_store, query)
    assert "cast_000" in table and "month" in table


def test_arrays_in_sql_equal_xarray(fleet, fleet_server):
    table = fleet_server.sql("SELECT dataset, temperature, slice(temperature, [1, 2], [3, 2]) AS part FROM datasets")
    whole, part = by_dataset(table, "temperature"), by_dataset(table, "part")
    for dataset, values in fleet.variables["temperature"].items():
        cells = np.where(values.missing, np.float32(np.nan), values.values)
        np.testing.assert_array_equal(whole[dataset].reshape(DEPTHS, TIMES), cells)
        np.testing.assert_array_equal(part[dataset].reshape(3, 2), cells[1:4, 2:4])


def test_statistics_equal_the_cells(fleet, fleet_server):
    found = fleet_server.sql(
        "SELECT dataset, stat_min(temperature) AS lowest, stat_max(temperature) AS highest, "
        "stat_mean(temperature) AS mean, stat_null_count(temperature) AS nulls, stat_row_count(temperature) AS cells "
        "FROM datasets"
    ).to_pylist()
    for row in found:
        values = fleet.variables["temperature"][row["dataset"]]
        assert (row["lowest"], row["highest"]) == (values.valid.min(), values.valid.max())
        assert row["mean"] == pytest.approx(values.valid.astype("f8").mean(), rel=1e-12)
        assert (row["nulls"], row["cells"]) == (values.missing.sum(), DEPTHS * TIMES)


# EXPLAIN


@pytest.mark.parametrize(
    "query",
    [
        "SELECT dataset, station FROM datasets WHERE month = 3",
        "SELECT dataset FROM datasets WHERE stat_max(temperature) > 15 AND NOT station = 'S01'",
        "SELECT * FROM catalog WHERE temperature_max > 15",
        "SELECT * FROM arrays",
        "SELECT count(*) FROM datasets",
        "SELECT dataset, shape(temperature), dims(temperature) FROM datasets",
    ],
)
def test_what_the_catalog_answers_reads_no_chunk(fleet_server, query):
    plan = "\n".join(fleet_server.sql("EXPLAIN " + query)["plan"].to_pylist())
    scans = [line for line in plan.splitlines() if "AtlasScanExec" in line]
    assert scans or "count(*)" in query
    for scan in scans:
        assert_reads_nothing(scan)


def test_explain_counts_the_datasets_and_chunks_that_are_left(fleet_server):
    query = "SELECT slice(temperature, [0,0], [1,1]) FROM datasets WHERE month = 3"
    plan = "\n".join(fleet_server.sql("EXPLAIN " + query)["plan"].to_pylist())
    assert re.search(rf"datasets={CASTS}→2\b", plan), plan
    chunks = re.search(r"chunks=(\d+)→(\d+)", plan)
    assert chunks.groups() == (str(CASTS), "2"), plan
    assert int(re.search(r"bytes=(\d+)", plan).group(1)) > 0, plan


# Parameters and prepared statements


@pytest.mark.parametrize(
    ("query", "parameters", "expected"),
    [
        ("SELECT dataset FROM datasets WHERE month = ? ORDER BY 1", (3,), ["cast_002", "cast_014"]),
        ("SELECT dataset FROM datasets WHERE month = $1 ORDER BY 1", (3,), ["cast_002", "cast_014"]),
        ("SELECT dataset FROM datasets WHERE station = ? AND month < ? ORDER BY 1", ("S01", 3), ["cast_001"]),
        ("SELECT dataset FROM datasets WHERE station = $2 AND month < $1 ORDER BY 1", (3, "S01"), ["cast_001"]),
        ("SELECT dataset FROM datasets WHERE stat_max(temperature) > ? ORDER BY 1", (21.0,), ["cast_023"]),
        ("SELECT dataset FROM datasets WHERE station = '?' OR dataset = ?", ("cast_004",), ["cast_004"]),
    ],
)
def test_parameters_are_bound_by_position(fleet_server, query, parameters, expected):
    assert fleet_server.sql(query, parameters).column(0).to_pylist() == expected


def test_more_than_ten_parameters_keep_their_order(fleet_server):
    query = "SELECT " + ", ".join("CAST(? AS BIGINT) AS c" + str(i) for i in range(12))
    row = fleet_server.sql(query, tuple(range(100, 112))).to_pylist()[0]
    assert list(row.values()) == list(range(100, 112))


def test_a_prepared_statement_is_executed_again_with_other_parameters(fleet_server):
    with fleet_server.adbc() as connection, connection.cursor() as cursor:
        for month, expected in [(1, 2), (2, 2), (99, 0), (3, 2)]:
            cursor.execute("SELECT dataset FROM datasets WHERE month = ?", (month,))
            assert len(cursor.fetchall()) == expected


def test_adbc_prepare_tells_the_parameters(fleet_server):
    with fleet_server.adbc() as connection, connection.cursor() as cursor:
        schema = cursor.adbc_prepare("SELECT dataset FROM datasets WHERE month = ? AND station = ?")
        assert schema is None or len(schema) == 2


def test_several_statements_are_open_at_once(fleet_server):
    with fleet_server.adbc() as connection:
        cursors = [connection.cursor() for _ in range(3)]
        for number, cursor in enumerate(cursors):
            cursor.execute("SELECT dataset FROM datasets WHERE dataset = ?", (cast_name(number),))
        assert [cursor.fetchone()[0] for cursor in reversed(cursors)] == [cast_name(2), cast_name(1), cast_name(0)]
        for cursor in cursors:
            cursor.close()


def test_wrong_number_of_parameters_is_refused(fleet_server):
    with pytest.raises(adbc_driver_manager.Error):
        fleet_server.sql("SELECT dataset FROM datasets WHERE month = ? AND station = ?", (3,))


# Empty results


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM datasets WHERE month = 99",
        "SELECT dataset, temperature FROM datasets LIMIT 0",
        "SELECT * FROM catalog WHERE 1 = 0",
        "SELECT * FROM arrays WHERE array = 'nothing'",
    ],
)
def test_an_empty_answer_has_the_schema_of_a_full_one(fleet_server, query):
    empty = fleet_server.sql(query)
    full = fleet_server.sql(query.split(" WHERE")[0].split(" LIMIT")[0])
    assert empty.num_rows == 0 and full.num_rows > 0
    assert empty.column_names == full.column_names


# Browsing


def objects(connection, depth, **filters) -> list[dict]:
    return connection.adbc_get_objects(depth=depth, **filters).read_all().to_pylist()


def test_get_objects_at_every_depth(fleet_server, fleet):
    with fleet_server.adbc() as connection:
        for depth in ("catalogs", "db_schemas", "tables", "all"):
            catalogs = objects(connection, depth)
            assert [catalog["catalog_name"] for catalog in catalogs] == ["atlas"]
            schemas = {schema["db_schema_name"]: schema for schema in catalogs[0]["catalog_db_schemas"] or []}
            if depth == "catalogs":
                continue
            assert "fleet" in schemas
            tables = {table["table_name"]: table for table in schemas["fleet"]["db_schema_tables"] or []}
            if depth == "db_schemas":
                continue
            assert {"datasets", "catalog", "arrays"} <= set(tables)
            if depth == "all":
                columns = [column["column_name"] for column in tables["datasets"]["table_columns"]]
                assert columns[0] == "dataset" and {"station", "month", "temperature"} <= set(columns)
                assert set(fleet.variables) <= set(columns)


def test_get_objects_filters(fleet_server):
    with fleet_server.adbc() as connection:

        def tables(**filters):
            return [
                table["table_name"]
                for catalog in objects(connection, "tables", **filters)
                for schema in catalog["catalog_db_schemas"] or []
                for table in schema["db_schema_tables"] or []
            ]

        assert tables(table_name_filter="cat%") == ["catalog"]
        assert tables(table_name_filter="cat_log") == ["catalog"]
        assert tables(db_schema_filter="nowhere") == []
        assert tables(catalog_filter="nowhere") == []
        assert tables(table_name_filter="SELECT dataset FROM datasets") == []
        assert "datasets" in tables(catalog_filter="atlas", db_schema_filter="fleet")
        assert "datasets" in tables(table_types_filter=["table"], db_schema_filter="fleet")
        assert tables(table_types_filter=["SYNONYM"]) == []


def test_table_types(fleet_server):
    with fleet_server.adbc() as connection:
        types = connection.adbc_get_table_types()
    assert "BASE TABLE" in types or "TABLE" in types


@pytest.mark.parametrize("table", ["datasets", "catalog", "arrays"])
def test_table_schema_is_that_of_select_star(fleet_server, table):
    with fleet_server.adbc() as connection:
        schema = connection.adbc_get_table_schema(table, db_schema_filter="fleet")
    answer = fleet_server.sql(f"SELECT * FROM {table}").schema
    assert [(field.name, field.type) for field in schema] == [(field.name, field.type) for field in answer]


def test_table_schema_of_no_table_is_not_found(fleet_server):
    with fleet_server.adbc() as connection, pytest.raises(adbc_driver_manager.Error) as caught:
        connection.adbc_get_table_schema("nothing", db_schema_filter="fleet")
    assert caught.value.status_code == adbc_driver_manager.AdbcStatusCode.NOT_FOUND


def test_get_info_names_the_server(fleet_server):
    with fleet_server.adbc() as connection:
        info = connection.adbc_get_info()
    assert "atlas" in info["vendor_name"].lower() and info["vendor_version"]


def test_execute_schema(fleet_server):
    with fleet_server.adbc() as connection, connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema("SELECT dataset, month FROM datasets")
    assert schema.names == ["dataset", "month"]


def test_autocommit_is_how_it_connects_without_a_warning(fleet_server, recwarn):
    with adbc_driver_flightsql.dbapi.connect(fleet_server.uri, autocommit=True) as connection:
        connection.cursor().execute("SELECT 1").close()
    assert not [warning for warning in recwarn if "autocommit" in str(warning.message)]


def test_a_user_name_is_accepted_where_there_are_no_users(fleet_server):
    with (
        adbc_driver_flightsql.dbapi.connect(
            fleet_server.uri, db_kwargs={"username": "me", "password": "p:w"}, autocommit=True
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT count(*) FROM datasets")
        assert cursor.fetchone() == (CASTS,)


def test_information_schema(fleet_server):
    names = fleet_server.sql(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'fleet' ORDER BY table_name"
    )
    assert {"arrays", "catalog", "datasets"} <= set(names["table_name"].to_pylist())


def test_stores_are_schemas_and_the_first_is_the_default(real_server):
    assert real_server.sql("SELECT count(*) AS n FROM gridded.datasets")["n"].to_pylist() == [2]
    assert real_server.sql("SELECT count(*) AS n FROM datasets")["n"].to_pylist() == [191]
    assert real_server.sql("SELECT count(*) AS n FROM atlas.argo.datasets")["n"].to_pylist() == [191]


# pandas


def test_pandas_reads_sql_through_adbc(fleet_server):
    with fleet_server.adbc() as connection:
        frame = pandas.read_sql(
            "SELECT dataset, month, stat_max(temperature) AS t FROM datasets ORDER BY 1", connection
        )
    assert list(frame.columns) == ["dataset", "month", "t"] and len(frame) == CASTS
    np.testing.assert_array_equal(frame["t"], 10 + np.arange(CASTS) / 2)


# Errors

INVALID = adbc_driver_manager.AdbcStatusCode.INVALID_ARGUMENT
NOT_FOUND = adbc_driver_manager.AdbcStatusCode.NOT_FOUND
DENIED = adbc_driver_manager.AdbcStatusCode.UNAUTHORIZED
"""gRPC's PERMISSION_DENIED."""

BAD_SQL = [
    ("SELEC 1", {INVALID}, "SELEC"),
    ("SELECT", {INVALID}, "."),
    ("SELECT nothing FROM datasets", {INVALID, NOT_FOUND}, "nothing"),
    ("SELECT * FROM nothing", {INVALID, NOT_FOUND}, "nothing"),
    ("SELECT no_function(dataset) FROM datasets", {INVALID, NOT_FOUND}, "no_function"),
    ("SELECT slice(temperature, [0], [1]) FROM datasets", {INVALID}, "temperature"),
    ("SELECT slice(temperature, [0, 0], [11, 1]) FROM datasets", {INVALID}, "temperature"),
    ("SELECT slice(temperature, [9, 0], [2, 1]) FROM datasets", {INVALID}, "temperature"),
    ("SELECT slice(temperature, [-1, 0], [1, 1]) FROM datasets", {INVALID}, "temperature|negative|-1"),
    (f"SELECT slice(temperature, [{2**63 - 1}, 0], [{2**63 - 1}, 1]) FROM datasets", {INVALID}, "temperature"),
    ("SELECT slice(profile, [0], [6]) FROM datasets", {INVALID}, "profile"),
    ("SELECT element(temperature, 0) FROM datasets", {INVALID}, "temperature"),
    ("SELECT element(temperature, 10, 0) FROM datasets", {INVALID}, "temperature"),
    ("SELECT stat_max(station) FROM datasets", {INVALID}, "station"),
    ("SELECT stat_max(dataset) FROM datasets", {INVALID}, "dataset"),
    ("SELECT month / 'x' FROM datasets", {INVALID}, "."),
    ("DROP TABLE datasets", {DENIED}, "."),
    ("CREATE TABLE x AS VALUES (1)", {DENIED}, "."),
    ("INSERT INTO datasets VALUES ('x')", {DENIED}, "."),
    ("COPY (VALUES (1)) TO '/tmp/atlas-must-not-exist.csv'", {DENIED}, "."),
    (
        "CREATE EXTERNAL TABLE passwd STORED AS CSV LOCATION '/etc/passwd'",
        {DENIED},
        ".",
    ),
    ("SELECT * FROM '/etc/passwd'", {INVALID, NOT_FOUND}, "."),
    ("SET datafusion.execution.batch_size = 1", {DENIED}, "."),
]


@pytest.mark.parametrize(("query", "statuses", "names"), BAD_SQL)
def test_bad_sql_has_the_right_status_and_one_clear_message(fleet_server, query, statuses, names):
    with pytest.raises(adbc_driver_manager.Error, match=names) as caught:
        fleet_server.sql(query)
    assert caught.value.status_code in statuses, caught.value
    message = str(caught.value)
    assert len(message) < 4096 and "panicked" not in message and ".rs:" not in message
    assert fleet_server.sql("SELECT 1 AS one").to_pylist() == [{"one": 1}]


@pytest.mark.parametrize(
    ("query", "names"), [(query, names) for query, statuses, names in BAD_SQL if "SELECT" in query]
)
def test_bad_sql_in_process_is_one_line(atlas, fleet_store, query, names):
    assert re.search(names, atlas.error("query", fleet_store, query))


@pytest.mark.parametrize("array_format", ["tensor", "nested", "json", "omit"])
def test_array_columns_come_in_the_format_that_is_asked_for(fleet_server, array_format):
    header = {"adbc.flight.sql.rpc.call_header.array_format": array_format}
    query = "SELECT dataset, slice(temperature, [0, 0], [2, 3]) AS top, shape(temperature) AS shape, 1 AS one FROM datasets ORDER BY dataset LIMIT 3"
    expected = [np.asarray(top, dtype="f4").reshape(2, 3).tolist() for top in fleet_server.sql(query)["top"].to_pylist()]
    with adbc_driver_flightsql.dbapi.connect(fleet_server.uri, db_kwargs=header, autocommit=True) as connection:
        with connection.cursor() as cursor:
            cursor.execute(query)
            table = cursor.fetch_arrow_table()
            announced = cursor.adbc_execute_schema(query)
            columns = connection.adbc_get_table_schema("datasets").names
    assert table.schema.equals(announced)
    if array_format == "omit":
        assert table.column_names == ["dataset", "one"] and "temperature" not in columns
        return
    assert table.column_names == ["dataset", "top", "shape", "one"] and "temperature" in columns
    tops = table["top"].to_pylist()
    if array_format == "json":
        tops = [json.loads(top) for top in tops]
    assert [np.asarray(top, dtype="f4").reshape(2, 3).tolist() for top in tops] == expected


def test_an_unknown_array_format_is_refused(fleet_server):
    header = {"adbc.flight.sql.rpc.call_header.array_format": "flat"}
    with adbc_driver_flightsql.dbapi.connect(fleet_server.uri, db_kwargs=header, autocommit=True) as connection:
        with connection.cursor() as cursor, pytest.raises(adbc_driver_manager.Error, match="array_format"):
            cursor.execute("SELECT 1")
