"""A dataset: which arrays it declares, and how they are declared, described and deleted."""

import numpy as np
import pytest

import atlas


def test_a_declared_array_is_described(view):
    assert view.define_array("t", "float32", ["lat", "lon"], [8, 16], [4, 8], float("nan")) is None
    assert view.array_meta("t") == {
        "dtype": "float32",
        "shape": [8, 16],
        "chunk_shape": [4, 8],
        "dimension_names": ["lat", "lon"],
    }


def test_a_description_is_of_plain_lists_and_ints(view):
    view.define_array("t", dtype="int16", dims=("x", "y"), shape=(np.int64(3), 4), chunk_shape=np.array([2, 4]))
    meta = view.array_meta("t")
    assert [type(meta[key]) for key in meta] == [str, list, list, list]
    assert list(meta) == ["dtype", "shape", "chunk_shape", "dimension_names"]
    assert all(type(extent) is int for extent in meta["shape"] + meta["chunk_shape"])


def test_without_a_chunk_shape_the_array_is_one_chunk(view):
    view.define_array("t", "float32", ["x", "y"], [5, 7])
    assert view.array_meta("t")["chunk_shape"] == [5, 7]


def test_a_chunk_may_be_larger_than_its_array(view):
    view.define_array("t", "int8", ["x"], [4], [10])
    view.write_array("t", [0], np.arange(4, dtype="int8"))
    assert view.array_meta("t")["chunk_shape"] == [10]
    assert view.read_array("t").tolist() == [0, 1, 2, 3]


def test_arrays_are_listed_in_the_order_of_their_declaration(view):
    for name in ("b", "a", "c"):
        view.define_array(name, "int8", ["x"], [1])
    assert view.list_arrays() == ["b", "a", "c"]
    view.delete_array("b")
    view.define_array("b", "int8", ["x"], [1])
    assert view.list_arrays() == ["a", "c", "b"]


def test_unflushed_declarations_are_seen_by_other_views(view, store):
    other = store.open_dataset("d")
    view.define_array("x", "int8", ["i"], [3], fill_value=7)
    assert other.list_arrays() == ["x"]
    assert other.array_meta("x")["shape"] == [3]
    assert other.array_fill_value("x") == 7
    assert other.read_array("x").tolist() == [7, 7, 7]


def test_declarations_survive_reopening(view, reopened):
    view.define_array("b", "uint64", ["x"], [3], [2], 2**64 - 1)
    view.define_array("a", "string", [], [], None, "é")
    found = reopened()
    assert found.list_arrays() == ["b", "a"]
    assert found.array_meta("b") == view.array_meta("b")
    assert (found.array_fill_value("b"), found.array_fill_value("a")) == (2**64 - 1, "é")


def test_what_a_dataset_does_not_declare_is_none(view):
    assert view.array_meta("nope") is None
    assert view.array_stats("nope") is None
    assert view.array_fill_value("nope") is None
    assert view.read_array("nope") is None
    assert view.read_array("nope", [0], [1]) is None
    assert view.list_arrays() == []


def test_an_array_of_another_dataset_is_none_here(store):
    store.create_dataset("a").define_array("x", "int8", ["i"], [1])
    b = store.create_dataset("b")
    assert (b.array_meta("x"), b.read_array("x"), b.array_fill_value("x")) == (None, None, None)
    with pytest.raises(KeyError):
        b.write_array("x", [0], np.zeros(1, "int8"))


def test_an_array_twice_is_file_exists(view):
    view.define_array("x", "int8", ["i"], [3])
    for dtype in ("int8", "float32"):
        with pytest.raises(FileExistsError):
            view.define_array("x", dtype, ["i"], [3])
    assert view.array_meta("x")["dtype"] == "int8"


def test_shape_chunks_and_fill_value_are_each_datasets_own(store):
    for name, extent, fill in (("a", 3, 1), ("b", 5, 2)):
        store.create_dataset(name).define_array("x", "int32", ["i"], [extent], [extent - 1], fill)
    assert store.open_dataset("a").read_array("x").tolist() == [1] * 3
    assert store.open_dataset("b").read_array("x").tolist() == [2] * 5


def test_an_array_has_one_dtype_in_all_datasets(store):
    a, b = store.create_dataset("a"), store.create_dataset("b")
    a.define_array("x", "int32", ["i"], [3])
    with pytest.raises(TypeError, match="int32"):
        b.define_array("x", "float64", ["i"], [3])
    assert b.list_arrays() == []
    a.delete_array("x")
    b.define_array("x", "float64", ["i"], [3])


@pytest.mark.parametrize("name", ["", "/", "a/b", "_x", ".", ".."])
def test_an_array_name_that_could_be_no_directory_is_a_value_error(view, name):
    with pytest.raises(ValueError):
        view.define_array(name, "int8", ["i"], [1])
    assert view.list_arrays() == []


def test_any_other_array_name_will_do(view, reopened):
    names = [".h", "a b", "a.b", "ü", "\n", "data.af", "atlas.json", "n" * 300, "a%20b", "A", "a"]
    for index, name in enumerate(names):
        view.define_array(name, "int32", ["i"], [1])
        view.write_array(name, [0], np.array([index], "int32"))
    found = reopened()
    assert found.list_arrays() == names
    assert [int(found.read_array(name)[0]) for name in names] == list(range(len(names)))


