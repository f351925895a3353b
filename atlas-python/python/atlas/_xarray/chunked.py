"""dask arrays: written block by block, read chunk by chunk. Imported only where there are some."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import dask.array as da
import numpy as np
from dask import optimize
from dask.base import get_scheduler
from dask.optimization import cull
from dask.utils import ensure_dict

from atlas._xarray.stored import StoredArray
from atlas.errors import InvalidArgumentError


def blocks(name: str, array: da.Array) -> Iterator[tuple[list[int], np.ndarray[Any, Any]]]:
    """The blocks of a variable's array, computed one after the other, each with where it starts.

    Cost: one block and what it is computed from. What several blocks are computed from is computed for each of them.

    Raises InvalidArgumentError where a block is not of the shape that the array says.
    """
    # Optimized once for all blocks; each computes its own part of the graph, on the scheduler that the caller has chosen.
    (optimized,) = optimize(array)
    graph, compute = ensure_dict(optimized.dask), get_scheduler(collections=[optimized])
    starts = [list(itertools.accumulate(extents, initial=0)) for extents in array.chunks]
    for position in np.ndindex(*array.numblocks):
        if all(extents[index] for extents, index in zip(array.chunks, position)):
            block = (optimized.name, *position)
            needed, _ = cull(graph, [block])
            cells = compute(needed, block)
            declared = tuple(extents[index] for extents, index in zip(array.chunks, position))
            if np.shape(cells) != declared:
                raise InvalidArgumentError(
                    f"variable {name!r}: block {position} has shape {np.shape(cells)}, dask has it down as {declared}"
                )
            yield [axis[index] for axis, index in zip(starts, position)], cells


def grid(shape: Sequence[int], chunk_shape: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The extents of the stored chunks along each axis."""
    return tuple(
        tuple(min(chunk, extent - start) for start in range(0, extent, chunk)) or (0,)
        for extent, chunk in zip(shape, chunk_shape)
    )


def lazy(stored: StoredArray) -> da.Array:
    """The array, one block and one task for each stored chunk."""
    return da.from_array(
        stored,
        chunks=grid(stored.shape, stored.chunk_shape),
        name=stored.token(),
        lock=False,
        fancy=False,
        inline_array=True,
        meta=np.empty((0,) * len(stored.shape), stored.dtype),
    )
