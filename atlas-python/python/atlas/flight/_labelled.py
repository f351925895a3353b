"""Answers as xarray has them: dimensions, coordinates and attributes, as they were written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from atlas._xarray import attrs
from atlas._xarray.cells import decode_cells
from atlas._xarray.read import assemble
from atlas.errors import ConflictError, InvalidArgumentError, NotFoundError
from atlas.flight._described import Array, Described, describe
from atlas.flight._sql import Queries
from atlas.flight._stacked import Request, Stack, Stacks

#: The leading dimension of a stacked read, and the coordinate of names along it.
DATASET = "dataset"

# A dataset is read in pieces of about so many bytes, several at a time: arrays together, or slabs of one.
_PART_BYTES = 32 << 20
_PARTS_AT_A_TIME = 4


class Labels:
    """Makes datasets of xarray of what a server gives."""

    def __init__(self, queries: Queries, stacks: Stacks) -> None:
        self._queries = queries
        self._stacks = stacks

    def one(self, store: str, name: str) -> xr.Dataset:
        """One whole dataset, as it was written."""
        described = describe(self._queries, store, name)
        cells = {array: np.empty(known.shape, known.dtype) for array, known in described.arrays.items()}

        def read(part: Request) -> None:
            stack = self._stacks.read(part, streams=1)
            for column, stacked in zip(stack.columns, stack.cells, strict=True):
                start, shape = part.start or (0,) * len(column.dims), part.shape or cells[column.name].shape
                if column.shape != shape or column.dtype != cells[column.name].dtype:
                    raise ConflictError(f"dataset {name} was changed while it was read: read it again")
                region = tuple(slice(low, low + extent) for low, extent in zip(start, shape, strict=True))
                cells[column.name][region] = stacked[0]

        with ThreadPoolExecutor(_PARTS_AT_A_TIME, "atlas-flight-part") as pool:
            list(pool.map(read, _parts(store, name, described)))
        notes = attrs.decode_dtypes(described.attributes)
        data = {name: decode_cells(cells[name], notes.get(name), array.fill) for name, array in described.arrays.items()}
        return assemble(described.attributes, described.declared, data)

    def many(self, request: Request, stack: Stack) -> xr.Dataset:
        """The arrays of a stacked read, with the coordinates of their dimensions."""
        described = describe(self._queries, request.store, str(stack.names[0])) if len(stack.names) else Described({}, {})
        regions = _regions(request, stack)
        variables: dict[str, tuple[tuple[str, ...], Any]] = {DATASET: ((DATASET,), stack.names.astype(str))}
        declared = described.declared | {
            column.name: ((DATASET, *column.dims), column.fill) for column in stack.columns
        }
        whole = stack.arrays()
        for column in stack.columns:
            if DATASET in column.dims or column.name == DATASET:
                raise InvalidArgumentError(
                    f'array {column.name} has a dimension or name "{DATASET}", which is that of the datasets: use as_="numpy"'
                )
            variables[column.name] = ((DATASET, *column.dims), whole[column.name])
        extents = {
            dim: extent for dims, cells in variables.values() for dim, extent in zip(dims, cells.shape, strict=True)
        }
        for name, found in self._coordinates(request, stack, described, regions).items():
            fits = all(cells == extents.get(dim) for dim, cells in zip(found[0], found[1].shape, strict=True))
            if name not in variables and fits:
                variables[name] = found
        return _dataset(variables, described, declared, coords={DATASET, *variables} - set(request.arrays))

    def _coordinates(
        self, request: Request, stack: Stack, described: Described, regions: Mapping[str, tuple[int, int] | None]
    ) -> dict[str, tuple[tuple[str, ...], Any]]:
        """The coordinates of the dimensions, and others along them: without the dataset's axis where all datasets agree."""
        found = _told(stack)
        _, _, names = attrs.decode(described.attributes, described.declared)
        names |= {dim for dim in regions if dim in described.arrays and described.arrays[dim].dims == (dim,)}
        wanted: dict[tuple[str, ...], list[str]] = {}
        for name in sorted(names - found.keys() - set(request.arrays) - {DATASET}):
            dims = described.arrays[name].dims
            if all(dim in regions for dim in dims):
                wanted.setdefault(dims, []).append(name)
        for dims, group in wanted.items():
            found |= self._read_coordinates(request, stack, dims, group, regions)
        return found

    def _read_coordinates(
        self,
        request: Request,
        stack: Stack,
        dims: tuple[str, ...],
        names: list[str],
        regions: Mapping[str, tuple[int, int] | None],
    ) -> dict[str, tuple[tuple[str, ...], Any]]:
        asked = replace(
            request, arrays=tuple(names), datasets=tuple(stack.names), where=None, start=None, shape=None, missing="null"
        )
        bounds = [region for dim in dims if (region := regions[dim]) is not None]
        if bounds:
            asked = replace(asked, start=tuple(low for low, _ in bounds), shape=tuple(size for _, size in bounds))
        try:
            read = self._stacks.read(asked)
        except (InvalidArgumentError, NotFoundError):
            if len(names) == 1:
                # What does not fit the region, or has another rank elsewhere, is no coordinate of this answer.
                return {}
            alone = [self._read_coordinates(request, stack, dims, [name], regions) for name in names]
            return {name: found for part in alone for name, found in part.items()}
        if read.names.tolist() != stack.names.tolist():
            raise ConflictError("the store was changed while it was read: read it again")
        found = {}
        for name, cells in read.arrays().items():
            if cells.ndim == 1 + len(dims):
                found[name] = (dims, cells[0]) if _agree(cells) else ((DATASET, *dims), cells)
        return found


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


