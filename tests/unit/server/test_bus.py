"""The way between nodes, on a real Valkey: what arrives, what is known to be lost, and the repair after a loss."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from roskva.errors import StoreError
from roskva.server import bus as bus_module
from roskva.server.bus import HINTS_A_MESSAGE, Bus, Hint, _read, _spell
from roskva.server.metrics import Counts
from roskva.store.valkey_cluster import Deployment
from roskva.types import ChannelId, NodeId, Place, Uaid, Update
from tests.kit.http import PATIENCE
from tests.kit.slots import Move
from tests.kit.valkey import Servers, ValkeyCluster, ValkeyProcess, running
from tests.kit.waiting import wait_until

AGENT = Uaid(bytes(range(16)))
OTHER = Uaid(bytes(16))
A = ChannelId("a")
HERE, THERE, NOWHERE = Place(NodeId("here"), 1), Place(NodeId("there"), 2), Place(NodeId("nowhere"), 3)


def news(version: int, channel: str = "a") -> Update:
    """Spell an update."""
    return Update(ChannelId(channel), version, channel.upper())


class Inbox:
    """What came, in order, and how often the store was asked."""

    def __init__(self) -> None:
        self.hints: list[Hint] = []
        self.cleared = 0
        self.resyncs = 0
        self.is_here = True
        self.store_errors = 0
        self.hangs = 0
        self._came = asyncio.Event()

    def receive(self, place: Place, uaid: Uaid, update: Update) -> Coroutine[Any, Any, object] | None:
        self._take(Hint(place, uaid, update))
        return None if self.is_here else self._clear()

    def displaced(self, place: Place, uaid: Uaid) -> None:
        self._take(Hint(place, uaid, None))

    async def resync(self) -> int:
        if self.store_errors:
            self.store_errors -= 1
            raise StoreError("broken on purpose")
        self.resyncs += 1
        self._came.set()
        if self.hangs:
            self.hangs -= 1
            await asyncio.Event().wait()
        return 0

    async def wait(self, what: str, count: int) -> None:
        """Wait until there are so many of ``hints``, or ``resyncs``, or ``cleared``."""
        async with asyncio.timeout(PATIENCE):
            while (len(self.hints) if what == "hints" else getattr(self, what)) < count:
                self._came.clear()
                await self._came.wait()

    def _take(self, hint: Hint) -> None:
        self.hints.append(hint)
        self._came.set()

    async def _clear(self) -> None:
        self.cleared += 1
        self._came.set()


class Node:
    """A bus with its inbox and counts."""

    def __init__(self, name: str, deployment: Deployment, timeout: float) -> None:
        self.counts = Counts()
        self.inbox = Inbox()
        self.tasks: set[asyncio.Task[None]] = set()
        self.bus = Bus(NodeId(name), deployment, self.counts, self._spawn, timeout)

    async def open(self) -> None:
        await self.bus.open(self.inbox, self.inbox.resync)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


@contextlib.asynccontextmanager
async def two_nodes(servers: Servers, *, patience: float = 4.0) -> AsyncIterator[tuple[Node, Node]]:
    """Open two nodes, each with its own connections."""
    async with contextlib.AsyncExitStack() as stack:
        nodes = []
        for name in ("here", "there"):
            node = Node(name, servers.deployment, patience)
            stack.push_async_callback(node.bus.close)
            await node.open()
            nodes.append(node)
        yield nodes[0], nodes[1]


def test_hints_arrive(valkey_cluster: ValkeyCluster) -> None:
    """An update and a displacement reach the node they are for, and no other."""

    async def main() -> None:
        async with two_nodes(valkey_cluster) as (here, there):
            assert await here.bus.carry(THERE, AGENT, news(2**63 - 1)) is True
            here.bus.displace(THERE, OTHER)
            await there.inbox.wait("hints", 2)
            assert there.inbox.hints == [Hint(THERE, AGENT, news(2**63 - 1)), Hint(THERE, OTHER, None)]
            assert here.inbox.hints == []
            assert await there.bus.carry(HERE, AGENT, news(5)) is True
            await here.inbox.wait("hints", 1)

    asyncio.run(main())


def test_one_valkey_is_enough(valkey: ValkeyProcess) -> None:
    """Without a cluster it is the same."""

    async def main() -> None:
        async with two_nodes(valkey) as (here, there):
            assert await here.bus.carry(THERE, AGENT, news(5)) is True
            await there.inbox.wait("hints", 1)

    asyncio.run(main())


def test_nobody_there_is_told(valkey_cluster: ValkeyCluster) -> None:
    """A hint for a node that is gone is known to be heard by nobody, so that its seat can be cleared."""

    async def main() -> None:
        async with two_nodes(valkey_cluster) as (here, there):
            assert await here.bus.carry(NOWHERE, AGENT, news(5)) is False
            await there.bus.close()
            assert await here.bus.carry(THERE, AGENT, news(5)) is False
            assert here.counts.hints_unheard == 2

    asyncio.run(main())


def test_an_agent_that_left_is_cleared(valkey: ValkeyProcess) -> None:
    """What the inbox wants done about an agent that isn't here is done."""

    async def main() -> None:
        async with two_nodes(valkey) as (here, there):
            there.inbox.is_here = False
            await here.bus.carry(THERE, AGENT, news(5))
            await there.inbox.wait("cleared", 1)

    asyncio.run(main())


