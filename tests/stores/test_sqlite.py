"""The embedded store's file: what survives a restart, what can't be opened, and the epoch."""

import asyncio
import contextlib
import gc
import sqlite3
import threading
import weakref
from pathlib import Path

import pytest

from roskva.errors import StoreError
from roskva.store.base import TOMBSTONE_SECONDS, UNSEEN_SECONDS, Registration
from roskva.store.sqlite import SqliteStore
from roskva.store.sqlite_file import Synchronous, bump_epoch, open_file
from roskva.testing import FakeClock
from roskva.types import MAX_VERSION, Ack, ChannelId, NodeId, Place
from tests.stores._helpers import AGENT, CHANNEL, HERE, run

GONE = ChannelId("gone")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that doesn't exist yet."""
    return tmp_path / "roskva.db"


def read(path: Path, query: str) -> list[tuple[object, ...]]:
    """Query the file beside the store."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def opened(path: Path, clock: FakeClock) -> SqliteStore:
    """Open the file by a fake clock."""
    return await SqliteStore.open(path, clock=clock)


def test_restart_keeps_all_but_seats(path: Path) -> None:
    """Counters, spellings, tombstones and the epoch survive a restart; the seats of the former run don't."""

    async def main() -> None:
        store = await opened(path, clock)
        await store.enroll(AGENT, HERE)
        for channel_id in (CHANNEL, GONE):
            await store.register(AGENT, channel_id, channel_id.upper(), 10)
            await store.advance(AGENT, channel_id, MAX_VERSION - 1)
        await store.ack(AGENT, [Ack(CHANNEL, 5)])
        await store.unregister(AGENT, GONE)
        epoch = await store.check()
        await store.aclose()

        store = await opened(path, clock)
        assert await store.check() == epoch
        assert await store.advance(AGENT, CHANNEL, MAX_VERSION) == (MAX_VERSION, "TEST1", None)
        await store.register(AGENT, GONE, GONE, 10)
        seating = await store.attach(AGENT, HERE)
        assert seating is not None
        assert seating.channels == {
            CHANNEL: (MAX_VERSION, 5, "TEST1"),
            GONE: (MAX_VERSION - 1, MAX_VERSION - 1, GONE),
        }
        await store.aclose()

    clock = FakeClock()
    run(main())


def test_those_who_sat_were_seen_until_the_restart(path: Path) -> None:
    """An agent that sat for long when the server died is remembered for 30 days from the next start."""

    async def main() -> None:
        store = await opened(path, clock)
        await store.enroll(AGENT, HERE)
        await store.aclose()
        clock.advance(10 * UNSEEN_SECONDS)
        store = await opened(path, clock)
        clock.advance(UNSEEN_SECONDS - 1)
        assert await store.register(AGENT, CHANNEL, CHANNEL, 10) is Registration.DONE
        await store.aclose()
        store = await opened(path, clock)
        clock.advance(1)
        assert await store.attach(AGENT, HERE) is None
        await store.aclose()

    clock = FakeClock()
    run(main())


def test_wakeup_is_kept_until_replaced(path: Path) -> None:
    """Wake-up data stays when a hello brings none, and is replaced by the next (§3.7)."""

    async def main() -> None:
        store = await opened(path, FakeClock())
        wakeups = []
        await store.enroll(AGENT, HERE, b'{"port": 1}')
        for wakeup in (None, b'{"port": 2}', None):
            await store.attach(AGENT, HERE, wakeup)
            wakeups += read(path, "SELECT wakeup FROM agents")
        assert wakeups == [(b'{"port": 1}',), (b'{"port": 2}',), (b'{"port": 2}',)]
        await store.aclose()

    run(main())


def test_usual_spelling_takes_no_room(path: Path) -> None:
    """A spelling is stored only where it differs from the channelID."""

    async def main() -> None:
        store = await opened(path, FakeClock())
        await store.enroll(AGENT, HERE)
        await store.register(AGENT, CHANNEL, "TEST1", 10)
        await store.register(AGENT, GONE, GONE, 10)
        assert read(path, "SELECT channel_id, spelling FROM channels") == [("gone", None), ("test1", "TEST1")]
        await store.aclose()

    run(main())


def test_aclose_leaves_one_whole_file(path: Path) -> None:
    """After aclose the log is folded into the file and the thread has ended."""

    async def main() -> None:
        store = await opened(path, FakeClock())
        await store.enroll(AGENT, HERE)
        await store.aclose()

    before = threading.enumerate()
    run(main())
    assert not path.with_name("roskva.db-wal").exists()
    assert threading.enumerate() == before


def test_file_is_private(path: Path) -> None:
    """Only its owner may read the file and its log: UAIDs are secrets (§11.1)."""

    async def main() -> None:
        store = await opened(path, FakeClock())
        await store.enroll(AGENT, HERE)
        assert {file.stat().st_mode & 0o077 for file in (path, path.with_name("roskva.db-wal"))} == {0}
        await store.aclose()

    run(main())


