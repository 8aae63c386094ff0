"""Own one event loop in a thread of its own, for those who don't have one. Knows nothing of what runs there."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """An event loop in a daemon thread, both made by the first call: who forks before it has the whole of it.

    A process that forks after that must make its own: the loop's thread isn't there, and its sockets are shared.

    Args:
        owner: whose it is, for the thread's name and for errors.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid: int | None = None
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Tell whether it takes no more calls."""
        return self._is_closed

    @property
    def is_inherited(self) -> bool:
        """Tell whether another process made the loop, and this one was forked from it."""
        return self._pid is not None and self._pid != os.getpid()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there, from any thread, and wait for nothing.

        Raises:
            RuntimeError: it is closed, or was used before this process was forked.
        """
        try:
            # Before the lock, which a fork may have left held.
            if self.is_inherited:
                raise RuntimeError(f"the {self._owner} was used before this process was forked: make another")
            with self._lock:
                return asyncio.run_coroutine_threadsafe(coroutine, self._begin())
        except RuntimeError:
            coroutine.close()
            raise

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for its end, from any thread; an interrupted wait cancels it.

        Raises:
            RuntimeError: it is closed, or was used before this process was forked.
        """
        future = self.submit(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C; nothing, if the coroutine itself failed
            raise

    def close(self) -> None:
        """Cancel what runs there, and end the thread; repeating is safe. In a forked process nothing is touched."""
        if self.is_inherited:
            return
        with self._lock:
            self._is_closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
            if loop is None or thread is None:
                return
            asyncio.run_coroutine_threadsafe(_cancel_others(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def _begin(self) -> asyncio.AbstractEventLoop:
        if self._is_closed:
            raise RuntimeError(f"the {self._owner} is closed")
        if self._loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name=f"roskva-{self._owner}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread can be had now; the next call tries again
                loop.close()
                raise
            self._pid, self._loop, self._thread = os.getpid(), loop, thread
        return self._loop


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