def test_hints_of_a_turn_travel_together(valkey: ValkeyProcess) -> None:
    """A thousand hints at once, for one channel and for many: the newest of each, in few messages."""

    async def main() -> None:
        async with two_nodes(valkey) as (here, there):
            count = HINTS_A_MESSAGE + 1
            before = int(valkey.info("stats")["total_commands_processed"])
            same = [here.bus.carry(THERE, AGENT, news(version)) for version in (1, 7, 3)]
            others = [here.bus.carry(THERE, AGENT, news(1, f"c{number}")) for number in range(count)]
            assert all(await asyncio.gather(*same, *others))
            await there.inbox.wait("hints", count + 1)
            assert there.inbox.hints[0] == Hint(THERE, AGENT, news(7))
            assert len(there.inbox.hints) == count + 1
            assert int(valkey.info("stats")["total_commands_processed"]) - before < 20

    asyncio.run(main())


def test_a_hint_that_may_be_lost_is_told_to_its_sender() -> None:
    """With Valkey gone it is an error, and not "nobody"; each node asks its store again once Valkey is back."""

    async def main(valkey: ValkeyProcess) -> None:
        async with two_nodes(valkey, patience=1.0) as (here, there):
            valkey.kill()
            with pytest.raises(StoreError):
                await here.bus.carry(THERE, AGENT, news(5))
            there.inbox.store_errors = 2
            await asyncio.to_thread(valkey.start)
            await asyncio.gather(here.inbox.wait("resyncs", 1), there.inbox.wait("resyncs", 1))
            assert here.bus.is_open
            assert here.counts.bus_losses == 1
            assert await here.bus.carry(THERE, AGENT, news(6)) is True
            await there.inbox.wait("hints", 1)

    with running() as valkey:
        asyncio.run(main(valkey))


def test_a_silent_way_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Valkey that neither answers nor hangs up is taken for lost, and asked for again."""
    monkeypatch.setattr(bus_module, "LOOK_INTERVAL", 0.1)

    async def main(valkey: ValkeyProcess) -> None:
        async with two_nodes(valkey, patience=0.5) as (here, _):
            valkey.signal(signal.SIGSTOP)
            await wait_until(lambda: not here.bus.is_open)
            valkey.signal(signal.SIGCONT)
            await here.inbox.wait("resyncs", 1)

    with running() as valkey:
        asyncio.run(main(valkey))


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_way_that_is_lost_during_a_repair_is_found_out(monkeypatch: pytest.MonkeyPatch, is_silent: bool) -> None:  # noqa: FBT001
    """A repair may take long: a loss in the middle of it is noticed at once, a silent one soon; all begins anew."""
    monkeypatch.setattr(bus_module, "LOOK_INTERVAL", 0.1)

    async def main(valkey: ValkeyProcess) -> None:
        async with two_nodes(valkey, patience=0.5) as (here, _):
            here.inbox.hangs = 1
            valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
            await here.inbox.wait("resyncs", 1)
            if is_silent:
                valkey.signal(signal.SIGSTOP)
                await wait_until(lambda: not here.bus.is_open)
                valkey.signal(signal.SIGCONT)
            else:
                valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
            await here.inbox.wait("resyncs", 2)
            assert here.bus.is_open

    with running() as valkey:
        asyncio.run(main(valkey))


def test_the_channel_is_followed_to_another_primary(valkey_cluster: ValkeyCluster) -> None:
    """When the slot of its channel moves, a node subscribes anew and asks again; its hints go on."""
    valkey_cluster.clear()

    async def main() -> None:
        async with two_nodes(valkey_cluster) as (here, there):
            move = Move(valkey_cluster, b"roskva:there")
            for step in (move.begin, move.end):
                await asyncio.to_thread(step)
            await there.inbox.wait("resyncs", 1)
            assert await here.bus.carry(THERE, AGENT, news(5)) is True
            await there.inbox.wait("hints", 1)

    asyncio.run(main())


def test_every_agent_is_asked_for_now_and_then(monkeypatch: pytest.MonkeyPatch, valkey: ValkeyProcess) -> None:
    """Without any loss the store is asked for all agents again after a while."""
    monkeypatch.setattr(bus_module, "LOOK_INTERVAL", 0.02)
    monkeypatch.setattr(bus_module, "RESYNC_INTERVAL", 0.04)

    async def main() -> None:
        async with two_nodes(valkey) as (here, _):
            await here.inbox.wait("resyncs", 2)
            assert here.counts.bus_losses == 0

    asyncio.run(main())


def test_closing_fails_what_waits_and_leaves_nothing(valkey: ValkeyProcess) -> None:
    """A closed bus carries nothing more."""

    async def main() -> None:
        async with two_nodes(valkey) as (here, _):
            await here.bus.close()
            assert not here.bus.is_open
            with pytest.raises(StoreError, match="stops"):
                await here.bus.carry(THERE, AGENT, news(5))

    asyncio.run(main())


def test_hints_are_spelled_and_read_alike() -> None:
    """Places, agents and versions survive; a displacement and news of one agent are two hints."""
    hints = [Hint(HERE, AGENT, news(5)), Hint(THERE, AGENT, None), Hint(HERE, OTHER, news(2**63 - 1, "é"))]
    (message,) = _spell(hints)
    assert _read(message) == hints


def test_hints_of_a_later_release_are_read() -> None:
    """What a later release adds behind is passed over."""
    entry = ["here", 1, AGENT.hex(), "a", 5, "A", {"more": 1}]
    assert _read(json.dumps([entry]).encode()) == [Hint(HERE, AGENT, news(5))]
