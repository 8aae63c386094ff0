"""Own the node's limits (§11.4): what is counted, by whom, and when it is too much.

A limit of 0 is off. Memory is bounded by the traffic of one window, and an idle agent costs nothing.
"""

import resource
from collections.abc import Hashable

from roskva.config import Config

RESERVED_FILES = 256
"""Open files kept for the store, the private listener and the system."""

PUT_WINDOW = 10.0
"""Seconds over which PUTs are counted."""


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


class Occupancy:
    """How many connections each address holds."""

    __slots__ = ("_counts", "_limit", "total")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}
        self.total = 0

    def enter(self, address: str) -> bool:
        """Count a connection in; False, and not counted, if the address holds too many."""
        count = self._counts.get(address, 0)
        if self._limit and count >= self._limit:
            return False
        self.enter_freely(address)
        return True

    def enter_freely(self, address: str) -> None:
        """Count a connection in that no limit holds for, as a trusted proxy's."""
        self._counts[address] = self._counts.get(address, 0) + 1
        self.total += 1

    def leave(self, address: str) -> None:
        """Count a connection out that was counted in."""
        self.total -= 1
        count = self._counts[address] - 1
        if count:
            self._counts[address] = count
        else:
            del self._counts[address]


class Limits:
    """All limits of one node."""

    def __init__(self, config: Config) -> None:
        self.max_connections = config.max_connections or _connections_of(_file_limit())
        self.connections = Occupancy(config.connections_per_ip)
        self.hellos = Window(config.hellos_per_second, 1.0)
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
