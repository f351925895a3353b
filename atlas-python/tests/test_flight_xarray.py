"""Whole datasets over Flight are the ones that were written through xarray."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
import xarray as xr
from flight_server import Server, argo, command, fleet, fleet_server  # noqa: F401

import atlas
from atlas.errors import LimitExceededError, UnsupportedError, AlreadyExistsError, InvalidArgumentError, NotFoundError, PermissionDeniedError

pytest.importorskip("pyarrow.flight")

from atlas.flight import _described, _upload, _whole  # noqa: E402

RNG = np.random.default_rng(11)


def numbers() -> xr.Dataset:
    variables = {}
    for dtype in "int8 uint8 int16 uint16 int32 uint32 int64 uint64 float32 float64".split():
        cells = RNG.integers(0, 100, (3, 4)).astype(dtype)
        variables[dtype] = (("y", "x"), cells, {"_FillValue": cells.dtype.type(7), "units": dtype})
    variables["wide"] = (("y",), np.array([-(2**63), 0, 2**63 - 1]))
    variables["unsigned"] = (("y",), np.array([0, 1, 2**64 - 1], dtype="uint64"))
    variables["special"] = (("x",), np.array([np.nan, np.inf, -np.inf, -0.0]), {"_FillValue": np.nan})
    return xr.Dataset(variables, {"y": [0.5, 1.5, 2.5], "x": ("x", np.arange(4))}, {"title": "numbers"})


def kinds() -> xr.Dataset:
    times = np.array(["1970-01-01", "NaT", "2024-02-29T01:02:03.000000004"], "datetime64[ns]")
    return xr.Dataset(
        {
            "time_cells": ("t", times, {"_FillValue": np.datetime64("NaT", "ns")}),
            "epoch_is_missing": ("t", times, {"_FillValue": np.datetime64(0, "ns")}),
            "lag": ("t", np.array([1, "NaT", -3], "timedelta64[ms]")),
            "flag": ("t", [True, False, True], {"_FillValue": True}),
            "text": ("t", np.array(["é", "", "line\nbreak"], dtype=object), {"_FillValue": ""}),
            "gaps": ("t", np.array(["a", np.nan, "c"], dtype=object)),
            "single": ((), 1.25),
            "nothing": (("t", "none"), np.zeros((3, 0), "int16")),
        },
        {"t": times[[0, 2, 0]], "name of it": ("t", ["p", "q", "r"]), "level": 3},
    )


def attributes() -> xr.Dataset:
    return xr.Dataset(
        {"a": ("x", [1, 2], {"list": [1, 2.5, "three"], "of.dots": "a.b", "flag": True}), "a.b": ("x", [3, 4], {"c": 1})},
        attrs={
            "text": "it's \"quoted\"\n",
            "like json": "json:[1]",
            "number": -(2**62),
            "float": 1e-300,
            "infinite": -np.inf,
            "when": np.datetime64("2020-02-02T02:02:02.000000002", "ns"),
            "nested": {"deep": [{"er": None}]},
            "empty": "",
            "true": True,
        },
    )


DATASETS = {
    "numbers": numbers(),
    "kinds": kinds(),
    "attributes": attributes(),
    "empty": xr.Dataset(),
    "only attributes": xr.Dataset(attrs={"a": 1}),
    "o'clock \"?\" $1": xr.Dataset({"x": ("x", [1])}),
}


@pytest.fixture(scope="module")
def written(command, tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "written"
    with atlas.Atlas.create(str(path)) as store:
        for name, ds in DATASETS.items():
            store.add_xr_dataset(ds, name)
        store.add_xr_dataset(DATASETS["numbers"].chunk({"y": 2}), "in chunks")
    with Server(command, other=path, written=path) as server, atlas.connect(f"{server.uri}/written") as client:
        yield atlas.Atlas.open(str(path)), client


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_is_the_one_that_was_written(written, name):
    store, client = written
    found = client.to_xarray(name)
    assert type(found) is xr.Dataset
    xr.testing.assert_identical(found, store.to_xarray(name))
    for variable in found.variables:
        assert found[variable].dtype == store.to_xarray(name)[variable].dtype
        assert found[variable].encoding == store.to_xarray(name)[variable].encoding
        fills = [ds[variable].attrs.get("_FillValue") for ds in (found, store.to_xarray(name))]
        assert type(fills[0]) is type(fills[1])
    if name != "kinds":
        xr.testing.assert_identical(found, DATASETS[name])


def test_a_dataset_in_chunks_is_in_memory(written):
    _, client = written
    found = client.to_xarray("in chunks", store="other")
    xr.testing.assert_identical(found, DATASETS["numbers"])
    assert all(isinstance(variable.data, np.ndarray) for variable in found.variables.values())


@pytest.mark.parametrize("name", ["numbers", "in chunks"])
def test_large_arrays_are_read_in_pieces(written, monkeypatch, name):
    _, client = written
    monkeypatch.setattr(_whole, "_PART_BYTES", 40)
    described = _described.describe(client._queries, "written", name)
    parts = list(_whole._parts("written", name, described))
    pieces = [part for part in parts if part.arrays == ("float64",)]
    # Between chunks: of one with all rows, and of two with two rows or one.
    assert [piece.shape for piece in pieces] == ([(3, 4)] if name == "numbers" else [(2, 4), (1, 4)])
    assert max(len(part.arrays) for part in parts) > 1
    xr.testing.assert_identical(client.to_xarray(name), DATASETS["numbers"])


def test_real_datasets_are_those_of_the_store(command, argo):
    store = atlas.Atlas.open(str(argo))
    with Server(command, argo=argo) as server, atlas.connect(server.uri) as client:
        for name in store.list_datasets()[::40]:
            xr.testing.assert_identical(client.to_xarray(name), store.to_xarray(name))


def test_a_dataset_that_there_is_not(written):
    _, client = written
    with pytest.raises(NotFoundError, match="nobody"):
        client.to_xarray("nobody")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        client.to_xarray("numbers", store="nowhere")
    with pytest.raises(InvalidArgumentError, match="text"):
        client.to_xarray(datetime)


# Uploads


@pytest.fixture
def writable(command, tmp_path):
    path = tmp_path / "up"
    atlas.Atlas.create(str(path)).flush()
    with Server(command, "--writable", other=path, up=path) as server, atlas.connect(f"{server.uri}/up") as client:
        yield path, client


def test_an_upload_is_what_a_local_write_is(writable, written):
    path, client = writable
    for name, ds in DATASETS.items():
        ds.atlas.write(client, name)
        found = atlas.Atlas.open(str(path))
        xr.testing.assert_identical(found.to_xarray(name), written[0].to_xarray(name))
    # One commit each.
    assert found.snapshot == len(DATASETS)


@pytest.mark.parametrize("value", ["text", 1.5, True, np.datetime64("2024-01-01", "ns")])
def test_single_cells_go_up(writable, value):
    _, client = writable
    ds = xr.Dataset({"v": ((), value), "o": ((), np.array("ä", object))})
    client.add_xr_dataset(ds, "scalars")
    found = client.to_xarray("scalars")
    assert (found["v"].item(), found["o"].item()) == (ds["v"].item(), "ä")


def test_what_cannot_be_a_row_is_refused(writable, monkeypatch):
    path, client = writable
    for ds in (
        xr.Dataset({"dataset": ("x", [1.0])}),
        xr.Dataset({"t": ("x", [1.0])}, attrs={"t": 1}),
        xr.Dataset(attrs={"dataset": "yes"}),
    ):
        with pytest.raises(UnsupportedError, match="rename"):
            client.add_xr_dataset(ds, "named")
    monkeypatch.setattr(_upload, "_MOST_BYTES", 40)
    with pytest.raises(LimitExceededError, match="takes 40"):
        client.add_xr_dataset(DATASETS["numbers"], "large")
    assert atlas.Atlas.open(str(path)).list_datasets() == []


def test_dask_arrays_and_chunks_go_up(writable):
    path, client = writable
    client.add_xr_dataset(DATASETS["numbers"].chunk({"y": 2}), "dask")
    client.add_xr_dataset(DATASETS["numbers"], "chunks", {"float32": [1, 2]}, store="other")
    store = atlas.Atlas.open(str(path))
    assert store.open_dataset("dask").array_meta("float64")["chunk_shape"] == [2, 4]
    assert store.open_dataset("chunks").array_meta("float32")["chunk_shape"] == [1, 2]
    xr.testing.assert_identical(client.to_xarray("dask"), DATASETS["numbers"])
    xr.testing.assert_identical(client.to_xarray("chunks", store="other"), DATASETS["numbers"])


def test_uploads_that_cannot_be_change_nothing(writable, written):
    path, client = writable
    client.add_xr_dataset(DATASETS["numbers"], "numbers")
    with pytest.raises(AlreadyExistsError, match="numbers"):
        client.add_xr_dataset(DATASETS["kinds"], "numbers")
    with pytest.raises(PermissionDeniedError, match="only reads"):
        written[1].add_xr_dataset(DATASETS["kinds"], "more")
    with pytest.raises(NotImplementedError):
        client.add_xr_dataset(xr.Dataset({"z": ("x", [1j])}), "complex")
    # The array has another dtype in the store.
    with pytest.raises(ValueError, match="float64"):
        client.add_xr_dataset(xr.Dataset({"float64": ("q", np.arange(5)), "flag": ("q", np.arange(5) > 2)}), "half")
    assert client.datasets(columns=[])["dataset"].to_pylist() == ["numbers"]
    assert atlas.Atlas.open(str(path)).list_datasets() == ["numbers"]
