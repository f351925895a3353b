"""Datasets of a store as xarray datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from atlas._xarray import attrs
from atlas._xarray.stored import StoredArray

if TYPE_CHECKING:
    from atlas._atlas import Atlas, DatasetView


def to_xarray(store: Atlas, name: str) -> xr.Dataset:
    """The dataset ``name``, identical to the one that was written.

    Arrays that are stored as several chunks are dask arrays, with a block and a task for each chunk; they read when they
    are computed, under any of dask's schedulers, the distributed ones once the store is flushed. All others, and the
    coordinates that are indexes, are numpy arrays, read in one call.

    Text comes as objects of str, times as ``datetime64[ns]``.

    Raises NotFoundError where there is no such dataset.
    """
    view = store.open_dataset(name)
    attributes = view.attributes()
    arrays = stored_arrays(view, attributes)
    is_lazy = {name: array.is_chunked and array.dims != (name,) for name, array in arrays.items()}
    eager = view.read_arrays([name for name in arrays if not is_lazy[name]])
    data: dict[str, Any] = {}
    for name, array in arrays.items():
        if is_lazy[name]:
            from atlas._xarray.chunked import lazy

            data[name] = lazy(array)
        else:
            data[name] = array.decode(eager[name])
    return assemble(attributes, {name: array.described for name, array in arrays.items()}, data)


def stored_arrays(view: DatasetView, attributes: Mapping[str, Any]) -> dict[str, StoredArray]:
    """The arrays of a dataset that has these attributes."""
    notes = attrs.decode_dtypes(attributes)
    return {name: StoredArray.of(view, name, notes.get(name)) for name in view.list_arrays()}


def assemble(
    attributes: Mapping[str, Any], arrays: Mapping[str, tuple[tuple[str, ...], Any]], data: Mapping[str, Any]
) -> xr.Dataset:
    """The dataset with these stored attributes, whose arrays have these dimensions and fill values and hold ``data``.

    Arrays that ``data`` does not have are left out.
    """
    dataset_attrs, variable_attrs, coords = attrs.decode(attributes, arrays)
    encodings = attrs.decode_encodings(attributes, arrays)
    variables = {
        name: xr.Variable(dims, data[name], variable_attrs[name], encodings[name]) for name, (dims, _) in arrays.items() if name in data
    }
    return xr.Dataset(
        {name: variable for name, variable in variables.items() if name not in coords},
        {name: variable for name, variable in variables.items() if name in coords},
        dataset_attrs,
    )