@pytest.mark.parametrize(("synchronous", "level"), [(Synchronous.NORMAL, 1), (Synchronous.FULL, 2)])
def test_synchronous_is_set(path: Path, synchronous: Synchronous, level: int) -> None:
    """SQLite flushes as asked, and keeps a write-ahead log."""
    with contextlib.closing(open_file(path, synchronous=synchronous, timeout=1)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_empty_file_becomes_a_store(path: Path) -> None:
    """An empty file is as good as none."""

    async def main() -> None:
        store = await opened(path, FakeClock())
        assert await store.check() == 1
        await store.aclose()

    path.touch()
    run(main())


def _newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def _foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_newer, "has schema 99, this release knows 1"),
        (_foreign, "is a database of something else"),
        (lambda path: path.write_text("a diary, not a database\n" * 100), "file is not a database"),
        (Path.mkdir, "Is a directory"),
    ],
    ids=["newer", "foreign", "garbage", "folder"],
)
def test_unusable_file_is_refused_readably(path: Path, spoil: object, reason: str) -> None:
    """A file of a later release, of another program or of no database raises StoreError and is left alone."""

    async def main() -> None:
        with pytest.raises(StoreError, match=reason) as raised:
            await opened(path, FakeClock())
        assert str(path) in str(raised.value)

    assert callable(spoil)
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    run(main())
    if reason == "file is not a database":
        assert path.read_bytes() == before


def test_missing_folder_is_refused_readably(tmp_path: Path) -> None:
    """A file in a folder that doesn't exist raises StoreError."""

    async def main() -> None:
        with pytest.raises(StoreError, match="No such file or directory"):
            await SqliteStore.open(tmp_path / "missing" / "roskva.db")

    run(main())


def test_second_server_is_refused(path: Path) -> None:
    """A file serves one store at a time: a second would unseat the agents of the first."""

    async def main() -> None:
        store = await opened(path, FakeClock())
        await store.enroll(AGENT, HERE)
        await store.register(AGENT, CHANNEL, CHANNEL, 10)
        with pytest.raises(StoreError, match="another server uses"):
            await opened(path, FakeClock())
        assert await store.advance(AGENT, CHANNEL, 1) == (1, CHANNEL, HERE)
        await store.aclose()
        await (await opened(path, FakeClock())).aclose()

    run(main())


def test_version_above_the_largest_is_a_bug(path: Path) -> None:
    """An advance beyond 2^63-1 raises ValueError at once and harms no other call."""

    async def main() -> None:
        store = await opened(path, FakeClock())
        with pytest.raises(ValueError, match="2\\^63-1"):
            store.advance(AGENT, CHANNEL, MAX_VERSION + 1)
        assert await store.check() == 1
        await store.aclose()

    run(main())


def test_new_epoch_under_a_running_server(path: Path) -> None:
    """bump_epoch drops all agents and raises the epoch while a server runs on the file (§11.6)."""

    async def main() -> None:
        store = await opened(path, FakeClock())
        await store.enroll(AGENT, HERE)
        await store.register(AGENT, CHANNEL, CHANNEL, 10)
        assert await asyncio.to_thread(bump_epoch, path) == 2
        assert await store.check() == 2
        assert read(path, "SELECT count(*) FROM channels") == [(0,)]
        assert await store.advance(AGENT, CHANNEL, 1) is None
        await store.detach(AGENT, HERE)
        assert await store.attach(AGENT, Place(NodeId("there"), 2)) is None
        await store.enroll(AGENT, HERE)
        assert await store.attach(AGENT, HERE) == ({}, None)
        await store.aclose()

    run(main())


def test_new_epoch_of_a_stopped_server(path: Path) -> None:
    """The next run finds the new epoch; a file that isn't there is an error, and isn't made."""

    async def epoch() -> int:
        store = await opened(path, FakeClock())
        epoch = await store.check()
        await store.aclose()
        return epoch

    with pytest.raises(StoreError, match="no store at"):
        bump_epoch(path)
    assert not path.exists()
    assert run(epoch()) == 1
    assert bump_epoch(path) == 2
    assert run(epoch()) == 2


def test_check_writes(path: Path) -> None:
    """Each check writes to the file, which proves that it can be written."""

    async def main() -> None:
        store = await opened(path, FakeClock())
        with contextlib.closing(sqlite3.connect(path)) as other:
            before = other.execute("PRAGMA data_version").fetchone()
            assert await store.check() == await store.check()
            assert other.execute("PRAGMA data_version").fetchone() != before
        await store.aclose()

    run(main())


def test_nothing_holds_a_closed_store(path: Path) -> None:
    """After aclose no timer and no thread is left that holds the store."""

    async def main() -> None:
        store = await opened(path, FakeClock())
        await store.aclose()
        held = weakref.ref(store)
        del store
        gc.collect()
        assert held() is None

    run(main())


def test_old_tombstones_are_gone_before_the_reaper(path: Path) -> None:
    """Age counts by the clock across a restart, whether rows were removed or not (§10)."""

    async def main() -> None:
        store = await opened(path, clock)
        await store.enroll(AGENT, HERE)
        await store.register(AGENT, GONE, GONE, 10)
        await store.advance(AGENT, GONE, 5)
        await store.unregister(AGENT, GONE)
        await store.aclose()
        clock.advance(TOMBSTONE_SECONDS)
        store = await opened(path, clock)
        assert read(path, "SELECT count(*) FROM channels") == [(1,)]
        await store.register(AGENT, GONE, GONE, 10)
        assert await store.attach(AGENT, HERE) == ({GONE: (0, 0, GONE)}, None)
        await store.aclose()

    clock = FakeClock()
    run(main())
