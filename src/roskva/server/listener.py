"""Own the listening sockets: addresses, socket options, TLS, and who reads a new connection first."""

import asyncio
import contextlib
import enum
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from roskva.errors import ConfigError

BACKLOG = 4096
"""Connections the kernel may hold for us: a restart brings all agents back at once."""

KEEP_ALIVE_SECONDS = 180
"""TCP keep-alive (§2.6)."""


class Sharing(enum.Enum):
    """Who else may listen on a port."""

    NONE = "none"
    RESERVED = "reserved"
    """The workers of whoever reserved it; among them the kernel spreads new connections."""


class Listener:
    """The sockets of one address and port."""

    def __init__(self, servers: list[asyncio.Server], port: int) -> None:
        self._servers = servers
        self.port = port
        """The bound port, also where 0 was asked for."""

    def close(self) -> None:
        """Accept no more."""
        for server in self._servers:
            server.close()


class Reservation:
    """A port that only this user's processes with ``Sharing.RESERVED`` can listen on, until it is closed."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        self.port: int = sockets[0].getsockname()[1]
        """The bound port, also where 0 was asked for."""

    def close(self) -> None:
        """Let others have the port."""
        for bound in self._sockets:
            bound.close()


async def listen(
    host: str,
    port: int,
    make: Callable[[], asyncio.Protocol],
    context: ssl.SSLContext | None = None,
    *,
    handshake_timeout: float = 30.0,
    sharing: Sharing = Sharing.NONE,
) -> Listener:
    """Bind every address of ``host`` and serve new connections with ``make``.

    Args:
        host: An address or a name; 0.0.0.0 is every address of IPv4, :: every address.
        port: 0 picks a free one.
        make: Called for each connection, with TLS after its handshake.
        context: Turns TLS on.
        handshake_timeout: Seconds a TLS handshake may take.
        sharing: Who else may listen there.

    Raises:
        ConfigError: The address can't be bound.
    """
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    patience = None if context is None else handshake_timeout
    sockets = await _bind_all(host, port, sharing)
    try:
        for bound in sockets:
            serving = loop.create_server(make, sock=bound, backlog=BACKLOG, ssl=context, ssl_handshake_timeout=patience)
            servers.append(await serving)
    except OSError as error:
        for server in servers:
            server.close()
        for bound in sockets[len(servers) :]:
            bound.close()
        raise _refused(host, port, error) from error
    return Listener(servers, sockets[0].getsockname()[1])


async def reserve(host: str, port: int) -> Reservation:
    """Bind every address of ``host`` without listening, for others to listen there with ``Sharing.RESERVED``.

    A socket that doesn't listen gets no connections.

    Args:
        host: As for ``listen``.
        port: 0 picks a free one.

    Raises:
        ConfigError: The address can't be bound.
    """
    sockets = await _bind_all(host, port, Sharing.NONE)
    for bound in sockets:
        # Only now: set before, a second server on a port that is listened on would be let in rather than refused.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return Reservation(sockets)


def load_tls(cert: Path, key: Path) -> ssl.SSLContext:
    """Make the context of a TLS listener.

    Raises:
        ConfigError: A file can't be read, or they don't fit each other.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, cert, key)
    return context


def load_certificate(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Read the certificate again, for connections accepted from now on.

    Raises:
        ConfigError: A file can't be read, or they don't fit each other.
    """
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"TLS certificate {cert} with key {key}: {error.strerror or error}") from error


async def _bind_all(host: str, port: int, sharing: Sharing) -> list[socket.socket]:
    """Bind every address of a host, all to the port that the first one gets."""
    sockets: list[socket.socket] = []
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for family, _, _, _, address in dict.fromkeys(addresses):
            sockets.append(_bind(family, (address[0], port, *address[2:]), sharing))
            port = sockets[0].getsockname()[1]
    except (OSError, UnicodeError) as error:  # UnicodeError: not a host name
        for bound in sockets:
            bound.close()
        raise _refused(host, port, error) from error
    return sockets


def _refused(host: str, port: int, error: OSError | UnicodeError) -> ConfigError:
    reason = getattr(error, "strerror", None) or error
    return ConfigError(f"can't listen on {host}:{port}: {reason}")


def _bind(family: int, address: tuple[str | int, ...], sharing: Sharing) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sharing is Sharing.RESERVED:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted sockets inherit these, which spares three calls a connection.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with contextlib.suppress(AttributeError):
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE_SECONDS)
        if family == socket.AF_INET6:
            # So that :: is every address, of IPv4 too.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.setblocking(False)  # noqa: FBT003
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound
