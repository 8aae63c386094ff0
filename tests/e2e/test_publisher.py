"""The publisher against our own server, with agents that hear it."""

import asyncio
from collections import Counter
from pathlib import Path

from roskva.client.publisher import Outcome, Publisher
from tests.kit.node import Server, on_a_node, running_on_sqlite
from tests.kit.node import run as run_scenario

CHANNELS = 50


@on_a_node()
async def test_versions_only_rise(server: Server) -> None:
    """Whatever the order of the puts, the agent hears of the newest, and never of a lower one after it."""
    async with server.agent() as agent, Publisher() as publisher:
        await agent.hello()
        endpoint = await agent.register("a")
        results = await asyncio.gather(*[publisher.put(endpoint, version) for version in (3, 9, 1, 7, 5)])
        assert {result.outcome for result in results} == {Outcome.DELIVERED}
        assert await agent.updates() == [{"channelID": "a", "version": 9}]
        assert (await publisher.put(endpoint, 4)).is_accepted
        assert (await publisher.put(endpoint, 10)).is_accepted
        assert await agent.updates() == [{"channelID": "a", "version": 10}]


@on_a_node()
async def test_each_endpoint_has_its_own_end(server: Server) -> None:
    """Delivered, stored, gone and refused are told apart, and the application hears of those that are gone."""
    gone: list[str] = []
    async with server.agent() as agent, Publisher(on_gone=gone.append) as publisher:
        async with server.agent() as left:
            await left.hello()
            stored = await left.register("b")
        await agent.hello()
        delivered, dropped = await agent.register("a"), await agent.register("c")
        await agent.unregister("c")
        forged = delivered[:-4] + ("AAAA" if delivered[-4:] != "AAAA" else "BBBB")
        found = {
            endpoint: result.outcome
            async for endpoint, result in publisher.put_many([delivered, stored, dropped, forged], 1)
        }
    assert found == {
        delivered: Outcome.DELIVERED,
        stored: Outcome.STORED,
        dropped: Outcome.GONE,
        forged: Outcome.REFUSED,
    }
    assert gone == [dropped]


@on_a_node(puts_per_endpoint=3)
async def test_rate_limit_is_kept(server: Server) -> None:
    """A 429 is told with its Retry-After when the deadline doesn't allow to wait for it."""
    async with server.agent() as agent, Publisher(deadline=0.5) as publisher:
        await agent.hello()
        endpoint = await agent.register("a")
        results = [await publisher.put(endpoint, version) for version in range(1, 6)]
    assert [result.status for result in results] == [200, 200, 200, 429, 429]
    assert results[-1].retry_after


def test_many_channels_share_few_connections(tmp_path: Path) -> None:
    """A publisher of many endpoints keeps to its connections, and every agent hears all of its channels."""

    async def play() -> None:
        async with running_on_sqlite(tmp_path / "db") as server, server.agent() as agent:
            await agent.hello()
            endpoints = [await agent.register(f"c{number}") for number in range(CHANNELS)]
            async with Publisher(concurrency=3) as publisher:
                outcomes = Counter([result.outcome async for _, result in publisher.put_many(endpoints * 4, 7)])
                assert outcomes == {Outcome.DELIVERED: CHANNELS * 4}
                assert server.node.shell.limits.connections.total <= 1 + 3
            heard: set[str] = set()
            while len(heard) < CHANNELS:
                heard.update(update["channelID"] for update in await agent.updates())

    run_scenario(play())
