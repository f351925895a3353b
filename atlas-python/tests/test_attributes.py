"""Attributes: which values a dataset takes, and that they keep their type."""

import datetime

import numpy as np
import pytest

import atlas

VALUES = [
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.0,
    1.0,
    1.5,
    1e300,
    5e-324,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "x",
    "ü😀",
    "line\nbreak\0",
    "2023-11-14T22:13:20Z",
    "2023-11-14",
    "1",
    "1.0",
    "true",
    "null",
    "NaN",
    "x" * 100_000,
]


@pytest.mark.parametrize("meta_format", ["json", "msgpack"])
def test_every_value_keeps_its_type_and_every_bit(tmp_path, meta_format):
    store = atlas.Atlas.create(tmp_path / "store", meta_format=meta_format)
    view = store.create_dataset("d")
    for index, value in enumerate(VALUES):
        assert view.set_attribute(f"a{index}", value) is None
    store.flush()
    for found in (view, atlas.Atlas.open(tmp_path / "store").open_dataset("d")):
        for index, value in enumerate(VALUES):
            given = found.get_attribute(f"a{index}")
            assert (type(given), repr(given)) == (type(value), repr(value))


def test_attributes_are_a_dict_of_ones_own_ordered_by_key(view, reopened):
    for key, value in (("b", 1), ("a", "x"), ("c", 2.5)):
        view.set_attribute(key, value)
    view.set_attribute("b", "of another type now")
    expected = {"a": "x", "b": "of another type now", "c": 2.5}
    for found in (view, reopened()):
        attributes = found.attributes()
        assert attributes == expected and list(attributes) == list(expected)
        attributes["b"] = 0
        assert found.attributes() == expected


def test_an_attribute_that_is_not_set_is_none(view):
    assert view.get_attribute("nope") is None
    assert view.attributes() == {}


def test_attributes_are_seen_at_once_through_other_views_and_not_by_other_handles(store, view, location):
    store.flush()
    view.set_attribute("k", 1)
    assert store.open_dataset("d").get_attribute("k") == 1
    assert atlas.Atlas.open(location).open_dataset("d").get_attribute("k") is None


def test_datasets_need_not_agree_on_the_type_of_an_attribute(store, location):
    for name, value in (("a", 1), ("b", "one"), ("c", 1.0)):
        store.create_dataset(name).set_attribute("k", value)
    store.create_dataset("d")
    store.flush()
    found = atlas.Atlas.open(location)
    values = [found.open_dataset(name).get_attribute("k") for name in "abcd"]
    assert [(type(value), value) for value in values] == [(int, 1), (str, "one"), (float, 1.0), (type(None), None)]


@pytest.mark.parametrize("key", ["_x", "a/b", "a.b", " ", "ü", "\n", "k" * 1000])
def test_a_key_may_be_any_text(view, reopened, key):
    view.set_attribute(key, 1)
    assert reopened().attributes() == {key: 1}


@pytest.mark.parametrize("key", [None, 3, b"k"])
def test_a_key_that_is_no_text_is_a_type_error(view, key):
    with pytest.raises(TypeError):
        view.set_attribute(key, 1)
    with pytest.raises(TypeError):
        view.get_attribute(key)


@pytest.mark.parametrize(
    "value", [None, b"x", [1, 2], (1, 2), {"a": 1}, object(), 1 + 2j, {1}, np.array([1, 2])], ids=repr
)
def test_a_value_of_no_attribute_type_is_a_value_error(view, value):
    with pytest.raises(ValueError, match="k"):
        view.set_attribute("k", value)
    assert view.attributes() == {}


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64, 10**100])
def test_an_integer_beyond_64_bits_is_an_overflow(view, value):
    with pytest.raises(OverflowError):
        view.set_attribute("k", value)
    assert view.attributes() == {}


INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("dtype", [*INTEGERS, "i8", "u32"])
def test_an_attribute_may_be_a_narrower_integer(view, reopened, dtype):
    view.set_attribute("k", 100, dtype=dtype)
    value = reopened().get_attribute("k")
    assert value == 100 and type(value) is int


@pytest.mark.parametrize("dtype", INTEGERS)
def test_an_integer_out_of_the_range_of_its_dtype_is_an_overflow(view, dtype):
    limits = np.iinfo(dtype)
    for value in (int(limits.min) - 1, int(limits.max) + 1):
        with pytest.raises(OverflowError):
            view.set_attribute("k", value, dtype=dtype)
    assert view.attributes() == {}


@pytest.mark.parametrize("dtype", ["float32", "float64", "f32", "f64"])
def test_an_attribute_may_be_a_float_on_demand(view, reopened, dtype):
    view.set_attribute("whole", 3, dtype=dtype)
    view.set_attribute("half", 1.5, dtype)
    found = reopened().attributes()
    assert found == {"whole": 3.0, "half": 1.5} and type(found["whole"]) is float


