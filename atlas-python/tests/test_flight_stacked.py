"""Stacked reads over Flight: the answers of `atlas read` and of the store itself, labels, gaps, shapes that differ."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import xarray as xr
from flight_server import Server, argo, command, fleet, fleet_server  # noqa: F401

import atlas
from atlas.errors import InvalidArgumentError, LimitExceededError, NotFoundError, StoreNotFoundError

JULY = "month = 7 AND stat_max(temperature) > 20"
DEEP = 'shape("TEMP")[2] >= 50'

NUMBERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


@pytest.fixture(scope="module")
def client(fleet_server):
    with atlas.connect(fleet_server.uri) as client:
        yield client


@pytest.fixture(scope="module")
def real(command, argo):
    with Server(command, argo=argo) as server, atlas.connect(server.uri) as client:
        yield client


def identical(found, expected) -> None:
    """Cell by cell and bit by bit, texts by value."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    if found.dtype == object:
        assert found.tolist() == expected.tolist()
    else:
        assert found.tobytes() == expected.tobytes()


# The answers of the command


@pytest.mark.parametrize("streams", [1, 3, 8])
def test_the_demo_fleet_is_what_the_command_reads(client, command, fleet, tmp_path, streams):
    identical(client.stacked("temperature", streams=streams), command.read(fleet, "temperature", tmp_path))


def test_a_region_of_chosen_datasets_is_what_the_command_reads(client, command, fleet, tmp_path):
    expected = command.read(fleet, "salinity", tmp_path, "--where", JULY, "--start", "3,1", "--shape", "10,5")
    identical(client.stacked("salinity", where=JULY, start=[3, 1], shape=(10, 5)), expected)
    names = ["cast_0303", "cast_0007", "cast_0999"]
    expected = command.read(fleet, "time", tmp_path, "--datasets", ",".join(names))
    found = client.stacked("time", datasets=names)
    identical(found, expected)
    assert found.dtype == "datetime64[ns]"
    identical(client.stacked("time", datasets=(name for name in np.array(names))), expected)
    july = client.datasets(JULY, columns=[])["dataset"]
    identical(client.stacked("salinity", datasets=july), client.stacked("salinity", where=JULY))


def test_several_arrays_are_a_dict_of_the_same_datasets(client):
    found = client.stacked(["temperature", "salinity", "depth"], where=JULY)
    assert list(found) == ["temperature", "salinity", "depth"]
    for name, cells in found.items():
        identical(cells, client.stacked(name, where=JULY, streams=1))


def test_real_profiles_are_what_the_command_reads(real, command, argo, tmp_path):
    region = ("--where", DEEP, "--start", "0,0", "--shape", "1,50")
    for array in ("TEMP", "PRES"):
        found = real.stacked(array, where=DEEP, start=[0, 0], shape=[1, 50])
        identical(found, command.read(argo, array, tmp_path, *region))
        assert len(found) > 50
    identical(real.stacked("JULD"), command.read(argo, "JULD", tmp_path))
    texts = real.stacked("TEMP_QC", where=DEEP, start=[0, 0], shape=[1, 50])
    assert texts.dtype == object and texts.astype(str).tolist() == command.read(argo, "TEMP_QC", tmp_path, *region).tolist()
    scalars = real.stacked("DATA_TYPE")
    assert scalars.shape == (191,) and set(scalars) == {"Argo profile    "}


def test_the_answer_is_the_callers_to_change(client):
    found = client.stacked("temperature", where="month = 1")
    found += 1


def test_nothing_chosen_is_an_array_without_datasets(client):
    assert client.stacked("temperature", where="month = 99", start=[0, 0], shape=[3, 2]).shape == (0, 3, 2)
    found = client.stacked(["temperature"], where="month = 99", as_="xarray")
    assert found.sizes == {"dataset": 0, "depth": 50, "time": 24}


# Every dtype, and gaps


