"""Many idle agents, and what is alive for them."""

import asyncio
import contextlib
import gc
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator

from roskva.server.connection import AgentConnection
from tests.kit.node import Server
from tests.kit.waiting import wait_idle
from tests.kit.wire import frame_message, handshake

HANDSHAKE = handshake(sec_websocket_protocol="push-notification")


class Crowd:
    """Agents that are bare sockets, so that the loop holds nothing for them but what the server does."""

    def __init__(self, server: Server) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = server
        self._sockets: list[socket.socket] = []

    async def grow(self, count: int) -> None:
        """Let so many agents connect, say hello and register a channel."""
        for _ in range(count):
            agent = socket.create_connection(("127.0.0.1", self._server.node.port))
            agent.setblocking(False)  # noqa: FBT003
            self._sockets.append(agent)
            await self._ask(agent, HANDSHAKE)
            await self._ask(agent, frame_message({"messageType": "hello", "uaid": "", "channelIDs": []}))
            await self._ask(agent, frame_message({"messageType": "register", "channelID": "a"}))
        await wait_idle(self._server)

    def leave(self) -> None:
        """Hang up."""
        while self._sockets:
            self._sockets.pop().close()

    async def _ask(self, agent: socket.socket, data: bytes) -> None:
        await self._loop.sock_sendall(agent, data)
        assert await self._loop.sock_recv(agent, 4096)


@contextlib.asynccontextmanager
async def crowd(server: Server) -> AsyncIterator[Crowd]:
    """Gather agents; all leave at the end."""
    agents = Crowd(server)
    try:
        yield agents
    finally:
        agents.leave()


def seated(server: Server) -> list[AgentConnection]:
    """Return the connections of the agents here."""
    return [seat for seat in server.node.presence if isinstance(seat, AgentConnection)]


def deadlines(server: Server) -> int:
    """Count the connections that wait for a deadline."""
    return sum(len(bucket.items) for bucket in server.node.shell.deadlines._buckets.values())


@contextlib.contextmanager
def without_gc() -> Iterator[None]:
    """Leave all freeing to reference counting."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive() -> Counter[str]:
    """Count the objects that connections are made of, by class."""
    ours = ("roskva.server", "roskva.protocol", "roskva.state.outbox", "roskva.state.deadlines")
    kinds = (type(thing) for thing in gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith(ours))