def test_a_float32_attribute_is_rounded_as_float32(view):
    view.set_attribute("k", 0.1, dtype="float32")
    assert np.float32(view.get_attribute("k")) == np.float32(0.1)


@pytest.mark.parametrize("dtype", ["timestamp_nanoseconds", "timestamp_ns", "datetime64[ns]"])
@pytest.mark.parametrize("value", [-1, 0, 1_700_000_000_000_000_000, -(2**63), 2**63 - 1])
def test_a_time_comes_back_as_its_nanoseconds(view, reopened, dtype, value):
    view.set_attribute("k", value, dtype=dtype)
    for found in (view, reopened()):
        given = found.get_attribute("k")
        assert given == value and type(given) is int


@pytest.mark.parametrize("dtype", ["string", "str"])
def test_text_is_text_on_demand(view, dtype):
    view.set_attribute("k", "2023-11-14T22:13:20Z", dtype=dtype)
    assert view.get_attribute("k") == "2023-11-14T22:13:20Z"


MISFITS = [
    ("bool", 1),
    ("bool", "true"),
    ("int8", 1.5),
    ("int64", 1.0),
    ("int64", "1"),
    ("float64", "1.0"),
    ("float32", None),
    ("string", 1),
    ("string", b"x"),
    ("timestamp_nanoseconds", 1.5),
    ("timestamp_nanoseconds", "2023-11-14"),
]


@pytest.mark.parametrize(("dtype", "value"), MISFITS)
def test_a_value_that_is_not_of_the_dtype_is_a_type_error(view, dtype, value):
    with pytest.raises(TypeError):
        view.set_attribute("k", value, dtype=dtype)
    assert view.attributes() == {}


@pytest.mark.parametrize("dtype", ["", "nope", "float16"])
def test_a_dtype_that_does_not_exist_is_a_value_error(view, dtype):
    with pytest.raises(ValueError):
        view.set_attribute("k", 1, dtype=dtype)


@pytest.mark.parametrize("dtype", ["binary", "list[int8]"])
def test_a_dtype_that_no_attribute_has_is_refused(view, dtype):
    with pytest.raises((ValueError, TypeError, NotImplementedError)):
        view.set_attribute("k", b"x", dtype=dtype)
    assert view.attributes() == {}


def test_arguments_go_by_name(view):
    view.set_attribute(key="k", value=1, dtype="int16")
    assert view.get_attribute(key="k") == 1


def test_numbers_and_times_of_numpy_and_datetime_are_taken_for_what_they_are(view, reopened):
    given = {
        "i": np.int16(-3),
        "u": np.uint8(200),
        "f": np.float32(0.5),
        "d": np.float64(0.1),
        "b": np.bool_(True),
        "s": np.str_("q"),
        "t": np.datetime64("2020-01-01T00:00:01", "s"),
        "p": datetime.datetime(2020, 1, 1, 0, 0, 1, 5, tzinfo=datetime.timezone.utc),
    }
    for key, value in given.items():
        view.set_attribute(key, value)
    second = 1_577_836_801_000_000_000
    expected = {"i": -3, "u": 200, "f": 0.5, "d": 0.1, "b": True, "s": "q", "t": second, "p": second + 5000}
    found = reopened().attributes()
    assert found == expected
    assert [type(found[key]) for key in expected] == [type(value) for value in expected.values()]


@pytest.mark.parametrize("year", [1, 1600, 2300, 9999])
def test_a_time_that_nanoseconds_cannot_count_is_an_overflow(view, year):
    for time in (
        datetime.datetime(year, 1, 1),
        np.datetime64(f"{year:04}-01-01", "D"),
        np.datetime64(f"{year:04}", "Y"),
    ):
        with pytest.raises(OverflowError):
            view.set_attribute("k", time)
    assert view.attributes() == {}


def test_a_timestamp_of_pandas_keeps_its_nanoseconds(view):
    pandas = pytest.importorskip("pandas")
    time = pandas.Timestamp("2020-01-01T00:00:00.000000007")
    view.set_attribute("k", time)
    view.define_array("t", "timestamp_ns", [], [], fill_value=time)
    assert (view.get_attribute("k"), view.array_fill_value("t")) == (time.value, time.value)


@pytest.mark.parametrize("unit", ["Y", "M", "D", "h", "m", "s", "ms", "us", "ns"])
def test_times_of_every_unit_are_counted_in_nanoseconds(view, unit):
    view.set_attribute("k", np.datetime64("2020-01-01", unit))
    view.set_attribute("none", np.datetime64("NaT", unit))
    assert view.attributes() == {"k": 1_577_836_800_000_000_000, "none": -(2**63)}


def test_an_attribute_can_be_removed(view, reopened):
    view.set_attribute("k", 1)
    view.set_attribute("l", 2)
    assert view.remove_attribute("k") is True
    assert view.remove_attribute("k") is False
    assert reopened().attributes() == {"l": 2}
