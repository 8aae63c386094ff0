"""docs/protocol.md §8.2 and §8.4: the acknowledgement of versions."""

from typing import Any

import pytest

from tests.kit.agent import Message, update
from tests.kit.node import Server, on_a_node
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.protocol._helpers import CHANNEL, pending, ready, tell


@on_a_node()
async def test_ack(server: Server) -> None:
    """§8.2: an acked version is pending no more: it isn't sent again, nor at the next hello; there is no reply."""
    async with server.agent() as agent:
        await tell(server, agent, await ready(agent), 5)
        await agent.ack(update(5))
        await agent.hears_nothing()
        server.let_pass(61)
        await agent.hears_nothing()
    assert await pending(server, agent.uaid) == []


@on_a_node()
async def test_ack_of_what_hello_brought(server: Server) -> None:
    """§8.2: what was delivered behind a hello is acked on that socket."""
    async with server.agent() as agent:
        endpoint = await ready(agent)
    assert (await server.put(endpoint, 5)).status == 202
    async with server.agent() as later:
        await later.hello(agent.uaid, ["a"])
        await later.ack(*await later.updates())
        await later.hears_nothing()
    assert await pending(server, agent.uaid) == []


@on_a_node()
async def test_ack_of_what_another_socket_brought(server: Server) -> None:
    """§8.2: a version delivered on a former socket may be acked on the next."""
    async with server.agent() as agent:
        await tell(server, agent, await ready(agent), 5)
    async with server.agent() as later:
        await later.hello(agent.uaid, ["a"])
        await later.ack(update(5))
        assert await later.updates() == [update(5)]
        await later.hears_nothing()
        server.let_pass(61)
        await later.hears_nothing()
    assert await pending(server, agent.uaid) == []


@on_a_node()
async def test_ack_of_an_older_version(server: Server) -> None:
    """§8.2: an ack of an older version leaves the newer one pending."""
    async with server.agent() as agent:
        endpoint = await ready(agent)
        await tell(server, agent, endpoint, 5)
        await tell(server, agent, endpoint, 6)
        await agent.ack(update(5))
        await agent.hears_nothing()
        server.let_pass(61)
        assert await agent.updates() == [update(6)]
    assert await pending(server, agent.uaid) == [update(6)]


@pytest.mark.parametrize(
    "ack",
    [update(4), update(0), update(6), update(2**53), update(2**63), update(2**64), update(10**400), update(5, "b")],
    ids=lambda ack: repr(ack)[:40],
)
@on_a_node()
async def test_ack_of_something_else(server: Server, ack: Message) -> None:
    """§8.2: an ack of an unknown channel, or of a version that never was, is ignored; what was sent stays pending."""
    async with server.agent() as agent:
        await tell(server, agent, await ready(agent), 5)
        await agent.ack(ack)
        await agent.hears_nothing()
    assert await pending(server, agent.uaid) == [update(5)]


@on_a_node()
async def test_ack_of_another_agent(server: Server) -> None:
    """§8.2: an agent acks only its own channels."""
    async with server.agent() as agent, server.agent() as other:
        await tell(server, agent, await ready(agent), 5)
        await ready(other)
        await other.say({"messageType": "ack", "uaid": agent.uaid, "updates": [update(5)]})
        await other.hears_nothing()
        server.let_pass(61)
        assert await agent.updates() == [update(5)]


@on_a_gated_node
async def test_ack_lost_by_the_store(server: Server, store: GatedStore) -> None:
    """§8.2: an ack that the store couldn't take is not answered, and the version comes again at the next hello."""
    async with server.agent() as agent:
        await tell(server, agent, await ready(agent), 5)
        store.fail("ack")
        await agent.ack(update(5))
        await agent.hears_nothing()
    store.mend()
    assert await pending(server, agent.uaid) == [update(5)]


NO_VERSIONS: list[object] = [None, True, 5.0, -1, "x", "", " 5", "5.0", "-5", "\uff15", []]

