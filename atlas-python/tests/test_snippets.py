"""The first programs that people write, whole."""

import glob
import os

import numpy as np
import pytest
import xarray as xr

import atlas


def test_a_first_program(tmp_path):
    path = str(tmp_path / "my_store")
    with atlas.Atlas.create(path, codec="zstd") as store:
        ds = store.create_dataset("jan_2024")
        ds.define_array(
            "temperature",
            dtype="float32",
            dims=["lat", "lon"],
            shape=[8, 16],
            chunk_shape=[4, 8],
            fill_value=float("nan"),
        )
        ds.write_array("temperature", start=[0, 0], data=np.full((8, 16), 20.0, dtype=np.float32))
        ds.set_attribute("month", 1)
        ds.set_attribute("station", "KNMI")

    store = atlas.Atlas.open(path)
    ds = store.open_dataset("jan_2024")
    assert ds.read_array("temperature").shape == (8, 16)
    assert ds.read_array("temperature", [0, 0], [4, 8]).tolist() == [[20.0] * 8] * 4
    assert ds.array_stats("temperature") == {"row_count": 128, "null_count": 0, "min": 20.0, "max": 20.0}
    assert ds.get_attribute("month") == 1
    assert ds.attributes() == {"month": 1, "station": "KNMI"}


def test_a_store_from_its_creation_to_the_deletion_of_a_dataset(tmp_path):
    store = atlas.Atlas.create(tmp_path / "store")
    jan, feb = store.create_dataset("jan_2024"), store.create_dataset("feb_2024")
    assert store.list_datasets() == ["jan_2024", "feb_2024"]
    for view in (jan, feb):
        for name in ("temperature", "pressure"):
            view.define_array(name, dtype="float32", dims=["lat", "lon"], shape=[8, 16], chunk_shape=[4, 8])
    jan.write_array("temperature", start=[0, 0], data=np.full((4, 8), 20.0, dtype=np.float32))
    assert jan.read_array("temperature", [4, 0], [4, 8]).max() == 0
    assert jan.read_array("not_defined_here") is None
    both = jan.read_arrays(["temperature", "pressure"], start=[0, 0], shape=[4, 8])
    assert {name: cells.mean() for name, cells in both.items()} == {"temperature": 20.0, "pressure": 0.0}
    assert jan.list_arrays() == ["temperature", "pressure"]
    assert jan.array_fill_value("temperature") is None
    store.delete_dataset("feb_2024")
    jan.delete_array("pressure")
    store.flush()
    store.compact()
    assert atlas.Atlas.open(tmp_path / "store").list_arrays() == ["temperature"]


def test_a_long_write_that_ends_with_one_flush(tmp_path):
    store = atlas.Atlas.create(tmp_path / "store")
    for month in range(1, 13):
        view = store.create_dataset(f"month_{month:02}")
        view.define_array("rain", "float64", ["day"], [28], fill_value=-1.0)
        view.write_array("rain", [0], np.arange(28.0) * month)
        view.set_attribute("month", month)
    assert atlas.Atlas.open(tmp_path / "store").list_datasets() == []
    store.flush()
    found = atlas.Atlas.open(tmp_path / "store")
    rain = found.read_array_across_stacked("rain", found.list_datasets(), start=[27], shape=[1])
    assert rain[:, 0].tolist() == [27.0 * month for month in range(1, 13)]
    assert (
        max(found.list_datasets(), key=lambda name: found.open_dataset(name).array_stats("rain")["max"]) == "month_12"
    )


@pytest.mark.parametrize("codec", ["zstd", "lz4", "none", "uncompressed"])
@pytest.mark.parametrize("meta_format", ["json", "msgpack", "mp"])
@pytest.mark.parametrize("meta_compression", ["none", "uncompressed", "zstd", "lz4"])
def test_whatever_a_store_was_created_with_it_opens_without_saying(tmp_path, codec, meta_format, meta_compression):
    path = tmp_path / "store"
    with atlas.Atlas.create(path, codec=codec, meta_format=meta_format, meta_compression=meta_compression) as store:
        for index in range(3):
            view = store.create_dataset(f"d{index}")
            view.define_array("x", "int32", ["i"], [100])
            view.write_array("x", [0], np.arange(100, dtype="int32") + index)
    found = atlas.Atlas.open(path)
    assert [int(cells[99]) for cells in found.read_array_across("x", found.list_datasets())] == [99, 100, 101]


