"""Two nodes that share a Valkey, in one process, with real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from roskva.errors import StoreError
from roskva.server import bus
from roskva.state.backoff import Backoff
from roskva.store.valkey import ValkeyStore
from roskva.store.valkey_pubsub import Subscription
from roskva.types import ChannelId, Place, Uaid, Update
from tests.kit.agent import Agent, read_uaid, update
from tests.kit.node import Server, run, running
from tests.kit.valkey import Servers, ValkeyCluster, ValkeyProcess, hand_over, running_cluster
from tests.kit.valkey import running as running_valkey
from tests.kit.waiting import wait_until


@contextlib.asynccontextmanager
async def nodes(servers: Servers, **settings: Any) -> AsyncIterator[tuple[Server, Server]]:
    """Run two nodes."""
    async with contextlib.AsyncExitStack() as stack:
        both = []
        for _ in range(2):
            store = await ValkeyStore.open(servers.deployment, timeout=2.0)
            both.append(await stack.enter_async_context(running(store, **{"store_timeout": 2.0, **settings})))
        yield both[0], both[1]


def at(server: Server, endpoint: str) -> str:
    """Reach an endpoint by a node of one's choice."""
    return f"http://127.0.0.1:{server.node.port}/{endpoint.split('/', 3)[3]}"


async def put_until_taken(server: Server, endpoint: str, version: int) -> int:
    """PUT as publishers do: again after a 503, as a way to Valkey may be lost just now; returns the last status."""
    status = 503
    for _ in range(100):
        status = (await server.put(at(server, endpoint), version)).status
        if status != 503:
            break
        await asyncio.sleep(0.05)
    return status


async def looks(server: Server) -> tuple[int, object]:
    """Ask a node whether it is ready, and how its bus is."""
    return (await server.get("/readyz")).status, (await server.get("/status")).json()["bus"]


def shard_of(cluster: ValkeyCluster, server: Server) -> ValkeyProcess:
    """Find the primary by which a node's hints come."""
    return cluster.primary_of(f"roskva:{server.node.node_id}".encode())


def test_a_put_to_any_node_reaches_the_agent(valkey_cluster: ValkeyCluster) -> None:
    """§1: the publisher need not know where the agent sits; what is handed over is answered 200."""
    valkey_cluster.clear()

    async def main() -> None:
        async with nodes(valkey_cluster) as (here, there), here.agent() as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            for version, server in ((1, there), (2, here), (3, there)):
                assert (await server.put(at(server, endpoint), version)).status == 200
                assert await agent.updates() == [update(version)]
                await agent.ack(update(version))
            await agent.hears_nothing()
            assert there.node.shell.counts.hints_sent == here.node.shell.counts.hints_heard == 2

    run(main())


def hint(server: Server, uaid: Uaid, version: int) -> None:
    """Let a hint for channel ``a`` arrive now, as one does that was long on its way."""
    server.node._matcher.receive(Place(server.node.node_id, 1), uaid, Update(ChannelId("a"), version, "a"))


def test_a_hint_that_was_overtaken_tells_nothing(valkey: ValkeyProcess) -> None:
    """§7: what the agent has acked, and what is older, isn't delivered, whenever the hint comes."""
    valkey.clear()

    async def main() -> None:
        async with nodes(valkey) as (here, there), there.agent() as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            for version in (5, 6):
                assert (await here.put(at(here, endpoint), version)).status == 200
                assert await agent.updates() == [update(version)]
                await agent.ack(update(version))
            await agent.hears_nothing()
            uaid = read_uaid(agent.uaid)
            for version in (5, 6):
                hint(there, uaid, version)
            await there.node._resync.run()
            for version in (5, 6):
                hint(there, uaid, version)
            await agent.hears_nothing()
            there.let_pass(20)
            hint(there, uaid, 6)
            assert await agent.updates() == [update(6)]

    run(main())


def test_a_channel_that_begins_anew_is_heard(valkey: ValkeyProcess) -> None:
    """§3.2: an agent that was forgotten comes with its old UAID and empty hands: low versions are news again."""
    valkey.clear()

    async def main() -> None:
        async with nodes(valkey) as (here, there):

            def stored_acks() -> int:
                return here.node.shell.counts.acks + there.node.shell.counts.acks

            async def hears(node: Server, endpoint: str, version: int) -> None:
                before = stored_acks()
                assert (await node.put(at(node, endpoint), version)).status == 200
                assert await agent.updates() == [update(version)]
                await agent.ack(update(version))
                await wait_until(lambda: stored_acks() > before)

            async with here.agent() as agent:
                await agent.hello()
                uaid = agent.uaid
                await hears(there, await agent.register("a"), 60)
            for again in (here, there):
                async with there.agent() as agent:
                    await agent.hello(uaid, ["unknown"])
                    assert agent.uaid != uaid
                async with again.agent() as agent:
                    await agent.hello(uaid)
                    assert agent.uaid == uaid
                    endpoint = await agent.register("a")
                    await hears(there, endpoint, 1)
                async with here.agent() as agent:
                    await agent.hello(uaid, ["a"])
                    for version in (2, 60):
                        await hears(there, endpoint, version)

    run(main())


def test_the_newest_connection_wins_across_nodes(valkey: ValkeyProcess) -> None:
    """§3.5: an agent that says hello at another node is closed at the first one with 4000, and hears at the second."""
    valkey.clear()

    async def main() -> None:
        async with nodes(valkey) as (here, there), here.agent() as older, there.agent() as newer:
            await older.hello()
            endpoint = await older.register("a")
            await newer.hello(older.uaid, ["a"])
            assert await older.wait_closed() == 4000
            assert (await here.put(at(here, endpoint), 5)).status == 200
            assert await newer.updates() == [update(5)]

    run(main())


def test_first_registers_displace_across_nodes(valkey: ValkeyProcess) -> None:
    """§3.5: of two connections of one UAID without channels, the one that registers last stays."""
    valkey.clear()
    uaid = "0f8fad5b-d9cb-469f-a165-70867728950e"

    async def main() -> None:
        async with nodes(valkey) as (here, there), here.agent() as older, there.agent() as newer:
            await older.hello(uaid)
            await newer.hello(uaid)
            await older.register("a")
            await newer.register("b")
            assert await older.wait_closed() == 4000

    run(main())


def test_the_seat_of_a_dead_node_heals(valkey: ValkeyProcess) -> None:
    """A node that died left its agents seated: the next PUT finds nobody, is stored, and clears the seat.

    The agent hears of it at the node where it comes back.
    """
    valkey.clear()

    async def main() -> None:
        async with nodes(valkey) as (here, there):
            async with there.agent() as agent:
                await agent.hello()
                endpoint = await agent.register("a")
                assert there.node._bus is not None
                await there.node._bus.close()
                assert (await here.put(at(here, endpoint), 5)).status == 202
                assert (await here.put(at(here, endpoint), 6)).status == 202
                assert here.node.shell.counts.hints_unheard == 1
            async with here.agent() as again:
                assert (await again.hello(agent.uaid, ["a"]))["uaid"] == agent.uaid
                assert await again.updates() == [update(6)]
                await again.ack(update(6))
                assert (await here.put(at(here, endpoint), 7)).status == 200
                assert await again.updates() == [update(7)]

    run(main())


