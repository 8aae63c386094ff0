"""A scripted agent on a real socket: it says what the test says, and shows all that comes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from roskva.types import Uaid, parse_uaid
from tests.kit.http import PATIENCE

Message = dict[str, Any]


class Agent:
    """One conversation."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.uaid = ""

    async def say(self, message: object) -> None:
        """Send a message: bytes and str as they are (a binary or text frame), anything else as JSON."""
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def hear(self) -> Message:
        """Return the next message."""
        async with asyncio.timeout(PATIENCE):
            message = json.loads(await self.socket.recv())
        assert isinstance(message, dict)
        return message

    async def ask(self, message: object) -> Message:
        """Send a message and return the next that comes."""
        await self.say(message)
        return await self.hear()

    async def hello(self, uaid: str | None = "", channel_ids: Sequence[str] | None = (), **fields: object) -> Message:
        """Say hello and return the reply; a ``channel_ids`` of None leaves the list out."""
        listed = {} if channel_ids is None else {"channelIDs": list(channel_ids)}
        reply = await self.ask({"messageType": "hello", "uaid": uaid, **listed, **fields})
        self.uaid = reply.get("uaid", "")
        return reply

    async def register(self, channel_id: str) -> str:
        """Register a channel and return its endpoint."""
        reply = await self.ask({"messageType": "register", "channelID": channel_id})
        assert reply["status"] == 200, reply
        endpoint = reply["pushEndpoint"]
        assert isinstance(endpoint, str)
        return endpoint

    async def unregister(self, channel_id: str) -> Message:
        """Unregister a channel and return the reply."""
        return await self.ask({"messageType": "unregister", "channelID": channel_id})

    async def ack(self, *updates: Message) -> None:
        """Acknowledge updates, as they came."""
        await self.say({"messageType": "ack", "updates": list(updates)})

    async def updates(self) -> list[Message]:
        """Return the updates of the next message, which must be a notification."""
        message = await self.hear()
        assert message["messageType"] == "notification", message
        updates = message["updates"]
        assert isinstance(updates, list)
        return updates

    async def hears_nothing(self) -> None:
        """Check that nothing was sent: the answer to something harmless is the next that comes.

        Every operation that this agent began before must have been answered; a ``purge`` doesn't count as a ping.
        """
        assert await self.ask({"messageType": "purge"}) == {}

    async def wait_closed(self) -> int:
        """Wait for the server to close, and return its code; what still comes is passed over."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        code = self.socket.close_code
        assert code is not None
        return code


def update(version: int, channel_id: str = "a") -> Message:
    """Spell an update."""
    return {"channelID": channel_id, "version": version}


def read_uaid(text: str) -> Uaid:
    """Read a UAID that the server gave."""
    uaid = parse_uaid(text)
    assert uaid is not None
    return uaid


@contextlib.asynccontextmanager
async def connect(
    url: str, subprotocols: Sequence[str] | None = ("push-notification",), **options: Any
) -> AsyncIterator[Agent]:
    """Open a WebSocket; ``options`` are those of ``websockets.asyncio.client.connect``."""
    offered = None if subprotocols is None else [Subprotocol(name) for name in subprotocols]
    settings: dict[str, Any] = {"ping_interval": None, "compression": None, "close_timeout": 1, **options}
    async with open_socket(url, subprotocols=offered, **settings) as socket:
        yield Agent(socket)
