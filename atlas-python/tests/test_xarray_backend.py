"""``xr.open_dataset(…, engine="atlas")``."""

import os
import pickle

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from xarray.core import indexing
from xarray.testing import assert_identical

from atlas import Atlas
from atlas._xarray.backend import AtlasBackendEntrypoint, _LazyArray
from atlas._xarray.stored import StoredArray

CELLS = np.arange(7 * 5 * 3.0).reshape(7, 5, 3)


def gridded():
    return xr.Dataset(
        {
            "v": (("x", "y", "z"), CELLS, {"units": "m", "_FillValue": -1.0}),
            "name": ("y", np.array(list("abcde"), object)),
            "s": ((), 1.5),
        },
        {"x": np.arange(7) * 10, "lat": ("y", np.arange(5.0))},
        {"title": "t"},
    )


class Counting:
    """A dataset that notes what was read."""

    def __init__(self, real):
        self.real, self.reads = real, []

    def __getattr__(self, name):
        return getattr(self.real, name)

    def read_array(self, name, start, shape):
        self.reads.append((list(start), list(shape)))
        return self.real.read_array(name, start, shape)


@pytest.fixture
def place(tmp_path):
    with Atlas.create(tmp_path / "store") as store:
        store.add_xr_dataset(gridded(), "one", {"v": [4, 2, 3]})
        store.add_xr_dataset(gridded() * 2, "two")
    return str(tmp_path / "store")


@pytest.fixture
def counted(place):
    """An array as the backend gives it to xarray, and what was read of it."""
    view = Counting(Atlas.open(place).open_dataset("one"))
    array = indexing.LazilyIndexedArray(_LazyArray(StoredArray.of(view, "v", None)))
    return xr.DataArray(xr.Variable(("x", "y", "z"), array), name="v"), view.reads


def test_it_is_what_was_written(place):
    ds = xr.open_dataset(place, engine="atlas", group="one")
    assert not ds.v.variable._in_memory
    assert_identical(ds, gridded())
    assert_identical(ds, Atlas.open(place).to_xarray("one").compute())
    assert ds.encoding["source"] == place


def test_it_is_found_without_an_engine(place, tmp_path):
    assert_identical(xr.open_dataset(place, group="one"), gridded())
    guess = AtlasBackendEntrypoint().guess_can_open
    assert guess(place) and guess(Atlas.open(place)) and guess(Atlas.open(place)["one"])
    assert not guess(str(tmp_path)) and not guess(f"{place}/atlas.json") and not guess(b"bytes") and not guess("s3://x/y")


@pytest.mark.parametrize("form", ["json", "msgpack"])
@pytest.mark.parametrize("packed", ["none", "zstd", "lz4"])
def test_it_is_found_with_any_catalog(tmp_path, form, packed):
    with Atlas.create(tmp_path / "store", meta_format=form, meta_compression=packed) as store:
        store.add_xr_dataset(gridded(), "one")
    assert_identical(xr.open_dataset(tmp_path / "store"), gridded())


def test_a_store_or_a_dataset_that_is_open(place):
    store = Atlas.open(place)
    assert_identical(xr.open_dataset(store, engine="atlas", group="one"), gridded())
    assert_identical(xr.open_dataset(store["one"], engine="atlas"), gridded())
    with pytest.raises(ValueError, match="'two'"):
        xr.open_dataset(store["one"], engine="atlas", group="two")


def test_which_dataset(place, tmp_path):
    assert_identical(xr.open_dataset(place, engine="atlas", group="/one"), gridded())
    with pytest.raises(ValueError, match=r"2 datasets \('one', 'two'\): name one with group="):
        xr.open_dataset(place, engine="atlas")
    with pytest.raises(KeyError, match="one"):
        xr.open_dataset(place, engine="atlas", group="on")
    with pytest.raises(ValueError, match="0 datasets"):
        xr.open_dataset(Atlas.create(tmp_path / "empty"), engine="atlas")
    with pytest.raises(FileNotFoundError):
        xr.open_dataset(tmp_path / "none", engine="atlas")


def test_variables_left_out(place):
    ds = xr.open_dataset(place, engine="atlas", group="one", drop_variables=["v", "x", "unknown"])
    assert_identical(ds, gridded().drop_vars(["v", "x"]))
    assert "v" in xr.open_dataset(place, engine="atlas", group="one", drop_variables="name")


@pytest.mark.parametrize(
    "index, start, shape",
    [
        ({}, [0, 0, 0], [7, 5, 3]),
        ({"x": 2}, [2, 0, 0], [1, 5, 3]),
        ({"x": -1, "y": -2, "z": 0}, [6, 3, 0], [1, 1, 1]),
        ({"x": slice(2, 5), "y": slice(1, None)}, [2, 1, 0], [3, 4, 3]),
        ({"x": slice(1, 7, 3)}, [1, 0, 0], [4, 5, 3]),
        ({"x": slice(None, None, -2), "y": slice(3, 0, -1)}, [0, 1, 0], [7, 3, 3]),
        ({"x": slice(5, 1, -3)}, [2, 0, 0], [4, 5, 3]),
        ({"x": [4, 2]}, [2, 0, 0], [3, 5, 3]),
        ({"x": [1, 3], "y": [4, 2]}, [1, 2, 0], [3, 3, 3]),
        ({"x": xr.DataArray([1, 3], dims="p"), "y": xr.DataArray([4, 2], dims="p")}, [1, 2, 0], [3, 3, 3]),
    ],
    ids=str,
)
def test_indexing_reads_the_region_that_is_needed(counted, index, start, shape):
    lazy, reads = counted
    picked = lazy.isel(index)
    assert reads == []
    expected = xr.DataArray(CELLS, dims=("x", "y", "z"), name="v").isel(index)
    assert_identical(picked.load(), expected)
    assert reads == [(start, shape)]


