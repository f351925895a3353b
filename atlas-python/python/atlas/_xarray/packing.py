"""Fill values, and how a variable that was decoded from a file was packed there.

xarray keeps the latter in ``Variable.encoding``. A store holds what is in memory; of the encoding it keeps what says how
to pack it again, for whoever writes the file anew.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from atlas._times import nanoseconds
from atlas._xarray.attrs import FILL_VALUE, NOT_A_TIME
from atlas._xarray.cells import STRING, TIMESTAMP, CellType

_KEPT = (FILL_VALUE, "missing_value", "scale_factor", "add_offset", "_Unsigned", "units", "calendar")


def packing(variable: xr.Variable, cells: CellType) -> dict[str, Any]:
    """The part of the variable's encoding that is kept, of values that JSON knows."""
    kept = {}
    for key in _KEPT:
        value = _scalar(variable.encoding.get(key))
        if isinstance(value, (bool, int, float, str)):
            kept[key] = value
    dtype = _number(variable.encoding.get("dtype"))
    if dtype is not None and dtype != cells.stored and cells.stored != STRING:
        kept["dtype"] = dtype
    return kept


def fill_value_of_attribute(cells: CellType, given: Any) -> Any:
    """``_FillValue`` as the fill value of the array; None for one that files have and that masks nothing: NaN on integers,
    and the number that times were packed as. What else does not fit is left to the store to refuse."""
    value = _scalar(given)
    if isinstance(value, np.datetime64):
        return nanoseconds(value)
    if not isinstance(value, float) or cells.stored.startswith("float"):
        return value
    if cells.stored == TIMESTAMP or math.isnan(value):
        return None
    return int(value) if value.is_integer() else value


def comes_back(cells: CellType, given: Any) -> bool:
    """Whether the fill value of the array, read again, equals this ``_FillValue``."""
    value = _scalar(given)
    if cells.stored == STRING:
        return isinstance(value, str)
    if cells.fill_value is None or cells.note is not None or not isinstance(value, (int, float)) or np.ndim(given):
        return False
    if cells.stored == "float32":
        # The store gives the shortest float that rounds to the fill value.
        value = float(str(np.float32(value)))
    return bool(value == given or value != value)


def fill_value_of_decoded(cells: CellType, packed: dict[str, Any]) -> Any:
    """What stands for missing cells in memory, of a variable of which decoding has used up the ``_FillValue``."""
    wanted = packed.get(FILL_VALUE, packed.get("missing_value"))
    if wanted is None or cells.fill_value is not None:
        return cells.fill_value
    if cells.stored.startswith("float"):
        return float("nan")
    if cells.stored == TIMESTAMP:
        return NOT_A_TIME
    if cells.stored == STRING:
        return wanted if isinstance(wanted, str) else None
    if cells.stored == "bool" or isinstance(wanted, str) or wanted != wanted:
        return None
    bounds = np.iinfo(cells.stored)
    return int(wanted) if bounds.min <= wanted <= bounds.max and int(wanted) == wanted else None


def _scalar(value: Any) -> Any:
    """A value of Python for one of numpy's, times excepted; text for bytes."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(())[()]
    if isinstance(value, np.generic) and value.dtype.kind in "biufSU":
        value = value.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _number(dtype: Any) -> str | None:
    """The name of a dtype of numbers."""
    try:
        found = np.dtype(dtype) if dtype is not None else None
    except TypeError:
        return None
    return found.name if found is not None and found.kind in "iuf" else None
