"""Own where a server is: the URL that the user gave, or that an endpoint has, resolved once."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from roskva.errors import ConfigError

_PORTS = {"ws": 80, "http": 80}


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address.

    Args:
        authority: host and port as the Host header has them.
        path: path and query.
        family: of its socket.
        host: its IP address.
        port: its port.
    """

    authority: str
    path: str
    family: int
    host: str
    port: int

    @property
    def socket_address(self) -> tuple[str, int]:
        """As ``connect`` takes it."""
        return self.host, self.port

    @property
    def is_local(self) -> bool:
        """Tell whether it is on the loopback network, where there are addresses to spare."""
        return ipaddress.ip_address(self.host) in ipaddress.ip_network("127.0.0.0/8")


def resolve(url: str) -> Address:
    """Read and resolve a URL of ``ws://`` or ``http://``.

    Raises:
        ConfigError: It is something else, or its host can't be found.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise ConfigError(f"not a URL that can be measured: {url[:80]!r}; ws://HOST:PORT/, without TLS") from None
    if not parts.hostname:
        raise ConfigError(f"a URL without a host: {url[:80]!r}")
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"{parts.hostname}: {error.strerror}") from error
    family, _, _, _, where = min(found, key=lambda each: each[0] != socket.AF_INET)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.netloc, path, family, str(where[0]), port)
