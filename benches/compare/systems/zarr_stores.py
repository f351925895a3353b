"""A Zarr v3 store for each dataset, by xarray: what users do whose datasets come one by one."""

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr

from systems.concatenated import concatenated
from task import Box, Task, Variable, slices


class System:
    def __init__(self, variant: str) -> None:
        self.version = f"xarray {version('xarray')}, zarr {version('zarr')}"
        dask.config.set(scheduler="threads", num_workers=2)
        # Zarr v3 has no word yet on consolidated metadata.
        warnings.simplefilter("ignore")

    def write(self, folder: str, task: Task, cells: list[Any]) -> None:
        for number, name in enumerate(task.names()):
            dataset = xr.Dataset({v.name: (v.dims, own[number]) for v, own in zip(task.variables, cells)})
            shapes = [(v, dataset[v.name].shape) for v in task.variables]
            encoding = {v.name: {"chunks": [min(pair) for pair in zip(v.chunks, shape)]} for v, shape in shapes}
            dataset.to_zarr(f"{folder}/{name}", encoding=encoding, zarr_format=3)

    def open(self, folder: str, task: Task) -> Path:
        return Path(folder)

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir())

    def stacked(self, folder: Path, task: Task, box: Box) -> list[np.ndarray]:
        return concatenated([folder / name for name in self.names(folder)], task, box, engine="zarr", parallel=True)

    def single(self, folder: Path, task: Task, number: int, variable: Variable, box: Box) -> np.ndarray:
        with xr.open_zarr(folder / f"d{number:06}", decode_cf=False) as dataset:
            return np.asarray(dataset[variable.name][slices(box)].values)
