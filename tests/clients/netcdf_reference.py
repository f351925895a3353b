"""What xarray and netCDF4 give for a folder of NetCDF files: the values that a store of them must have."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

NAT = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Expected:
    """One variable of one file."""

    dtype: str
    """The store's dtype."""
    dims: tuple[str, ...]
    values: np.ndarray
    """In the store's dtype, times as int64 nanoseconds, strings as str; what stands in a missing cell says nothing."""
    missing: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def valid(self) -> np.ndarray:
        """The cells that are there, flat."""
        return self.values[~self.missing]


class NetcdfReference:
    """A folder of NetCDF files, opened as `xarray.open_dataset` does by default."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files = {path.stem: path for path in sorted(folder.rglob("*.nc"))}
        assert self.files, f"no NetCDF files in {folder}"

    def open(self, dataset: str) -> xr.Dataset:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xr.SerializationWarning)
            return xr.open_dataset(self.files[dataset])

    @cached_property
    def variables(self) -> dict[str, dict[str, Expected]]:
        """By array, then by dataset."""
        found: dict[str, dict[str, Expected]] = {}
        for dataset, path in self.files.items():
            with self.open(dataset) as decoded, netCDF4.Dataset(path) as raw:
                for name, variable in decoded.variables.items():
                    found.setdefault(name, {})[dataset] = expected(variable, raw.variables[name])
        return found

    def arrays(self):
        """Every (array, dataset, expected)."""
        for array, by_dataset in self.variables.items():
            for dataset, values in by_dataset.items():
                yield array, dataset, values


def expected(decoded: xr.Variable, raw: netCDF4.Variable) -> Expected:
    values = decoded.values
    if values.dtype.kind == "M":
        stamps = values.astype("datetime64[ns]").view("i8")
        return Expected("timestamp_nanoseconds", decoded.dims, stamps, stamps == NAT)
    if values.dtype.kind in "SUO":
        missing = np.array([not isinstance(value, (bytes, str)) for value in values.ravel()], bool).reshape(
            values.shape
        )
        texts = np.array([as_text(value) for value in values.ravel()], object).reshape(values.shape)
        return Expected("string", decoded.dims, texts, missing)
    if values.dtype.kind == "f":
        missing = np.isnan(values)
        if raw.dtype.kind in "iu" and not {"scale_factor", "add_offset"} & set(raw.ncattrs()):
            # xarray makes integers with a fill value floats; the store keeps them.
            values = np.where(missing, 0, values).astype(raw.dtype)
        return Expected(values.dtype.name, decoded.dims, values, missing)
    return Expected(values.dtype.name, decoded.dims, values, np.zeros(values.shape, bool))


def as_text(value) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else ""
