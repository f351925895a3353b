"""The ADBC driver, method by method: all that its dbapi offers, each type there and back, and how calls are ended."""

import datetime
import decimal
import uuid
from pathlib import Path

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import numpy as np
import polars
import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcStatusCode

from arrow_cells import identical
from atlas_process import Server
from fleet import CASTS, cast_name

GOLDEN = Path(__file__).parent / "golden" / "v1-auto-json"
"""A store with every dtype, shapes that vary, rank 0 and extent 0, gaps, and attributes of two types."""


@pytest.fixture(scope="module")
def server(atlas, fleet_store):
    with Server(atlas, golden=GOLDEN, fleet=fleet_store) as server:
        yield server


@pytest.fixture
def connection(server):
    with server.adbc() as connection:
        yield connection


@pytest.fixture
def cursor(connection):
    with connection.cursor() as cursor:
        yield cursor


# Columns

TABLES = ["arrays", "attributes", "catalog", "cells", "cells_column", "cells_long", "cells_none", "cells_row_column"]
TABLES += ["cells_x", "chunks", "datasets"]


def test_these_are_all_tables(server):
    found = server.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'golden' ORDER BY 1")
    assert found["table_name"].to_pylist() == TABLES


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_byte_for_byte_that_in_process(atlas, server, table):
    query = f"SELECT * FROM {table}"
    found, expected = server.sql(query), atlas.arrow(GOLDEN, query)
    assert found.schema.equals(expected.schema, check_metadata=True)
    assert identical(found, expected)


CASTS_OF = {
    "Boolean": "true",
    "Int8": "-128",
    "Int16": "-32768",
    "Int32": "7",
    "Int64": "9223372036854775807",
    "UInt8": "255",
    "UInt16": "65535",
    "UInt32": "4294967295",
    "UInt64": "18446744073709551615",
    "Float32": "0.1",
    "Float64": "0.1",
    "Utf8": "'é'",
    "LargeUtf8": "'é'",
    "Binary": "X'00ff'",
    "LargeBinary": "X'00ff'",
    "Date32": "'2024-02-29'",
    "Date64": "'2024-02-29'",
    "Time32(s)": "'01:02:03'",
    "Time32(ms)": "'01:02:03.004'",
    "Time64(µs)": "'01:02:03.004005'",
    "Time64(ns)": "'01:02:03.004005006'",
    "Timestamp(s)": "'2024-02-29T01:02:03'",
    "Timestamp(ms)": "'2024-02-29T01:02:03.004'",
    "Timestamp(µs)": "'1600-02-29T01:02:03.004005'",
    "Timestamp(ns)": "'2024-02-29T01:02:03.004005006'",
    'Timestamp(ns, "UTC")': "'2024-02-29T01:02:03'",
    "Duration(s)": "5",
    "Duration(ns)": "5",
    "Decimal128(38, 10)": "'1234567890.0123456789'",
    "Decimal256(50, 3)": "'-1.234'",
    "List(Int64)": "[1, NULL, 3]",
    "LargeList(Int64)": "[1, NULL, 3]",
    "FixedSizeList(2 x Int8)": "[1, 2]",
}


@pytest.mark.parametrize("data_type", CASTS_OF)
def test_every_type_of_sql_comes_as_in_process(atlas, server, data_type):
    value = f"arrow_cast({CASTS_OF[data_type]}, '{data_type}')"
    nothing = f"arrow_cast(NULL, '{data_type}')"
    query = f"SELECT {value} AS value, {nothing} AS nothing, [{value}] AS list, struct({value} AS a, 1 AS b) AS struct"
    found, expected = server.sql(query), atlas.arrow(GOLDEN, query)
    assert found.schema.types == expected.schema.types and found.to_pydict() == expected.to_pydict()
    assert found["nothing"].null_count == 1 and found["value"].null_count == 0
    assert found.schema.field("value").type == found.schema.field("nothing").type


# Parameters


