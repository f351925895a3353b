"""Makes netcdf4.nc, the NetCDF-4 file of the tests. Needs netCDF4 and numpy; the file is committed beside."""

import os

import netCDF4
import numpy as np

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "netcdf4.nc")
with netCDF4.Dataset(path, "w") as file:
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
