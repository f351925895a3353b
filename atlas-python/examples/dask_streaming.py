"""A dataset that is larger than what is in memory at a time: written and read block by block.

Output:
    256 MiB in 32 blocks of 8 MiB
    written with at most 2 blocks in memory at a time
    read back lazily: chunks (1, 1024, 1024), 32 tasks
    mean of block 7: 7.50, of all: 16.00
    by 2 processes: 16.00
"""

import tempfile
import weakref
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import xarray as xr

import atlas

BLOCK = (1, 1024, 1024)
BLOCKS = 32


alive, most = 0, 0


def block(block_id: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    """A block, counted as long as it is in memory."""
    global alive, most
    cells = (block_id[0] + np.linspace(0, 1, 1024 * 1024)).reshape(BLOCK).copy()
    alive += 1
    most = max(most, alive)
    weakref.finalize(cells, forget)
    return cells


def forget() -> None:
    global alive
    alive -= 1


def main() -> None:
    chunks = ((1,) * BLOCKS, (1024,), (1024,))
    lazy = da.map_blocks(block, chunks=chunks, dtype="float64", meta=np.empty((0, 0, 0)))
    ds = xr.Dataset({"field": (("time", "y", "x"), lazy)})
    print(f"{lazy.nbytes >> 20} MiB in {BLOCKS} blocks of {lazy.nbytes // BLOCKS >> 20} MiB")
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "fields")
        with atlas.Atlas.create(place) as store:
            store.add_xr_dataset(ds, "run_1")
        print(f"written with at most {most} blocks in memory at a time")

        field = atlas.Atlas.open(place).to_xarray("run_1")["field"]
        tasks = field.data.npartitions
        print(f"read back lazily: chunks {field.data.chunksize}, {tasks} tasks")
        print(f"mean of block 7: {field[7].mean().compute():.2f}, of all: {field.mean().compute():.2f}")
        with dask.config.set(scheduler="processes", num_workers=2):
            print(f"by 2 processes: {field.mean().compute():.2f}")


if __name__ == "__main__":
    main()
