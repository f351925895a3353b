"""A NetCDF-4 file for each dataset, by xarray: what most archives are."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask
import netCDF4
import numpy as np

from systems.concatenated import concatenated
from task import Box, Task, Variable, slices


class System:
    def __init__(self, variant: str) -> None:
        self.version = f"xarray {version('xarray')}, netCDF4 {version('netCDF4')}"
        # Current versions of netCDF4 end the process (bus error) when two threads open files.
        dask.config.set(scheduler="synchronous")

    def write(self, folder: str, task: Task, cells: list[Any]) -> None:
        Path(folder).mkdir(parents=True)
        for number, name in enumerate(task.names()):
            with netCDF4.Dataset(f"{folder}/{name}.nc", "w") as file:
                for variable, own in zip(task.variables, cells):
                    for dim, extent in zip(variable.dims, own[number].shape):
                        if dim not in file.dimensions:
                            file.createDimension(dim, extent)
                    chunks = [min(pair) for pair in zip(variable.chunks, own[number].shape)]
                    packed: dict[str, Any] = {"zlib": True, "complevel": 1, "shuffle": True, "chunksizes": chunks}
                    file.createVariable(variable.name, variable.dtype, variable.dims, **packed)[:] = own[number]

    def open(self, folder: str, task: Task) -> Path:
        return Path(folder)

    def names(self, folder: Path) -> list[str]:
        return sorted(path.stem for path in folder.iterdir())

    def stacked(self, folder: Path, task: Task, box: Box) -> list[np.ndarray]:
        return concatenated(sorted(folder.iterdir()), task, box, engine="netcdf4")

    def single(self, folder: Path, task: Task, number: int, variable: Variable, box: Box) -> np.ndarray:
        with netCDF4.Dataset(folder / f"d{number:06}.nc") as file:
            file.set_auto_maskandscale(False)
            return file[variable.name][slices(box)]
