"""``ds.atlas``, on every xarray dataset once atlas is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import xarray as xr

if TYPE_CHECKING:
    from atlas._atlas import Atlas
    from atlas.flight import Client


@xr.register_dataset_accessor("atlas")
class AtlasAccessor:
    """What atlas does with an xarray dataset."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def write(self, atlas: Atlas | Client, name: str, chunks: Mapping[str, Sequence[int]] | None = None) -> None:
        """Adds the dataset to the store ``atlas`` under ``name``, as its ``add_xr_dataset`` does: see
        :meth:`atlas.Atlas.add_xr_dataset`, or for a server :meth:`atlas.flight.Client.add_xr_dataset`."""
        atlas.add_xr_dataset(self._ds, name, chunks)
