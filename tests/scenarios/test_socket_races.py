"""Sockets of one agent against each other, and sockets that go while the store is still at work."""

import asyncio

import pytest

from roskva.types import MAX_VERSION
from tests.kit.agent import read_uaid, update
from tests.kit.crowd import deadlines
from tests.kit.node import Server, on_a_node
from tests.kit.stores import Gate, GatedStore, on_a_gated_node, pending_in
from tests.kit.waiting import wait_empty, wait_until
from tests.scenarios._helpers import A, B, enlist, hello, register, say_at_once

SUPERSEDED = 4000

FRESH = "0f3a2c44-91be-4d0e-8a77-5b1f6c2d9e10"
"""A UAID that nobody had yet; an agent without channels keeps it (§3.2)."""


async def is_seated(store: GatedStore, uaid: str) -> bool:
    """Tell whether the store has a place for the agent, which has channel a."""
    advanced = await store.inner.advance(read_uaid(uaid), A, MAX_VERSION)
    assert advanced is not None
    return advanced.place is not None


def hold(store: GatedStore, name: str, when: str) -> Gate:
    """Hold the next call of this name before or after it takes effect."""
    return store.hold_before(name) if when == "before" else store.hold_after(name)


async def lose_socket(server: Server) -> None:
    """Cut the one connection that hasn't said hello, or waits for the answer, and wait until the node noticed."""
    [connection] = server.node.shell.connections
    connection._transport.abort()  # type: ignore[attr-defined]  # as a network would: without a word
    await wait_until(lambda: not server.node.shell.connections)


@on_a_gated_node
async def test_late_cleanup_of_a_lost_socket(server: Server, store: GatedStore) -> None:
    """§3.5: the lost socket's cleanup leaves the new one's seat alone, also if it reaches the store after it."""
    cleaning = store.hold_before("detach")
    async with server.agent() as old:
        await old.hello()
        endpoint = await old.register("a")
    await cleaning.wait_reached()
    async with server.agent() as new:
        await new.hello(old.uaid, ["a"])
        cleaning.open()
        await wait_until(lambda: not server.node.shell.tasks)
        assert (await server.put(endpoint, 1)).status == 200
        assert await new.updates() == [update(1)]


@on_a_gated_node
async def test_displaced_socket_leaves_the_new_one_alone(server: Server, store: GatedStore) -> None:
    """§3.5: the displaced socket is closed with 4000, and its going takes nothing from the new one."""
    async with server.agent() as old, server.agent() as new:
        await old.hello()
        endpoint = await old.register("a")
        await new.hello(old.uaid, ["a"])
        assert await old.wait_closed() == SUPERSEDED
        await wait_until(lambda: server.node.shell.limits.connections.total == 1 and not server.node.shell.tasks)
        assert (await server.put(endpoint, 1)).status == 200
        assert await new.updates() == [update(1)]
        assert await is_seated(store, old.uaid)


@pytest.mark.parametrize("when", ["before", "after"])
@on_a_gated_node
async def test_two_hellos_of_one_uaid_at_once(server: Server, store: GatedStore, when: str) -> None:
    """§3.5: of two hellos at once the later one wins, whichever the store answers first; the other gets 4000 alone."""
    uaid, [endpoint] = await enlist(server, "a")
    async with server.agent() as one, server.agent() as other:
        attaching = hold(store, "attach", when)
        await one.say(hello(uaid, "a"))
        await attaching.wait_reached()
        assert (await other.hello(uaid, ["a"]))["uaid"] == uaid
        attaching.open()
        assert await one.wait_closed() == SUPERSEDED
        await wait_until(lambda: server.node.shell.limits.connections.total == 1)
        assert (await server.put(endpoint, 1)).status == 200
        assert await other.updates() == [update(1)]


@pytest.mark.parametrize("listed", [["a", "unknown"], []])
@on_a_gated_node
async def test_displaced_hello_changes_nothing(server: Server, store: GatedStore, listed: list[str]) -> None:
    """§3.5: a hello that was displaced before its answer neither forgets the agent nor prunes its channels."""
    uaid, [endpoint] = await enlist(server, "a")
    async with server.agent() as one, server.agent() as other:
        attaching = store.hold_after("attach")
        await one.say(hello(uaid, *listed))
        await attaching.wait_reached()
        await other.hello(uaid, ["a"])
        attaching.open()
        await wait_until(lambda: not server.node.shell.tasks)
        assert (await server.put(endpoint, 1)).status == 200
        assert await other.updates() == [update(1)]


@pytest.mark.parametrize("when", ["before", "after"])
@on_a_gated_node
async def test_socket_lost_while_hello_is_in_the_store(server: Server, store: GatedStore, when: str) -> None:
    """§3: an agent that left before the store answered its hello leaves no seat, here or there."""
    uaid, _ = await enlist(server, "a")
    async with server.agent() as agent:
        attaching = hold(store, "attach", when)
        await agent.say(hello(uaid, "a"))
        await attaching.wait_reached()
        await lose_socket(server)
        attaching.open()
        await wait_empty(server)
        assert not await is_seated(store, uaid)
        assert deadlines(server) == 0
        assert server.node.shell.counts.failures == 0


@pytest.mark.parametrize("when", ["before", "after"])
@on_a_gated_node
async def test_socket_lost_while_the_first_register_is_in_the_store(
    server: Server, store: GatedStore, when: str
) -> None:
    """§3.4: an agent that left before the store answered its first register is stored, but not as seated."""
    async with server.agent() as agent:
        await agent.hello()
        registering = hold(store, "enroll", when)
        await agent.say(register("a"))
        await registering.wait_reached()
        await agent.socket.close()
    await wait_until(lambda: server.node.shell.limits.connections.total == 0)
    registering.open()
    await wait_empty(server)
    assert not await is_seated(store, agent.uaid)
    assert server.node.shell.counts.failures == 0


