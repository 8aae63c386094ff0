"""No accepted update is lost when primaries of a cluster die or fall silent under load."""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import Callable

import pytest

from roskva import loop
from roskva.errors import StoreError
from roskva.store.base import FIRST_EPOCH, Registration
from roskva.store.valkey import ValkeyStore
from roskva.store.valkey_calls import agent_key
from roskva.types import ChannelId, NodeId, Place, Uaid
from tests.kit.valkey import ValkeyCluster, ValkeyProcess, running_cluster, wait_until

AGENTS = [Uaid(bytes([number, 7]) * 8) for number in range(60)]
CHANNEL = ChannelId("c")
HERE = Place(NodeId("here"), 1)
TIMEOUT = 2.0


class Publisher:
    """Raise one agent's version for as long as the block runs, and note what was accepted."""

    def __init__(self, store: ValkeyStore, uaid: Uaid) -> None:
        self.uaid = uaid
        self.accepted = 0
        self.refused = 0
        self._store = store

    async def publish(self) -> None:
        """Publish until cancelled; what is refused is not repeated: a later version stands for it."""
        for version in itertools.count(1):
            try:
                answer = await self._store.advance(self.uaid, CHANNEL, version)
            except StoreError:
                self.refused += 1
                await asyncio.sleep(0.05)
                continue
            assert answer is not None, "an accepted channel is gone"
            self.accepted = version
            await asyncio.sleep(0.005)


def kill(node: ValkeyProcess) -> None:
    """End it as a power cut does; nothing is on its disk, and nobody starts it again."""
    node.kill()


def silence(node: ValkeyProcess) -> None:
    """Let it hang, as a machine does that swaps."""
    node.signal(signal.SIGSTOP)


def hand_over(node: ValkeyProcess, cluster: ValkeyCluster) -> None:
    """Let its replica take its place in order, as an operator does before maintenance."""
    [replica] = [one for one in cluster.nodes if one.info("replication").get("master_port") == str(node.address.port)]
    replica.ask("CLUSTER", "FAILOVER")


async def wait_served(store: ValkeyStore) -> None:
    """Wait until every agent's versions are accepted again."""
    async with asyncio.timeout(60):
        for uaid in AGENTS:
            while True:
                with contextlib.suppress(StoreError):
                    await store.advance(uaid, CHANNEL, 0)
                    break
                await asyncio.sleep(0.05)


async def check_round(store: ValkeyStore, cluster: ValkeyCluster, end: Callable[[ValkeyProcess], None]) -> None:
    """Take a primary away under load, and find everything that was accepted where it went."""
    publishers = [Publisher(store, uaid) for uaid in AGENTS]
    tasks = [asyncio.create_task(publisher.publish()) for publisher in publishers]
    await asyncio.sleep(0.5)
    victim = cluster.primary_of(agent_key(AGENTS[0]))
    end(victim)
    await asyncio.sleep(0.5)
    await wait_served(store)
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended
    assert any(publisher.refused for publisher in publishers)
    async with contextlib.aclosing(await ValkeyStore.open(cluster.deployment, timeout=TIMEOUT)) as other:
        for publisher in publishers:
            seating = await other.attach(publisher.uaid, HERE)
            assert seating is not None
            assert seating.channels[CHANNEL].version >= publisher.accepted > 0
    assert await store.check() == FIRST_EPOCH
    bring_back(cluster, victim, end)


def bring_back(cluster: ValkeyCluster, victim: ValkeyProcess, end: Callable[[ValkeyProcess], None]) -> None:
    """Let the victim return; it finds another in its place, and follows it."""
    if end is kill:
        victim.start()
    else:
        victim.signal(signal.SIGCONT)
    wait_until(cluster.is_whole)


def test_primary_hands_over_under_load() -> None:
    """When a replica takes over in order, what was accepted is there, and few calls are refused."""

    async def main(cluster: ValkeyCluster) -> None:
        async with contextlib.aclosing(await ValkeyStore.open(cluster.deployment, timeout=TIMEOUT)) as store:
            for uaid in AGENTS:
                await store.enroll(uaid, HERE)
                await store.register(uaid, CHANNEL, CHANNEL, 9)
            publishers = [Publisher(store, uaid) for uaid in AGENTS]
            tasks = [asyncio.create_task(publisher.publish()) for publisher in publishers]
            for _ in range(2):
                await asyncio.sleep(1)
                hand_over(cluster.primary_of(agent_key(AGENTS[0])), cluster)
            await asyncio.sleep(1)
            await wait_served(store)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for publisher in publishers:
                seating = await store.attach(publisher.uaid, HERE)
                assert seating is not None
                assert seating.channels[CHANNEL].version >= publisher.accepted > 0
                assert publisher.refused * 5 < publisher.accepted

    with running_cluster() as cluster:
        loop.run(main(cluster))


@pytest.mark.parametrize("end", [kill, silence], ids=["killed", "silent"])
def test_accepted_updates_survive_failover(end: Callable[[ValkeyProcess], None]) -> None:
    """Whichever primary goes, twice, what was accepted is there; calls succeed again without a new store."""

    async def main(cluster: ValkeyCluster) -> None:
        async with contextlib.aclosing(await ValkeyStore.open(cluster.deployment, timeout=TIMEOUT)) as store:
            for uaid in AGENTS:
                await store.enroll(uaid, HERE)
                assert await store.register(uaid, CHANNEL, CHANNEL, 9) is Registration.DONE
            for _ in range(2):
                await check_round(store, cluster, end)

    with running_cluster() as cluster:
        loop.run(main(cluster))