def _regions(request: Request, stack: Stack) -> dict[str, tuple[int, int] | None]:
    """First cell and extent of each dimension; None for whole ones.

    Raises:
        InvalidArgumentError: where a dimension has two of them.
    """
    regions: dict[str, tuple[int, int] | None] = {}
    for column in stack.columns:
        for place, dim in enumerate(column.dims):
            region = None
            if request.shape is not None:
                region = (request.start[place] if request.start else 0, request.shape[place])
            if regions.setdefault(dim, region) != region:
                raise InvalidArgumentError(f"the region is another one along {dim} of each array: read them one by one")
    return regions


def _told(stack: Stack) -> dict[str, tuple[tuple[str, ...], Any]]:
    """The coordinates that came with the answer, on which all datasets agree."""
    told = json.loads(stack.metadata.get(b"atlas.coords", b"{}"))
    found: dict[str, tuple[tuple[str, ...], Any]] = {}
    for dim, coordinate in told.items():
        # A null is NaN or infinite: which one, only reading tells.
        if None in coordinate["values"]:
            continue
        kind = coordinate["dtype"]
        dtype = np.dtype(object if kind == "string" else "datetime64[ns]" if kind.startswith("timestamp") else kind)
        if kind != "binary":
            integers = np.int64 if dtype.kind == "M" else dtype
            found[dim] = ((dim,), np.array(coordinate["values"], integers).astype(dtype))
    return found


def _agree(cells: Any) -> bool:
    """Whether all datasets have the same cells, NaN for NaN."""
    if not len(cells):
        return False
    first = cells[:1]
    same = cells == first
    if cells.dtype.kind in "fM":
        same |= np.isnan(cells) & np.isnan(first) if cells.dtype.kind == "f" else np.isnat(cells) & np.isnat(first)
    return bool(np.all(same))


def _dataset(
    variables: Mapping[str, tuple[tuple[str, ...], Any]],
    described: Described,
    declared: Mapping[str, tuple[tuple[str, ...], Any]],
    coords: set[str],
) -> xr.Dataset:
    """Variables with the attributes that a dataset's say they have."""
    dataset_attrs, variable_attrs, _ = attrs.decode(described.attributes, declared)
    encodings = attrs.decode_encodings(described.attributes, declared)
    notes = attrs.decode_dtypes(described.attributes)
    made = {}
    for name, (dims, cells) in variables.items():
        fill = declared[name][1] if name in declared else None
        cells = decode_cells(cells, notes.get(name), fill)
        made[name] = xr.Variable(dims, cells, variable_attrs.get(name), encodings.get(name))
    return xr.Dataset(
        {name: variable for name, variable in made.items() if name not in coords},
        {name: variable for name, variable in made.items() if name in coords},
        dataset_attrs,
    )
