"""Own the embedded store: one SQLite file, one thread, group commit.

The contract's calls are handed on from here; their SQL is ``sqlite_calls``, the file ``sqlite_file``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from roskva.state.breaker import Breaker
from roskva.store import sqlite_calls
from roskva.store.base import Advanced, Registration, Seating
from roskva.store.batch import Batch
from roskva.store.sqlite_calls import Work
from roskva.store.sqlite_file import Synchronous
from roskva.store.sqlite_writer import Call, Writer
from roskva.types import MAX_VERSION, Ack, ChannelId, Place, Uaid

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

REAP_INTERVAL = 600.0
"""Seconds between two looks for what is too old."""

REAP_PAUSE = 0.05
"""Seconds until the next look while the last one found a full slice."""

REAP_ROWS = 500
"""Rows removed at a time: some milliseconds that other calls may have to wait."""


class SqliteStore:
    """Keep agents in one file, which one process at a time may serve; made by ``open``."""

    def __init__(self, path: Path, *, synchronous: Synchronous, timeout: float, clock: Callable[[], float]) -> None:
        self._batch: Batch[Call] = Batch(self._send, timeout=timeout)
        self._writer = Writer(
            path,
            synchronous=synchronous,
            timeout=timeout,
            clock=clock,
            answer=self._batch.answer,
            fail=self._batch.fail,
        )
        self.breakers: Sequence[Breaker] = (self._batch.breaker,)
        self._loop = asyncio.get_running_loop()
        self._reaper: asyncio.TimerHandle | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        synchronous: Synchronous = Synchronous.NORMAL,
        timeout: float = 5.0,  # noqa: ASYNC109  (of the store, not of this call)
        clock: Callable[[], float] = time.time,
    ) -> "SqliteStore":
        """Open the file, making it if missing, and clear the seats of the former run.

        Args:
            path: of the file; its folder must exist.
            synchronous: what an accepted version survives.
            timeout: seconds a commit may take, and a lock of another process be waited for.
            clock: Unix seconds; it is read in the store's thread.

        Raises:
            StoreError: the file can't be opened, isn't ours, or is of a later release.
        """
        store = cls(path, synchronous=synchronous, timeout=timeout, clock=clock)
        try:
            await store._writer.opened
        except BaseException:
            await store._writer.aclose()
            raise
        store._reap_in(REAP_INTERVAL)
        return store

    def enroll(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Awaitable[Place | None]:
        """See ``Store.enroll``."""
        return self._do(sqlite_calls.enroll, uaid, place, wakeup)

    def attach(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Awaitable[Seating | None]:
        """See ``Store.attach``."""
        return self._do(sqlite_calls.attach, uaid, place, wakeup)

    def resume(self, uaid: Uaid, place: Place) -> Awaitable[Seating | None]:
        """See ``Store.resume``."""
        return self._do(sqlite_calls.resume, uaid, place)

    def detach(self, uaid: Uaid, place: Place) -> Awaitable[None]:
        """See ``Store.detach``."""
        return self._batch.defer((sqlite_calls.detach, (uaid, place)))

    def register(self, uaid: Uaid, channel_id: ChannelId, spelling: str, limit: int) -> Awaitable[Registration]:
        """See ``Store.register``."""
        return self._do(sqlite_calls.register, uaid, channel_id, spelling, limit)

    def unregister(self, uaid: Uaid, channel_id: ChannelId) -> Awaitable[None]:
        """See ``Store.unregister``."""
        return self._do(sqlite_calls.unregister, uaid, channel_id)

    def advance(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Awaitable[Advanced | None]:
        """See ``Store.advance``."""
        if version is not None and version > MAX_VERSION:
            raise ValueError("version above 2^63-1")
        return self._do(sqlite_calls.advance, uaid, channel_id, version)

    def ack(self, uaid: Uaid, updates: Sequence[Ack]) -> Awaitable[None]:
        """See ``Store.ack``."""
        # SQLite's integers end there: such an ack changes nothing, and must not fail its neighbours.
        updates = [update for update in updates if 0 < update.version <= MAX_VERSION]
        # Nobody waits for it, and the next PUT, which may come at once, shall not wait for its commit.
        return self._batch.defer((sqlite_calls.ack, (uaid, updates)))

    def forget(self, uaid: Uaid) -> Awaitable[None]:
        """See ``Store.forget``."""
        return self._do(sqlite_calls.forget, uaid)

    def check(self) -> Awaitable[int]:
        """See ``Store.check``."""
        return self._do(sqlite_calls.check)

    async def aclose(self) -> None:
        """See ``Store.aclose``."""
        if self._reaper is not None:
            self._reaper.cancel()
        await self._batch.aclose()
        await self._writer.aclose()

    def _do(self, run: Callable[[Work, *Ts], T], *args: *Ts) -> asyncio.Future[T]:
        return self._batch.submit((run, args))

    def _send(self, calls: list[Call]) -> None:
        self._writer.send(calls)

    def _reap_in(self, seconds: float) -> None:
        self._reaper = self._loop.call_later(seconds, self._reap)

    def _reap(self) -> None:
        self._do(sqlite_calls.reap, REAP_ROWS).add_done_callback(self._reaped)

    def _reaped(self, future: asyncio.Future[bool]) -> None:
        # A failure is left to the calls that others make; the next look comes all the same.
        is_full = not future.cancelled() and future.exception() is None and future.result()
        self._reap_in(REAP_PAUSE if is_full else REAP_INTERVAL)
