"""Sharded publish and subscribe: who hears, who is told that nobody does, and when no more will come."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Sequence

import pytest

from roskva.errors import StoreError
from roskva.store.valkey_cluster import Cluster
from roskva.store.valkey_connection import Address, Connection, Reply
from roskva.store.valkey_pubsub import publish, subscribe
from roskva.store.valkey_topology import slot_of
from tests.kit.slots import Move
from tests.kit.valkey import Servers, ValkeyCluster, ValkeyProcess, running, wait_until
from tests.stores._helpers import run

CHANNEL = b"r:node:{ab12}"


@contextlib.asynccontextmanager
async def opened(servers: Servers) -> AsyncIterator[Cluster]:
    """Look at what is there."""
    async with contextlib.aclosing(await Cluster.open(servers.deployment, timeout=2.0)) as cluster:
        yield cluster


@pytest.mark.parametrize("name", ["valkey", "valkey_cluster"])
def test_messages_are_heard_in_order(name: str, request: pytest.FixtureRequest) -> None:
    """Each subscriber hears each message once; a publisher learns how many did, and that nobody does."""

    async def main(servers: Servers) -> None:
        async with opened(servers) as one, opened(servers) as other:
            assert await publish(one, CHANNEL, [b"unheard"]) == [0]
            heard: asyncio.Queue[bytes] = asyncio.Queue()
            lost: asyncio.Queue[None] = asyncio.Queue()
            subscription = await subscribe(other, CHANNEL, heard.put_nowait, lambda: lost.put_nowait(None))
            messages = [b"%d" % number for number in range(100)]
            assert await publish(one, CHANNEL, messages) == [1] * 100
            assert [await heard.get() for _ in messages] == messages
            subscription.close()
            async with asyncio.timeout(10):
                while await publish(one, CHANNEL, [b"late"]) != [0]:
                    pass
            assert lost.empty()

    run(main(request.getfixturevalue(name)))


def test_moved_channel_is_lost_and_found(valkey_cluster: ValkeyCluster) -> None:
    """Who hears a channel whose slot moves is told so, and hears again after subscribing; publishers follow."""

    async def main() -> None:
        async with opened(valkey_cluster) as one, opened(valkey_cluster) as other:
            for _ in range(2):
                heard: asyncio.Queue[bytes] = asyncio.Queue()
                lost: asyncio.Queue[None] = asyncio.Queue()
                await subscribe(other, CHANNEL, heard.put_nowait, functools.partial(lost.put_nowait, None))
                move = Move(valkey_cluster, CHANNEL)
                move.begin()
                assert await publish(one, CHANNEL, [b"a"]) == [1]
                move.end()
                async with asyncio.timeout(10):
                    await lost.get()
                again = await subscribe(other, CHANNEL, heard.put_nowait, lambda: None)
                assert await publish(one, CHANNEL, [b"b"]) == [1]
                assert [await heard.get(), await heard.get()] == [b"a", b"b"]
                again.close()

    run(main())


def test_a_channel_that_moves_at_once_is_no_way(valkey_cluster: ValkeyCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscription that the server ends before its confirmation was read isn't taken for one."""
    owner = valkey_cluster.primary_of(CHANNEL)
    ask = Connection.ask

    def end_at_once(connection: Connection, commands: Sequence[bytes]) -> asyncio.Future[list[Reply]]:
        replies = ask(connection, commands)
        if b"SSUBSCRIBE" in commands[0]:
            wait_until(lambda: owner.ask("PUBSUB", "SHARDNUMSUB", CHANNEL) == [CHANNEL, 1])
            owner.ask("CLUSTER", "SETSLOT", slot_of(CHANNEL), "NODE", owner.ask("CLUSTER", "MYID"))
            assert owner.ask("PUBSUB", "SHARDNUMSUB", CHANNEL) == [CHANNEL, 0]
        return replies

    async def main() -> None:
        async with opened(valkey_cluster) as cluster:
            with monkeypatch.context() as hasty:
                hasty.setattr(Connection, "ask", end_at_once)
                with pytest.raises(StoreError, match="the slot has moved"):
                    await subscribe(cluster, CHANNEL, lambda message: None, lambda: None)
            (await subscribe(cluster, CHANNEL, lambda message: None, lambda: None)).close()

    run(main())