@on_a_gated_node
async def test_socket_lost_as_hello_is_answered_with_a_register_behind(server: Server, store: GatedStore) -> None:
    """§3.4: a register held behind the hello leaves no seat if the socket goes in the turn of the welcome."""
    async with server.agent() as agent:
        attaching, registering = store.hold_after("attach"), store.hold_after("enroll")
        say_at_once(agent, hello(FRESH), register("a"))
        await attaching.wait_reached()
        [connection] = server.node.shell.connections
        attaching.open()
        await asyncio.sleep(0)
        connection._transport.abort()  # type: ignore[attr-defined]  # in the turn of the welcome
        await registering.wait_reached()
        registering.open()
        await wait_empty(server)
        assert not await is_seated(store, FRESH)


@on_a_gated_node
async def test_register_that_timed_out_but_took_effect_leaves_no_seat(server: Server, store: GatedStore) -> None:
    """§4.3, §10: a first register that was answered 500 may have stored the agent; leaving clears its seat."""
    async with server.agent() as agent:
        await agent.hello()
        registering = store.hold_after("enroll")
        await agent.say(register("a"))
        await registering.wait_reached()
        registering.time_out()
        assert (await agent.hear())["status"] == 500
    await wait_empty(server)
    assert not await is_seated(store, agent.uaid)


@on_a_node()
async def test_second_hello_in_the_same_packet(server: Server) -> None:
    """§3.6: a hello right behind another is answered in turn: the same reply again, and nothing more."""
    uaid, [endpoint] = await enlist(server, "a")
    await server.put(endpoint, 1)
    async with server.agent() as agent:
        say_at_once(agent, hello(uaid, "a"), hello(uaid, "a"))
        first = await agent.hear()
        assert first == {"messageType": "hello", "uaid": uaid, "status": 200}
        assert await agent.updates() == [update(1)]
        assert await agent.hear() == first
        await agent.hears_nothing()


@on_a_node()
async def test_second_hello_with_another_uaid_in_the_same_packet(server: Server) -> None:
    """§3.6: a hello for another agent right behind one is refused with 401, and closes."""
    uaid, _ = await enlist(server, "a")
    async with server.agent() as agent:
        say_at_once(agent, hello(), hello(uaid, "a"))
        assert (await agent.hear())["status"] == 200
        assert (await agent.hear())["status"] == 401
        assert await agent.wait_closed() == 1008


@on_a_node()
async def test_messages_behind_hello_in_one_packet(server: Server) -> None:
    """§3.1, §4: registers sent in one packet with the hello are carried out, in order, after its reply."""
    async with server.agent() as agent:
        say_at_once(agent, hello(), register("a"), register("b"), {"messageType": "ping"})
        assert (await agent.hear())["messageType"] == "hello"
        replies = [await agent.hear() for _ in range(3)]
        assert {} in replies
        replies.remove({})
        assert [reply["channelID"] for reply in replies] == ["a", "b"]
        for reply in replies:
            assert (await server.put(reply["pushEndpoint"], 1)).status == 200
        assert [await agent.updates(), await agent.updates()] == [[update(1)], [update(1, "b")]]


@pytest.mark.parametrize("when", ["before", "after"])
@on_a_gated_node
async def test_drain_with_a_put_in_the_store(server: Server, store: GatedStore, when: str) -> None:
    """§7.1: a stopping server answers the PUTs it took, as they ended; the agent is told to go elsewhere (1001)."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        storing = hold(store, "advance", when)
        putting = asyncio.create_task(server.put(endpoint, 1, headers={"Connection": "keep-alive"}))
        await storing.wait_reached()
        draining = asyncio.create_task(server.node.drain())
        assert await agent.wait_closed() == 1001
        assert not putting.done()
        storing.open()
        reply = await putting
        assert (reply.status, reply.headers["connection"]) == (202, "close")
        await draining
        assert await pending_in(store, read_uaid(agent.uaid)) == {A: (1, 0)}
        with pytest.raises(OSError, match="refused"):
            await server.put(endpoint, 2)


@on_a_gated_node
async def test_drain_with_a_register_in_the_store(server: Server, store: GatedStore) -> None:
    """§4.1: a register under way at the stop takes effect as a whole, agent and channel, and leaves no seat."""
    async with server.agent() as agent:
        await agent.hello()
        registering = store.hold_before("enroll")
        say_at_once(agent, register("a"), register("b"))
        await registering.wait_reached()
        draining = asyncio.create_task(server.node.drain())
        assert await agent.wait_closed() == 1001
        registering.open()
        await draining
        advanced = [await store.inner.advance(read_uaid(agent.uaid), name, 1) for name in (A, B)]
        assert [found and found.place for found in advanced] == [None, None]
        assert None not in advanced


@on_a_gated_node
async def test_stopping_node_waits_for_what_ends_late(server: Server, store: GatedStore) -> None:
    """A seat is cleared in the store before the node lets go of it, though a register only ended in between."""
    async with server.agent() as agent:
        await agent.hello()
        registering = store.hold_before("enroll")
        await agent.say(register("a"))
        await registering.wait_reached()
        agent.socket.transport.abort()
        await wait_until(lambda: not server.node.shell.limits.connections.total)
        leaving = store.hold_before("detach")
        finishing = asyncio.create_task(server.node.shell.finish(60.0))
        await asyncio.sleep(0)
        registering.open()
        await leaving.wait_reached()
        leaving.open()
        await finishing
        assert not await is_seated(store, agent.uaid)
