"""The store that is read: datasets of one (50, 168) float32 array, written as classic NetCDF and imported."""

import struct
import subprocess
from pathlib import Path

import numpy as np

ARRAY = "t"
SHAPE = (50, 168)


def profile(number: int, data: str) -> np.ndarray:
    """Smooth along both dimensions, three decimals, and noise: of a thousand steps (`noise`), or of two (`smooth`)."""
    depth, time = np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij")
    steps = {"noise": 1000, "smooth": 2}[data]
    noise = np.random.default_rng(number).random(SHAPE) * steps / 1000
    return np.round(20 - 0.3 * depth + np.sin(time / 24) + noise, 3).astype(np.float32)


def netcdf(cells: np.ndarray) -> bytes:
    """A file of the classic format with the one variable, big endian. `NetCDF Classic Format Specification`, appendix B."""

    def name(text: str) -> bytes:
        return struct.pack(">i", len(text)) + text.encode().ljust(-(-len(text) // 4) * 4, b"\0")

    absent = struct.pack(">ii", 0, 0)
    dims = struct.pack(">ii", 10, 2) + name("z") + struct.pack(">i", SHAPE[0]) + name("time") + struct.pack(">i", SHAPE[1])
    variable = struct.pack(">ii", 11, 1) + name(ARRAY) + struct.pack(">iii", 2, 0, 1) + absent
    # After the attributes: type (float), size in bytes, where the cells begin.
    header = b"CDF\x01" + struct.pack(">i", 0) + dims + absent + variable
    begin = len(header) + 12
    return header + struct.pack(">iii", 5, cells.nbytes, begin) + cells.astype(">f4").tobytes()


def make_store(atlas: str, folder: Path, data: str, codec: str, datasets: int) -> Path:
    """A store of so many datasets, made unless it is there."""
    store = folder / f"{data}-{codec}-{datasets}"
    if store.exists():
        return store
    files = folder / f"{data}-files-{datasets}"
    files.mkdir(exist_ok=True)
    for number in range(datasets):
        path = files / f"profile{number:05}.nc"
        if not path.exists():
            # A thousand differ; more would only take longer to make.
            path.write_bytes(netcdf(profile(number % 1000, data)))
    part = store.with_suffix(".part")
    subprocess.run([atlas, "create", part, "--codec", codec], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([atlas, "import", part, files], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part.rename(store)
    return store
