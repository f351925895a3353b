"""Stores on a server, over Arrow Flight: SQL, stacked reads, whole datasets.

`connect` needs pyarrow (`pip install "atlas-python[flight]"`), which is imported with the first call.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from atlas.errors import InvalidArgumentError

if TYPE_CHECKING:
    from atlas.flight.client import Client

__all__ = ["Client", "connect"]


def connect(
    uri: str,
    *,
    token: str | None = None,
    username: str | None = None,
    password: str | None = None,
    tls_ca: bytes | str | os.PathLike[str] | None = None,
    tls_cert: bytes | str | os.PathLike[str] | None = None,
    tls_key: bytes | str | os.PathLike[str] | None = None,
    store: str | None = None,
    timeout: float | None = None,
    streams: int = 4,
) -> Client:
    """Connects to an Atlas server.

    Args:
        uri: `grpc://host:port`, or with TLS `grpc+tls://host:port`, each with `/STORE` behind it or without.
        token: A token, sent with every call.
        username, password: A login: the client exchanges it for a token that expires, and does so again when it has.
        tls_ca: The certificates that vouch for the server: a file, or PEM as bytes. The system's unless it is said.
        tls_cert, tls_key: The client's own certificate and its key, for a server that asks for one; as `tls_ca`.
        store: The store that calls mean which name none, in place of `/STORE`; the server's first unless it is said.
        timeout: Seconds that a call may take: to log in, to plan a query or read, to run an action. Results that are read
            as they come may take any time. None: no limit but the server's.
        streams: How many endpoints of a stacked read come at a time, each over a connection of its own.

    Returns:
        A client whose login and store the server has accepted.

    Raises:
        InvalidArgumentError: for an address or a combination of arguments that is none.
        UnavailableError: where the server is not reached, or not trusted.
        UnauthenticatedError: for a login or token that it does not take.
        StoreNotFoundError: for a store that it does not serve to this user.
        ImportError: without pyarrow.

    Passwords and tokens are in no `repr` and no error.
    """
    from atlas.flight._address import Address
    from atlas.flight._connection import Connection, Tls
    from atlas.flight._stacked import positive
    from atlas.flight.client import Client

    address = Address.parse(uri)
    if (username is None) != (password is None):
        raise InvalidArgumentError("username and password belong together: give both")
    if token is not None and username is not None:
        raise InvalidArgumentError("a token and a login are two: give one of them")
    if store is not None and address.store not in (None, store):
        raise InvalidArgumentError(f"the address names store {address.store}, and store is {store}")
    if not address.encrypted and not (tls_ca is tls_cert is tls_key is None):
        raise InvalidArgumentError(f"{address} is not encrypted: with certificates it is grpc+tls://…")
    login = None if username is None or password is None else (username, password)
    tls = Tls.read(tls_ca, tls_cert, tls_key)
    positive("streams", streams)
    connection = Connection(address, tls=tls, token=token, login=login, timeout=timeout)
    try:
        return Client(address, connection, store or address.store, streams)
    except BaseException:
        connection.close()
        raise


def __getattr__(name: str) -> Any:
    if name == "Client":
        from atlas.flight.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
