"""TensorStore on stacked, sharded Zarr v3 arrays. The variant is the codec."""

from importlib.metadata import version
from typing import Any

import numpy as np
import tensorstore as ts

from systems import zarr_layout
from task import Box, Task, Variable, slices


class System:
    def __init__(self, variant: str) -> None:
        self.variant = variant
        self.version = f"tensorstore {version('tensorstore')}"
        self.load = zarr_layout.load

    def write(self, folder: str, task: Task, cells: list[Any]) -> None:
        described = [zarr_layout.metadata(task, variable, self.variant) for variable in task.variables]
        names = create(folder, zarr_layout.NAMES, zarr_layout.names_metadata(task)).result()
        stores = [create(folder, variable.name, own) for variable, own in zip(task.variables, described)]
        writes = [names.write(zarr_layout.name_cells(task))]
        # All shards of all variables may be in the making: it bounds itself by the number of cores.
        for store, variable, own in zip(stores, task.variables, cells):
            for begin, part in zarr_layout.parts(task, variable, own):
                writes.append(store.result()[begin : begin + len(part)].write(part))
        for write in writes:
            write.result()

    def open(self, folder: str, task: Task) -> dict[str, Any]:
        opening = {variable.name: opened(folder, variable.name) for variable in task.variables}
        return {"folder": folder, **{name: store.result() for name, store in opening.items()}}

    def names(self, stores: dict[str, Any]) -> list[str]:
        return zarr_layout.name_texts(opened(stores["folder"], zarr_layout.NAMES).result().read().result())

    def stacked(self, stores: dict[str, Any], task: Task, box: Box) -> list[np.ndarray]:
        reads = [stores[variable.name][(slice(None), *slices(box))].read() for variable in task.variables]
        return [read.result() for read in reads]

    def single(self, stores: dict[str, Any], task: Task, number: int, variable: Variable, box: Box) -> np.ndarray:
        return stores[variable.name][(number, *slices(box))].read().result()


def place(folder: str, name: str) -> dict[str, Any]:
    return {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{folder}/{name}"}}


def create(folder: str, name: str, metadata: dict[str, Any]) -> ts.Future:
    return ts.open({**place(folder, name), "metadata": metadata}, create=True)


def opened(folder: str, name: str) -> ts.Future:
    return ts.open(place(folder, name), open=True, read=True)
