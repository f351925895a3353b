"""One array of many datasets: as a list, and stacked."""

import numpy as np
import pytest

import atlas


@pytest.fixture(params=["unflushed", "flushed", "reopened"])
def fleet(request, store, location):
    """Datasets `a`, `b`, `c` with arrays `T` (2 by 3, full of 0, 1, 2) and `U` (two cells); `big`, whose `T` is 5 by 4;
    and `empty`, without arrays."""
    for index, name in enumerate("abc"):
        view = store.create_dataset(name)
        view.define_array("T", "float32", ["x", "y"], [2, 3], [1, 2], -1.0)
        view.write_array("T", [0, 0], np.full((2, 3), index, "float32"))
        view.define_array("U", "int32", ["x"], [2])
        view.write_array("U", [0], np.array([index, 10 * index], "int32"))
    store.create_dataset("big").define_array("T", "float32", ["x", "y"], [5, 4], None, -7.0)
    store.create_dataset("empty")
    if request.param != "unflushed":
        store.flush()
    return atlas.Atlas.open(location) if request.param == "reopened" else store


def test_across_gives_an_array_for_each_dataset_in_order(fleet):
    found = fleet.read_array_across("U", ["c", "a", "b"])
    assert isinstance(found, list)
    assert [cells.tolist() for cells in found] == [[2, 20], [0, 0], [1, 10]]
    assert all(cells.dtype == "int32" for cells in found)


def test_across_gives_none_where_there_is_no_such_array_or_dataset(fleet):
    found = fleet.read_array_across("U", ["a", "empty", "nope", "b"])
    assert [cells if cells is None else cells.tolist() for cells in found] == [[0, 0], None, None, [1, 10]]


def test_across_takes_arrays_of_any_shape(fleet):
    small, big = fleet.read_array_across("T", ["a", "big"])
    assert (small.shape, big.shape) == ((2, 3), (5, 4))
    assert (small == 0).all() and (big == -7).all()


def test_across_cuts_each_alike(fleet):
    found = fleet.read_array_across("T", ["b", "big"], [1, 1], [1, 2])
    assert [cells.tolist() for cells in found] == [[[1, 1]], [[-7, -7]]]
    found = fleet.read_array_across(array="U", dataset_names=["b"], start=[1], shape=[1])
    assert found[0].tolist() == [10]


def test_without_a_shape_each_is_read_to_its_own_end(fleet):
    found = fleet.read_array_across("T", ["a", "big"], [1, 1])
    assert [cells.shape for cells in found] == [(1, 2), (4, 3)]


def test_without_a_start_each_is_read_from_its_origin(fleet):
    found = fleet.read_array_across("T", ["a", "big"], shape=[1, 2])
    assert [cells.tolist() for cells in found] == [[[0, 0]], [[-7, -7]]]


def test_stacked_puts_the_datasets_first(fleet):
    found = fleet.read_array_across_stacked("T", ["b", "a", "c"])
    assert found.dtype == "float32" and found.shape == (3, 2, 3)
    assert found.flags.c_contiguous and found.flags.writeable
    assert (found == np.array([1, 0, 2])[:, None, None]).all()


def test_stacked_cuts_each_alike(fleet):
    assert fleet.read_array_across_stacked("U", ["b", "c"], [1], [1]).tolist() == [[10], [20]]
    assert fleet.read_array_across_stacked("U", ["b", "c"], start=[1]).tolist() == [[10], [20]]
    assert fleet.read_array_across_stacked("U", ["b", "c"], shape=[1]).tolist() == [[1], [2]]


def test_stacked_takes_unlike_shapes_where_the_region_lies_in_all(fleet):
    found = fleet.read_array_across_stacked("T", ["a", "big"], [0, 0], [2, 3])
    assert found.shape == (2, 2, 3) and (found[0] == 0).all() and (found[1] == -7).all()


def test_a_dataset_may_be_named_twice(fleet):
    assert [cells.tolist() for cells in fleet.read_array_across("U", ["b", "b"])] == [[1, 10]] * 2
    assert fleet.read_array_across_stacked("U", ["b", "b"]).tolist() == [[1, 10]] * 2


@pytest.mark.parametrize("names", [("a", "b"), np.array(["a", "b"])], ids=["tuple", "ndarray"])
def test_names_may_be_any_sequence(fleet, names):
    assert len(fleet.read_array_across("U", names)) == 2
    assert fleet.read_array_across_stacked("U", names).shape == (2, 2)


def test_regions_may_be_empty(fleet):
    assert [cells.shape for cells in fleet.read_array_across("T", ["a", "b"], [0, 0], [0, 3])] == [(0, 3)] * 2
    assert fleet.read_array_across_stacked("T", ["a", "b"], [0, 0], [0, 3]).shape == (2, 0, 3)


