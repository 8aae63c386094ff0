"""Own what is examined, and with how much patience."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener is, as its URL says."""

    host: str
    port: int
    authority: str
    """As the Host header has it."""
    path: str
    """With the query."""
    is_tls: bool


def read_url(url: str, schemes: Sequence[str] = ("ws", "wss", "http", "https")) -> Address:
    """Read a URL.

    Raises:
        ValueError: It is none of these schemes, or has no host.
    """
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"not a URL of {' or '.join(schemes)}: {url[:100]!r}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    is_tls = parts.scheme in ("wss", "https")
    authority = parts.netloc.rpartition("@")[2]
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    return Address(parts.hostname, port, authority, path, is_tls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server, or the nodes of a cluster, and its settings as the protocol's defaults have them. Times are seconds.

    Args:
        urls: where agents connect; of several, connections take turns.
        http: replaces scheme, host and port of the endpoints; of several, requests take turns; empty: as given out.
        uuids_only: the server takes no other channelIDs: cases' names of channels are made UUIDs on the wire.
        verify: check the certificates of ``wss`` and ``https``.
        patience: how long something that must come may take.
        quiet: how long is listened for something that must not come.
        hello_timeout: how long the server waits for a hello (§3.8).
        ping_interval: after how much silence the server pings (§2.6).
        pong_timeout: how long it then waits (§2.6).
        resend_interval: after what an unacked update comes again (§8.3).
    """

    urls: tuple[str, ...]
    http: tuple[str, ...] = ()
    uuids_only: bool = False
    verify: bool = True
    patience: float = 10.0
    quiet: float = 0.5
    hello_timeout: float = 30.0
    ping_interval: float = 300.0
    pong_timeout: float = 30.0
    resend_interval: float = 60.0