def arrays() -> dict[str, pa.Array]:
    """A value of each type that pyarrow can send."""
    integers = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
    found = {str(kind): pa.array([100], kind) for kind in integers}
    found |= {str(kind): pa.array([1.5], pa.float16()).cast(kind) for kind in (pa.float32(), pa.float64())}
    found |= {
        str(kind): pa.array([decimal.Decimal("12.50")], kind) for kind in (pa.decimal128(5, 2), pa.decimal256(50, 2))
    }
    for unit in ("s", "ms", "us", "ns"):
        for zone in (None, "UTC", "Europe/Berlin", "+05:30"):
            found[f"timestamp {unit} {zone}"] = pa.array([1_700_000_000], pa.timestamp(unit, zone))
        found[f"duration {unit}"] = pa.array([5], pa.duration(unit))
        width = 32 if unit in ("s", "ms") else 64
        kind = pa.time32(unit) if width == 32 else pa.time64(unit)
        found[f"time {unit}"] = pa.array([5], pa.int32() if width == 32 else pa.int64()).cast(kind)
    day = [datetime.date(2024, 2, 29)]
    return found | {
        "bool": pa.array([True]),
        "string": pa.array(["Ærø 深い海 '\"\\"]),
        "empty string": pa.array([""]),
        "large string": pa.array(["x"], pa.large_string()),
        "binary": pa.array([b"\x00\xff"]),
        "large binary": pa.array([b"\x00\xff"], pa.large_binary()),
        "fixed size binary": pa.array([b"ab"], pa.binary(2)),
        "date32": pa.array(day),
        "date64": pa.array(day, pa.date64()),
        "untyped null": pa.nulls(1),
        "interval": pa.array([pa.MonthDayNano([1, 2, 3])]),
        "list": pa.array([[1, None, 3]]),
        "large list": pa.array([[1, 2]], pa.large_list(pa.int32())),
        "fixed size list": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)),
        "list of lists": pa.array([[["a"], [], None]]),
        "struct": pa.array([{"a": 1, "b": "x"}]),
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
    }


ARRAYS = arrays()
CAST = {
    "halffloat": (pa.array([1.5], pa.float16()), pa.float32()),
    "decimal32": (pa.array([decimal.Decimal("12.50")], pa.decimal32(5, 2)), pa.decimal128(5, 2)),
    "decimal64": (pa.array([decimal.Decimal("12.50")], pa.decimal64(12, 2)), pa.decimal128(12, 2)),
    "string view": (pa.array(["longer than what is inlined"], pa.string_view()), pa.string()),
    "binary view": (pa.array([b"longer than what is inlined"], pa.binary_view()), pa.binary()),
    "list view": (pa.array([[1, 2]], pa.list_view(pa.int8())), pa.list_(pa.int8())),
    "dictionary of strings": (pa.array(["x"]).dictionary_encode(), pa.string()),
    "dictionary of numbers": (pa.array([7]).dictionary_encode(), pa.int64()),
    "run ends": (pa.RunEndEncodedArray.from_arrays([1], ["x"]), pa.string()),
}
"""What comes back as another type, which every client reads."""


def bound(cursor, query: str, *columns: pa.Array) -> pa.Table:
    """The answer with parameters as Arrow arrays."""
    names = [str(at) for at in range(len(columns))]
    cursor.execute(query, pa.record_batch(list(columns), names=names))
    return cursor.fetch_arrow_table()


@pytest.mark.parametrize("name", ARRAYS)
def test_a_parameter_of_every_type_comes_back(cursor, name):
    column = ARRAYS[name]
    found = bound(cursor, "SELECT ? AS a", column)
    assert found.schema.field("a").type == column.type
    assert found["a"].combine_chunks().equals(column)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_null_of_every_type_is_null(cursor, name):
    kind = ARRAYS[name].type
    found = bound(cursor, "SELECT $1 AS a, $1 IS NULL AS nothing", pa.nulls(1, kind))
    assert found.schema.field("a").type == kind and found.to_pydict() == {"a": [None], "nothing": [True]}


@pytest.mark.parametrize("name", CAST)
def test_parameters_of_rare_types_come_back_in_a_common_one(cursor, name):
    column, kind = CAST[name]
    found = bound(cursor, "SELECT ? AS a", column)
    assert found.schema.field("a").type == kind and found["a"].to_pylist() == column.to_pylist()


