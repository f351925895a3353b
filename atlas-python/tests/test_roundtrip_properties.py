"""Any sequence of writes against numpy: what is read, and what statistics say, before and after it is flushed."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from atlas import Atlas

NUMBERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
DTYPES = [*NUMBERS, "timestamp_nanoseconds", "string", "bool", "binary"]
EMPTY = {"string": "", "binary": b"", "bool": False}

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def numpy_dtype(dtype: str) -> np.dtype:
    names = {"timestamp_nanoseconds": "int64", "string": "object", "binary": "object"}
    return np.dtype(names.get(dtype, dtype))


def scalars(dtype: str) -> st.SearchStrategy:
    """Values of a dtype, from few enough that some are equal."""
    if dtype == "string":
        return st.sampled_from(["", "a", "é", "zz"]) | TEXT
    if dtype == "binary":
        return st.sampled_from([b"", b"\0", b"\xff"]) | st.binary(max_size=8)
    if dtype == "bool":
        return st.booleans()
    numbers = st_numpy.from_dtype(numpy_dtype(dtype)).map(lambda value: value.item())
    return st.sampled_from([0, 1, 2, 7]).map(lambda value: float(value) if "float" in dtype else value) | numbers


def as_array(dtype: str, values: list, shape: tuple[int, ...]) -> np.ndarray:
    cells = np.empty(len(values), numpy_dtype(dtype))
    cells[:] = values
    return cells.reshape(shape)


def given_to_atlas(dtype: str, cells: np.ndarray) -> np.ndarray:
    return cells.view("datetime64[ns]") if dtype == "timestamp_nanoseconds" else cells


def read_from_atlas(dtype: str, cells: np.ndarray) -> np.ndarray:
    if dtype == "timestamp_nanoseconds":
        assert cells.dtype == "datetime64[ns]"
        return cells.view("int64")
    return cells


@dataclass
class Declared:
    dtype: str
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...] | None
    fill: object

    def unwritten(self) -> np.ndarray:
        fill = EMPTY.get(self.dtype, 0) if self.fill is None else self.fill
        return as_array(self.dtype, [fill] * int(np.prod(self.shape)), self.shape)


@st.composite
def declarations(draw, dtype: str) -> Declared:
    shape = tuple(draw(st.lists(st.integers(0, 7), max_size=3)))
    chunk_shape = draw(st.none() | st.tuples(*[st.integers(1, 9) for _ in shape]))
    return Declared(dtype, shape, chunk_shape, draw(st.none() | scalars(dtype)))


@st.composite
def regions(draw, shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
    start = [draw(st.integers(0, extent)) for extent in shape]
    return start, [draw(st.integers(0, extent - first)) for extent, first in zip(shape, start, strict=True)]


def part(start: list[int], shape: list[int]) -> tuple[slice, ...]:
    return tuple(slice(first, first + extent) for first, extent in zip(start, shape, strict=True))


def cut(cells: np.ndarray, start: list[int], shape: list[int]) -> np.ndarray:
    """A copy of a region; an array for the region of an array without dimensions, too."""
    region = np.empty(shape, cells.dtype)
    region[...] = cells[(*part(start, shape), ...)]
    return region


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Cell for cell, NaN and the sign of zero included."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes()


def is_null(fill, cell) -> bool:
    if fill is None:
        return False
    if fill != fill:
        # NaN, of the same sign: its other bits are those that numpy gave it.
        return np.array(cell).tobytes() == np.array(fill, np.array(cell).dtype).tobytes()
    return bool(cell == fill)


def check_statistics(declared: Declared, cells: np.ndarray, stats: dict) -> None:
    fill = declared.fill
    if declared.dtype.startswith("float") and fill is not None:
        fill = np.dtype(declared.dtype).type(fill)
    flat = list(cells.reshape(-1))
    nulls = [is_null(fill, cell) for cell in flat]
    valid = [cell for cell, null in zip(flat, nulls, strict=True) if not null and cell == cell]
    if declared.dtype == "timestamp_nanoseconds":
        valid = [cell for cell in valid if cell != np.iinfo("int64").min]
    order = (lambda text: text.encode()) if declared.dtype == "string" else None
    bounds = (min(valid, key=order), max(valid, key=order)) if valid else (None, None)
    assert (stats["row_count"], stats["null_count"]) == (cells.size, sum(nulls))
    assert (stats["min"], stats["max"]) == bounds


@settings(max_examples=120)
@given(data=st.data())
def test_reads_and_statistics_agree_with_numpy_after_any_writes(data):
    declared = data.draw(st.sampled_from(DTYPES).flatmap(declarations))
    codec = data.draw(st.sampled_from(["auto", "zstd", "lz4", "none"]))
    model = declared.unwritten()
    with tempfile.TemporaryDirectory() as folder:
        store = Atlas.create(Path(folder) / "store", codec=codec)
        view = store.create_dataset("d")
        dims = [f"d{axis}" for axis in range(len(declared.shape))]
        view.define_array("x", declared.dtype, dims, declared.shape, declared.chunk_shape, declared.fill)
        written = False
        for _ in range(data.draw(st.integers(0, 5), label="steps")):
            step = data.draw(st.sampled_from(["write", "write", "read", "flush", "reopen", "compact"]), label="step")
            start, shape = data.draw(regions(declared.shape))
            if step == "write":
                count = int(np.prod(shape))
                values = data.draw(st.lists(scalars(declared.dtype), min_size=count, max_size=count))
                cells = as_array(declared.dtype, values, tuple(shape))
                view.write_array("x", start, given_to_atlas(declared.dtype, cells))
                model[(*part(start, shape), ...)][...] = cells
                written = written or count > 0
            elif step == "read":
                found = read_from_atlas(declared.dtype, view.read_array("x", start, shape))
                assert same(found, cut(model, start, shape))
            elif step == "compact":
                store.compact(retention=0)
            else:
                store.flush()
                if step == "reopen":
                    view = (store := Atlas.open(store.location)).open_dataset("d")
            assert same(read_from_atlas(declared.dtype, view.read_array("x")), model)
        store.flush()
        for found in (view, Atlas.open(store.location).open_dataset("d")):
            assert same(read_from_atlas(declared.dtype, found.read_array("x")), model)
            stats = found.array_stats("x")
            note(f"{declared}: {stats}")
            if written:
                check_statistics(declared, model, stats)
        assert store.verify() == []


@settings(max_examples=40)
@given(data=st.data())
def test_stacked_reads_agree_with_numpy(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    rank = data.draw(st.integers(0, 2))
    datasets = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Atlas.create(Path(folder) / "store")
        for index in range(data.draw(st.integers(1, 5), label="datasets")):
            shape = tuple(data.draw(st.integers(2, 5)) for _ in range(rank))
            chunk_shape = data.draw(st.none() | st.tuples(*[st.integers(1, 6) for _ in shape]))
            count = int(np.prod(shape))
            values = data.draw(st.lists(scalars(dtype), min_size=count, max_size=count))
            cells = datasets[f"d{index}"] = as_array(dtype, values, shape)
            view = store.create_dataset(f"d{index}")
            view.define_array("x", dtype, [f"d{axis}" for axis in range(rank)], shape, chunk_shape)
            view.write_array("x", [0] * rank, given_to_atlas(dtype, cells))
            if data.draw(st.booleans(), label="flush"):
                store.flush()
        common = tuple(min(cells.shape[axis] for cells in datasets.values()) for axis in range(rank))
        start, shape = data.draw(regions(common))
        names = data.draw(st.lists(st.sampled_from(list(datasets)), min_size=1, max_size=6))
        expected = np.stack([cut(datasets[name], start, shape) for name in names])
        unflushed = store.read_array_across_stacked("x", names, start, shape)
        assert same(read_from_atlas(dtype, unflushed), expected)
        store.flush()
        for found in (store, Atlas.open(store.location)):
            assert same(read_from_atlas(dtype, found.read_array_across_stacked("x", names, start, shape)), expected)
            listed = found.read_array_across("x", [*names, "none"], start, shape)
            assert listed.pop() is None
            assert all(
                same(read_from_atlas(dtype, a), cut(datasets[name], start, shape))
                for a, name in zip(listed, names, strict=True)
            )


ATTRIBUTES = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | TEXT
    | st.datetimes().map(lambda time: time.isoformat() + "Z")
)


@given(
    attributes=st.dictionaries(TEXT.filter(bool), ATTRIBUTES, max_size=6),
    meta_format=st.sampled_from(["json", "msgpack"]),
    meta_compression=st.sampled_from(["none", "zstd", "lz4"]),
)
def test_attributes_of_any_kind_come_back_as_they_were(attributes, meta_format, meta_compression):
    with tempfile.TemporaryDirectory() as folder:
        store = Atlas.create(Path(folder) / "store", meta_format=meta_format, meta_compression=meta_compression)
        view = store.create_dataset("d")
        for key, value in attributes.items():
            view.set_attribute(key, value)
        store.flush()
        expected = {key: (type(value), repr(value)) for key, value in attributes.items()}
        for found in (view, Atlas.open(store.location).open_dataset("d")):
            assert {key: (type(value), repr(value)) for key, value in found.attributes().items()} == expected