ACKS: dict[str, dict[str, Any]] = {
    "plain": {"messageType": "ack", "updates": [update(5)]},
    "with code": {"messageType": "ack", "updates": [{**update(5), "code": 100}]},
    "extra keys": {
        "messageType": "ack",
        "status": 200,
        "data": None,
        "updates": [{**update(5), "data": "x", "pushEndpoint": 5, "": {}}],
    },
    "string": {"messageType": "ack", "updates": [{"channelID": "a", "version": "5"}]},
    "string with zeros": {"messageType": "ack", "updates": [{"channelID": "a", "version": "0005"}]},
    "among bad ones": {
        "messageType": "ack",
        "updates": [
            *(5, None, "a", [], {}, {"channelID": "a"}, {"version": 5}, {"channelID": 5, "version": 5}),
            *({"channelID": "a", "version": bad} for bad in NO_VERSIONS),
            *({"channelID": "a b", "version": 5}, update(5)),
        ],
    },
    "upper case": {"messageType": "ACK", "updates": [update(5)]},
}


@pytest.mark.parametrize("ack", ACKS.values(), ids=ACKS)
@on_a_node()
async def test_ack_shapes(server: Server, ack: dict[str, Any]) -> None:
    """§8.4: extra keys and a decimal string as version are accepted; bad entries are skipped, and the others count."""
    async with server.agent() as agent:
        await tell(server, agent, await ready(agent), 5)
        await agent.say(ack)
        await agent.hears_nothing()
        server.let_pass(61)
        await agent.hears_nothing()
    assert await pending(server, agent.uaid) == []


@pytest.mark.parametrize("one_each", [True, False])
@on_a_node()
async def test_acks_of_several(server: Server, *, one_each: bool) -> None:
    """§8.4: updates are acked one a message, or as the whole notification came."""
    async with server.agent() as agent:
        await agent.hello()
        endpoints = [await agent.register(name) for name in ("a", "b", CHANNEL)]
    for endpoint in endpoints:
        assert (await server.put(endpoint, 7)).status == 202
    async with server.agent() as later:
        await later.hello(agent.uaid, None)
        updates = await later.updates()
        for acked in [[entry] for entry in updates] if one_each else [updates]:
            await later.ack(*acked)
        await later.hears_nothing()
        server.let_pass(61)
        await later.hears_nothing()
    assert await pending(server, agent.uaid) == []


@on_a_node()
async def test_empty_ack(server: Server) -> None:
    """§8.4: an empty list, and one of bad entries alone, are accepted, however often, and ack nothing."""
    async with server.agent() as agent:
        await tell(server, agent, await ready(agent), 5)
        for updates in ([], [5], [], [{"channelID": "a", "version": -1}]):
            await agent.say({"messageType": "ack", "updates": updates})
            await agent.hears_nothing()
        server.let_pass(61)
        assert await agent.updates() == [update(5)]


@pytest.mark.parametrize(
    "fields",
    [{}, *({"updates": wrong} for wrong in (None, {}, "a", 5, True, {"channelID": "a", "version": 5}))],
    ids=repr,
)
@on_a_node()
async def test_no_list(server: Server, fields: dict[str, object]) -> None:
    """§8.4: updates that are missing or no list get 401; the socket stays open the first time, and goes the second."""
    async with server.agent() as agent:
        await ready(agent)
        for number in range(2):
            reply = await agent.ask({"messageType": "ack", **fields})
            assert reply.pop("reason")
            assert reply == {"messageType": "ack", "status": 401, "error": "Invalid Command"}
            if number == 0:
                await agent.hears_nothing()
        assert await agent.wait_closed() == 1008


@on_a_node()
async def test_one_fault_of_each_kind(server: Server) -> None:
    """§8.4: the first bad ack is forgiven to whoever sent an object without a messageType before (§6)."""
    async with server.agent() as agent:
        await ready(agent)
        assert (await agent.ask({"a": 1}))["status"] == 401
        assert (await agent.ask({"messageType": "ack"}))["status"] == 401
        await agent.hears_nothing()


@pytest.mark.parametrize("updates", [[update(5)], []])
@on_a_node()
async def test_ack_before_hello(server: Server, updates: list[Message]) -> None:
    """§8.4: an ack before hello gets 401, and closes."""
    async with server.agent() as agent:
        reply = await agent.ask({"messageType": "ack", "updates": updates})
        assert reply.pop("reason")
        assert reply == {"messageType": "ack", "status": 401, "error": "Invalid Command"}
        assert await agent.wait_closed() == 1008
