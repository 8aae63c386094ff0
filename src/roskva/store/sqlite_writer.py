"""Own the one thread that has the one connection: it commits batches of calls, one after another.

What a call does is ``sqlite_calls``; which calls travel together is ``batch``.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from roskva.errors import StoreError, StoreTimeoutError
from roskva.store.sqlite_calls import Work, unseat_all
from roskva.store.sqlite_file import Synchronous, claimed, open_file, roll_back

Call = tuple[Callable[..., object], tuple[object, ...]]
"""A function of ``sqlite_calls``, and its arguments after the first."""


class Writer:
    """Run a thread until ``aclose``; whoever makes one awaits ``opened`` next.

    Args:
        answer: gets a commit's results, ``fail`` the reason and cause if it wasn't made; both on the loop.
        timeout: seconds a commit may take, and to wait for the end of the thread.
        clock: Unix seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: Synchronous,
        timeout: float,
        clock: Callable[[], float],
        answer: Callable[[list[object]], None],
        fail: Callable[[str, Exception], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._path = path
        self._synchronous = synchronous
        self._timeout = timeout
        self._clock = clock
        self._answer = answer
        self._fail = fail
        self._inbox: SimpleQueue[list[Call] | None] = SimpleQueue()
        self.send = self._inbox.put
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=f"roskva store {path.name}", daemon=True)
        self._thread.start()

    async def aclose(self) -> None:
        """End the thread after the commits that were sent.

        Raises:
            StoreTimeoutError: it is stuck in the disk; it ends when it can.
        """
        self.send(None)
        try:
            await asyncio.wait_for(asyncio.shield(self._closed), self._timeout)
        except TimeoutError as error:
            raise StoreTimeoutError(f"{self._path} could not be closed in {self._timeout:g} s") from error
        self._thread.join()

    def _run(self) -> None:
        try:
            with claimed(self._path):
                # Before the commit's deadline: then it is known that nothing took effect.
                patience = 0.9 * self._timeout
                connection = open_file(self._path, synchronous=self._synchronous, timeout=patience)
                with contextlib.closing(connection):
                    self._serve(connection)
        except Exception as error:
            self._tell(_reject, self.opened, error)
        self._tell(_resolve, self._closed)

    def _serve(self, connection: sqlite3.Connection) -> None:
        work = Work(connection.cursor())
        try:
            # Whoever sat in a former run was there until it ended.
            self._commit(connection, work, [(unseat_all, ())])
        except sqlite3.Error as error:
            raise StoreError(f"can't use {self._path} as a store: {error}") from error
        self._tell(_resolve, self.opened)
        while (calls := self._inbox.get()) is not None:
            try:
                results = self._commit(connection, work, calls)
            except Exception as error:
                self._tell(self._fail, f"commit failed: {error}", error)
            else:
                self._tell(self._answer, results)

    def _commit(self, connection: sqlite3.Connection, work: Work, calls: list[Call]) -> list[object]:
        work.begin(int(self._clock()))
        try:
            # Reads alone must not wait for the lock of another process.
            work.execute("BEGIN IMMEDIATE")
            results = [run(work, *args) for run, args in calls]
            work.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise
        return results

    def _tell(self, callback: Callable[..., object], *args: object) -> None:
        # The loop was closed without closing the store: nobody is left to hear.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _reject(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
