"""Lazy reads through dask: what they read, and where."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from xarray.testing import assert_identical

from atlas import Atlas
from atlas._xarray import to_xarray

CELLS = np.arange(7 * 5.0).reshape(7, 5)


def gridded():
    return xr.Dataset(
        {
            "v": (("x", "y"), CELLS, {"units": "m"}),
            "t": ("x", np.arange(7).astype("M8[ns]")),
            "s": ("y", np.array(["a", "b", np.nan, "d", ""], object)),
            "d": ("y", np.arange(5).astype("m8[s]")),
            "one": (("x", "y"), CELLS.astype("int16")),
        },
        {"x": np.arange(7) * 10, "lat": ("y", np.arange(5.0)), "time": 3},
    )


CHUNKS = {"v": [3, 2], "t": [4], "s": [2], "d": [3], "x": [2], "lat": [2]}


class Counting:
    """A store, or a dataset of one, that notes what was read."""

    def __init__(self, real, reads):
        self.real, self.reads = real, reads

    def __getattr__(self, name):
        return getattr(self.real, name)

    def open_dataset(self, name):
        return Counting(self.real.open_dataset(name), self.reads)

    def read_array(self, name, start=None, shape=None):
        self.reads.append((name, tuple(start), tuple(shape)))
        return self.real.read_array(name, start, shape)

    def read_arrays(self, names, start=None, shape=None):
        self.reads.append(tuple(names))
        return self.real.read_arrays(names, start, shape)


@pytest.fixture
def place(tmp_path):
    with Atlas.create(tmp_path / "store") as store:
        store.add_xr_dataset(gridded(), "d", CHUNKS)
    return str(tmp_path / "store")


@pytest.fixture
def counted(place):
    reads = []
    return to_xarray(Counting(Atlas.open(place), reads), "d"), reads


def test_blocks_are_the_stored_chunks(place):
    ds = Atlas.open(place).to_xarray("d")
    assert ds.v.chunks == ((3, 3, 1), (2, 2, 1))
    assert ds.t.chunks == ((4, 3),) and ds.lat.chunks == ((2, 2, 1),)
    # Whole arrays, scalars, and indexes, which xarray keeps in memory.
    assert ds.one.chunks is None and ds.time.chunks is None and ds.x.chunks is None
    assert all(isinstance(ds[name].variable._data, (da.Array, np.ndarray)) for name in ds.data_vars)
    assert all(ds[name].dtype == gridded()[name].dtype for name in ds.variables)
    assert_identical(ds.compute(), gridded())


def test_each_chunk_is_one_task(place):
    v = Atlas.open(place).to_xarray("d").v.data
    assert len(dict(v.dask)) == v.npartitions == 9


def test_eager_arrays_are_one_read(counted):
    ds, reads = counted
    (names,) = reads
    assert set(names) == {"one", "x", "time"}


def test_a_chunk_is_one_read(counted):
    ds, reads = counted
    del reads[:]
    np.testing.assert_array_equal(ds.v.variable[0:3, 2:4].compute(), CELLS[0:3, 2:4])
    assert reads == [("v", (0, 2), (3, 2))]


def test_only_the_chunks_that_are_needed_are_read(counted):
    ds, reads = counted
    del reads[:]
    np.testing.assert_array_equal(ds.v.variable[1:6:2, 3].compute(), CELLS[1:6:2, 3])
    # Whole or in part.
    assert len(reads) == 2
    assert {(x // 3, y // 2, (x + rows - 1) // 3, (y + columns - 1) // 2) for _, (x, y), (rows, columns) in reads} == {
        (0, 1, 0, 1),
        (1, 1, 1, 1),
    }


def test_everything_is_a_read_a_chunk(counted):
    ds, reads = counted
    del reads[:]
    ds.v.variable.load()
    assert sorted(reads) == sorted(
        ("v", (x, y), (min(3, 7 - x), min(2, 5 - y))) for x in (0, 3, 6) for y in (0, 2, 4)
    )


def test_labels_and_reductions(place):
    ds, expected = Atlas.open(place).to_xarray("d"), gridded()
    assert_identical(ds.v.sel(x=[40, 10]).compute(), expected.v.sel(x=[40, 10]))
    np.testing.assert_allclose(ds.v.mean("x"), expected.v.mean("x"))
    assert_identical(ds.v.isel(x=[6, 0, 0], y=slice(None, None, -2)).compute(), expected.v.isel(x=[6, 0, 0], y=slice(None, None, -2)))


@pytest.mark.parametrize("scheduler", ["threads", "processes", "synchronous"])
def test_schedulers(place, scheduler):
    ds = Atlas.open(place).to_xarray("d")
    assert_identical(ds.compute(scheduler=scheduler), gridded())
    lazy = xr.open_dataset(place, engine="atlas", group="d", chunks={})
    assert_identical(lazy.compute(scheduler=scheduler), gridded())


def test_a_cluster(place, tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with (
        dask.config.set({"temporary-directory": str(tmp_path)}),
        distributed.LocalCluster(processes=True, **options) as cluster,
        distributed.Client(cluster),
    ):
        ds = Atlas.open(place).to_xarray("d")
        assert_identical(ds.compute(), gridded())
        assert ds.v.sum().compute() == CELLS.sum()
        with Atlas.create(tmp_path / "other") as other:
            other.add_xr_dataset(ds, "copy")
        assert_identical(other.to_xarray("copy").compute(), gridded())


def total(ds):
    return float(ds.v.sum().compute(scheduler="synchronous"))


@pytest.mark.parametrize("start", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking where there are threads
def test_a_pool_of_processes(place, start):
    ds = Atlas.open(place).to_xarray("d")
    # The parent's own threads have been at work before it forks.
    assert total(ds) == CELLS.sum()
    with ProcessPoolExecutor(2, multiprocessing.get_context(start)) as pool:
        assert list(pool.map(total, [ds] * 4)) == [CELLS.sum()] * 4


def test_datasets_pickle(place):
    ds = pickle.loads(pickle.dumps(Atlas.open(place).to_xarray("d")))
    assert ds.v.chunks == ((3, 3, 1), (2, 2, 1))
    assert_identical(ds.compute(), gridded())


def test_names_are_the_same_while_the_store_is(place):
    def name():
        return Atlas.open(place).to_xarray("d").v.data.name

    before = name()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(name_in, place).result() == before == name()
    with Atlas.open(place) as store:
        assert before != store.to_xarray("d").t.data.name
        store.add_xr_dataset(gridded(), "e", CHUNKS)
    assert name() != before


def name_in(place):
    return Atlas.open(place).to_xarray("d").v.data.name


def test_names_of_what_is_not_flushed_are_never_the_same(place):
    store = Atlas.open(place)
    view = store.open_dataset("d")
    view.write_array("v", [0, 0], np.full((1, 1), -1.0))
    first = store.to_xarray("d")
    view.write_array("v", [0, 0], np.full((1, 1), -2.0))
    second = store.to_xarray("d")
    assert first.v.data.name != second.v.data.name
    assert second.v[0, 0].compute() == -2.0


def test_what_is_not_flushed_does_not_leave_the_process(place):
    store = Atlas.open(place)
    store.open_dataset("d").write_array("v", [0, 0], np.full((1, 1), -1.0))
    with pytest.raises(Exception, match="unflushed"):
        pickle.dumps(store.to_xarray("d"))


def test_an_array_that_was_deleted_meanwhile(place):
    store = Atlas.open(place)
    ds = store.to_xarray("d")
    store.open_dataset("d").delete_array("v")
    with pytest.raises(KeyError, match="v in dataset d"):
        ds.v.compute()
