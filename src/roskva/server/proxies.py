"""Own what trusted proxies say of the client: X-Forwarded-* headers, and the PROXY protocol.

Only a peer in ``trusted_proxies`` is believed. The PROXY header (haproxy.org, proxy-protocol.txt §2)
is read here, as the packages for it bring sockets and loops of their own for these sixty lines.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import NamedTuple

from roskva.server.http import HttpConnection, peer_of
from roskva.server.shell import Shell
from roskva.state.deadlines import Bucket

_V1_MAX = 107
_V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_HEAD = 16
_V2_SIZES = {0x1: (socket.AF_INET, 4), 0x2: (socket.AF_INET6, 16)}


class Trust:
    """Which peers are proxies of ours."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)

    def trusts(self, address: str) -> bool:
        """Tell whether the address is a trusted proxy's."""
        if not self._networks:
            return False
        parsed = _parse_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client_of(self, peer: str, forwarded_for: bytes) -> str:
        """Return the client behind ``peer``: of X-Forwarded-For the last address that no trusted proxy has."""
        if not self._networks:
            return peer
        client = peer
        for hop in reversed(forwarded_for.decode("latin-1").split(",")):
            address = _parse_address(hop.strip())
            if not self.trusts(client) or address is None:
                break
            client = str(address)
        return client


class ProxyHeader(NamedTuple):
    """A whole PROXY header: the client's address (None: the proxy speaks for itself), and its size in bytes."""

    address: str | None
    size: int


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read a PROXY header, version 1 or 2, from the front of a stream; None: more bytes are needed.

    Raises:
        ValueError: This is no PROXY header.
    """
    if data.startswith(_V2_SIGNATURE[: len(data)]):
        return _read_v2(data) if len(data) >= _V2_HEAD else None
    line, end, _ = data[:_V1_MAX].partition(b"\r\n")
    if not line.startswith(b"PROXY"[: len(line)]) or (not end and len(data) >= _V1_MAX):
        raise ValueError("no PROXY header")
    return ProxyHeader(_read_v1(line.split(b" ")), len(line) + 2) if end else None


def _read_v1(words: list[bytes]) -> str | None:
    if words[:2] == [b"PROXY", b"UNKNOWN"]:
        return None
    if len(words) != 6 or words[0] != b"PROXY" or words[1] not in (b"TCP4", b"TCP6"):
        raise ValueError("malformed PROXY line")
    return str(ipaddress.ip_address(words[2].decode("ascii")))


def _read_v2(data: bytes) -> ProxyHeader | None:
    command, family, size = data[12], data[13] >> 4, _V2_HEAD + int.from_bytes(data[14:16], "big")
    if command not in (0x20, 0x21):
        raise ValueError("unknown PROXY command")
    if len(data) < size:
        return None
    if command == 0x20 or family not in _V2_SIZES:
        return ProxyHeader(None, size)
    kind, length = _V2_SIZES[family]
    if size < _V2_HEAD + 2 * length + 4:
        raise ValueError("PROXY header too short for its addresses")
    return ProxyHeader(socket.inet_ntop(kind, data[_V2_HEAD : _V2_HEAD + length]), size)


class ProxyConnection(asyncio.Protocol):
    """Reads a trusted peer's PROXY header, then hands the transport on; of others it reads none."""

    __slots__ = ("_data", "_make", "_shell", "_transport", "_trust", "bucket")

    def __init__(self, shell: Shell, trust: Trust, make: Callable[[str], HttpConnection]) -> None:
        self._shell = shell
        self._trust = trust
        self._make = make
        self._data = b""
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set before any other call
        self.bucket: Bucket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tell trusted peers from others."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports have no common base class
        peer = peer_of(transport)
        if self._trust.trusts(peer):
            self._shell.deadlines.set(self, self._shell.now() + self._shell.config.hello_timeout)
        else:
            self._hand_over(peer, b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go."""
        self._shell.deadlines.clear(self)

    def data_received(self, data: bytes) -> None:
        """Take a part of the header."""
        self._data += data
        try:
            header = read_proxy_header(self._data)
        except ValueError:
            self._shell.counts.refusals["proxy_header"] += 1
            self._transport.abort()
            return
        if header is not None:
            peer = header.address or peer_of(self._transport)
            self._hand_over(peer, self._data[header.size :])

    def on_deadline(self, now: float) -> None:
        """Drop a proxy that sends no header."""
        self._transport.abort()

    def _hand_over(self, peer: str, rest: bytes) -> None:
        self._shell.deadlines.clear(self)
        connection = self._make(peer)
        self._transport.set_protocol(connection)
        connection.connection_made(self._transport)
        if rest:
            connection.data_received(rest)


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A listener on :: sees IPv4 peers as ::ffff:a.b.c.d.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
