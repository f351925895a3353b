"""Writing cells: what is taken, what is refused, and what it leaves."""

import numpy as np
import pytest


@pytest.fixture
def grid(view):
    """A 4 by 6 float32 array `x` in chunks of 2 by 3, filled with -1."""
    view.define_array("x", "float32", ["i", "j"], [4, 6], [2, 3], -1.0)
    return view


CELLS = np.arange(24, dtype="float32").reshape(4, 6)


def test_a_write_returns_nothing_and_is_read_at_once(grid):
    assert grid.write_array("x", [0, 0], CELLS) is None
    assert grid.read_array("x").tolist() == CELLS.tolist()


@pytest.mark.parametrize("start", [(1, 2), [1, 2], np.array([1, 2])], ids=["tuple", "list", "ndarray"])
def test_part_of_chunks_may_be_written(grid, reopened, start):
    grid.write_array("x", start, CELLS[:2, :3].copy())
    expected = np.full((4, 6), -1.0)
    expected[1:3, 2:5] = CELLS[:2, :3]
    for found in (grid, reopened()):
        assert found.read_array("x").tolist() == expected.tolist()


def test_arguments_go_by_name_too(grid):
    grid.write_array(name="x", start=[3, 5], data=np.full((1, 1), 9, "float32"))
    assert grid.read_array("x")[3, 5] == 9


def test_later_writes_win_before_and_after_a_flush(grid, reopened):
    grid.write_array("x", [0, 0], CELLS)
    grid.write_array("x", [1, 1], np.full((2, 2), 100, "float32"))
    first = grid.read_array("x")
    assert first[1:3, 1:3].tolist() == [[100, 100], [100, 100]] and first[0].tolist() == CELLS[0].tolist()
    assert reopened().read_array("x").tolist() == first.tolist()
    grid.write_array("x", [2, 2], np.full((1, 4), 200, "float32"))
    second = reopened().read_array("x")
    assert second[2].tolist() == [12, 100, 200, 200, 200, 200]
    assert second[1, 1] == 100 and second[3].tolist() == CELLS[3].tolist()


def test_a_write_takes_a_copy(grid):
    cells = CELLS.copy()
    grid.write_array("x", [0, 0], cells)
    cells[:] = 0
    assert grid.read_array("x").tolist() == CELLS.tolist()


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "uint32", "bool", "complex64", "object", ">f4", "S4"])
def test_another_dtype_is_a_type_error(grid, dtype):
    with pytest.raises(TypeError):
        grid.write_array("x", [0, 0], CELLS.astype(dtype))
    assert (grid.read_array("x") == -1).all()


@pytest.mark.parametrize("given", ["int8", "int16", "int32", "uint8", "uint64", "float64"])
def test_smaller_integers_are_not_widened(view, given):
    view.define_array("n", "int64", ["i"], [2])
    with pytest.raises(TypeError):
        view.write_array("n", [0], np.zeros(2, given))


@pytest.mark.parametrize("data", [CELLS.tolist(), None, "cells", b"\0" * 96, memoryview(CELLS), 1.0], ids=type)
def test_what_is_no_numpy_array_is_a_type_error(grid, data):
    with pytest.raises(TypeError):
        grid.write_array("x", [0, 0], data)


NOT_CONTIGUOUS = {
    "columns first": np.asfortranarray(CELLS),
    "transposed": CELLS.reshape(6, 4).T,
    "every other": np.repeat(CELLS, 2, axis=1)[:, ::2],
    "backwards": CELLS[::-1],
    "a part": np.zeros((8, 12), "float32")[:4, :6],
    "broadcast": np.broadcast_to(np.float32(1), (4, 6)),
}


@pytest.mark.parametrize("data", NOT_CONTIGUOUS.values(), ids=NOT_CONTIGUOUS)
def test_data_that_is_not_in_c_order_is_refused(grid, data):
    assert data.shape == (4, 6)
    with pytest.raises(TypeError) as refused:
        grid.write_array("x", [0, 0], data)
    # Scripts catch either.
    assert isinstance(refused.value, ValueError)
    grid.write_array("x", [0, 0], np.ascontiguousarray(data))
    assert grid.read_array("x").tolist() == data.tolist()