@pytest.mark.parametrize(
    "value",
    [
        0,
        -(2**63),
        2**63 - 1,
        1.5,
        float("inf"),
        True,
        None,
        "é",
        "",
        b"\x00",
        datetime.date(1600, 2, 29),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
        datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
        datetime.time(1, 2, 3, 4),
        datetime.timedelta(days=-1, microseconds=1),
        decimal.Decimal("-1.250"),
        [1, 2],
        {"a": 1},
        np.float32(0.1),
        np.int16(-3),
    ],
    ids=repr,
)
def test_a_python_object_comes_back(cursor, value):
    cursor.execute("SELECT ? AS a", (value,))
    assert cursor.fetchall() == [(value,)]


def test_a_uuid_is_its_bytes(cursor):
    value = uuid.UUID(int=2**100)
    cursor.execute("SELECT ? AS a", (value,))
    assert cursor.fetchone() == (value.bytes,)


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32"])
def test_numbers_of_every_width_compare_with_a_column(cursor, kind):
    found = bound(cursor, "SELECT dataset FROM fleet.catalog WHERE month = ? ORDER BY 1", pa.array([3], kind))
    assert found["dataset"].to_pylist() == [cast_name(2), cast_name(14)]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_texts_of_every_type_compare_with_a_column(cursor, kind):
    found = bound(cursor, "SELECT month FROM fleet.datasets WHERE dataset = ?", pa.array([cast_name(2)]).cast(kind))
    assert found["month"].to_pylist() == [3]


def test_times_of_every_unit_compare_with_a_statistic(cursor):
    cursor.execute("SELECT dataset FROM golden.datasets WHERE stat_max(time) >= TIMESTAMP '2024-01-08T12:00:00' ORDER BY 1")
    expected = cursor.fetchall()
    assert 0 < len(expected) < 3
    noon = datetime.datetime(2024, 1, 8, 12)
    for unit in ("s", "ms", "us", "ns"):
        column = pa.array([noon], pa.timestamp(unit))
        found = bound(cursor, "SELECT dataset FROM golden.datasets WHERE stat_max(time) >= ? ORDER BY 1", column)
        assert [tuple(row.values()) for row in found.to_pylist()] == expected, unit


def test_many_parameters_are_bound_by_position(cursor):
    count = 120
    cursor.execute("SELECT " + ", ".join(f"? AS c{at}" for at in range(count)), list(range(count)))
    assert cursor.fetchall() == [tuple(range(count))]


def test_a_numbered_parameter_may_come_twice(cursor):
    cursor.execute("SELECT $2 AS a, $1 AS b, $2 AS c", (1, "x"))
    assert cursor.fetchall() == [("x", 1, "x")]


@pytest.mark.parametrize("rows", [0, 2, 100])
def test_a_query_takes_one_row_of_parameters(cursor, rows):
    with pytest.raises(adbc_driver_manager.Error) as caught:
        bound(cursor, "SELECT ? AS a", pa.array(range(rows), pa.int64()))
    assert caught.value.status_code == AdbcStatusCode.INVALID_ARGUMENT


def test_many_rows_for_a_query_are_refused_and_harm_nothing(cursor):
    with pytest.raises(adbc_driver_manager.Error):
        cursor.executemany("SELECT ? AS a", [(1,), (2,)])
    cursor.execute("SELECT ? AS a", (3,))
    assert cursor.fetchall() == [(3,)]


def test_parameters_that_are_too_large_are_refused_by_name(cursor):
    cursor.execute("SELECT length(?) AS n", ("x" * (1 << 20),))
    assert cursor.fetchone() == (1 << 20,)
    with pytest.raises(adbc_driver_manager.Error, match="(?i)limit|larger|too large"):
        cursor.execute("SELECT length(?) AS n", ("x" * (17 << 20),))


def test_a_parameter_of_the_wrong_type_is_said(cursor):
    with pytest.raises(adbc_driver_manager.Error) as caught:
        cursor.execute("SELECT * FROM fleet.datasets WHERE month = ?", ("not a number",))
        cursor.fetchall()
    assert caught.value.status_code == AdbcStatusCode.INVALID_ARGUMENT


