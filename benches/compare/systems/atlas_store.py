"""Atlas and the reference: both packages are called `atlas` and have the same calls. The interpreter says which it is.

The variant is the codec; `default` is that of the package.
"""

from importlib.metadata import version
from typing import Any

import numpy as np

import atlas

from task import Box, Task, Variable


class System:
    def __init__(self, variant: str) -> None:
        self.options: dict[str, Any] = {} if variant == "default" else {"codec": variant}
        self.version = f"atlas-python {version('atlas-python')}"

    def write(self, folder: str, task: Task, cells: list[Any]) -> None:
        store = atlas.Atlas.create(folder, **self.options)
        for number, name in enumerate(task.names()):
            dataset = store.create_dataset(name)
            for variable, own in zip(task.variables, cells):
                array = own[number]
                chunks = [min(pair) for pair in zip(variable.chunks, array.shape)]
                dataset.define_array(variable.name, variable.dtype, variable.dims, list(array.shape), chunks)
                dataset.write_array(variable.name, [0] * array.ndim, array)
        store.flush()

    def open(self, folder: str, task: Task) -> atlas.Atlas:
        return atlas.Atlas.open(folder)

    def names(self, store: atlas.Atlas) -> list[str]:
        return store.list_datasets()

    def stacked(self, store: atlas.Atlas, task: Task, box: Box) -> list[np.ndarray]:
        names = store.list_datasets()
        return [store.read_array_across_stacked(variable.name, names, *box) for variable in task.variables]

    def single(self, store: atlas.Atlas, task: Task, number: int, variable: Variable, box: Box) -> np.ndarray | None:
        return store.open_dataset(f"d{number:06}").read_array(variable.name, *box)
