"""xarray datasets into a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.indexes import PandasMultiIndex

from atlas._xarray import attrs
from atlas._xarray.cells import STRING, CellType
from atlas._xarray.packing import comes_back, fill_value_of_attribute, fill_value_of_decoded, packing
from atlas.errors import InvalidArgumentError, UnsupportedError

if TYPE_CHECKING:
    from atlas._atlas import Atlas, DatasetView

Chunks = Mapping[str, Sequence[int]]


def add_xr_dataset(store: Atlas, ds: xr.Dataset, name: str, chunks: Chunks | None = None) -> None:
    """Adds ``ds`` to the store as the new dataset ``name``: one array for each coordinate and variable.

    Nothing is durable before the store is flushed. If anything fails, the store is as it was before. ``ds`` is not
    changed, and what it has not loaded stays unloaded.

    Chunks: ``chunks`` may give the chunk shape of variables by their name, -1 for a whole axis. Of others, those of dask
    have the shape of dask's first chunk, and the rest is one chunk.

    Missing values: the ``_FillValue`` of ``attrs`` becomes the fill value of the array. A variable that was decoded from a
    file, which has it in ``encoding``, is null where it is missing in memory: NaN, NaT, or that value.

    Cost: variables of dask are computed, and written, one block after the other; one block is in memory at a time. Others
    are loaded whole, one after the other.

    Raises AlreadyExistsError; UnsupportedError for dtypes and indexes that cannot be stored; InvalidArgumentError for
    names, chunks and attributes; AttributeTypeError; ValueRangeError for times outside of 1677 to 2262.
    """
    if not isinstance(ds, xr.Dataset):
        raise InvalidArgumentError(f"expected an xarray.Dataset, got {type(ds).__name__}")
    if chunks is not None and not isinstance(chunks, Mapping):
        raise InvalidArgumentError(f"chunks are {chunks!r}: expected a chunk shape by variable")
    plans = _plan(ds, chunks or {})
    # What cannot be stored is found before anything is made.
    _attributes(ds, plans)
    view = store.create_dataset(name)
    try:
        for plan in plans:
            plan.write(view)
        for key, value in _attributes(ds, plans).items():
            view.set_attribute(key, value)
    except BaseException:
        store.delete_dataset(name)
        raise


@dataclass
class _Plan:
    """How one variable is written."""

    name: str
    variable: xr.Variable
    cells: CellType
    chunk_shape: list[int]
    #: The attributes without what the fill value of the array tells.
    attrs: dict[Any, Any]
    #: How it was packed in a file.
    packing: dict[str, Any]

    def write(self, view: DatasetView) -> None:
        parts: Iterable[tuple[list[int], Any]] = ()
        if self.variable.chunks is not None:
            from atlas._xarray.chunked import blocks

            parts = blocks(self.name, self.variable.data)
        elif self.variable.size:
            # Indexing gives a variable of its own, so that what it loads is not kept by the caller's.
            values = self.variable[...].values
            self.cells.choose_fill_value(values)
            parts = [([0] * self.variable.ndim, values)]
        view.define_array(
            self.name,
            self.cells.stored,
            [str(dim) for dim in self.variable.dims],
            list(self.variable.shape),
            self.chunk_shape,
            self.cells.fill_value,
        )
        for start, values in parts:
            view.write_array(self.name, start, self.cells.encode(values))

    def attributes(self) -> dict[Any, Any]:
        """The attributes that are stored as such."""
        if self.cells.note is None or attrs.FILL_VALUE not in self.variable.attrs:
            return self.attrs
        # The fill value of cells that a note explains is not taken for an attribute.
        return {attrs.FILL_VALUE: self.cells.fill_value, **self.attrs}


def _plan(ds: xr.Dataset, chunks: Chunks) -> list[_Plan]:
    for name, index in ds.xindexes.items():
        if isinstance(index, PandasMultiIndex):
            raise UnsupportedError(f"coordinate {name!r} is part of a multi-index: ds.reset_index makes plain ones of it")
    names = [*ds.coords, *ds.data_vars]
    for name in [*names, *ds.sizes]:
        if not isinstance(name, str):
            raise InvalidArgumentError(f"the name {name!r} is {type(name).__name__}: only str can be stored")
    variables = {str(name): ds.variables[name] for name in names}
    cells = {name: CellType.of(name, variable.dtype) for name, variable in variables.items()}
    packed = {name: packing(variable, cells[name]) for name, variable in variables.items()}
    plans = []
    for name, variable in variables.items():
        kept = dict(variable.attrs)
        fill_value = kept.get(attrs.FILL_VALUE)
        if fill_value is None:
            cells[name].fill_value = fill_value_of_decoded(cells[name], packed[name])
        elif cells[name].note is None:
            cells[name].fill_value = fill_value_of_attribute(cells[name], fill_value)
            # Where variables were decoded, fill values are taken to be part of that.
            if comes_back(cells[name], fill_value) and not any(packed.values()):
                del kept[attrs.FILL_VALUE]
            elif cells[name].stored == STRING:
                kept[attrs.FILL_VALUE] = cells[name].fill_value
        chunk_shape = _chunk_shape(name, variable, chunks.get(name))
        plans.append(_Plan(name, variable, cells[name], chunk_shape, kept, packed[name]))
    return plans


def _attributes(ds: xr.Dataset, plans: list[_Plan]) -> dict[str, Any]:
    packed = {plan.name: plan.packing for plan in plans if plan.packing}
    return attrs.encode(
        ds.attrs,
        {plan.name: plan.attributes() for plan in plans},
        [str(name) for name in ds.coords],
        packed,
        {plan.name: plan.cells.note for plan in plans if plan.cells.note},
    )


def _chunk_shape(name: str, variable: xr.Variable, given: Sequence[int] | None) -> list[int]:
    if given is not None:
        if not isinstance(given, (Sequence, np.ndarray)) or isinstance(given, str):
            raise InvalidArgumentError(f"chunks of {name!r} are {given!r}: expected a number for each dimension")
        if len(given) != variable.ndim:
            raise InvalidArgumentError(f"chunks of {name!r} are {list(given)}: the variable has shape {list(variable.shape)}")
        if any(chunk < 1 and chunk != -1 for chunk in given):
            raise InvalidArgumentError(f"chunks of {name!r} are {list(given)}: each is at least 1, or -1 for the whole axis")
        wanted = [extent if chunk == -1 else min(chunk, extent) for chunk, extent in zip(given, variable.shape)]
    elif variable.chunks is not None:
        wanted = [next(filter(None, chunks), 1) for chunks in variable.chunks]
    else:
        wanted = list(variable.shape)
    return [max(1, chunk) for chunk in wanted]
