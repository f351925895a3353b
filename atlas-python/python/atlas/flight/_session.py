"""The store that SQL means by tables without one, which the server keeps as an option of a session."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from atlas.errors import NotFoundError, StoreNotFoundError
from atlas.flight import _wire
from atlas.flight._arrow import flight
from atlas.flight._connection import Connection, Headers

T = TypeVar("T")

# What a server says that has forgotten a session, or is another one than before.
_FORGOTTEN = "the session is not known here"


class Session:
    """A store as the default of the queries of one client."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._store: str | None = None
        self._begun = False
        self._lock = threading.Lock()

    def default_store(self) -> str | None:
        """The store that the server takes where none is named; None where the user may read none."""
        for number, entry in _wire.fields(self._action("GetSessionOptions")):
            if number == 1 and _wire.last(entry, 1) == b"schema":
                return _wire.last(_wire.last(entry, 2), 1).decode() or None
        return None

    def use(self, store: str | None) -> None:
        """Makes it the default of the queries to come; the server hears of it with the first."""
        self._store = store

    def within(self, call: Callable[[Headers], T]) -> T:
        """What `call` gives with the headers of the session. One that the server has forgotten is begun anew."""
        if self._store is None:
            return call(())
        headers = self._headers()
        try:
            return call(headers)
        except NotFoundError as error:
            if _FORGOTTEN not in str(error):
                raise
        with self._lock:
            self._begun = False
        return call(self._headers())

    def begin(self) -> None:
        """Tells the server now.

        Raises:
            StoreNotFoundError: where it serves no such store to this user.
        """
        self._headers()

    def _headers(self) -> Headers:
        with self._lock:
            if not self._begun and self._store is not None:
                self._connection.forget_cookie()
                option = _wire.field(1, "schema") + _wire.field(2, _wire.field(1, self._store))
                refused = self._action("SetSessionOptions", _wire.field(1, option))
                if refused:
                    raise StoreNotFoundError(f"no such store: {self._store}")
                self._begun = True
            cookie = self._connection.cookie
        return [(b"cookie", cookie)] if cookie else []

    def _action(self, name: str, body: bytes = b"") -> bytes:
        def act(client: Any, options: Any) -> list[bytes]:
            return [result.body.to_pybytes() for result in client.do_action(flight.Action(name, body), options)]

        return b"".join(self._connection.call(act))
