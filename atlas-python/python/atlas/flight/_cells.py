"""The columns of a stacked read: their cells as numpy has them, straight out of Arrow's buffers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.flight._arrow import pyarrow
from atlas.flight._extension import parameters
from atlas.errors import ServerError

_EXTENSION = b"ARROW:extension:metadata"


@dataclass(frozen=True)
class Column:
    """How one array comes: its numpy dtype (object for text and binary), dimensions, the shape of a dataset's value (None
    where shapes differ), and what stands for a missing cell (None where nothing does)."""

    name: str
    dtype: np.dtype[Any]
    dims: tuple[str, ...]
    shape: tuple[int, ...] | None
    fill: Any | None
    binary: bool = False

    @classmethod
    def of(cls, field: Any) -> Column:
        """What a field of the schema says.

        Raises:
            ServerError: for a type that no stacked read has.
        """
        metadata = field.metadata or {}
        kind, said = _storage(field.type), _said(field)
        dims = said.get("dim_names") or json.loads(metadata.get(b"atlas.dims", b"[]"))
        shape: tuple[int, ...] | None = ()
        if pyarrow.types.is_struct(kind):
            shape, kind = None, kind.field("data").type.value_type
        elif pyarrow.types.is_fixed_size_list(kind):
            shape = tuple(said.get("shape") or json.loads(metadata.get(b"atlas.shape", b"[]")))
            kind = kind.value_type
        dtype = numpy_dtype(field.name, kind)
        text = metadata.get(b"atlas.fill_value")
        binary = pyarrow.types.is_binary(kind)
        fill = None if text is None else scalar(text.decode(), dtype, binary)
        rank = len(dims) if shape is None else len(shape)
        if len(dims) != rank:
            dims = [f"dim_{dim}" for dim in range(rank)]
        return cls(field.name, dtype, tuple(dims), shape, fill, binary)

    @property
    def absent(self) -> Any | None:
        """The cells of a dataset that lacks the array; None where no value can say so."""
        if self.fill is not None:
            return self.fill
        if self.dtype.kind == "f":
            return self.dtype.type("nan")
        if self.dtype.kind == "M":
            return np.datetime64("NaT", "ns")
        if self.dtype.kind == "O":
            return b"" if self.binary else ""
        return None

    def stacked(self, values: Any) -> np.ndarray[Any, Any]:
        """The values of a batch as (rows, *shape), where all have one shape. Numbers and times are not copied."""
        assert self.shape is not None
        values = _plain(values)
        if pyarrow.types.is_fixed_size_list(values.type):
            size = values.type.list_size
            cells = values.values.slice(values.offset * size, len(values) * size)
        else:
            cells = values
        return self._flat(cells).reshape(len(values), *self.shape)

    def pieces(self, values: Any) -> list[np.ndarray[Any, Any]]:
        """The values of a batch, each in its own shape."""
        values = _plain(values)
        rank = len(self.dims)
        data, shapes = values.field("data"), values.field("shape")
        extents = shapes.values.slice(shapes.offset * rank, len(shapes) * rank).to_numpy(zero_copy_only=False)
        extents = extents.reshape(len(values), rank)
        offsets = data.offsets.to_numpy()
        cells = self._flat(data.values)
        return [
            cells[offsets[row] : offsets[row + 1]].reshape(tuple(int(extent) for extent in extents[row]))
            for row in range(len(values))
        ]

    def _flat(self, cells: Any) -> np.ndarray[Any, Any]:
        if self.dtype.kind == "O":
            flat: np.ndarray[Any, Any] = cells.to_numpy(zero_copy_only=False)
            return flat
        if self.dtype.kind == "b":
            return np.asarray(cells.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
        # The buffer itself: a cell that counts as missing still has its value there.
        buffer = cells.buffers()[1]
        if buffer is None or len(cells) == 0:
            return np.zeros(len(cells), self.dtype)
        return np.frombuffer(buffer, self.dtype, len(cells), cells.offset * self.dtype.itemsize)


def _plain(values: Any) -> Any:
    return values.storage if isinstance(values, pyarrow.ExtensionArray) else values


def _storage(kind: Any) -> Any:
    return kind.storage_type if isinstance(kind, pyarrow.BaseExtensionType) else kind


def _said(field: Any) -> dict[str, Any]:
    """The parameters of a tensor type; pyarrow leaves those of types that it does not know in the metadata."""
    kind = field.type
    if isinstance(kind, pyarrow.FixedShapeTensorType):
        return {"shape": kind.shape, "dim_names": kind.dim_names}
    if isinstance(kind, pyarrow.BaseExtensionType):
        return parameters(kind)
    return dict(json.loads((field.metadata or {}).get(_EXTENSION, b"{}") or b"{}"))


def numpy_dtype(name: str, kind: Any) -> np.dtype[Any]:
    """The dtype for cells of an Arrow type."""
    types = pyarrow.types
    if types.is_string(kind) or types.is_binary(kind):
        return np.dtype(object)
    if types.is_timestamp(kind):
        return np.dtype("datetime64[ns]")
    if types.is_boolean(kind):
        return np.dtype(bool)
    if types.is_integer(kind) or types.is_floating(kind):
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype
    raise ServerError(f"array {name} came as {kind}, which is no stacked read's")


def scalar(text: str, dtype: np.dtype[Any], binary: bool = False) -> Any:
    """A fill value as the server writes it, as a cell."""
    if dtype.kind == "O":
        return bytes.fromhex(text.removeprefix("0x")) if binary else text
    if dtype.kind == "b":
        return np.bool_(text == "true")
    if dtype.kind == "M":
        return np.datetime64(text.removesuffix("Z"), "ns")
    if dtype.kind in "iu":
        return dtype.type(int(text))
    return dtype.type(text)