@pytest.fixture(scope="module")
def typed(command, tmp_path_factory):
    """A store with an array of each dtype, with and without fill value, and one that every other dataset lacks."""
    path = tmp_path_factory.mktemp("stores") / "typed"
    rng = np.random.default_rng(5)
    with atlas.Atlas.create(str(path)) as store:
        for number in range(7):
            dataset = store.create_dataset(f"d{number}")
            for dtype in NUMBERS:
                cells = rng.integers(0, 256, (2, 3, np.dtype(dtype).itemsize), dtype="uint8").view(dtype)[..., 0]
                dataset.define_array(dtype, dtype, ["y", "x"], [2, 3])
                dataset.write_array(dtype, [0, 0], cells)
            dataset.define_array("time", "timestamp_ns", ["x"], [3], fill_value=np.datetime64("NaT"))
            dataset.write_array("time", [0], np.array([number, "NaT", 7], "datetime64[ns]"))
            dataset.define_array("text", "string", ["x"], [3], fill_value="-")
            dataset.write_array("text", [0], np.array([f"é{number}", "-", ""], dtype=object))
            dataset.define_array("flag", "bool", ["x"], [3])
            dataset.write_array("flag", [0], np.array([number % 2, True, False], dtype=bool))
            dataset.define_array("single", "float64", [], [])
            dataset.write_array("single", [], np.array(number / 4))
            dataset.define_array("empty", "int32", ["nothing", "x"], [0, 3])
            if number % 2:
                for name, dtype, fill in (("gappy", "float32", None), ("filled", "int16", -9), ("bare", "int16", None)):
                    dataset.define_array(name, dtype, ["x"], [3], fill_value=fill)
                    dataset.write_array(name, [0], np.arange(number, number + 3, dtype=dtype))
            dataset.define_array("uneven", "int32", ["z"], [number], fill_value=-1)
            if number:
                dataset.write_array("uneven", [0], np.arange(number, dtype="int32"))
    with Server(command, typed=path) as server, atlas.connect(server.uri) as client:
        yield atlas.Atlas.open(str(path)), client


@pytest.mark.parametrize("array", [*NUMBERS, "time", "text", "flag", "single", "empty"])
def test_each_dtype_is_what_the_store_reads(typed, array):
    store, client = typed
    names = store.list_datasets()
    identical(client.stacked(array), store.read_array_across_stacked(array, names))
    identical(client.stacked(array, datasets=names[::-2]), store.read_array_across_stacked(array, names[::-2]))


def test_datasets_that_lack_an_array(typed):
    _, client = typed
    with pytest.raises(NotFoundError, match="d0.*gappy"):
        client.stacked("gappy")
    assert client.stacked("gappy", missing="skip").tolist() == [[1, 2, 3], [3, 4, 5], [5, 6, 7]]
    found = client.stacked(["gappy", "filled"], missing="null")
    assert np.isnan(found["gappy"][::2]).all() and found["gappy"][5].tolist() == [5, 6, 7]
    assert found["filled"].dtype == "int16" and found["filled"][:2].tolist() == [[-9, -9, -9], [1, 2, 3]]
    with pytest.raises(InvalidArgumentError, match="bare.*skip"):
        client.stacked("bare", missing="null")
    labelled = client.stacked("gappy", missing="skip", as_="xarray")
    assert labelled["dataset"].values.tolist() == ["d1", "d3", "d5"]


def test_shapes_that_differ(typed):
    _, client = typed
    with pytest.raises(InvalidArgumentError, match="uneven.*ragged"):
        client.stacked("uneven")
    padded = client.stacked("uneven", ragged="pad")
    assert padded.shape == (7, 6) and padded.dtype == "int32"
    assert padded[2].tolist() == [0, 1, -1, -1, -1, -1] and padded[0].tolist() == [-1] * 6
    pieces = client.stacked("uneven", ragged="list")
    assert [piece.tolist() for piece in pieces] == [list(range(number)) for number in range(7)]
    pieces[6] += 1
    assert client.stacked("uneven", datasets=["d6", "d4"], start=[1], shape=[3]).tolist() == [[1, 2, 3]] * 2
    assert client.stacked("uneven", ragged="pad", as_="xarray").sizes == {"dataset": 7, "z": 6}
    mixed = client.stacked(["uneven", "filled"], missing="null", ragged="list")
    assert mixed["filled"][0].tolist() == [-9, -9, -9]


def test_shapes_that_differ_in_real_profiles(real):
    padded, pieces = (real.stacked("TEMP", ragged=ragged) for ragged in ("pad", "list"))
    assert padded.shape == (191, 1, max(piece.shape[1] for piece in pieces))
    for row, piece in zip(padded, pieces):
        np.testing.assert_array_equal(row[:, : piece.shape[1]], piece)
        assert np.isnan(row[:, piece.shape[1] :]).all()


# Labels


