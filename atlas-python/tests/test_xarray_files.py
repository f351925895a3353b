"""Real files through xarray into a store and back."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from xarray.testing import assert_identical

from atlas import Atlas

pytest.importorskip("netCDF4")

DATA = Path(os.environ.get("ATLAS_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
FILES = [*sorted(DATA.glob("argo/*/*.nc"))[::24], *sorted(DATA.glob("gridded/*.nc"))]

pytestmark = [
    pytest.mark.skipif(not FILES, reason=f"there are no files in {DATA}"),
    # What xarray says about the files themselves.
    pytest.mark.filterwarnings("ignore"),
]


def text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def as_text(ds):
    """The dataset with text for bytes, which is what a store makes of them."""
    ds = ds.load().copy()
    for name, variable in ds.variables.items():
        variable.attrs = {key: text(value) for key, value in variable.attrs.items()}
        if variable.dtype.kind in "SO":
            cells = variable.values.astype(object)
            ds[name] = (variable.dims, np.array([text(cell) for cell in cells.flat], object).reshape(cells.shape), variable.attrs)
    return ds


@pytest.mark.parametrize("pieces", [None, 40])
@pytest.mark.parametrize("options", [{}, {"decode_cf": False}, {"mask_and_scale": False}], ids=str)
def test_files_come_back_identical(tmp_path, options, pieces):
    with Atlas.create(tmp_path / "store") as store:
        for file in FILES:
            with xr.open_dataset(file, **options) as ds:
                store.add_xr_dataset(ds.chunk(pieces) if pieces else ds, file.stem)
    again = Atlas.open(tmp_path / "store")
    for file in FILES:
        with xr.open_dataset(file, **options) as ds:
            assert_identical(again.to_xarray(file.stem).compute(), as_text(ds))
            assert_identical(xr.open_dataset(again[file.stem], engine="atlas").load(), as_text(ds))


def test_files_are_packed_as_they_were(tmp_path):
    """What comes out of a store can be written as a file that decodes to the same."""
    store = Atlas.create(tmp_path / "store")
    for file in FILES[::3]:
        with xr.open_dataset(file) as ds:
            store.add_xr_dataset(ds, file.stem)
            back = store.to_xarray(file.stem)
            numbers = [name for name, variable in back.data_vars.items() if variable.dtype != object]
            back[numbers].to_netcdf(tmp_path / "again.nc")
            with xr.open_dataset(tmp_path / "again.nc") as again:
                assert_identical(again.load(), as_text(ds)[numbers])
                for name in numbers:
                    assert again[name].encoding["dtype"] == ds[name].encoding["dtype"]


def test_profiles_in_a_stack(tmp_path):
    files = sorted(DATA.glob("argo/13857/*.nc"))[:6]
    parts = []
    with Atlas.create(tmp_path / "store") as store:
        for file in files:
            with xr.open_dataset(file) as ds:
                part = ds[["TEMP", "PRES", "JULD", "LATITUDE", "DIRECTION"]].isel(N_LEVELS=slice(5))
                store.add_xr_dataset(part, file.stem)
                parts.append(as_text(part))
    many = store.to_xarray_many([file.stem for file in files], concat_dim="profile")
    for number, part in enumerate(parts):
        for name in part:
            np.testing.assert_array_equal(many[name][number].values, part[name].values)
    assert many.TEMP.attrs == parts[0].TEMP.attrs
