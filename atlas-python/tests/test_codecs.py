"""How stores are encoded: codecs of arrays, and formats of the catalog."""

import itertools
import os

import numpy as np
import pytest

from atlas import Atlas

CODECS = ["auto", "zstd", "lz4", "none", "uncompressed", "pco"]
FILES = {
    ("json", "none"): "atlas.json",
    ("json", "zstd"): "atlas.json.zst",
    ("json", "lz4"): "atlas.json.lz4",
    ("msgpack", "none"): "atlas.msgpack",
    ("msgpack", "zstd"): "atlas.msgpack.zst",
    ("msgpack", "lz4"): "atlas.msgpack.lz4",
}


def fill(store: Atlas, name: str = "d") -> dict[str, np.ndarray]:
    """Arrays of several dtypes, as written to a new dataset."""
    generator = np.random.default_rng(5)
    arrays = {
        "smooth": (20 + np.sin(np.linspace(0, 20, 4000))).astype("float32").reshape(40, 100),
        "noise": generator.integers(-(2**63), 2**63 - 1, (40, 100)),
        "steps": np.arange(4000, dtype="uint16").reshape(40, 100) // 7,
        "words": np.array([f"station {index % 5}" for index in range(4000)], object).reshape(40, 100),
    }
    view = store.create_dataset(name)
    for key, cells in arrays.items():
        dtype = "string" if cells.dtype == object else cells.dtype.name
        view.define_array(key, dtype, ["i", "j"], [40, 100], [16, 64])
        view.write_array(key, [0, 0], cells)
    view.set_attribute("month", 1)
    return arrays


def check(view, arrays: dict[str, np.ndarray]) -> None:
    for key, cells in arrays.items():
        assert (view.read_array(key) == cells).all(), key
        assert (view.read_array(key, [15, 60], [3, 9]) == cells[15:18, 60:69]).all(), key
    assert view.get_attribute("month") == 1


def catalogs(location: str) -> list[str]:
    return sorted(set(os.listdir(location)) & set(FILES.values()))


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_gives_back_what_was_written(location, codec):
    with Atlas.create(location, codec=codec) as store:
        arrays = fill(store)
    check(Atlas.open(location).open_dataset("d"), arrays)


@pytest.mark.parametrize(("meta_format", "meta_compression"), FILES)
def test_a_catalog_of_every_kind_is_found_again(location, meta_format, meta_compression):
    with Atlas.create(location, meta_format=meta_format, meta_compression=meta_compression) as store:
        arrays = fill(store)
    assert catalogs(location) == [FILES[meta_format, meta_compression]]
    check(Atlas.open(location).open_dataset("d"), arrays)


def test_a_reopened_store_goes_on_as_it_was_created(location):
    with Atlas.create(location, "lz4", "mp", "zstd") as store:
        arrays = fill(store, "first")
    with Atlas.open(location) as store:
        fill(store, "second")
        assert store.codec == "lz4"
    assert catalogs(location) == ["atlas.msgpack.zst"]
    for name in ("first", "second"):
        check(Atlas.open(location).open_dataset(name), arrays)


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ({"meta_format": "mp"}, "atlas.msgpack"),
        ({"meta_format": "JSON", "meta_compression": "ZSTD"}, "atlas.json.zst"),
        ({"meta_format": "MsgPack", "meta_compression": "uncompressed"}, "atlas.msgpack"),
        ({"codec": "ZSTD"}, "atlas.json"),
        ({"codec": "Uncompressed"}, "atlas.json"),
    ],
)
def test_names_of_codecs_have_aliases_and_no_case(location, arguments, file):
    Atlas.create(location, **arguments).flush()
    assert file in os.listdir(location)


@pytest.mark.parametrize(
    ("argument", "name"),
    list(itertools.product(["codec", "meta_format", "meta_compression"], ["", "snappy", "gzip", "yaml", "zstd:3"])),
)
def test_a_name_that_is_no_codec_is_a_value_error_and_makes_no_store(location, argument, name):
    with pytest.raises(ValueError):
        Atlas.create(location, **{argument: name})
    assert not os.path.exists(location)


@pytest.mark.parametrize("argument", ["codec", "meta_format", "meta_compression"])
@pytest.mark.parametrize("name", [None, 3, b"zstd"])
def test_a_codec_that_is_no_text_is_a_type_error(location, argument, name):
    with pytest.raises(TypeError):
        Atlas.create(location, **{argument: name})


def test_a_catalog_in_json_can_be_read_and_searched_by_people(location):
    with Atlas.create(location) as store:
        fill(store, "jan_2024")
        store.open_dataset("jan_2024").set_attribute("station", "De Bilt")
    with open(os.path.join(location, "atlas.json"), encoding="utf-8") as file:
        text = file.read()
    for word in ("jan_2024", "station", "De Bilt", "smooth", "float32"):
        assert word in text


def stored(location: str) -> int:
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(location) for name in names)


def test_codecs_make_smooth_fields_smaller(tmp_path):
    field = np.round(20 + 5 * np.sin(np.linspace(0, 40, 200_000)), 2)
    sizes = {}
    for codec in CODECS:
        with Atlas.create(tmp_path / codec, codec=codec) as store:
            view = store.create_dataset("d")
            view.define_array("t", "float64", ["i"], [len(field)], [50_000])
            view.write_array("t", [0], field)
        sizes[codec] = stored(str(tmp_path / codec))
        assert (Atlas.open(tmp_path / codec).open_dataset("d").read_array("t") == field).all()
    assert sizes["none"] >= field.nbytes
    assert abs(sizes["uncompressed"] - sizes["none"]) < 100
    assert sizes["zstd"] < 0.6 * sizes["none"]
    assert sizes["lz4"] < 0.9 * sizes["none"]
    assert sizes["pco"] < 0.6 * sizes["none"]
    assert sizes["auto"] <= 1.05 * sizes["pco"]
