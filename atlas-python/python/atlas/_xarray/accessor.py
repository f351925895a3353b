"""``ds.atlas``, on every xarray dataset once atlas is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import xarray as xr

from atlas._xarray.write import add_xr_dataset

if TYPE_CHECKING:
    from atlas._atlas import Atlas


@xr.register_dataset_accessor("atlas")
class AtlasAccessor:
    """What atlas does with an xarray dataset."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def write(self, store: Atlas, name: str, chunks: Mapping[str, Sequence[int]] | None = None) -> None:
        """Adds the dataset to ``store`` under ``name``, as :meth:`atlas.Atlas.add_xr_dataset` does; see there."""
        add_xr_dataset(store, self._ds, name, chunks)
