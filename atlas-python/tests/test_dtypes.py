"""Which dtypes there are, what they are called, and that every value survives."""

import numpy as np
import pytest

NUMBERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
ALIASES = {
    "timestamp_ns": "timestamp_nanoseconds",
    "datetime64[ns]": "timestamp_nanoseconds",
    "str": "string",
    "Float32": "float32",
    "FLOAT64": "float64",
    " int8 ": "int8",
    "f32": "float32",
    "f64": "float64",
    **{f"{kind[0]}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}


def extremes(dtype: str) -> np.ndarray:
    if dtype.startswith("float"):
        limits = np.finfo(dtype)
        specials = [-0.0, 0.0, 1.0, np.nan, np.inf, -np.inf, limits.smallest_subnormal]
        return np.array([limits.min, limits.max, limits.tiny, *specials], dtype)
    limits = np.iinfo(dtype)
    return np.array([limits.min, 0, 1, limits.max], dtype)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", NUMBERS)
def test_the_extremes_of_every_number_survive_bit_by_bit(view, reopened, dtype):
    cells = extremes(dtype)
    view.define_array("x", dtype, ["i"], [len(cells)])
    view.write_array("x", [0], cells)
    for found in (view, reopened()):
        assert found.array_meta("x")["dtype"] == dtype
        assert same(found.read_array("x"), cells)


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_a_dtype_has_other_names_and_is_described_by_its_own(view, alias, name):
    view.define_array("x", alias, ["i"], [1])
    assert view.array_meta("x")["dtype"] == name


@pytest.mark.parametrize("name", ["list[int8]", "list[float32]", "fixed_size_list[float32,3]"])
def test_a_dtype_that_cannot_be_stored_is_not_implemented(view, name):
    with pytest.raises(NotImplementedError):
        view.define_array("x", name, ["i"], [1])


@pytest.mark.parametrize(
    "name", ["", "float16", "float128", "complex64", "object", "datetime64[s]", "timedelta64[ns]", "f", "nonsense"]
)
def test_a_dtype_that_does_not_exist_is_a_value_error(view, name):
    with pytest.raises(ValueError):
        view.define_array("x", name, ["i"], [1])
    assert view.list_arrays() == []


@pytest.mark.parametrize(
    "cells", [np.zeros(3, np.longlong), np.zeros(3, np.intp), np.zeros(3, "=i8")], ids=["q", "p", "="]
)
def test_integers_of_the_same_size_are_the_same_dtype(view, cells):
    view.define_array("x", "int64", ["i"], [3])
    view.write_array("x", [0], cells)
    assert view.read_array("x").dtype == "int64"


SCALARS = {
    **{dtype: np.array(7, dtype) for dtype in NUMBERS},
    "string": np.array("hi", object),
    "timestamp_nanoseconds": np.array("2020-01-01T00:00:00.000000005", "datetime64[ns]"),
    "bool": np.array(True),
    "binary": np.array(b"\xff\0", object),
}


@pytest.mark.parametrize("dtype", SCALARS)
def test_an_array_may_have_no_dimensions(view, reopened, dtype):
    view.define_array("x", dtype, [], [])
    assert view.array_meta("x") == {"dtype": dtype, "shape": [], "chunk_shape": [], "dimension_names": []}
    view.write_array("x", [], SCALARS[dtype])
    for found in (view, reopened()):
        cell = found.read_array("x")
        assert isinstance(cell, np.ndarray) and cell.shape == ()
        assert cell.dtype == SCALARS[dtype].dtype and cell.item() == SCALARS[dtype].item()
        assert found.read_array("x", [], []).item() == cell.item()


def test_an_array_without_dimensions_is_filled_until_it_is_written(view):
    view.define_array("x", "float64", [], [], fill_value=9.5)
    assert view.read_array("x").tolist() == 9.5
    with pytest.raises(ValueError):
        view.write_array("x", [], np.array([3.0]))
    with pytest.raises(ValueError):
        view.write_array("x", [0], np.array(3.0))


@pytest.mark.parametrize("dtype", [*NUMBERS, "string", "timestamp_nanoseconds", "bool", "binary"])
def test_an_array_may_have_no_cells(view, reopened, dtype):
    view.define_array("x", dtype, ["i", "j"], [0, 3])
    view.write_array("x", [0, 0], view.read_array("x"))
    for found in (view, reopened()):
        assert found.read_array("x").shape == (0, 3)
        assert found.read_array("x", [0, 1], [0, 2]).shape == (0, 2)
        assert found.read_array("x").dtype == view.read_array("x").dtype


def test_an_array_may_have_many_dimensions(view, reopened):
    cells = np.arange(2**10, dtype="int16").reshape((2,) * 10)
    view.define_array("x", "int16", list("abcdefghij"), cells.shape, [1, 2] * 5)
    view.write_array("x", [0] * 10, cells)
    assert same(reopened().read_array("x"), cells)
    assert same(view.read_array("x", [1] * 10, [1] * 10), cells[(slice(1, 2),) * 10].copy())


def test_bools_are_arrays_too(view, reopened):
    cells = np.array([[True, False], [False, True]])
    view.define_array("x", "bool", ["i", "j"], [2, 2], [1, 2], fill_value=True)
    assert view.read_array("x").tolist() == [[True, True]] * 2
    view.write_array("x", [0, 0], cells)
    for found in (view, reopened()):
        assert same(found.read_array("x"), cells)
        assert found.array_fill_value("x") is True
    for wrong in (cells.astype("uint8"), cells.astype("int64")):
        with pytest.raises(TypeError):
            view.write_array("x", [0, 0], wrong)
    for wrong in (1, 0.0, "True"):
        with pytest.raises(TypeError):
            view.define_array("y", "bool", ["i"], [1], fill_value=wrong)


def test_binary_cells_are_bytes_as_they_are(view, reopened):
    cells = np.array([b"", b"\xff\0\xfe", b"a" * 1000, b"\xc3\x28", b"\0"], object)
    view.define_array("x", "binary", ["i"], [5], [2], fill_value=b"\0\1")
    assert view.read_array("x").tolist() == [b"\0\1"] * 5
    view.write_array("x", [0], cells)
    for found in (view, reopened()):
        assert found.read_array("x").tolist() == cells.tolist()
        assert found.array_fill_value("x") == b"\0\1"
    with pytest.raises(TypeError):
        view.write_array("x", [0], np.array(["text"], object))


TIMES = np.array(
    ["2020-01-01T12:00:00.000000001", "1960-05-05", "NaT", "2262-04-11T23:47:16.854775807"], "datetime64[ns]"
)


def test_times_are_nanoseconds(view, reopened):
    view.define_array("t", "timestamp_nanoseconds", ["i"], [4])
    view.write_array("t", [0], TIMES)
    for found in (view, reopened()):
        assert same(found.read_array("t"), TIMES)
        assert np.isnat(found.read_array("t")).tolist() == [False, False, True, False]


def test_times_may_be_given_as_their_integers(view, reopened):
    view.define_array("t", "timestamp_ns", ["i"], [4])
    view.write_array("t", [0], TIMES.view("int64"))
    assert same(reopened().read_array("t"), TIMES)


@pytest.mark.parametrize(
    "dtype",
    [
        "datetime64[s]",
        "datetime64[us]",
        "datetime64[D]",
        "datetime64[10ns]",
        "timedelta64[ns]",
        "int32",
        "uint64",
        "float64",
    ],
)
def test_times_of_any_other_unit_are_a_type_error(view, dtype):
    view.define_array("t", "timestamp_ns", ["i"], [2])
    with pytest.raises(TypeError):
        view.write_array("t", [0], np.array([1, 2], dtype))


def test_times_are_no_integers(view):
    view.define_array("n", "int64", ["i"], [4])
    with pytest.raises(TypeError):
        view.write_array("n", [0], TIMES)
