"""Own the network between a node and Valkey: a proxy for each Valkey process, which can be cut.

Each node has a loopback address of its own, where every Valkey process has its usual port. Valkey announces
no host (``cluster-preferred-endpoint-type unknown-endpoint``), so whoever it redirects stays on the host that
it asked: its own links. No privileges are needed.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, cast

REAL_HOST: Final = "127.0.0.1"
"""Where the Valkey processes listen."""


class _End(asyncio.Protocol):
    """One socket of a pair; what it reads goes to the other."""

    def __init__(self, link: "Link", other: "_End | None" = None) -> None:
        self._link = link
        self._task: asyncio.Task[object] | None = None
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []  # read before the other socket was open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the other socket, if this one came from a node."""
        self.transport = cast("asyncio.Transport", transport)
        self._link.ends.add(self)
        if self.other is None:
            self.other = _End(self._link, self)
            if not self._link.is_silent:
                self.dial()
        else:
            for data in self.other.waiting:
                self.transport.write(data)
            self.other.waiting.clear()
        if self._link.is_silent:
            self.transport.pause_reading()

    def dial(self) -> None:
        """Connect to the real one."""
        self._task = asyncio.create_task(self._dial())

    async def _dial(self) -> None:
        other = self.other
        assert other is not None
        try:
            await asyncio.get_running_loop().create_connection(lambda: other, REAL_HOST, self._link.port)
        except OSError:
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Carry."""
        assert self.other is not None
        if self.other.transport is None:
            self.waiting.append(data)
        elif not self.other.transport.is_closing():
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hang up at the other side too; what was read is still carried."""
        self._link.ends.discard(self)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def abort(self) -> None:
        """Hang up at once."""
        if self.transport is not None:
            self.transport.abort()

    def resume(self) -> None:
        """Carry on."""
        assert self.transport is not None
        self.transport.resume_reading()
        if self.other is not None and self.other.transport is None and self._task is None:
            self.dial()


class Link:
    """The way to one Valkey process."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.is_silent = False
        self.ends: set[_End] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self), self.host, self.port)

    def silence(self) -> None:
        """Carry nothing and say nothing: cables are pulled."""
        self.is_silent = True
        for end in self.ends:
            if end.transport is not None:
                end.transport.pause_reading()

    def reset(self) -> None:
        """End every connection, as a firewall does that restarts."""
        for end in list(self.ends):
            end.abort()

    def mend(self) -> None:
        """Carry on, what was sent meanwhile first: TCP repeats it."""
        self.is_silent = False
        for end in list(self.ends):
            end.resume()

    def close(self) -> None:
        """Listen no more."""
        self.reset()
        if self._server is not None:
            self._server.close()


class Network:
    """All ways of one node, at a loopback address of its own."""

    def __init__(self, host: str, ports: Sequence[int]) -> None:
        self.links = {port: Link(host, port) for port in ports}
        self.store_url = "valkey://" + ",".join(f"{host}:{port}" for port in ports)

    async def open(self) -> None:
        """Listen."""
        for link in self.links.values():
            await link.open()

    def silence(self) -> None:
        """Pull every cable."""
        for link in self.links.values():
            link.silence()

    def reset(self) -> None:
        """End every connection."""
        for link in self.links.values():
            link.reset()

    def mend(self) -> None:
        """Put the cables back."""
        for link in self.links.values():
            link.mend()

    def close(self) -> None:
        """Listen no more."""
        for link in self.links.values():
            link.close()
