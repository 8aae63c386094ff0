"""docs/protocol.md §5: giving a channel up."""

import pytest

from tests.kit.agent import Agent, Message, update
from tests.kit.node import Server, on_a_node
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.protocol._helpers import CHANNEL

INVALID: list[object] = ["", "a b", "é", "x" * 101, 5, None, [], {}, True]


async def unregister(agent: Agent, **fields: object) -> Message:
    """Unregister and return the whole reply."""
    return await agent.ask({"messageType": "unregister", **fields})


@pytest.mark.parametrize("channel_id", ["a", CHANNEL, CHANNEL.upper()])
@pytest.mark.parametrize("more", [{}, {"code": 200}, {"code": "x"}], ids=repr)
@on_a_node()
async def test_reply(server: Server, channel_id: str, more: dict[str, object]) -> None:
    """§5.1: a reply is messageType, the channelID as it was sent, and status 200; an extra code changes nothing."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register(channel_id.lower())
        reply = await unregister(agent, channelID=channel_id, **more)
        assert reply == {"messageType": "unregister", "channelID": channel_id, "status": 200}
        assert (await server.put(endpoint, 1)).status == 410


@on_a_node()
async def test_unknown_channel(server: Server) -> None:
    """§5.1: exactly 200 also for a channel that is unknown, or gone, and for an agent that has none."""
    async with server.agent() as agent:
        await agent.hello()
        for _ in range(2):
            reply = await unregister(agent, channelID="a")
            assert reply == {"messageType": "unregister", "channelID": "a", "status": 200}
        await agent.register("b")
        await agent.unregister("b")
        assert await unregister(agent, channelID="b") == {"messageType": "unregister", "channelID": "b", "status": 200}


@on_a_node()
async def test_channel_of_another(server: Server) -> None:
    """§5.1: exactly 200 also for another agent's channel, and nothing happens to it."""
    async with server.agent() as owner, server.agent() as other:
        await owner.hello()
        await other.hello()
        endpoint = await owner.register("a")
        reply = await unregister(other, channelID="a", uaid=owner.uaid)
        assert reply == {"messageType": "unregister", "channelID": "a", "status": 200}
        assert (await server.put(endpoint, 1)).status == 200
        assert await owner.updates() == [update(1)]


@on_a_gated_node
async def test_store_failure(server: Server, store: GatedStore) -> None:
    """§5.1: 500 on store failure, with error and reason (§9); the channel stays, and the socket can try again."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        store.fail("unregister")
        reply = await unregister(agent, channelID="a")
        assert reply.pop("reason")
        wanted = {"messageType": "unregister", "channelID": "a", "status": 500}
        assert reply == {**wanted, "error": "Internal Error"}
        store.mend()
        assert (await server.put(endpoint, 1)).status == 200
        assert await agent.updates() == [update(1)]
        assert (await agent.unregister("a"))["status"] == 200


@pytest.mark.parametrize(
    "fields",
    [{}, *({"channelID": value} for value in INVALID)],
    ids=lambda fields: repr(fields)[:40],
)
@on_a_node()
async def test_invalid_id(server: Server, fields: dict[str, object]) -> None:
    """§5.1: a missing or invalid id gets 401, as often as it is sent, and the socket stays open."""
    async with server.agent() as agent:
        await agent.hello()
        for _ in range(3):
            reply = await unregister(agent, **fields)
            assert (reply["messageType"], reply["status"], reply["error"]) == ("unregister", 401, "Invalid Command")
            assert reply["reason"]
        await agent.register("a")


@on_a_node()
async def test_before_hello(server: Server) -> None:
    """§5.1: an unregister before hello gets 401, closes, and is not executed."""
    async with server.agent() as owner:
        await owner.hello()
        endpoint = await owner.register("a")
    async with server.agent() as agent:
        reply = await unregister(agent, channelID="a", uaid=owner.uaid)
        assert reply.pop("reason")
        wanted = {"messageType": "unregister", "channelID": "a", "status": 401}
        assert reply == {**wanted, "error": "Invalid Command"}
        assert await agent.wait_closed() == 1008
    assert (await server.put(endpoint, 1)).status == 202


@on_a_node()
async def test_pending_is_dropped(server: Server) -> None:
    """§5.2: after the reply nothing of the channel is delivered: no resend, nothing at the next hello."""
    async with server.agent() as agent:
        await agent.hello()
        gone, kept = await agent.register("a"), await agent.register("b")
        for endpoint in (gone, kept):
            assert (await server.put(endpoint, 1)).status == 200
            await agent.updates()
        await agent.unregister("a")
        server.let_pass(61)
        assert await agent.updates() == [{"channelID": "b", "version": 1}]
        await agent.hears_nothing()
    async with server.agent() as later:
        await later.hello(agent.uaid, ["b"])
        assert await later.updates() == [{"channelID": "b", "version": 1}]
        await later.hears_nothing()


@on_a_node()
async def test_pending_stays_dropped(server: Server) -> None:
    """§5.2: what was pending stays dropped if the channel is registered again; what is newer is delivered."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        assert (await server.put(endpoint, 5)).status == 200
        assert await agent.updates() == [update(5)]
        await agent.unregister("a")
        assert await agent.register("a") == endpoint
        server.let_pass(61)
        await agent.hears_nothing()
        assert (await server.put(endpoint, 6)).status == 200
        assert await agent.updates() == [update(6)]


@on_a_gated_node
async def test_late_hint(server: Server, store: GatedStore) -> None:
    """§5.2: an update stored before the unregister, whose answer overtakes it, isn't delivered after the reply."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        gate = store.hold_after("unregister")
        await agent.say({"messageType": "unregister", "channelID": "a"})
        await gate.wait_reached()
        assert (await server.put(endpoint, 1)).status == 410
        gate.open()
        assert (await agent.hear())["messageType"] == "unregister"
        server.let_pass(61)
        await agent.hears_nothing()


@on_a_node()
async def test_gone(server: Server) -> None:
    """§5.3: every later PUT to its endpoint gets 410, and never resurrects the channel."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        await agent.unregister("a")
        for version in (1, 2):
            assert (await server.put(endpoint, version)).status == 410
            await agent.hears_nothing()
    async with server.agent() as later:
        assert (await later.hello(agent.uaid, ["a"]))["uaid"] != agent.uaid


@on_a_node()
async def test_registered_again(server: Server) -> None:
    """§5.3: only a register by its owner brings the channel back, under the same endpoint."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        await agent.unregister("a")
        assert await agent.register("a") == endpoint
        assert (await server.put(endpoint, 1)).status == 200
        assert await agent.updates() == [update(1)]
