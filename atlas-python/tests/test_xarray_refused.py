"""What is refused rather than written wrong: blocks that are not what dask says, attributes, times, chunks."""

import datetime
import threading

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import atlas
from atlas import Atlas, _pickle
from atlas.errors import AttributeTypeError, DTypeError, InvalidArgumentError, UnsupportedError, ValueRangeError


@pytest.fixture
def store(tmp_path):
    return Atlas.create(tmp_path / "store")


def lying(blocks, dtype, make):
    """An array of dask whose blocks are what `make` makes of them, whatever it says."""
    return xr.Dataset({"v": ("x", da.zeros(20, chunks=10, dtype=blocks).map_blocks(make, dtype=dtype, chunks=((10, 10),)))})


@pytest.mark.parametrize(
    "ds, error, text",
    [
        (lying("f8", "f8", lambda block: block[:3]), InvalidArgumentError, r"'v'.*\(3,\).*\(10,\)"),
        (lying("f8", "f8", lambda block: np.append(block, 1.0)), InvalidArgumentError, r"'v'.*\(11,\)"),
        (lying("i1", "i1", lambda block: block.astype("i8") + 300), DTypeError, "'v' is int8, a block of it is int64"),
        (lying("f4", "f4", lambda block: block.astype("f8") + 1e300), DTypeError, "float64"),
    ],
)
def test_blocks_that_are_not_as_dask_says(store, ds, error, text):
    with pytest.raises(error, match=text):
        store.add_xr_dataset(ds, "a")
    assert store.list_datasets() == []


def test_blocks_of_the_other_byte_order_are_the_same_numbers(store):
    store.add_xr_dataset(lying("f8", "f8", lambda block: (block + 1.5).astype(">f8")), "a")
    assert store.to_xarray("a").v.values.tolist() == [1.5] * 20


@pytest.mark.parametrize("value", [np.longdouble("0.1"), [np.longdouble("0.1")], np.array([1, 2], np.longdouble)])
def test_long_doubles_as_attributes(store, value):
    with pytest.raises(AttributeTypeError, match="'a'"):
        store.add_xr_dataset(xr.Dataset(attrs={"a": value}), "d")
    assert store.list_datasets() == []


@pytest.mark.parametrize("value", [datetime.datetime(2024, 5, 6, 7), pd.Timestamp("2024-05-06T07:00:00.000000001")])
def test_times_as_attributes(store, value):
    store.add_xr_dataset(xr.Dataset(attrs={"a": value}), "d")
    expected = value.to_datetime64() if isinstance(value, pd.Timestamp) else np.datetime64(value)
    assert store.to_xarray("d").attrs["a"] == expected


@pytest.mark.parametrize("time", [np.datetime64(2**62, "D"), np.datetime64("2300-01-01", "D"), np.datetime64(10**9, "Y")])
def test_times_that_nanoseconds_cannot_count(store, time):
    with pytest.raises(ValueRangeError):
        store.create_dataset("a").set_attribute("t", time)


def test_years_and_months_are_times(store):
    view = store.create_dataset("a")
    for text in ("2024", "2024-05", "1700-01"):
        view.set_attribute("t", np.datetime64(text))
        assert view.get_attribute("t") == np.datetime64(text, "ns").astype(int)


def test_times_of_a_zone(store):
    index = pd.date_range("2024-01-01", periods=2, tz="Europe/Amsterdam")
    with pytest.raises(UnsupportedError, match="'v'"):
        store.add_xr_dataset(xr.Dataset({"v": ("x", index)}), "d")


@pytest.mark.parametrize("chunks", [{"v": 2}, {"v": "22"}, "auto"])
def test_chunks_that_are_none(store, chunks):
    with pytest.raises(InvalidArgumentError, match="chunks"):
        store.add_xr_dataset(xr.Dataset({"v": ("x", np.zeros(4))}), "d", chunks)
    assert store.list_datasets() == []


def test_the_accessor_takes_its_store_by_the_name_that_scripts_use(store):
    xr.Dataset({"v": ("x", [1.0])}).atlas.write(atlas=store, name="d", chunks=None)
    assert store.list_datasets() == ["d"]


def test_a_forked_process_does_not_wait_for_what_its_parent_opens(store):
    store.flush()
    held = _pickle._lock
    with held:
        _pickle._begin_anew()
        assert _pickle._lock is not held
        opened = []
        thread = threading.Thread(target=lambda: opened.append(_pickle.open_store(store.location)))
        thread.start()
        thread.join(60)
    assert [one.location for one in opened] == [store.location]


def test_levels_of_logging():
    import logging

    for text, level in [("debug", logging.DEBUG), ("atlas=warning", logging.WARNING), ("trace", logging.DEBUG), ("?", logging.INFO)]:
        atlas.init_tracing(text)
        assert logging.getLogger("atlas").level == level
