"""An array that is larger than the memory it is written and read in.

ATLAS_TEST_DASK_MIB is its size; a third of that is needed on disk. Try 4096.
"""

import json
import os
import subprocess
import sys
import tempfile

import pytest

MIB = int(os.environ.get("ATLAS_TEST_DASK_MIB", "512"))
BLOCK_MIB = 16

PROGRAM = """
import json, sys
import dask, dask.array as da, numpy as np, xarray as xr
from atlas import Atlas

place, blocks, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
dask.config.set(scheduler="threads", num_workers=2)

def peak():
    # The high-water mark of resident memory, in MiB.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

def noise(block, block_info=None):
    # 16 bits of each 64 have something to tell, so that what is stored is not small either.
    at = block_info[0]["chunk-location"][0]
    return np.random.default_rng(at).integers(0, 2**16, block.shape) / 2**16

def dataset(blocks):
    cells = da.map_blocks(noise, da.zeros((blocks * rows, 1024), chunks=(rows, 1024)), dtype=float)
    return xr.Dataset({"v": (("x", "y"), cells), "w": (("x", "y"), cells + 1)})

# What a first block costs once: buffers, threads.
with Atlas.create(place + "/small") as store:
    store.add_xr_dataset(dataset(2), "d")
float(store.to_xarray("d").v.mean())
before = peak()
with Atlas.create(place + "/store") as store:
    store.add_xr_dataset(dataset(blocks), "d")
wrote = peak()
mean = float(Atlas.open(place + "/store").to_xarray("d").v.mean())
print(json.dumps({"before": before, "wrote": wrote, "read": peak(), "mean": mean}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_bounded_by_a_few_blocks():
    rows = BLOCK_MIB * 2**20 // (1024 * 8)
    # Two variables, each of half the size.
    blocks = MIB // BLOCK_MIB // 2
    # Not in `tmp_path`, which pytest keeps for a while.
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-c", PROGRAM, place, str(blocks), str(rows)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["mean"] == pytest.approx(0.5, abs=0.01)
    assert report["wrote"] - report["before"] < 6 * BLOCK_MIB, report
    assert report["read"] - report["before"] < 8 * BLOCK_MIB, report
