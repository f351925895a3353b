"""The store's handle: where it is, and which datasets it has."""

import os
from pathlib import Path

import numpy as np
import pytest

import atlas
from atlas import Atlas


def test_create_makes_missing_directories_and_an_empty_store(tmp_path):
    store = Atlas.create(tmp_path / "a" / "b" / "c")
    assert store.list_datasets() == []
    assert store.list_arrays() == []
    assert (tmp_path / "a" / "b" / "c" / "atlas.json").is_file()


def test_a_created_store_opens_before_its_first_flush(location):
    Atlas.create(location)
    assert Atlas.open(location).list_datasets() == []


def test_create_takes_an_empty_directory(tmp_path):
    assert Atlas.create(str(tmp_path)).list_datasets() == []


class Place(os.PathLike):
    def __init__(self, path: str):
        self.path = path

    def __fspath__(self) -> str:
        return self.path


@pytest.mark.parametrize("kind", [str, Path, Place])
def test_a_source_is_text_or_whatever_has_a_path(location, kind):
    with Atlas.create(kind(location)) as store:
        store.create_dataset("d")
    assert Atlas.open(kind(location)).list_datasets() == ["d"]
    assert Atlas.open(source=location).list_datasets() == ["d"]


@pytest.mark.parametrize("source", [None, 3, 1.5, b"store", ["store"], object()])
def test_a_source_that_is_no_place_is_a_type_error(source):
    for method in (Atlas.create, Atlas.open):
        with pytest.raises(TypeError):
            method(source)


def test_create_does_not_replace_a_store(location):
    with Atlas.create(location) as store:
        store.create_dataset("kept")
    for other in ("json", "msgpack"):
        with pytest.raises(FileExistsError):
            Atlas.create(location, meta_format=other)
    assert Atlas.open(location).list_datasets() == ["kept"]


