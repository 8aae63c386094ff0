"""Own the embedded store's file: its schema, how it is opened, and its epoch.

The calls of the contract are ``sqlite_calls``; nothing here runs while the store serves.
"""

import contextlib
import enum
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from roskva.errors import StoreError
from roskva.store.base import FIRST_EPOCH

SCHEMA_VERSION = 1

_SCHEMA = (
    """CREATE TABLE agents (
        uaid BLOB PRIMARY KEY,
        node TEXT,
        seat INTEGER,
        seen_at INTEGER NOT NULL,
        wakeup BLOB
    ) WITHOUT ROWID""",
    """CREATE TABLE channels (
        uaid BLOB,
        channel_id TEXT,
        spelling TEXT,
        version INTEGER NOT NULL,
        acked INTEGER NOT NULL,
        gone_at INTEGER,
        PRIMARY KEY (uaid, channel_id)
    ) WITHOUT ROWID""",
    "CREATE TABLE meta (epoch INTEGER NOT NULL, checks INTEGER NOT NULL)",
    # For the reaper alone: neither grows with agents that are here, or channels that live.
    "CREATE INDEX agents_unseated ON agents (seen_at) WHERE node IS NULL",
    "CREATE INDEX channels_gone ON channels (gone_at) WHERE gone_at IS NOT NULL",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class Synchronous(enum.Enum):
    """What an accepted version survives."""

    NORMAL = "NORMAL"
    """The death of the process."""
    FULL = "FULL"
    """Power loss too, for one flush of the disk a commit."""


def open_file(path: Path, *, synchronous: Synchronous, timeout: float) -> sqlite3.Connection:
    """Open the file for the calling thread, making it if missing or empty.

    For ``timeout`` seconds a lock that another process holds is waited for.

    Raises:
        StoreError: the file can't be opened, isn't ours, or is of a later release.
    """
    with _readable_errors(path):
        _make_private(path)
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
        try:
            _settle(connection, synchronous)
            with transaction(connection):
                _create_if_empty(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Be the one server of the file: a second would unseat the agents of the first.

    Raises:
        StoreError: another one runs.
    """
    # Beside the file, not on it: closing a descriptor of the file would drop SQLite's own locks.
    with _readable_errors(path), path.with_name(f"{path.name}-server").open("ab") as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"another server uses {path}") from error
        yield


def bump_epoch(path: Path, *, timeout: float = 5.0) -> int:
    """Drop all agents and begin a new epoch, also while a server runs on the file; returns the epoch.

    Source: docs/protocol.md §11.6

    Raises:
        StoreError: the file is missing or can't be used; nothing changed.
    """
    if not path.exists():
        raise StoreError(f"no store at {path}")
    connection = open_file(path, synchronous=Synchronous.FULL, timeout=timeout)
    with _readable_errors(path), contextlib.closing(connection), transaction(connection):
        connection.execute("DELETE FROM agents")
        connection.execute("DELETE FROM channels")
        connection.execute("UPDATE meta SET epoch = epoch + 1")
        return int(connection.execute("SELECT epoch FROM meta").fetchone()[0])


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """Leave the transaction, if SQLite hasn't left it by itself."""
    if connection.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


@contextlib.contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"can't use {path} as a store: {error}") from error


def _make_private(path: Path) -> None:
    # UAIDs are secrets (§11.1). SQLite gives its side files the mode of the main one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _settle(connection: sqlite3.Connection, synchronous: Synchronous) -> None:
    # Before the first write. Half the usual page: a commit writes whole pages for single rows.
    connection.execute("PRAGMA page_size = 2048")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous.value}")
    # 16 MiB of log before it is folded in: pages that change often are folded once, not each time.
    connection.execute("PRAGMA wal_autocheckpoint = 8192")


def _create_if_empty(connection: sqlite3.Connection, path: Path) -> None:
    (known,) = connection.execute("PRAGMA user_version").fetchone()
    if known > SCHEMA_VERSION:
        raise StoreError(f"{path} has schema {known}, this release knows {SCHEMA_VERSION}")
    if known == SCHEMA_VERSION:
        return
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None:
        raise StoreError(f"{path} is a database of something else")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO meta (epoch, checks) VALUES (?, 0)", (FIRST_EPOCH,))
