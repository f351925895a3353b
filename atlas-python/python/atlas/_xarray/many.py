"""Many datasets of a store as one xarray dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from atlas._xarray.cells import MISSING_STRINGS, Cells
from atlas._xarray.read import assemble, stored_arrays, to_xarray
from atlas._xarray.stored import StoredArray
from atlas.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from atlas._atlas import Atlas

Arrays = Mapping[str, StoredArray]


def to_xarray_many(
    store: Atlas, names: Sequence[str], concat_dim: str = "dataset", parallel: bool = True
) -> xr.Dataset:
    """The datasets beside one another along the new leading dimension ``concat_dim``, whose labels are their names.

    All variables get the new dimension; a coordinate gets it only if it differs between the datasets. Attributes are
    those of the first dataset.

    Datasets whose indexes differ, in length or labels, are aligned as `xarray.concat` aligns them, with missing values
    where a dataset has no such label.

    Cost: one bulk read a variable, into memory; with ``parallel``, several variables at once. Datasets that have to be
    aligned are read one by one instead, lazily where they are chunked.

    Raises NotFoundError for a dataset that does not exist or lacks an array that others have, InvalidArgumentError where
    there are no names, arrays have other dimensions or, without an index to align them by, another length, or something is
    named like ``concat_dim``.
    """
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise InvalidArgumentError("there are no names of datasets to read")
    views = [store.open_dataset(name) for name in names]
    attributes = [view.attributes() for view in views]
    datasets = [stored_arrays(view, given) for view, given in zip(views, attributes)]
    _check(names, datasets, concat_dim)
    label = xr.Variable(concat_dim, np.array(names))
    if not all(_is_alike(datasets[0], other) for other in datasets[1:]):
        return _align(store, names, datasets, label)

    arrays = datasets[0]

    def read(name: str) -> Cells:
        return arrays[name].decode(store.read_array_across_stacked(name, names))

    if parallel:
        with ThreadPoolExecutor() as pool:
            stacked = dict(zip(arrays, pool.map(read, arrays)))
    else:
        stacked = {name: read(name) for name in arrays}
    # Which arrays are coordinates: as in the first dataset.
    template = assemble(
        attributes[0],
        {name: array.described for name, array in arrays.items()},
        {name: cells[0] for name, cells in stacked.items()},
    )
    kept = [name for name in template.coords if _is_one(stacked[str(name)])]
    if any(name in template.xindexes for name in template.coords if name not in kept):
        return _align(store, names, datasets, label)
    whole = {
        name: variable if name in kept else _with_axis(variable, stacked[str(name)], concat_dim)
        for name, variable in template.variables.items()
    }
    coords = {name: whole[name] for name in template.coords}
    return xr.Dataset(
        {name: whole[name] for name in template.data_vars}, {**coords, concat_dim: label}, template.attrs
    )


def _check(names: Sequence[str], datasets: Sequence[Arrays], concat_dim: str) -> None:
    """What cannot be concatenated at all."""
    first = datasets[0]
    for name, arrays in zip(names, datasets):
        for missing in first.keys() - arrays.keys():
            raise NotFoundError(f"array not found: {missing} in dataset {name} ({names[0]} has it)")
        for missing in arrays.keys() - first.keys():
            raise NotFoundError(f"array not found: {missing} in dataset {names[0]} ({name} has it)")
        for array, stored in arrays.items():
            if array == concat_dim or concat_dim in stored.dims:
                raise InvalidArgumentError(f"dataset {name} has {concat_dim!r} already: choose another concat_dim")
            if stored.dims != first[array].dims:
                raise InvalidArgumentError(
                    f"array {array} has dimensions {list(stored.dims)} in dataset {name} and {list(first[array].dims)} in "
                    f"{names[0]}: they cannot be concatenated"
                )


def _is_alike(one: Arrays, other: Arrays) -> bool:
    """Whether arrays stack as they are, and mean the same once stacked."""
    return all(
        (stored.shape, stored.stored, stored.note) == (other[name].shape, other[name].stored, other[name].note)
        and (stored.note != MISSING_STRINGS or stored.fill_value == other[name].fill_value)
        for name, stored in one.items()
    )


def _is_one(cells: Cells) -> bool:
    """Whether all datasets have the same cells."""
    first = cells[:1]
    return bool(np.all((cells == first) | ((cells != cells) & (first != first))))


def _with_axis(variable: xr.Variable, cells: Cells, dim: str) -> xr.Variable:
    return xr.Variable((dim, *variable.dims), cells, variable.attrs, variable.encoding)


def _align(store: Atlas, names: Sequence[str], datasets: Sequence[Arrays], label: xr.Variable) -> xr.Dataset:
    parts = [to_xarray(store, name) for name in names]
    for name, arrays, part in zip(names, datasets, parts):
        for array, stored in arrays.items():
            first = datasets[0][array]
            for dim, extent, expected in zip(stored.dims, stored.shape, first.shape):
                if extent != expected and not (dim in part.xindexes and dim in parts[0].xindexes):
                    raise InvalidArgumentError(
                        f"array {array} has shape {list(stored.shape)} in dataset {name} and {list(first.shape)} in "
                        f"{names[0]}: without an index along {dim!r} they cannot be concatenated"
                    )
    whole: xr.Dataset = xr.concat(
        parts,
        xr.DataArray(label, name=label.dims[0]),
        data_vars="all",
        coords="different",
        compat="equals",
        join="outer",
        combine_attrs="override",
    )
    return whole
