"""Own the node's limits (§11.4): what is counted, by whom, and when it is too much.

A limit of 0 is off, but for ``max_connections``. Memory is bounded by the traffic of one window, and an
idle agent costs nothing.
"""

import resource
import socket
from collections.abc import Collection, Hashable, Iterator
from typing import TypeVar

from roskva.config import Config

RESERVED_FILES = 256
"""Open files kept for the store, the private listener and the system."""

PUT_WINDOW = 10.0
"""Seconds over which PUTs are counted."""

UNFINISHED_PART = 4
"""One address may have this part of the unfinished connections: a quarter."""

_MAPPED = bytes(10) + b"\xff\xff"

T = TypeVar("T")


def address_key(address: str) -> str:
    """Return by what an address is counted: of IPv6 its /64, as one host has all of it; of IPv4 itself."""
    if ":" not in address:
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return address
    if packed.startswith(_MAPPED):  # a listener on :: sees IPv4 peers so
        return socket.inet_ntoa(packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8)) + "/64"


class Window:
    """A fixed window counter: at most ``limit`` for each key in ``seconds``."""

    __slots__ = ("_counts", "_ends_at", "_limit", "_seconds")

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._counts: dict[Hashable, int] = {}
        self._ends_at = 0.0

    def admit(self, key: Hashable, now: float) -> float:
        """Count one; returns 0.0 if it is admitted, else the seconds (above 0) until it would be."""
        if not self._limit:
            return 0.0
        if now >= self._ends_at:
            self._counts.clear()
            self._ends_at = now + self._seconds
        count = self._counts.get(key, 0)
        if count >= self._limit:
            return self._ends_at - now
        self._counts[key] = count + 1
        return 0.0


class Admission:
    """Admit so many hellos a second, and tell the others how long those refused before them will take."""

    __slots__ = ("_admitted", "_ends_at", "_limit", "_refused")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._admitted = 0
        self._refused = 0
        self._ends_at = 0.0

    def admit(self, now: float) -> float:
        """Count a hello; returns 0.0 if it is admitted, else the seconds (above 0) until it would be."""
        wait = self.wait(now)
        if not wait:
            self._admitted += 1
        return wait

    def wait(self, now: float) -> float:
        """Tell what ``admit`` would, and count a refusal alone: for whoever has yet to say hello.

        Each ``limit`` refused in one second make the wait of the next a second longer: a crowd is spread over the
        time that it takes to admit it, or nearly all of it would be refused again and again.
        """
        if not self._limit:
            return 0.0
        if now >= self._ends_at:
            self._admitted = self._refused = 0
            self._ends_at = now + 1.0
        if self._admitted < self._limit:
            return 0.0
        self._refused += 1
        return self._ends_at - now + (self._refused - 1) // self._limit


class Occupancy:
    """How many connections each address holds."""

    __slots__ = ("_counts", "_limit", "total")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}
        self.total = 0

    def enter(self, address: str) -> bool:
        """Count a connection in; False, and not counted, if the address holds too many."""
        if self._limit and self.count(address) >= self._limit:
            return False
        self.enter_freely(address)
        return True

    def enter_freely(self, address: str) -> None:
        """Count a connection in that no limit holds for, as a trusted proxy's."""
        key = address_key(address)
        self._counts[key] = self._counts.get(key, 0) + 1
        self.total += 1

    def leave(self, address: str) -> None:
        """Count a connection out that was counted in."""
        self.total -= 1
        key = address_key(address)
        count = self._counts[key] - 1
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]

    def count(self, address: str) -> int:
        """Return how many connections the address holds."""
        return self._counts.get(address_key(address), 0)


class Unfinished(Collection[T]):
    """The connections without a hello, and how many of them each address has."""

    __slots__ = ("_counts", "_keys")

    def __init__(self) -> None:
        self._keys: dict[T, str] = {}
        self._counts: dict[str, int] = {}

    def __contains__(self, item: object) -> bool:
        return item in self._keys

    def __iter__(self) -> Iterator[T]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, item: T, address: str) -> None:
        """Count a connection in, unless it is there already."""
        if item not in self._keys:
            key = self._keys[item] = address_key(address)
            self._counts[key] = self._counts.get(key, 0) + 1

    def discard(self, item: T) -> None:
        """Count a connection out, if it is there."""
        key = self._keys.pop(item, None)
        if key is not None:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]

    def count(self, address: str) -> int:
        """Return how many connections the address has."""
        return self._counts.get(address_key(address), 0)


class Limits:
    """All limits of one node."""

    def __init__(self, config: Config) -> None:
        self.max_connections = config.max_connections or _connections_of(_file_limit())
        self.connections = Occupancy(config.connections_per_ip)
        self.unfinished = config.unfinished_handshakes
        self.unfinished_of_one = -(-config.unfinished_handshakes // UNFINISHED_PART)
        """Of them, those of one address: a quarter, rounded up."""
        self.hellos = Admission(config.hellos_per_second)
        self.registers = Window(config.registers_per_minute, 60.0)
        self.puts_per_endpoint = Window(config.puts_per_endpoint, PUT_WINDOW)
        self.puts_per_ip = Window(config.puts_per_ip, PUT_WINDOW)
        self.lingering = 0
        """Connections that were answered for good and wait for their peer to hang up."""

    def linger(self) -> bool:
        """Count a lingering connection in, unless its file is needed; whoever lingered counts itself out."""
        if self.connections.total + self.lingering >= self.max_connections:
            return False
        self.lingering += 1
        return True


def _connections_of(files: int) -> int:
    """Leave room for other files; where there are few, half of them."""
    return max(files - RESERVED_FILES, files // 2)


def _file_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 2**31