def test_indexing_twice_reads_once(counted):
    lazy, reads = counted
    assert_identical(lazy[2:6][::2][:, 1].load(), xr.DataArray(CELLS, dims=("x", "y", "z"), name="v")[2:6][::2][:, 1])
    assert reads == [([2, 1, 0], [3, 1, 3])]


def test_indexing_nothing_reads_nothing(counted):
    lazy, reads = counted
    assert lazy[3:3].load().shape == (0, 5, 3)
    assert reads == []


slices = st.builds(slice, *[st.none() | st.integers(-8, 8)] * 2, st.none() | st.integers(-3, 3).filter(bool))


class Counted:
    """A view of one array that notes the regions which are read of it."""

    def __init__(self, cells):
        self.cells, self.reads = cells, []

    def read_array(self, name, start, shape):
        self.reads.append((start, shape))
        return self.cells[tuple(slice(low, low + extent) for low, extent in zip(start, shape))].copy()


@settings(deadline=None)
@given(st.data())
def test_any_index_reads_the_chunks_that_it_touches_and_no_others(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 12), max_size=3)))
    chunk_shape = tuple(data.draw(st.integers(1, extent)) for extent in shape)
    positions = [st.lists(st.integers(-extent, extent - 1), max_size=6).map(np.array) for extent in shape]
    positions = [drawn.map(lambda array: array.astype(int)) for drawn in positions]
    index = tuple(
        data.draw(st.integers(-extent, extent - 1) | slices | drawn) for extent, drawn in zip(shape, positions)
    )
    cells = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    view = Counted(cells)
    found = StoredArray(view, "v", tuple("xyz"[: len(shape)]), shape, chunk_shape, "int64", None)[index]
    taken = [np.atleast_1d(np.arange(extent)[key]) for key, extent in zip(index, shape)]
    expected = cells[np.ix_(*taken)][tuple(0 if np.ndim(key) == 0 and not isinstance(key, slice) else slice(None) for key in index)]
    np.testing.assert_array_equal(found, expected)
    assert np.asarray(found).base is None or np.asarray(found).base.nbytes <= np.asarray(found).nbytes
    for axis, chunk in enumerate(chunk_shape):
        read = {at // chunk for start, extents in view.reads for at in range(start[axis], start[axis] + extents[axis])}
        assert read == (set((taken[axis] // chunk).tolist()) if all(map(len, taken)) else set())


def test_two_distant_rows_are_two_reads(tmp_path):
    with Atlas.create(tmp_path / "store") as store:
        store.add_xr_dataset(xr.Dataset({"f": (("x", "y"), np.arange(10_000.0).reshape(100, 100))}), "a", {"f": [10, 100]})
    f = xr.open_dataset(tmp_path / "store", engine="atlas").f
    assert f[[0, 99]].load().equals(xr.DataArray(np.arange(10_000.0).reshape(100, 100)[[0, 99]], dims=("x", "y")))
    assert f[::99].load().variable.values.base is None or f[::99].load().values.base.nbytes <= 1600
    at = xr.DataArray([0, 99], dims="p")
    assert f.isel(x=at, y=at).values.tolist() == [0.0, 9999.0]


def test_options_of_decoding_change_nothing(place):
    ds = xr.open_dataset(place, engine="atlas", group="one", decode_times=False, mask_and_scale=False, decode_coords="all")
    assert_identical(ds, gridded())


def test_chunks_of_dask_are_those_of_the_store(place):
    ds = xr.open_dataset(place, engine="atlas", group="one", chunks={})
    assert ds.v.chunks == ((4, 3), (2, 2, 1), (3,))
    assert ds.v.encoding["preferred_chunks"] == {"x": 4, "y": 2, "z": 3}
    assert "preferred_chunks" not in ds.name.encoding
    assert_identical(ds.compute(), gridded())


def test_it_pickles(place):
    ds = pickle.loads(pickle.dumps(xr.open_dataset(place, engine="atlas", group="one")))
    assert not ds.v.variable._in_memory
    assert_identical(ds, gridded())


def test_several_datasets_of_one_store(place):
    store = Atlas.open(place)
    both = xr.open_mfdataset(
        [store[name] for name in store], engine="atlas", combine="nested", concat_dim="n", preprocess=lambda ds: ds[["v"]]
    )
    assert list(both.data_vars) == ["v"] and both.v.chunks[0] == (1, 1)
    np.testing.assert_array_equal(both.v, np.stack([CELLS, CELLS * 2]))


def test_one_store_several_times(place):
    both = xr.open_mfdataset([place] * 2, engine="atlas", group="one", combine="nested", concat_dim="n", parallel=True)
    np.testing.assert_array_equal(both.v, np.stack([CELLS, CELLS]))


@pytest.mark.skipif(not hasattr(xr, "open_groups"), reason="this xarray has no trees")
def test_all_datasets_as_a_tree(place):
    tree = xr.open_datatree(place, engine="atlas")
    assert_identical(tree["two"].to_dataset(), gridded() * 2)
    assert set(xr.open_groups(place, engine="atlas")) == {"/one", "/two"}


def test_the_home_directory(place, monkeypatch):
    monkeypatch.setenv("HOME", os.path.dirname(place))
    assert_identical(xr.open_dataset("~/store", group="one"), gridded())