def test_open_without_a_store_is_file_not_found(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(FileNotFoundError):
            Atlas.open(tmp_path / name)
    assert not (tmp_path / "missing").exists()


def test_datasets_are_listed_in_the_order_of_their_creation(store):
    for name in ("b", "a", "c"):
        assert store.create_dataset(name).name == name
    assert store.list_datasets() == ["b", "a", "c"]


def test_a_dataset_exists_from_its_creation_to_its_deletion(store):
    assert store.dataset_exists("d") is False
    store.create_dataset("d")
    assert store.dataset_exists("d") is True
    assert store.delete_dataset("d") is None
    assert store.dataset_exists("d") is False
    assert store.list_datasets() == []


def test_a_deleted_dataset_is_gone_after_reopening_and_not_before_a_flush(store, location):
    store.create_dataset("a")
    store.create_dataset("b")
    store.flush()
    store.delete_dataset("a")
    assert Atlas.open(location).list_datasets() == ["a", "b"]
    store.flush()
    assert Atlas.open(location).list_datasets() == ["b"]


def test_a_dataset_made_again_is_empty_and_last(store):
    view = store.create_dataset("a")
    view.define_array("x", "int8", ["i"], [3])
    view.set_attribute("k", 1)
    store.create_dataset("b")
    store.flush()
    store.delete_dataset("a")
    again = store.create_dataset("a")
    assert store.list_datasets() == ["b", "a"]
    assert again.list_arrays() == []
    assert again.attributes() == {}


def test_an_unknown_dataset_is_a_key_error(store):
    store.create_dataset("a")
    for method in (store.open_dataset, store.delete_dataset):
        with pytest.raises(KeyError):
            method("b")


def test_a_dataset_twice_is_file_exists(store):
    store.create_dataset("a")
    with pytest.raises(FileExistsError):
        store.create_dataset("a")
    store.flush()
    with pytest.raises(FileExistsError):
        store.create_dataset("a")
    assert store.list_datasets() == ["a"]


@pytest.mark.parametrize("name", ["", "/", "a/b", "/a", "_x", "__", ".", ".."])
def test_a_name_that_could_be_no_directory_is_a_value_error(store, name):
    with pytest.raises(ValueError):
        store.create_dataset(name)
    assert store.list_datasets() == []


NAMES = [".hidden", "a b", "a.b", "ü😀", "back\\slash", " ", "a_", "line\nbreak", "x" * 5000, "CON", "atlas.json"]


def test_any_other_name_will_do_and_survives(store, location):
    for name in NAMES:
        store.create_dataset(name).set_attribute("name", name)
    store.flush()
    found = Atlas.open(location)
    assert found.list_datasets() == NAMES
    assert [found.open_dataset(name).get_attribute("name") for name in NAMES] == NAMES


@pytest.mark.parametrize("name", [None, 3, b"d"])
def test_a_name_that_is_no_text_is_a_type_error(store, name):
    for method in (store.create_dataset, store.open_dataset, store.dataset_exists, store.delete_dataset):
        with pytest.raises(TypeError):
            method(name)


def test_array_names_of_a_store_are_distinct_and_sorted(store):
    for dataset, arrays in (("one", "zba"), ("two", "ca")):
        view = store.create_dataset(dataset)
        for name in arrays:
            view.define_array(name, "int8", ["i"], [1])
    assert store.list_arrays() == ["a", "b", "c", "z"]
    store.open_dataset("one").delete_array("z")
    assert store.list_arrays() == ["a", "b", "c"]
    store.delete_dataset("two")
    assert store.list_arrays() == ["a", "b"]


def test_a_repr_counts(store):
    view = store.create_dataset("d")
    assert repr(store) == "<Atlas datasets=1>"
    assert repr(view) == '<DatasetView name="d" arrays=0>'
    view.define_array("x", "int8", ["i"], [1])
    assert repr(view) == '<DatasetView name="d" arrays=1>'


def test_a_repr_is_one_line_whatever_the_name(store):
    assert "\n" not in repr(store.create_dataset("a\nb"))


def test_a_closed_store_goes_on(store, location):
    store.create_dataset("a")
    assert store.close() is None
    assert Atlas.open(location).list_datasets() == ["a"]
    store.create_dataset("b")
    store.close()
    store.close()
    assert Atlas.open(location).list_datasets() == ["a", "b"]


def test_with_gives_the_store_itself_and_flushes_at_the_end(store, location):
    with store as same:
        assert same is store
        same.create_dataset("d")
        assert Atlas.open(location).list_datasets() == []
    assert Atlas.open(location).list_datasets() == ["d"]


def test_with_flushes_and_passes_on_what_was_raised(store, location):
    with pytest.raises(RuntimeError, match="in between"), store:
        store.create_dataset("d")
        raise RuntimeError("in between")
    assert Atlas.open(location).list_datasets() == ["d"]


def test_flush_without_changes_changes_nothing(store, location):
    store.create_dataset("d")
    assert store.flush() is None
    before = Path(location, "atlas.json").read_bytes()
    store.flush()
    Atlas.open(location).flush()
    assert Path(location, "atlas.json").read_bytes() == before


def test_a_view_keeps_its_store(location):
    view = Atlas.create(location).create_dataset("d")
    view.set_attribute("k", 1)
    assert view.get_attribute("k") == 1
    view.store.flush()
    assert Atlas.open(location).open_dataset("d").get_attribute("k") == 1


def test_a_store_is_a_collection_of_datasets(store):
    for name in ("b", "a"):
        store.create_dataset(name)
    assert len(store) == 2
    assert list(store) == ["b", "a"]
    assert "a" in store and "z" not in store and 3 not in store
    assert isinstance(store["a"], atlas.DatasetView)
    assert store["a"].name == "a"
    with pytest.raises(KeyError):
        store["z"]


def test_an_empty_store_is_still_a_store(store):
    assert len(store) == 0
    assert list(store) == []


def test_a_view_knows_its_store(store):
    assert store.create_dataset("d").store.list_datasets() == ["d"]


def test_the_name_of_a_view_cannot_be_changed(view):
    with pytest.raises(AttributeError):
        view.name = "other"


def test_file_urls_are_paths(tmp_path):
    url = (tmp_path / "with space").as_uri()
    with Atlas.create(url) as store:
        store.create_dataset("d")
    assert Atlas.open(tmp_path / "with space").list_datasets() == ["d"]


def test_a_store_at_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with Atlas.create("store") as store:
        store.create_dataset("d").define_array("x", "int8", ["i"], [2])
        store.open_dataset("d").write_array("x", [0], np.array([1, 2], "int8"))
    found = Atlas.open("store")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert found.open_dataset("d").read_array("x").tolist() == [1, 2]
    with found:
        found.create_dataset("e")
    assert Atlas.open(tmp_path / "store").list_datasets() == ["d", "e"]
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_store_in_memory_is_found_by_its_name():
    with Atlas.create("memory://found by name") as store:
        store.create_dataset("d")
    assert Atlas.open("memory://found by name").list_datasets() == ["d"]
    with pytest.raises(FileExistsError):
        Atlas.create("memory://found by name")
    with pytest.raises(FileNotFoundError):
        Atlas.open("memory://another name")


@pytest.mark.parametrize("url", ["memory://", "ftp://example.com/store", "nonsense://x"])
def test_a_url_that_is_no_place_is_a_value_error(url):
    with pytest.raises(ValueError):
        Atlas.create(url)


def test_the_location_says_where(tmp_path, location):
    assert str(tmp_path / "store") in Atlas.create(location).location
    assert Atlas.open(location).location == Atlas.open(Path(location)).location
