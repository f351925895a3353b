"""How the attributes of an xarray dataset and of its variables lie in the flat attributes of an Atlas dataset, and back.

Everything here is pure: mappings in, mappings out. In the store:

* an attribute of the dataset keeps its key, an attribute of a variable is ``{variable}.{attribute}``;
* a value is a bool, int, float, str or timestamp; any other is text: ``json:`` and JSON, in which NaN and infinities are
  the words of Python's `json`. A text that itself begins with ``json:`` is stored as JSON too;
* ``_FillValue`` is the fill value of the array and no attribute, unless the array's cannot say the same. Where decoding
  has used it up, and the cells that equal it became NaN or not-a-time, it is none in ``attrs`` either;
* `COORDS`, `ENCODING` and `NOTES` are attributes of our own, and belong to nobody's ``attrs``.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from atlas._times import nanoseconds
from atlas.errors import AttributeTypeError, InvalidArgumentError, ValueRangeError

COORDS = "_pyatlas_coords"
"""JSON list: the names of the arrays that are coordinates."""

ENCODING = "_pyatlas_encoding"
"""JSON object, ``{variable: {attribute: value}}``: what decoding a file used up, which xarray keeps in ``.encoding``."""

NOTES = "_pyatlas_notes"
"""JSON object, present where the rest does not tell all. ``owners``: ``{key: variable or null}``, whose attribute a key
is where its dots could be read in several ways; ``timestamps``: the keys of attributes that are times; ``dtypes``:
``{variable: what its cells are}``, see `decode_dtypes`."""

FILL_VALUE = "_FillValue"

NOT_A_TIME = -(2**63)
"""The integer that stands for a time, or a duration, that is none."""

_RESERVED = "_pyatlas_"
_JSON = "json:"
_INT64 = range(-(2**63), 2**63)
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates that are no escaped byte


def encode(
    dataset_attrs: Mapping[Hashable, Any],
    variable_attrs: Mapping[str, Mapping[Hashable, Any]],
    coords: Iterable[str],
    encodings: Mapping[str, Mapping[str, Any]] | None = None,
    dtypes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The attributes to store: each value a bool, int, float, str or ``datetime64[ns]``. The inverse of `decode`.

    ``variable_attrs`` has an entry for each variable, even if empty, and no ``_FillValue`` that the array's fill value
    says as well. ``encodings`` and ``dtypes`` are what `decode_encodings` and
    `decode_dtypes` will give back.

    Raises InvalidArgumentError where two attributes would have one key or a key is reserved, AttributeTypeError for a
    value that is no number, text, bool or time, nor made of those that JSON knows, and ValueRangeError for a time that
    nanoseconds since 1970 cannot tell.
    """
    stored: dict[str, Any] = {}
    owners: dict[str, str | None] = {}
    for owner, name, value in _flat(dataset_attrs, variable_attrs):
        key = name if owner is None else f"{owner}.{name}"
        if key.startswith(_RESERVED):
            raise InvalidArgumentError(f"attribute {key!r}: names that begin with {_RESERVED!r} are reserved")
        if key in stored:
            raise InvalidArgumentError(f"attribute {key!r} is there twice, of the dataset and a variable or of two variables")
        stored[key] = encode_value(value, key)
        if _owner(key, variable_attrs) != owner:
            owners[key] = owner
    timestamps = [key for key, value in stored.items() if isinstance(value, np.datetime64)]
    notes = {"owners": owners, "timestamps": timestamps, "dtypes": dict(dtypes or {})}
    stored[COORDS] = json.dumps(list(coords))
    if encodings:
        stored[ENCODING] = json.dumps(encodings, default=_plain)
    if any(notes.values()):
        stored[NOTES] = json.dumps({key: note for key, note in notes.items() if note})
    return stored


def decode(
    attributes: Mapping[str, Any], arrays: Mapping[str, tuple[tuple[str, ...], Any]]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]], set[str]]:
    """The attributes of the dataset, those of each of its arrays, and which arrays are coordinates.

    ``attributes`` are the stored ones of one dataset, timestamps as integers of nanoseconds; ``arrays`` has the
    dimensions and the fill value (None without) of each of its arrays. Without a list of coordinates, they are the
    arrays named like their only dimension. A ``json:`` text that is not JSON stays text.
    """
    notes = _object(attributes, NOTES)
    owners, timestamps = notes.get("owners"), notes.get("timestamps")
    owners = owners if isinstance(owners, dict) else {}
    timestamps = timestamps if isinstance(timestamps, list) else []
    dataset_attrs: dict[str, Any] = {}
    variable_attrs: dict[str, dict[str, Any]] = {name: {} for name in arrays}
    for key, stored in attributes.items():
        if key.startswith(_RESERVED):
            continue
        value = np.datetime64(stored, "ns") if key in timestamps else decode_value(stored)
        owner = owners[key] if key in owners else _owner(key, arrays)
        if isinstance(owner, str) and owner in variable_attrs and key.startswith(f"{owner}."):
            variable_attrs[owner][key[len(owner) + 1 :]] = value
        else:
            dataset_attrs[key] = value
    for name, (_, fill_value) in arrays.items():
        if _is_fill_an_attribute(attributes, name, fill_value):
            variable_attrs[name].setdefault(FILL_VALUE, fill_value)
    return dataset_attrs, variable_attrs, _coords(attributes, arrays)