# Statements


def test_prepare_tells_the_types_of_parameters(cursor):
    query = "SELECT dataset FROM fleet.datasets WHERE month = ? AND station = ? AND stat_max(temperature) > ? AND ? IS NULL"
    schema = cursor.adbc_prepare(query)
    assert schema.types == [pa.int64(), pa.string(), pa.float32(), pa.string()]
    assert cursor.adbc_prepare("SELECT 1").names == []


def test_every_way_to_fetch_gives_the_same(cursor):
    query = "SELECT dataset, month, depth_offset FROM fleet.catalog ORDER BY dataset"
    cursor.execute(query)
    expected = cursor.fetch_arrow_table()
    assert expected.num_rows == CASTS

    def fetched(how):
        cursor.execute(query)
        return how()

    assert fetched(lambda: cursor.fetch_record_batch().read_all()).equals(expected)
    assert fetched(lambda: pa.table(cursor.fetch_arrow())).equals(expected)
    assert pa.Table.from_pandas(fetched(cursor.fetch_df), preserve_index=False).to_pydict() == expected.to_pydict()
    assert fetched(cursor.fetch_polars).equals(polars.from_arrow(expected))
    rows = [tuple(row.values()) for row in expected.to_pylist()]
    assert fetched(cursor.fetchall) == rows
    cursor.execute(query)
    assert [cursor.fetchone(), *cursor.fetchmany(5), *cursor] == rows
    assert cursor.fetchone() is None
    assert [column[0] for column in cursor.description] == expected.column_names


def test_partitions_are_read_on_another_connection(server, cursor):
    query = "SELECT dataset FROM fleet.datasets WHERE month = ? ORDER BY 1"
    partitions, schema = cursor.adbc_execute_partitions(query, (3,))
    assert len(partitions) == 1 and schema == pa.schema([pa.field("dataset", pa.string(), nullable=False)])
    with server.adbc() as other, other.cursor() as reader:
        for _ in range(2):
            reader.adbc_read_partition(partitions[0])
            assert reader.fetchall() == [(cast_name(2),), (cast_name(14),)]


def test_incremental_execution_is_complete_at_once(connection):
    with connection.cursor(adbc_stmt_kwargs={"adbc.statement.exec.incremental": "true"}) as cursor:
        query = "SELECT count(*) AS n FROM fleet.datasets"
        partitions, schema = cursor.adbc_execute_partitions(query)
        assert len(partitions) == 1 and schema.names == ["n"]
        assert cursor.adbc_execute_partitions(query)[0] == []
        cursor.adbc_read_partition(partitions[0])
        assert cursor.fetchall() == [(CASTS,)]


@pytest.mark.parametrize("table", TABLES)
def test_execute_schema_is_the_schema_of_the_answer(server, cursor, table):
    query = f"SELECT * FROM golden.{table}"
    assert cursor.adbc_execute_schema(query).equals(server.sql(query).schema, check_metadata=True)


def test_statements_fail_one_by_one(cursor):
    for _ in range(3):
        with pytest.raises(adbc_driver_manager.Error):
            cursor.execute("SELECT nothing")
        cursor.execute("SELECT 1 AS one")
        assert cursor.fetchall() == [(1,)]


# The connection


def test_the_current_catalog_and_schema_are_told_and_fixed(connection):
    assert (connection.adbc_current_catalog, connection.adbc_current_db_schema) == ("atlas", "golden")
    connection.adbc_current_catalog = "atlas"
    connection.adbc_current_db_schema = "golden"
    with pytest.raises(adbc_driver_manager.Error, match="catalog"):
        connection.adbc_current_catalog = "nowhere"
    with pytest.raises(adbc_driver_manager.Error, match="schema"):
        connection.adbc_current_db_schema = "nowhere"


def test_info_is_of_the_server_and_the_driver(connection):
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Atlas" and info["vendor_version"] and info["vendor_arrow_version"]
    assert "Flight SQL" in info["driver_name"]


