"""``xr.open_dataset(store, engine="atlas", group=name)``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from atlas._atlas import Atlas, DatasetView
from atlas._xarray.cells import Cells
from atlas._xarray.read import assemble, stored_arrays
from atlas._xarray.stored import StoredArray
from atlas.errors import InvalidArgumentError

_CATALOGS = tuple(f"atlas.{form}{packed}" for form in ("json", "msgpack") for packed in ("", ".zst", ".lz4"))
_MAX_NAMES_SHOWN = 3


class AtlasBackendEntrypoint(BackendEntrypoint):
    """Opens a dataset of an Atlas store, lazily.

    A store is a path, a URL, a handle of obstore or an `atlas.Atlas`; ``group`` is the name of the dataset, and may be
    left out if the store has one only. A dataset may be given instead as `atlas.DatasetView`, so that
    ``xr.open_mfdataset([store[name] for name in names], engine="atlas", …)`` opens several of one store.

    Indexing reads when the values are needed, and along each axis no chunks but those that it touches. With ``chunks={}`` the chunks of dask are
    those of the store. Cells are as they were written, so that nothing is decoded (`xarray.decode_cf` does it to those
    that were stored as they were packed).
    """

    description = "Datasets of an Atlas store"
    supports_groups = True

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether it is a store on this machine, or one that is open."""
        if isinstance(filename_or_obj, (Atlas, DatasetView)):
            return True
        if not isinstance(filename_or_obj, (str, os.PathLike)):
            return False
        place = Path(filename_or_obj).expanduser()
        return any((place / catalog).is_file() for catalog in _CATALOGS)

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        mask_and_scale: Any = None,
        decode_times: Any = None,
        concat_characters: Any = None,
        decode_coords: Any = None,
        use_cftime: Any = None,
        decode_timedelta: Any = None,
    ) -> xr.Dataset:
        """The dataset ``group`` of a store. Raises NotFoundError, or InvalidArgumentError where ``group`` is needed.

        How to decode may be said, as programs for any engine do, and changes nothing: there is nothing to decode.
        """
        return _open(_view(filename_or_obj, group), drop_variables)

    def open_groups_as_dict(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None
    ) -> dict[str, xr.Dataset]:
        """All datasets of a store by their names, as paths from ``/``."""
        store = _store(filename_or_obj)
        return {f"/{name}": _open(store.open_dataset(name), drop_variables) for name in store.list_datasets()}

    def open_datatree(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None
    ) -> xr.DataTree:
        """All datasets of a store, each a child of the root."""
        return xr.DataTree.from_dict(self.open_groups_as_dict(filename_or_obj, drop_variables=drop_variables))


class _LazyArray(BackendArray):
    """An array of a store as xarray's lazy indexing wants it."""

    def __init__(self, stored: StoredArray) -> None:
        self.stored = stored
        self.shape = stored.shape
        self.dtype = stored.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Cells:
        cells: Cells = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self.stored.__getitem__
        )
        return cells


def _open(view: DatasetView, drop_variables: str | Iterable[str] | None) -> xr.Dataset:
    dropped = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
    attributes = view.attributes()
    arrays = stored_arrays(view, attributes)
    kept = {name: array for name, array in arrays.items() if name not in dropped}
    ds = assemble(
        attributes,
        {name: array.described for name, array in arrays.items()},
        {name: indexing.LazilyIndexedArray(_LazyArray(array)) for name, array in kept.items()},
    )
    for name, array in kept.items():
        if array.is_chunked:
            ds.variables[name].encoding["preferred_chunks"] = dict(zip(array.dims, array.chunk_shape))
    return ds


def _view(source: Any, group: str | None) -> DatasetView:
    if isinstance(source, DatasetView):
        if group not in (None, source.name):
            raise InvalidArgumentError(f"group is {group!r}, the dataset given is {source.name!r}")
        return source
    store = _store(source)
    if group is not None:
        return store.open_dataset(group if store.dataset_exists(group) else group.removeprefix("/"))
    names = store.list_datasets()
    if len(names) == 1:
        return store.open_dataset(names[0])
    shown = ", ".join(map(repr, names[:_MAX_NAMES_SHOWN])) + (", …" if len(names) > _MAX_NAMES_SHOWN else "")
    raise InvalidArgumentError(f"the store has {len(names)} datasets ({shown}): name one with group=")


def _store(source: Any) -> Atlas:
    if isinstance(source, Atlas):
        return source
    return Atlas.open(os.path.expanduser(source) if isinstance(source, (str, os.PathLike)) else source)
