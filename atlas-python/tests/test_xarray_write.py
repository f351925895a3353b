"""Writing xarray datasets: all or nothing, chunks, and dask block by block."""

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from xarray.testing import assert_identical

from atlas import Atlas
from atlas._xarray import add_xr_dataset


class Failure(Exception):
    pass


class Recorder:
    """A store or a dataset of one that notes which arrays were written where."""

    def __init__(self, real, writes):
        self.real, self.writes = real, writes

    def __getattr__(self, name):
        return getattr(self.real, name)

    def create_dataset(self, name):
        return Recorder(self.real.create_dataset(name), self.writes)

    def write_array(self, name, start, data):
        self.writes.append((name, tuple(start), data.shape))
        self.real.write_array(name, start, data)


@pytest.fixture
def store(tmp_path):
    return Atlas.create(tmp_path / "store")


def written(store, ds, chunks=None):
    """What was written for this dataset, in order."""
    writes = []
    add_xr_dataset(Recorder(store, writes), ds, "d", chunks)
    return writes


def numbers(*shape):
    return xr.Dataset({"v": (list("xyz")[: len(shape)], np.arange(np.prod(shape), dtype=float).reshape(shape))})


def chunk_shape(store, array="v"):
    return store.open_dataset("d").array_meta(array)["chunk_shape"]


def test_what_is_in_memory_is_written_at_once(store):
    assert written(store, numbers(4, 6), {"v": [2, 3]}) == [("v", (0, 0), (4, 6))]
    assert chunk_shape(store) == [2, 3]


def test_each_block_of_dask_is_one_write(store):
    ds = numbers(4, 5).chunk(x=2, y=3)
    assert written(store, ds) == [
        ("v", (0, 0), (2, 3)),
        ("v", (0, 3), (2, 2)),
        ("v", (2, 0), (2, 3)),
        ("v", (2, 3), (2, 2)),
    ]
    assert chunk_shape(store) == [2, 3]
    assert_identical(store.to_xarray("d").compute(), ds.compute())


def test_a_block_is_computed_when_it_is_written(store):
    """Never two blocks in memory."""
    events = []

    def compute(block, block_info=None):
        events.append("computed")
        return block

    lazy = da.map_blocks(compute, da.zeros((6, 4), chunks=(2, 4)), meta=np.empty((0, 0)))
    writes = []

    class Events(Recorder):
        def create_dataset(self, name):
            return Events(self.real.create_dataset(name), self.writes)

        def write_array(self, name, start, data):
            events.append("written")
            super().write_array(name, start, data)

    add_xr_dataset(Events(store, writes), xr.Dataset({"v": (("x", "y"), lazy)}), "d")
    assert events == ["computed", "written"] * 3


@pytest.mark.parametrize(
    "chunks, stored",
    [(((1, 2, 4), (5,)), [1, 5]), (((3, 1, 3), (2, 3)), [3, 2]), (((0, 7), (4, 1)), [7, 4]), (((4, 3), (0, 5, 0)), [4, 5])],
)
def test_irregular_blocks(store, chunks, stored):
    ds = numbers(7, 5)
    ds["v"] = (("x", "y"), da.from_array(ds.v.values, chunks=chunks))
    blocks = [(a, b) for a in chunks[0] for b in chunks[1] if a * b]
    assert [shape for _, _, shape in written(store, ds)] == blocks
    assert chunk_shape(store) == stored
    assert_identical(store.to_xarray("d").compute(), ds.compute())
    store.flush()
    assert_identical(Atlas.open(store.location).to_xarray("d").compute(), ds.compute())


@pytest.mark.parametrize("given, stored", [([4, 5], [4, 5]), ([3, 2], [3, 2]), ([-1, 1], [7, 1]), ([100, 100], [7, 5])])
def test_chunks_that_are_given_win(store, given, stored):
    ds = numbers(7, 5).chunk(x=2, y=2)
    assert len(written(store, ds, {"v": given, "unknown": [1]})) == 12
    assert chunk_shape(store) == stored
    store.flush()
    assert_identical(store.to_xarray("d").compute(), ds.compute())


