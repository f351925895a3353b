"""Times as the store counts them."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

from atlas.errors import ValueRangeError

_NS_PER_UNIT = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_NS_PER_UNIT |= {"m": 60 * 10**9, "h": 3_600 * 10**9, "D": 86_400 * 10**9, "W": 7 * 86_400 * 10**9}


def nanoseconds(time: Any) -> int:
    """Nanoseconds since 1970-01-01T00:00:00Z of a ``numpy.datetime64`` or a ``datetime`` (naive ones are UTC).

    Not-a-time is the smallest int64. Raises :class:`ValueRangeError` for years that nanoseconds cannot count (before
    1678, after 2261).
    """
    if hasattr(time, "to_datetime64"):
        # pandas.Timestamp: a datetime that has nanoseconds too.
        time = time.to_datetime64()
    if isinstance(time, datetime.datetime):
        aware = time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)
        since = aware - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        count = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
    else:
        if np.isnat(time):
            return int(np.iinfo(np.int64).min)
        unit, multiple = np.datetime_data(time.dtype)
        if unit in ("Y", "M"):
            # Of unequal lengths; what days cannot count is far beyond what nanoseconds can.
            years = int(time.astype(np.int64)) * multiple // (12 if unit == "M" else 1)
            if not -10_000 < years < 10_000:
                raise ValueRangeError(f"{years + 1970} is out of range of timestamp_nanoseconds")
            time, unit, multiple = time.astype("datetime64[D]"), "D", 1
        count = int(time.astype(np.int64)) * multiple * _NS_PER_UNIT[unit]
    if not -(2**63) < count < 2**63:
        raise ValueRangeError(f"{time} is out of range of timestamp_nanoseconds")
    return count
