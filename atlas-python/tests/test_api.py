"""The names, arguments and defaults that scripts rely on."""

import inspect
import subprocess
import sys

import pytest

import atlas

ATLAS_METHODS = {
    "create": "(source, codec, meta_format, meta_compression)",
    "open": "(source)",
    "create_dataset": "(name)",
    "open_dataset": "(name)",
    "delete_dataset": "(name)",
    "dataset_exists": "(name)",
    "list_datasets": "()",
    "list_arrays": "()",
    "add_xr_dataset": "(ds, name, chunks)",
    "to_xarray": "(name)",
    "to_xarray_many": "(names, concat_dim, parallel)",
    "read_array_across": "(array, dataset_names, start, shape)",
    "read_array_across_stacked": "(array, dataset_names, start, shape)",
    "flush": "()",
    "close": "()",
    "compact": "()",
}
VIEW_METHODS = {
    "list_arrays": "()",
    "define_array": "(name, dtype, dims, shape, chunk_shape, fill_value)",
    "write_array": "(name, start, data)",
    "read_array": "(name, start, shape)",
    "read_arrays": "(names, start, shape)",
    "delete_array": "(name)",
    "array_meta": "(array)",
    "array_stats": "(array)",
    "array_fill_value": "(array)",
    "attributes": "()",
    "get_attribute": "(key)",
    "set_attribute": "(key, value, dtype)",
}
METHODS = [(atlas.Atlas, *each) for each in ATLAS_METHODS.items()]
METHODS += [(atlas.DatasetView, *each) for each in VIEW_METHODS.items()]


def parameters(method) -> dict[str, inspect.Parameter]:
    return {name: each for name, each in inspect.signature(method).parameters.items() if name != "self"}


@pytest.mark.parametrize(("cls", "name", "arguments"), METHODS, ids=lambda each: getattr(each, "__name__", str(each)))
def test_a_method_has_these_arguments_in_this_order_and_takes_each_by_keyword(cls, name, arguments):
    found = parameters(getattr(cls, name))
    expected = [each for each in arguments.strip("()").split(", ") if each]
    assert list(found)[: len(expected)] == expected
    assert {found[each].kind for each in expected} <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    # Whatever more there is, nobody has to know.
    assert all(each.default is not inspect.Parameter.empty for each in list(found.values())[len(expected) :])


def test_what_may_be_left_out_may_be_left_out():
    for cls, name, _ in METHODS:
        for argument, parameter in parameters(getattr(cls, name)).items():
            if argument in ("start", "shape") and name in ("define_array", "write_array"):
                assert parameter.default is inspect.Parameter.empty, (name, argument)
            elif argument in ("start", "shape", "chunks", "chunk_shape", "fill_value") or (name, argument) == (
                "set_attribute",
                "dtype",
            ):
                assert parameter.default is None, (name, argument)
    many = parameters(atlas.Atlas.to_xarray_many)
    assert (many["concat_dim"].default, many["parallel"].default) == ("dataset", True)
    create = parameters(atlas.Atlas.create)
    assert (create["meta_format"].default, create["meta_compression"].default) == ("json", "none")


def test_a_new_store_measures_its_codec_by_default():
    assert parameters(atlas.Atlas.create)["codec"].default == "auto"


def test_the_package_exports_its_classes_its_version_and_its_accessor():
    assert {"Atlas", "DatasetView", "__version__"} <= set(atlas.__all__)
    assert all(hasattr(atlas, name) for name in atlas.__all__)
    assert atlas.__version__[0].isdigit()
    import xarray

    assert hasattr(xarray.Dataset(), "atlas")


def test_the_classes_are_those_of_the_native_module_and_have_no_constructors():
    for cls in (atlas.Atlas, atlas.DatasetView):
        assert cls.__module__ == "atlas._atlas"
        with pytest.raises(TypeError):
            cls()


def test_every_public_name_says_what_it_does():
    for cls in (atlas.Atlas, atlas.DatasetView):
        assert cls.__doc__
        for name in dir(cls):
            if not name.startswith("_"):
                assert (getattr(cls, name).__doc__ or "").strip(), f"{cls.__name__}.{name} has no docstring"


# pandas, which xarray imports, may import pyarrow for itself.
IMPORT = """
import sys, xarray
before = set(sys.modules)
import atlas
print([name for name in ("pyarrow", "dask.array") if name in set(sys.modules) - before])
"""


def test_importing_atlas_imports_neither_pyarrow_nor_dask():
    loaded = subprocess.run(
        [sys.executable, "-c", IMPORT],
        check=True,
        capture_output=True,
        text=True,
    )
    assert loaded.stdout.strip() == "[]"


def test_logging_can_be_asked_for(capfd):
    program = "import atlas; atlas.init_tracing(); atlas.init_tracing('debug'); atlas.init_tracing(filter=None)"
    subprocess.run([sys.executable, "-c", program], check=True)
