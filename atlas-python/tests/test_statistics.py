"""Statistics: what they count and bound, and when they are known."""

import math

import numpy as np
import pytest

import atlas


def declare(view, dtype: str, cells: np.ndarray, fill_value=None, chunk_shape=None) -> None:
    dims = [f"d{axis}" for axis in range(cells.ndim)]
    view.define_array("x", dtype, dims, cells.shape, chunk_shape, fill_value)
    view.write_array("x", [0] * cells.ndim, cells)


def stats(view) -> tuple:
    found = view.array_stats("x")
    assert list(found) == ["row_count", "null_count", "min", "max"]
    return tuple(found.values())


def test_statistics_are_known_after_the_flush_that_made_them(view, store, reopened):
    view.define_array("x", "int32", ["i"], [3])
    assert view.array_stats("x") is None
    view.write_array("x", [0], np.array([3, 1, 2], "int32"))
    assert view.array_stats("x") is None
    found = reopened()
    assert stats(found) == stats(view) == (3, 0, 1, 3)
    view.write_array("x", [1], np.array([9], "int32"))
    store.flush()
    assert stats(view) == (3, 0, 2, 9)


def test_statistics_of_what_is_not_there_are_none(view, reopened):
    assert view.array_stats("x") is None
    declare(view, "int8", np.zeros(3, "int8"))
    reopened()
    view.delete_array("x")
    assert view.array_stats("x") is None


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_bounds_of_integers_are_exact_ints(view, reopened, dtype):
    limits = np.iinfo(dtype)
    declare(view, dtype, np.array([[1, limits.max], [limits.min, 2]], dtype), chunk_shape=[1, 1])
    found = stats(reopened())
    assert found == (4, 0, limits.min, limits.max)
    assert [type(bound) for bound in found] == [int] * 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bounds_of_floats_are_floats(view, reopened, dtype):
    declare(view, dtype, np.array([0.5, -2.25, 7.0], dtype))
    found = stats(reopened())
    assert found == (3, 0, -2.25, 7.0)
    assert [type(bound) for bound in found[2:]] == [float, float]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinities_are_bounds(view, reopened, dtype):
    declare(view, dtype, np.array([math.inf, 1, -math.inf], dtype))
    assert stats(reopened()) == (3, 0, -math.inf, math.inf)


def test_cells_equal_to_the_fill_value_are_nulls(view, reopened):
    declare(view, "float32", np.array([1, -999, 3, -999], "float32"), -999.0, [2])
    assert stats(reopened()) == (4, 2, 1.0, 3.0)


def test_nan_cells_are_nulls_where_nan_is_the_fill_value(view, reopened):
    declare(view, "float32", np.array([1, np.nan, -3], "float32"), float("nan"))
    assert stats(reopened()) == (3, 1, -3.0, 1.0)


def test_nan_is_no_bound_and_no_null_without_such_a_fill_value(view, reopened):
    declare(view, "float64", np.array([np.nan, 1, np.nan, -3]))
    assert stats(reopened()) == (4, 0, -3.0, 1.0)


def test_where_nothing_is_valid_there_are_no_bounds(view, store, location):
    for name, fill in (("fill", float("nan")), ("none", None)):
        other = store.create_dataset(name)
        declare(other, "float64", np.full(3, np.nan), fill)
    store.flush()
    found = atlas.Atlas.open(location)
    assert stats(found.open_dataset("fill")) == (3, 3, None, None)
    assert stats(found.open_dataset("none")) == (3, 0, None, None)


def test_unwritten_cells_are_nulls_of_the_fill_value(view, reopened):
    view.define_array("x", "int32", ["i"], [6], [2], -1)
    view.write_array("x", [1], np.array([5, 7], "int32"))
    assert stats(reopened()) == (6, 4, 5, 7)


def test_times_are_bounded_by_their_nanoseconds(view, reopened):
    cells = np.array(["2020-01-01", "1960-01-01"], "datetime64[ns]")
    declare(view, "timestamp_ns", cells)
    found = stats(reopened())
    assert found == (2, 0, -315_619_200_000_000_000, 1_577_836_800_000_000_000)
    assert [type(bound) for bound in found[2:]] == [int, int]


