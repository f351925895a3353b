"""How attributes lie in a store, and come back."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xarray.core.utils import dict_equiv

from atlas._xarray.attrs import COORDS, ENCODING, NOTES, decode, decode_dtypes, decode_encodings, encode, repair

STORED = (bool, int, float, str, np.datetime64)


def back(dataset_attrs, variable_attrs, coords=()):
    """Through the store and back, as the store has it: timestamps are integers there."""
    stored = encode(dataset_attrs, variable_attrs, coords)
    assert all(type(value) in STORED for value in stored.values())
    stored = {k: int(v.astype(np.int64)) if isinstance(v, np.datetime64) else v for k, v in stored.items()}
    return decode(stored, {name: ((), None) for name in variable_attrs})


@pytest.mark.parametrize(
    "value",
    [
        1,
        -1.5,
        float("nan"),
        float("inf"),
        True,
        "text",
        "",
        "json:",
        "json:[1]",
        'json:"a"',
        "json:no json",
        None,
        [],
        [1, 2.5, "a", None, True],
        [[1], [2, 3]],
        {"a": {"b": [1]}},
        [float("nan"), float("inf")],
        2**63,
        -(2**63),
        2**64 - 1,
        np.uint64(2**64 - 1),
        np.int8(-3),
        np.float32(0.1),
        np.bool_(True),
        np.str_("text"),
        np.array([1, 2], "int16"),
        np.array([0.1, np.nan], "float32"),
        np.array(["a", "json:"]),
        np.array(3.5),
        np.array([]),
        np.datetime64("2020-02-03T04:05:06.789", "ms"),
        np.datetime64("NaT", "ns"),
        [np.int8(1), {"a": np.array([1.5])}],
    ],
    ids=repr,
)
def test_a_value_comes_back(value):
    attrs, variables, _ = back({"key": value}, {"v": {"key": value}})
    assert type(attrs["key"]) is type(variables["v"]["key"])
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        assert attrs["key"] == [1, {"a": [1.5]}]
    elif isinstance(value, np.datetime64):
        np.testing.assert_equal(attrs["key"], value.astype("datetime64[ns]"))
    else:
        assert dict_equiv(attrs, {"key": value})
        assert dict_equiv(variables["v"], {"key": value})


def test_tuples_come_back_as_lists():
    assert back({"key": (1, (2, 3))}, {})[0] == {"key": [1, [2, 3]]}


@pytest.mark.parametrize("value", [b"bytes", 1j, object(), np.timedelta64(1, "s"), [b"a"], {1, 2}, np.array([1j])], ids=repr)
def test_what_cannot_be_stored_is_a_type_error_that_names_the_key(value):
    with pytest.raises(TypeError, match="'v.key'"):
        encode({}, {"v": {"key": value}}, [])


def test_a_time_outside_of_nanoseconds_is_an_overflow():
    with pytest.raises(OverflowError, match="'key'"):
        encode({"key": np.datetime64("3000-01-01", "D")}, {}, [])


@pytest.mark.parametrize(
    "dataset_attrs, variable_attrs",
    [
        ({"a.units": "of the dataset"}, {"a": {"other": 1}}),
        ({}, {"a": {"b.c": 1}, "a.b": {"d": 2}}),
        ({"nobody.units": "m"}, {"a": {}}),
        ({"a": 1, ".": 2, "a.": 3}, {"a": {"x": 1}, "": {"y": 2}}),
    ],
)
def test_dots_in_names_keep_their_owner(dataset_attrs, variable_attrs):
    assert back(dataset_attrs, variable_attrs)[:2] == (dataset_attrs, variable_attrs)


@pytest.mark.parametrize(
    "dataset_attrs, variable_attrs",
    [({"a.units": 1}, {"a": {"units": 2}}), ({}, {"a": {"b.c": 1}, "a.b": {"c": 2}}), ({1: 1, "1": 2}, {})],
)
def test_two_attributes_of_one_key_are_refused(dataset_attrs, variable_attrs):
    with pytest.raises(ValueError, match="twice"):
        encode(dataset_attrs, variable_attrs, [])


def test_reserved_keys_are_refused():
    with pytest.raises(ValueError, match="reserved"):
        encode({COORDS: "[]"}, {}, [])


def test_simple_attributes_need_no_notes():
    stored = encode({"title": "t"}, {"a": {"units": "m"}}, ["a"])
    assert stored == {"title": "t", "a.units": "m", COORDS: '["a"]'}


def fill_attribute(attributes, fill_value):
    """The ``_FillValue`` among the attributes of ``a``, an array with this fill value."""
    return decode(attributes, {"a": (("x",), fill_value)})[1]["a"].get("_FillValue")


def test_fill_values_are_attributes():
    assert fill_attribute({}, -9) == -9
    assert fill_attribute({}, None) is None
    assert np.isnan(fill_attribute({}, float("nan")))


def test_fill_values_of_what_was_decoded_are_none():
    decoded = {ENCODING: '{"b": {"units": "days since 1950-01-01"}}'}
    assert fill_attribute(decoded, float("nan")) is None
    assert fill_attribute(decoded, -(2**63)) is None
    assert fill_attribute({ENCODING: '{"a": {"_FillValue": -9}}'}, -9) is None
    # Integers are not masked: that they are missing has to be told.
    assert fill_attribute(decoded, -9) == -9


def test_a_fill_value_stored_as_attribute_is_that_attribute():
    assert fill_attribute({"a._FillValue": 5}, -9) == 5
    assert fill_attribute({"a._FillValue": 5, ENCODING: '{"a": {"_FillValue": -9}}'}, -9) == 5


def test_encodings_come_back():
    attributes = encode({}, {"a": {}, "b": {}}, [], encodings={"a": {"dtype": "int16", "_FillValue": np.int16(-9)}})
    arrays = {"a": ((), None), "b": ((), "-")}
    assert decode_encodings(attributes, arrays) == {"a": {"dtype": "int16", "_FillValue": -9}, "b": {}}
    assert decode_encodings({}, arrays) == {"a": {}, "b": {}}


def test_the_text_that_stands_for_missing_ones_is_part_of_the_encoding():
    attributes = encode({}, {"a": {}}, [], dtypes={"a": "object"})
    assert decode_encodings(attributes, {"a": ((), "-")}) == {"a": {"_FillValue": "-"}}


def test_the_fill_value_of_cells_with_a_dtype_of_their_own_is_no_attribute():
    attributes = encode({}, {"a": {}}, [], dtypes={"a": "timedelta64[s]"})
    assert decode(attributes, {"a": ((), -(2**63))})[1] == {"a": {}}
    assert decode_dtypes(attributes) == {"a": "timedelta64[s]"}


def test_coordinates_are_those_listed_or_named_like_their_dimension():
    arrays = {"x": (("x",), None), "y": (("x", "y"), None), "s": ((), None)}
    assert decode({}, arrays)[2] == {"x"}
    assert decode({COORDS: '["s", "gone"]'}, arrays)[2] == {"s"}
    assert decode({COORDS: "[]"}, arrays)[2] == set()


@pytest.mark.parametrize("text", ["no json", "3", "", 7, '{"owners": [1], "timestamps": 2, "dtypes": 3}'])
def test_what_others_wrote_in_our_attributes_is_no_error(text):
    arrays = {"x": (("x",), 1)}
    attrs, variables, coords = decode({COORDS: text, ENCODING: text, NOTES: text, "k": 1}, arrays)
    assert (attrs, coords) == ({"k": 1}, {"x"})
    assert variables == {"x": {"_FillValue": 1}}
    assert decode_encodings({ENCODING: text}, arrays) == {"x": {}}


def test_lone_surrogates_are_repaired():
    assert repair("plain \U0001f600") == "plain \U0001f600"
    assert repair(b"caf\xc3\xa9".decode("ascii", "surrogateescape")) == "café"
    assert repair("a\udcff\ud800") == "a\ufffd\ufffd"
    assert encode({"k\udcff": "v\udcff"}, {}, [])["k\ufffd"] == "v\ufffd"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.one_of(st.booleans(), st.integers(-(2**63), 2**64), st.floats(), texts, texts.map("json:".__add__), st.none())
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=6)
names = st.text("ab.", min_size=1, max_size=4)


@given(st.dictionaries(names, values, max_size=4), st.dictionaries(names, st.dictionaries(names, values, max_size=3), max_size=4))
def test_encode_and_decode_are_inverse(dataset_attrs, variable_attrs):
    try:
        attrs, variables, _ = back(dataset_attrs, variable_attrs)
    except ValueError as error:
        assert "twice" in str(error)
        return
    canonical = lambda value: json.dumps(value, sort_keys=True)  # noqa: E731  (NaN equals NaN there)
    assert canonical(attrs) == canonical(dataset_attrs)
    assert canonical(variables) == canonical(variable_attrs)
