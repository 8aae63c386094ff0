"""The server's reading of one agent's bytes without a socket: frames alone, or a whole connection."""

import asyncio
import dataclasses
import itertools
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from roskva.config import Config
from roskva.protocol.endpoint import Sealer
from roskva.protocol.frames import FrameReader, split_text
from roskva.protocol.session import Rules
from roskva.registry.courier import NoCourier
from roskva.registry.presence import Presence
from roskva.registry.registrar import Registrar
from roskva.server.clerk import Clerk
from roskva.server.connection import AgentConnection
from roskva.server.shell import Shell
from roskva.store.memory import MemoryStore
from roskva.testing import FakeClock
from roskva.types import NodeId, Uaid
from tests.kit.agent import Message
from tests.kit.node import KEY
from tests.kit.waiting import wait_until
from tests.kit.wire import CLOSE, TEXT, Frame, read_server_frames


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut bytes at these places, given in any order and beyond any end."""
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(at) if start < end]


def read_frames(*reads: bytes) -> tuple[list[bytes], list[Frame], bool]:
    """Read frames as a connection does.

    Returns: the payloads, what the reader answered (of Close frames the code alone), and whether one is kept.
    """
    payloads: list[bytes] = []
    output = b""
    reader: FrameReader | None = None
    for data in reads:
        rest = data
        if reader is None:
            whole, rest = split_text(data)
            payloads += whole
            if not rest:
                continue
            reader = FrameReader(0.0)
        payloads += reader.receive(rest, 0.0)
        output += reader.take_output()
        if reader.is_quiet:
            reader = None
    return payloads, without_reasons(read_server_frames(output)), reader is not None


def without_reasons(frames: list[Frame]) -> list[Frame]:
    """Leave of Close frames the code alone: their reasons are for people."""
    return [one._replace(payload=one.payload[:2]) if one.opcode == CLOSE else one for one in frames]


class FakeTransport(asyncio.Transport):
    """A transport that remembers what was written, and takes all of it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_ended = False
        """The server ended its side; nothing may be written any more."""
        self.is_gone = False

    def write(self, data: Any) -> None:
        assert not self.is_ended, data
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        assert not self.is_ended
        self.is_ended = True

    def close(self) -> None:
        self.is_gone = self.is_ended = True

    def abort(self) -> None:
        self.is_gone = self.is_ended = True

    def is_closing(self) -> bool:
        return self.is_gone

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


@dataclasses.dataclass
class Conversation:
    """One agent's connection, which reads from memory; make one within a running loop."""

    shell: Shell
    store: MemoryStore
    transport: FakeTransport
    connection: AgentConnection

    def receive(self, reads: Sequence[bytes]) -> None:
        """Let the connection read, all in one turn of the loop."""
        for data in reads:
            self.connection.data_received(data)

    async def settle(self) -> None:
        """Wait for the operations under way."""
        await wait_until(lambda: not self.shell.tasks)

    def frames(self) -> list[Frame]:
        """Return what the server sent."""
        return read_server_frames(self.transport.written)

    def messages(self) -> list[Message]:
        """Return the messages that the server sent."""
        return [json.loads(one.payload) for one in self.frames() if one.opcode == TEXT]


def begin(store: MemoryStore | None = None, **settings: Any) -> Conversation:
    """Begin a connection after its handshake; new UAIDs come in a fixed order."""
    store = store or MemoryStore()
    shell = Shell(Config(**settings), FakeClock(1000.0))
    number = itertools.count(1).__next__
    make_uaid: Callable[[], Uaid] = lambda: Uaid(uuid.UUID(int=number(), version=4).bytes)  # noqa: E731
    registrar = Registrar(
        NodeId("here"),
        store,
        Presence(),
        NoCourier(),
        make_uaid,
        channels_per_agent=shell.config.channels_per_agent,
        adopts=True,
    )
    shell.limits.connections.enter("peer")
    transport = FakeTransport()
    clerk = Clerk(shell, registrar, Sealer([KEY]), Rules())
    connection = AgentConnection(clerk, transport, "peer", "http://localhost")
    connection.start(b"")
    return Conversation(shell, store, transport, connection)