RANKS = [
    (["x"], [2, 3], None),
    (["x", "y"], [2], None),
    (["x"], [2], [1, 1]),
    ([], [1], None),
    (["x"], [], None),
    (["x"], [2], []),
]


@pytest.mark.parametrize(("dims", "shape", "chunk_shape"), RANKS)
def test_dims_shape_and_chunks_of_unlike_rank_are_a_value_error(view, dims, shape, chunk_shape):
    with pytest.raises(ValueError):
        view.define_array("x", "int8", dims, shape, chunk_shape)
    assert view.list_arrays() == []


@pytest.mark.parametrize("extent", [-1, 2**64, 2**200])
def test_an_extent_that_no_array_has_is_refused(view, extent):
    with pytest.raises((ValueError, OverflowError)):
        view.define_array("x", "int8", ["i"], [extent], [1])
    assert view.list_arrays() == []


def test_a_shape_of_too_many_cells_is_refused_and_a_large_one_costs_nothing(view, reopened):
    with pytest.raises((ValueError, OverflowError)):
        view.define_array("x", "float64", ["i", "j"], [2**40, 2**40], [2**20, 2**40])
    view.define_array("y", "float64", ["i", "j"], [2**20, 2**20], [2**10, 2**10], 1.5)
    found = reopened()
    assert found.read_array("y", [2**20 - 2, 7], [2, 1]).tolist() == [[1.5], [1.5]]


def test_chunks_of_nothing_are_a_value_error(view):
    with pytest.raises(ValueError):
        view.define_array("x", "int8", ["i"], [4], [0])


@pytest.mark.parametrize(
    "arguments",
    [
        ("x", "int8", "i", [1]),
        ("x", "int8", ["i"], 1),
        ("x", "int8", ["i"], [1.0]),
        ("x", "int8", ["i"], ["1"]),
        ("x", "int8", [1], [1]),
        ("x", 8, ["i"], [1]),
        ("x", None, ["i"], [1]),
        (None, "int8", ["i"], [1]),
    ],
    ids=repr,
)
def test_arguments_of_the_wrong_kind_are_a_type_error(view, arguments):
    with pytest.raises(TypeError):
        view.define_array(*arguments)
    assert view.list_arrays() == []


def test_a_deleted_array_is_none_and_its_name_is_free(view, reopened):
    view.define_array("x", "int32", ["i"], [4], fill_value=5)
    view.write_array("x", [0], np.arange(4, dtype="int32"))
    reopened()
    assert view.delete_array("x") is None
    assert view.list_arrays() == []
    assert (view.read_array("x"), view.array_meta("x"), view.array_stats("x")) == (None, None, None)
    view.define_array("x", "float64", ["i", "j"], [1, 2], fill_value=0.5)
    assert view.read_array("x").tolist() == [[0.5, 0.5]]
    found = reopened()
    assert found.array_meta("x")["dtype"] == "float64"
    assert found.read_array("x").tolist() == [[0.5, 0.5]]


def test_deleting_what_is_not_there_is_a_key_error(view):
    with pytest.raises(KeyError):
        view.delete_array("x")
    view.define_array("x", "int8", ["i"], [1])
    view.delete_array("x")
    with pytest.raises(KeyError):
        view.delete_array("x")


def test_a_view_of_a_deleted_dataset_reads_as_empty_and_does_not_bring_it_back(store, view):
    view.define_array("x", "int8", ["i"], [1])
    store.delete_dataset("d")
    assert view.name == "d"
    with pytest.raises(KeyError):
        view.write_array("x", [0], np.zeros(1, "int8"))
    with pytest.raises(KeyError):
        view.define_array("y", "int8", ["i"], [1])
    with pytest.raises(KeyError):
        view.set_attribute("k", 1)
    with pytest.raises(KeyError):
        view.delete_array("x")
    assert store.list_datasets() == []


def test_compacting_gives_back_the_space_of_deleted_arrays(store, view, location, tmp_path):
    cells = np.random.default_rng(1).integers(0, 2**60, 50_000)
    for name in ("kept", "dropped"):
        view.define_array(name, "int64", ["i"], [len(cells)], [10_000])
        view.write_array(name, [0], cells)
    store.flush()

    def stored() -> int:
        return sum(file.stat().st_size for file in (tmp_path / "store").rglob("*") if file.is_file())

    before = stored()
    view.delete_array("dropped")
    store.flush()
    # What was replaced stays for an hour by default, for those who still read it.
    report = store.compact(retention=0)
    assert stored() < 0.6 * before
    assert report["families"] == 1
    assert report["deleted_bytes"] > 0
    assert (atlas.Atlas.open(location).open_dataset("d").read_array("kept") == cells).all()


def test_compacting_keeps_the_last_of_many_writes(store, view, location):
    view.define_array("x", "int32", ["i"], [100], [10])
    for version in range(5):
        view.write_array("x", [version], np.full(100 - version, version, "int32"))
        store.flush()
    store.compact()
    store.compact(retention=0)
    expected = np.minimum(np.arange(100), 4)
    for found in (view, atlas.Atlas.open(location).open_dataset("d")):
        assert found.read_array("x").tolist() == expected.tolist()
