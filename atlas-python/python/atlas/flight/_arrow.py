"""pyarrow, which only the Flight client needs."""

from __future__ import annotations

try:
    import pyarrow
    import pyarrow.flight as flight
except ImportError as error:
    raise ImportError(f'atlas.connect needs pyarrow: pip install "atlas-python[flight]" ({error})') from error

__all__ = ["flight", "pyarrow"]
