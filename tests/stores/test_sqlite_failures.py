"""The embedded store when something fails: a kill, a lock, a full or stuck disk, a bad call."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from roskva.errors import StoreError, StoreTimeoutError
from roskva.store import sqlite_writer
from roskva.store.sqlite import SqliteStore
from roskva.store.sqlite_file import Synchronous, open_file
from roskva.testing import FakeClock
from roskva.testing.cases import known
from roskva.types import Ack, ChannelId, Uaid
from tests.stores._helpers import AGENT, CHANNEL, HERE, run, turns

TIMEOUT = 5.0

WRITE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from roskva.store.sqlite import SqliteStore
from roskva.types import ChannelId, NodeId, Place, Uaid

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    agent, channel = Uaid(bytes.fromhex(sys.argv[2])), ChannelId("test1")
    await store.enroll(agent, Place(NodeId("here"), 1))
    await store.register(agent, channel, channel, 10)
    version = 0
    while True:
        version += 1
        await store.advance(agent, channel, version)
        print(version, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that doesn't exist yet."""
    return tmp_path / "roskva.db"


class StickyClock(FakeClock):
    """A clock that the store's thread can be made to wait for: a commit begins by reading it."""

    def __init__(self) -> None:
        super().__init__()
        self._runs = threading.Event()
        self._runs.set()

    def __call__(self) -> float:
        """Tell the time, when it may be told."""
        if threading.current_thread() is not threading.main_thread():
            self._runs.wait()
        return super().__call__()

    @contextlib.contextmanager
    def stuck(self) -> Iterator[None]:
        """Keep the store's thread waiting."""
        self._runs.clear()
        try:
            yield
        finally:
            self._runs.set()


async def seated(path: Path, *, clock: FakeClock | None = None, wait: float = TIMEOUT) -> SqliteStore:
    """Open the file with one agent and channel."""
    store = await SqliteStore.open(path, timeout=wait, clock=clock or FakeClock())
    store._batch._chance = lambda: 0.0  # the breaker's probes come at once
    await store.enroll(AGENT, HERE)
    await store.register(AGENT, CHANNEL, CHANNEL, 10)
    return store


async def answers_again(store: SqliteStore) -> None:
    """Wait until the late answer of a stuck commit has come."""
    while True:
        with contextlib.suppress(StoreError):
            await store.check()
            return
        await asyncio.sleep(0)


def test_accepted_versions_survive_a_kill(path: Path) -> None:
    """Every version that was answered before a kill -9 is there afterwards (design: rule 1)."""

    async def main() -> int:
        store = await SqliteStore.open(path)
        seating = await store.attach(AGENT, HERE)
        await store.aclose()
        assert seating is not None
        return seating.channels[CHANNEL].version

    command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(path), AGENT.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        early = [writer.stdout.readline() for _ in range(300)]
        writer.kill()
        answered = int([*early, *writer.stdout.readlines()][-1])
    assert answered <= run(main()) <= answered + 1


def test_foreign_lock_fails_and_passes(path: Path) -> None:
    """While another process holds the lock calls raise StoreError; then service resumes."""

    async def main() -> None:
        store = await seated(path, wait=0.05)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="database is locked"):
                await store.advance(AGENT, CHANNEL, 5)
        assert await store.advance(AGENT, CHANNEL, 4) == (4, CHANNEL, HERE)
        await store.aclose()

    # On fake time, so that it isn't the deadline that fails the call.
    run(main(), FakeClock())


def test_short_foreign_lock_is_waited_for(path: Path) -> None:
    """A lock that is let go in time only delays."""

    async def main() -> None:
        store = await seated(path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            begun = asyncio.ensure_future(store.advance(AGENT, CHANNEL, 5))
            await turns()
            other.execute("ROLLBACK")
            assert await begun == (5, CHANNEL, HERE)
        await store.aclose()

    run(main())


def test_file_locked_at_opening_is_refused(path: Path) -> None:
    """A file that another process keeps locked raises StoreError, and can be opened later."""

    async def main() -> None:
        await (await seated(path)).aclose()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="database is locked"):
                await SqliteStore.open(path, timeout=0.05)
        await (await seated(path)).aclose()

    run(main())


