"""The store on Valkey when a replica, a primary or a slot isn't where it was; failovers are tests/slow."""

import asyncio
import contextlib
import re
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from roskva.errors import StoreError
from roskva.server.bus import Bus
from roskva.server.metrics import Counts
from roskva.store.base import Registration
from roskva.store.open import read_valkey_url
from roskva.store.valkey import ValkeyStore
from roskva.store.valkey_calls import agent_key
from roskva.store.valkey_cluster import Cluster, Deployment
from roskva.store.valkey_connection import Access, Address
from roskva.store.valkey_pubsub import publish
from roskva.store.valkey_topology import slot_of
from roskva.testing import check_store
from roskva.types import Ack, Place, Uaid, Update
from tests.kit.certificate import make_certificate
from tests.kit.ports import free_port
from tests.kit.slots import Move
from tests.kit.valkey import (
    ValkeyCluster,
    ValkeyProcess,
    running,
    running_cluster,
    running_with_replica,
    wait_until,
)
from tests.stores._helpers import AGENT, CHANNEL, HERE, run

LIMIT = 2000
TIMEOUT = 2.0


@contextlib.asynccontextmanager
async def opened(deployment: Deployment) -> AsyncIterator[ValkeyStore]:
    """Open a store."""
    store = await ValkeyStore.open(deployment, timeout=TIMEOUT)
    async with contextlib.aclosing(store):
        yield store


async def settle_in(store: ValkeyStore, uaid: Uaid = AGENT) -> None:
    """Enroll an agent here with one channel."""
    done = await asyncio.gather(store.enroll(uaid, HERE), store.register(uaid, CHANNEL, CHANNEL, LIMIT))
    assert done[1] is Registration.DONE


async def wait_served(store: ValkeyStore) -> None:
    """Wait until a version is accepted again."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(StoreError):
                await store.advance(AGENT, CHANNEL, 1)
                return
            await asyncio.sleep(0.02)


async def hammer(store: ValkeyStore) -> None:
    """Publish as fast as it goes, whatever the answer."""
    while True:
        with contextlib.suppress(StoreError):
            await store.advance(AGENT, CHANNEL, 1)
        await asyncio.sleep(0)


@contextlib.contextmanager
def stopped(server: ValkeyProcess) -> Iterator[None]:
    """Keep a server silent until the block ends."""
    server.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.signal(signal.SIGCONT)


@pytest.mark.parametrize("replicas", [None, 1], ids=["found", "demanded"])
def test_silent_replica_is_waited_for_a_second(replicas: int | None) -> None:
    """What no replica has isn't accepted, and neither is its repeat; reads and acks go on; and then all does."""

    async def main(primary: ValkeyProcess, replica: ValkeyProcess) -> None:
        async with opened(Deployment((primary.address,), replicas=replicas)) as store:
            await settle_in(store)
            with stopped(replica):
                for _ in range(2):
                    begun = time.monotonic()
                    with pytest.raises(StoreError, match="0 of 1 replicas have the commit"):
                        await store.advance(AGENT, CHANNEL, 1)
                    assert time.monotonic() - begun < TIMEOUT
                async with opened(Deployment((primary.address,), replicas=0)) as careless:
                    assert await careless.advance(AGENT, CHANNEL, 1) == (1, CHANNEL, HERE)
                assert (await store.resume(AGENT, HERE)) == ({CHANNEL: (1, 0, CHANNEL)}, None)
                await store.ack(AGENT, [Ack(CHANNEL, 1)])
            await wait_served(store)
            assert replica.ask("HGET", agent_key(AGENT), b"c" + CHANNEL.encode()) == b"1:1"

    with running_with_replica() as (primary, replica):
        run(main(primary, replica))


def test_what_failed_takes_no_effect_later() -> None:
    """A call that timed out is taken back: it must not undo, when Valkey wakes up, what was done by another way."""

    async def main(primary: ValkeyProcess) -> None:
        async with opened(primary.deployment) as store, opened(primary.deployment) as other:
            await settle_in(store)
            with stopped(primary):
                for call in (lambda: store.unregister(AGENT, CHANNEL), other.check):
                    with pytest.raises(StoreError):
                        await call()
            await wait_served(other)
            assert await other.advance(AGENT, CHANNEL, 1) == (1, CHANNEL, HERE)

    with running() as primary:
        run(main(primary))


