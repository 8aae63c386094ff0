"""A node without its store: what a short outage leaves as it was, what a long one ends, and the way back."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from roskva.server.watch import SHED_SECONDS
from roskva.state.breaker import FAILURES
from roskva.store.sqlite import SqliteStore
from roskva.store.sqlite_writer import Call
from roskva.types import ChannelId, NodeId, Place
from tests.kit.agent import Agent, Message, read_uaid, update
from tests.kit.node import Server, run, running
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.kit.waiting import wait_empty, wait_idle, wait_until
from tests.kit.wire import handshake
from tests.scenarios._helpers import enlist, hello, register

TRY_LATER = 1013
PATIENCE = 120
"""Seconds, the default of ``store_outage_seconds``."""


@contextlib.asynccontextmanager
async def cut_off(count: int, **settings: Any) -> AsyncIterator[tuple[Server, GatedStore, list[Agent], list[str]]]:
    """Run a node whose store has just been found out, with so many agents; their endpoints come last."""
    store = GatedStore()
    async with running(store, chance=lambda: 0.0, **settings) as server, contextlib.AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(server.agent()) for _ in range(count)]
        for agent in agents:
            await agent.hello()
        endpoints = [await agent.register("a") for agent in agents]
        store.fail()
        await server.node.check_store()
        yield server, store, agents, endpoints
        store.mend()
        assert server.node.shell.counts.failures == 0


async def mend(server: Server, store: GatedStore) -> None:
    """Mend the store, and let the node find out."""
    store.mend()
    await server.node.check_store()


async def shake_hands(server: Server) -> tuple[int, str | None]:
    """Try a handshake; returns the status and when to come again."""
    async with server.wire(agreed=False) as wire:
        reply = await wire.shake_hands(handshake())
        return reply.status, reply.headers.get("retry-after")


def test_a_short_outage_is_refused_and_survived() -> None:
    """§3.8, §7: sockets stay, nothing is accepted that can't be kept, and on the same sockets all goes on."""

    async def scenario() -> None:
        async with cut_off(1) as (server, store, [agent], [endpoint]):
            server.let_pass(PATIENCE - 1)
            reply = await server.put(endpoint, 1)
            assert (reply.status, reply.headers["retry-after"]) == (503, "5")
            assert (await agent.ask(register("b")))["status"] == 500
            async with server.agent() as other:
                await other.say(hello())
                assert await other.wait_closed() == TRY_LATER
            await mend(server, store)
            server.let_pass(PATIENCE)
            assert (await server.put(endpoint, 1)).status == 200
            assert await agent.updates() == [update(1)]
            assert (await server.put(await agent.register("b"), 2)).status == 200
            assert await agent.updates() == [update(2, "b")]
            assert server.node.shell.counts.shed == 0

    run(scenario())


def test_what_was_accepted_before_an_outage_is_not_lost() -> None:
    """§1, §8.2: a version accepted before is delivered after it, once more if its ack fell into it."""

    async def scenario() -> None:
        store = GatedStore()
        async with running(store) as server:
            uaid, endpoints = await enlist(server, "a", "b")
            for endpoint in endpoints:
                assert (await server.put(endpoint, 5)).status == 202
            async with server.agent() as agent:
                await agent.hello(uaid, ["a", "b"])
                heard = await agent.updates()
                store.fail()
                await agent.ack(heard[0])
                assert (await server.put(endpoints[0], 4)).status == 503
                await wait_idle(server)
                store.mend()
                await agent.ack(heard[1])
                await agent.hears_nothing()
                await wait_idle(server)
            async with server.agent() as again:
                await again.hello(uaid, ["a", "b"])
                assert await again.updates() == heard[:1]

    run(scenario())


def test_a_long_outage_sheds_agents_bit_by_bit() -> None:
    """§3.8: after ``store_outage_seconds`` they are closed with 1013, evenly over a minute; handshakes get 503."""

    async def scenario() -> None:
        async with cut_off(12) as (server, _, agents, _):
            counts = server.node.shell.counts
            shed: list[int] = []
            server.let_pass(PATIENCE - 1)
            assert (await shake_hands(server))[0] == 101
            for seconds in (1, *[int(SHED_SECONDS / 4)] * 4):
                assert not shed or (await shake_hands(server)) == (503, "30")
                server.let_pass(seconds)
                shed.append(counts.shed)
            assert shed == [1, 4, 7, 10, 12]
            assert [await agent.wait_closed() for agent in agents] == [TRY_LATER] * 12
            assert counts.refusals["cut_off"] == 4

    run(scenario())


def test_a_store_that_returns_keeps_the_rest() -> None:
    """Agents that were not sent away yet stay, served as before; those that were find the way back by themselves."""

    async def scenario() -> None:
        async with cut_off(4) as (server, store, agents, endpoints):
            server.let_pass(PATIENCE + SHED_SECONDS / 2)
            await wait_until(lambda: len(server.node.presence) == 1)
            await mend(server, store)
            server.let_pass(PATIENCE + SHED_SECONDS)
            assert len(server.node.presence) == 1
            # Whose seat could not be cleared in the store: it is found empty, then cleared.
            assert sorted([(await server.put(endpoint, 1)).status for endpoint in endpoints]) == [200, 202, 202, 202]
            for agent in agents:
                if agent.socket.close_code is None:
                    assert await agent.updates() == [update(1)]
                    continue
                async with server.agent() as again:
                    assert (await again.hello(agent.uaid, ["a"]))["uaid"] == agent.uaid
                    assert await again.updates() == [update(1)]
            assert server.node.shell.counts.shed == 3

    run(scenario())


