"""The embedded store's reaper: what it removes, in slices, and when it comes."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from roskva.store.base import TOMBSTONE_SECONDS, UNSEEN_SECONDS
from roskva.store.sqlite import REAP_INTERVAL, REAP_PAUSE, REAP_ROWS, SqliteStore
from roskva.store.sqlite_calls import Work, detach, enroll, reap, register, unregister
from roskva.store.sqlite_file import Synchronous, open_file
from roskva.testing import FakeClock
from roskva.types import ChannelId, Uaid
from tests.stores._helpers import CHANNEL, HERE, run, turns


def uaid(number: int) -> Uaid:
    """Number the agents."""
    return Uaid(number.to_bytes(16))


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    """Give a store's file to the test's own thread."""
    path = tmp_path / "roskva.db"
    with contextlib.closing(open_file(path, synchronous=Synchronous.NORMAL, timeout=1)) as connection:
        yield Work(connection.cursor())


def rows(work: Work, table: str) -> int:
    """Count what a table holds."""
    return int(work.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def seat(work: Work, number: int, channels: int) -> None:
    """Enroll an agent with channels."""
    enroll(work, uaid(number), HERE, None)
    for channel in range(channels):
        register(work, uaid(number), ChannelId(f"channel-{channel}"), "", channels)


def test_old_tombstones_go_and_others_stay(work: Work) -> None:
    """A slice removes tombstones of 24 h, and neither younger ones nor live channels."""
    seat(work, 1, 3)
    unregister(work, uaid(1), ChannelId("channel-0"))
    work.begin(1)
    unregister(work, uaid(1), ChannelId("channel-1"))
    work.begin(TOMBSTONE_SECONDS)
    assert not reap(work, 500)
    assert rows(work, "channels") == 2
    work.begin(TOMBSTONE_SECONDS + 1)
    assert not reap(work, 500)
    assert rows(work, "channels") == 1


def test_unseen_agents_go_with_all_they_had(work: Work) -> None:
    """A slice removes agents unseen for 30 days with their channels, and neither seated nor younger ones."""
    for number in (1, 2, 3):
        seat(work, number, 2)
    detach(work, uaid(1), HERE)
    work.begin(1)
    detach(work, uaid(2), HERE)
    work.begin(UNSEEN_SECONDS)
    assert not reap(work, 500)
    assert (rows(work, "agents"), rows(work, "channels")) == (2, 4)


def test_slices_are_bounded(work: Work) -> None:
    """A slice ends after its rows, at worst with the agent that it began, and tells whether to come again."""
    for number in range(10):
        seat(work, number, 4)
        detach(work, uaid(number), HERE)
    work.begin(UNSEEN_SECONDS)
    left = []
    while reap(work, 12):
        left.append(rows(work, "agents") + rows(work, "channels"))
    assert left == [35, 20, 5]
    assert rows(work, "agents") + rows(work, "channels") == 0


def test_many_tombstones_go_in_slices(work: Work) -> None:
    """Tombstones alone fill a slice too, the oldest first."""
    seat(work, 1, 10)
    for channel in range(10):
        work.begin(channel)
        unregister(work, uaid(1), ChannelId(f"channel-{channel}"))
    work.begin(TOMBSTONE_SECONDS + 10)
    assert reap(work, 4)
    assert work.execute("SELECT min(gone_at) FROM channels").fetchone() == (4,)
    assert reap(work, 4)
    assert not reap(work, 4)
    assert rows(work, "channels") == 0


def test_the_reaper_comes_by_itself(tmp_path: Path) -> None:
    """The store looks every 10 minutes, soon again while a slice was full, and never after aclose."""

    def agents() -> int:
        with contextlib.closing(sqlite3.connect(tmp_path / "roskva.db")) as connection:
            return int(connection.execute("SELECT count(*) FROM agents").fetchone()[0])

    async def pass_time(store: SqliteStore, seconds: float) -> int:
        clock.advance(seconds)
        await turns()
        await store.check()
        await turns()
        return agents()

    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "roskva.db", clock=clock)
        count = REAP_ROWS * 2 + 100
        await asyncio.gather(*(store.enroll(uaid(number), HERE) for number in range(count)))
        await asyncio.gather(*(store.detach(uaid(number), HERE) for number in range(count)), store.check())
        assert await pass_time(store, REAP_INTERVAL) == count
        assert await pass_time(store, UNSEEN_SECONDS) == count - REAP_ROWS
        assert await pass_time(store, 2 * REAP_PAUSE) == count - REAP_ROWS * 2
        assert await pass_time(store, 2 * REAP_PAUSE) == 0
        await store.enroll(uaid(1), HERE)
        await store.register(uaid(1), CHANNEL, CHANNEL, 1)
        await asyncio.gather(store.detach(uaid(1), HERE), store.check())
        assert await pass_time(store, REAP_INTERVAL) == 1
        await store.aclose()
        clock.advance(UNSEEN_SECONDS)
        await turns()
        assert agents() == 1

    clock = FakeClock()
    run(main(), clock)


def test_a_failed_look_is_repeated(tmp_path: Path) -> None:
    """A look that fails is not the last."""

    async def main() -> None:
        path = tmp_path / "roskva.db"
        store = await SqliteStore.open(path, clock=clock)
        await store.enroll(uaid(1), HERE)
        await asyncio.gather(store.detach(uaid(1), HERE), store.check())
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("ALTER TABLE channels RENAME TO elsewhere")
            clock.advance(UNSEEN_SECONDS)
            await turns()
            await store.check()
            other.execute("ALTER TABLE elsewhere RENAME TO channels")
            clock.advance(REAP_INTERVAL)
            await turns()
            await store.check()
            assert other.execute("SELECT count(*) FROM agents").fetchone() == (0,)
        await store.aclose()

    clock = FakeClock()
    run(main(), clock)