def test_a_clock_that_was_set_costs_a_connection() -> None:
    """When the server's clock jumps ahead, calls look late, and are refused, until a new connection has read it."""

    async def main(primary: ValkeyProcess) -> None:
        async with opened(primary.deployment) as store:
            await settle_in(store)
            connection = store._cluster.connected(primary.address)
            assert connection is not None
            connection._ahead -= 3600
            with pytest.raises(StoreError, match="nobody waits"):
                await store.advance(AGENT, CHANNEL, 1)
            assert await store.advance(AGENT, CHANNEL, 1) == (1, CHANNEL, HERE)

    with running() as primary:
        run(main(primary))


def test_repeat_by_another_node_waits_too() -> None:
    """A version that is stored already, but on no replica, isn't accepted from another connection either."""

    async def main(primary: ValkeyProcess, replica: ValkeyProcess) -> None:
        async with opened(primary.deployment) as one, opened(primary.deployment) as other:
            await settle_in(one)
            await other.check()
            with stopped(replica):
                for store in (one, other):
                    with pytest.raises(StoreError, match="replicas"):
                        await store.advance(AGENT, CHANNEL, 1)
                    with pytest.raises(StoreError, match="replicas"):
                        await store.register(AGENT, CHANNEL, CHANNEL, LIMIT)
                    with pytest.raises(StoreError, match="replicas"):
                        await store.unregister(AGENT, CHANNEL)

    with running_with_replica() as (primary, replica):
        run(main(primary, replica))


def test_lost_replica_is_not_waited_for_when_none_was_demanded() -> None:
    """With replicas as found, one that is gone isn't waited for; with replicas demanded, nothing is accepted."""

    async def main(primary: ValkeyProcess, replica: ValkeyProcess) -> None:
        demanding = Deployment((primary.address,), replicas=1)
        async with opened(primary.deployment) as store, opened(demanding) as strict:
            await settle_in(store)
            # So that some commit always waits: the look at the deployment must get between.
            tasks = [asyncio.create_task(hammer(store)) for _ in range(5)]
            replica.kill()
            await wait_served(store)
            for task in tasks:
                task.cancel()
            with pytest.raises(StoreError, match="0 of 1 replicas"):
                await strict.advance(AGENT, CHANNEL, 2)
        with pytest.raises(StoreError, match="0 of 1 replicas"):
            await ValkeyStore.open(demanding, timeout=TIMEOUT)

    with running_with_replica() as (primary, replica):
        run(main(primary, replica))


def test_replica_that_synchronises_is_not_waited_for() -> None:
    """A replica that doesn't follow yet can't have what is written, and what it can't have is accepted without it."""

    async def main(primary: ValkeyProcess) -> None:
        async with opened(primary.deployment) as store:
            await settle_in(store)

    # It goes on waiting for others to synchronise with.
    with (
        running("--repl-diskless-sync-delay", "3600") as primary,
        running("--replicaof", "127.0.0.1", str(primary.address.port)),
    ):
        wait_until(lambda: "state=wait_bgsave" in primary.info("replication").get("slave0", ""))
        run(main(primary))


def test_restart_is_survived() -> None:
    """While Valkey is away calls raise StoreError, soon; when it is back the same store finds what was there."""

    async def main(server: ValkeyProcess) -> None:
        async with opened(server.deployment) as store:
            await settle_in(store)
            await store.advance(AGENT, CHANNEL, 5)
            epoch = await store.check()
            for _ in range(2):
                server.kill()
                for call in (store.attach(AGENT, HERE), store.advance(AGENT, CHANNEL, 6), store.check()):
                    with pytest.raises(StoreError):
                        await call
                server.start()
                await wait_served(store)
                assert await store.advance(AGENT, CHANNEL, 5) == (5, CHANNEL, HERE)
                assert await store.check() == epoch

    with running("--appendonly", "yes", "--appendfsync", "always") as server:
        run(main(server))


def test_silent_primary_is_given_up_and_found_again() -> None:
    """A primary that says nothing fails its calls by the deadline, and serves again when it goes on."""

    async def main(server: ValkeyProcess) -> None:
        async with opened(server.deployment) as store:
            await settle_in(store)
            with stopped(server):
                with pytest.raises(StoreError, match="no answer from the store"):
                    await store.advance(AGENT, CHANNEL, 1)
                with pytest.raises(StoreError):
                    await store.attach(AGENT, HERE)
            await wait_served(store)

    with running() as server:
        run(main(server))


def test_replica_alone_is_no_store() -> None:
    """A replica isn't written to; its primary is found among the hosts that are named."""

    async def main(primary: ValkeyProcess, replica: ValkeyProcess) -> None:
        with pytest.raises(StoreError, match="is a replica"):
            await ValkeyStore.open(replica.deployment, timeout=TIMEOUT)
        async with opened(Deployment((replica.address, primary.address))) as store:
            await settle_in(store)

    with running_with_replica() as (primary, replica):
        run(main(primary, replica))


