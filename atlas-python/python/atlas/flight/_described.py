"""What the catalog says of one dataset: its arrays and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.errors import NotFoundError
from atlas.flight._cells import scalar
from atlas.flight._sql import Queries, literal, quoted

_TYPES = {"timestamp_nanoseconds": "datetime64[ns]", "string": "object", "binary": "object"}


@dataclass(frozen=True)
class Array:
    """One array of a dataset; `fill` is None where nothing stands for a missing cell."""

    dtype: np.dtype[Any]
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    fill: Any | None

    @property
    def nbytes(self) -> int:
        """Its bytes in memory, texts apart."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True)
class Described:
    """A dataset's arrays, and its attributes as a store gives them: times are integers of nanoseconds."""

    arrays: Mapping[str, Array]
    attributes: Mapping[str, Any]

    @property
    def declared(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        """Dimensions and fill value of each array, as a store gives it."""
        return {name: (array.dims, as_stored(array.fill)) for name, array in self.arrays.items()}


def as_stored(fill: Any | None) -> Any | None:
    """A fill value as `DatasetView.array_fill_value` gives it: a scalar of Python, of times the nanoseconds since 1970."""
    if isinstance(fill, np.datetime64):
        return int(fill.astype(np.int64))
    return fill.item() if isinstance(fill, np.generic) else fill


def describe(queries: Queries, store: str, dataset: str) -> Described:
    """What one snapshot says of a dataset.

    Raises:
        NotFoundError: where there is none of that name.
    """
    of = f"WHERE dataset = {literal(dataset)}"
    tables = quoted(store)
    sql = (
        "SELECT 'array' AS what, array AS name, dtype AS type, fill_value AS value, dims, shape, chunk_shape "
        f"FROM {tables}.arrays {of} "
        f"UNION ALL SELECT 'attribute', key, type, value, NULL, NULL, NULL FROM {tables}.attributes {of} "
        f"UNION ALL SELECT 'dataset', dataset, NULL, NULL, NULL, NULL, NULL FROM {tables}.datasets {of}"
    )
    rows = queries.of_store(store, sql).to_pylist()
    if not rows:
        raise NotFoundError(f"no such dataset: {dataset}")
    arrays, attributes = {}, {}
    for row in rows:
        if row["what"] == "array":
            arrays[row["name"]] = _array(row)
        elif row["what"] == "attribute":
            attributes[row["name"]] = _attribute(row["type"], row["value"])
    return Described(arrays, attributes)


def _array(row: Mapping[str, Any]) -> Array:
    kind = row["type"]
    dtype = np.dtype(_TYPES.get(kind, kind))
    fill = None if row["value"] is None else scalar(row["value"], dtype, kind == "binary")
    return Array(dtype, tuple(row["dims"]), tuple(row["shape"]), tuple(row["chunk_shape"]), fill)


def _attribute(kind: str, value: str) -> Any:
    if kind == "bool":
        return value == "true"
    if kind == "int64":
        return int(value)
    if kind == "float64":
        return float(value)
    if kind == "timestamp_nanoseconds":
        return int(np.datetime64(value.removesuffix("Z"), "ns").astype(np.int64))
    return value
