"""Own one agent of the load: several channels, a socket at some node, and another node when that one fails.

It does what a careful client does: it lists its channels at hello, acks what it hears, registers again what wasn't
answered, and comes back from whatever ends its connection. It remembers what it was promised.
"""

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import urlsplit

from roskva.bench import wire

FIRST_VERSION: Final = 1_000_000_000
"""Ten digits, as ``wire.Put`` wants them."""

PATIENCE: Final = 6.0
"""Seconds an agent waits for a reply, or for the answer to a ping, before it goes elsewhere."""

PING_INTERVAL: Final = 5.0
BACKOFF: Final = (0.1, 2.0)
"""Seconds to the next try at most, after the first failure and ever."""

_PING: Final = wire.frame(b"", wire.PING)
_NAME: Final = re.compile(rb'"channelID"\s*:\s*"([^"]*)"')


@dataclass(slots=True, eq=False)
class Channel:
    """What is known of one channel; versions are 0 before there are any."""

    name: bytes
    agent: "Agent"
    put: wire.Put | None = None
    """Set when its register was answered."""
    path: str = ""
    newest: int = FIRST_VERSION
    """The highest version sent."""
    accepted: int = 0
    """The highest that was answered 2xx."""
    accepted_at: float = 0.0
    """When the oldest of those was accepted that the agent doesn't know yet."""
    accepted_by: int = -1
    heard: int = 0
    is_busy: bool = False
    """A PUT is under way."""

    @property
    def is_stale(self) -> bool:
        """Tell whether its agent doesn't know what was accepted."""
        return self.heard < self.accepted


@dataclass
class Tally:
    """What a crowd has seen since it was looked at last."""

    scheduled: int = 0
    """PUTs of the load that were due; each is in one of the next four."""
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    unanswered: int = 0
    unsent: int = 0
    last_rejected: float | None = None
    """Seconds from the beginning of the fault to the last 503."""
    delivered: int = 0
    duplicates: int = 0
    fell: int = 0
    registered: int = 0
    renewed: int = 0
    gone: int = 0
    endings: dict[str, int] = field(default_factory=dict)
    worst_delay: float = 0.0
    notes: list[str] = field(default_factory=list)

    def end(self, why: str) -> None:
        """Count the end of a connection."""
        self.endings[why] = self.endings.get(why, 0) + 1

    def note(self, text: str) -> None:
        """Keep a line for whoever looks for the reason."""
        if len(self.notes) < 20:
            self.notes.append(text)


class Crowd(Protocol):
    """What agents share."""

    tally: Tally
    ports: list[int]


class Agent:
    """One agent, which outlives its connections.

    Args:
        number: tells it apart; the odd ones ping.
        crowd: shared.
        names: of the channels that it registers at first.
    """

    def __init__(self, number: int, crowd: Crowd, names: list[bytes]) -> None:
        self.number = number
        self.crowd = crowd
        self.channels = {name: Channel(name, self) for name in names}
        self.uaid = b""
        self.node = -1
        self.socket: Socket | None = None
        self._failures = 0
        self._was_told: list[str] = []

    @property
    def is_ready(self) -> bool:
        """Tell whether it is greeted, and every channel registered."""
        return self.socket is not None and self.socket.is_greeted and all(c.put for c in self.channels.values())

    def connect(self, elsewhere: int = -1) -> None:
        """Go to a random node, another than ``elsewhere``."""
        self.node = random.choice([node for node in range(len(self.crowd.ports)) if node != elsewhere])
        self.socket = Socket(self)
        self.socket.open(self.crowd.ports[self.node])

    def leave(self) -> None:
        """Hang up without a word, and come back at once, anywhere."""
        if self.socket is not None:
            self.socket.drop("left")

    def close(self) -> None:
        """Hang up, and stay away."""
        socket, self.socket = self.socket, None
        if socket is not None:
            socket.drop("closed")

    def register(self, name: bytes) -> None:
        """Add a channel."""
        self.channels[name] = Channel(name, self)
        if self.socket is not None and self.socket.is_greeted:
            self.socket.send(wire.register(name))

    # From the socket

    def ended(self, socket: "Socket", why: str) -> None:
        """Come back: at once if it was its own wish, else somewhere else after a while."""
        if socket is not self.socket:
            return
        self.crowd.tally.end(why)
        self.socket = None
        if why == "left":
            self._later(0.0, -1)
            return
        self._failures += 1
        first, cap = BACKOFF
        self._later(random.random() * min(cap, first * 2.0**self._failures), self.node)

    def greeted(self, uaid: bytes) -> None:
        """Take the UAID; a new one means that all channels must be registered again."""
        self._failures = 0
        tally = self.crowd.tally
        if self.uaid and uaid != self.uaid:
            tally.renewed += 1
            tally.note(f"agent {self.number} got a new UAID at node {self.node}")
            for channel in self.channels.values():
                channel.put, channel.accepted, channel.heard = None, 0, 0
        self.uaid = uaid
        assert self.socket is not None
        for channel in self.channels.values():
            if channel.put is None:
                self.socket.send(wire.register(channel.name))

    def registered(self, payload: bytes) -> None:
        """Take a register's reply; one that failed is repeated."""
        named, endpoint = _NAME.search(payload), wire.read_endpoint(payload)
        assert named is not None, payload
        channel = self.channels[named[1]]
        if endpoint is None:
            self.crowd.tally.end("register failed")
            asyncio.get_running_loop().call_later(1.0, self._register_again, channel)
            return
        if channel.put is None:
            self.crowd.tally.registered += 1
        parts = urlsplit(endpoint)
        channel.path = parts.path
        channel.put = wire.make_put(parts.netloc, parts.path)

    def heard(self, name: bytes, version: int) -> None:
        """Take an update."""
        tally, channel = self.crowd.tally, self.channels.get(name)
        if channel is None:
            tally.note(f"agent {self.number} heard of a channel that it doesn't have")
            return
        if version < channel.heard:
            tally.fell += 1
            tally.note(f"agent {self.number} heard {version} after {channel.heard}, at node {self.node}")
        elif version == channel.heard:
            tally.duplicates += 1
        else:
            was_stale = channel.is_stale
            channel.heard = version
            tally.delivered += 1
            if was_stale and not channel.is_stale:
                tally.worst_delay = max(tally.worst_delay, time.monotonic() - channel.accepted_at)

    def _register_again(self, channel: Channel) -> None:
        if channel.put is None and self.socket is not None and self.socket.is_greeted:
            self.socket.send(wire.register(channel.name))

    def _later(self, seconds: float, elsewhere: int) -> None:
        asyncio.get_running_loop().call_later(seconds, self.connect, elsewhere)


