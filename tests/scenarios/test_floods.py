"""What one peer may cost the others: operations under way, rows of an ack, messages that don't end."""

import asyncio

from roskva.server.connection import MAX_UNDER_WAY
from roskva.types import ChannelId
from tests.kit.agent import Message, read_uaid, update
from tests.kit.node import Server, on_a_node
from tests.kit.stores import GatedStore, on_a_gated_node, pending_in
from tests.kit.waiting import wait_empty
from tests.kit.wire import frame, open_wire
from tests.scenarios._helpers import register, say_at_once, unregister

PING = frame(b"", opcode=9)
PONG = 10


@on_a_gated_node
async def test_one_agent_has_few_operations_under_way(server: Server, store: GatedStore) -> None:
    """§11.4: of 1,000 messages in one packet few are under way at a time; all are answered, in order."""
    names = [f"c{number}" for number in range(1000)]
    async with server.agent() as agent:
        await agent.hello()
        gate = store.hang("unregister")
        say_at_once(agent, *map(unregister, names))
        await gate.wait_reached()
        assert server.node.shell.tasks <= MAX_UNDER_WAY
        store.mend()
        assert [(await agent.hear())["channelID"] for _ in names] == names


@on_a_gated_node
async def test_what_is_held_keeps_its_order(server: Server, store: GatedStore) -> None:
    """§11.4, §5.2: messages held back take effect in the order in which they came."""
    async with server.agent() as agent:
        await agent.hello()
        await agent.register("a")
        gate = store.hang("register")
        say_at_once(
            agent, *(register(f"c{number}") for number in range(MAX_UNDER_WAY + 20)), unregister("a"), register("a")
        )
        await gate.wait_reached()
        store.mend()
        replies = [await agent.hear() for _ in range(MAX_UNDER_WAY + 22)]
    assert [reply["messageType"] for reply in replies[-2:]] == ["unregister", "register"]
    assert {reply["status"] for reply in replies} == {200}


@on_a_gated_node
async def test_acks_of_what_was_not_sent_cost_no_store_call(server: Server, store: GatedStore) -> None:
    """§8.2: acks of unknown channels and of other versions are ignored, before the store."""
    junk: list[Message] = [update(1, f"c{number}") for number in range(5000)]
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        await server.put(endpoint, 5)
        await agent.updates()
        store.fail("ack")
        await agent.ack(*junk, update(4), update(6))
        await agent.hears_nothing()
        assert server.node.shell.counts.store_errors == 0
        store.mend()
        await agent.ack(*junk, update(5), update(5))
        await agent.hears_nothing()
    assert await pending_in(store.inner, read_uaid(agent.uaid)) == {}


@on_a_node()
async def test_a_message_must_come_whole_in_time(server: Server) -> None:
    """§11.4: who begins a message and doesn't end it is closed after 30 s, whatever else it sends meanwhile."""
    async with open_wire(server.node.port) as wire:
        await wire.ask({"messageType": "hello", "uaid": ""})
        await wire.send(frame(b'{"messageType":', fin=False) + PING)
        assert (await wire.read_frame()).opcode == PONG
        server.let_pass(29)
        await wire.send(PING)
        assert (await wire.read_frame()).opcode == PONG
        server.let_pass(2)
        assert await wire.closed_with() == 1008


@on_a_node()
async def test_a_stream_of_parts_is_no_unfinished_message(server: Server) -> None:
    """§2.4: who is always in the middle of the next message is not closed, as each comes whole in time."""
    whole = frame(b'{"messageType":"purge"}')
    async with open_wire(server.node.port) as wire:
        await wire.ask({"messageType": "hello", "uaid": ""})
        await wire.send(whole[:5])
        for _ in range(4):
            server.let_pass(20)
            await wire.send(whole[5:] + whole[:5])
            assert await wire.hear() == {}


@on_a_gated_node
async def test_a_late_effect_is_told_by_the_retry(server: Server, store: GatedStore) -> None:
    """§1: a PUT that timed out, but took effect, is told to the agent when the publisher repeats it."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        gate = store.hold_after("advance")
        putting = asyncio.ensure_future(server.put(endpoint, 5))
        await gate.wait_reached()
        gate.time_out()
        assert (await putting).status == 503
        assert (await server.put(endpoint, 5)).status == 200
        assert await agent.updates() == [update(5)]
        assert (await server.put(endpoint, 4)).status == 200
        await agent.hears_nothing()


@on_a_gated_node
async def test_an_unclear_seat_is_cleared_by_a_put(server: Server, store: GatedStore) -> None:
    """§10: a seat whose clearing failed is cleared by the next PUT, so that the agent can be forgotten in time."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        store.fail("detach")
    await wait_empty(server)
    store.mend()
    assert (await server.put(endpoint, 5)).status == 202
    advanced = await store.inner.advance(read_uaid(agent.uaid), ChannelId("a"), 6)
    assert advanced is not None
    assert advanced.place is None
