"""The small server answers as any SimplePush server does, with each of its frame engines."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from tests.conformance.small.engines import WebsocketsEngine, WsprotoEngine
from tests.conformance.small.frames import Engine, FrameEngine
from tests.conformance.small.server import SmallServer
from tests.kit.http import PATIENCE, Reply, request

HELLO = {"messageType": "hello", "uaid": "", "channelIDs": []}

on_each_engine = pytest.mark.parametrize("engine", [FrameEngine, WsprotoEngine, WebsocketsEngine])


@contextlib.asynccontextmanager
async def agent_of(server: SmallServer) -> AsyncIterator[ClientConnection]:
    """Connect an agent."""
    async with asyncio.timeout(PATIENCE), connect(server.url, compression=None) as socket:
        yield socket


async def ask(socket: ClientConnection, message: object) -> Any:
    """Send a message and return the next that comes."""
    await socket.send(json.dumps(message))
    return json.loads(await socket.recv())


async def put(endpoint: str, version: int) -> Reply:
    """Publish a version."""
    return await request("PUT", endpoint, body=b"version=%d" % version)


@on_each_engine
def test_module(engine: type[Engine]) -> None:
    """An agent registers, hears of an update, acks it and unregisters, after which the endpoint is gone."""

    async def play() -> None:
        async with SmallServer(engine=engine).running() as server, agent_of(server) as socket:
            assert (await ask(socket, HELLO))["status"] == 200
            reply = await ask(socket, {"messageType": "register", "channelID": "test1"})
            assert (reply["status"], reply["channelID"]) == (200, "test1")
            assert (await put(reply["pushEndpoint"], 5)).status == 200
            updates = [{"channelID": "test1", "version": 5}]
            assert json.loads(await socket.recv()) == {"messageType": "notification", "updates": updates}
            await socket.send(json.dumps({"messageType": "ack", "updates": updates}))
            assert (await put(reply["pushEndpoint"], 5)).status == 202
            gone = await ask(socket, {"messageType": "unregister", "channelID": "test1"})
            assert gone == {"messageType": "unregister", "channelID": "test1", "status": 200}
            assert (await put(reply["pushEndpoint"], 6)).status == 410

    asyncio.run(play())


@on_each_engine
def test_pending(engine: type[Engine]) -> None:
    """What was published while the agent was away comes behind its next hello, which keeps its UAID."""

    async def play() -> None:
        async with SmallServer(engine=engine).running() as server:
            async with agent_of(server) as socket:
                uaid = (await ask(socket, HELLO))["uaid"]
                endpoint = (await ask(socket, {"messageType": "register", "channelID": "a"}))["pushEndpoint"]
            assert (await put(endpoint, 7)).status == 202
            async with agent_of(server) as socket:
                assert (await ask(socket, {**HELLO, "uaid": uaid, "channelIDs": ["a"]}))["uaid"] == uaid
                assert json.loads(await socket.recv())["updates"] == [{"channelID": "a", "version": 7}]

    asyncio.run(play())


@on_each_engine
def test_closing(engine: type[Engine]) -> None:
    """A message that is no JSON object closes the socket at once, with its code and behind an end of the stream."""

    async def play() -> None:
        async with SmallServer(engine=engine).running() as server, agent_of(server) as socket:
            await socket.send("[]")
            with pytest.raises(ConnectionClosedError):
                await socket.recv()
            assert socket.close_code == 1008

    asyncio.run(play())


def test_nothing_is_left() -> None:
    """Leaving ``running`` hangs up at once and leaves no task of the server's."""

    async def play() -> None:
        async with SmallServer().running() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await reader.read() == b""
        writer.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(play())