def test_promoted_replica_is_followed() -> None:
    """Without a cluster, the one among the named hosts that has become the primary is found."""

    async def main(primary: ValkeyProcess, replica: ValkeyProcess) -> None:
        async with opened(Deployment((primary.address, replica.address))) as store:
            await settle_in(store)
            await store.advance(AGENT, CHANNEL, 5)
            primary.kill()
            replica.ask("REPLICAOF", "NO", "ONE")
            await wait_served(store)
            assert await store.advance(AGENT, CHANNEL, 1) == (5, CHANNEL, HERE)

    with running_with_replica() as (primary, replica):
        run(main(primary, replica))


def count_openings(store: ValkeyStore) -> int:
    """Sum how often breakers opened, as a node does."""
    return sum(breaker.opened for breaker in store.breakers)


def test_breaker_of_a_dead_primary_goes_with_it() -> None:
    """After a failover no breaker is open, nothing is kept of the dead primary, and its openings still count."""

    async def main(cluster: ValkeyCluster) -> None:
        async with opened(cluster.deployment) as store:
            await settle_in(store)
            await store.check()
            dead = cluster.primary_of(agent_key(AGENT))
            dead.kill()
            while all(breaker.is_closed for breaker in store.breakers):
                with contextlib.suppress(StoreError):
                    await store.advance(AGENT, CHANNEL, 1)
            openings = count_openings(store)
            await wait_served(store)
            await store.check()
            assert [breaker.is_closed for breaker in store.breakers] == [True] * 3
            assert count_openings(store) >= openings > 0
            assert dead.address not in store._lanes

    with running_cluster(node_timeout_ms=3000) as cluster:
        run(main(cluster))


def test_password_is_used() -> None:
    """A password is needed where one is set, and a wrong one is told without it."""

    async def main(server: ValkeyProcess) -> None:
        async with opened(Deployment((server.address,), Access(password="s3cret"))) as store:
            await store.check()
        for access in (Access(), Access(password="wrong one")):
            with pytest.raises(StoreError, match="refuses us") as caught:
                await ValkeyStore.open(Deployment((server.address,), access), timeout=TIMEOUT)
            assert "wrong one" not in str(caught.value)

    with running("--requirepass", "s3cret") as server:
        run(main(server))


def test_tls_is_spoken(tmp_path: Path, valkey: ValkeyProcess) -> None:
    """Over TLS both sides prove who they are; a server of another authority is refused."""
    # Before a server that speaks none, as the one in the package does.
    certificate, folder = make_certificate(tmp_path), tmp_path / "stranger"
    folder.mkdir()
    stranger = make_certificate(folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate.cert))
    tls.load_cert_chain(certificate.cert, certificate.key)
    tls.verify_mode = ssl.CERT_REQUIRED

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(*valkey.address)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
            url = f"valkeys://localhost:{server.sockets[0].getsockname()[1]}"
            files = f"cert={certificate.cert}&key={certificate.key}"
            async with opened(read_valkey_url(f"{url}?ca={certificate.cert}&{files}")) as store:
                await settle_in(store)
            with pytest.raises(StoreError, match="can't reach"):
                await ValkeyStore.open(read_valkey_url(f"{url}?ca={stranger.cert}&{files}"))
            with pytest.raises(StoreError):
                await ValkeyStore.open(read_valkey_url(f"{url}?ca={certificate.cert}"))

    valkey.clear()
    run(main())


class Heard(asyncio.Queue[tuple[Place, Uaid, Update]]):
    """An inbox that keeps what came."""

    def receive(self, place: Place, uaid: Uaid, update: Update) -> None:
        self.put_nowait((place, uaid, update))

    def displaced(self, place: Place, uaid: Uaid) -> None:
        raise AssertionError("nobody is superseded here")


async def use_bus(deployment: Deployment) -> None:
    """Carry a hint from a node to itself, and prove the way."""

    async def resync() -> int:
        return 0

    spawned: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as tasks:
        bus = Bus(HERE.node, deployment, Counts(), lambda work: spawned.append(tasks.create_task(work)), TIMEOUT)
        heard, news = Heard(), Update(CHANNEL, 1, CHANNEL)
        await bus.open(heard, resync)
        assert await bus.carry(HERE, AGENT, news)
        assert await heard.get() == (HERE, AGENT, news)
        await bus._ping()
        assert bus.is_open
        await bus.close()


