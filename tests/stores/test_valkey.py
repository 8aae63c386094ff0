"""The store on Valkey: what its functions keep, for how long, and how they are loaded."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from importlib import resources

import pytest

from roskva.errors import StoreError
from roskva.store.base import FIRST_EPOCH, TOMBSTONE_SECONDS, UNSEEN_SECONDS
from roskva.store.valkey import ValkeyStore
from roskva.store.valkey_calls import Functions, agent_key, own_functions
from roskva.store.valkey_epoch import KEYS
from roskva.testing import FakeClock
from roskva.types import MAX_VERSION, Ack, ChannelId, NodeId, Place, Uaid
from tests.kit.valkey import Servers, ValkeyCluster, ValkeyProcess, running
from tests.stores._helpers import AGENT, CHANNEL, HERE, run

LIMIT = 2000
DAY = 24 * 3600


@contextlib.asynccontextmanager
async def opened(
    servers: Servers, clock: FakeClock | None = None, functions: Functions | None = None
) -> AsyncIterator[ValkeyStore]:
    """Open a store on what is there."""
    store = await ValkeyStore.open(servers.deployment, clock=clock, functions=functions)
    async with contextlib.aclosing(store):
        yield store


async def settle_in(store: ValkeyStore, uaid: Uaid = AGENT) -> None:
    """Enroll an agent here with one channel."""
    await asyncio.gather(store.enroll(uaid, HERE), store.register(uaid, CHANNEL, CHANNEL, LIMIT))


def count(server: ValkeyProcess, name: str) -> int:
    """Tell how often a command was called by clients and functions."""
    facts = server.info("commandstats").get(f"cmdstat_{name}", "calls=0")
    return int(facts.partition("calls=")[2].partition(",")[0])


def test_each_call_is_one_function_call(valkey: ValkeyProcess) -> None:
    """Each call of the contract is one FCALL and no other command of the client."""
    valkey.clear()

    async def main() -> None:
        async with opened(valkey) as store:
            calls = (
                lambda: store.enroll(AGENT, HERE, b"{}"),
                lambda: store.attach(AGENT, HERE),
                lambda: store.register(AGENT, CHANNEL, CHANNEL, LIMIT),
                lambda: store.advance(AGENT, CHANNEL, 5),
                lambda: store.advance(AGENT, CHANNEL, None),
                lambda: store.resume(AGENT, HERE),
                lambda: store.ack(AGENT, [Ack(CHANNEL, 5), Ack(CHANNEL, 4)]),
                lambda: store.unregister(AGENT, CHANNEL),
                lambda: store.detach(AGENT, HERE),
                lambda: store.forget(AGENT),
                lambda: store.check(),
            )
            await store.check()
            for call in calls:
                before = count(valkey, "fcall")
                await call()
                assert count(valkey, "fcall") == before + 1
            assert count(valkey, "wait") == 0

    run(main())


def test_calls_of_one_agent_travel_as_one_command(valkey: ValkeyProcess) -> None:
    """Calls of a turn are one FCALL an agent, which nothing can come between."""
    valkey.clear()

    async def main() -> None:
        async with opened(valkey) as store:
            before = count(valkey, "fcall")
            agents = [Uaid(bytes([number]) * 16) for number in range(10)]
            await asyncio.gather(*(settle_in(store, uaid) for uaid in agents))
            assert count(valkey, "fcall") == before + len(agents)

    run(main())


@pytest.mark.parametrize(
    "version",
    [10**9 * 5 - 1, 10**14 - 1, 10**15 - 1, 10**18 - 1, 2**53, 2**53 + 1, 8_999_999_999_999_999_999, MAX_VERSION - 1],
)
def test_next_version_is_exact(version: int, valkey: ValkeyProcess) -> None:
    """An automatic version above the clock is one more than stored, where digits carry and doubles round."""
    valkey.clear()

    async def main() -> None:
        async with opened(valkey) as store:
            await settle_in(store)
            await store.advance(AGENT, CHANNEL, version)
            assert await store.advance(AGENT, CHANNEL, version - 1) == (version, CHANNEL, HERE)
            assert await store.advance(AGENT, CHANNEL, None) == (version + 1, CHANNEL, HERE)

    run(main())


def test_memory_of_an_agent() -> None:
    """An agent with one channel costs at most 300 bytes of Valkey, seated or not."""

    async def main(server: ValkeyProcess) -> None:
        async with opened(server) as store:
            await store.check()
            number = 5_000
            agents = [Uaid(secrets.token_bytes(16)) for _ in range(number)]
            places = [Place(NodeId(secrets.token_hex(8)), seat) for seat in range(number)]
            before = int(server.info("memory")["used_memory"])
            for uaid, place in zip(agents, places, strict=True):
                # Not one turn: thousands of calls would grow the server's buffers too.
                await asyncio.gather(
                    store.enroll(uaid, place),
                    store.register(uaid, ChannelId(_make_uuid()), _make_uuid(), LIMIT),
                )
            assert int(server.info("memory")["used_memory"]) - before <= 300 * number
            assert server.ask("MEMORY", "USAGE", agent_key(agents[0])) <= 300
            assert server.ask("OBJECT", "ENCODING", agent_key(agents[0])) == b"listpack"

    with running() as server:
        run(main(server))


def _make_uuid() -> str:
    text = secrets.token_hex(16)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def test_engine_expires_who_is_unseen(valkey: ValkeyProcess) -> None:
    """The engine forgets an agent without a seat after 30 days, and a seat that nobody touches after 60 (§10)."""
    valkey.clear()
    key = agent_key(AGENT)

    async def main() -> None:
        async with opened(valkey) as store:
            await settle_in(store)
            assert 59 * DAY < valkey.ask("TTL", key) <= 60 * DAY
            valkey.ask("EXPIRE", key, 20 * DAY)
            await store.resume(AGENT, HERE)
            assert 59 * DAY < valkey.ask("TTL", key) <= 60 * DAY
            await store.detach(AGENT, HERE)
            assert 29 * DAY < valkey.ask("TTL", key) <= UNSEEN_SECONDS
            valkey.ask("EXPIRE", key, DAY)
            await store.advance(AGENT, CHANNEL, 1)
            assert valkey.ask("TTL", key) <= DAY
            await store.attach(AGENT, HERE)
            assert valkey.ask("TTL", key) > 59 * DAY
            valkey.ask("PEXPIRE", key, 0)
            assert await store.attach(AGENT, HERE) is None

    run(main())


def test_old_tombstones_leave_no_trace(valkey: ValkeyProcess) -> None:
    """A tombstone of 24 hours is removed when its agent is read next."""
    valkey.clear()
    clock = FakeClock()

    async def main() -> None:
        async with opened(valkey, clock) as store:
            await settle_in(store)
            await store.unregister(AGENT, CHANNEL)
            for seconds, fields in ((TOMBSTONE_SECONDS - 1, 2), (1, 1)):
                clock.advance(seconds)
                await store.attach(AGENT, HERE)
                assert valkey.ask("HLEN", agent_key(AGENT)) == fields

    run(main())


def test_engine_tells_the_time(valkey: ValkeyProcess) -> None:
    """Automatic versions go by the engine's clock, whatever a node's says."""
    valkey.clear()

    async def main() -> None:
        async with opened(valkey) as store:
            await settle_in(store)
            answer = await store.advance(AGENT, CHANNEL, None)
            assert answer is not None
            assert abs(answer.version - time.time()) < 60

    run(main())


def test_two_releases_side_by_side(valkey: ValkeyProcess) -> None:
    """Functions of two releases have two names and serve the same agents."""
    valkey.clear()
    source = resources.files("roskva.store").joinpath("functions.lua").read_text(encoding="utf-8")
    later = Functions.of(source + "-- a later release\n")
    assert later.name != own_functions().name

    async def main() -> None:
        async with opened(valkey) as old, opened(valkey, functions=later) as new:
            await settle_in(old)
            assert await new.advance(AGENT, CHANNEL, 5) == (5, CHANNEL, HERE)
            assert await old.advance(AGENT, CHANNEL, 6) == (6, CHANNEL, HERE)
            names = [library[1].decode() for library in valkey.ask("FUNCTION", "LIST")]
            assert {later.name, own_functions().name} <= set(names)

    run(main())


@pytest.mark.parametrize("name", ["valkey", "valkey_cluster"])
def test_lost_functions_are_loaded_again(name: str, request: pytest.FixtureRequest) -> None:
    """Calls go on when the functions are gone, all of a turn, in their order."""
    servers: ValkeyProcess | ValkeyCluster = request.getfixturevalue(name)
    servers.clear()
    agents = [Uaid(bytes([number]) * 16) for number in range(50)]

    async def main() -> None:
        async with opened(servers) as store:
            for server in servers.primaries:
                server.ask("FUNCTION", "FLUSH", "SYNC")
            await asyncio.gather(*(settle_in(store, uaid) for uaid in agents))
            answers = await asyncio.gather(*(store.advance(uaid, CHANNEL, 1) for uaid in agents))
            assert answers == [(1, CHANNEL, HERE)] * len(agents)
            assert sum(count(server, "function|load") for server in servers.primaries) < 10 * len(servers.primaries)

    run(main())


def test_emptied_store_gets_one_new_epoch(valkey: ValkeyProcess) -> None:
    """Two nodes that find everything gone, with a third that is new, agree on the next epoch (§11.6)."""
    valkey.clear()

    async def main() -> None:
        async with opened(valkey) as one, opened(valkey) as other:
            assert await one.check() == await other.check() == FIRST_EPOCH
            valkey.clear()
            async with opened(valkey) as new:
                assert await new.check() == FIRST_EPOCH
                assert await one.check() == FIRST_EPOCH + 1
                assert await other.check() == await new.check() == await one.check() == FIRST_EPOCH + 1

    run(main())


def test_emptied_shard_raises_the_epoch(valkey_cluster: ValkeyCluster) -> None:
    """Each shard that comes back empty is found out, by a node that knew it and by one that starts then."""

    async def main() -> None:
        for shard in valkey_cluster.primaries:
            valkey_cluster.clear()
            async with opened(valkey_cluster) as store:
                assert await store.check() == FIRST_EPOCH
                shard.clear()
                assert await store.check() == FIRST_EPOCH + 1
                assert await store.check() == FIRST_EPOCH + 1
            # As of a store that is an hour old.
            for key in KEYS:
                valkey_cluster.primary_of(key).ask("HSET", key, "born", f"{int(time.time()) - 3600}-ab")
            shard.clear()
            async with opened(valkey_cluster) as store:
                assert await store.check() == FIRST_EPOCH + 2

    run(main())


def test_new_epoch_forgets_all_agents(valkey_cluster: ValkeyCluster) -> None:
    """After bump_epoch no agent is known, and a node that didn't notice yet is refused where others were before."""
    valkey_cluster.clear()

    async def main() -> None:
        async with opened(valkey_cluster) as one, opened(valkey_cluster) as late:
            await settle_in(one)
            assert await one.bump_epoch() == FIRST_EPOCH + 1
            assert await one.attach(AGENT, HERE) is None
            await settle_in(one)
            with pytest.raises(StoreError, match="later epoch"):
                await late.attach(AGENT, HERE)
            assert await late.check() == FIRST_EPOCH + 1
            assert await late.attach(AGENT, HERE) == ({CHANNEL: (0, 0, CHANNEL)}, None)

    run(main())


def test_nodes_agree_on_their_keys(valkey: ValkeyProcess) -> None:
    """Whoever has the newest key of the others may join and rotate; whoever has none of theirs may not."""
    valkey.clear()

    async def main() -> None:
        async with opened(valkey) as one, opened(valkey) as two:
            assert await one.agree_on_keys(["first"])
            assert await two.agree_on_keys(["first"])
            assert not await two.agree_on_keys(["other"])
            assert await two.agree_on_keys(["second", "first"])
            assert await one.agree_on_keys(["second"])
            assert not await one.agree_on_keys(["first"])

    run(main())
