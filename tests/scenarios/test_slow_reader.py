"""An agent that leaves its socket unread: what it is owed coalesces, and it is dropped in time (§11.4)."""

import contextlib
import itertools
import socket
from collections.abc import AsyncIterator

from tests.kit.agent import Agent, Message, read_uaid, update
from tests.kit.node import Server, on_a_node
from tests.kit.waiting import wait_empty

CHANNELS = [letter * 100 for letter in "abcdefghij"]


@contextlib.asynccontextmanager
async def small_socket(server: Server) -> AsyncIterator[Agent]:
    """Connect an agent whose network holds a few KiB, and say hello."""
    with socket.socket() as small:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        small.connect(("127.0.0.1", server.node.port))
        async with server.agent(sock=small) as agent:
            await agent.hello()
            [seat] = server.node.presence
            ours = seat._transport.get_extra_info("socket")  # type: ignore[attr-defined]
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            yield agent


async def put_until_slow(server: Server, endpoints: list[str], first: int = 1) -> int:
    """PUT rising versions to all until none is handed over any more; returns the last of them."""
    for version in itertools.count(first):
        if {(await server.put(endpoint, version)).status for endpoint in endpoints} == {202}:
            return version
    raise AssertionError


async def hear_until(agent: Agent, newest: int) -> list[Message]:
    """Return all that comes before this version of every channel, which must come in one message."""
    heard: list[Message] = []
    while True:
        news = await agent.updates()
        if sorted(map(str, news)) == [str(update(newest, channel_id)) for channel_id in CHANNELS]:
            return heard
        heard += news


@on_a_node()
async def test_slow_reader_gets_the_newest_alone(server: Server) -> None:
    """§11.4: what an agent can't take now coalesces to the newest version a channel, in one message, when it reads."""
    async with small_socket(server) as agent:
        endpoints = [await agent.register(channel_id) for channel_id in CHANNELS]
        agent.socket.transport.pause_reading()
        slow_at = await put_until_slow(server, endpoints)
        for version in range(slow_at + 1, slow_at + 6):
            for endpoint in endpoints:
                assert (await server.put(endpoint, version)).status == 202
        agent.socket.transport.resume_reading()
        heard = await hear_until(agent, slow_at + 5)
        assert max(update["version"] for update in heard) < slow_at
        await agent.hears_nothing()
        assert (await server.put(endpoints[0], slow_at + 6)).status == 200
        assert await agent.updates() == [update(slow_at + 6, CHANNELS[0])]


@on_a_node(slow_reader_timeout=60.0)
async def test_slow_reader_is_dropped_in_time(server: Server) -> None:
    """§11.4: an agent that reads nothing for `slow_reader_timeout` is dropped; its next hello brings the newest."""
    async with small_socket(server) as agent:
        endpoints = [await agent.register(channel_id) for channel_id in CHANNELS]
        agent.socket.transport.pause_reading()
        newest = await put_until_slow(server, endpoints)
        server.let_pass(59)
        assert not server.node.shell.counts.dropped
        server.let_pass(2)
        assert server.node.shell.counts.dropped == {"slow": 1}
        await wait_empty(server)
        agent.socket.transport.resume_reading()
        assert await agent.wait_closed() == 1006
    async with server.agent() as again:
        assert (await again.hello(agent.uaid, CHANNELS))["uaid"] == agent.uaid
        assert await hear_until(again, newest) == []


@on_a_node(slow_reader_timeout=60.0)
async def test_reader_that_goes_on_is_not_dropped(server: Server) -> None:
    """§11.4: an agent that reads again in time stays, and the time counts anew when it is slow again."""
    async with small_socket(server) as agent:
        endpoints = [await agent.register(channel_id) for channel_id in CHANNELS]
        newest = 0
        for _ in range(3):
            agent.socket.transport.pause_reading()
            newest = await put_until_slow(server, endpoints, newest + 1)
            server.let_pass(50)
            agent.socket.transport.resume_reading()
            await hear_until(agent, newest)
            await agent.ack(*(update(newest, channel_id) for channel_id in CHANNELS))
            await agent.hears_nothing()
        assert not server.node.shell.counts.dropped
        assert server.node.presence.find(read_uaid(agent.uaid)) is not None
