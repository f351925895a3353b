"""Stacked reads and path descriptors by a plain pyarrow Flight client."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

from arrow_cells import by_dataset, identical, stacked
from fleet import CASTS, DEPTHS, TIMES, cast_name
from netcdf_reference import NetcdfReference

WITH_SALINITY = [cast_name(number) for number in range(CASTS) if number % 4 != 3]
LEVELS = 50


def expected_stack(reference: NetcdfReference, array: str, datasets: list[str], region=np.s_[:]) -> np.ndarray:
    """What xarray gives, stacked."""
    return np.stack([reference.variables[array][dataset].values[region] for dataset in datasets])


def assert_same_cells(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


# Real data


@pytest.fixture(scope="module")
def deep_profiles(argo) -> list[str]:
    """Of the casts that have at least 50 levels, those that are warm somewhere."""
    temperature = argo.variables["TEMP"]
    return [
        dataset
        for dataset, values in temperature.items()
        if values.shape[1] >= LEVELS and values.valid.size and values.valid.max() > 10
    ]


WHERE_DEEP = f'shape("TEMP")[2] >= {LEVELS} AND stat_max("TEMP") > 10'


def test_top_levels_of_temperature_and_pressure_are_one_numpy_array(real_server, argo, deep_profiles):
    assert len(deep_profiles) > 50
    table = real_server.stacked("argo", ["TEMP", "PRES"], where=WHERE_DEEP, start=[0, 0], shape=[1, LEVELS])
    names = table["dataset"].to_pylist()
    assert sorted(names) == sorted(deep_profiles)
    for array in ("TEMP", "PRES"):
        cells = stacked(table[array])
        assert cells.dtype == np.float32 and cells.shape == (len(names), 1, LEVELS)
        assert_same_cells(cells, expected_stack(argo, array, names, np.s_[0:1, 0:LEVELS]))


def test_the_same_by_naming_the_datasets_in_any_order(real_server, argo, deep_profiles):
    names = deep_profiles[::-3]
    table = real_server.stacked("argo", ["TEMP"], datasets=names, start=[0, 0], shape=[1, LEVELS])
    assert table["dataset"].to_pylist() == names
    assert_same_cells(stacked(table["TEMP"]), expected_stack(argo, "TEMP", names, np.s_[0:1, 0:LEVELS]))


def test_packed_field_slice_equals_xarray(real_server, gridded):
    region = np.s_[1:2, 0:3, 100:140, 7:30]
    table = real_server.stacked(
        "gridded", ["z", "u"], datasets=["eraint_uvz"], start=[1, 0, 100, 7], shape=[1, 3, 40, 23]
    )
    for array in ("z", "u"):
        assert_same_cells(stacked(table[array]), expected_stack(gridded, array, ["eraint_uvz"], region))


# The made-up fleet


def test_slice_of_all_datasets(fleet_server, fleet):
    table = fleet_server.stacked("fleet", ["temperature"], start=[2, 1], shape=[6, 2])
    names = table["dataset"].to_pylist()
    assert names == [cast_name(number) for number in range(CASTS)]
    cells = stacked(table["temperature"])
    assert_same_cells(cells, expected_stack(fleet, "temperature", names, np.s_[2:8, 1:3]))


def test_column_is_a_fixed_shape_tensor_with_dimension_names(fleet_server):
    table = fleet_server.stacked("fleet", ["temperature"], start=[0, 0], shape=[3, 2])
    tensor = table.schema.field("temperature").type
    assert isinstance(tensor, pa.FixedShapeTensorType)
    assert (tensor.shape, tensor.value_type, tensor.dim_names) == ([3, 2], pa.float32(), ["depth", "time"])
    assert table.schema.field("dataset").type == pa.utf8()


def test_conversion_to_numpy_copies_nothing(fleet_server):
    column = fleet_server.stacked("fleet", ["temperature"])["temperature"].combine_chunks()
    cells = column.to_numpy_ndarray()
    values = column.storage.values.buffers()[1]
    assert values.address <= cells.ctypes.data < values.address + values.size


def test_without_a_region_the_whole_arrays_come(fleet_server, fleet):
    table = fleet_server.stacked("fleet", ["temperature"])
    names = table["dataset"].to_pylist()
    assert_same_cells(stacked(table["temperature"]), expected_stack(fleet, "temperature", names))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("month = 3", [cast_name(2), cast_name(14)]),
        ("cruise = 'north' AND stat_max(temperature) > 13.5", [cast_name(number) for number in range(8, 12)]),
        ("station IN ('S01', 'S02') AND month <= 2", [cast_name(12), cast_name(1)]),
        ("dataset LIKE 'cast_01%' AND NOT month = 12", [cast_name(number) for number in range(10, 20) if number != 11]),
    ],
)
def test_where_selects_by_attributes_and_statistics(fleet_server, where, expected):
    table = fleet_server.stacked("fleet", ["temperature"], where=where, start=[0, 0], shape=[1, 1])
    assert sorted(table["dataset"].to_pylist()) == sorted(expected)


def test_where_that_selects_nothing_gives_the_schema_and_no_rows(fleet_server):
    info = fleet_server.stacked_info("fleet", ["temperature"], where="month = 99", start=[0, 0], shape=[3, 2])
    assert info.total_records == 0
    with fleet_server.connect() as client:
        for endpoint in info.endpoints:
            table = client.do_get(endpoint.ticket).read_all()
            assert table.num_rows == 0 and table.schema.names == ["dataset", "temperature"]


@pytest.mark.parametrize("partitions", [1, 2, 3, 5, CASTS, 100])
def test_partitions_are_disjoint_and_exactly_counted(fleet_server, partitions):
    whole = fleet_server.stacked("fleet", ["temperature"])
    info = fleet_server.stacked_info("fleet", ["temperature"], partitions=partitions)
    assert 1 <= len(info.endpoints) <= min(partitions, CASTS)
    assert partitions > CASTS or len(info.endpoints) == partitions
    with fleet_server.connect() as client:
        pieces = [client.do_get(endpoint.ticket).read_all() for endpoint in info.endpoints]
    assert all(piece.num_rows > 0 for piece in pieces)
    assert sum(piece.num_rows for piece in pieces) == info.total_records == CASTS
    assert all(piece.schema.equals(info.schema, check_metadata=True) for piece in pieces)
    together = pa.concat_tables(pieces)
    assert together["dataset"].to_pylist() == whole["dataset"].to_pylist()
    assert_same_cells(stacked(together["temperature"]), stacked(whole["temperature"]))


def test_a_ticket_can_be_read_again_and_by_another_client(fleet_server):
    info = fleet_server.stacked_info("fleet", ["temperature"], partitions=2)
    ticket = flight.Ticket.deserialize(info.endpoints[1].ticket.serialize())
    answers = []
    for _ in range(2):
        with fleet_server.connect() as client:
            answers.append(client.do_get(ticket).read_all())
    assert identical(*answers) and answers[0].num_rows > 0


def test_total_bytes_is_announced(fleet_server):
    info = fleet_server.stacked_info("fleet", ["temperature"])
    assert info.total_bytes >= CASTS * DEPTHS * TIMES * 4


# Missing arrays


def test_missing_array_is_an_error_by_default_and_names_the_dataset(fleet_server):
    for request in ({}, {"missing": "error"}):
        with pytest.raises(pa.ArrowException, match=r"cast_003.*salinity|salinity.*cast_003") as caught:
            fleet_server.stacked("fleet", ["salinity"], **request)
        assert isinstance(caught.value, (pa.ArrowKeyError, pa.ArrowInvalid))


def test_missing_skip_leaves_the_datasets_out(fleet_server, fleet):
    table = fleet_server.stacked("fleet", ["temperature", "salinity"], missing="skip")
    assert table["dataset"].to_pylist() == WITH_SALINITY
    for array in ("temperature", "salinity"):
        assert_same_cells(stacked(table[array]), expected_stack(fleet, array, WITH_SALINITY))


def test_missing_null_gives_nan(fleet_server, fleet):
    table = fleet_server.stacked("fleet", ["temperature", "salinity"], missing="null")
    names = table["dataset"].to_pylist()
    assert len(names) == CASTS
    assert_same_cells(stacked(table["temperature"]), expected_stack(fleet, "temperature", names))
    present = np.array([name in WITH_SALINITY for name in names])
    salinity = table["salinity"].combine_chunks()
    storage = salinity.storage
    assert storage.is_valid().to_pylist() == list(present) or storage.null_count == 0
    cells = np.asarray(storage.values).reshape(len(names), DEPTHS, TIMES)
    assert_same_cells(cells[present], expected_stack(fleet, "salinity", WITH_SALINITY))
    assert np.isnan(cells[~present]).all()


# Path descriptors


def test_path_of_a_family(fleet_server, fleet):
    table = fleet_server.path("fleet", "temperature")
    names = table["dataset"].to_pylist()
    assert_same_cells(stacked(table["temperature"]), expected_stack(fleet, "temperature", names))


def test_path_of_a_family_that_some_lack_gives_those_that_have_it(fleet_server):
    assert fleet_server.path("fleet", "salinity")["dataset"].to_pylist() == WITH_SALINITY


def test_path_of_a_ragged_family_gives_each_its_shape(fleet_server, fleet):
    found = by_dataset(fleet_server.path("fleet", "profile"), "profile")
    assert len(found) == CASTS
    for dataset, cells in found.items():
        assert_same_cells(cells, fleet.variables["profile"][dataset].values)


def test_path_of_one_array(fleet_server, fleet):
    table = fleet_server.path("fleet", "temperature", cast_name(5))
    assert table["dataset"].to_pylist() == [cast_name(5)]
    assert_same_cells(stacked(table["temperature"]), expected_stack(fleet, "temperature", [cast_name(5)]))


def test_get_schema_is_the_schema_of_the_answer(fleet_server):
    for descriptor in (
        flight.FlightDescriptor.for_path("fleet", "temperature"),
        flight.FlightDescriptor.for_command(json.dumps({"stacked": {"store": "fleet", "arrays": ["temperature"]}})),
    ):
        with fleet_server.connect() as client:
            schema = client.get_schema(descriptor).schema
            info = client.get_flight_info(descriptor)
            answer = client.do_get(info.endpoints[0].ticket).read_all().schema
        assert schema.equals(info.schema, check_metadata=True) and schema.equals(answer, check_metadata=True)


def test_list_flights_names_every_family(fleet_server, fleet):
    with fleet_server.connect() as client:
        flights = {tuple(part.decode() for part in info.descriptor.path): info for info in client.list_flights()}
    assert {("fleet", array) for array in fleet.variables} <= set(flights)
    temperature = flights["fleet", "temperature"]
    assert temperature.total_records == CASTS
    assert temperature.schema.names == ["dataset", "temperature"]


# Bad requests

BAD_REQUESTS = {
    "unknown store": ({"store": "nowhere", "arrays": ["temperature"]}, pa.ArrowKeyError, "nowhere"),
    "unknown array": ({"store": "fleet", "arrays": ["nothing"]}, pa.ArrowKeyError, "nothing"),
    "unknown dataset": (
        {"store": "fleet", "arrays": ["temperature"], "datasets": ["cast_999"]},
        pa.ArrowKeyError,
        "cast_999",
    ),
    "no array": ({"store": "fleet", "arrays": []}, pa.ArrowInvalid, "array"),
    "rank": ({"store": "fleet", "arrays": ["temperature"], "start": [0], "shape": [1]}, pa.ArrowInvalid, "temperature"),
    "bounds": (
        {"store": "fleet", "arrays": ["temperature"], "start": [8, 0], "shape": [3, 1]},
        pa.ArrowInvalid,
        "temperature",
    ),
    "overflow": (
        {"store": "fleet", "arrays": ["temperature"], "start": [2**63, 0], "shape": [2**63, 1]},
        pa.ArrowInvalid,
        "temperature|overflow|large|range|bounds",
    ),
    "negative": (
        {"store": "fleet", "arrays": ["temperature"], "start": [-1, 0], "shape": [1, 1]},
        pa.ArrowInvalid,
        ".",
    ),
    "no partition": ({"store": "fleet", "arrays": ["temperature"], "partitions": 0}, pa.ArrowInvalid, "partitions"),
    "where is no SQL": ({"store": "fleet", "arrays": ["temperature"], "where": "month ="}, pa.ArrowInvalid, "."),
    "where on no column": (
        {"store": "fleet", "arrays": ["temperature"], "where": "nothing = 1"},
        pa.ArrowException,
        "nothing",
    ),
    "missing": ({"store": "fleet", "arrays": ["temperature"], "missing": "maybe"}, pa.ArrowInvalid, "maybe|missing"),
    "misspelt key": ({"store": "fleet", "arrays": ["temperature"], "filter": "month = 1"}, pa.ArrowInvalid, "filter"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_request_is_refused_when_it_is_planned(fleet_server, name):
    request, error, names = BAD_REQUESTS[name]
    with pytest.raises(error, match=names) as caught:
        fleet_server.stacked_info(**request)
    assert_clear(caught.value)


@pytest.mark.parametrize("command", [b"", b"{", b"{}", b"[1]", b'{"unstacked": {}}', b"\xff\xfe\x00", b"x" * 10_000])
def test_command_that_is_no_request_is_refused(fleet_server, command):
    with fleet_server.connect() as client, pytest.raises((pa.ArrowInvalid, pa.ArrowNotImplementedError)) as caught:
        client.get_flight_info(flight.FlightDescriptor.for_command(command))
    assert_clear(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        ("fleet",),
        ("fleet", "nothing"),
        ("nowhere", "temperature"),
        ("fleet", "temperature", "cast_999"),
        ("a", "b", "c", "d"),
    ],
)
def test_path_to_nothing_is_refused(fleet_server, path):
    with fleet_server.connect() as client, pytest.raises((pa.ArrowKeyError, pa.ArrowInvalid)) as caught:
        client.get_flight_info(flight.FlightDescriptor.for_path(*path))
    assert_clear(caught.value)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign"])
def test_ticket_that_the_server_did_not_make_is_refused(fleet_server, damage):
    good = fleet_server.stacked_info("fleet", ["temperature"]).endpoints[0].ticket.ticket
    ticket = {
        "empty": b"",
        "cut": good[: len(good) // 2],
        "flipped": bytes([*good[:-1], good[-1] ^ 1]),
        "foreign": b"not a ticket",
    }[damage]
    with fleet_server.connect() as client, pytest.raises((pa.ArrowException, flight.FlightError)) as caught:
        client.do_get(flight.Ticket(ticket)).read_all()
    assert_clear(caught.value)
    assert fleet_server.sql("SELECT count(*) AS n FROM datasets")["n"].to_pylist() == [CASTS]


@pytest.mark.parametrize("call", ["put", "action"])
def test_writing_to_a_server_that_is_not_writable_is_refused(fleet_server, call):
    with fleet_server.connect() as client, pytest.raises((pa.ArrowException, flight.FlightError)) as caught:
        if call == "put":
            table = pa.table({"dataset": ["new"], "x": [1.0]})
            writer, _ = client.do_put(flight.FlightDescriptor.for_path("fleet"), table.schema)
            with writer:
                writer.write_table(table)
        else:
            list(client.do_action(flight.Action("delete_dataset", b'{"store": "fleet", "dataset": "cast_000"}')))
    assert_clear(caught.value)


def assert_clear(error: Exception) -> None:
    """The message is short, and tells nothing of the server's inside."""
    message = str(error).split(". gRPC client debug context")[0].split(". Client context")[0]
    assert len(message) < 4096 and "panicked" not in message and ".rs:" not in message, message