@pytest.mark.parametrize("given", [[1], [1, 2, 3], [0, 1], [-2, 1]])
def test_chunks_that_cannot_be(store, given):
    with pytest.raises(ValueError, match="chunks of 'v'"):
        store.add_xr_dataset(numbers(7, 5), "d", {"v": given})
    assert len(store) == 0


@pytest.mark.parametrize(
    "values", [np.array(["a", "b", "c"], object), np.array(["2020", "2021", "NaT"], "M8[s]"), np.array([1, 2, 3], ">i4")]
)
def test_blocks_of_all_dtypes(store, values):
    ds = xr.Dataset({"v": ("x", da.from_array(values, chunks=2)), "s": ((), da.from_array(values[0:1], chunks=1)[0])})
    assert len(written(store, ds)) == 3
    assert_identical(store.to_xarray("d").compute(), ds.compute())


def test_missing_text_in_blocks_needs_a_fill_value(store):
    ds = xr.Dataset({"v": ("x", da.from_array(np.array(["a", "b", None], object), chunks=2))})
    with pytest.raises(ValueError, match="variable 'v' has missing strings"):
        store.add_xr_dataset(ds, "d")
    assert len(store) == 0
    ds.v.encoding["_FillValue"] = ""
    store.add_xr_dataset(ds, "d")
    assert_identical(store.to_xarray("d").compute(), ds.compute())


def test_dask_variables_without_cells(store):
    ds = xr.Dataset({"v": (("x", "y"), da.zeros((0, 3), chunks=(1, 2)))})
    assert written(store, ds) == []
    assert_identical(store.to_xarray("d").compute(), ds.compute())


def test_the_scheduler_of_the_caller_computes_the_blocks(store):
    used = []

    def get(graph, keys, **kwargs):
        used.append(keys)
        return dask.get(graph, keys, **kwargs)

    with dask.config.set(scheduler=get):
        written(store, numbers(4, 4).chunk(x=2))
    assert len(used) == 2


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_failure_leaves_the_store_as_it_was(store, at):
    before = numbers(3)
    store.add_xr_dataset(before, "before")

    def fail(block, block_info=None):
        if block_info[0]["chunk-location"] == (at,):
            raise Failure
        return block

    bad = xr.Dataset({"ok": ("x", np.ones(6)), "v": ("x", da.map_blocks(fail, da.zeros(6, chunks=2), dtype=float))})
    with pytest.raises(Failure):
        store.add_xr_dataset(bad, "d")
    assert store.list_datasets() == ["before"]
    # The name is free, its arrays may have another dtype, and nothing of what was pending is gone.
    after = xr.Dataset({"v": ("x", [1.0, 2.0]), "ok": ("x", ["a", "b"])})
    store.add_xr_dataset(after, "d")
    store.flush()
    again = Atlas.open(store.location)
    assert_identical(again.to_xarray("before"), before)
    assert_identical(again.to_xarray("d"), after)


def test_attributes_are_checked_before_anything_is_computed(store):
    def never(block):
        raise AssertionError("computed")

    ds = xr.Dataset({"v": ("x", da.map_blocks(never, da.zeros(4, chunks=2), dtype=float))}, attrs={"bad": object()})
    with pytest.raises(TypeError, match="'bad'"):
        store.add_xr_dataset(ds, "d")
    assert len(store) == 0


def test_a_name_that_is_taken_stays(store):
    store.add_xr_dataset(numbers(3), "d")
    with pytest.raises(FileExistsError):
        store.add_xr_dataset(numbers(5), "d")
    assert_identical(store.to_xarray("d"), numbers(3))


def test_nothing_is_visible_before_the_flush(store):
    store.add_xr_dataset(numbers(3), "d")
    assert "d" not in Atlas.open(store.location)
    store.flush()
    assert "d" in Atlas.open(store.location)


def test_from_one_store_to_another(store, tmp_path):
    ds = numbers(6, 4)
    store.add_xr_dataset(ds, "d", {"v": [2, 2]})
    with Atlas.create(tmp_path / "other") as other:
        other.add_xr_dataset(store.to_xarray("d"), "d")
    assert chunk_shape(other) == [2, 2]
    assert_identical(other.to_xarray("d").compute(), ds)
