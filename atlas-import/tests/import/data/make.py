"""Makes the NetCDF-4 files of the tests. Needs netCDF4 (with its filters) and numpy; the files are committed beside."""

import os

import netCDF4
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
with netCDF4.Dataset(os.path.join(here, "netcdf4.nc"), "w") as file:
    file.title = "kinds of variables"
    file.levels = np.array([1, 2, 3], "i4")
    file.createDimension("time", None)
    file.createDimension("x", 6)

    time = file.createVariable("time", "i4", ("time",), chunksizes=(4,))
    time.units = "hours since 2000-01-01"
    time[:] = [0, 1, 2, 3, 4]

    packed = file.createVariable("packed", "i2", ("time", "x"), fill_value=-1, zlib=True, shuffle=True, chunksizes=(2, 4))
    packed.scale_factor = np.float32(0.5)
    packed.coordinates = "label"
    packed.set_auto_maskandscale(False)
    packed[:] = np.arange(30).reshape(5, 6) - 1

    # Written for two of the five times only.
    short = file.createVariable("short", "f4", ("time",), fill_value=-9)
    short[:2] = [1, 2]

    label = file.createVariable("label", str, ("x",), chunksizes=(4,))
    label[:] = np.array(["a", "", "é", "long enough to be anywhere", "d", "e"], object)

    sky = file.createEnumType("u1", "sky_type", {"clear": 0, "cloudy": 3})
    file.createVariable("sky", sky, ("x",))[:] = np.array([0, 3, 0, 3, 3, 0], "u1")

    # Named like a dimension that it does not have alone: stored under another name in HDF5.
    file.createVariable("x", "f8", ("time",))[:] = np.arange(5)

    pair = file.createCompoundType(np.dtype([("a", "f4"), ("b", "i2")]), "pair")
    file.createVariable("pairs", pair, ("x",))
    ragged = file.createVLType("i4", "ragged")
    file.createVariable("lists", ragged, ("x",))
    file.createVariable("_hidden", "i4", ("x",))
    group = file.createGroup("more")
    group.createVariable("inside", "f4", ("x",))

# Filters that are supported and filters that are not, and groups with attributes.
with netCDF4.Dataset(os.path.join(here, "filters.nc"), "w") as file:
    file.createDimension("x", 64)
    for name in ["zlib", "szip", "zstd", "bzip2", "blosc_lz4"]:
        checked = name == "zlib"
        variable = file.createVariable(
            name, "i4", ("x",), compression=name, shuffle=checked, fletcher32=checked, chunksizes=(32,)
        )
        variable[:] = np.arange(64) // 3
    # Times are read before anything is written.
    time = file.createVariable("time", "f8", ("x",), compression="zstd")
    time.units = "days since 2000-01-01"
    time[:] = np.arange(64)

    more = file.createGroup("more")
    more.note = "about more"
    more.level = 2
    deep = more.createGroup("deep")
    deep.title = "deep"
    deep.createVariable("inside", "f4", ("x",)).units = "m"
    file.createGroup("bare").createDimension("y", 2)
