"""The one durability boundary: what is flushed stays, what is not never was."""

import gc
import multiprocessing
import signal
import subprocess
import sys

import numpy as np
import pytest

from atlas import Atlas, errors


# Processes with threads that fork are what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def cells_of(index: int) -> np.ndarray:
    return np.arange(3000, dtype="int64") * (index + 1)


def add(store: Atlas, index: int) -> None:
    view = store.create_dataset(f"d{index}")
    view.define_array("x", "int64", ["i"], [3000], [1000])
    view.write_array("x", [0], cells_of(index))
    view.set_attribute("index", index)


def check(store: Atlas, count: int) -> None:
    """The store holds the first `count` datasets, whole, and nothing else."""
    assert store.list_datasets() == [f"d{index}" for index in range(count)]
    for index in range(count):
        view = store.open_dataset(f"d{index}")
        assert (view.read_array("x") == cells_of(index)).all()
        assert view.attributes() == {"index": index}
    assert store.verify() == []


def test_nothing_is_visible_to_others_before_a_flush_and_all_of_it_after(store, location):
    for index in range(3):
        add(store, index)
    check(Atlas.open(location), 0)
    store.flush()
    check(Atlas.open(location), 3)


def test_a_dropped_handle_abandons_what_it_did_not_flush(location):
    store = Atlas.create(location)
    add(store, 0)
    store.flush()
    add(store, 1)
    store.delete_dataset("d0")
    del store
    gc.collect()
    check(Atlas.open(location), 1)


def test_many_writes_are_one_segment_for_each_array_name(store, tmp_path):
    for index in range(20):
        view = store.create_dataset(f"d{index}")
        for name in ("x", "y"):
            view.define_array(name, "int32", ["i"], [10], [5])
            view.write_array(name, [0], np.arange(5, dtype="int32"))
            view.write_array(name, [5], np.arange(5, dtype="int32"))
    store.flush()
    for name in ("x", "y"):
        assert len(list((tmp_path / "store" / name).glob("*.af"))) == 1


WRITER = """
import sys
import numpy as np
from atlas import Atlas

store = Atlas.create(sys.argv[1])
flushes = int(sys.argv[2])
index = 0
while True:
    view = store.create_dataset(f"d{index}")
    view.define_array("x", "int64", ["i"], [3000], [1000])
    view.write_array("x", [0], np.arange(3000, dtype="int64") * (index + 1))
    view.set_attribute("index", index)
    if index == flushes:
        print("unflushed", flush=True)
        sys.stdin.read()
    store.flush()
    index += 1
    print(index, flush=True)
"""


def run_writer(location: str, flushes: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, location, str(flushes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_writer_leaves_what_it_flushed_and_its_lock_in_nobodys_way(location):
    with run_writer(location, 3) as writer:
        for line in writer.stdout:
            if line == "unflushed\n":
                break
        with pytest.raises(errors.ConflictError):
            Atlas.open(location).create_dataset("while it writes")
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
    check(Atlas.open(location), 3)
    with Atlas.open(location) as store:
        add(store, 3)
    check(Atlas.open(location), 4)


@pytest.mark.parametrize("lines", [1, 5, 17])
def test_a_writer_killed_at_any_moment_leaves_a_whole_store(location, lines):
    with run_writer(location, -1) as writer:
        for _ in range(lines):
            assert writer.stdout.readline()
        writer.kill()
    found = Atlas.open(location)
    count = len(found.list_datasets())
    assert count >= lines
    check(found, count)
    with Atlas.open(location) as store:
        add(store, count)
    check(Atlas.open(location), count + 1)


def test_a_second_writer_is_told_and_loses_nothing_of_the_first(store, location):
    other = Atlas.open(location)
    add(store, 0)
    with pytest.raises(errors.ConflictError) as refused:
        other.create_dataset("mine")
    assert refused.value.kind == "conflict" and isinstance(refused.value, RuntimeError)
    store.flush()
    add(other, 1)
    other.flush()
    check(Atlas.open(location), 2)


def test_the_first_change_after_another_writers_flush_builds_on_it(store, location):
    other = Atlas.open(location)
    add(store, 0)
    store.flush()
    with pytest.raises(FileExistsError):
        other.create_dataset("d0")
    add(other, 1)
    assert other.list_datasets() == ["d0", "d1"]
    other.flush()
    check(Atlas.open(location), 2)


def test_abandoning_gives_up_the_changes_and_the_lock(store, location):
    add(store, 0)
    store.flush()
    add(store, 1)
    view = store.open_dataset("d0")
    view.write_array("x", [0], np.zeros(5, "int64"))
    view.set_attribute("index", 99)
    assert store.abandon() is None
    check(store, 1)
    store.flush()
    with Atlas.open(location) as other:
        add(other, 1)
    check(Atlas.open(location), 2)


def test_a_dropped_writer_gives_back_the_lock(location):
    store = Atlas.create(location)
    store.create_dataset("never flushed")
    del store
    gc.collect()
    with Atlas.open(location) as other:
        add(other, 0)
    check(Atlas.open(location), 1)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_a_forked_child_does_not_give_back_its_parents_lock(store, location):
    add(store, 0)
    child = multiprocessing.get_context("fork").Process(target=store.abandon)
    child.start()
    child.join(120)
    assert child.exitcode == 0
    with pytest.raises(errors.ConflictError):
        Atlas.open(location).create_dataset("beside")
    store.flush()
    check(Atlas.open(location), 1)


def test_a_handle_reads_its_snapshot_until_it_is_refreshed(store, location):
    add(store, 0)
    store.flush()
    reader = Atlas.open(location)
    before = reader.snapshot
    view = reader.open_dataset("d0")
    store.open_dataset("d0").write_array("x", [0], np.full(3000, -1))
    store.open_dataset("d0").set_attribute("index", -1)
    store.create_dataset("new")
    store.flush()
    check(reader, 1)
    assert reader.snapshot == before
    assert reader.refresh() is True
    assert reader.snapshot > before
    assert reader.list_datasets() == ["d0", "new"]
    assert (view.read_array("x") == -1).all() and view.get_attribute("index") == -1
    assert reader.refresh() is False


def test_a_reader_goes_on_beside_compaction(store, location):
    for index in range(3):
        add(store, index)
    store.flush()
    reader = Atlas.open(location)
    store.delete_dataset("d1")
    store.open_dataset("d2").write_array("x", [0], np.zeros(3000, "int64"))
    store.flush()
    store.compact()
    check(reader, 3)
    assert Atlas.open(location).list_datasets() == ["d0", "d2"]


def test_flushes_number_the_snapshots(store):
    numbers = [store.snapshot]
    for index in range(3):
        add(store, index)
        store.flush()
        numbers.append(store.snapshot)
    assert numbers == sorted(set(numbers)) and all(type(number) is int for number in numbers)


def test_refreshing_over_ones_own_changes_is_refused(store):
    add(store, 0)
    with pytest.raises(errors.ConflictError):
        store.refresh()
    store.flush()
    assert store.refresh() is False
