"""Own one simulated agent: a WebSocket as a bare protocol, that answers and acks as fast as it can."""

import asyncio
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol
from urllib.parse import urlsplit

from roskva.bench import wire

FIRST_VERSION = 1_000_000_000
"""What versions count from: ten digits, so that every PUT of an endpoint is as long as the others."""


class Phase(IntEnum):
    """How far an agent is."""

    OFFLINE = 0
    UPGRADING = 1
    GREETING = 2
    GREETED = 3
    REGISTERING = 4
    READY = 5


class Watcher(Protocol):
    """Who wants to know what an agent hears."""

    def on_heard(self, agent: "Agent", version: int, at: int) -> None:
        """Take news; ``at`` is in monotonic nanoseconds."""
        ...


class Opening(Protocol):
    """Who brings an agent online."""

    def on_open(self, agent: "Agent") -> None:
        """Take note that the agent is where it should be."""
        ...

    def on_failed(self, agent: "Agent", reason: str) -> None:
        """Take note that the connection ended, or will, before that."""
        ...

    def on_left(self, agent: "Agent") -> None:
        """Take note that the agent has gone, as it was told to."""
        ...


@dataclass
class Tally:
    """What the agents of one worker have seen."""

    heard: int = 0
    duplicates: int = 0
    strangers: int = 0
    pings: int = 0
    dropped: int = 0
    renewed: int = 0
    acks: bool = True
    """Whether the agents ack what they hear."""


class Agent(asyncio.Protocol):
    """One agent with one channel; it outlives its connections.

    Args:
        channel: its channelID.
        tally: shared by the worker's agents.
    """

    __slots__ = (
        "_rest", "_tally", "_transport", "accepted", "channel", "endpoint", "goal", "heard", "newest", "opening",
        "phase", "put", "uaid", "watcher",
    )  # fmt: skip

    def __init__(self, channel: bytes, tally: Tally) -> None:
        self._tally = tally
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set before any other call
        self._rest = b""  # the beginning of a message
        self.channel = channel
        self.uaid = b""
        self.endpoint = ""
        self.put = wire.Put(b"")
        self.phase = Phase.OFFLINE
        self.goal = Phase.READY
        """Where opening ends: ``GREETED`` or ``READY``."""
        self.newest = FIRST_VERSION
        """The newest version that was PUT."""
        self.accepted = 0
        """The newest version that was answered 2xx."""
        self.heard = 0
        """The newest version that it was notified of."""
        self.opening: Opening | None = None
        self.watcher: Watcher | None = None

    @property
    def is_stale(self) -> bool:
        """Tell whether it doesn't know the newest accepted version."""
        return self.heard < self.accepted

    def begin(self, request: bytes, transport: asyncio.Transport) -> None:
        """Begin a conversation on a new connection."""
        self._transport = transport
        self._rest = b""
        self.phase = Phase.UPGRADING
        transport.write(request)

    def register(self) -> None:
        """Ask for the channel's endpoint."""
        self.phase = Phase.REGISTERING
        self._transport.write(wire.register(self.channel))

    def leave(self, opening: Opening) -> None:
        """Hang up without a Close frame, as agents do whose network goes, and come back by ``opening``."""
        self.phase = Phase.OFFLINE
        self.opening = opening
        self._transport.close()

    def abort(self) -> None:
        """Give the connection up."""
        self._transport.abort()

    # From the transport

    def data_received(self, data: bytes) -> None:
        """Take a read; first what is usual, one small frame with one update."""
        size = len(data) - 2
        is_usual = self.phase is Phase.READY and not self._rest and 0 <= size < 126
        if is_usual and data[0] == wire.TEXT and data[1] == size:
            version = wire.read_update(data, self.channel)
            if version is not None:
                self._hear(version)
                return
        try:
            self._read(self._rest + data)
        except (wire.WireError, ValueError):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Be offline; nobody was told to leave if the phase says otherwise."""
        phase, self.phase = self.phase, Phase.OFFLINE
        opening, self.opening = self.opening, None
        if opening is not None and phase is Phase.OFFLINE:
            opening.on_left(self)
        elif opening is not None:
            opening.on_failed(self, f"closed while {phase.name.lower()}")
        elif phase is not Phase.OFFLINE:
            self._tally.dropped += 1

    # Within

    def _read(self, data: bytes) -> None:
        if self.phase is Phase.UPGRADING:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._rest = data
                return
            if data[9:12] != b"101":
                self._refuse(f"answered {data[9:12].decode('latin-1')}")
                return
            self.phase = Phase.GREETING
            self._transport.write(wire.hello(self.uaid, self.channel if self.uaid and self.endpoint else None))
            data = data[end + 4 :]
        messages, self._rest = wire.split_frames(data)
        for first, payload in messages:
            self._take(first, payload)

    def _take(self, first: int, payload: bytes) -> None:
        if first == wire.PING:
            self._tally.pings += 1
            self._transport.write(wire.pong(payload))
        elif first == wire.CLOSE:
            code = int.from_bytes(payload[:2], "big")
            self._refuse(f"closed with {code} while {self.phase.name.lower()}")
        elif first == wire.TEXT:
            self._take_text(payload)

    def _take_text(self, payload: bytes) -> None:
        updates = wire.read_updates(payload)
        for channel, version in updates:
            if channel.lower() == self.channel:
                self._hear(version)
            else:
                self._tally.strangers += 1
        if updates:
            return
        if self.phase is Phase.GREETING:
            self._greet(wire.read_uaid(payload), payload)
        elif self.phase is Phase.REGISTERING:
            endpoint = wire.read_endpoint(payload)
            if endpoint is None:
                self._refuse(f"register answered {payload[:200].decode('latin-1')}")
            else:
                self._take_endpoint(endpoint)
                self._arrive(Phase.READY)

    def _take_endpoint(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self.endpoint = endpoint
        self.put = wire.make_put(parts.netloc, parts.path + (f"?{parts.query}" if parts.query else ""))

    def _greet(self, uaid: bytes | None, payload: bytes) -> None:
        if uaid is None:
            self._refuse(f"hello answered {payload[:200].decode('latin-1')}")
            return
        if self.uaid and uaid != self.uaid:
            self._tally.renewed += 1
            self.endpoint = ""
        self.uaid = uaid
        if self.endpoint:
            self._arrive(Phase.READY)
        elif self.goal is Phase.READY:
            self.register()
        else:
            self._arrive(Phase.GREETED)

    def _arrive(self, phase: Phase) -> None:
        self.phase = phase
        opening, self.opening = self.opening, None
        if opening is not None:
            opening.on_open(self)

    def _refuse(self, reason: str) -> None:
        opening, self.opening = self.opening, None
        if opening is not None:
            self.phase = Phase.OFFLINE
            opening.on_failed(self, reason)
        self._transport.abort()

    def _hear(self, version: int) -> None:
        tally = self._tally
        tally.heard += 1
        if tally.acks:
            self._transport.write(wire.ack(self.channel, version))
        if version <= self.heard:
            tally.duplicates += 1
            return
        self.heard = version
        if self.watcher is not None:
            self.watcher.on_heard(self, version, time.monotonic_ns())
