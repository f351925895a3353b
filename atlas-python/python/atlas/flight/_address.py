"""Where a server is."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from atlas.errors import InvalidArgumentError

_PLAIN = ("grpc://", "grpc+tcp://")
_ENCRYPTED = ("grpc+tls://", "grpcs://")


@dataclass(frozen=True)
class Address:
    """A server, and maybe one of its stores: `grpc://host:port`, `grpc+tls://host:port/store`."""

    authority: str
    encrypted: bool
    store: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads `grpc://host:port` (or `grpc+tcp://`), or with TLS `grpc+tls://host:port` (or `grpcs://`), each with the
        name of a store behind it or without.

        Raises:
            InvalidArgumentError: for other texts, and where a password stands in it: others see what stands in addresses.
        """
        if not isinstance(text, str):
            raise InvalidArgumentError(f"a server's address is a text like grpc://host:port, not {type(text).__name__}")
        scheme = next((scheme for scheme in _PLAIN + _ENCRYPTED if text.startswith(scheme)), None)
        if "@" in text:
            raise InvalidArgumentError("a server's address holds neither user nor password: use username= and password=")
        if scheme is None:
            raise InvalidArgumentError(f"{text}: a server is named by grpc://host:port or grpc+tls://host:port")
        authority, _, path = text[len(scheme) :].partition("/")
        host, _, port = authority.rpartition(":")
        store = path.removesuffix("/")
        if not host or not _is_port(port) or any(mark in store for mark in "/?#"):
            raise InvalidArgumentError(f"{text}: expected grpc://host:port or grpc://host:port/store")
        return cls(authority, scheme in _ENCRYPTED, _decoded(store) if store else None)

    @property
    def location(self) -> str:
        """The server as pyarrow names it."""
        return f"{'grpc+tls' if self.encrypted else 'grpc+tcp'}://{self.authority}"

    def __str__(self) -> str:
        return f"{'grpc+tls' if self.encrypted else 'grpc'}://{self.authority}"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < 1 << 16


def _decoded(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"{segment} is not the name of a store") from None
