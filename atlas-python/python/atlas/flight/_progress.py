"""How far a read has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

# `progress(done_bytes, total_bytes, done_rows, total_rows)`; totals are None where the server does not know them.
Callback = Callable[[int, "int | None", int, "int | None"], object]

_WIDTH = 30
_INTERVAL_SECONDS = 0.1


class Progress:
    """Tells a callback, or draws a bar on standard error; or does neither."""

    def __init__(self, asked: bool | Callback | None, total_bytes: int, total_rows: int) -> None:
        self._bar = asked is True
        self._callback = asked if callable(asked) else None
        self._totals = (total_bytes if total_bytes >= 0 else None, total_rows if total_rows >= 0 else None)
        self._begun = time.monotonic()
        self._drawn = 0.0

    @property
    def wanted(self) -> bool:
        """Whether anyone looks."""
        return self._bar or self._callback is not None

    def show(self, done_bytes: int, done_rows: int, last: bool = False) -> None:
        """Tells it; bars are drawn ten times a second, and at the end."""
        total_bytes, total_rows = self._totals
        if self._callback is not None:
            self._callback(done_bytes, total_bytes, done_rows, total_rows)
        now = time.monotonic()
        if self._bar and (last or now - self._drawn >= _INTERVAL_SECONDS):
            self._drawn = now
            line = _line(done_bytes, total_bytes, done_rows, total_rows, now - self._begun)
            print(f"\r{line}", end="\n" if last else "", file=sys.stderr, flush=True)


def _line(done_bytes: int, total_bytes: int | None, done_rows: int, total_rows: int | None, seconds: float) -> str:
    mib = done_bytes / 2**20
    speed = f"{mib / max(seconds, 1e-3):.0f} MiB/s"
    done, total = (done_rows, total_rows) if total_bytes is None else (done_bytes, total_bytes)
    if total is None:
        return f"{done_rows} rows, {mib:.1f} MiB, {speed}    "
    part = min(done / total, 1.0) if total else 1.0
    full = int(part * _WIDTH)
    size = f"{mib:.1f}" if total_bytes is None else f"{mib:.1f}/{total_bytes / 2**20:.1f}"
    return f"[{'#' * full}{'.' * (_WIDTH - full)}] {part:4.0%} {size} MiB, {speed}    "
