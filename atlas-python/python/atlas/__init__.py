"""Atlas: stores of many similar N-dimensional datasets.

A store holds *datasets*, named bundles of arrays and attributes; the arrays of one name lie together, so that the same
slice of every dataset is one read.

>>> import numpy as np, atlas, tempfile
>>> place = tempfile.mkdtemp() + "/fleet"
>>> with atlas.Atlas.create(place) as store:
...     cast = store.create_dataset("cast_1")
...     cast.define_array("temperature", "float32", ["depth"], [3], fill_value=float("nan"))
...     cast.write_array("temperature", [0], np.array([20.5, 18.0, 9.25], dtype="float32"))
...     cast.set_attribute("month", 7)
>>> atlas.Atlas.open(place).read_array_across_stacked("temperature", ["cast_1"], [0], [2])
array([[20.5, 18. ]], dtype=float32)

Nothing is durable, or visible to others, before :meth:`Atlas.flush` (the end of a ``with`` block): then all of it is.

Importing atlas registers ``ds.atlas`` on :class:`xarray.Dataset`. :func:`connect` reads from an Atlas server.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from atlas import errors
from atlas._atlas import Atlas, DatasetView, __version__
from atlas._xarray import accessor as _accessor  # noqa: F401  registers Dataset.atlas
from atlas.errors import AtlasError

if TYPE_CHECKING:
    from atlas.flight import Client

__all__ = ["Atlas", "AtlasError", "DatasetView", "__version__", "connect", "errors", "init_tracing"]


def connect(uri: str, **options: Any) -> Client:
    """A client of the Atlas server at ``uri`` (``grpc://host:port``, ``grpc+tls://host:port``).

    See :func:`atlas.flight.connect` for the options. Needs pyarrow: ``pip install "atlas-python[flight]"``.
    """
    from atlas import flight

    return flight.connect(uri, **options)


def init_tracing(filter: str | None = None) -> None:  # noqa: A002  the name that scripts pass it by
    """Shows what atlas logs (retries and reconnections of :func:`connect`) on stderr.

    ``filter`` is the least level, such as ``"debug"`` or ``"atlas=debug"``; ``"info"`` without one. May be called again.
    """
    level = (filter or "info").split(",")[0].split("=")[-1].strip().upper()
    logger = logging.getLogger("atlas")
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())
    known = getattr(logging, {"TRACE": "DEBUG", "OFF": "CRITICAL"}.get(level, level), None)
    logger.setLevel(known if isinstance(known, int) else logging.INFO)
