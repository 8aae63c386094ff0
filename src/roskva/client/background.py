"""Own one event loop in a thread of its own, for those who don't have one. Knows nothing of what runs there."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """An event loop in a daemon thread, begun by the first call: a process that forks before it keeps it whole.

    Args:
        name: the thread's name.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._lock = threading.Lock()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there, from any thread, and wait for nothing.

        Raises:
            RuntimeError: it is closed.
        """
        with self._lock:
            if self._loop.is_closed():
                coroutine.close()
                raise RuntimeError("it is closed")
            if self._thread.ident is None:
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for its end, from any thread; an interrupted wait cancels it.

        Raises:
            RuntimeError: it is closed.
        """
        future = self.submit(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C; nothing, if the coroutine itself failed
            raise

    def close(self) -> None:
        """Cancel what runs there, and end the thread; repeating is safe."""
        with self._lock:
            if self._loop.is_closed():
                return
            if self._thread.ident is not None:
                asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
