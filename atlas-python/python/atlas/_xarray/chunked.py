"""dask arrays: written block by block, read chunk by chunk. Imported only where there are some."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import dask.array as da
import numpy as np

from atlas._xarray.stored import StoredArray


def blocks(array: da.Array) -> Iterator[tuple[list[int], np.ndarray[Any, Any]]]:
    """The blocks of an array, computed one after the other, each with where it starts.

    Cost: one block and what it is computed from. What several blocks are computed from is computed for each of them.
    """
    computed = array.to_delayed()
    starts = [list(itertools.accumulate(extents, initial=0)) for extents in array.chunks]
    for position in np.ndindex(*array.numblocks):
        if all(extents[index] for extents, index in zip(array.chunks, position)):
            yield [axis[index] for axis, index in zip(starts, position)], computed[position].compute()


def grid(shape: Sequence[int], chunk_shape: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The extents of the stored chunks along each axis."""
    return tuple(
        tuple(min(chunk, extent - start) for start in range(0, extent, chunk)) or (0,)
        for extent, chunk in zip(shape, chunk_shape)
    )


def lazy(stored: StoredArray) -> da.Array:
    """The array, one block and one task for each stored chunk; a slice reads only what it needs of them."""
    return da.from_array(
        stored,
        chunks=grid(stored.shape, stored.chunk_shape),
        name=stored.token(),
        lock=False,
        fancy=False,
        inline_array=True,
        meta=np.empty((0,) * len(stored.shape), stored.dtype),
    )
