"""A made-up fleet of NetCDF files: small, deterministic, with gaps, ragged arrays and every kind of variable."""

from pathlib import Path

import netCDF4
import numpy as np

CASTS = 24
DEPTHS = 10
TIMES = 4
FILL = np.float32(-999.0)


def cast_name(number: int) -> str:
    return f"cast_{number:03}"


def write_fleet(folder: Path, casts: int = CASTS) -> None:
    for number in range(casts):
        write_cast(folder / f"{cast_name(number)}.nc", number)


def write_cast(path: Path, number: int, depths: int = DEPTHS, times: int = TIMES) -> None:
    """One cast. Its warmest cell is exactly 10 + number / 2; every third cast has missing cells; every fourth has no
    salinity."""
    rng = np.random.default_rng(number)
    with netCDF4.Dataset(path, "w", format="NETCDF4" if number % 2 else "NETCDF3_CLASSIC") as file:
        file.station = f"S{number % 5:02}"
        file.month = np.int32(number % 12 + 1)
        file.depth_offset = np.float64(number) / 4
        file.cruise = "north" if number < casts_in_north() else "south"

        for name, size in {"depth": depths, "time": times, "level": 5 + number % 3, "name_length": 8}.items():
            file.createDimension(name, size)

        depth = file.createVariable("depth", "f4", ("depth",))
        depth.units = "m"
        depth[:] = np.arange(depths) * 5
        time = file.createVariable("time", "f8", ("time",))
        time.units = "hours since 2024-01-01 00:00:00"
        time[:] = np.arange(times) * 6 + number

        temperature = file.createVariable("temperature", "f4", ("depth", "time"), fill_value=FILL)
        temperature.units = "degree_Celsius"
        cells = (10 + number / 2 - rng.random((depths, times)) * 8).astype("f4")
        cells[0, 0] = 10 + number / 2
        if number % 3 == 0:
            cells[-1, 1:3] = FILL
        temperature[:] = cells

        if number % 4 != 3:
            salinity = file.createVariable("salinity", "f4", ("depth", "time"), fill_value=FILL)
            salinity[:] = (34 + rng.random((depths, times))).astype("f4")

        packed = file.createVariable("pressure", "i2", ("depth",), fill_value=np.int16(-32768))
        packed.scale_factor = np.float64(0.01)
        packed.add_offset = np.float64(100.0)
        packed.set_auto_maskandscale(False)
        packed[:] = np.where(np.arange(depths) == 2, -32768, np.arange(depths) * 37 + number).astype("i2")

        count = file.createVariable("count", "i4", ("depth",), fill_value=np.int32(-1))
        count[:] = np.where(np.arange(depths) % 4 == 3, -1, np.arange(depths) + number)

        profile = file.createVariable("profile", "f8", ("level",))
        profile[:] = rng.random(5 + number % 3)

        label = file.createVariable("label", "S1", ("time", "name_length"))
        label[:] = netCDF4.stringtochar(np.array([f"{number}-{step}" for step in range(times)], dtype="S8"))

        flag = file.createVariable("flag", "S1", ("depth",), fill_value=b" ")
        flag[:] = np.array([b"1", b"4", b" ", b"9"], dtype="S1")[np.arange(depths) % 4]


def casts_in_north() -> int:
    return CASTS // 2
