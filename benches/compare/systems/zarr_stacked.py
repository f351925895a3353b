"""zarr-python on stacked, sharded Zarr v3 arrays. The variant: `zarr` or `zarrs` (who runs the codecs), a dash, the codec."""

import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from systems import zarr_layout
from task import Box, Task, Variable, slices


class System:
    def __init__(self, variant: str) -> None:
        engine, self.variant = variant.split("-")
        self.version = f"zarr {version('zarr')}"
        self.load = zarr_layout.load
        if engine == "zarrs":
            zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
            self.version = f"zarrs {version('zarrs')} under {self.version}"
            # Of codecs that it hands back to zarr-python; there is none here.
            warnings.simplefilter("error", UserWarning)

    def write(self, folder: str, task: Task, cells: list[Any]) -> None:
        names = create(folder, zarr_layout.NAMES, zarr_layout.names_metadata(task))
        names[:] = zarr_layout.name_cells(task)
        for variable, own in zip(task.variables, cells):
            array = create(folder, variable.name, zarr_layout.metadata(task, variable, self.variant))
            for begin, part in zarr_layout.parts(task, variable, own):
                array[begin : begin + len(part)] = part

    def open(self, folder: str, task: Task) -> dict[str, Any]:
        arrays = {variable.name: zarr.open_array(f"{folder}/{variable.name}", mode="r") for variable in task.variables}
        return {"folder": folder, **arrays}

    def names(self, arrays: dict[str, Any]) -> list[str]:
        return zarr_layout.name_texts(zarr.open_array(f"{arrays['folder']}/{zarr_layout.NAMES}", mode="r")[:])

    def stacked(self, arrays: dict[str, Any], task: Task, box: Box) -> list[np.ndarray]:
        return [arrays[variable.name][(slice(None), *slices(box))] for variable in task.variables]

    def single(self, arrays: dict[str, Any], task: Task, number: int, variable: Variable, box: Box) -> np.ndarray:
        return arrays[variable.name][(number, *slices(box))]


def create(folder: str, name: str, metadata: dict[str, Any]) -> zarr.Array:
    """An array with just this metadata, which is the same for all who write these files."""
    path = Path(folder) / name
    path.mkdir(parents=True)
    (path / "zarr.json").write_text(json.dumps(metadata))
    return zarr.open_array(path, mode="r+")
