"""docs/protocol.md §11.4: every limit, its default, and what is told beyond it.

The counters alone are tests/unit/server/test_limits, slow readers tests/scenarios/test_slow_reader.
"""

import contextlib
import dataclasses
import json
from typing import Any

import pytest

from roskva.config import Config
from roskva.server.requests import MAX_BODY
from tests.kit.endpoints import GET, HANDSHAKE, registered, settle, spell_put
from tests.kit.http import Reply
from tests.kit.node import Server, on_a_node
from tests.kit.stream import Stream, streaming
from tests.protocol._helpers import ready

DEFAULTS = {
    "connections_per_ip": 16384,
    "hellos_per_second": 20000,
    "registers_per_minute": 4000,
    "channels_per_agent": 2000,
    "puts_per_endpoint": 1000,
    "puts_per_ip": 0,
    "unfinished_handshakes": 8192,
    "max_connections": 0,
    "slow_reader_timeout": 60.0,
}


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_defaults(name: str, default: float) -> None:
    """§11.4: each limit is a setting with a documented default."""
    (field,) = (field for field in dataclasses.fields(Config) if field.name == name)
    assert field.default == default
    assert len(field.metadata["doc"]) > 20


def is_refusal(reply: Reply, status: int) -> bool:
    """Tell whether an answer says in JSON that it is too much, and when to come back."""
    return reply.json()["status"] == reply.status == status and int(reply.headers["retry-after"]) > 0


async def say(stream: Stream, text: bytes, status: int) -> None:
    """Send a request and check the status of its answer, and that a refusal is readable."""
    reply = await stream.request(text)
    assert reply.status == status
    assert status < 400 or is_refusal(reply, status)


@on_a_node(connections_per_ip=2)
async def test_connections_per_ip(server: Server) -> None:
    """§11.4: connections per IP: beyond the limit, agents and publishers together, 429; who leaves makes room."""
    async with registered(server):
        async with streaming(server.node.port) as publisher:
            await say(publisher, GET, 200)
            for request in (GET, HANDSHAKE):
                async with streaming(server.node.port) as stream:
                    await settle(server)
                    await say(stream, request, 429)
                    assert await stream.rest() == b""
        await settle(server)
        async with streaming(server.node.port) as stream:
            await say(stream, HANDSHAKE, 101)


@on_a_node(max_connections=1)
async def test_connections(server: Server) -> None:
    """§11.4: connections of a node: beyond the limit 503, whoever asks."""
    async with registered(server), streaming(server.node.port) as stream:
        await settle(server)
        await say(stream, HANDSHAKE, 503)
        assert server.node.shell.counts.refusals == {"full": 1}


@on_a_node(unfinished_handshakes=2, trusted_proxies=("127.0.0.1",))
async def test_unfinished_handshakes(server: Server) -> None:
    """§11.4: unfinished handshakes: beyond the limit 503; agents with a hello don't count, those without do."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(registered(server))
        silent = await stack.enter_async_context(server.agent())
        await stack.enter_async_context(streaming(server.node.port))
        await settle(server)
        async with streaming(server.node.port) as stream:
            await say(stream, HANDSHAKE, 503)
        await silent.hello()
        async with registered(server):
            pass


@on_a_node(unfinished_handshakes=4)
async def test_unfinished_handshakes_of_one_address(server: Server) -> None:
    """§11.4: of unfinished handshakes one address has a quarter at most, then 429: nobody shuts others out alone."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(registered(server))
        silent = await stack.enter_async_context(server.agent())
        async with streaming(server.node.port) as stream:
            await settle(server)
            await say(stream, HANDSHAKE, 429)
        for number in (2, 3, 4):
            source = f"127.0.0.{number}"
            other = await stack.enter_async_context(streaming(server.node.port, source=source))
            await say(other, HANDSHAKE if number == 4 else GET, 101 if number == 4 else 200)
        async with streaming(server.node.port, source="127.0.0.5") as stream:
            await settle(server)
            await say(stream, HANDSHAKE, 503)
        assert server.node.shell.counts.refusals == {"address": 1, "full": 1}
        await silent.hello()
        async with registered(server):
            pass


@on_a_node(unfinished_handshakes=4, trusted_proxies=("127.0.0.1",))
async def test_unfinished_handshakes_behind_a_proxy(server: Server) -> None:
    """§11.4: a trusted proxy has no quarter, but each of its agents' addresses has; who leaves makes room."""

    def ask(client: str) -> bytes:
        return HANDSHAKE[:-2] + f"X-Forwarded-For: {client}\r\n\r\n".encode()

    async with streaming(server.node.port) as one, streaming(server.node.port) as two:
        await say(one, ask("192.0.2.1"), 101)
        await say(two, ask("192.0.2.1"), 429)
    await settle(server)
    async with streaming(server.node.port) as one, streaming(server.node.port) as two:
        await say(one, ask("192.0.2.1"), 101)
        await say(two, ask("192.0.2.2"), 101)
    await settle(server)
    assert not server.node.shell.connections


