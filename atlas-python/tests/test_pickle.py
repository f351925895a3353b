"""Stores and datasets in other processes: pickled, or inherited by a fork."""

import copy
import multiprocessing
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

import atlas

# Processes with threads that fork are what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

#: Only so that a child which hangs fails its test: nothing here takes that long.
GUARD_SECONDS = 120
METHODS = [name for name in ("fork", "forkserver", "spawn") if name in multiprocessing.get_all_start_methods()]


@contextmanager
def processes(method: str, workers: int = 2):
    """A pool whose processes are ended, whatever they are at, when a test has failed."""
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


CELLS = np.random.default_rng(6).integers(0, 1000, (60, 50)).astype("int32")
NAMES = [f"d{index}" for index in range(6)]


@pytest.fixture
def fleet(store):
    """Six datasets `d0` to `d5`: `x` is CELLS plus the number."""
    for index, name in enumerate(NAMES):
        view = store.create_dataset(name)
        view.define_array("x", "int32", ["i", "j"], [60, 50], [16, 20])
        view.write_array("x", [0, 0], CELLS + np.int32(index))
        view.define_array("s", "string", ["i"], [3])
        view.write_array("s", [0], np.array(["a", name, "é"], object))
        view.set_attribute("index", index)
    store.flush()
    return store


def total_of_view(view) -> int:
    return int(view.read_array("x").sum())


def total_of_store(store) -> int:
    return int(store.read_array_across_stacked("x", store.list_datasets()).sum())


def everything(view) -> tuple:
    return view.name, view.attributes(), view.read_array("s").tolist(), view.read_array("x", [3, 4], [2, 2]).tolist()


def write_dataset(location: str, name: str) -> list[str]:
    with atlas.Atlas.open(location) as store:
        view = store.create_dataset(name)
        view.define_array("x", "int32", ["i", "j"], [60, 50], [16, 20])
        view.write_array("x", [0, 0], CELLS)
    return store.list_datasets()


TOTALS = [int(CELLS.sum()) + index * CELLS.size for index in range(6)]


def test_a_store_and_a_view_come_back_from_a_pickle(fleet):
    store = pickle.loads(pickle.dumps(fleet))
    assert isinstance(store, atlas.Atlas)
    assert (store.location, store.list_datasets()) == (fleet.location, NAMES)
    view = pickle.loads(pickle.dumps(fleet["d3"]))
    assert isinstance(view, atlas.DatasetView)
    assert everything(view) == everything(fleet["d3"])


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_small_whatever_the_data(fleet, protocol):
    assert len(pickle.dumps(fleet["d3"], protocol)) < 2000


def test_a_store_with_unflushed_changes_is_not_pickled(fleet):
    view = fleet["d0"]
    view.set_attribute("k", 1)
    for each in (fleet, view):
        with pytest.raises(atlas.errors.ConflictError, match="flush"):
            pickle.dumps(each)
    fleet.flush()
    assert pickle.loads(pickle.dumps(view)).get_attribute("k") == 1


def test_copies_of_a_handle_are_the_handle(fleet):
    view = fleet["d0"]
    view.set_attribute("k", 1)
    for each in (copy.copy(view), copy.deepcopy(view)):
        assert each.get_attribute("k") == 1
        each.set_attribute("l", 2)
    for each in (copy.copy(fleet), copy.deepcopy({"store": fleet})["store"]):
        assert each["d0"].attributes() == {"index": 0, "k": 1, "l": 2}


def test_a_pickle_sees_what_was_flushed_before_it_was_made(fleet):
    pickle.loads(pickle.dumps(fleet))
    fleet.create_dataset("later")
    fleet.flush()
    assert "later" in pickle.loads(pickle.dumps(fleet))


def test_a_pickle_of_a_view_whose_dataset_is_gone_is_a_key_error(fleet):
    pickled = pickle.dumps(fleet["d0"])
    fleet.delete_dataset("d0")
    fleet.flush()
    fleet = pickle.loads(pickle.dumps(fleet))
    with pytest.raises(KeyError):
        pickle.loads(pickled)


