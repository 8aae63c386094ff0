"""What a connection that is gone leaves behind: nothing, and without waiting for the garbage collector."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.kit.agent import Agent
from tests.kit.crowd import HANDSHAKE, alive, deadlines, seated, without_gc
from tests.kit.node import Server, on_a_node
from tests.kit.waiting import wait_empty, wait_until

Ending = Callable[[Server, Agent], Coroutine[Any, Any, None]]


async def leaves_politely(_server: Server, agent: Agent) -> None:
    """Close with a handshake."""
    await agent.socket.close()


async def is_cut_off(_server: Server, agent: Agent) -> None:
    """Go without a word."""
    agent.socket.transport.abort()


async def is_owed_an_update(server: Server, agent: Agent) -> None:
    """Go without the ack."""
    await server.put(await agent.register("a"), 1)
    await agent.updates()
    agent.socket.transport.abort()


async def unregisters(_server: Server, agent: Agent) -> None:
    """Go with a channel that must not be heard of any more."""
    await agent.register("a")
    await agent.unregister("a")
    agent.socket.transport.abort()


async def leaves_amid_a_register(_server: Server, agent: Agent) -> None:
    """Go before the answer."""
    await agent.say({"messageType": "register", "channelID": "a"})
    agent.socket.transport.abort()


async def is_refused(_server: Server, agent: Agent) -> None:
    """Say what no server knows."""
    await agent.say({"messageType": "nonsense"})
    assert await agent.wait_closed() == 1008


async def sends_no_json(_server: Server, agent: Agent) -> None:
    """Say what is no message."""
    await agent.say("{")
    assert await agent.wait_closed() == 1008


async def stops_in_a_fragment(_server: Server, agent: Agent) -> None:
    """Go in the middle of a message."""
    agent.socket.transport.write(b"\x01\x81\0\0\0\0{")
    await (await agent.socket.ping())
    agent.socket.transport.abort()


async def is_displaced(server: Server, agent: Agent) -> None:
    """Say hello elsewhere."""
    await agent.register("a")
    async with server.agent() as newer:
        await newer.hello(agent.uaid, ["a"])
        assert await agent.wait_closed() == 4000


async def is_drained(server: Server, agent: Agent) -> None:
    """Be sent away."""
    for connection in seated(server):
        connection.drain()
    assert await agent.wait_closed() == 1001


async def falls_silent(server: Server, agent: Agent) -> None:
    """Answer no ping."""
    agent.socket.transport.pause_reading()
    server.let_pass(340)
    agent.socket.transport.resume_reading()
    assert await agent.wait_closed() == 1006


ENDINGS: list[Ending] = [
    leaves_politely, is_cut_off, is_owed_an_update, unregisters, leaves_amid_a_register, is_refused, sends_no_json,
    stops_in_a_fragment, is_displaced, is_drained, falls_silent,
]  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
@on_a_node()
async def test_gone_agent_leaves_nothing(server: Server, ending: Ending) -> None:
    """However an agent goes, reference counting alone frees all that it had, and no deadline names it."""
    with without_gc():
        before = alive()
        async with server.agent() as agent:
            await agent.hello()
            await ending(server, agent)
        await wait_empty(server)
        assert not server.node.shell.connections
        assert deadlines(server) == 0
        server.let_pass(400)  # the empty buckets go with their seconds
        assert alive() - before == {}


@pytest.mark.parametrize("data", [b"PUT /update/x HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHo", b"no\r\n\r\n", HANDSHAKE])
@on_a_node()
async def test_gone_request_leaves_nothing(server: Server, data: bytes) -> None:
    """However an HTTP connection ends, reference counting alone frees all that it had."""
    with without_gc():
        before = alive()
        _, writer = await asyncio.open_connection("127.0.0.1", server.node.port)
        await wait_until(lambda: bool(server.node.shell.connections))
        writer.write(data)
        await writer.drain()
        writer.transport.abort()
        await wait_empty(server)
        server.let_pass(100)
        assert alive() - before == {}