def test_rows_of_a_larger_array_are_in_c_order(grid):
    grid.write_array("x", [2, 0], CELLS[2:4])
    assert grid.read_array("x", [2, 0], [2, 6]).tolist() == CELLS[2:4].tolist()


def test_data_may_be_read_only(grid):
    cells = CELLS.copy()
    cells.flags.writeable = False
    grid.write_array("x", [0, 0], cells)
    assert grid.read_array("x").tolist() == CELLS.tolist()


def test_masked_cells_become_the_fill_value(grid, reopened):
    cells = np.ma.masked_array(CELLS, CELLS % 5 == 0)
    grid.write_array("x", [0, 0], cells)
    for found in (grid, reopened()):
        assert found.read_array("x").tolist() == cells.filled(-1).tolist()
    assert grid.array_stats("x")["null_count"] == 5


def test_masked_cells_without_a_fill_value_are_a_type_error(view):
    view.define_array("n", "int16", ["i"], [3])
    with pytest.raises(TypeError):
        view.write_array("n", [0], np.ma.masked_array(np.arange(3, dtype="int16"), [False, True, False]))
    view.write_array("n", [0], np.ma.masked_array(np.arange(3, dtype="int16")))
    assert view.read_array("n").tolist() == [0, 1, 2]


BEYOND = [
    ([1, 0], (4, 6)),
    ([0, 1], (4, 6)),
    ([4, 0], (1, 6)),
    ([0, 0], (5, 6)),
    ([9, 9], (1, 1)),
    ([2**63, 0], (1, 1)),
    ([2**64 - 1, 0], (2, 1)),
]


@pytest.mark.parametrize(("start", "shape"), BEYOND)
def test_a_write_beyond_the_array_is_a_value_error(grid, start, shape):
    with pytest.raises(ValueError) as refused:
        grid.write_array("x", start, np.zeros(shape, "float32"))
    assert isinstance(refused.value, IndexError)
    assert (grid.read_array("x") == -1).all()


@pytest.mark.parametrize(("start", "shape"), [([0, 0], (6,)), ([0], (4, 6)), ([], (4, 6)), ([0, 0, 0], (1, 1, 1))])
def test_a_write_of_another_rank_is_a_value_error(grid, start, shape):
    with pytest.raises(ValueError):
        grid.write_array("x", start, np.zeros(shape, "float32"))
    assert (grid.read_array("x") == -1).all()


@pytest.mark.parametrize("start", [[-1, 0], [0, 2**64]])
def test_a_start_that_no_array_has_is_refused(grid, start):
    with pytest.raises((ValueError, OverflowError)):
        grid.write_array("x", start, np.zeros((1, 1), "float32"))


@pytest.mark.parametrize("start", [None, 0, [0.0, 0], ["0", "0"], "00"])
def test_a_start_that_is_no_list_of_integers_is_a_type_error(grid, start):
    with pytest.raises(TypeError):
        grid.write_array("x", start, CELLS)


def test_nothing_may_be_written_anywhere_within(grid):
    for start in ([0, 0], [4, 0], [2, 6]):
        shape = (0, 6) if start[1] == 0 else (2, 0)
        grid.write_array("x", start, np.zeros(shape, "float32"))
    assert (grid.read_array("x") == -1).all()


def test_a_write_to_an_unknown_array_is_a_key_error(grid):
    with pytest.raises(KeyError):
        grid.write_array("y", [0, 0], CELLS)


def test_a_refused_write_leaves_earlier_ones_and_later_ones_alone(grid, reopened):
    grid.write_array("x", [0, 0], CELLS[:1].copy())
    with pytest.raises(ValueError):
        grid.write_array("x", [3, 0], CELLS)
    grid.write_array("x", [1, 0], CELLS[1:].copy())
    assert reopened().read_array("x").tolist() == CELLS.tolist()


def test_large_writes_survive_in_pieces_of_any_size(view, reopened):
    cells = np.random.default_rng(3).integers(-(2**31), 2**31, (300, 400)).astype("int32")
    view.define_array("x", "int32", ["i", "j"], [300, 400], [64, 100])
    for row in range(0, 300, 37):
        view.write_array("x", [row, 0], cells[row : row + 37])
    assert (view.read_array("x") == cells).all()
    assert (reopened().read_array("x") == cells).all()