def read_rights() -> list[str]:
    """Read the rights that docs/operate.md lists."""
    text = Path("docs/operate.md").read_text(encoding="utf-8").partition("**Rights.**")[2].partition("\n")[0]
    return [word for quoted in re.findall("`(.*?)`", text) for word in quoted.split()]


def test_documented_rights_suffice() -> None:
    """A user with the rights that docs/operate.md lists, and no others, is refused nothing that a node does."""

    async def main(server: ValkeyProcess) -> None:
        deployment = Deployment((server.address,), Access("roskva", "s3cret", database=1))

        async def open_store(clock: Callable[[], float]) -> ValkeyStore:
            server.clear()
            return await ValkeyStore.open(deployment, timeout=TIMEOUT, clock=clock)

        await check_store(open_store)
        async with opened(deployment) as store:
            assert await store.agree_on_keys(["key"])
            await store.bump_epoch()
            await settle_in(store)
        await use_bus(deployment)

    with running_with_replica() as (primary, _):
        primary.ask("ACL", "SETUSER", "roskva", "on", ">s3cret", "resetchannels", *read_rights())
        run(main(primary))
        # Also what nobody takes ill.
        assert primary.ask("ACL", "LOG") == []


def test_functions_that_cannot_be_loaded_are_told_so() -> None:
    """Who may not load the functions reads that, by the store and by the bus, and nothing of what came of it."""
    rights = [right for right in read_rights() if right != "+function|load"]

    async def main(server: ValkeyProcess) -> None:
        deployment = Deployment((server.address,), Access("roskva", "s3cret"))
        with pytest.raises(StoreError, match=r"refuses: NOPERM .*'function\|load'"):
            await ValkeyStore.open(deployment, timeout=TIMEOUT)
        async with contextlib.aclosing(await Cluster.open(deployment, timeout=TIMEOUT)) as cluster:
            with pytest.raises(StoreError, match=r"refuses: NOPERM .*'function\|load'"):
                await publish(cluster, b"roskva:there", [b"a"])

    with running() as server:
        server.ask("ACL", "SETUSER", "roskva", "on", ">s3cret", "resetchannels", *rights)
        run(main(server))


def test_nobody_there_is_an_error() -> None:
    """Where nobody listens, or something else does, opening raises StoreError."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def main() -> None:
        with pytest.raises(StoreError, match="can't reach"):
            await ValkeyStore.open(Deployment((Address("127.0.0.1", free_port()),)), timeout=TIMEOUT)
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as web:
            port = web.sockets[0].getsockname()[1]
            with pytest.raises(StoreError, match="not a Valkey reply"):
                await ValkeyStore.open(Deployment((Address("127.0.0.1", port),)), timeout=TIMEOUT)

    run(main())


def neighbour(uaid: Uaid) -> Uaid:
    """Find another agent of the same slot."""
    slot = slot_of(agent_key(uaid))
    candidates = (Uaid(number.to_bytes(16, "big")) for number in range(1_000_000))
    return next(other for other in candidates if slot_of(agent_key(other)) == slot)


def test_slot_on_the_move_is_served(valkey_cluster: ValkeyCluster) -> None:
    """Calls of a turn take effect in their order before, during and after the move of their slot, there and back."""
    valkey_cluster.clear()
    elsewhere = [Uaid(bytes([number]) * 16) for number in range(20)]

    async def use(store: ValkeyStore, uaid: Uaid, version: int) -> None:
        answers = await asyncio.gather(
            store.enroll(uaid, HERE),
            store.register(uaid, CHANNEL, CHANNEL, LIMIT),
            store.advance(uaid, CHANNEL, version),
            store.ack(uaid, [Ack(CHANNEL, version)]),
            store.advance(uaid, CHANNEL, version),
            *(store.advance(other, CHANNEL, version) for other in elsewhere),
        )
        assert answers[1:5] == [Registration.DONE, (version, CHANNEL, HERE), None, (version, CHANNEL, None)]
        assert answers[5:] == [(version, CHANNEL, HERE)] * len(elsewhere)

    async def main() -> None:
        async with opened(valkey_cluster.deployment) as store:
            await asyncio.gather(*(settle_in(store, uaid) for uaid in elsewhere))
            for version in (10, 20):
                move = Move(valkey_cluster, agent_key(AGENT))
                await use(store, AGENT, version + 1)
                move.begin()
                await use(store, AGENT, version + 2)
                await use(store, neighbour(AGENT), version + 2)
                move.carry()
                await use(store, AGENT, version + 3)
                await use(store, neighbour(AGENT), version + 3)
                move.end()
                await use(store, AGENT, version + 4)
                await use(store, neighbour(AGENT), version + 4)

    run(main())