@on_a_node(unfinished_handshakes=4)
async def test_a_refusal_can_be_read(server: Server) -> None:
    """§11.4: a refused peer that is still sending reads its answer: nothing is reset until it hangs up."""
    limits = server.node.shell.limits
    async with server.agent():
        async with streaming(server.node.port) as stream:
            await settle(server)
            assert (await stream.reply()).status == 429
            for _ in range(3):
                await stream.send(HANDSHAKE)
            assert await stream.rest() == b""
            assert limits.lingering == 1
        await settle(server)
        assert limits.lingering == 0


@on_a_node(hellos_per_second=2)
async def test_hellos_per_second(server: Server) -> None:
    """§11.4: hellos per second: beyond the limit close 1013 with a reason, and no reply; a second later they go on."""
    async with server.agent() as one, server.agent() as two, server.agent() as three, server.agent() as late:
        assert [(await agent.hello())["status"] for agent in (one, two)] == [200, 200]
        await three.say({"messageType": "hello", "uaid": "", "channelIDs": []})
        assert await three.wait_closed() == 1013
        assert three.socket.close_reason == "too many hellos, try later"
        server.let_pass(1)
        assert (await late.hello())["status"] == 200


@on_a_node(registers_per_minute=2)
async def test_registers_per_agent(server: Server) -> None:
    """§11.4: registers per agent: beyond the limit 500 with a reason, for that agent alone and that minute."""
    async with server.agent() as agent, server.agent() as other:
        await agent.hello()
        assert await agent.register("a") == await agent.register("a")
        reply = await agent.ask({"messageType": "register", "channelID": "b"})
        assert (reply["status"], reply["pushEndpoint"]) == (500, "")
        assert reply["reason"] == "too many registers, try again in 60 s"
        await ready(other)
        server.let_pass(60)
        await agent.register("b")


@on_a_node(channels_per_agent=2)
async def test_channels_per_agent(server: Server) -> None:
    """§11.4: channels per agent: beyond the limit 500 with a reason; known ones stay, and one given up makes room."""
    async with server.agent() as agent:
        await agent.hello()
        endpoints = [await agent.register(name) for name in ("a", "b")]
        reply = await agent.ask({"messageType": "register", "channelID": "c"})
        assert (reply["status"], reply["reason"]) == (500, "an agent may hold 2 channels")
        assert [await agent.register(name) for name in ("a", "b")] == endpoints
        await agent.unregister("a")
        await agent.register("c")


@on_a_node(puts_per_endpoint=3)
async def test_puts_per_endpoint(server: Server) -> None:
    """§11.4: PUTs per endpoint: beyond the limit 429, for that endpoint alone; ten seconds later they go on."""
    async with server.agent() as agent, registered(server) as foreign, streaming(server.node.port) as stream:
        await agent.hello()
        endpoint, sibling = await agent.register("a"), await agent.register("b")
        for version in (3, 2, 1):
            await say(stream, spell_put(endpoint, version), 200)
        await say(stream, spell_put(endpoint, 4), 429)
        for other in (sibling, foreign):
            await say(stream, spell_put(other, 4), 200)
        server.let_pass(10)
        await say(stream, spell_put(endpoint, 4), 200)


@on_a_node(puts_per_ip=3)
async def test_puts_per_ip(server: Server) -> None:
    """§11.4: PUTs per IP: beyond the limit 429, over all endpoints and also for tokens that nobody has."""
    async with registered(server) as endpoint, registered(server) as other, streaming(server.node.port) as stream:
        await say(stream, spell_put(endpoint, 1), 200)
        await say(stream, spell_put(other, 1), 200)
        assert (await stream.request(spell_put(endpoint + "x", 1))).status == 404
        await say(stream, spell_put(endpoint, 2), 429)
        await say(stream, spell_put(endpoint + "x", 2), 429)
        server.let_pass(10)
        await say(stream, spell_put(endpoint, 2), 200)


@on_a_node()
async def test_frame_size(server: Server) -> None:
    """§11.4: frame size: above 256 KiB the socket is closed with 1009, and nobody else's."""
    async with server.agent() as agent, server.agent() as other:
        await other.hello()
        await agent.say(json.dumps({"messageType": "hello", "padding": "x" * 2**18}))
        assert await agent.wait_closed() == 1009
        await other.hears_nothing()


@on_a_node()
async def test_body_size(server: Server) -> None:
    """§11.4: body size: above 4 KiB a PUT is 413 with a reason."""
    async with registered(server) as endpoint:
        reply = await server.put(endpoint, body=b"x" * (MAX_BODY + 1))
        assert (reply.status, reply.json()["reason"]) == (413, "a body may have 4096 bytes")


UNLIMITED: dict[str, Any] = {name: 0 for name in DEFAULTS if isinstance(DEFAULTS[name], int)}


@on_a_node(**UNLIMITED)
async def test_no_limits(server: Server) -> None:
    """§11.4: each of these limits is off at 0: whatever was refused above is taken."""
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(streaming(server.node.port)) for _ in range(5)]
        agents = [await stack.enter_async_context(server.agent()) for _ in range(5)]
        for agent in agents:
            assert (await agent.hello())["status"] == 200
        endpoints = [await agents[0].register(name) for name in "abcdab"]
        for version, stream in enumerate(streams, 1):
            await say(stream, spell_put(endpoints[0], version), 200)
