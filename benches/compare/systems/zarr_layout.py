"""What an expert makes of datasets of equal shape: one sharded Zarr v3 array a variable, stacked along a first dimension.

Codecs, shards and chunks are written down once, in the array's metadata, for whoever writes it. Beside the variables is an
array `names`, text as bytes.
"""

from typing import Any, Iterator

import numpy as np

from task import Task, Variable

NAMES = "names"
NAME_BYTES = 8
# What shorter datasets are filled up with: the fill value of Argo's files.
FILL = 99999.0

BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def compressor(variant: str, itemsize: int) -> dict[str, Any]:
    if variant == "zstd":
        return {"name": "zstd", "configuration": {"level": 3, "checksum": False}}
    shuffle = {"cname": "zstd", "clevel": 3, "shuffle": "shuffle", "typesize": itemsize, "blocksize": 0}
    return {"name": "blosc", "configuration": shuffle}


def metadata(task: Task, variable: Variable, variant: str) -> dict[str, Any]:
    """The `zarr.json` of a variable's array."""
    shard = min(task.stacked_shard, task.datasets)
    # A shard is of whole chunks.
    chunk = min(task.stacked_chunk, shard)
    shard -= shard % chunk
    outer = [-(-extent // chunk) * chunk for extent, chunk in zip(variable.shape, variable.chunks)]
    itemsize = np.dtype(variable.dtype).itemsize
    sharding = {
        "chunk_shape": [chunk, *variable.chunks],
        "codecs": [BYTES, compressor(variant, itemsize)],
        "index_codecs": [BYTES, {"name": "crc32c"}],
        "index_location": "end",
    }
    codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    return described([task.datasets, *variable.shape], variable.dtype, [shard, *outer], codecs)


def names_metadata(task: Task) -> dict[str, Any]:
    shape = [task.datasets, NAME_BYTES]
    return described(shape, "uint8", shape, [{"name": "bytes"}, compressor("zstd", 1)])


def described(shape: list[int], dtype: str, chunks: list[int], codecs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0,
        "codecs": codecs,
        "attributes": {},
    }


def name_cells(task: Task) -> np.ndarray:
    return np.array(task.names(), f"S{NAME_BYTES}").view("uint8").reshape(-1, NAME_BYTES)


def name_texts(cells: Any) -> list[str]:
    return [bytes(row).rstrip(b"\0").decode() for row in np.asarray(cells)]


def load(task: Task) -> list[np.ndarray]:
    return [task.padded(variable, FILL) for variable in task.variables]


def parts(task: Task, variable: Variable, cells: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The cells shard by shard, each with where it begins."""
    step = metadata(task, variable, "zstd")["chunk_grid"]["configuration"]["chunk_shape"][0]
    return ((begin, cells[begin : begin + step]) for begin in range(0, task.datasets, step))
