"""Answers as xarray has them: dimensions, coordinates and attributes, as they were written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from atlas._xarray import attrs
from atlas._xarray.cells import decode_cells
from atlas._xarray.read import assemble
from atlas.errors import ConflictError, InvalidArgumentError, NotFoundError
from atlas.flight._described import Described, describe
from atlas.flight._sql import Queries
from atlas.flight._stacked import Request, Stack, Stacks

#: The leading dimension of a stacked read, and the coordinate of names along it.
DATASET = "dataset"

# Arrays of a dataset are read together up to so many bytes: one message holds them.
_TOGETHER_BYTES = 32 << 20


class Labels:
    """Makes datasets of xarray of what a server gives."""

    def __init__(self, queries: Queries, stacks: Stacks) -> None:
        self._queries = queries
        self._stacks = stacks

    def one(self, store: str, name: str) -> xr.Dataset:
        """One whole dataset, as it was written."""
        described = describe(self._queries, store, name)
        parts = [Request(store, arrays, (name,)) for arrays in _together(described)]
        with ThreadPoolExecutor(max(1, len(parts[:4])), "atlas-flight-arrays") as pool:
            stacks = list(pool.map(lambda part: self._stacks.read(part, streams=1), parts))
        cells: dict[str, Any] = {}
        for stack in stacks:
            for column, stacked in zip(stack.columns, stack.cells, strict=True):
                array = described.arrays[column.name]
                if column.shape != array.shape or column.dtype != array.dtype:
                    raise ConflictError(f"dataset {name} was changed while it was read: read it again")
                cells[column.name] = stacked.reshape(array.shape)
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


def _together(described: Described) -> list[tuple[str, ...]]:
    """The arrays in groups that are read together."""
    groups: list[list[str]] = []
    left = 0
    for name, array in described.arrays.items():
        if not groups or array.nbytes > left:
            groups.append([])
            left = _TOGETHER_BYTES
        groups[-1].append(name)
        left -= array.nbytes
    return [tuple(group) for group in groups]


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
