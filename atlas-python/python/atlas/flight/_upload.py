"""Datasets of xarray to a server that can be written to.

What is written is what a local store is given (`atlas._xarray.write`), noted down, and sent as one row of attributes and
arrays: one message, one commit, which fails where there is such a dataset.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import xarray as xr

from atlas._xarray import add_xr_dataset
from atlas.errors import LimitExceededError, UnsupportedError
from atlas.flight._arrow import flight, pyarrow
from atlas.flight._connection import Connection

# Servers take messages of 64 MiB.
_MOST_BYTES = 56 << 20

# The column that names the dataset of a row.
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
        if not cells.ndim:
            # An object array would take the array itself for its object.
            self.arrays[name].cells[()] = cells[()]
            return
        region = tuple(slice(low, low + extent) for low, extent in zip(start, cells.shape, strict=True))
        self.arrays[name].cells[region] = cells

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value


class Uploads:
    """The uploads of one client."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, store: str, name: str, ds: xr.Dataset, chunks: Mapping[str, Sequence[int]] | None) -> None:
        """Sends a dataset that the store does not have yet."""
        if isinstance(ds, xr.Dataset):
            _check_size(name, ds.nbytes)
        noted = _Noted()
        add_xr_dataset(cast(Any, noted), ds, name, chunks)
        for key in [*noted.arrays, *noted.attributes]:
            if key == _NAMES or (key in noted.arrays and key in noted.attributes):
                raise UnsupportedError(f"{key!r} of dataset {name} cannot be uploaded: rename it, it would be two columns")
        _check_size(name, sum(known.nbytes for known in noted.arrays.values()))
        row = _row(name, noted)
        descriptor = flight.FlightDescriptor.for_command(
            json.dumps({"put": {"store": store, "mode": "create", "rows": 1}})
        )

        def put(client: Any, options: Any) -> None:
            writer, reader = client.do_put(descriptor, row.schema, options)
            with writer:
                writer.write_batch(row)
                writer.done_writing()
                reader.read()

        self._connection.call(put, endless=True)


def _check_size(name: str, nbytes: int) -> None:
    if nbytes > _MOST_BYTES:
        raise LimitExceededError(
            f"dataset {name} has {nbytes} bytes, an upload takes {_MOST_BYTES}: write it to the store itself, with atlas.Atlas"
        )


def _row(name: str, noted: _Noted) -> Any:
    """The dataset as a row."""
    columns = [(pyarrow.field(_NAMES, pyarrow.string()), pyarrow.array([name]))]
    for key, value in noted.attributes.items():
        kind = _attribute_type(value)
        columns.append((pyarrow.field(key, kind), _plain(np.array([value]), kind)))
    for array, known in noted.arrays.items():
        kind, values = _value(known)
        columns.append((known.field(array, None if known.dims else (), kind), values))
    return pyarrow.record_batch([values for _, values in columns], pyarrow.schema([said for said, _ in columns]))


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


def _text(fill: Any) -> str:
    """A fill value as the server reads it."""
    value = fill.item() if isinstance(fill, np.generic) and not isinstance(fill, np.datetime64) else fill
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[ns]"))
    return str(fill)