def test_there_are_tables_only(connection):
    assert connection.adbc_get_table_types() == ["TABLE"]


def test_statistics_are_refused_cleanly(connection):
    for call in (lambda: connection.adbc_get_statistics(), lambda: connection.adbc_get_statistic_names()):
        with pytest.raises(adbc_driver_manager.NotSupportedError):
            call().read_all()


def test_transactions_are_refused_and_a_client_that_wants_them_goes_on(server):
    with pytest.warns(match="(?i)autocommit"):
        connection = adbc_driver_flightsql.dbapi.connect(server.uri)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
        connection.commit()
        connection.rollback()


def objects(connection, depth: str = "all", **filters) -> list[dict]:
    return connection.adbc_get_objects(depth=depth, **filters).read_all().to_pylist()


def tables_of(catalogs: list[dict]) -> dict[str, dict]:
    return {
        f"{schema['db_schema_name']}.{table['table_name']}": table
        for catalog in catalogs
        for schema in catalog["catalog_db_schemas"] or []
        for table in schema["db_schema_tables"] or []
    }


def test_objects_are_told_as_deep_as_is_asked(connection):
    (catalog,) = objects(connection, "catalogs")
    assert catalog == {"catalog_name": "atlas", "catalog_db_schemas": None}
    (catalog,) = objects(connection, "db_schemas")
    schemas = {schema["db_schema_name"]: schema["db_schema_tables"] for schema in catalog["catalog_db_schemas"]}
    assert {"golden": None, "fleet": None}.items() <= schemas.items()
    tables = tables_of(objects(connection, "tables", db_schema_filter="golden"))
    assert sorted(tables) == [f"golden.{table}" for table in TABLES]
    assert all(table["table_type"] == "TABLE" and table["table_columns"] is None for table in tables.values())


def test_objects_have_the_columns_of_select_star(server, connection):
    tables = tables_of(objects(connection, "all", db_schema_filter="golden"))
    assert sorted(tables) == [f"golden.{table}" for table in TABLES]
    for name, table in tables.items():
        answer = server.sql(f"SELECT * FROM {name} LIMIT 0").schema
        columns = table["table_columns"]
        assert [column["column_name"] for column in columns] == answer.names
        assert [column["ordinal_position"] for column in columns] == list(range(1, len(answer) + 1))


@pytest.mark.parametrize(
    "filters, expected",
    [
        ({"table_name_filter": "cells%", "db_schema_filter": "golden"}, [name for name in TABLES if "cells" in name]),
        ({"table_name_filter": "cells_x", "db_schema_filter": "gold_n"}, ["cells_x"]),
        ({"table_name_filter": "CELLS_X", "db_schema_filter": "golden"}, []),
        ({"table_name_filter": "", "db_schema_filter": "golden"}, []),
        ({"table_name_filter": "%", "db_schema_filter": "golden", "catalog_filter": "atlas"}, TABLES),
        ({"table_name_filter": "'; DROP TABLE x", "db_schema_filter": "golden"}, []),
        ({"catalog_filter": "nowhere"}, []),
        ({"db_schema_filter": "nowhere"}, []),
        ({"table_types_filter": ["TABLE"], "db_schema_filter": "golden"}, TABLES),
        ({"table_types_filter": ["VIEW"], "db_schema_filter": "golden"}, []),
    ],
    ids=str,
)
def test_objects_are_filtered(connection, filters, expected):
    found = tables_of(objects(connection, "tables", **filters))
    assert sorted(name.split(".")[1] for name in found) == expected


def test_columns_are_filtered(connection):
    found = tables_of(objects(connection, db_schema_filter="golden", table_name_filter="catalog", column_name_filter="int8%"))
    names = [column["column_name"] for column in found["golden.catalog"]["table_columns"]]
    assert names and all(name.startswith("int8") for name in names)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_schema_is_that_of_select_star(server, connection, table):
    schema = connection.adbc_get_table_schema(table, db_schema_filter="golden")
    assert [(field.name, field.type) for field in schema] == [
        (field.name, field.type) for field in server.sql(f"SELECT * FROM golden.{table}").schema
    ]