def test_what_was_published_while_a_node_was_deaf_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a lost subscription every agent of the node is asked for: it hears what it missed, and is seated again."""
    monkeypatch.setattr(bus, "BACKOFF", Backoff(first=0.3, cap=0.3))

    async def main(valkey: ValkeyProcess) -> None:
        async with nodes(valkey) as (here, there), there.agent() as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            assert valkey.ask("CLIENT", "KILL", "TYPE", "pubsub") == 2
            assert await put_until_taken(here, endpoint, 5) in (200, 202)
            assert await agent.updates() == [update(5)]
            await wait_until(lambda: there.node._bus is not None and there.node._bus.is_open)
            await wait_until(lambda: all(node.node.shell.counts.bus_losses == 1 for node in (here, there)))
            await agent.ack(update(5))
            assert (await here.put(at(here, endpoint), 6)).status == 200
            assert await agent.updates() == [update(6)]

    with running_valkey() as valkey:
        run(main(valkey))


def test_a_put_whose_hint_may_be_lost_comes_again(monkeypatch: pytest.MonkeyPatch, valkey: ValkeyProcess) -> None:
    """§1: a node that can't tell the agent's node answers 503, though the update is stored; repeated, it arrives."""
    valkey.clear()

    async def lose(*args: object) -> list[int]:
        raise StoreError("broken on purpose")

    async def main() -> None:
        async with nodes(valkey) as (here, there), there.agent() as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            with monkeypatch.context() as broken:
                broken.setattr(bus, "publish", lose)
                assert (await here.put(at(here, endpoint), 5)).status == 503
            assert (await here.put(at(here, endpoint), 5)).status == 200
            assert await agent.updates() == [update(5)]

    run(main())


def test_the_bus_follows_a_primary_that_hands_over() -> None:
    """A primary that has become a replica goes on taking subscribers and messages: all is heard nevertheless."""

    async def main(cluster: ValkeyCluster) -> None:
        async with nodes(cluster) as (here, there), there.agent() as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            await asyncio.to_thread(hand_over, cluster, f"roskva:{there.node.node_id}".encode())
            for version in range(1, 5):
                losses = there.node.shell.counts.bus_losses
                assert await put_until_taken(here, endpoint, version) in (200, 202)
                assert await agent.updates() == [update(version)]
                await agent.ack(update(version))
                if version == 1:
                    await wait_until(lambda: there.node.shell.counts.bus_losses > losses)  # noqa: B023
            assert there.node._bus is not None
            assert there.node._bus.is_open

    with running_cluster() as cluster:
        run(main(cluster))


def test_a_node_that_stays_deaf_sheds_its_agents(monkeypatch: pytest.MonkeyPatch, valkey: ValkeyProcess) -> None:
    """§3.8: without hints for as long as a store outage may last, agents are sent to other nodes, until they come."""
    valkey.clear()
    monkeypatch.setattr(bus, "BACKOFF", Backoff(first=0.01, cap=0.01))

    async def refuse(*args: object) -> Subscription:
        raise StoreError("broken on purpose")

    async def main() -> None:
        async with nodes(valkey) as (here, there), there.agent() as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            assert there.node._bus is not None
            assert there.node._bus._subscription is not None
            with monkeypatch.context() as broken:
                broken.setattr(bus, "subscribe", refuse)
                there.node._bus._subscription.close()
                there.node._bus._lost.set()
                assert await looks(there) == (503, "lost")
                there.let_pass(120)
                await agent.hears_nothing()
                there.let_pass(62)
                assert await agent.wait_closed() == 1013
                assert (await there.put(at(here, endpoint), 5)).status == 202
            await wait_until(lambda: there.node._bus is not None and there.node._bus.is_open)
            there.let_pass(1)
            assert await looks(there) == await looks(here) == (200, "open")
            async with there.agent() as again:
                assert (await again.hello(agent.uaid, ["a"]))["uaid"] == agent.uaid
                assert await again.updates() == [update(5)]

    run(main())


def test_a_hint_that_may_be_lost_is_not_accepted() -> None:
    """§7.1: without Valkey a PUT is answered 503 on any node, and what was accepted arrives once it is back."""

    async def main(valkey: ValkeyProcess) -> None:
        async with nodes(valkey) as (here, there), there.agent() as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            valkey.kill()
            reply = await here.put(at(here, endpoint), 5)
            assert reply.status == 503
            assert int(reply.headers["retry-after"]) >= 1
            await asyncio.to_thread(valkey.start)
            assert await put_until_taken(here, endpoint, 5) in (200, 202)
            assert await agent.updates() == [update(5)]

    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as valkey:
        run(main(valkey))


def test_a_shard_that_stays_dead_makes_its_nodes_deaf() -> None:
    """§3.8: a node whose channel is in that shard isn't ready and sends all agents away; elsewhere they are served.

    The agents of that shard are closed at each hello with 1013, until it is back.
    """

    async def main(cluster: ValkeyCluster) -> None:
        async with contextlib.AsyncExitStack() as stack:
            here, there = await stack.enter_async_context(nodes(cluster))
            while (dead := shard_of(cluster, there)) is shard_of(cluster, here):
                _, there = await stack.enter_async_context(nodes(cluster))
            agents: dict[bool, Agent] = {}
            while len(agents) < 2:
                agent = await stack.enter_async_context(there.agent())
                await agent.hello()
                agents[cluster.primary_of(b"r:{%s}" % read_uaid(agent.uaid)) is dead] = agent
            endpoint = await agents[False].register("a")
            dead.kill()
            await wait_until(lambda: there.node._bus is not None and not there.node._bus.is_open)
            assert await looks(there) == (503, "lost")
            assert await looks(here) == (200, "open")
            there.let_pass(182)
            assert await agents[False].wait_closed() == 1013
            assert await agents[True].wait_closed() == 1013
            assert await put_until_taken(here, endpoint, 5) in (200, 202)
            async with here.agent() as again, here.agent() as lost:
                assert (await again.hello(agents[False].uaid, ["a"]))["uaid"] == agents[False].uaid
                assert await again.updates() == [update(5)]
                await lost.say({"messageType": "hello", "uaid": agents[True].uaid, "channelIDs": []})
                assert await lost.wait_closed() == 1013

    with running_cluster(replicas=0) as cluster:
        for node in cluster.nodes:
            node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
        run(main(cluster))
