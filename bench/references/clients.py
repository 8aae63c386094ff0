"""Own the clients of servers that don't speak SimplePush: a connection as a bare protocol, and the two parts it plays.

What is said over it is ``mqtt`` and ``nchan``; what is measured is ``loads``. A WebSocket or a bare stream of bytes are
the same from above.
"""

import asyncio
from typing import Final, Protocol

from roskva.bench import wire
from roskva.bench.agents import FIRST_VERSION
from roskva.bench.crowd import Dialler
from roskva.bench.target import TargetError

BINARY: Final = 0x82

_HEAD_END: Final = b"\r\n\r\n"


class Client(asyncio.Protocol):
    """One connection; a subclass reads what comes by ``take``, and says where it is by ``arrive``."""

    __slots__ = ("_arrival", "_is_upgrading", "_is_websocket", "_rest", "_transport")

    first: int = wire.TEXT
    """The first byte of the messages that it sends, if it is a WebSocket."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._rest = b""
        self._is_websocket = self._is_upgrading = False

    @property
    def is_online(self) -> bool:
        """Tell whether the connection is open."""
        return self._transport is not None

    async def dial(self, dialler: Dialler, number: int, request: bytes | None) -> None:
        """Connect; ``request`` is the opening handshake of a WebSocket, None leaves a bare stream.

        Raises:
            OSError: Nobody listens.
            TargetError: It was refused.
        """
        self._is_websocket = self._is_upgrading = request is not None
        self._transport = await dialler.dial(self, number)
        if request is not None:
            await self.ask(request)

    async def ask(self, data: bytes) -> None:
        """Write, and wait until what comes is enough to ``arrive``."""
        assert self._transport is not None
        self._arrival = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        await self._arrival

    def arrive(self) -> None:
        """End what ``ask`` waits for."""
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def refuse(self, reason: str) -> None:
        """Fail what ``ask`` waits for, and hang up."""
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_exception(TargetError(reason))
        self.close()

    def frame(self, payload: bytes) -> bytes:
        """Spell a message as the connection needs it."""
        return wire.frame(payload, self.first) if self._is_websocket else payload

    def say(self, payload: bytes) -> None:
        """Send a message, if there is anybody to hear it."""
        if self._transport is not None:
            self._transport.write(self.frame(payload))

    def close(self) -> None:
        """Hang up."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def take(self, payload: bytes) -> None:
        """Read a message, or of a bare stream whatever came."""
        raise NotImplementedError

    # From the transport

    def data_received(self, data: bytes) -> None:
        """Take a read; first what is usual, one small frame."""
        if not self._is_websocket:
            self.take(data)
        elif not self._is_upgrading and not self._rest and _is_one_frame(data, self.first):
            self.take(data[2:])
        else:
            self._read(self._rest + data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Be offline."""
        self.refuse("the server closed a connection")

    def _read(self, data: bytes) -> None:
        if self._is_upgrading:
            head, end, data = data.partition(_HEAD_END)
            if not end:
                self._rest = head
                return
            if head[9:12] != b"101":
                self.refuse(f"a connection was answered {head[9:12].decode('latin-1')}")
                return
            self._is_upgrading = False
            self.arrive()
        messages, self._rest = wire.split_frames(data)
        for first, payload in messages:
            if first == wire.PING and self._transport is not None:
                self._transport.write(wire.pong(payload))
            elif first == self.first:
                self.take(payload)


def _is_one_frame(data: bytes, first: int) -> bool:
    """Tell whether a read is one whole frame, small and of this kind."""
    return data[0] == first and len(data) > 1 and data[1] == len(data) - 2 < 126


class Watcher(Protocol):
    """Who wants to know what a subscriber hears."""

    def on_heard(self, subscriber: "Subscriber", version: int) -> None:
        """Take news."""
        ...

    def on_answer(self, status: int) -> None:
        """Take the answer to what was published; 200 to 299 is good."""
        ...


class Subscriber(Client):
    """Who waits for news of one topic."""

    __slots__ = ("accepted", "duplicates", "heard", "newest", "topic", "watcher")

    def __init__(self, topic: str) -> None:
        super().__init__()
        self.topic = topic
        self.newest = FIRST_VERSION
        """The newest version that was published."""
        self.accepted = 0
        """The newest version that was answered well."""
        self.heard = 0
        """The newest version that came."""
        self.duplicates = 0
        self.watcher: Watcher | None = None

    async def greet(self, dialler: Dialler, number: int) -> None:
        """Connect, as far as can be without a subscription."""
        raise NotImplementedError

    async def subscribe(self, dialler: Dialler, number: int) -> None:
        """Go on until news can come; connect first if need be."""
        raise NotImplementedError

    def hear(self, version: int) -> None:
        """Take news."""
        if version <= self.heard:
            self.duplicates += 1
            return
        self.heard = version
        if self.watcher is not None:
            self.watcher.on_heard(self, version)


class Publisher(Client):
    """Who publishes, one version at a time."""

    __slots__ = ("watcher",)

    def __init__(self) -> None:
        super().__init__()
        self.watcher: Watcher | None = None

    async def open(self, dialler: Dialler, number: int) -> None:
        """Connect."""
        raise NotImplementedError

    def publish(self, topic: str, version: int) -> None:
        """Send a version of ten digits; the watcher is told the answer."""
        raise NotImplementedError

    def answer(self, status: int) -> None:
        """Tell the watcher."""
        if self.watcher is not None:
            self.watcher.on_answer(status)
