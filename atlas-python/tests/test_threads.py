"""One store in many threads, and Python going on while it works."""

import os
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

import atlas

THREADS = 8


def test_threads_write_datasets_of_their_own_into_one_store(store, location):
    def write(worker: int) -> None:
        for index in range(10):
            view = store.create_dataset(f"{worker}-{index}")
            view.define_array("x", "int32", ["i", "j"], [20, 30], [7, 11], -1)
            for row in range(0, 20, 5):
                view.write_array("x", [row, 0], np.full((5, 30), 100 * worker + index, "int32"))
            view.set_attribute("worker", worker)
            assert (view.read_array("x") == 100 * worker + index).all()

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(write, range(THREADS)))
    store.flush()
    for found in (store, atlas.Atlas.open(location)):
        assert len(found) == 10 * THREADS
        for worker in range(THREADS):
            for index in range(10):
                view = found.open_dataset(f"{worker}-{index}")
                assert (view.read_array("x") == 100 * worker + index).all()
                assert view.attributes() == {"worker": worker}


def test_threads_write_parts_of_one_array(store, location):
    view = store.create_dataset("d")
    view.define_array("x", "int64", ["i", "j"], [64, 50], [10, 20])

    def write(row: int) -> None:
        view.write_array("x", [row, 0], np.full((1, 50), row))

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(write, range(64)))
    store.flush()
    expected = np.repeat(np.arange(64), 50).reshape(64, 50)
    assert (view.read_array("x") == expected).all()
    assert (atlas.Atlas.open(location).open_dataset("d").read_array("x") == expected).all()


def test_threads_read_whole_flushes_while_others_write(store, location):
    names = [f"d{index}" for index in range(4)]
    for name in names:
        store.create_dataset(name).define_array("x", "int64", ["i"], [2000], [300])
    store.flush()
    reader = atlas.Atlas.open(location)
    finished = threading.Event()

    def write() -> None:
        try:
            for version in range(1, 30):
                for name in names:
                    store.open_dataset(name).write_array("x", [0], np.full(2000, version))
                store.flush()
        finally:
            finished.set()

    def read() -> int:
        last = 0
        done = False
        while not done:
            done = finished.is_set()
            reader.refresh()
            cells = reader.open_dataset("d0").read_array("x")
            assert (cells == cells[0]).all() and cells[0] >= last
            last = int(cells[0])
        return last

    with ThreadPoolExecutor(THREADS) as threads:
        writing = threads.submit(write)
        reading = [threads.submit(read) for _ in range(3)]
        writing.result()
        assert [each.result() for each in reading] == [29] * 3
    stacked = atlas.Atlas.open(location).read_array_across_stacked("x", names)
    assert (stacked == 29).all()


def test_threads_flush_the_same_store(store, location):
    def add(index: int) -> None:
        store.create_dataset(f"d{index}").set_attribute("index", index)
        store.flush()

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(add, range(40)))
    found = atlas.Atlas.open(location)
    assert sorted(found) == sorted(f"d{index}" for index in range(40))
    assert all(found[f"d{index}"].get_attribute("index") == index for index in range(40))


@contextmanager
def progress():
    """Counts what another thread gets done; that thread runs only while this one has let go of the interpreter."""
    count = 0
    stop = threading.Event()
    sink = os.open(os.devnull, os.O_WRONLY)

    def work() -> None:
        nonlocal count
        while not stop.is_set():
            count += 1
            os.write(sink, b"-")

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=work)
    # No thread is made to give up the interpreter: whoever has it keeps it until a call of its own lets go.
    sys.setswitchinterval(1000)
    thread.start()
    try:
        yield lambda: count
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
        os.close(sink)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A store of four datasets with 500 000 noisy cells each, which take a while to decode."""
    location = tmp_path_factory.mktemp("threads") / "store"
    generator = np.random.default_rng(8)
    with atlas.Atlas.create(location, codec="zstd") as store:
        for index in range(4):
            view = store.create_dataset(f"d{index}")
            view.define_array("x", "float64", ["i"], [500_000], [50_000])
            view.write_array("x", [0], np.round(generator.standard_normal(500_000), 3))
    return location


def lets_others_go_on(call, prepare=lambda: None) -> bool:
    """Whether another thread gets something done during a call; it may take a few until that one wakes in time."""
    with progress() as count:
        for _ in range(100):
            prepare()
            before = count()
            call()
            if count() > before:
                return True
    return False


#: A free-threaded Python (3.14t, say): nothing of it is held by anybody.
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
with_a_lock = pytest.mark.skipif(FREE_THREADED, reason="this Python has no global lock")


@pytest.mark.skipif(not FREE_THREADED, reason="this Python has a global lock")
def test_a_free_threaded_python_stays_so():
    # The interpreter warns, and takes its lock again, for a module that does not declare that it can do without.
    code = "import sys, atlas; assert not sys._is_gil_enabled()"
    subprocess.run([sys.executable, "-W", "error::RuntimeWarning", "-c", code], check=True)


def test_threads_read_and_write_the_same_arrays_of_numpy(store):
    view = store.create_dataset("d")
    view.define_array("x", "int64", ["i"], [40_000], [5_000])
    view.define_array("s", "string", ["i"], [50])
    shared = np.zeros(40_000, "int64")
    words = np.array([f"word {index}" for index in range(50)], dtype=object)

    def work(worker: int) -> None:
        for turn in range(20):
            shared[:] = worker
            words[worker] = f"{worker} in {turn}"
            view.write_array("x", [0], shared)
            view.write_array("s", [0], words)
            # Whatever was read while others wrote it: cells of some of them, never anything else.
            assert set(np.unique(view.read_array("x"))) <= set(range(THREADS))
            assert all(isinstance(word, str) for word in view.read_array("s"))

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS)))


@with_a_lock
def test_the_yardstick_stands_still_while_the_interpreter_is_held():
    assert not lets_others_go_on(lambda: sum(range(10_000)))


READS = {
    "open": lambda store: atlas.Atlas.open(store.location),
    "read_array": lambda store: store.open_dataset("d0").read_array("x"),
    "read_arrays": lambda store: store.open_dataset("d0").read_arrays(["x"]),
    "across": lambda store: store.read_array_across("x", store.list_datasets()),
    "stacked": lambda store: store.read_array_across_stacked("x", store.list_datasets()),
}


@with_a_lock
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_other_threads_go_on_during_a_read(large, read):
    store = atlas.Atlas.open(large)
    assert lets_others_go_on(lambda: read(store))


@with_a_lock
def test_other_threads_go_on_during_writes_flushes_and_compactions(store):
    view = store.create_dataset("d")
    view.define_array("x", "float64", ["i"], [500_000], [50_000])
    cells = np.random.default_rng(9).standard_normal(500_000)

    def write() -> None:
        view.write_array("x", [0], cells)

    def write_and_flush() -> None:
        write()
        store.flush()

    assert lets_others_go_on(write)
    assert lets_others_go_on(store.flush, prepare=write)
    assert lets_others_go_on(store.compact, prepare=write_and_flush)
