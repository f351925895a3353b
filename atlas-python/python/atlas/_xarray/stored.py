"""Arrays of a store that are read as they are indexed."""

from __future__ import annotations

import itertools
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

Index = int | slice | np.ndarray[Any, np.dtype[np.integer[Any]]]


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
        """What indexing gives: integers and slices as in numpy, and of arrays of positions the cells of each with each.

        Cost: of the chunks along each axis only those that are touched; one call for each region of neighbours.
        """
        axes = [Axis.of(key, extent, chunk) for key, extent, chunk in zip(index, self.shape, self.chunk_shape, strict=True)]
        cells = np.empty([len(axis.positions) for axis in axes], self.dtype)
        for runs in itertools.product(*(axis.runs() for axis in axes)):
            region = self.view.read_array(self.name, [run.start for run in runs], [run.extent for run in runs])
            read = self.decode(region)
            if read.shape == cells.shape and all(run.is_plain for run in runs):
                cells = read
            else:
                cells[tuple(np.ix_(*(run.places for run in runs)))] = read[np.ix_(*(run.within for run in runs))]
        return cells[tuple(0 if axis.is_single else slice(None) for axis in axes)]

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
        state = store.location, store.catalog_version
        return f"atlas-{tokenize(*state, self.view.name, self.name, self.note)}"

    def __dask_tokenize__(self) -> str:
        """For what dask and xarray name after it."""
        return self.token()


@dataclass(frozen=True)
class Run:
    """Positions along one axis that are read together."""

    #: The first cell that is read.
    start: int
    #: How many cells are read.
    extent: int
    #: Where they go in the result, and which of those that are read.
    places: np.ndarray[Any, Any]
    within: np.ndarray[Any, Any]

    @property
    def is_plain(self) -> bool:
        """Whether what is read is all that is wanted, in that order."""
        every = np.arange(self.extent)
        return np.array_equal(self.within, every) and np.array_equal(self.places, every)


@dataclass(frozen=True)
class Axis:
    """What is wanted along one axis."""

    positions: np.ndarray[Any, Any]
    chunk: int
    #: Whether the result does not have the axis.
    is_single: bool

    @classmethod
    def of(cls, key: Index, extent: int, chunk: int) -> Axis:
        """What an index takes of an axis. Raises IndexError where it is not there."""
        if isinstance(key, slice):
            return cls(np.arange(*key.indices(extent)), chunk, False)
        positions = np.atleast_1d(np.asarray(key, dtype=np.int64))
        positions = np.where(positions < 0, positions + extent, positions)
        if positions.size and not (0 <= positions.min() and positions.max() < extent):
            raise IndexError(f"index {key} is out of bounds of {extent} cells")
        return cls(positions, chunk, np.ndim(key) == 0)

    def runs(self) -> list[Run]:
        """The positions, in runs of neighbouring chunks: none is read that nothing is wanted of."""
        order = np.argsort(self.positions, kind="stable")
        ascending = self.positions[order]
        ends = np.flatnonzero(np.diff(ascending // max(self.chunk, 1)) > 1) + 1
        runs = []
        for places in np.split(order, ends):
            if len(places):
                wanted = self.positions[places]
                start = int(wanted.min())
                runs.append(Run(start, int(wanted.max()) - start + 1, places, wanted - start))
        return runs



def _missing(view: DatasetView, name: str) -> NotFoundError:
    return NotFoundError(f"array not found: {name} in dataset {view.name}")