def test_bad_call_changes_nothing(path: Path) -> None:
    """If one call of a commit can't be carried out none is, all raise StoreError, and the next commit works."""

    async def main() -> None:
        store = await seated(path)
        results = await asyncio.gather(
            store.advance(AGENT, CHANNEL, 5),
            store.register(AGENT, ChannelId("\ud800"), "\ud800", 10),
            store.check(),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [StoreError] * 3
        assert "surrogates not allowed" in str(results[0])
        assert await store.attach(AGENT, HERE) == ({CHANNEL: (0, 0, CHANNEL)}, None)
        await store.aclose()

    run(main())


def test_full_disk_fails_and_passes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk writes raise StoreError, what was accepted stays, and freed room serves again."""

    def open_small(path: Path, *, synchronous: Synchronous, timeout: float) -> sqlite3.Connection:
        connection = open_file(path, synchronous=synchronous, timeout=timeout)
        connection.execute("PRAGMA max_page_count = 30")
        return connection

    async def main() -> None:
        store = await seated(path)
        names = [ChannelId(f"channel-{number}") for number in range(1000)]
        accepted = {CHANNEL}
        for name in names:
            try:
                await store.register(AGENT, name, "x" * 100, 1000)
            except StoreError as error:
                assert "disk is full" in str(error)  # noqa: PT017  (the loop needs the way out)
                break
            accepted.add(name)
        assert accepted < {CHANNEL, *names}
        assert set((await known(store.attach(AGENT, HERE))).channels) == accepted
        await store.ack(AGENT, [Ack(CHANNEL, 1)])
        other = Uaid(bytes(16))
        await store.forget(AGENT)
        await store.enroll(other, HERE)
        await store.register(other, CHANNEL, "x" * 100, 10)
        assert await store.advance(other, CHANNEL, 1) == (1, "x" * 100, HERE)
        await store.aclose()

    monkeypatch.setattr(sqlite_writer, "open_file", open_small)
    run(main())


def test_lost_table_fails_and_passes(path: Path) -> None:
    """An error of SQLite fails the commit with its reason; the thread lives on."""

    async def main() -> None:
        store = await seated(path)
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("ALTER TABLE channels RENAME TO elsewhere")
            with pytest.raises(StoreError, match="no such table") as raised:
                await store.advance(AGENT, CHANNEL, 5)
            assert isinstance(raised.value.__cause__, sqlite3.Error)
            other.execute("ALTER TABLE elsewhere RENAME TO channels")
        assert await store.advance(AGENT, CHANNEL, 4) == (4, CHANNEL, HERE)
        await store.aclose()

    run(main())


def test_stuck_disk_times_out_then_resumes(path: Path) -> None:
    """A commit that doesn't return raises StoreTimeoutError, as do calls meanwhile; it may still take effect."""

    async def main() -> None:
        store = await seated(path, clock=clock)
        with clock.stuck():
            begun = asyncio.ensure_future(store.advance(AGENT, CHANNEL, 5))
            await turns()
            clock.advance(TIMEOUT)
            with pytest.raises(StoreTimeoutError):
                await begun
            with pytest.raises(StoreTimeoutError):
                await store.check()
        await answers_again(store)
        assert await store.attach(AGENT, HERE) == ({CHANNEL: (5, 0, CHANNEL)}, None)
        await store.aclose()

    clock = StickyClock()
    run(main(), clock)


def test_aclose_of_a_stuck_store_is_bounded(path: Path) -> None:
    """Aclose gives up on a stuck disk in time; the thread ends when it can."""

    async def main() -> None:
        store = await seated(path, clock=clock)
        with clock.stuck():
            begun = asyncio.ensure_future(store.advance(AGENT, CHANNEL, 5))
            await turns()
            closing = asyncio.ensure_future(store.aclose())
            for _ in range(2):
                await turns(10)
                clock.advance(TIMEOUT)
            with pytest.raises(StoreTimeoutError, match="could not be closed"):
                await closing
            with pytest.raises(StoreTimeoutError):
                await begun
        await store.aclose()

    clock = StickyClock()
    run(main(), clock)


def test_cancelled_opening_leaves_nothing(path: Path) -> None:
    """Who stops waiting for the opening leaves no thread, and the file can be opened again."""

    async def main() -> None:
        with clock.stuck():
            opening = asyncio.ensure_future(seated(path, clock=clock))
            await turns()
            opening.cancel()
            await turns()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await (await seated(path, clock=clock)).aclose()

    clock = StickyClock()
    run(main(), clock)
