"""docs/protocol.md §10: what is forgotten, and when; on both stores, with their clock in the test's hand."""

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from roskva.store.memory import MemoryStore
from roskva.store.sqlite import SqliteStore
from roskva.testing import FakeClock
from tests.kit.agent import update
from tests.kit.node import Server, run, running
from tests.kit.waiting import wait_empty
from tests.protocol._helpers import enlist, pending

DAY = 24 * 3600.0


class Calendar:
    """A node, and the clock of its store, in Unix seconds."""

    def __init__(self, server: Server, clock: FakeClock) -> None:
        self.server = server
        self.let_pass = clock.advance

    async def enlist(self, *channel_ids: str) -> tuple[str, dict[str, str]]:
        """Let a new agent register channels and leave; it is unseen from now on."""
        enlisted = await enlist(self.server, *channel_ids)
        await wait_empty(self.server)
        return enlisted

    async def is_known(self, uaid: str) -> bool:
        """Tell whether the agent keeps its UAID, and so whatever is pending."""
        async with self.server.agent() as agent:
            await agent.hello(uaid, None)
        await wait_empty(self.server)
        return agent.uaid == uaid


@contextlib.asynccontextmanager
async def open_calendar(kind: str, path: Path) -> AsyncIterator[Calendar]:
    """Run a node on a store of a kind."""
    clock = FakeClock()
    store = MemoryStore(clock) if kind == "memory" else await SqliteStore.open(path / "store.db", clock=clock)
    async with running(store) as server:
        yield Calendar(server, clock)


Test = Callable[[str, Path], None]


def on_both_stores(scenario: Callable[[Calendar], Coroutine[Any, Any, None]]) -> Test:
    """Make a test of a scenario."""

    @pytest.mark.parametrize("kind", ["memory", "sqlite"])
    def test(kind: str, tmp_path: Path) -> None:
        async def play() -> None:
            async with open_calendar(kind, tmp_path) as calendar:
                await scenario(calendar)

        run(play())

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    return test


@on_both_stores
async def test_unseen(calendar: Calendar) -> None:
    """§10: an agent unseen for 30 days is forgotten: it gets a new UAID, and its endpoints are 410."""
    uaid, endpoints = await calendar.enlist("a", "b")
    assert (await calendar.server.put(endpoints["a"], 1)).status == 202
    calendar.let_pass(30 * DAY + 1)
    for endpoint in endpoints.values():
        assert (await calendar.server.put(endpoint, 2)).status == 410
    assert not await calendar.is_known(uaid)


@on_both_stores
async def test_not_yet(calendar: Calendar) -> None:
    """§10: until then it is remembered with everything pending, and PUTs don't count as being seen."""
    uaid, endpoints = await calendar.enlist("a")
    calendar.let_pass(29 * DAY)
    assert (await calendar.server.put(endpoints["a"], 1)).status == 202
    calendar.let_pass(DAY - 1)
    assert (await calendar.server.put(endpoints["a"], 2)).status == 202
    assert await pending(calendar.server, uaid) == [update(2)]
    calendar.let_pass(2)
    assert (await calendar.server.put(endpoints["a"], 3)).status == 202


@on_both_stores
async def test_seen_again(calendar: Calendar) -> None:
    """§10: the 30 days begin anew when an agent leaves, and one that stays connected is seen all the time."""
    uaid, endpoints = await calendar.enlist("a")
    for _ in range(3):
        calendar.let_pass(29 * DAY)
        assert await calendar.is_known(uaid)
    async with calendar.server.agent() as agent:
        await agent.hello(uaid, ["a"])
        calendar.let_pass(400 * DAY)
        assert (await calendar.server.put(endpoints["a"], 1)).status == 200
        assert await agent.updates() == [update(1)]
    await wait_empty(calendar.server)
    calendar.let_pass(29 * DAY)
    assert await calendar.is_known(uaid)


@on_both_stores
async def test_atomically(calendar: Calendar) -> None:
    """§10: the UAID goes first, atomically, then its channels: whoever takes it up again finds nothing of them."""
    uaid, endpoints = await calendar.enlist("a", "b")
    for endpoint in endpoints.values():
        assert (await calendar.server.put(endpoint, 100)).status == 202
    calendar.let_pass(30 * DAY + 1)
    async with calendar.server.agent() as agent:
        await agent.hello(uaid, [])
        assert agent.uaid == uaid
        assert await agent.register("a") == endpoints["a"]
        await agent.hears_nothing()
        assert (await calendar.server.put(endpoints["a"], 1)).status == 200
        assert await agent.updates() == [update(1)]
        assert (await calendar.server.put(endpoints["b"], 101)).status == 410


@on_both_stores
async def test_channels_live_with_their_agent(calendar: Calendar) -> None:
    """§10: a single channel is never expired while its UAID lives, however long nobody PUTs or acks."""
    uaid, endpoints = await calendar.enlist("quiet", "pending")
    assert (await calendar.server.put(endpoints["pending"], 1)).status == 202
    for _ in range(30):
        calendar.let_pass(29 * DAY)
        assert await calendar.is_known(uaid)
    assert await pending(calendar.server, uaid) == [update(1, "pending")]
    assert (await calendar.server.put(endpoints["quiet"], 1)).status == 202


@on_both_stores
async def test_young_tombstone(calendar: Calendar) -> None:
    """§10: tombstones live 24 h: a register until then revives the channel with its version, but nothing pending."""
    uaid, endpoints = await calendar.enlist("a")
    assert (await calendar.server.put(endpoints["a"], 100)).status == 202
    async with calendar.server.agent() as agent:
        await agent.hello(uaid, None)
        assert await agent.updates() == [update(100)]
        await agent.unregister("a")
        calendar.let_pass(DAY - 1)
        assert (await calendar.server.put(endpoints["a"], 101)).status == 410
        assert await agent.register("a") == endpoints["a"]
        assert (await calendar.server.put(endpoints["a"], 99)).status in (200, 202)
        await agent.hears_nothing()
        assert (await calendar.server.put(endpoints["a"], 101)).status == 200
        assert await agent.updates() == [update(101)]


@on_both_stores
async def test_old_tombstone(calendar: Calendar) -> None:
    """§10: tombstones live 24 h: after that a register makes a new channel, and without one it is still 410."""
    uaid, endpoints = await calendar.enlist("a")
    assert (await calendar.server.put(endpoints["a"], 100)).status == 202
    async with calendar.server.agent() as agent:
        await agent.hello(uaid, None)
        await agent.updates()
        await agent.unregister("a")
        calendar.let_pass(DAY + 1)
        assert (await calendar.server.put(endpoints["a"], 101)).status == 410
        assert await agent.register("a") == endpoints["a"]
        assert (await calendar.server.put(endpoints["a"], 1)).status == 200
        assert await agent.updates() == [update(1)]