def test_labels_of_the_demo_fleet(client, fleet):
    found = client.stacked(["temperature", "salinity"], where=JULY, start=[3, 1], shape=[10, 5], as_="xarray")
    assert found.sizes["depth"] == 10 and found.sizes["time"] == 5
    names = found["dataset"].values.tolist()
    assert names == client.datasets(JULY)["dataset"].to_pylist()
    store = atlas.Atlas.open(str(fleet))
    for name in (names[0], names[-1]):
        one = store.to_xarray(name).isel(depth=slice(3, 13), time=slice(1, 6))
        mine = found.sel(dataset=name, drop=True)
        for array in ("temperature", "salinity"):
            np.testing.assert_array_equal(mine[array].values, one[array].values)
        np.testing.assert_array_equal(mine["time"].values, one["time"].values)
        np.testing.assert_array_equal(mine["depth"].values, one["depth"].values)
    assert found["depth"].dims == ("depth",) and found["time"].dims == ("dataset", "time")
    single = client.stacked("temperature", where=JULY, start=[3, 1], shape=[10, 5], as_="xarray")
    xr.testing.assert_identical(single, found["temperature"])


def test_a_coordinate_itself(client):
    found = client.stacked("depth", datasets=["cast_0001", "cast_0002"], as_="xarray")
    assert found.dims == ("dataset", "depth") and found.name == "depth" and found.shape == (2, 50)


@pytest.fixture(scope="module")
def gridded(command, tmp_path_factory):
    """Datasets through xarray: equal and different coordinates of every rank, and attributes of every kind."""
    path = tmp_path_factory.mktemp("stores") / "gridded"
    rng = np.random.default_rng(3)
    with atlas.Atlas.create(str(path)) as store:
        for number in range(5):
            ds = xr.Dataset(
                {
                    "t": (("y", "x"), rng.random((4, 6)), {"units": "K", "range": [1, 2], "_FillValue": -1.0}),
                    "flag": (("y",), np.arange(4) > number),
                },
                {
                    "y": ("y", [0.0, np.inf, 2.0, -1.0], {"axis": "Y"}),
                    "x": ("x", np.arange(6)),
                    "label": ("x", np.array(list("abcdef"), dtype=object)),
                    "area": (("y", "x"), rng.random((4, 6)), {"units": "m2"}),
                    "height": 2.0,
                    "when": np.datetime64("2024-01-01", "ns") + np.timedelta64(number, "D"),
                    "offset": ("y", np.array([number, 1, 2, 3], dtype="timedelta64[s]")),
                },
                {"run": number, "title": "a run", "nested": {"a": [1, 2]}},
            )
            store.add_xr_dataset(ds, f"run_{number}")
    with Server(command, gridded=path) as server, atlas.connect(server.uri) as client:
        yield atlas.Atlas.open(str(path)), client


def test_labels_are_those_of_the_same_datasets_in_the_store(gridded):
    store, client = gridded
    names = ["run_3", "run_0", "run_4"]
    expected = store.to_xarray_many(names).compute()
    found = client.stacked(["t", "flag"], datasets=names, as_="xarray")
    xr.testing.assert_identical(found, expected)
    xr.testing.assert_identical(client.stacked("t", datasets=names, as_="xarray"), expected["t"])


def test_labels_of_a_region_and_of_one_dataset(gridded):
    store, client = gridded
    expected = store.to_xarray_many(["run_2", "run_1"]).compute()["t"].isel(y=slice(0, 3), x=slice(2, 6))
    found = client.stacked("t", datasets=["run_2", "run_1"], start=[0, 2], shape=[3, 4], as_="xarray")
    xr.testing.assert_identical(found, expected)
    one = client.stacked("t", where="run = 2", as_="xarray")
    xr.testing.assert_identical(one, store.to_xarray_many(["run_2"]).compute()["t"])


def test_what_cells_mean_is_asked_of_every_dataset(command, tmp_path):
    path = tmp_path / "notes"
    times = [np.array([1, 2], "timedelta64[s]"), np.array([1, 2], "timedelta64[ms]"), np.array([1, 2])]
    texts = [["a", "-"], [np.nan, "c"], ["-", "d"]]
    with atlas.Atlas.create(str(path)) as store:
        for number, (lag, text) in enumerate(zip(times, texts)):
            variable = ("x", np.array(text, dtype=object), {"_FillValue": "-"})
            ds = xr.Dataset({"lag": ("x", lag), "text": variable, "n": ("x", [5, 6])}, {"step": lag[0]})
            store.add_xr_dataset(ds.assign_coords(since=("x", lag)), f"d{number}")
    with Server(command, notes=path) as server, atlas.connect(server.uri) as client:
        found = client.stacked("text", as_="xarray").values
        assert found[0].tolist() == ["a", "-"] and np.isnan(found[1][0]) and found[2].tolist() == ["-", "d"]
        with pytest.raises(InvalidArgumentError, match="lag.*units"):
            client.stacked("lag", as_="xarray")
        cells = client.stacked("lag")
        assert cells.dtype == np.int64 and cells[2].tolist() == [1, 2]
        alike = client.stacked("lag", datasets=["d1"], as_="xarray")
        assert alike.dtype.kind == "m" and alike.values.astype("timedelta64[ms]").astype(int).tolist() == [[1, 2]]
        # A coordinate whose cells are of different kinds is none.
        assert list(client.stacked("n", as_="xarray").coords) == ["dataset"]
        assert set(client.stacked("n", where="dataset = 'd0'", as_="xarray").coords) == {"dataset", "since", "step"}