def test_a_second_outage_is_as_the_first() -> None:
    """The time of one outage doesn't count in the next."""

    async def scenario() -> None:
        async with cut_off(1) as (server, store, [agent], _):
            for _ in range(3):
                server.let_pass(PATIENCE - 1)
                await mend(server, store)
                server.let_pass(10)
                store.fail()
                await server.node.check_store()
                await agent.hears_nothing()  # and is not silent for too long
            assert (await shake_hands(server))[0] == 101
            server.let_pass(PATIENCE)
            assert await agent.wait_closed() == TRY_LATER

    run(scenario())


def test_agents_may_be_kept() -> None:
    """With ``store_outage_seconds`` 0, for a node that has no other beside it, sockets stay however long it lasts."""

    async def scenario() -> None:
        async with cut_off(1, store_outage_seconds=0.0) as (server, store, [agent], [endpoint]):
            server.let_pass(250)  # no more, or the silent agent would be pinged
            assert (await shake_hands(server))[0] == 101
            await mend(server, store)
            assert (await server.put(endpoint, 1)).status == 200
            assert await agent.updates() == [update(1)]

    run(scenario())


@on_a_gated_node
async def test_a_lost_store_is_looked_for(server: Server, store: GatedStore) -> None:
    """The store is looked at every ten seconds, and every second while it doesn't answer; once at a time."""
    watch = server.node._watch

    def count_due() -> int:
        due = 0
        for _ in range(100):
            server.let_pass(1)
            due += watch.is_check_due
        return due

    assert count_due() == 10
    gate = store.hang("check")
    checks = [asyncio.ensure_future(server.node.check_store()) for _ in range(3)]
    await asyncio.wait(checks, return_when=asyncio.FIRST_COMPLETED)
    assert sum(check.done() for check in checks) == 2
    gate.time_out()
    await asyncio.gather(*checks)
    assert count_due() == 100
    await mend(server, store)
    assert count_due() == 10


@on_a_gated_node
async def test_a_hello_in_an_outage_leaves_no_seat(server: Server, store: GatedStore) -> None:
    """§3.8: an agent that was closed for the store sits nowhere, though its hello took effect: PUTs are kept for it."""
    uaid, [endpoint] = await enlist(server, "a")
    gate = store.hold_after("attach")
    async with server.agent() as agent:
        await agent.say(hello(uaid, "a"))
        await gate.wait_reached()
        gate.time_out()
        assert await agent.wait_closed() == TRY_LATER
    await wait_empty(server)
    seat = await store.inner.advance(read_uaid(uaid), ChannelId("a"), 1)
    assert seat is not None
    assert seat.place == Place(NodeId(server.node.node_id), 2)
    assert (await server.put(endpoint, 2)).status == 202
    seat = await store.inner.advance(read_uaid(uaid), ChannelId("a"), 3)
    assert seat is not None
    assert seat.place is None
    async with server.agent() as agent:
        await agent.hello(uaid, ["a"])
        assert await agent.updates() == [update(3)]


async def read_breakers(server: Server) -> Message:
    """Return what the metrics page tells of breakers."""
    server.node.tick()
    page = (await server.get("/metrics")).body.decode()
    samples = [line.split(" ") for line in page.splitlines() if line.startswith("roskva_breaker")]
    return {name: value for name, value in samples if not name.endswith("_created")}


def test_a_store_that_keeps_failing_is_left_alone(tmp_path: Path) -> None:
    """§7: then one call at a time is a probe and the others are refused at once; the first that succeeds ends it."""

    async def scenario() -> None:
        path = tmp_path / "roskva.db"
        store = await SqliteStore.open(path, timeout=0.05)
        # Impatient with the lock alone; and a probe may come at once.
        store._batch._timeout = store._writer._timeout = 60.0
        store._batch._chance = lambda: 0.0
        commits: list[int] = []
        send = store._batch._send

        def count(calls: list[Call]) -> None:
            commits.append(len(calls))
            send(calls)

        store._batch._send = count
        async with running(store) as server, server.agent() as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                for _ in range(FAILURES):
                    assert (await server.put(endpoint, 1)).status == 503
                assert await read_breakers(server) == {
                    "roskva_breakers_open": "1.0", "roskva_breaker_openings_total": "1.0",
                }  # fmt: skip
                commits.clear()
                replies = await asyncio.gather(*(server.put(endpoint, 1) for _ in range(50)))
                assert {reply.status for reply in replies} == {503}
                assert commits == [1] * len(commits)
                assert len(commits) < 50
                other.execute("ROLLBACK")
            assert (await server.put(endpoint, 1)).status == 200
            assert await agent.updates() == [update(1)]
            assert (await read_breakers(server))["roskva_breakers_open"] == "0.0"

    run(scenario())
