"""Imported NetCDF files hold what xarray shows by default: every variable of every file, and its statistics."""

import netCDF4
import numpy as np
import pyarrow as pa
import pytest

from arrow_cells import by_dataset
from netcdf_reference import NAT, Expected, NetcdfReference

MAX_BOUND_BYTES = 64
"""Longer text is cut in its statistics, and SQL gives NULL for a minimum or maximum that is not known whole."""


class Imported:
    """A mounted store next to what its files say."""

    def __init__(self, name: str, reference: NetcdfReference, server):
        self.name, self.reference, self.server = name, reference, server

    def sql(self, query: str) -> pa.Table:
        return self.server.sql(query.format(store=self.name))

    def declarations(self) -> dict[tuple[str, str], dict]:
        table = self.sql('SELECT * FROM "{store}".arrays')
        return {(entry["array"], entry["dataset"]): entry for entry in table.to_pylist()}


@pytest.fixture(scope="module", params=["fleet", "argo", "gridded"])
def imported(request) -> Imported:
    name = request.param
    reference = request.getfixturevalue(name)
    return Imported(name, reference, request.getfixturevalue("fleet_server" if name == "fleet" else "real_server"))


def report(wrong: list[str]) -> None:
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:30])


def test_each_file_is_a_dataset_named_by_its_stem(imported):
    names = imported.sql('SELECT dataset FROM "{store}".datasets')["dataset"].to_pylist()
    assert sorted(names) == sorted(imported.reference.files)


def test_argo_has_191_datasets(argo, real_server):
    assert len(argo.files) == 191
    assert real_server.sql("SELECT count(*) AS n FROM argo.datasets")["n"].to_pylist() == [191]


def test_every_variable_is_declared_as_xarray_shows_it(imported):
    declared = imported.declarations()
    variables = {(array, dataset): values for array, dataset, values in imported.reference.arrays()}
    assert set(declared) == set(variables)
    wrong = []
    for key, values in variables.items():
        found = declared[key]
        found = (found["dtype"], tuple(found["dims"]), tuple(found["shape"]))
        if found != (values.dtype, values.dims, values.shape):
            wrong.append(f"{key}: {found}, not {(values.dtype, values.dims, values.shape)}")
    report(wrong)


def test_every_cell_is_what_xarray_gives(imported):
    declared = imported.declarations()
    wrong, compared = [], 0
    for array, datasets in imported.reference.variables.items():
        found = by_dataset(imported.server.path(imported.name, array), array)
        assert set(found) == set(datasets), array
        for dataset, values in datasets.items():
            compared += 1
            if difference := differs(found[dataset], values, declared[array, dataset]["fill_value"]):
                wrong.append(f"{array} of {dataset}: {difference}")
    assert compared == sum(len(datasets) for datasets in imported.reference.variables.values())
    report(wrong)


def differs(found: np.ndarray, expected: Expected, fill_value: str | None) -> str | None:
    """What is not as expected, or None."""
    if found.size != expected.values.size or (found.ndim != 1 and found.shape != expected.shape):
        return f"shape {found.shape}, not {expected.shape}"
    found = found.reshape(expected.shape)
    missing = is_missing(found, expected.dtype, fill_value)
    if not np.array_equal(missing, expected.missing):
        return f"{missing.sum()} cells are missing, not {expected.missing.sum()}"
    if expected.dtype not in ("string", "timestamp_nanoseconds") and found.dtype.name != expected.dtype:
        return f"cells are {found.dtype}, not {expected.dtype}"
    unequal = (found != expected.values) & ~missing
    if unequal.any():
        first = tuple(int(axis[0]) for axis in np.nonzero(unequal))
        return f"{unequal.sum()} cells differ, first at {first}: {found[first]!r}, not {expected.values[first]!r}"
    return None


def is_missing(found: np.ndarray, dtype: str, fill_value: str | None) -> np.ndarray:
    if dtype == "string":
        return np.array([text is None or text == fill_value for text in found.ravel()], bool).reshape(found.shape)
    if dtype == "timestamp_nanoseconds":
        return found == NAT
    if found.dtype.kind == "f":
        return np.isnan(found)
    if fill_value is None:
        return np.zeros(found.shape, bool)
    return found == found.dtype.type(fill_value)


