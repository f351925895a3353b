"""The endpoints of a stacked read: several at a time, renewed before they expire, and again where a connection was lost."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from atlas.errors import AtlasError, CorruptError, UnavailableError
from atlas.flight import _wire
from atlas.flight._arrow import flight
from atlas.flight._attend import attend
from atlas.flight._connection import Connection
from atlas.flight._progress import Progress
from atlas.flight._stream import Stream

_LOG = logging.getLogger("atlas.flight")

# Reads below this go over one connection: others would cost more than they give.
_ONE_CONNECTION_BYTES = 8 << 20

_PROGRESS_SECONDS = 0.1

# `take(batch, at)`: the rows of the answer from `at` on. A row may be given twice, with the same cells.
Take = Callable[[Any, int], None]


class Patience:
    """Attempts at something that is the same when it is done again: eight in a row, for about 16 seconds."""

    _ATTEMPTS = 8
    _FIRST_SECONDS = 0.1
    _LONGEST_SECONDS = 5.0

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """After a success: all attempts are there again."""
        self._left, self._seconds = self._ATTEMPTS, self._FIRST_SECONDS

    def next_wait(self, error: AtlasError) -> float:
        """How long to wait before the next attempt.

        Raises:
            AtlasError: the error itself, where it is the server's own answer, or no attempt is left.
        """
        if not isinstance(error, UnavailableError) or self._left == 0:
            raise error
        wait, self._left = self._seconds, self._left - 1
        _LOG.info("%s; asked again in %.1f s", error, wait)
        self._seconds = min(self._seconds * 2, self._LONGEST_SECONDS)
        return wait


def patiently(call: Callable[[], Any]) -> Any:
    """What `call` gives, as soon as the server is there."""
    patience = Patience()
    while True:
        try:
            return call()
        except AtlasError as error:
            wait = patience.next_wait(error)
        attend(lambda: time.sleep(wait))


class Uneven(Exception):
    """The endpoints are not of the lengths that were taken for granted: their places have to be counted."""


@dataclass
class _Part:
    """An endpoint, where its rows belong, and how far it has been read."""

    endpoint: Any
    at: int | None
    rows: int | None
    renew_at: float
    given: int = 0


class Fetch:
    """One read of all endpoints of a FlightInfo."""

    def __init__(self, connection: Connection, info: Any, take: Take, streams: int) -> None:
        self._connection = connection
        self._take = take
        self._total: int = info.total_records
        # Parts are cut evenly. Should a server do otherwise, that shows, and they are read one after the other.
        parts, in_order = len(info.endpoints), streams == 0
        bounds = [part * self._total // parts for part in range(parts + 1)] if parts else []
        self._parts = deque(
            _Part(
                endpoint,
                None if in_order else bounds[number],
                None if in_order else bounds[number + 1] - bounds[number],
                _renewal(endpoint),
            )
            for number, endpoint in enumerate(info.endpoints)
        )
        self._workers = 1 if in_order else max(1, min(streams, parts))
        self._one_connection = 0 <= info.total_bytes < _ONE_CONNECTION_BYTES
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._running = 0
        self._streams: set[Stream] = set()
        self._error: BaseException | None = None
        self._bytes = self._rows = 0

    def run(self, progress: Progress) -> None:
        """Reads it all. Ctrl-C, and an error of the callback, end the calls at the server. After an error, batches that are
        on the way may still be given.

        Raises:
            AtlasError: what a call fails with, after the attempts that a lost connection is given.
            Uneven: see there.
        """
        self._running = self._workers
        try:
            for worker in range(self._workers):
                threading.Thread(target=self._work, args=(worker,), name="atlas-flight-read", daemon=True).start()
            while self._waits(_PROGRESS_SECONDS if progress.wanted else None):
                progress.show(self._bytes, self._rows)
        finally:
            self.stop()
        if self._error is not None:
            raise self._error
        if self._rows != self._total:
            raise CorruptError(f"the read ended after {self._rows} datasets, {self._total} were announced")
        progress.show(self._bytes, self._rows, last=True)

    def _waits(self, seconds: float | None) -> bool:
        """Waits for the end, or so long; whether there is more to come."""
        with self._changed:
            if self._running and self._error is None:
                self._changed.wait(seconds)
            return self._running > 0 and self._error is None

    def stop(self) -> None:
        """Ends the calls at the server; what has not come does not."""
        self._stopping.set()
        with self._changed:
            streams = list(self._streams)
        for stream in streams:
            stream.cancel()

    def _work(self, worker: int) -> None:
        error: BaseException | None = None
        try:
            at = 0
            while (part := self._next_part()) is not None:
                if part.at is None:
                    part.at = at
                self._read(part, 0 if self._one_connection else worker)
                at = part.at + part.given
        except BaseException as failure:
            error = failure
        with self._changed:
            self._running -= 1
            if error is not None and self._error is None:
                self._error = error
            self._changed.notify_all()

    def _next_part(self) -> _Part | None:
        with self._changed:
            return self._parts.popleft() if self._parts and not self._stopping.is_set() else None

    def _read(self, part: _Part, lane: int) -> None:
        patience = Patience()
        while not self._stopping.is_set():
            given = part.given
            try:
                self._attempt(part, lane)
                return
            except AtlasError as error:
                if self._stopping.is_set():
                    return
                if part.given > given:
                    patience.renew()
                wait = patience.next_wait(error)
            self._stopping.wait(wait)

    def _attempt(self, part: _Part, lane: int) -> None:
        """Reads a part from its first row on, and gives those that have not been given."""
        if time.monotonic() > part.renew_at:
            self._renew(part)
        stream = Stream(self._connection, part.endpoint.ticket, lane)
        with self._changed:
            self._streams.add(stream)
        try:
            passed = 0
            while not self._stopping.is_set() and (batch := stream.next()) is not None:
                new = batch.slice(min(max(part.given - passed, 0), batch.num_rows))
                passed += batch.num_rows
                if new.num_rows:
                    self._give(part, new)
            if not self._stopping.is_set() and (passed < part.given or passed != (part.rows or passed)):
                raise Uneven
        finally:
            with self._changed:
                self._streams.discard(stream)
            if self._stopping.is_set():
                stream.cancel()

    def _give(self, part: _Part, batch: Any) -> None:
        if part.rows is not None and part.given + batch.num_rows > part.rows:
            raise Uneven
        at = (part.at or 0) + part.given
        if at + batch.num_rows > self._total:
            raise CorruptError(f"more than the {self._total} datasets came that were announced")
        self._take(batch, at)
        part.given += batch.num_rows
        with self._changed:
            self._bytes += batch.nbytes
            self._rows += batch.num_rows

    def _renew(self, part: _Part) -> None:
        """A ticket that lives on: reads can take longer than tickets are good."""
        action = flight.Action("RenewFlightEndpoint", _wire.field(1, part.endpoint.serialize()))

        def act(client: Any, options: Any) -> bytes:
            return b"".join(result.body.to_pybytes() for result in client.do_action(action, options))

        part.endpoint = flight.FlightEndpoint.deserialize(self._connection.call(act))
        part.renew_at = _renewal(part.endpoint)


def _renewal(endpoint: Any) -> float:
    """When to renew it, by the monotonic clock: after half of its life."""
    expires = endpoint.expiration_time
    if expires is None:
        return float("inf")
    seconds = float(expires.value / 1e9 - time.time())
    return time.monotonic() + seconds / 2
