"""A Zarr v3 store for each dataset, by xarray: what users do whose datasets come one by one."""

import warnings
from importlib.metadata import version
from pathlib import Path

import dask
import numpy as np
import xarray as xr

from task import slices


class System:
    def __init__(self, variant):
        self.version = f"xarray {version('xarray')}, zarr {version('zarr')}"
        dask.config.set(scheduler="threads", num_workers=2)
        # Zarr v3 has no word yet on consolidated metadata.
        warnings.simplefilter("ignore")

    def write(self, folder, task, cells):
        for number, name in enumerate(task.names()):
            dataset = xr.Dataset({v.name: (v.dims, own[number]) for v, own in zip(task.variables, cells)})
            shapes = [(v, dataset[v.name].shape) for v in task.variables]
            encoding = {v.name: {"chunks": [min(pair) for pair in zip(v.chunks, shape)]} for v, shape in shapes}
            dataset.to_zarr(f"{folder}/{name}", encoding=encoding, zarr_format=3)

    def open(self, folder, task):
        return Path(folder)

    def names(self, folder):
        return sorted(path.name for path in folder.iterdir())

    def stacked(self, folder, task, box):
        paths = [folder / name for name in self.names(folder)]
        region = dict(zip(task.variables[0].dims, slices(box)))
        # Datasets of several lengths cannot be concatenated: each is cut as it is opened.
        cut = {"preprocess": lambda dataset: dataset.isel(region)}
        options = {"combine": "nested", "concat_dim": "dataset", "coords": "minimal", "compat": "override"}
        with xr.open_mfdataset(paths, engine="zarr", parallel=True, decode_cf=False, **cut, **options) as datasets:
            part = datasets.load()
            return [part[variable.name].values for variable in task.variables]

    def single(self, folder, task, number, variable, box):
        with xr.open_zarr(folder / f"d{number:06}", decode_cf=False) as dataset:
            return np.asarray(dataset[variable.name][slices(box)].values)
