"""The least that still is a SimplePush server: no status fields, late answers, and it hangs up when it likes."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

MOST = 12
"""Messages at most until it hangs up."""


class MinimalServer:
    """Keeps versions until they are acked, in memory; publishers call ``put``.

    Args:
        lateness: seconds before each answer.
        moods: decides when it hangs up: after 2 to ``MOST`` messages, of whomever.
    """

    def __init__(self, lateness: float, moods: random.Random) -> None:
        self.url = ""
        self.hangups = 0
        self._lateness = lateness
        self._moods = moods
        self._left = 0
        self._agents: dict[str, dict[str, int]] = {}
        self._sockets: dict[str, ServerConnection] = {}

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Serve on a free port."""
        protocols = [Subprotocol("push-notification")]
        async with serve(self._handle, "127.0.0.1", 0, subprotocols=protocols, close_timeout=1.0) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"
            yield

    async def put(self, endpoint: str, version: int) -> bool:
        """Accept a version; False if the endpoint is gone."""
        uaid, _, channel = endpoint.removeprefix("http://minimal/").partition("/")
        if channel not in self._agents.get(uaid, {}):
            return False
        self._agents[uaid][channel] = version
        if uaid in self._sockets:
            with contextlib.suppress(ConnectionClosed):
                await self._notify(self._sockets[uaid], uaid, [channel])
        return True

    async def _handle(self, socket: ServerConnection) -> None:
        uaid = ""
        try:
            async for message in socket:
                await asyncio.sleep(self._lateness)
                uaid = await self._answer(socket, uaid, json.loads(message))
                self._left -= 1
                if self._left <= 0:
                    self._left = self._moods.randint(2, MOST)
                    self.hangups += 1
                    socket.transport.abort()
        except ConnectionClosed:
            pass
        finally:
            if self._sockets.get(uaid) is socket:
                del self._sockets[uaid]

    async def _answer(self, socket: ServerConnection, uaid: str, found: dict[str, object]) -> str:
        match found:
            case {"messageType": "hello", "uaid": str(uaid), "channelIDs": [*listed]}:
                if uaid not in self._agents or not set(listed) <= self._agents[uaid].keys():
                    uaid = f"{len(self._agents):032x}"
                    self._agents[uaid] = {}
                self._sockets[uaid] = socket
                await socket.send(json.dumps({"messageType": "hello", "uaid": uaid}))
                await self._notify(socket, uaid, [name for name, version in self._agents[uaid].items() if version])
            case {"messageType": "register", "channelID": str(channel)}:
                self._agents[uaid].setdefault(channel, 0)
                endpoint = f"http://minimal/{uaid}/{channel}"
                await socket.send(
                    json.dumps({"messageType": "register", "channelID": channel, "pushEndpoint": endpoint})
                )
            case {"messageType": "unregister", "channelID": str(channel)}:
                self._agents[uaid].pop(channel, None)
            case {"messageType": "ack", "updates": [{"channelID": str(channel), "version": int(version)}]}:
                if self._agents[uaid].get(channel) == version:
                    self._agents[uaid][channel] = 0
        return uaid

    async def _notify(self, socket: ServerConnection, uaid: str, channels: list[str]) -> None:
        updates = [{"channelID": name, "version": str(self._agents[uaid][name])} for name in channels]
        await socket.send(json.dumps({"messageType": "notification", "updates": updates}))