def both(fleet):
    return fleet.read_array_across, fleet.read_array_across_stacked


def test_no_datasets_are_a_value_error(fleet):
    for read in both(fleet):
        with pytest.raises(ValueError):
            read("T", [])


def test_an_array_that_no_dataset_has_is_a_key_error(fleet):
    for read in both(fleet):
        with pytest.raises(KeyError, match="W"):
            read("W", ["a", "b"])


@pytest.mark.parametrize("missing", ["empty", "nope"])
def test_stacked_names_the_first_dataset_that_lacks_the_array(fleet, missing):
    with pytest.raises(KeyError, match=missing):
        fleet.read_array_across_stacked("U", ["a", missing, "b"])


def test_stacked_refuses_unlike_shapes_and_names_the_dataset(fleet):
    with pytest.raises(ValueError, match="big"):
        fleet.read_array_across_stacked("T", ["a", "b", "big"])


def test_a_region_beyond_one_of_the_arrays_is_a_value_error_that_names_its_dataset(fleet):
    for read in both(fleet):
        with pytest.raises(ValueError, match="a") as refused:
            read("T", ["big", "a"], [0, 0], [5, 4])
        assert isinstance(refused.value, IndexError)


def test_a_region_of_another_rank_is_a_value_error(fleet):
    for read in both(fleet):
        with pytest.raises(ValueError):
            read("T", ["a"], [0], [1])


@pytest.mark.parametrize("names", ["a", b"a", 3, None, [3]])
def test_names_that_are_no_list_of_names_are_a_type_error(fleet, names):
    for read in both(fleet):
        with pytest.raises(TypeError):
            read("U", names)


STACKS = {
    "string": np.array([["a", "é"], ["", "zz"]], object),
    "timestamp_nanoseconds": np.array([["2020-01-01", "NaT"], ["1960-05-05", "2000-01-01"]], "datetime64[ns]"),
    "bool": np.array([[True, False], [False, False]]),
    "uint64": np.array([[2**64 - 1, 0], [1, 2]], "uint64"),
    "binary": np.array([[b"\xff", b""], [b"a", b"\0"]], object),
}


@pytest.mark.parametrize("dtype", STACKS)
def test_every_dtype_stacks(store, location, dtype):
    cells = STACKS[dtype]
    for name, row in zip("ab", cells, strict=True):
        view = store.create_dataset(name)
        view.define_array("v", dtype, ["x"], [2])
        view.write_array("v", [0], row)
        view.define_array("s", dtype, [], [])
        view.write_array("s", [], np.array(row[0], cells.dtype))
    store.flush()
    for fleet in (store, atlas.Atlas.open(location)):
        stacked = fleet.read_array_across_stacked("v", ["a", "b"])
        assert stacked.dtype == cells.dtype and stacked.shape == (2, 2)
        scalars = fleet.read_array_across_stacked("s", ["a", "b"])
        assert scalars.dtype == cells.dtype and scalars.shape == (2,)
        listed = fleet.read_array_across("v", ["a", "b"])
        for given, expected in ((stacked, cells), (np.stack(listed), cells), (scalars, cells[:, 0])):
            same = (given == expected) | ((given != given) & (expected != expected))
            assert same.all()


def test_some_flushed_and_some_unflushed_datasets_stack(store):
    for index in range(6):
        if index == 3:
            store.flush()
        view = store.create_dataset(f"d{index}")
        view.define_array("x", "int16", ["i"], [4], [2])
        view.write_array("x", [0], np.full(4, index, "int16"))
    store.open_dataset("d1").write_array("x", [1], np.array([100, 100], "int16"))
    names = [f"d{index}" for index in (5, 1, 0, 3)]
    expected = [[5] * 4, [1, 100, 100, 1], [0] * 4, [3] * 4]
    assert store.read_array_across_stacked("x", names).tolist() == expected
    assert [cells.tolist() for cells in store.read_array_across("x", names)] == expected
    store.flush()
    assert store.read_array_across_stacked("x", names).tolist() == expected


def test_a_large_fleet_stacks_in_the_order_of_its_names(store):
    count = 500
    for index in range(count):
        view = store.create_dataset(f"cast_{index}")
        view.define_array("t", "float64", ["z"], [20], fill_value=float("nan"))
        view.write_array("t", [0], np.arange(20.0) + index)
    store.flush()
    order = np.random.default_rng(2).permutation(count)
    found = store.read_array_across_stacked("t", [f"cast_{index}" for index in order], [5], [10])
    assert (found == np.arange(5.0, 15.0) + order[:, None]).all()
