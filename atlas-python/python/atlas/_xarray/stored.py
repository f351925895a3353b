"""Arrays of a store that are read as they are indexed."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atlas._xarray.cells import Cells, decode_cells, decoded_dtype
from atlas.errors import NotFoundError

if TYPE_CHECKING:
    from atlas._atlas import DatasetView

Index = int | slice


@dataclass(frozen=True, eq=False)
class StoredArray:
    """One array of a dataset. Indexing it reads; it pickles where its view does."""

    view: DatasetView
    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    #: The store's dtype.
    stored: str
    fill_value: Any
    #: What the store's dtype does not say; see `attrs.decode_dtypes`.
    note: str | None = None

    @classmethod
    def of(cls, view: DatasetView, name: str, note: str | None) -> StoredArray:
        """The array of this name of the dataset. Raises NotFoundError where there is none."""
        meta = view.array_meta(name)
        if meta is None:
            raise _missing(view, name)
        return cls(
            view,
            name,
            tuple(meta["dimension_names"]),
            tuple(meta["shape"]),
            tuple(meta["chunk_shape"]),
            meta["dtype"],
            view.array_fill_value(name),
            note,
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of what indexing gives."""
        return decoded_dtype(self.stored, self.note)

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return len(self.shape)

    @property
    def described(self) -> tuple[tuple[str, ...], Any]:
        """Its dimensions and fill value."""
        return self.dims, self.fill_value

    @property
    def is_chunked(self) -> bool:
        """Whether it is stored as several chunks."""
        return any(chunk < extent for chunk, extent in zip(self.chunk_shape, self.shape)) and 0 not in self.shape

    def __getitem__(self, index: tuple[Index, ...]) -> Cells:
        """What numpy's basic indexing with integers and slices gives.

        Cost: reads the smallest region that has all of it, in one call.
        """
        start, shape, within = cover(index, self.shape)
        if 0 in shape:
            return np.empty(shape, self.dtype)[within]
        return self.decode(self.view.read_array(self.name, start, shape))[within]

    def decode(self, cells: Cells | None) -> Cells:
        """The values of cells that were read of this array. Raises NotFoundError where it was not there any more."""
        if cells is None:
            raise _missing(self.view, self.name)
        return decode_cells(cells, self.note, self.fill_value)

    def token(self) -> str:
        """A name for the cells, the same in each process and session while the store is in the same snapshot."""
        from dask.base import tokenize

        try:
            pickle.dumps(self.view)
        except Exception:
            # Cells that were not flushed, or that no other process sees, can change without a new snapshot.
            return f"atlas-{uuid.uuid4().hex}"
        store = self.view.store
        # The declaration, for a store that was made anew in the same place.
        declared = self.dims, self.shape, self.chunk_shape, self.stored, self.note
        return f"atlas-{tokenize(store.location, store.snapshot, self.view.name, self.name, *declared)}"

    def __dask_tokenize__(self) -> str:
        """For what dask and xarray name after it."""
        return self.token()


def cover(index: Sequence[Index], shape: Sequence[int]) -> tuple[list[int], list[int], tuple[Index, ...]]:
    """The start and shape of the smallest region with all that ``index`` takes, and what to take of that region."""
    start: list[int] = []
    extents: list[int] = []
    within: list[Index] = []
    for key, extent in zip(index, shape, strict=True):
        if not isinstance(key, slice):
            at = int(key) + extent if key < 0 else int(key)
            taken = range(at, at + 1)
            within.append(0)
        else:
            taken = range(*key.indices(extent))
            within.append(slice(None, None, key.step))
        low, high = (min(taken[0], taken[-1]), max(taken[0], taken[-1])) if taken else (0, -1)
        start.append(low)
        extents.append(high + 1 - low)
    return start, extents, tuple(within)


def _missing(view: DatasetView, name: str) -> NotFoundError:
    return NotFoundError(f"array not found: {name} in dataset {view.name}")
