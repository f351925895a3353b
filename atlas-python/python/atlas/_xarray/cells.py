"""What the cells of a variable are in the store, and back.

======================  ==========================  ==========================================================
numpy                   store                       back
======================  ==========================  ==========================================================
bool, (u)int, float     the same                    the same, in this machine's byte order
``datetime64[unit]``    ``timestamp_nanoseconds``   ``datetime64[ns]``
``timedelta64[unit]``   ``int64``                   ``timedelta64[unit]``; the `decode_dtypes` of attrs say so
str, bytes, object      ``string``                  object array of str, missing ones as NaN
======================  ==========================  ==========================================================

float16, long double, complex numbers, structures, and objects other than str and bytes have no place in a store.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas._times import nanoseconds
from atlas._xarray.attrs import NOT_A_TIME
from atlas.errors import DTypeError, InvalidArgumentError, UnsupportedError, ValueRangeError

Cells = NDArray[Any]

TIMESTAMP = "timestamp_nanoseconds"
STRING = "string"
MISSING_STRINGS = "object"
"""The dtype, among the notes of a dataset, of strings some of which are missing."""

_NUMBERS = frozenset("int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 bool".split())


@dataclass
class CellType:
    """How the cells of one variable are stored."""

    variable: str
    #: The store's dtype.
    stored: str
    #: What that does not say of the cells, or None; see `attrs.decode_dtypes`.
    note: str | None = None
    #: The cells that are null, as the store has them; None without.
    fill_value: Any = None

    @classmethod
    def of(cls, variable: str, dtype: np.dtype[Any]) -> CellType:
        """How cells of this dtype are stored. Raises UnsupportedError where they cannot be."""
        # pandas has dtypes of its own; numpy's of text is "T".
        kind = getattr(dtype, "kind", "O")
        zone = getattr(dtype, "tz", None)
        if zone is not None:
            raise UnsupportedError(f"variable {variable!r} has times of zone {zone}: make them UTC without a zone")
        if dtype.name in _NUMBERS:
            return cls(variable, dtype.name)
        if kind == "M":
            return cls(variable, TIMESTAMP)
        if kind == "m" and np.datetime_data(dtype)[0] != "generic":
            return cls(variable, "int64", f"timedelta64{dtype.str[3:]}", NOT_A_TIME)
        if isinstance(dtype, np.dtype) and kind in "OSUT" or dtype.name in ("string", "str"):
            return cls(variable, STRING)
        raise UnsupportedError(f"variable {variable!r} is {dtype}, which cannot be stored")

    def encode(self, values: Any) -> Cells:
        """The values as the store takes them, in C order. Missing strings become the fill value, and are noted.

        Raises ValueRangeError for times that nanoseconds since 1970 cannot tell, InvalidArgumentError for missing
        strings without a fill value.
        """
        if self.stored == STRING:
            return self._text(np.asarray(values))
        cells = np.asarray(values)
        if self.stored == TIMESTAMP:
            cells = _in_nanoseconds(cells, self.variable)
        elif cells.dtype.kind == "m":
            cells = cells.astype(self.note, copy=False).view(np.int64)
        try:
            # The other byte order, at most.
            cells = cells.astype(numpy_dtype(self.stored), order="C", casting="equiv", copy=False)
        except TypeError:
            message = f"variable {self.variable!r} is {self.stored}, a block of it is {cells.dtype}"
            raise DTypeError(message) from None
        # Blocks that came over a network may lie at any address.
        return np.require(cells, requirements=["C", "A"])

    def choose_fill_value(self, values: Any) -> None:
        """Where strings are missing and there is no fill value yet, takes a text that no other cell has."""
        if self.stored != STRING or self.fill_value is not None or np.asarray(values).dtype.kind in "SU":
            return
        cells = np.asarray(values, dtype=object).ravel().tolist()
        if any(map(_is_missing, cells)):
            present = {cell for cell in cells if isinstance(cell, str)}
            self.fill_value = ""
            while self.fill_value in present:
                self.fill_value += "-"

    def _text(self, cells: Cells) -> Cells:
        if cells.dtype.kind in "SU":
            return cells
        cells = cells.astype(object, copy=False)
        flat = cells.ravel()
        missing = [index for index, cell in enumerate(flat.tolist()) if _is_missing(cell)]
        if not missing:
            return cells
        if self.fill_value is None:
            raise InvalidArgumentError(
                f"variable {self.variable!r} has missing strings and no fill value: give it one that no other cell has, "
                f"as in ds[{self.variable!r}].encoding['_FillValue'] = ''"
            )
        self.note = MISSING_STRINGS
        filled = flat.copy()
        filled[missing] = self.fill_value
        return filled.reshape(cells.shape)


def decode_cells(cells: Cells, note: str | None, fill_value: Any) -> Cells:
    """The values of cells that were read; the note is of `attrs.decode_dtypes`, the fill value that of the array."""
    if note is None:
        return cells
    if note == MISSING_STRINGS:
        if cells.dtype.kind != "O" or fill_value is None:
            return cells
        values = cells.copy()
        values[cells == fill_value] = math.nan
        return values
    dtype = _timedelta(note)
    return cells.view(dtype) if dtype is not None and cells.dtype == np.int64 else cells


def decoded_dtype(stored: str, note: str | None) -> np.dtype[Any]:
    """The numpy dtype of the values of an array."""
    timedelta = _timedelta(note) if note and stored == "int64" else None
    return numpy_dtype(stored) if timedelta is None else timedelta


def numpy_dtype(stored: str) -> np.dtype[Any]:
    """The numpy dtype of cells as the store reads and takes them."""
    if stored == TIMESTAMP:
        return np.dtype("datetime64[ns]")
    return np.dtype(stored) if stored in _NUMBERS else np.dtype(object)


def _timedelta(note: str) -> np.dtype[Any] | None:
    if not note.startswith("timedelta64["):
        return None
    try:
        return np.dtype(note)
    except TypeError:
        return None


def _in_nanoseconds(values: Cells, variable: str) -> Cells:
    if values.dtype.kind != "M":
        raise InvalidArgumentError(f"variable {variable!r} is to hold times, a block of it is {values.dtype}")
    known = values[~np.isnat(values)]
    if known.size and values.dtype != np.dtype("datetime64[ns]"):
        try:
            # A whole range fits if its ends do.
            nanoseconds(known.min())
            nanoseconds(known.max())
        except ValueRangeError as error:
            raise ValueRangeError(f"variable {variable!r}: {error}") from None
    return values.astype("datetime64[ns]", copy=False)


def _is_missing(cell: Any) -> bool:
    # NaN, and pandas' own missing values, are not equal to themselves or refuse to say so.
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, (float, np.floating)) and cell != cell)
