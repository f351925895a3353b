"""A stream that is read in a thread of its own, a little ahead of who takes from it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from atlas.flight._connection import Connection
from atlas.flight._stream import Stream

# Batches that wait to be taken.
_AHEAD = 2


class Ahead:
    """The batches of one DoGet. Waiting for one can be interrupted, and `close` ends the call at the server."""

    def __init__(self, connection: Connection, ticket: Any) -> None:
        self._connection = connection
        self._ticket = ticket
        self._stream: Stream | None = None
        self._ready: deque[Any] = deque()
        self._error: BaseException | None = None
        self._ended = self._closed = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="atlas-flight-stream", daemon=True).start()

    def next(self) -> Any | None:
        """The next batch; None at the end.

        Raises:
            AtlasError: what the call fails with.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended)
            if self._ready:
                self._changed.notify_all()
                return self._ready.popleft()
            if self._error is not None:
                raise self._error
            return None

    def close(self) -> None:
        """Ends the call; nothing comes any more."""
        with self._changed:
            self._closed = self._ended = True
            self._ready.clear()
            stream = self._stream
            self._changed.notify_all()
        if stream is not None:
            stream.cancel()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            stream = Stream(self._connection, self._ticket)
            with self._changed:
                self._stream = stream
                closed = self._closed
            if closed:
                stream.cancel()
                return
            while (batch := stream.next()) is not None and self._give(batch):
                pass
        except BaseException as failure:
            error = failure
        finally:
            with self._changed:
                self._error, self._ended, self._stream = error, True, None
                self._changed.notify_all()

    def _give(self, batch: Any) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < _AHEAD or self._closed)
            if not self._closed:
                self._ready.append(batch)
                self._changed.notify_all()
            return not self._closed
