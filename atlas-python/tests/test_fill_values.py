"""Fill values: what cells read as that nobody wrote."""

import numpy as np
import pytest

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float32", "float64"]


def declare(view, dtype: str, fill_value):
    view.define_array("x", dtype, ["i"], [3], fill_value=fill_value)
    return view.array_fill_value("x")


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_filled_up_to_their_limits(store, dtype):
    limits = np.iinfo(dtype)
    for fill in {limits.min, 0, 1, limits.max}:
        view = store.create_dataset(f"d{fill}")
        given = declare(view, dtype, int(fill))
        assert given == fill and type(given) is int
        cells = view.read_array("x")
        assert cells.dtype == dtype and cells.tolist() == [fill] * 3


@pytest.mark.parametrize("dtype", INTEGERS)
def test_an_integer_out_of_range_is_an_overflow(view, dtype):
    limits = np.iinfo(dtype)
    for fill in (int(limits.min) - 1, int(limits.max) + 1, 2**100, -(2**100)):
        with pytest.raises(OverflowError):
            declare(view, dtype, fill)
    assert view.list_arrays() == []


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fill", [0.0, -0.0, 1.5, -999.0, float("inf"), float("-inf"), float("nan"), 3])
def test_floats_are_filled_with_any_number(view, reopened, dtype, fill):
    given = declare(view, dtype, fill)
    assert type(given) is float
    for found in (view, reopened()):
        assert repr(found.array_fill_value("x")) == repr(float(fill))
        cells = found.read_array("x")
        assert cells.dtype == dtype and [repr(cell) for cell in cells.tolist()] == [repr(float(fill))] * 3


def test_a_float32_is_filled_with_the_nearest_float32(view):
    given = declare(view, "float32", 0.1)
    assert np.float32(given) == np.float32(0.1)
    assert view.read_array("x").tolist() == [float(np.float32(0.1))] * 3


@pytest.mark.parametrize("fill", [-(2**63), -1, 0, 1_577_836_800_000_000_000, 2**63 - 1])
def test_times_are_filled_with_nanoseconds(view, reopened, fill):
    assert declare(view, "timestamp_nanoseconds", fill) == fill
    found = reopened()
    assert found.array_fill_value("x") == fill
    assert found.read_array("x").dtype == "datetime64[ns]"
    assert found.read_array("x").view("int64").tolist() == [fill] * 3


@pytest.mark.parametrize("fill", ["", "x", "ü😀", "a\nb", "x" * 1000])
def test_strings_are_filled_with_text(view, reopened, fill):
    assert declare(view, "string", fill) == fill
    found = reopened()
    assert found.array_fill_value("x") == fill
    assert found.read_array("x").tolist() == [fill] * 3


@pytest.mark.parametrize("dtype", [*INTEGERS, "timestamp_nanoseconds"])
@pytest.mark.parametrize(
    "fill", [1.0, float("nan"), "1", "", b"1", True, False, [1], np.array([1]), object()], ids=repr
)
def test_what_is_no_integer_fills_no_integers(view, dtype, fill):
    with pytest.raises(TypeError):
        declare(view, dtype, fill)
    assert view.list_arrays() == []


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fill", ["1.0", "nan", b"1", True, [1.0], np.array([1.0, 2.0]), object()], ids=repr)
def test_what_is_no_number_fills_no_floats(view, dtype, fill):
    with pytest.raises(TypeError):
        declare(view, dtype, fill)


@pytest.mark.parametrize("fill", [0, 1.5, True, b"x", ["x"], np.array(["x", "y"]), object()], ids=repr)
def test_what_is_no_text_fills_no_strings(view, fill):
    with pytest.raises(TypeError):
        declare(view, "string", fill)


EMPTY = {
    "int16": [0, 0, 0],
    "uint64": [0, 0, 0],
    "float32": [0.0, 0.0, 0.0],
    "string": ["", "", ""],
    "timestamp_nanoseconds": [0, 0, 0],
}


@pytest.mark.parametrize("dtype", EMPTY)
def test_without_a_fill_value_unwritten_cells_are_zero_or_empty_or_the_epoch(view, reopened, dtype):
    assert declare(view, dtype, None) is None
    for found in (view, reopened()):
        assert found.array_fill_value("x") is None
        assert found.read_array("x").tolist() == EMPTY[dtype]


def test_numpy_numbers_fill_too(view):
    view.define_array("f", "float64", ["i"], [1], fill_value=np.float64(2.5))
    view.define_array("g", "float32", ["i"], [1], fill_value=np.float32(2.5))
    view.define_array("i", "int16", ["i"], [1], fill_value=np.int64(3))
    view.define_array("s", "string", ["i"], [1], fill_value=np.str_("q"))
    assert [view.array_fill_value(name) for name in "fgis"] == [2.5, 2.5, 3, "q"]
    assert [type(view.array_fill_value(name)) for name in "fgis"] == [float, float, int, str]
    with pytest.raises(OverflowError):
        view.define_array("j", "int8", ["i"], [1], fill_value=np.int64(300))


def test_fill_values_show_around_what_was_written(view, reopened):
    view.define_array("x", "int16", ["i", "j"], [4, 5], [2, 2], -9)
    view.write_array("x", [1, 1], np.array([[1, 2], [3, 4]], "int16"))
    expected = np.full((4, 5), -9)
    expected[1:3, 1:3] = [[1, 2], [3, 4]]
    for found in (view, reopened()):
        assert found.read_array("x").tolist() == expected.tolist()
