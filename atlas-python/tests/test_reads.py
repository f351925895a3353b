"""Reading cells: regions, and the arrays that come back."""

import numpy as np
import pytest

CELLS = np.arange(24, dtype="float32").reshape(4, 6)


@pytest.fixture(params=["unflushed", "flushed", "reopened"])
def grid(request, view, reopened):
    """A 4 by 6 float32 array `x` in chunks of 3 by 4, in each state in which it may be read."""
    view.define_array("x", "float32", ["i", "j"], [4, 6], [3, 4])
    view.write_array("x", [0, 0], CELLS)
    if request.param == "unflushed":
        return view
    found = reopened()
    return found if request.param == "reopened" else view


def test_a_read_gives_all_of_an_array_that_is_ones_own(grid):
    cells = grid.read_array("x")
    assert isinstance(cells, np.ndarray) and cells.dtype == "float32" and cells.shape == (4, 6)
    assert cells.flags.c_contiguous and cells.flags.writeable
    assert cells.tolist() == CELLS.tolist()
    cells[:] = 0
    assert grid.read_array("x").tolist() == CELLS.tolist()


def test_every_region_reads_as_numpy_cuts_it(grid):
    for i in range(5):
        for j in range(7):
            for rows in range(5 - i):
                for columns in range(7 - j):
                    found = grid.read_array("x", [i, j], [rows, columns])
                    assert found.shape == (rows, columns)
                    assert (found == CELLS[i : i + rows, j : j + columns]).all()


def test_a_region_may_be_any_sequence(grid):
    expected = CELLS[1:3, 2:5].tolist()
    assert grid.read_array("x", (1, 2), (2, 3)).tolist() == expected
    assert grid.read_array("x", np.array([1, 2]), np.array([2, 3])).tolist() == expected
    assert grid.read_array(name="x", start=[1, 2], shape=[2, 3]).tolist() == expected


def test_a_start_alone_reads_to_the_end(grid):
    assert grid.read_array("x", [1, 2]).tolist() == CELLS[1:, 2:].tolist()
    assert grid.read_array("x", start=[4, 6]).shape == (0, 0)


def test_a_shape_alone_reads_from_the_origin(grid):
    assert grid.read_array("x", shape=[2, 3]).tolist() == CELLS[:2, :3].tolist()
    assert grid.read_array("x", None, [2, 3]).tolist() == CELLS[:2, :3].tolist()


@pytest.mark.parametrize(
    ("start", "shape"),
    [([0, 0], [5, 6]), ([1, 0], [4, 6]), ([4, 0], [1, 1]), ([0, 7], [0, 0]), ([2**63, 0], [2**63, 1]), ([5, 0], None)],
)
def test_a_region_beyond_the_array_is_a_value_error(grid, start, shape):
    with pytest.raises(ValueError) as refused:
        grid.read_array("x", start, shape)
    assert isinstance(refused.value, IndexError)


@pytest.mark.parametrize(("start", "shape"), [([0], [2]), ([0, 0], [2]), ([0] * 3, [1] * 3), ([], []), ([0], None)])
def test_a_region_of_another_rank_is_a_value_error(grid, start, shape):
    with pytest.raises(ValueError):
        grid.read_array("x", start, shape)


@pytest.mark.parametrize("start", [[-1, 0], [2**64, 0]])
def test_an_index_that_no_array_has_is_refused(grid, start):
    with pytest.raises((ValueError, OverflowError)):
        grid.read_array("x", start, [1, 1])


@pytest.mark.parametrize("start", [[1.0, 0], "00", 0, ["a", "b"]])
def test_a_start_that_is_no_list_of_integers_is_a_type_error(grid, start):
    with pytest.raises(TypeError):
        grid.read_array("x", start, [1, 1])


class Interrupting:
    def __index__(self) -> int:
        raise KeyboardInterrupt


def test_what_an_index_raises_is_passed_on(grid):
    for start, shape in (([Interrupting(), 0], [1, 1]), ([0, 0], [1, Interrupting()])):
        with pytest.raises(KeyboardInterrupt):
            grid.read_array("x", start, shape)


def test_many_arrays_are_read_at_once_in_the_order_of_their_names(grid):
    found = grid.read_arrays(["x", "missing"])
    assert list(found) == ["x", "missing"]
    assert found["x"].tolist() == CELLS.tolist() and found["missing"] is None


def test_many_arrays_are_cut_alike(view):
    for name, scale in (("a", 1), ("b", 10)):
        view.define_array(name, "float32", ["i", "j"], [4, 6])
        view.write_array(name, [0, 0], CELLS * np.float32(scale))
    found = view.read_arrays(["b", "a"], [1, 2], [2, 2])
    assert list(found) == ["b", "a"]
    assert found["a"].tolist() == CELLS[1:3, 2:4].tolist()
    assert found["b"].tolist() == (CELLS[1:3, 2:4] * 10).tolist()
    assert view.read_arrays(["a"], start=[3, 5])["a"].tolist() == [[23]]
    assert view.read_arrays(names=["a"], shape=[1, 2])["a"].tolist() == [[0, 1]]


def test_reading_no_arrays_gives_none(grid):
    assert grid.read_arrays([]) == {}


def test_a_name_twice_is_one_entry_and_any_sequence_of_names_will_do(grid):
    assert list(grid.read_arrays(["x", "x"])) == ["x"]
    assert list(grid.read_arrays(("x",))) == ["x"]
    assert list(grid.read_arrays(np.array(["x"]))) == ["x"]


@pytest.mark.parametrize("names", ["x", b"x", 3, None, [3]])
def test_names_that_are_no_list_of_names_are_a_type_error(grid, names):
    with pytest.raises(TypeError):
        grid.read_arrays(names)


def test_one_array_out_of_bounds_fails_the_read_of_many(view):
    view.define_array("long", "int8", ["i"], [4])
    view.define_array("short", "int8", ["i"], [2])
    with pytest.raises(ValueError, match="short"):
        view.read_arrays(["long", "short"], [0], [3])


def test_a_missing_array_is_none_whatever_the_region(view):
    assert view.read_arrays(["nope"], [5], [5]) == {"nope": None}
    assert view.read_arrays(["nope"], [5]) == {"nope": None}
