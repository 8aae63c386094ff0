"""Own group commit: store calls made close together travel as one commit, in order.

What a commit is belongs to the backend; nothing here knows SQL, Valkey or a thread. All methods
are for the loop's thread.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from roskva.errors import StoreBusyError, StoreDownError, StoreError, StoreTimeoutError
from roskva.state.breaker import Breaker

Call = TypeVar("Call")

WAITING_LIMIT = 16_384
"""Calls that may wait for a commit under way: about half a second of what one core can do."""

DEFERRED = 0.02
"""Seconds that a deferred call may wait for company."""


class Batch(Generic[Call]):
    """Gather calls into commits, one commit under way at a time.

    Without one under way the calls of a loop turn leave at its end; with one, when it was answered.
    A commit without an answer in time fails its calls and all that wait; until its answer comes
    late, calls fail at once. Then, as after failures in a row, a breaker lets one call at a time
    probe the backend and fails the others at once, until a commit succeeds.

    Args:
        send: begins a commit of these calls, and owes one ``answer`` or ``fail`` for it, however
            late, on the loop's thread. It must not block or raise.
        timeout: seconds a commit may take.
        limit: calls that may wait.
        chance: a random value in [0, 1), for the waits between probes.
    """

    __slots__ = (
        "_calls", "_chance", "_closed", "_deadline", "_flushing", "_flying", "_futures", "_idle", "_limit", "_loop",
        "_send", "_stuck", "_timeout", "_under_way", "breaker",
    )  # fmt: skip

    def __init__(
        self,
        send: Callable[[list[Call]], object],
        *,
        timeout: float,
        limit: int = WAITING_LIMIT,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._timeout = timeout
        self._limit = limit
        self._chance = chance
        # Invariant: unless it is closed, no calls wait, and no commit but a probe is under way that isn't stuck.
        self.breaker = Breaker()
        # Invariant: while calls wait, a commit is under way or a flush is scheduled.
        self._calls: list[Call] = []
        self._futures: list[asyncio.Future[Any]] = []
        self._flying: list[asyncio.Future[Any]] = []
        self._under_way = False
        self._stuck = False
        self._closed = False
        self._deadline: asyncio.TimerHandle | None = None
        self._flushing: asyncio.TimerHandle | None = None  # set while all that wait was deferred
        self._idle: asyncio.Future[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether no call waits, and no commit is under way, be it a stuck one."""
        return not self._calls and not self._under_way

    def submit(self, call: Call) -> asyncio.Future[Any]:
        """Take a call along with the next commit; the future gets the backend's result.

        Cancelling the future abandons the result, not the call. The future raises StoreError (the
        commit failed, or the batch is closed), StoreTimeoutError, StoreBusyError or StoreDownError.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        calls = self._calls
        if self._stuck or self._closed or len(calls) >= self._limit or not self._may_begin():
            future.set_exception(self._refusal())
            return future
        if not self._under_way and (not calls or self._flushing is not None):
            self._flush_soon()
        calls.append(call)
        self._futures.append(future)
        return future

    def defer(self, call: Call) -> asyncio.Future[Any]:
        """Take a call along as ``submit`` does, but let it wait ``DEFERRED`` seconds for others to travel with.

        It keeps its place among the calls: one made later doesn't overtake it.
        """
        is_alone = not self._calls and not self._under_way
        is_usual = self.breaker.is_closed and not self._stuck and not self._closed and len(self._calls) < self._limit
        if not is_usual or (self._flushing is None and not is_alone):
            return self.submit(call)
        if self._flushing is None:
            self._flushing = self._loop.call_later(DEFERRED, self._flush)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._calls.append(call)
        self._futures.append(future)
        return future

    def answer(self, results: Iterable[object]) -> None:
        """Deliver the results of the commit under way, in the order of its calls; a StoreError fails its call alone."""
        if self._deadline is not None and self._loop.time() >= self._deadline.when():
            self._expire()  # this process slept: its timer comes after its sockets
        if not self._stuck:  # else it says nothing about the next: that has to come in time
            succeeded = [_settle(future, result) for future, result in zip(self._flying, results, strict=True)]
            if any(succeeded):
                self.breaker.succeed()
            else:
                self._note_failure("every call of a commit failed")
        self._land()

    def fail(self, reason: str, cause: Exception | None = None) -> None:
        """Fail every call of the commit under way, and those that wait if the breaker opens."""
        _fail(self._flying, StoreError, reason, cause)
        if not self._stuck:
            self._note_failure(reason, cause)
        self._land()

    async def aclose(self) -> None:
        """Refuse further calls and wait until those begun were answered, or failed by the deadline."""
        self._closed = True
        if self._flushing is not None:
            self._flush_soon()
        if self._calls or (self._under_way and not self._stuck):
            if self._idle is None:
                self._idle = self._loop.create_future()
            await asyncio.shield(self._idle)

    def _note_failure(self, reason: str, cause: Exception | None = None) -> None:
        self.breaker.fail(self._loop.time(), self._chance())
        if not self.breaker.is_closed:
            self._calls, waiting, self._futures = [], self._futures, []
            _fail(waiting, StoreDownError, reason, cause)

    def _flush_soon(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = None
        calls, self._calls = self._calls, []
        self._flying, self._futures = self._futures, []
        self._under_way = True
        self._deadline = self._loop.call_later(self._timeout, self._expire)
        self._send(calls)

    def _land(self) -> None:
        self._flying = []
        self._under_way = self._stuck = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        # Not at once: calls made by those who just got their results come along.
        if self._calls:
            self._loop.call_soon(self._flush)
        else:
            self._rest()

    def _expire(self) -> None:
        self._stuck = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        overdue, self._flying = self._flying + self._futures, []
        self._calls, self._futures = [], []
        _fail(overdue, StoreTimeoutError, f"no answer from the store in {self._timeout:g} s")
        self.breaker.time_out(self._loop.time(), self._chance())
        self._rest()

    def _rest(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _may_begin(self) -> bool:
        return self.breaker.is_closed or self.breaker.admit(self._loop.time())

    def _refusal(self) -> StoreError:
        if self._closed:
            return StoreError("store is closed")
        if self._stuck:
            return StoreTimeoutError(f"no answer from the store for more than {self._timeout:g} s")
        if not self.breaker.is_closed:
            return StoreDownError("the store failed again and again, and is not asked now")
        return StoreBusyError(f"{self._limit} calls wait for the store")


def _settle(future: asyncio.Future[Any], result: object) -> bool:
    """Answer a call, if somebody still waits for it; tells whether it succeeded."""
    if isinstance(result, StoreError):
        if not future.done():
            future.set_exception(result)
        return False
    if not future.done():
        future.set_result(result)
    return True


def _fail(
    futures: Iterable[asyncio.Future[Any]], kind: type[StoreError], reason: str, cause: Exception | None = None
) -> None:
    for future in futures:
        if not future.done():
            error = kind(reason)
            error.__cause__ = cause
            future.set_exception(error)