def decode_encodings(
    attributes: Mapping[str, Any], arrays: Mapping[str, tuple[tuple[str, ...], Any]]
) -> dict[str, dict[str, Any]]:
    """What belongs in the ``encoding`` of each array: how it was packed in the file that it came from, and which text
    stands for missing ones. Arguments as of `decode`."""
    known, dtypes = _object(attributes, ENCODING), decode_dtypes(attributes)
    encodings: dict[str, dict[str, Any]] = {}
    for name, (_, fill_value) in arrays.items():
        encoding = known.get(name)
        encodings[name] = dict(encoding) if isinstance(encoding, dict) else {}
        if isinstance(fill_value, str) and name in dtypes:
            encodings[name][FILL_VALUE] = fill_value
    return encodings


def decode_dtypes(attributes: Mapping[str, Any]) -> dict[str, str]:
    """What the cells of some arrays are in numpy, where the store's dtype does not say it: ``timedelta64[unit]`` for
    int64 that count such units, ``object`` for strings of which those that equal the fill value are missing (NaN)."""
    dtypes = _object(attributes, NOTES).get("dtypes")
    return {name: dtype for name, dtype in dtypes.items() if isinstance(dtype, str)} if isinstance(dtypes, dict) else {}


def encode_value(value: Any, key: str) -> Any:
    """The value as the store can hold it; ``key`` is for errors. TypeError if it cannot."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    match value:
        case str():
            text = repair(str(value))
            return _JSON + json.dumps(text) if text.startswith(_JSON) else text
        case bool() | np.bool_():
            return bool(value)
        case np.datetime64() | datetime.datetime():
            try:
                return np.datetime64(nanoseconds(value), "ns")
            except ValueRangeError as error:
                raise ValueRangeError(f"attribute {key!r}: {error}") from None
        case int() | np.integer() if not isinstance(value, np.timedelta64):
            return int(value) if int(value) in _INT64 else f"{_JSON}{int(value)}"
        case float() | np.floating() if not isinstance(value, np.longdouble) or float(value) == value:
            return float(value)
    try:
        return _JSON + json.dumps(value, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise AttributeTypeError(f"attribute {key!r} is {type(value).__name__} and cannot be stored: {error}") from None


def decode_value(stored: Any) -> Any:
    """The value that was stored."""
    if isinstance(stored, str) and stored.startswith(_JSON):
        try:
            return json.loads(stored[len(_JSON) :])
        except ValueError:
            return stored
    return stored


def repair(text: str) -> str:
    """The text without lone surrogates, which UTF-8 cannot say: bytes that Python escaped that way are read as UTF-8
    after all, and what still is none becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _NO_BYTE.sub("\ufffd", text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text


def _flat(
    dataset_attrs: Mapping[Hashable, Any], variable_attrs: Mapping[str, Mapping[Hashable, Any]]
) -> Iterator[tuple[str | None, str, Any]]:
    for name, value in dataset_attrs.items():
        yield None, repair(str(name)), value
    for variable, attrs in variable_attrs.items():
        for name, value in attrs.items():
            yield variable, repair(str(name)), value


def _owner(key: str, variables: Container[str]) -> str | None:
    """Whose attribute a key is, by its name: that of the variable with the longest name that fits."""
    end = key.rfind(".")
    while end >= 0:
        if key[:end] in variables:
            return key[:end]
        end = key.rfind(".", 0, end)
    return None


def _coords(attributes: Mapping[str, Any], arrays: Mapping[str, tuple[tuple[str, ...], Any]]) -> set[str]:
    try:
        listed = json.loads(attributes[COORDS])
    except (KeyError, TypeError, ValueError):
        listed = None
    if not isinstance(listed, list):
        return {name for name, (dims, _) in arrays.items() if tuple(dims) == (name,)}
    return {name for name in listed if isinstance(name, str) and name in arrays}


def _is_fill_an_attribute(attributes: Mapping[str, Any], name: str, fill_value: Any) -> bool:
    """Whether the array's fill value is its variable's ``_FillValue``, and not one that was decoded or is our own."""
    if fill_value is None or name in decode_dtypes(attributes):
        return False
    if ENCODING not in attributes:
        return True
    encoding = _object(attributes, ENCODING).get(name)
    is_decoded = isinstance(encoding, dict) and FILL_VALUE in encoding
    return not is_decoded and fill_value == fill_value and fill_value != NOT_A_TIME


def _object(attributes: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The JSON object of an attribute, empty where there is none."""
    try:
        value = json.loads(attributes[key])
    except (KeyError, TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _plain(value: Any) -> Any:
    """numpy's values as those that `json` knows."""
    # A long double would become itself.
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufUO" and value.dtype != np.longdouble:
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not made of numbers, text and bools")
