"""SQLite and Valkey answer as memory does, whatever is asked, in any turns, across restarts and leaps of the clock."""

import asyncio
import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roskva.store.base import TOMBSTONE_SECONDS, UNSEEN_SECONDS, Store
from roskva.store.memory import MemoryStore
from roskva.store.sqlite import SqliteStore
from roskva.store.sqlite_calls import Work, reap
from roskva.store.sqlite_file import Synchronous, open_file
from roskva.store.valkey import ValkeyStore
from roskva.testing import FakeClock
from roskva.types import MAX_VERSION, Ack, ChannelId, NodeId, Place, Uaid
from tests.kit.valkey import Servers

AGENTS = [Uaid(bytes([number]) * 16) for number in (1, 2)]
CHANNELS = [ChannelId(name) for name in ("a", "b", "c")]
PLACES = [Place(NodeId(node), seat) for node in ("here", "there") for seat in (1, 2)]

agents = st.sampled_from(AGENTS)
channels = st.sampled_from(CHANNELS)
places = st.sampled_from(PLACES)
wakeups = st.sampled_from([None, b"{}"])
spellings = st.sampled_from(["a", "A", "b"])
versions = st.one_of(st.integers(0, 9), st.sampled_from([1_700_000_000, MAX_VERSION - 1, MAX_VERSION]))
acks = st.lists(st.builds(Ack, channels, st.one_of(versions, st.sampled_from([-1, 2**63, 10**30]))), max_size=3)

Call = tuple[str, tuple[object, ...]]

calls: st.SearchStrategy[Call] = st.one_of(
    st.tuples(st.just("enroll"), st.tuples(agents, places, wakeups)),
    st.tuples(st.just("attach"), st.tuples(agents, places, wakeups)),
    st.tuples(st.just("resume"), st.tuples(agents, places)),
    st.tuples(st.just("detach"), st.tuples(agents, places)),
    st.tuples(st.just("register"), st.tuples(agents, channels, spellings, st.integers(1, 3))),
    st.tuples(st.just("unregister"), st.tuples(agents, channels)),
    st.tuples(st.just("advance"), st.tuples(agents, channels, st.one_of(st.none(), versions))),
    st.tuples(st.just("ack"), st.tuples(agents, acks)),
    st.tuples(st.just("forget"), st.tuples(agents)),
    st.tuples(st.just("check"), st.just(())),
)


@dataclass
class Turn:
    """Calls made in one turn of the loop."""

    calls: list[Call]


@dataclass
class Leap:
    """Time that passes."""

    seconds: float


@dataclass
class Restart:
    """The server stops; slices of the reaper come by; it starts again."""

    slices: int


turns = st.builds(Turn, st.lists(calls, min_size=1, max_size=8))
leaps = st.builds(Leap, st.sampled_from([0.5, 1, TOMBSTONE_SECONDS - 1, UNSEEN_SECONDS - 1, UNSEEN_SECONDS]))
restarts = st.builds(Restart, st.integers(0, 2))


class Pair:
    """One store on a file and one in memory, asked the same."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._clock = FakeClock()
        self._memory = MemoryStore(self._clock)

    async def open(self) -> None:
        """Open the file."""
        self._sqlite = await SqliteStore.open(self._path, clock=self._clock)

    async def aclose(self) -> None:
        """Close the file."""
        await self._sqlite.aclose()

    async def take(self, step: Turn | Leap | Restart) -> None:
        """Take one step in both."""
        match step:
            case Turn(calls):
                assert await answers(self._sqlite, calls) == await answers(self._memory, calls)
            case Leap(seconds):
                self._clock.advance(seconds)
            case Restart(slices):
                await self._restart(slices)
            case _:
                assert_never(step)

    async def _restart(self, slices: int) -> None:
        await self._sqlite.aclose()
        with contextlib.closing(open_file(self._path, synchronous=Synchronous.NORMAL, timeout=1)) as connection:
            work = Work(connection.cursor())
            work.begin(int(self._clock()))
            for _ in range(slices):
                reap(work, 2)
        await self.open()
        # The one difference of a restart: whoever sat sits no more, and was seen now.
        for uaid in AGENTS:
            for place in PLACES:
                await self._memory.detach(uaid, place)


async def answers(store: Store, calls: list[Call]) -> list[object]:
    """Make the calls in one turn."""
    results = await asyncio.gather(*(getattr(store, name)(*args) for name, args in calls))
    return [dict(result) if isinstance(result, Mapping) else result for result in results]


BEGINNING = Turn([("enroll", (AGENTS[0], PLACES[0], None)), ("register", (AGENTS[0], CHANNELS[0], "a", 3))])
END = Turn([("attach", (uaid, PLACES[0], None)) for uaid in AGENTS])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(turns, leaps, restarts), max_size=12))
def test_sqlite_equals_memory(steps: list[Turn | Leap | Restart]) -> None:
    """Both stores give the same answers to the same calls at the same times."""

    async def main(path: Path) -> None:
        pair = Pair(path)
        await pair.open()
        async with contextlib.aclosing(pair):
            for step in (BEGINNING, *steps, END):
                await pair.take(step)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder) / "roskva.db"))


@pytest.mark.parametrize("servers", ["valkey", "valkey_cluster"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(turns, leaps), max_size=12))
def test_valkey_equals_memory(servers: str, request: pytest.FixtureRequest, steps: list[Turn | Leap]) -> None:
    """Both stores give the same answers to the same calls at the same times, on one primary and on three."""
    kept: Servers = request.getfixturevalue(servers)
    kept.clear()

    async def main() -> None:
        clock = FakeClock()
        memory, valkey = MemoryStore(clock), await ValkeyStore.open(kept.deployment, clock=clock)
        async with contextlib.aclosing(valkey):
            for step in (BEGINNING, *steps, END):
                match step:
                    case Turn(calls):
                        assert await answers(valkey, calls) == await answers(memory, calls)
                    case Leap(seconds):
                        clock.advance(seconds)
                    case _:
                        assert_never(step)

    asyncio.run(main())