def test_a_dimension_with_two_regions_is_refused(gridded):
    _, client = gridded
    with pytest.raises(InvalidArgumentError):
        client.stacked(["t", "flag"], start=[0, 0], shape=[1, 1], as_="xarray")


# Progress, threads, errors


def test_progress_reaches_the_announced_total(client, capsys):
    told = []
    client.stacked("temperature", progress=lambda *numbers: told.append(numbers))
    done_bytes, total_bytes, done, total = told[-1]
    assert done_bytes == total_bytes > 1000 * 50 * 24 * 4 and done == total == 1000
    assert [numbers[0] for numbers in told] == sorted(numbers[0] for numbers in told)
    client.stacked("temperature", progress=True)
    assert "100%" in capsys.readouterr().err


def test_threads_share_a_client(client):
    expected = client.stacked("temperature", where="month < 3")
    found = [None] * 6

    def read(place):
        found[place] = client.stacked("temperature", where="month < 3", streams=1 + place % 3)

    threads = [threading.Thread(target=read, args=(place,)) for place in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for cells in found:
        identical(cells, expected)


@pytest.mark.parametrize(
    ("arrays", "options", "error", "says"),
    [
        ("tempratur", {}, NotFoundError, "tempratur"),
        ("temperature", {"store": "nowhere"}, StoreNotFoundError, "nowhere.*fleet"),
        ("temperature", {"datasets": ["cast_9999"]}, NotFoundError, "cast_9999"),
        ("temperature", {"datasets": "cast_0001"}, InvalidArgumentError, "list of names"),
        ("temperature", {"datasets": ["cast_0001"] * 2}, InvalidArgumentError, "twice"),
        ("temperature", {"datasets": [1]}, InvalidArgumentError, "texts"),
        ([], {}, InvalidArgumentError, "arrays"),
        ("temperature", {"where": "month ="}, InvalidArgumentError, "."),
        ("temperature", {"where": "tempo = 1"}, InvalidArgumentError, "tempo"),
        ("temperature", {"start": [0, 0], "shape": [51, 1]}, InvalidArgumentError, "out of bounds.*temperature"),
        ("temperature", {"start": [0], "shape": [1]}, InvalidArgumentError, "temperature"),
        ("temperature", {"start": [0, 0]}, InvalidArgumentError, "shape"),
        ("temperature", {"shape": [-1, 1]}, InvalidArgumentError, "negative"),
        ("temperature", {"shape": [1.5, 1]}, InvalidArgumentError, "integers"),
        ("temperature", {"shape": 3}, InvalidArgumentError, "integers"),
        ("temperature", {"missing": "maybe"}, InvalidArgumentError, "maybe"),
        ("temperature", {"ragged": "maybe"}, InvalidArgumentError, "maybe"),
        ("temperature", {"ragged": "list", "as_": "xarray"}, InvalidArgumentError, "list"),
        ("temperature", {"as_": "pandas"}, InvalidArgumentError, "pandas"),
        ("temperature", {"streams": 0}, InvalidArgumentError, "streams"),
    ],
)
def test_bad_requests_have_a_class_and_one_line(client, arrays, options, error, says):
    with pytest.raises(error, match=says) as caught:
        client.stacked(arrays, **options)
    assert "\n" not in str(caught.value) and "gRPC" not in str(caught.value)


def test_a_limit_of_the_server_has_its_own_class(command, fleet):
    with Server(command, "--max-result", "1", fleet=fleet) as server, atlas.connect(server.uri) as client:
        with pytest.raises(LimitExceededError, match="1"):
            client.stacked("temperature")
        assert client.stacked("temperature", start=[0, 0], shape=[1, 1]).shape == (1000, 1, 1)
