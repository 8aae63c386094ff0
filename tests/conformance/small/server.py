"""A small SimplePush server, in memory: a second reading of docs/protocol.md, made to be broken.

It imports nothing of ``roskva``. To break one rule, subclass the part that has it and name the part here::

    class Deaf(Conversation):
        def on_purge(self, message): ...

    class Broken(SmallServer):
        conversation = Deaf
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

from tests.conformance.small.connection import Connection
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.frames import Engine, FrameEngine
from tests.conformance.small.greeting import Greeting
from tests.conformance.small.handshake import Handshake
from tests.conformance.small.http import Request, RequestReader
from tests.conformance.small.publishing import Publishing
from tests.conformance.small.store import Store
from tests.conformance.small.versions import MAX_JAVASCRIPT_VERSION


class SmallServer:
    """The whole server; keyword arguments replace settings of one instance. Durations are seconds, sizes bytes."""

    # The parts
    engine: type[Engine] = FrameEngine
    reader: type[RequestReader] = RequestReader
    handshake: type[Handshake] = Handshake
    connection: type[Connection] = Connection
    conversation: type[Conversation] = Conversation
    publishing: type[Publishing] = Publishing
    store: type[Store] = Store

    # Time
    hello_timeout = 30.0
    ping_interval = 300.0
    pong_timeout = 30.0
    resend_interval = 60.0
    slow_reader_timeout = 60.0
    keep_alive_timeout = 75.0
    closing_timeout = 5.0
    ping_seconds = 20.0
    ping_tolerance = 1.0

    # Limits
    resends = 10
    fast_pings = 5
    channels_per_agent = 2000
    registers_per_minute = 4000
    puts_per_endpoint = 1000
    max_message = 256 * 1024
    max_body = 4096
    max_version = MAX_JAVASCRIPT_VERSION
    max_connections = 10_000
    write_buffer = 16 * 1024

    # Switches
    strict_subprotocol = False
    strict_channel_ids = False
    adopts_unknown_uaids = True
    allowed_origins: tuple[str, ...] = ()
    store_is_down = False

    def __init__(self, **settings: object) -> None:
        for name, value in settings.items():
            assert hasattr(self, name), name
            setattr(self, name, value)
        self.memory = self.store(self)
        """What is remembered of agents."""
        self.publisher = self.publishing(self)
        """What answers publishers."""
        self.connections: set[Connection] = set()
        self.seats: dict[str, Greeting] = {}
        """The newest connection of each UAID."""
        self.registers: dict[str, deque[float]] = {}
        """When each agent registered."""
        self.port = 0

    @property
    def url(self) -> str:
        """Where agents connect."""
        return f"ws://127.0.0.1:{self.port}/"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Listen on a free port of 127.0.0.1, and close promptly."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: self.connection(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await self.drop_all()

    async def drop_all(self) -> None:
        """Drop all connections, and wait until they are gone: two turns of the loop."""
        while self.connections:
            for connection in self.connections:
                connection.transport.abort()
            await asyncio.sleep(0)

    def now(self) -> float:
        """Return monotonic seconds."""
        return asyncio.get_running_loop().time()

    def base_of(self, request: Request) -> str:
        """Return where endpoints begin: as the agent reached the server."""
        return f"http://{request.headers['host']}"

    def is_overloaded(self) -> bool:
        """§3.8: tell whether one more agent is too many."""
        return len(self.connections) > self.max_connections

    def bump_epoch(self) -> None:
        """§11.6: forget all agents, adopt no unknown one from now on, and close every socket."""
        self.memory.agents.clear()
        self.adopts_unknown_uaids = False
        for connection in list(self.connections):
            connection.close(1012, "say hello again")