def test_a_pickle_of_a_store_at_a_relative_path_opens_from_anywhere(tmp_path, monkeypatch):
    pickles = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with atlas.Atlas.create("store") as store:
            store.create_dataset(name)
        pickles.append(pickle.dumps(store))
    assert [pickle.loads(each).list_datasets() for each in pickles] == [["one"], ["other"]]


@pytest.mark.parametrize("method", METHODS)
def test_views_and_stores_are_read_in_other_processes(fleet, method):
    # Threads are at work here when the processes start, as in any notebook.
    assert total_of_store(fleet) == sum(TOTALS)
    with processes(method) as pool:
        totals = pool.map(total_of_view, [fleet[name] for name in NAMES], timeout=GUARD_SECONDS)
        assert list(totals) == TOTALS
        assert pool.submit(total_of_store, fleet).result(GUARD_SECONDS) == sum(TOTALS)
        for name in NAMES:
            assert pool.submit(everything, fleet[name]).result(GUARD_SECONDS) == everything(fleet[name])


@pytest.mark.parametrize("method", METHODS)
def test_other_processes_write(fleet, method):
    with processes(method, workers=1) as pool:
        for name in ("new0", "new1"):
            assert name in pool.submit(write_dataset, fleet.location, name).result(GUARD_SECONDS)
    fleet.refresh()
    assert fleet.list_datasets() == [*NAMES, "new0", "new1"]
    assert total_of_view(fleet["new1"]) == TOTALS[0]


INHERITED: dict[str, atlas.Atlas] = {}


def read_inherited(name: str) -> tuple[int, int]:
    store = INHERITED["store"]
    return total_of_view(store[name]), total_of_store(store)


@pytest.mark.skipif("fork" not in METHODS, reason="this system cannot fork")
def test_a_forked_process_reads_through_the_handle_it_inherited(fleet):
    INHERITED["store"] = fleet
    try:
        assert total_of_store(fleet) == sum(TOTALS)
        with processes("fork") as pool:
            found = pool.map(read_inherited, NAMES, timeout=GUARD_SECONDS)
            assert list(found) == [(total, sum(TOTALS)) for total in TOTALS]
        assert total_of_store(fleet) == sum(TOTALS)
    finally:
        INHERITED.clear()


def datasets_inherited() -> list[str]:
    return INHERITED["store"].list_datasets()


@pytest.mark.skipif("fork" not in METHODS, reason="this system cannot fork")
def test_a_forked_process_sees_what_was_flushed_and_the_rest_stays_with_its_parent(fleet):
    fleet.create_dataset("unflushed")
    INHERITED["store"] = fleet
    try:
        with processes("fork", workers=1) as pool:
            assert pool.submit(datasets_inherited).result(GUARD_SECONDS) == NAMES
        fleet.flush()
        assert atlas.Atlas.open(fleet.location).list_datasets() == [*NAMES, "unflushed"]
    finally:
        INHERITED.clear()


@pytest.mark.skipif("fork" not in METHODS, reason="this system cannot fork")
def test_a_process_forked_in_the_middle_of_reads_does_not_hang(fleet):
    stop = threading.Event()

    def keep_reading() -> int:
        reads = 0
        while not stop.is_set():
            assert total_of_store(fleet) == sum(TOTALS)
            reads += 1
        return reads

    INHERITED["store"] = fleet
    try:
        with ThreadPoolExecutor(2) as threads:
            reading = [threads.submit(keep_reading) for _ in range(2)]
            try:
                for name in NAMES:
                    with processes("fork", workers=1) as pool:
                        found = pool.submit(read_inherited, name).result(GUARD_SECONDS)
                        assert found == (TOTALS[NAMES.index(name)], sum(TOTALS))
            finally:
                stop.set()
            assert all(each.result() > 0 for each in reading)
    finally:
        INHERITED.clear()
