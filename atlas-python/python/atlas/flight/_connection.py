"""TLS, the login, and the headers of every call."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from atlas.errors import DeadlineError, InvalidArgumentError, UnauthenticatedError, UnavailableError
from atlas.flight._address import Address
from atlas.flight._arrow import flight, pyarrow
from atlas.flight._attend import attend
from atlas.errors import ServerError
from atlas.flight.errors import fail, translated

T = TypeVar("T")

_LOG = logging.getLogger("atlas.flight")

Headers = Sequence[tuple[bytes, bytes]]

# While calls run, the server is asked so often (ms) whether it is still there, and may take so long to say so: a machine
# that is gone closes no connection.
_OPTIONS = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 20_000)]


@dataclass(frozen=True, repr=False)
class Tls:
    """PEM: who vouches for the server (the system's authorities where it is None), and the client's own certificate."""

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None

    @classmethod
    def read(cls, ca: Pem | None, certificate: Pem | None, key: Pem | None) -> Tls:
        """Reads what is given as files.

        Raises:
            InvalidArgumentError: for a certificate without its key, or the other way round.
            FileNotFoundError: and other OSErrors, for files.
        """
        if (certificate is None) != (key is None):
            raise InvalidArgumentError("tls_cert and tls_key belong together: give both")
        return cls(_pem("tls_ca", ca), _pem("tls_cert", certificate), _pem("tls_key", key))


Pem = bytes | str | os.PathLike[str]


def _pem(name: str, given: Pem | None) -> bytes | None:
    if given is None or isinstance(given, bytes):
        content = given
    else:
        with open(given, "rb") as file:
            content = file.read()
    if content is not None and b"-----BEGIN" not in content:
        raise InvalidArgumentError(f"{name} is not PEM: it has no line -----BEGIN …")
    return content


class Connection:
    """Calls to one server, by any number of threads. A connection that is lost is made again with the next call."""

    def __init__(
        self,
        address: Address,
        *,
        tls: Tls,
        token: str | None,
        login: tuple[str, str] | None,
        timeout: float | None,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self._tls = tls
        self._login = login
        self._authorization: bytes | None = None
        if token is not None:
            self._authorization = b"Bearer " + _header_value("token", token)
        self._logins = 0
        self._cookie: bytes | None = None
        self._lock = threading.Lock()
        self._clients: dict[int, Any] = {}
        self._closed = False
        if login is not None:
            attend(lambda: self._log_in(0))

    @property
    def cookie(self) -> bytes | None:
        """The session that the server has set, as `name=value`."""
        return self._cookie

    def forget_cookie(self) -> None:
        """Lets the next session be a new one."""
        self._cookie = None

    def call(
        self,
        method: Callable[[Any, Any], T],
        *,
        headers: Headers = (),
        lane: int = 0,
        timeout: float | None = None,
        endless: bool = False,
    ) -> T:
        """What `method(client, options)` gives. Each lane is a TCP connection of its own. `endless` calls, streams, may
        take any time; others `timeout`, or else the connection's.

        Raises:
            AtlasError: what the call fails with. A login that has expired is made again, once.
        """
        limit = None if endless else (timeout if timeout is not None else self.timeout)
        return attend(lambda: self._call(method, headers, lane, limit))

    def _call(self, method: Callable[[Any, Any], T], headers: Headers, lane: int, limit: float | None) -> T:
        client = self._client(lane)
        logins = self._logins
        try:
            return method(client, self._options(headers, limit))
        except _FAILURES as error:
            found = translated(error)
            if isinstance(found, UnavailableError):
                self._forget(lane, client)
            if self._login is None or not isinstance(found, UnauthenticatedError):
                raise found from None
        _LOG.info("%s does not take the token any more: logging in again", self.address)
        # The token has expired, or the server that gave it was started again with another key.
        self._log_in(logins)
        try:
            return method(client, self._options(headers, limit))
        except _FAILURES as error:
            fail(error)

    def _options(self, headers: Headers, timeout: float | None) -> Any:
        sent = list(headers)
        if self._authorization is not None:
            sent.append((b"authorization", self._authorization))
        return flight.FlightCallOptions(timeout=timeout, headers=sent)

    def _log_in(self, logins: int) -> None:
        """Exchanges the password for a token, where nobody has since there were so many `logins`."""
        client = self._client(0)
        with self._lock:
            if self._logins != logins or self._login is None:
                return
            options = flight.FlightCallOptions(timeout=self.timeout)
            try:
                _, self._authorization = client.authenticate_basic_token(*self._login, options)
            except _FAILURES as error:
                found = translated(error)
                if isinstance(found, ServerError):
                    # Of a server that is not there, pyarrow says that it could not be written to; another call says why.
                    _reach(client, options)
                raise found from None
            self._logins += 1

    def _client(self, lane: int) -> Any:
        with self._lock:
            if self._closed:
                raise InvalidArgumentError("the client is closed")
            client = self._clients.get(lane)
            if client is None:
                client = self._clients[lane] = self._opened()
            return client

    def _forget(self, lane: int, client: Any) -> None:
        """Has the next call connect anew: gRPC would wait before it tries again, for up to two minutes."""
        with self._lock:
            if self._clients.get(lane) is client:
                del self._clients[lane]

    def _opened(self) -> Any:
        given: dict[str, Any] = {"middleware": [_Cookies(self)], "generic_options": _OPTIONS}
        if self.address.encrypted:
            tls = self._tls
            given |= {"tls_root_certs": tls.ca, "cert_chain": tls.certificate, "private_key": tls.key}
        try:
            return flight.FlightClient(self.address.location, **given)
        except _FAILURES as error:
            fail(error)

    def close(self) -> None:
        """Closes all lanes; later calls fail."""
        with self._lock:
            self._closed = True
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def __repr__(self) -> str:
        return f"Connection({self.address})"


def _reach(client: Any, options: Any) -> None:
    """Fails where the server is not there; whether it takes the call is all the same."""
    try:
        list(client.list_actions(options))
    except _FAILURES as error:
        found = translated(error)
        if isinstance(found, (UnavailableError, DeadlineError)):
            raise found from None


# What pyarrow's calls fail with. A value that it cannot send is a plain ValueError or TypeError, and stays one.
_FAILURES = (pyarrow.ArrowException, flight.FlightError)


def _header_value(name: str, value: str) -> bytes:
    if not isinstance(value, str) or not value or not all("!" <= character <= "~" for character in value):
        raise InvalidArgumentError(f"the {name} has characters that a header cannot hold, or none")
    return value.encode()


class _Cookies(flight.ClientMiddlewareFactory):  # type: ignore[misc]
    """Takes over the cookie of a session that the server sets."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def start_call(self, info: Any) -> Any:
        # Only actions set one.
        return _Cookie(self._connection) if info.method == flight.FlightMethod.DO_ACTION else None


class _Cookie(flight.ClientMiddleware):  # type: ignore[misc]
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def received_headers(self, headers: Mapping[str, Sequence[str]]) -> None:
        for cookie in headers.get("set-cookie", ()):
            # What follows is for browsers.
            self._connection._cookie = cookie.split(";")[0].strip().encode()