class Socket(asyncio.Protocol):
    """One connection of an agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._rest = b""
        self._is_upgraded = False
        self._is_over = False
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self.is_greeted = False

    def open(self, port: int) -> None:
        """Connect."""
        self._task = asyncio.create_task(self._open(port))

    async def _open(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(PATIENCE, self.drop, "no answer to hello")
        try:
            await loop.create_connection(lambda: self, "127.0.0.1", port)
        except OSError:
            self.drop("refused")

    def send(self, data: bytes) -> None:
        """Send."""
        if self._transport is not None:
            self._transport.write(data)

    def drop(self, why: str) -> None:
        """Hang up."""
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._agent.ended(self, why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self._transport = transport  # type: ignore[assignment]
        if self._is_over:
            self._transport.abort()  # type: ignore[union-attr]
            return
        self.send(wire.handshake("127.0.0.1", "/"))

    def data_received(self, data: bytes) -> None:
        """Take a read."""
        if self._is_over:
            return
        self._heard_at = time.monotonic()
        data = self._rest + data
        if not self._is_upgraded:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._rest = data
                return
            if data[9:12] != b"101":
                self.drop(f"handshake {data[9:12].decode()}")
                return
            self._is_upgraded = True
            agent = self._agent
            self.send(_hello(agent.uaid, [channel.name for channel in agent.channels.values() if channel.put]))
            data = data[end + 4 :]
        messages, self._rest = wire.split_frames(data)
        for first, payload in messages:
            self._take(first, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell."""
        self.drop("ended")

    def _take(self, first: int, payload: bytes) -> None:
        if self._is_over:
            return
        if first == wire.PING:
            self.send(wire.pong(payload))
        elif first == wire.CLOSE:
            self.drop(f"closed {int.from_bytes(payload[:2], 'big')}")
        elif first == wire.TEXT:
            self._read(payload)

    def _read(self, payload: bytes) -> None:
        updates = wire.read_updates(payload)
        for name, version in updates:
            self.send(wire.ack(name, version))
            self._agent.heard(name, version)
        if updates:
            return
        if b'"register"' in payload:
            self._agent.registered(payload)
        elif not self.is_greeted:
            uaid = wire.read_uaid(payload)
            if uaid is None:
                self.drop("hello refused")
                return
            self.is_greeted = True
            assert self._timer is not None
            self._timer.cancel()
            if self._agent.number % 2:
                self._ping_later()
            self._agent.greeted(uaid)

    def _ping_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PING_INTERVAL * (0.5 + random.random()), self._ping)

    def _ping(self) -> None:
        self.send(_PING)
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._judge, time.monotonic())

    def _judge(self, pinged_at: float) -> None:
        if self._heard_at < pinged_at:
            self.drop("no answer to a ping")
        else:
            self._ping_later()


def _hello(uaid: bytes, names: list[bytes]) -> bytes:
    listed = b",".join(b'"%s"' % name for name in names)
    return wire.frame(b'{"messageType":"hello","uaid":"%s","channelIDs":[%s]}' % (uaid, listed))