def test_not_a_time_is_a_null_where_it_is_the_fill_value_and_never_a_bound(view, store, location):
    cells = np.array(["2020-01-01", "NaT"], "datetime64[ns]")
    for name, fill in (("fill", -(2**63)), ("none", None)):
        declare(store.create_dataset(name), "timestamp_ns", cells, fill)
    store.flush()
    found = atlas.Atlas.open(location)
    day = 1_577_836_800_000_000_000
    assert stats(found.open_dataset("fill")) == (2, 1, day, day)
    assert stats(found.open_dataset("none")) == (2, 0, day, day)


def test_strings_are_bounded_in_the_order_of_their_bytes(view, reopened):
    declare(view, "string", np.array(["b", "", "Z", "é", "zz"], object), "", [2])
    assert stats(reopened()) == (5, 1, "Z", "é")


def test_bounds_of_long_strings_still_bound(view, reopened):
    low, high = "a" * 500, "b" * 500
    declare(view, "string", np.array([high, low], object))
    found = stats(reopened())
    assert found[:2] == (2, 0) and found[2] <= low and found[3] >= high
    extended = view.array_stats("x", extended=True)
    assert (extended["min_exact"], extended["max_exact"]) == (False, False)


def test_bools_and_binary_are_bounded_too(view, store, location):
    declare(store.create_dataset("b"), "bool", np.array([True, False, True]))
    view.define_array("y", "binary", ["i"], [2])
    view.write_array("y", [0], np.array([b"\xff", b"\0"], object))
    store.flush()
    found = atlas.Atlas.open(location)
    assert stats(found.open_dataset("b")) == (3, 0, False, True)
    assert tuple(found.open_dataset("d").array_stats("y").values()) == (2, 0, b"\0", b"\xff")


def test_an_array_without_dimensions_has_one_row_and_one_without_cells_none(view, store, location):
    declare(view, "float64", np.array(5.0))
    declare(store.create_dataset("e"), "float64", np.zeros(0))
    store.flush()
    found = atlas.Atlas.open(location)
    assert stats(found.open_dataset("d")) == (1, 0, 5.0, 5.0)
    empty = found.open_dataset("e").array_stats("x")
    assert empty is None or tuple(empty.values()) == (0, 0, None, None)


def test_rewritten_cells_no_longer_count(view, store, reopened):
    declare(view, "int32", np.array([1, 1000, -1000, 2], "int32"), 0, [2])
    assert stats(reopened()) == (4, 0, -1000, 1000)
    view.write_array("x", [1], np.array([3, 0], "int32"))
    assert stats(reopened()) == (4, 1, 1, 3)
    store.compact()
    assert stats(reopened()) == (4, 1, 1, 3)


@pytest.mark.parametrize("fill", [None, 0, 3])
def test_statistics_agree_with_brute_force(store, location, fill):
    generator = np.random.default_rng(11)
    expected = {}
    for index in range(20):
        shape = tuple(int(extent) for extent in generator.integers(1, 9, size=index % 4))
        cells = generator.integers(-5, 6, shape).astype("int16")
        view = store.create_dataset(f"d{index}")
        chunks = [int(generator.integers(1, extent + 1)) for extent in shape]
        declare(view, "int16", cells, fill, chunks)
        valid = cells if fill is None else cells[cells != fill]
        bounds = (int(valid.min()), int(valid.max())) if valid.size else (None, None)
        expected[view.name] = (cells.size, cells.size - valid.size, *bounds)
    store.flush()
    found = atlas.Atlas.open(location)
    assert {name: stats(found.open_dataset(name)) for name in expected} == expected


def test_sums_means_and_nans_are_there_for_the_asking(view, reopened):
    declare(view, "float64", np.array([1.0, 2.0, np.nan, -1.0, 6.0]), -1.0)
    found = reopened().array_stats("x", extended=True)
    assert {key: found[key] for key in ("row_count", "null_count", "nan_count", "min", "max", "sum", "mean")} == {
        "row_count": 5,
        "null_count": 1,
        "nan_count": 1,
        "min": 1.0,
        "max": 6.0,
        "sum": 9.0,
        "mean": 3.0,
    }