def mistake_replica(servers: ValkeyCluster, cluster: Cluster) -> Address:
    """Let somebody take a replica for who serves the channel, as after a failover; returns who does."""
    primary = cluster.owner(CHANNEL)
    [replica] = [node for node in servers.nodes if node.info("replication").get("master_port") == str(primary.port)]
    cluster.move(slot_of(CHANNEL), replica.address)
    return primary


def test_a_replica_is_not_believed_that_nobody_hears(valkey_cluster: ValkeyCluster) -> None:
    """A replica doesn't say how many hear at its primary: whoever still takes it for that looks again."""

    async def main() -> None:
        async with opened(valkey_cluster) as one, opened(valkey_cluster) as other:
            heard: asyncio.Queue[bytes] = asyncio.Queue()
            subscription = await subscribe(other, CHANNEL, heard.put_nowait, lambda: None)
            primary = mistake_replica(valkey_cluster, one)
            assert one.owner(CHANNEL) != primary
            assert await publish(one, CHANNEL, [b"a"]) == [1]
            assert one.owner(CHANNEL) == primary
            assert await heard.get() == b"a"
            await subscription.ping(other)
            subscription.close()

    run(main())


def test_a_late_message_is_not_carried(valkey: ValkeyProcess) -> None:
    """What waited for so long that its sender has given it up tells nobody: something newer may have come meanwhile."""

    async def main() -> None:
        async with opened(valkey) as one, opened(valkey) as other:
            heard: asyncio.Queue[bytes] = asyncio.Queue()
            subscription = await subscribe(other, CHANNEL, heard.put_nowait, lambda: None)
            connection = await one.connection(one.owner(CHANNEL))
            connection._ahead -= 3600
            with pytest.raises(StoreError, match="LATE"):
                await publish(one, CHANNEL, [b"late"])
            assert await publish(one, CHANNEL, [b"a"]) == [1]
            assert await heard.get() == b"a"
            subscription.close()

    run(main())


def test_a_message_is_not_carried_after_its_time(valkey_cluster: ValkeyCluster) -> None:
    """However many rounds it takes to find who serves the channel: all of them share one deadline."""

    async def main() -> None:
        async with opened(valkey_cluster) as one, opened(valkey_cluster) as other:
            heard: asyncio.Queue[bytes] = asyncio.Queue()
            subscription = await subscribe(other, CHANNEL, heard.put_nowait, lambda: None)
            assert await publish(one, CHANNEL, [b"a"]) == [1]
            mistake_replica(valkey_cluster, one)
            look, one.timeout = one.serves, 0.5

            async def look_slowly(address: Address, key: bytes) -> bool:
                await asyncio.sleep(0.5)
                return await look(address, key)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(one, "serves", look_slowly)
                with pytest.raises(StoreError, match="no time is left"):
                    await publish(one, CHANNEL, [b"late"])
            assert await publish(one, CHANNEL, [b"b"]) == [1]
            assert [await heard.get(), await heard.get()] == [b"a", b"b"]
            subscription.close()

    run(main())


def test_a_subscription_at_a_replica_is_no_way(valkey_cluster: ValkeyCluster) -> None:
    """A replica takes subscribers whom publishers elsewhere don't count: whoever subscribed there finds it out."""

    async def main() -> None:
        async with opened(valkey_cluster) as one, opened(valkey_cluster) as other:
            mistake_replica(valkey_cluster, other)
            subscription = await subscribe(other, CHANNEL, lambda message: None, lambda: None)
            assert await publish(one, CHANNEL, [b"a"]) == [0]
            await other.look()
            with pytest.raises(StoreError, match="serves the channel now"):
                await subscription.ping(other)
            subscription.close()

    run(main())


def test_end_of_the_server_is_told() -> None:
    """A subscription whose server dies is lost, once, and can't be made again while it is away."""

    async def main() -> None:
        with running() as server:
            async with opened(server) as cluster:
                lost: asyncio.Queue[None] = asyncio.Queue()
                await subscribe(cluster, CHANNEL, lambda message: None, lambda: lost.put_nowait(None))
                server.kill()
                async with asyncio.timeout(10):
                    await lost.get()
                with pytest.raises(StoreError):
                    await subscribe(cluster, CHANNEL, lambda message: None, lambda: lost.put_nowait(None))
                with pytest.raises(StoreError):
                    await publish(cluster, CHANNEL, [b"a"])
                assert lost.empty()

    run(main())
