"""The file format is what docs/format.md says: docs/read_store.py, which was written from that page alone, reads golden
stores and imported files as `atlas` does, and notices damage."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))
import read_store  # noqa: E402

GOLDEN = Path(__file__).parent / "golden"
LIFE = Path(__file__).resolve().parents[2] / "atlas-store" / "tests" / "golden" / "v1-life"
"""A store with deleted, overwritten, redefined and unwritten parts; see atlas-store/tests/golden.rs."""
DECLARED = json.loads((GOLDEN / "v1-expected.json").read_text())
CELLS = dict(np.load(GOLDEN / "v1-expected.npz"))
VARIANTS = sorted(path.name for path in GOLDEN.glob("v1-*") if path.is_dir())
FLIPS = 200
"""Random ones in a store, beside those in the smallest segment, the headers and the footers."""
FAMILIES_A_DATASET = 8


@pytest.fixture(scope="module", params=VARIANTS)
def golden(request, tmp_path_factory) -> Path:
    """A copy, so that nothing can touch the original."""
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path_factory.mktemp("golden") / request.param))


def plain(cells: np.ndarray) -> np.ndarray:
    """Times as int64, texts as fixed-width unicode."""
    if cells.dtype.kind == "M":
        return cells.view("i8")
    return cells.astype("U") if cells.dtype.kind == "O" else cells


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    """Bit for bit. How wide unicode is does not count."""
    found, expected = plain(found), plain(expected)
    if found.dtype.kind == expected.dtype.kind == "U":
        return found.shape == expected.shape and found.tolist() == expected.tolist()
    return (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def missing(cells: np.ndarray, fill_value) -> np.ndarray:
    """Which cells are null."""
    if fill_value is None:
        return np.zeros(cells.shape, bool)
    return np.isnan(cells) if fill_value == "nan" else cells == fill_value


def every_array():
    for dataset, declared in DECLARED.items():
        for array, declaration in declared["arrays"].items():
            yield dataset, array, declaration, CELLS[f"{dataset}/{array}"]


# Golden stores


def test_there_is_a_golden_store_of_every_codec_and_catalog():
    stores = [read_store.open(GOLDEN / variant) for variant in VARIANTS]
    assert {store.catalog["codec"] for store in stores} == {"auto", "pco", "zstd", "lz4", "none"}
    names = {name for variant in VARIANTS for name in read_store.CATALOG_NAMES if (GOLDEN / variant / name).exists()}
    assert names == set(read_store.CATALOG_NAMES)
    arrays = {array for _, array, _, _ in every_array()}
    encodings = {
        code for store in stores for name in arrays for segment in store.segments(name) for code in segment.encoding
    }
    assert encodings == {0, 1, 2, 3, 4, 5, 10}


def test_reader_finds_what_was_declared(golden):
    store = read_store.open(golden)
    assert store.datasets == list(DECLARED)
    for dataset, declared in DECLARED.items():
        attributes = {key: value for key, value in store.attributes(dataset).items() if not key.startswith("_pyatlas")}
        assert {key: str(value) for key, value in attributes.items() if "." not in key} == {
            key: str(value) for key, value in declared["attributes"].items()
        }
        assert set(store.arrays(dataset)) == set(declared["arrays"])
    for dataset, name, declaration, _ in every_array():
        array = store.arrays(dataset)[name]
        fill_value = array.fill_value
        if isinstance(fill_value, np.generic):
            fill_value = fill_value.view("i8").item() if fill_value.dtype.kind == "M" else str(fill_value)
        assert declaration == {
            "dtype": array.dtype,
            "dims": array.dims,
            "shape": array.shape,
            "fill_value": fill_value,
        }, name


def test_reader_finds_every_cell(golden):
    store = read_store.open(golden)
    for dataset, array, _, expected in every_array():
        assert same(store.read(dataset, array), expected), f"{array} of {dataset}"


def test_reader_finds_what_is_left_of_an_eventful_life():
    store = read_store.open(LIFE)
    expected = json.loads(LIFE.with_suffix(".expected.json").read_text())
    assert store.datasets == [declared["dataset"] for declared in expected]
    for declared in expected:
        dataset = declared["dataset"]
        found = {key: (type(value), bits(value)) for key, value in store.attributes(dataset).items()}
        attributes = {key: typed(*dict(value).popitem()) for key, value in declared["attributes"].items()}
        assert found == {key: (type(value), bits(value)) for key, value in attributes.items()}, dataset
        arrays = store.arrays(dataset)
        assert set(arrays) == set(declared["arrays"]), dataset
        for name, declaration in declared["arrays"].items():
            array, what, dtype = arrays[name], f"{name} of {dataset}", declaration["dtype"]
            for key in ("dtype", "dims", "shape", "chunk_shape"):
                assert getattr(array, key) == declaration[key], what
            assert bits(array.fill_value) == bits(typed(dtype, declaration["fill_value"])), what
            for key, value in declaration["statistics"].items():
                kind = {"min": dtype, "max": dtype, "sum": "float64" if dtype.startswith("float") else None}.get(key)
                value = typed(kind, value)
                is_nan = isinstance(value, float) and np.isnan(value)
                same_value = np.isnan(array.statistics[key]) if is_nan else bits(array.statistics[key]) == bits(value)
                assert same_value, f"{key} of {what}"
            cells = store.read(dataset, name)
            if isinstance(declaration["cells"], dict):
                assert read_store.crc32c(cells.tobytes()) == declaration["cells"]["crc32c"], what
            else:
                values = [bits(typed(dtype, cell)) for cell in declaration["cells"]]
                assert [bits(cell) for cell in cells.ravel()] == values and list(cells.shape) == array.shape, what


def typed(dtype: str | None, value):
    """A value of the expectations: floats are their bits, binary is hexadecimal."""
    if value is None:
        return None
    if dtype is not None and dtype.startswith("float"):
        return np.array(int(value, 16), f"u{len(value) // 2 - 1}").view(dtype)[()]
    if dtype == "binary":
        return bytes.fromhex(value)
    return np.datetime64(value, "ns") if dtype == "timestamp_nanoseconds" else value


def bits(value):
    """Equal for the same bits only."""
    return value.tobytes() if isinstance(value, (np.floating, np.datetime64)) else value


def test_the_eventful_life_left_what_a_reader_must_not_see():
    store = read_store.open(LIFE)
    segments = [segment for family in store.catalog["arrays"] for segment in store.segments(family["name"])]
    entries = [len(segment.chunk_starts) - 1 for segment in segments]
    assert any(count > len(segment.chunks) for count, segment in zip(entries, segments)), "a chunk twice in a segment"
    keys = [(segment.name.split("/")[0], *key) for segment in segments for key in segment.chunks]
    assert len(keys) > len(set(keys)), "a chunk in several segments"
    ids = {(family["name"], id) for family in store.catalog["arrays"] for id in family["ids"]}
    held = {(family["name"], id) for family in store.catalog["arrays"] for segment in store.segments(family["name"])
            for id, _ in segment.chunks}  # fmt: skip
    assert held - ids, "chunks of deleted arrays"
    assert ids - held, "arrays that were never written to"
    assert {int(code) for segment in segments for code in segment.encoding} == {0, 1, 2, 3, 4, 5}
    assert store.catalog["retired"] and all((LIFE / retired["object"]).exists() for retired in store.catalog["retired"])


def test_statistics_are_those_of_the_cells(golden):
    store = read_store.open(golden)
    for dataset, array, declaration, cells in every_array():
        found, dtype = store.arrays(dataset)[array].statistics, declaration["dtype"]
        gaps = missing(cells, declaration["fill_value"])
        valid = np.sort(cells[~gaps])
        assert (found["row_count"], found["null_count"], found["nan_count"]) == (cells.size, gaps.sum(), 0)
        if not valid.size:
            assert (found["min"], found["max"]) == (None, None)
        elif dtype == "string":
            texts = sorted(str(text).encode() for text in valid)
            assert found["min"].encode() == texts[0] and found["min_exact"]
            assert found["max"].encode() == texts[-1] or (len(texts[-1]) > 64 and not found["max_exact"])
            assert found["max"].encode() >= texts[-1]
        else:
            low, high = (plain(np.array(bound, read_store.DTYPES[dtype][1])) for bound in (found["min"], found["max"]))
            assert (low, high, found["min_exact"], found["max_exact"]) == (valid[0], valid[-1], True, True)
        if dtype.startswith("float"):
            with np.errstate(invalid="ignore"):
                np.testing.assert_allclose(found["sum"], valid.astype("f8").sum(), rtol=1e-12)
        elif dtype == "bool" or (found["sum"] is not None and "int" in dtype):
            assert found["sum"] == sum(map(int, valid))
        else:
            assert dtype in ("timestamp_nanoseconds", "string", "int64", "uint64")


def test_atlas_read_gives_the_same(atlas, golden, tmp_path):
    for dataset, array, _, expected in every_array():
        atlas("read", golden, array, "--datasets", dataset, "-o", tmp_path / "cells.npy")
        assert same(np.load(tmp_path / "cells.npy")[0, ...], expected), f"{array} of {dataset}"


def test_atlas_query_gives_the_same(atlas, golden):
    rows = {row["dataset"]: row for row in atlas.json("query", golden, "SELECT * FROM datasets", "--format", "json")}
    assert list(rows) == list(DECLARED)
    for dataset, declared in DECLARED.items():
        for key, value in declared["attributes"].items():
            # JSON has no infinities, and a column of two types is text.
            expected = None if value in ("inf", "nan") else value
            assert str(rows[dataset][key]) == str(expected), key
    for dataset, array, declaration, expected in every_array():
        found = rows[dataset][array]
        if isinstance(found, dict):
            assert found["shape"] == list(expected.shape)
            found = found["data"]
        if declaration["dtype"] == "timestamp_nanoseconds":
            found = np.array(found, "M8[ns]").view("i8").tolist()
        shape = expected.shape if isinstance(rows[dataset][array], list) else (-1,)
        if expected.dtype.kind == "f":
            found = np.array(found, expected.dtype).reshape(shape)
            np.testing.assert_array_equal(found, np.where(np.isfinite(expected), expected, np.nan).reshape(shape))
        else:
            assert np.array(found, expected.dtype).reshape(shape).tolist() == expected.reshape(shape).tolist(), array


# Catalogs that an import does not make


def edited(store: Path, edit) -> Path:
    """Changes the catalog of a store that has it as plain JSON."""
    path = store / "atlas.json"
    catalog = json.loads(path.read_bytes())["catalog"]
    edit(catalog)
    body = json.dumps(catalog, ensure_ascii=False, separators=(",", ":")).encode()
    crc = read_store.crc32c(body)
    path.write_bytes(b'{"format":"atlas","version":1,"crc32c":"%08x","catalog":\n%b\n}\n' % (crc, body))
    return store


@pytest.fixture
def plain_json(tmp_path) -> Path:
    return Path(shutil.copytree(GOLDEN / "v1-auto-json", tmp_path / "store"))


def test_chunks_that_no_segment_has_are_the_fill_value_or_zero(atlas, plain_json, tmp_path):
    def forget_segments(catalog):
        for family in catalog["arrays"]:
            family["segments"] = []

    store = read_store.open(edited(plain_json, forget_segments))
    for dataset, array, declaration, cells in every_array():
        fill_value = declaration["fill_value"]
        expected = np.full(cells.shape, cells.dtype.type() if fill_value is None else fill_value, cells.dtype)
        assert same(store.read(dataset, array), expected), array
        atlas("read", plain_json, array, "--datasets", dataset, "-o", tmp_path / "cells.npy")
        assert same(np.load(tmp_path / "cells.npy")[0, ...], expected), array


def test_attributes_of_every_type(atlas, plain_json):
    def add_attributes(catalog):
        catalog["attributes"] += [
            {"key": "when", "rows": [1], "values": {"timestamp_nanoseconds": [1_704_067_200_000_000_001]}},
            {"key": "whether", "rows": [0, 1], "values": {"bool": [True, False]}},
        ]
        catalog["attributes"].sort(key=lambda column: column["key"])

    store = read_store.open(edited(plain_json, add_attributes))
    assert store.attributes("beta")["when"] == np.datetime64("2024-01-01T00:00:00.000000001")
    assert [store.attributes(dataset).get("whether") for dataset in store.datasets] == [True, False, None]
    shown = {entry["key"]: entry["value"] for entry in atlas.json("show", plain_json, "beta", "--json")["attributes"]}
    assert shown["whether"] is False and "2024-01-01T00:00:00.000000001" in shown["when"]


def test_a_later_version_is_refused_by_name(plain_json):
    path = plain_json / "atlas.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2', 1))
    with pytest.raises(read_store.CorruptStore, match="version 2"):
        read_store.open(plain_json)


# Real files


def test_reader_gives_what_atlas_gives_of_real_files(atlas, argo, argo_store, tmp_path):
    store = read_store.open(argo_store)
    assert set(store.datasets) == set(argo.files)
    compared = set()
    for number, dataset in enumerate(store.datasets):
        arrays = sorted(store.arrays(dataset))
        for step in range(FAMILIES_A_DATASET if number % 10 == 0 else 1):
            array = arrays[(number + step * 7) % len(arrays)]
            atlas("read", argo_store, array, "--datasets", dataset, "-o", tmp_path / "cells.npy")
            assert same(store.read(dataset, array), np.load(tmp_path / "cells.npy")[0, ...]), f"{array} of {dataset}"
            compared.add(array)
    assert len(compared) > 50
    segments = [segment for family in store.catalog["arrays"] for segment in store.segments(family["name"])]
    assert {5, 10} < {int(code) for segment in segments for code in segment.encoding}


def test_reader_gives_what_atlas_gives_of_large_arrays(atlas, gridded_store, tmp_path):
    store = read_store.open(gridded_store)
    arrays = [(dataset, array) for dataset in store.datasets for array in store.arrays(dataset)]
    for dataset, array in arrays:
        atlas("read", gridded_store, array, "--datasets", dataset, "-o", tmp_path / "cells.npy")
        assert same(store.read(dataset, array), np.load(tmp_path / "cells.npy")[0, ...]), f"{array} of {dataset}"
    segments = [segment for _, array in arrays for segment in store.segments(array)]
    assert any(len(segment.encoding) > 1 for segment in segments), "no segment of several blocks"
    assert any(np.diff(segment.chunk_starts).max() > segment.page_cells.max() for segment in segments), (
        "no chunk of pages"
    )


# Damage


def test_a_flipped_byte_is_noticed_or_does_not_matter(golden, tmp_path):
    store = Path(shutil.copytree(golden, tmp_path / "store"))
    sound = read_store.open(golden)
    noticed = 0
    for path, position, mask in flips(store):
        content = path.read_bytes()
        damaged = bytearray(content)
        damaged[position] ^= mask
        path.write_bytes(damaged)
        noticed += not unharmed(store, sound, path, f"byte {position} of {path.relative_to(store)} ^ {mask:#x}")
        path.write_bytes(content)
    assert noticed > FLIPS * 0.9


def flips(store: Path):
    """Files with positions and masks: all of the smallest segment, the ends of the others, and some of everything."""
    rng = np.random.default_rng(1)
    paths = sorted(path for path in store.rglob("*") if path.is_file())
    sizes = np.array([path.stat().st_size for path in paths])
    (catalog,) = (path for path in paths if path.parent == store)
    smallest = min(paths, key=lambda path: path.stat().st_size)
    chosen = {(smallest, position) for position in range(smallest.stat().st_size)}
    chosen |= {(catalog, position) for position in range(min(80, catalog.stat().st_size))}
    for path, size in zip(paths, sizes.tolist()):
        chosen |= {(path, position) for position in (0, 12, size - 64, size - 16, size - 12)}
    for number in rng.choice(len(paths), FLIPS, p=sizes / sizes.sum()):
        chosen.add((paths[number], int(rng.integers(sizes[number]))))
    for path, position in sorted(chosen):
        yield path, position, int(rng.integers(1, 256))


def unharmed(store: Path, sound: read_store.Store, damaged: Path, what: str) -> bool:
    """False where the reader notices. Else everything is as it was: of the arrays, those in the damaged segment."""
    try:
        found = read_store.open(store)
        # Equal, NaN being a text there.
        assert found.catalog == sound.catalog, what
        for family in found.catalog["arrays"]:
            if any(store / segment["object"] == damaged for segment in family["segments"]):
                for dataset in found.datasets:
                    if family["name"] in found.arrays(dataset):
                        cells = found.read(dataset, family["name"])
                        assert same(cells, sound.read(dataset, family["name"])), what
    except read_store.CorruptStore:
        return False
    return True


def test_segments_in_each_others_place_are_noticed(golden, tmp_path):
    store = Path(shutil.copytree(golden, tmp_path / "store"))
    one, other = store / "Depth%20%25" / "data.af", store / "Depth%20%25" / "data.1.af"
    assert one.stat().st_size == other.stat().st_size, "else their sizes would tell"
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])
    with pytest.raises(read_store.CorruptStore, match="Depth"):
        read_store.open(store).read("alpha", "Depth %")
