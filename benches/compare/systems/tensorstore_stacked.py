"""TensorStore on stacked, sharded Zarr v3 arrays. The variant is the codec."""

from importlib.metadata import version

import tensorstore as ts

from systems import zarr_layout
from task import slices


class System:
    def __init__(self, variant):
        self.variant = variant
        self.version = f"tensorstore {version('tensorstore')}"
        self.load = zarr_layout.load

    def write(self, folder, task, cells):
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

    def open(self, folder, task):
        opening = {variable.name: opened(folder, variable.name) for variable in task.variables}
        return {"folder": folder, **{name: store.result() for name, store in opening.items()}}

    def names(self, stores):
        return zarr_layout.name_texts(opened(stores["folder"], zarr_layout.NAMES).result().read().result())

    def stacked(self, stores, task, box):
        reads = [stores[variable.name][(slice(None), *slices(box))].read() for variable in task.variables]
        return [read.result() for read in reads]

    def single(self, stores, task, number, variable, box):
        return stores[variable.name][(number, *slices(box))].read().result()


def place(folder, name):
    return {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{folder}/{name}"}}


def create(folder, name, metadata):
    return ts.open({**place(folder, name), "metadata": metadata}, create=True)


def opened(folder, name):
    return ts.open(place(folder, name), open=True, read=True)
