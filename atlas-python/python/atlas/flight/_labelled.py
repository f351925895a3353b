"""Stacked reads as xarray has them: dimensions, coordinates and attributes, as they were written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from atlas._xarray import attrs
from atlas._xarray.cells import MISSING_STRINGS, decode_cells
from atlas.errors import ConflictError, InvalidArgumentError, NotFoundError
from atlas.flight._cells import Column
from atlas.flight._described import Described, as_stored, describe
from atlas.flight._sql import Queries, literal, quoted
from atlas.flight._stacked import Request, Stack, Stacks

#: The leading dimension of a stacked read, and the coordinate of names along it.
DATASET = "dataset"

# Dimensions, and cells.
Variable = tuple[tuple[str, ...], Any]


class Labels:
    """Makes a dataset of xarray of the answer to a stacked read."""

    def __init__(self, queries: Queries, stacks: Stacks, request: Request, stack: Stack) -> None:
        self._queries = queries
        self._stacks = stacks
        self._request = request
        self._stack = stack
        self._regions = _regions(request, stack)
        self._notes: dict[str, dict[str, str]] | None = None

    def dataset(self) -> xr.Dataset:
        """The arrays of the read, with the coordinates of their dimensions.

        Raises:
            InvalidArgumentError: where they cannot be one dataset.
            ConflictError: where the store was changed meanwhile.
        """
        described = self._first()
        variables: dict[str, Variable] = {DATASET: ((DATASET,), self._stack.names.astype(str))}
        declared = dict(described.declared)
        for column, cells in zip(self._stack.columns, self._stack.arrays().values(), strict=True):
            if DATASET in column.dims or column.name == DATASET:
                raise InvalidArgumentError(
                    f'array {column.name} has a dimension or name "{DATASET}", the name of the new axis: use as_="numpy"'
                )
            declared[column.name] = (DATASET, *column.dims), as_stored(column.fill)
            variables[column.name] = (DATASET, *column.dims), self._decoded(column, cells)
        extents: dict[str, int] = {}
        for dims, cells in variables.values():
            extents |= zip(dims, cells.shape, strict=True)
        coords = {DATASET}
        for name, (dims, cells) in self._coordinates(described).items():
            if cells.shape == tuple(extents[dim] for dim in dims):
                variables[name] = dims, cells
                coords.add(name)
        return _assembled(variables, coords, described.attributes, declared)

    def _first(self) -> Described:
        """What the first dataset says of attributes and coordinates."""
        if not len(self._stack.names):
            return Described({}, {})
        try:
            return describe(self._queries, self._request.store, str(self._stack.names[0]))
        except NotFoundError:
            raise _changed() from None

    def _coordinates(self, described: Described) -> dict[str, Variable]:
        """The coordinates along the dimensions of the read: without the dataset's axis where all datasets agree."""
        found = self._told()
        _, _, names = attrs.decode(described.attributes, described.declared)
        names |= {dim for dim in self._regions if dim in described.arrays and described.arrays[dim].dims == (dim,)}
        together: dict[tuple[str, ...], list[str]] = {}
        for name in sorted(names - found.keys() - set(self._request.arrays) - {DATASET}):
            dims = described.arrays[name].dims
            if all(dim in self._regions for dim in dims):
                together.setdefault(dims, []).append(name)
        for dims, group in together.items():
            found |= self._read(dims, group)
        return found

    def _told(self) -> dict[str, Variable]:
        """The coordinates that came with the answer: all datasets have the same cells."""
        told = json.loads(self._stack.metadata.get(b"atlas.coords", b"{}"))
        found: dict[str, Variable] = {}
        for dim, coordinate in told.items():
            values, kind = coordinate["values"], coordinate["dtype"]
            # A null is NaN or infinite: which one, only reading tells. So it is with what counts something else.
            if None in values or kind in ("string", "binary", "int64") or dim in self._request.arrays:
                continue
            if kind.startswith("timestamp"):
                found[dim] = (dim,), np.array(values, np.int64).view("datetime64[ns]")
            else:
                found[dim] = (dim,), np.array(values, kind)
        return found

    def _read(self, dims: tuple[str, ...], names: list[str]) -> dict[str, Variable]:
        """Coordinates with these dimensions, of the same datasets and region."""
        datasets = tuple(self._stack.names)
        asked = Request(self._request.store, tuple(names), datasets, missing="null")
        bounds = [region for dim in dims if (region := self._regions[dim]) is not None]
        if bounds:
            asked = replace(asked, start=tuple(low for low, _ in bounds), shape=tuple(size for _, size in bounds))
        try:
            read = self._stacks.read(asked)
            if tuple(read.names) != datasets:
                raise _changed()
            arrays = zip(read.columns, read.arrays().values(), strict=True)
            decoded = {column.name: self._decoded(column, cells) for column, cells in arrays}
        except (InvalidArgumentError, NotFoundError):
            if len(names) == 1:
                # What does not fit the region, or has another rank elsewhere, is no coordinate of this answer.
                return {}
            return {name: found for one in names for name, found in self._read(dims, [one]).items()}
        return {
            name: (dims, cells[0]) if _agree(cells) else ((DATASET, *dims), cells)
            for name, cells in decoded.items()
            if cells.ndim == 1 + len(dims)
        }

    def _decoded(self, column: Column, cells: Any) -> Any:
        """Cells as the values that were written, where the store's dtype does not say it.

        Raises:
            InvalidArgumentError: where the datasets' are of different kinds.
        """
        if column.dtype.kind != "O" and column.dtype != np.int64:
            return cells
        if self._notes is None:
            self._notes = self._all_notes()
        notes = [self._notes.get(dataset, {}).get(column.name) for dataset in self._stack.names]
        distinct = set(notes)
        if distinct <= {None}:
            return cells
        if distinct <= {None, MISSING_STRINGS} and column.fill is not None:
            marked = np.array([note is not None for note in notes])
            values = cells.copy()
            values[marked] = decode_cells(cells[marked], MISSING_STRINGS, column.fill)
            return values
        if len(distinct) > 1 or MISSING_STRINGS in distinct:
            raise InvalidArgumentError(
                f'array {column.name} has different units, or missing texts, in its datasets: use as_="numpy"'
            )
        return decode_cells(cells, notes[0], column.fill)

    def _all_notes(self) -> dict[str, dict[str, str]]:
        """What the cells of arrays are, by dataset, of those where the store's dtypes do not say it."""
        store = self._request.store
        sql = f"SELECT dataset, value FROM {quoted(store)}.attributes WHERE key = {literal(attrs.NOTES)}"
        rows = self._queries.of_store(store, sql).to_pylist()
        return {row["dataset"]: attrs.decode_dtypes({attrs.NOTES: row["value"]}) for row in rows}


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


def _changed() -> ConflictError:
    return ConflictError("the store was changed while it was read: read it again")


def _agree(cells: Any) -> bool:
    """Whether all datasets have the same cells, NaN for NaN."""
    first = cells[:1]
    return len(cells) > 0 and bool(np.all((cells == first) | ((cells != cells) & (first != first))))


def _assembled(
    variables: Mapping[str, Variable],
    coords: set[str],
    attributes: Mapping[str, Any],
    declared: Mapping[str, tuple[tuple[str, ...], Any]],
) -> xr.Dataset:
    """Variables with the attributes that a dataset's say they have."""
    dataset_attrs, variable_attrs, _ = attrs.decode(attributes, declared)
    encodings = attrs.decode_encodings(attributes, declared)
    made = {
        name: xr.Variable(dims, cells, variable_attrs.get(name), encodings.get(name))
        for name, (dims, cells) in variables.items()
    }
    return xr.Dataset(
        {name: variable for name, variable in made.items() if name not in coords},
        {name: variable for name, variable in made.items() if name in coords},
        dataset_attrs,
    )
