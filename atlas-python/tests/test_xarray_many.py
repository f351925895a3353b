"""Many datasets as one."""

import numpy as np
import pytest
import xarray as xr
from xarray.testing import assert_identical

from atlas import Atlas
from atlas._xarray import to_xarray_many

NAMES = ["c", "a", "b"]


class Counting:
    """A store that notes which arrays were read in bulk."""

    def __init__(self, real):
        self.real, self.reads = real, []

    def __getattr__(self, name):
        return getattr(self.real, name)

    def read_array_across_stacked(self, array, names):
        self.reads.append((array, list(names)))
        return self.real.read_array_across_stacked(array, names)


def cast(number, **changes):
    variables = {
        "t": (("depth", "time"), np.arange(6.0).reshape(3, 2) + number, {"units": "K"}),
        "flag": ("depth", np.array(["a", "b", str(number)], object)),
        "count": ((), number),
    }
    coords = {
        "depth": ("depth", [0.0, 5.0, 10.0], {"units": "m"}),
        "lat": ((), 10.0 * number),
        "when": ("time", np.array(["2020-01-01", "NaT"], "M8[ns]")),
    }
    return xr.Dataset({**variables, **changes.pop("variables", {})}, coords, {"number": number}).assign_coords(changes)


def store_of(tmp_path, *datasets):
    with Atlas.create(tmp_path / "store") as store:
        for name, ds in zip(NAMES, datasets):
            store.add_xr_dataset(ds, name)
    return store


def concat(*datasets, dim="dataset"):
    label = xr.DataArray(NAMES[: len(datasets)], dims=dim, name=dim)
    options = {"data_vars": "all", "coords": "different", "compat": "equals", "join": "outer", "combine_attrs": "override"}
    return xr.concat(datasets, label, **options)


@pytest.mark.parametrize("parallel", [True, False])
def test_it_is_what_xarray_concatenates_in_one_read_a_variable(tmp_path, parallel):
    casts = [cast(number) for number in range(3)]
    store = Counting(store_of(tmp_path, *casts))
    many = to_xarray_many(store, NAMES, "dataset", parallel)
    assert_identical(many, concat(*casts))
    assert many.t.dims == ("dataset", "depth", "time")
    assert many.lat.dims == ("dataset",) and many.depth.dims == ("depth",)
    assert many.dataset.values.tolist() == NAMES
    assert many.attrs == {"number": 0}
    assert sorted(array for array, _ in store.reads) == ["count", "depth", "flag", "lat", "t", "when"]
    assert all(names == NAMES for _, names in store.reads)


def test_chunked_arrays_come_into_memory(tmp_path):
    casts = [cast(number).chunk(depth=2) for number in range(2)]
    many = store_of(tmp_path, *casts).to_xarray_many(NAMES[:2])
    assert isinstance(many.t.data, np.ndarray)
    assert_identical(many, concat(*casts).compute())


def test_names_in_any_order_and_more_than_once(tmp_path):
    store = store_of(tmp_path, *[cast(number) for number in range(3)])
    many = store.to_xarray_many(["b", "c", "b"])
    assert many["count"].values.tolist() == [2, 0, 2]
    assert many.dataset.values.tolist() == ["b", "c", "b"]
    assert store.to_xarray_many(["a"]).sizes["dataset"] == 1


def test_what_was_not_flushed_is_there(tmp_path):
    store = store_of(tmp_path, cast(0))
    store.add_xr_dataset(cast(1), "a")
    assert_identical(store.to_xarray_many(["c", "a"]), concat(cast(0), cast(1)))


def test_another_name_for_the_dimension(tmp_path):
    store = store_of(tmp_path, cast(0), cast(1))
    assert_identical(store.to_xarray_many(NAMES[:2], concat_dim="profile"), concat(cast(0), cast(1), dim="profile"))


@pytest.mark.parametrize("dim", ["depth", "time", "t", "lat"])
def test_a_dimension_that_is_there_already(tmp_path, dim):
    with pytest.raises(ValueError, match=f"dataset c has '{dim}' already"):
        store_of(tmp_path, cast(0)).to_xarray_many(["c"], concat_dim=dim)


def test_missing_text_and_durations(tmp_path):
    def part(number):
        texts = np.array(["x", np.nan, "-"[:number]], object)
        return xr.Dataset({"s": ("x", texts), "d": ("x", np.array([number, 2, "NaT"], "m8[s]"))})

    parts = [part(number) for number in range(3)]
    many = store_of(tmp_path, *parts).to_xarray_many(NAMES)
    assert_identical(many, concat(*parts))


def test_indexes_with_other_labels_are_aligned(tmp_path):
    casts = [cast(0), cast(1, depth=[5.0, 10.0, 15.0])]
    assert_identical(store_of(tmp_path, *casts).to_xarray_many(NAMES[:2]), concat(*casts))


def test_indexes_of_other_lengths_are_aligned(tmp_path):
    casts = [cast(0), cast(1).isel(depth=slice(2)), cast(2).isel(depth=slice(0))]
    many = store_of(tmp_path, *casts).to_xarray_many(NAMES)
    assert_identical(many, concat(*casts))
    assert np.isnan(many.t[1, 2]).all()


def test_other_lengths_without_an_index_name_the_dataset(tmp_path):
    store = store_of(tmp_path, cast(0), cast(1), cast(2).isel(time=slice(1)))
    with pytest.raises(ValueError, match=r"shape \[.*1\] in dataset b and \[.*2\] in c: without an index along 'time'"):
        store.to_xarray_many(NAMES)


@pytest.mark.parametrize("order, lacking", [(["c", "a"], "a"), (["a", "c"], "a")])
def test_a_missing_array_names_the_dataset(tmp_path, order, lacking):
    store = store_of(tmp_path, cast(0), cast(1).drop_vars("flag"))
    with pytest.raises(KeyError, match=f"flag in dataset {lacking}"):
        store.to_xarray_many(order)


def test_other_dimensions_name_the_dataset(tmp_path):
    store = store_of(tmp_path, cast(0), cast(1).rename_dims(time="tick"))
    with pytest.raises(ValueError, match="'tick'.* in dataset a"):
        store.to_xarray_many(NAMES[:2])


def test_names_that_are_not_there(tmp_path):
    store = store_of(tmp_path, cast(0))
    with pytest.raises(KeyError, match="zz"):
        store.to_xarray_many(["c", "zz"])
    with pytest.raises(ValueError, match="no names"):
        store.to_xarray_many([])
