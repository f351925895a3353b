"""Datasets of xarray to a server that can be written to.

What is written is what a local store is given (`atlas._xarray.write`), noted down, and sent as one upload, which is one
commit: rows of the dataset's attributes and small arrays, and of one larger array each. An array that no message holds, and
what no column can be named like, follow in commits of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import xarray as xr

from atlas._xarray import add_xr_dataset
from atlas.errors import AlreadyExistsError, NotFoundError, UnsupportedError
from atlas.flight._arrow import flight, pyarrow
from atlas.flight._connection import Connection
from atlas.flight._described import describe
from atlas.flight._sql import Queries

# A row is filled up to so many bytes; servers take messages of 64 MiB.
_ROW_BYTES = 16 << 20
# What is larger goes up in slabs.
_VALUE_BYTES = 56 << 20

# The column that names the dataset of a row. What has its name, and attributes with the name of an array, go apart.
_NAMES = "dataset"

_TEXT_BYTES = 16
_ARROW = {"timestamp_nanoseconds": pyarrow.timestamp("ns"), "string": pyarrow.string(), "bool": pyarrow.bool_()}


@dataclass
class _Array:
    """An array as it is declared, and its cells."""

    dtype: str
    dims: Sequence[str]
    shape: Sequence[int]
    chunk_shape: Sequence[int]
    fill: Any
    cells: np.ndarray[Any, Any]

    @property
    def nbytes(self) -> int:
        """Its bytes in a message; of text, about."""
        if self.cells.dtype.kind == "O":
            return sum(_TEXT_BYTES + 4 * len(text) for text in self.cells.ravel())
        return self.cells.nbytes

    def field(self, name: str, shape: Sequence[int] | None, kind: Any) -> Any:
        """A field of this type, which declares the array; with values of one `shape`, where it is said."""
        said = {"atlas.dims": json.dumps(list(self.dims)), "atlas.chunk_shape": json.dumps(list(self.chunk_shape))}
        if shape is not None:
            said["atlas.shape"] = json.dumps(list(shape))
        if self.fill is not None:
            is_time = self.dtype == "timestamp_nanoseconds"
            said["atlas.fill_value"] = _text(np.datetime64(self.fill, "ns") if is_time else self.fill)
        return pyarrow.field(name, kind, metadata=said)


@dataclass
class _Noted:
    """Takes what a store and its dataset are given."""

    arrays: dict[str, _Array] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def create_dataset(self, name: str) -> _Noted:
        return self

    def delete_dataset(self, name: str) -> None:
        pass

    def define_array(
        self, name: str, dtype: str, dims: Sequence[str], shape: Sequence[int], chunk_shape: Sequence[int], fill_value: Any
    ) -> None:
        numpy_dtype = {"timestamp_nanoseconds": "datetime64[ns]", "string": "object"}.get(dtype, dtype)
        cells = np.zeros(shape, numpy_dtype)
        self.arrays[name] = _Array(dtype, dims, shape, chunk_shape, fill_value, cells)

    def write_array(self, name: str, start: Sequence[int], data: Any) -> None:
        cells = np.asarray(data)
        region = tuple(slice(low, low + extent) for low, extent in zip(start, cells.shape, strict=True))
        self.arrays[name].cells[region] = cells

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value


class Uploads:
    """The uploads of one client."""

    def __init__(self, connection: Connection, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries

    def add(self, store: str, name: str, ds: xr.Dataset, chunks: Mapping[str, Sequence[int]] | None) -> None:
        """Sends a dataset that the store does not have yet."""
        noted = _Noted()
        add_xr_dataset(cast(Any, noted), ds, name, chunks)
        try:
            describe(self._queries, store, name)
        except NotFoundError:
            pass
        else:
            raise AlreadyExistsError(f"dataset already exists: {name}")
        names = [array for array, known in noted.arrays.items() if array == _NAMES or known.nbytes > _VALUE_BYTES]
        keys = [key for key in noted.attributes if key == _NAMES or key in noted.arrays]
        slabs = {array: noted.arrays.pop(array) for array in names}
        apart = {key: _json(noted.attributes.pop(key)) for key in keys}
        if _NAMES in slabs and not slabs[_NAMES].dims:
            raise UnsupportedError(f'a single cell named "{_NAMES}" cannot be uploaded: rename it')
        batches = list(_rows(name, noted))
        mode = "create" if len(batches) == 1 else "extend"
        self._put({"store": store, "mode": mode, "rows": len(batches)}, batches[0].schema, batches)
        try:
            for array, known in slabs.items():
                (schema, parts), rows = _slabs(array, known), known.shape[0]
                self._put({"store": store, "dataset": name, "dim": known.dims[0], "rows": rows}, schema, parts)
            if apart:
                self._act("set_attributes", {"store": store, "dataset": name, "attributes": apart})
        except BaseException:
            self._act("delete_dataset", {"store": store, "dataset": name})
            raise

    def _put(self, command: Mapping[str, Any], schema: Any, batches: Any) -> None:
        descriptor = flight.FlightDescriptor.for_command(json.dumps({"put": command}))

        def put(client: Any, options: Any) -> None:
            writer, reader = client.do_put(descriptor, schema, options)
            with writer:
                for batch in batches:
                    writer.write_batch(batch)
                writer.done_writing()
                reader.read()

        self._connection.call(put, endless=True)

    def _act(self, name: str, body: Mapping[str, Any]) -> None:
        action = flight.Action(name, json.dumps(body).encode())
        self._connection.call(lambda client, options: list(client.do_action(action, options)))


def _rows(name: str, noted: _Noted) -> Iterator[Any]:
    """The dataset as rows, a batch each: what is not of a row is null there."""
    groups: list[dict[str, _Array]] = [{}]
    left = _ROW_BYTES
    for array, known in noted.arrays.items():
        if known.nbytes > left and groups[-1]:
            groups.append({})
            left = _ROW_BYTES
        groups[-1][array] = known
        left -= known.nbytes
    for number, group in enumerate(groups):
        columns = [(pyarrow.field(_NAMES, pyarrow.string()), pyarrow.array([name]))]
        for key, value in noted.attributes.items():
            kind = _attribute_type(value)
            values = _plain(np.array([value]), kind) if number == 0 else pyarrow.nulls(1, kind)
            columns.append((pyarrow.field(key, kind), values))
        for array, known in noted.arrays.items():
            kind, values = _value(known)
            said = known.field(array, None if known.dims else (), kind)
            columns.append((said, values if array in group else pyarrow.nulls(1, kind)))
        yield pyarrow.record_batch([values for _, values in columns], pyarrow.schema([said for said, _ in columns]))


def _value(array: _Array) -> tuple[Any, Any]:
    """The type of a column whose values have any shape, and the array as its only value."""
    kind = _ARROW.get(array.dtype) or pyarrow.from_numpy_dtype(array.cells.dtype)
    cells = _plain(array.cells.ravel(), kind)
    if not array.dims:
        return kind, cells
    shape = pyarrow.array([list(array.shape)], pyarrow.list_(pyarrow.int32(), len(array.dims)))
    data = pyarrow.ListArray.from_arrays(pyarrow.array([0, len(cells)], pyarrow.int32()), cells)
    value = pyarrow.StructArray.from_arrays([data, shape], ["data", "shape"])
    return value.type, value


def _slabs(name: str, array: _Array) -> tuple[Any, Iterator[Any]]:
    """The rows of an array along its first dimension, in batches, and their schema."""
    kind = _ARROW.get(array.dtype) or pyarrow.from_numpy_dtype(array.cells.dtype)
    inner = array.shape[1:]
    size = int(np.prod(inner, dtype=np.int64))
    listed = pyarrow.list_(kind, size) if inner else kind
    schema = pyarrow.schema([array.field(name, inner, listed)])
    step = max(1, _ROW_BYTES * array.shape[0] // max(1, array.nbytes))

    def batches() -> Iterator[Any]:
        for low in range(0, array.shape[0], step):
            cells = _plain(array.cells[low : low + step].ravel(), kind)
            values = pyarrow.FixedSizeListArray.from_arrays(cells, size) if inner else cells
            yield pyarrow.record_batch([values], schema)

    return schema, batches()


def _plain(cells: np.ndarray[Any, Any], kind: Any) -> Any:
    """A flat column without nulls: not-a-time is a value like others."""
    if cells.dtype.kind == "M":
        buffer = pyarrow.py_buffer(np.ascontiguousarray(cells.astype("datetime64[ns]")).view(np.int64))
        return pyarrow.Array.from_buffers(kind, len(cells), [None, buffer])
    return pyarrow.array(cells.tolist() if cells.dtype.kind in "OU" else cells, kind)


def _attribute_type(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return pyarrow.timestamp("ns")
    kinds = {bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    return kinds[type(value)]


def _json(value: Any) -> Any:
    """An attribute as actions take it."""
    return {"timestamp": f"{value}Z"} if isinstance(value, np.datetime64) else value


def _text(fill: Any) -> str:
    """A fill value as the server reads it."""
    value = fill.item() if isinstance(fill, np.generic) and not isinstance(fill, np.datetime64) else fill
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[ns]"))
    return str(fill)
