"""docs/protocol.md §8: telling versions, again if need be, and what else an agent may say."""

import json

import pytest

from tests.kit.agent import update
from tests.kit.node import Server, on_a_node
from tests.protocol._helpers import pending, ready, tell


@pytest.mark.parametrize("version", [1, 2**31, 2**53 - 1])
@on_a_node()
async def test_notification(server: Server, version: int) -> None:
    """§8.1: a notification is messageType and updates of channelID and version alone; version is a JSON integer."""
    async with server.agent() as agent:
        endpoint = await ready(agent)
        assert (await server.put(endpoint, str(version))).status == 200
        text = await agent.socket.recv()
        assert json.loads(text) == {"messageType": "notification", "updates": [update(version)]}
        assert f'"version":{version}}}' in str(text)


@on_a_node(large_versions=True)
async def test_large_version(server: Server) -> None:
    """§8.1: a version is exact to 2^63-1 where the server takes such."""
    async with server.agent() as agent:
        endpoint = await ready(agent)
        await tell(server, agent, endpoint, 2**63 - 1)


@on_a_node()
async def test_newest_version_alone(server: Server) -> None:
    """§8.1: one update a channel, the newest: at hello, and when it is sent again."""
    async with server.agent() as agent:
        first = await ready(agent)
        second = await agent.register("b")
    for version in (1, 9, 4):
        assert (await server.put(first, version)).status == 202
    assert (await server.put(second, 2)).status == 202
    assert await pending(server, agent.uaid) == [update(9), update(2, "b")]
    async with server.agent() as later:
        await later.hello(agent.uaid, None)
        await later.updates()
        assert (await server.put(first, 10)).status == 200
        assert await later.updates() == [update(10)]
        server.let_pass(61)
        assert sorted(await later.updates(), key=str) == [update(10), update(2, "b")]
        await later.hears_nothing()


@on_a_node()
async def test_resend(server: Server) -> None:
    """§8.3: an unacked update is sent again after 60 s, not sooner, at most 10 times a socket."""
    async with server.agent() as agent:
        await tell(server, agent, await ready(agent), 5)
        for _ in range(10):
            server.let_pass(59)
            await agent.hears_nothing()
            server.let_pass(1)
            assert await agent.updates() == [update(5)]
        for _ in range(3):
            server.let_pass(60)
            await agent.hears_nothing()
    assert await pending(server, agent.uaid) == [update(5)]


@on_a_node(ping_interval=10_000)
async def test_resends_on_each_socket(server: Server) -> None:
    """§8.3: what was sent 10 times stays pending for the next hello, and is sent again 10 times there."""
    async with server.agent() as agent:
        await tell(server, agent, await ready(agent), 5)
        for _ in range(10):
            server.let_pass(60)
            await agent.updates()
    async with server.agent() as later:
        await later.hello(agent.uaid, ["a"])
        assert await later.updates() == [update(5)]
        for _ in range(10):
            server.let_pass(60)
            assert await later.updates() == [update(5)]
        server.let_pass(60)
        await later.hears_nothing()


@on_a_node(ping_interval=10_000)
async def test_late_ack(server: Server) -> None:
    """§8.3: an ack after the last resend still counts."""
    async with server.agent() as agent:
        await tell(server, agent, await ready(agent), 5)
        for _ in range(10):
            server.let_pass(60)
            await agent.updates()
        server.let_pass(120)
        await agent.ack(update(5))
        await agent.hears_nothing()
    assert await pending(server, agent.uaid) == []


@on_a_node()
async def test_resends_are_batched(server: Server) -> None:
    """§8.3: what is due together is sent again in one notification."""
    async with server.agent() as agent:
        await agent.hello()
        for name in ("a", "b", "c"):
            assert (await server.put(await agent.register(name), 1)).status == 200
            await agent.updates()
        server.let_pass(60)
        assert sorted(await agent.updates(), key=str) == [update(1, "a"), update(1, "b"), update(1, "c")]
        await agent.hears_nothing()


@on_a_node()
async def test_never_sooner(server: Server) -> None:
    """§8.3: another channel's news, a ping or a second hello don't bring an unacked update sooner."""
    async with server.agent() as agent:
        endpoint = await ready(agent)
        other = await agent.register("b")
        await tell(server, agent, endpoint, 5)
        server.let_pass(30)
        assert (await server.put(other, 1)).status == 200
        assert await agent.updates() == [update(1, "b")]
        await agent.ask({"messageType": "hello", "uaid": agent.uaid})
        await agent.hears_nothing()
        server.let_pass(30)
        assert await agent.updates() == [update(5)]
        server.let_pass(30)
        assert await agent.updates() == [update(1, "b")]


@on_a_node()
async def test_newer_version_starts_over(server: Server) -> None:
    """§8.3: a newer version is sent at once, and again 60 s after that, instead of the older one."""
    async with server.agent() as agent:
        endpoint = await ready(agent)
        await tell(server, agent, endpoint, 5)
        server.let_pass(30)
        await tell(server, agent, endpoint, 6)
        server.let_pass(59)
        await agent.hears_nothing()
        server.let_pass(1)
        assert await agent.updates() == [update(6)]


OTHERS = ["nack", "broadcast_subscribe", "purge"]


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize(
    "fields", [{}, {"updates": "x"}, {"version": "1", "code": 301}, {"broadcasts": {"a": "b"}}], ids=str
)
@pytest.mark.parametrize("greeted", [True, False])
@on_a_node()
async def test_other_messages(server: Server, kind: str, fields: dict[str, object], *, greeted: bool) -> None:
    """§8.5: nack, broadcast_subscribe and purge never close the socket; purge is answered {}, the others not at all."""
    async with server.agent() as agent:
        if greeted:
            await agent.hello()
        for _ in range(20):
            await agent.say({"messageType": kind, **fields})
            if kind == "purge":
                assert await agent.hear() == {}
        await agent.hears_nothing()


@pytest.mark.parametrize("kind", OTHERS)
@on_a_node()
async def test_other_messages_change_nothing(server: Server, kind: str) -> None:
    """§8.5: none of them acks, drops or hastens what is pending."""
    async with server.agent() as agent:
        await tell(server, agent, await ready(agent), 5)
        await agent.say({"messageType": kind, "channelID": "a", "version": 5, "updates": [update(5)]})
        if kind == "purge":
            assert await agent.hear() == {}
        await agent.hears_nothing()
        server.let_pass(60)
        assert await agent.updates() == [update(5)]