@pytest.fixture
def month() -> xr.Dataset:
    temperature = np.arange(8 * 16, dtype=np.float32).reshape(8, 16)
    return xr.Dataset(
        data_vars={"temperature": (["lat", "lon"], temperature, {"units": "C", "long_name": "surface temperature"})},
        coords={"lat": np.arange(8, dtype=np.float32), "lon": np.arange(16, dtype=np.float32)},
        attrs={"month": 1, "station": "KNMI"},
    )


def test_a_dataset_of_xarray_goes_in_by_either_way_and_comes_back_identical(tmp_path, month):
    with atlas.Atlas.create(tmp_path / "store") as store:
        store.add_xr_dataset(month, "jan_2024")
        month.atlas.write(store, "jan_2025")
    store = atlas.Atlas.open(tmp_path / "store")
    for name in ("jan_2024", "jan_2025"):
        xr.testing.assert_identical(month, store.to_xarray(name))
    assert set(store.open_dataset("jan_2024").list_arrays()) == {"temperature", "lat", "lon"}
    assert store.open_dataset("jan_2024").get_attribute("temperature.units") == "C"


def test_a_folder_of_files_becomes_a_store(tmp_path, month):
    pytest.importorskip("netCDF4", reason="SKIPPED: xarray has nothing here to read NetCDF with")
    for number in (1, 2, 3):
        month.assign_attrs(month=number).to_netcdf(tmp_path / f"m{number}.nc")
    with atlas.Atlas.create(tmp_path / "store") as store:
        for path in sorted(glob.glob(str(tmp_path / "*.nc"))):
            with xr.open_dataset(path) as ds:
                store.add_xr_dataset(ds, os.path.splitext(os.path.basename(path))[0])
    store = atlas.Atlas.open(tmp_path / "store")
    assert store.list_datasets() == ["m1", "m2", "m3"]
    assert store.to_xarray("m2").attrs["month"] == 2


def test_a_chunked_dataset_is_written_and_read_in_its_chunks(tmp_path, month):
    dask = pytest.importorskip("dask.array")
    with atlas.Atlas.create(tmp_path / "store") as store:
        store.add_xr_dataset(month.chunk({"lat": 3, "lon": -1}), "big")
        store.add_xr_dataset(month.chunk({"lat": 3}), "other", chunks={"temperature": [4, 4]})
    store = atlas.Atlas.open(tmp_path / "store")
    assert store.open_dataset("big").array_meta("temperature")["chunk_shape"] == [3, 16]
    assert store.open_dataset("other").array_meta("temperature")["chunk_shape"] == [4, 4]
    back = store.to_xarray("big")
    assert isinstance(back["temperature"].data, dask.Array)
    assert back["temperature"].data.chunks == ((3, 3, 2), (16,))
    assert isinstance(back["lat"].data, np.ndarray)
    assert (back["temperature"][2:5].compute() == month["temperature"][2:5]).all()


def test_many_datasets_become_one(tmp_path, month):
    names = [f"m{number}" for number in range(4)]
    with atlas.Atlas.create(tmp_path / "store") as store:
        for number, name in enumerate(names):
            store.add_xr_dataset(month + number, name)
    store = atlas.Atlas.open(tmp_path / "store")
    for parallel in (True, False):
        many = store.to_xarray_many(names, concat_dim="month", parallel=parallel)
        assert many["temperature"].dims == ("month", "lat", "lon")
        assert many["temperature"].isel(month=3, lat=0, lon=0).item() == 3
    with pytest.raises(ValueError):
        store.to_xarray_many([])
    with pytest.raises(KeyError):
        store.to_xarray("nope")