def test_every_statistic_is_that_of_the_cells(imported):
    wrong = []
    for array, datasets in imported.reference.variables.items():
        table = imported.sql(
            f'SELECT dataset, stat_row_count("{array}") AS cells, stat_null_count("{array}") AS nulls, '
            f'stat_min("{array}") AS lowest, stat_max("{array}") AS highest FROM "{{store}}".datasets'
        )
        found = {entry["dataset"]: entry for entry in as_integers(table).to_pylist()}
        for dataset, values in datasets.items():
            entry = found[dataset]
            if (entry["cells"], entry["nulls"]) != (values.values.size, int(values.missing.sum())):
                counts = values.values.size, int(values.missing.sum())
                wrong.append(f"{array} of {dataset}: {entry['cells'], entry['nulls']} cells and nulls, not {counts}")
            if not bounds_fit(entry["lowest"], entry["highest"], values):
                wrong.append(f"{array} of {dataset}: {entry['lowest']!r} to {entry['highest']!r}")
    report(wrong)


def as_integers(table: pa.Table) -> pa.Table:
    """Times as nanoseconds: Python's datetime has only microseconds."""
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(index, field.name, table[field.name].cast(pa.timestamp("ns")).cast(pa.int64()))
    return table


def bounds_fit(lowest, highest, expected: Expected) -> bool:
    cells = expected.valid
    if expected.dtype == "string":
        cells = np.array(sorted(cells, key=str.encode), dtype=object)
        return (lowest, highest) == (whole(cells[:1]), whole(cells[-1:]))
    return (lowest, highest) == ((cells.min(), cells.max()) if cells.size else (None, None))


def whole(text: np.ndarray) -> str | None:
    """The text of this cell, if there is one and its statistics keep it whole."""
    return text[0] if text.size and len(text[0].encode()) <= MAX_BOUND_BYTES else None


def test_the_arrays_table_counts_the_same(imported):
    declared = imported.declarations()
    report(
        [
            f"{array} of {dataset}: {declared[array, dataset]}"
            for array, dataset, values in imported.reference.arrays()
            if (declared[array, dataset]["row_count"], declared[array, dataset]["null_count"])
            != (values.values.size, int(values.missing.sum()))
        ]
    )


def test_global_attributes_are_columns_and_variable_attributes_are_flattened(imported):
    table = imported.sql('SELECT * FROM "{store}".catalog')
    found = {entry["dataset"]: entry for entry in table.to_pylist()}
    wrong = []
    for dataset in imported.reference.files:
        with imported.reference.open(dataset) as opened:
            expected = {key: value for key, value in opened.attrs.items() if np.ndim(value) == 0}
            for name, variable in opened.variables.items():
                units = variable.attrs.get("units")
                expected |= {f"{name}.units": units} if units is not None else {}
        for key, value in expected.items():
            if found[dataset].get(key) != value:
                wrong.append(f"{key} of {dataset}: {found[dataset].get(key)!r}, not {value!r}")
    report(wrong)


def test_raw_import_keeps_the_stored_values(atlas, fleet_files, tmp_path):
    atlas("import", tmp_path / "raw", fleet_files, "--raw")
    table = atlas.arrow(tmp_path / "raw", "SELECT dataset, temperature, pressure, time FROM datasets")
    for dataset, temperature in by_dataset(table, "temperature").items():
        with netCDF4.Dataset(fleet_files / f"{dataset}.nc") as file:
            file.set_auto_maskandscale(False)
            np.testing.assert_array_equal(temperature, file["temperature"][:])
            for name in ("pressure", "time"):
                found = by_dataset(table, name)[dataset]
                assert found.dtype == file[name].dtype
                np.testing.assert_array_equal(found, file[name][:])


def test_coordinates_are_remembered(imported):
    names = imported.sql('SELECT dataset, _pyatlas_coords FROM "{store}".catalog').to_pylist()
    for entry in names:
        with imported.reference.open(entry["dataset"]) as opened:
            coordinates = [str(name) for name in opened.coords]
        found = entry["_pyatlas_coords"]
        for name in coordinates:
            assert f'"{name}"' in (found or ""), f"{entry['dataset']}: {found}, not {coordinates}"
