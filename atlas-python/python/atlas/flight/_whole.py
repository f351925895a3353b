"""Whole datasets, as xarray wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import xarray as xr

from atlas._xarray import attrs
from atlas._xarray.cells import decode_cells
from atlas._xarray.read import assemble
from atlas.errors import ConflictError
from atlas.flight._described import Array, Described, describe
from atlas.flight._fetch import Fetch
from atlas.flight._sql import Queries
from atlas.flight._stacked import Request, Stacks

# A dataset is read in pieces of about so many bytes, several at a time: arrays together, or slabs of one.
_PART_BYTES = 32 << 20
_PARTS_AT_A_TIME = 4


def read_dataset(queries: Queries, stacks: Stacks, store: str, name: str) -> xr.Dataset:
    """One dataset, in memory.

    Raises:
        NotFoundError: where there is none of that name.
        ConflictError: where its arrays were changed while they were read.
    """
    described = describe(queries, store, name)
    cells = {array: np.empty(known.shape, known.dtype) for array, known in described.arrays.items()}
    running: list[Fetch] = []

    def read(part: Request) -> None:
        stack = stacks.read(part, streams=1, running=running)
        for column, stacked in zip(stack.columns, stack.cells, strict=True):
            start, shape = part.start or (0,) * len(column.dims), part.shape or cells[column.name].shape
            if column.shape != shape or column.dtype != cells[column.name].dtype:
                raise ConflictError(f"dataset {name} was changed while it was read: read it again")
            region = tuple(slice(low, low + extent) for low, extent in zip(start, shape, strict=True))
            cells[column.name][region] = stacked[0]

    pool = ThreadPoolExecutor(_PARTS_AT_A_TIME, "atlas-flight-part")
    try:
        list(pool.map(read, _parts(store, name, described)))
    finally:
        # Of an error, or Ctrl-C: what runs ends at the server, and nothing else begins.
        pool.shutdown(wait=False, cancel_futures=True)
        for fetch in running:
            fetch.stop()
    notes = attrs.decode_dtypes(described.attributes)
    data = {array: decode_cells(cells[array], notes.get(array), known.fill) for array, known in described.arrays.items()}
    return assemble(described.attributes, described.declared, data)


def _parts(store: str, name: str, described: Described) -> Iterator[Request]:
    """The reads that give all arrays of a dataset."""
    together: list[str] = []
    left = _PART_BYTES
    for array, known in described.arrays.items():
        if known.nbytes > _PART_BYTES:
            whole = Request(store, (array,), (name,))
            yield from (replace(whole, start=start, shape=shape) for start, shape in _slabs(known))
            continue
        if known.nbytes > left:
            yield Request(store, tuple(together), (name,))
            together, left = [], _PART_BYTES
        together.append(array)
        left -= known.nbytes
    if together:
        yield Request(store, tuple(together), (name,))


def _slabs(array: Array) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Start and shape of the regions of a large array, cut along its first axis that can be cut, between chunks."""
    axis = next(axis for axis, extent in enumerate(array.shape) if extent > 1)
    extent, chunk = array.shape[axis], max(1, array.chunk_shape[axis])
    thickness = max(1, _PART_BYTES * extent // array.nbytes)
    step = max(chunk, thickness // chunk * chunk)
    for low in range(0, extent, step):
        size = min(step, extent - low)
        start = tuple(low if place == axis else 0 for place in range(len(array.shape)))
        yield start, tuple(size if place == axis else whole for place, whole in enumerate(array.shape))
