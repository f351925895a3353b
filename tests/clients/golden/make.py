"""Makes the golden stores of format version 1 that are not there yet: `python make.py ATLAS`, with the path of an
`atlas` binary. It never touches one that exists.

What a store must hold comes from the arrays below, not from reading it: v1-expected.json says what is declared, and
v1-expected.npz has the cells as `dataset/array`, times as int64 nanoseconds and texts as fixed-width unicode.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import netCDF4
import numpy as np

FOLDER = Path(__file__).resolve().parent
VARIANTS = {  # name: codec, form and compression of the catalog
    "v1-auto-json": ("auto", "json", "none"),
    "v1-pco-json-zstd": ("pco", "json", "zstd"),
    "v1-zstd-json-lz4": ("zstd", "json", "lz4"),
    "v1-lz4-msgpack": ("lz4", "msgpack", "none"),
    "v1-none-msgpack-zstd": ("none", "msgpack", "zstd"),
    "v1-auto-msgpack-lz4": ("auto", "msgpack", "lz4"),
    "v1-decimal-json": ("auto", "json", "none"),
}
IMPORTS = [["alpha", "beta"], ["gamma"]]
"""Two flushes, so that families have two segments."""
INTEGERS = {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
INTEGERS |= {"int64": "i8", "uint64": "u8"}
EPOCH_2024 = 1_704_067_200_000_000_000
HOUR = 3_600_000_000_000


class File:
    """A NetCDF file in the making, and what must become of it."""

    def __init__(self, path: Path):
        self.nc = netCDF4.Dataset(path, "w")
        self.cells, self.arrays, self.attributes = {}, {}, {}

    def add(self, name, dims, cells, *, fill=None, chunks=None, written=..., kind=None, stored=None, **attributes):
        """A variable. `written` is the part that is written at all, `kind` and `stored` are dtype and cells in the file
        where they are others than in the store, `fill` is the fill value in the store."""
        cells = np.asarray(cells)
        is_text = cells.dtype.kind in "UO"
        if is_text:
            cells = np.array(cells, "U")
        # Of integers the file's; floats and times have theirs anyway.
        declared = fill if cells.dtype.kind in "iu" else None
        kind = kind or (str if is_text else cells.dtype)
        variable = self.nc.createVariable(name, kind, dims, fill_value=declared, chunksizes=chunks)
        variable.set_auto_maskandscale(False)
        variable.setncatts(attributes)
        stored = cells if stored is None else stored
        if cells.size:
            variable[written] = (stored.astype(object) if is_text else stored)[written]
        dtype = "string" if is_text else cells.dtype.name
        dtype = {"datetime64[ns]": "timestamp_nanoseconds"}.get(dtype, dtype)
        self.cells[name] = cells.view("i8") if cells.dtype.kind == "M" else cells
        fill = fill.view("i8") if cells.dtype.kind == "M" else fill
        self.arrays[name] = {"dtype": dtype, "dims": list(dims), "shape": list(cells.shape), "fill_value": plain(fill)}

    def attribute(self, key, value):
        self.nc.setncattr(key, value)
        self.attributes[key] = plain(value)


def plain(value):
    """As JSON can say it."""
    value = value.item() if isinstance(value, np.generic) else value
    return repr(value) if isinstance(value, float) and not np.isfinite(value) else value


def write(path: Path, seed: int) -> File:
    rng, file = np.random.default_rng(seed), File(path)
    length, rows, columns = 30 + seed, 24, 40
    for name, size in {"x": length, "row": rows, "column": columns, "none": 0, "long": 3000}.items():
        file.nc.createDimension(name, size)
    for dtype, kind in INTEGERS.items():
        limits = np.iinfo(kind)
        cells = rng.integers(limits.min, limits.max, length, kind, endpoint=True)
        cells[:3] = limits.min, limits.max, 7
        fill = np.dtype(kind).type(7) if dtype in ("int16", "uint32", "int64") else None
        file.add(dtype, ("x",), cells, fill=fill)
    floats = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -2.5])
    file.add("float32", ("x",), np.resize(floats, length).astype("f4"), fill=np.float32(np.nan))
    file.add("float64", ("x",), np.resize(floats, length) / 3, fill=np.nan)
    truth = rng.integers(0, 2, length, "i1")
    file.add("bool", ("x",), truth.astype(bool), kind="i1", stored=truth, dtype="bool")
    hours = np.arange(length) * 6 + seed
    times = (EPOCH_2024 + hours * HOUR).view("M8[ns]")
    file.add("time", ("x",), times, fill=np.datetime64("NaT", "ns"), kind="i4", stored=hours.astype("i4"),
             units="hours since 2024-01-01 00:00:00")  # fmt: skip
    words = ["", "a", "Ærø", "深い海", "x" * 70, "~"]
    file.add("text", ("x",), np.resize(np.array(words[: 4 + seed]), length))

    # A grid in chunks that do not divide it, with gaps.
    row, column = np.mgrid[0:rows, 0:columns]
    field = np.round(10 + np.sin((row + seed) / 5) * 4 + np.cos(column / 9), 2).astype("f4")
    field[rng.random(field.shape) < 0.1] = np.nan
    file.add("field", ("row", "column"), field, fill=np.float32(np.nan), chunks=(7, 16))
    # Most chunks of these are never written.
    sparse = np.full((rows, columns), -1, "i4")
    sparse[8:16, 10:20] = np.arange(80).reshape(8, 10) + seed
    sparse_part = (slice(8, 16), slice(10, 20))
    file.add("sparse", ("row", "column"), sparse, fill=np.int32(-1), chunks=(8, 10), written=sparse_part)
    file.add("scalar", (), np.float64(seed) / 8, fill=np.nan)
    file.add("empty", ("none",), np.zeros(0, "i2"))
    # Long enough that numeric codecs are worth it.
    file.add("walk", ("long",), np.cumsum(rng.integers(-3, 4, 3000)).astype("i2"))
    if seed != 1:
        file.add("Depth %", ("column",), np.arange(columns, dtype="f8") * 5, fill=np.nan)

    file.attribute("station", f"S{seed:02} Ærø")
    file.attribute("number", np.int32(seed))
    file.attribute("ratio", np.float64(seed) / 3)
    file.attribute("limit", np.float64(np.inf if seed else np.nan))
    # A key with two types over the datasets.
    file.attribute("mixed", np.int64(2**62) if seed else "none")
    if seed == 2:
        file.attribute("only_here", "yes")
    file.nc.close()
    return file


def main(atlas: str) -> None:
    with tempfile.TemporaryDirectory() as inputs:
        names = [name for group in IMPORTS for name in group]
        files = {name: write(Path(inputs) / f"{name}.nc", seed) for seed, name in enumerate(names)}
        if not (FOLDER / "v1-expected.json").exists():
            declared = {name: {"attributes": file.attributes, "arrays": file.arrays} for name, file in files.items()}
            (FOLDER / "v1-expected.json").write_text(json.dumps(declared, indent=1, ensure_ascii=False) + "\n")
            cells = {f"{name}/{array}": cells for name, file in files.items() for array, cells in file.cells.items()}
            np.savez_compressed(FOLDER / "v1-expected.npz", **cells)
        for variant, (codec, form, compression) in VARIANTS.items():
            store = FOLDER / variant
            if store.exists():
                print(f"{variant} is there")
                continue
            options = ["--codec", codec, "--meta-format", form, "--meta-compression", compression]
            subprocess.run([atlas, "create", store, *options], check=True)
            for group in IMPORTS:
                subprocess.run([atlas, "import", store, *(Path(inputs) / f"{name}.nc" for name in group)], check=True)
            (store / "atlas.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
