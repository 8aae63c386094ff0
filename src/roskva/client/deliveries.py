"""Own what a publisher has under way: one delivery an endpoint, coalesced, repeated until it has an answer.

Repeating is safe, for versions only rise (docs/protocol.md §7): a PUT that took effect unseen changes nothing more.
Nothing queues here: whoever asks for an endpoint that waits already is carried by the same PUT, of the newest version.
No HTTP: what sends is given.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, NamedTuple

from roskva.client.answers import Outcome, Result, no_answer
from roskva.state.backoff import MAX_RETRY_AFTER, Backoff

FIRST_WAIT: Final = 0.5
"""Seconds of the longest wait after one failure; each further one doubles it."""

LONGEST_WAIT: Final = 15.0
"""Seconds of the longest wait ever, unless the server asks for more."""

Send = Callable[[str, int | None], Awaitable[Result]]
"""PUTs a version to an endpoint, once."""

Gone = Callable[[str], Awaitable[None]]
"""Hears of an endpoint that is gone."""

Sleep = Callable[[float], Awaitable[None]]


class _Key(NamedTuple):
    """Which asks share a PUT: a version that the server chooses covers none that a publisher gave, nor the reverse."""

    endpoint: str
    is_chosen: bool


class _Delivery:
    """One endpoint's news on its way; every waiter stands in ``waiting`` or, while a PUT is sent, in ``aboard``.

    ``version`` is the newest asked for; it only rises, even if who asked for it has left.
    """

    __slots__ = ("aboard", "ends_at", "last", "sent", "task", "tries", "version", "waiting")

    def __init__(self, version: int | None) -> None:
        self.version = self.sent = version
        self.waiting: set[asyncio.Future[Result]] = set()
        self.aboard: set[asyncio.Future[Result]] = set()
        self.ends_at = 0.0
        self.tries = 0
        self.last = no_answer("not sent in time")
        self.task: asyncio.Task[None] | None = None

    @property
    def is_wanted(self) -> bool:
        return bool(self.waiting or self.aboard)

    def add(self, future: asyncio.Future[Result], version: int | None, ends_at: float) -> None:
        self.ends_at = max(self.ends_at, ends_at)
        if self.aboard and version is not None and self.sent is not None and version <= self.sent:
            self.aboard.add(future)
            return
        # A version that the server has chosen for a PUT on its way may be older than what this one tells of.
        self.waiting.add(future)
        self.tries = 0
        if version is not None and self.version is not None:
            self.version = max(self.version, version)

    def board(self) -> int | None:
        """Take every waiter along, and return the version to send."""
        self.aboard |= self.waiting
        self.waiting.clear()
        self.sent = self.version
        return self.sent

    def put_off(self) -> None:
        """Let all wait for another PUT."""
        self.waiting |= self.aboard
        self.aboard.clear()

    def land(self, result: Result) -> None:
        """Answer those aboard."""
        landed, self.aboard = self.aboard, set()
        for future in landed:
            if not future.done():
                future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Fail everyone."""
        failed, self.aboard, self.waiting = self.aboard | self.waiting, set(), set()
        for future in failed:
            if not future.done():
                future.set_exception(error)

    def leave(self, future: asyncio.Future[Result]) -> None:
        self.waiting.discard(future)
        self.aboard.discard(future)


class Deliveries:
    """All that one publisher has under way.

    Args:
        send: PUTs once.
        concurrency: PUTs on their way at a time.
        tries: PUTs of one delivery until it is given up, counted anew when somebody asks again.
        on_gone: hears of each endpoint that is gone, before whoever asked; what it raises, they get.
        sleep: waits some seconds.
        chance: draws a value in [0, 1).
    """

    def __init__(
        self,
        send: Send,
        *,
        concurrency: int,
        tries: int,
        on_gone: Gone,
        sleep: Sleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._send = send
        self._tries = tries
        self._on_gone = on_gone
        self._sleep = sleep
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(concurrency)
        self._under_way: dict[_Key, _Delivery] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._quiet_until: dict[str, float] = {}

    def ask(self, endpoint: str, version: int | None, deadline: float) -> asyncio.Future[Result]:
        """Begin or join a delivery.

        Args:
            endpoint: as ``check_endpoint`` accepts it.
            version: None for the server's choice.
            deadline: seconds until the future has a result, if only that there was no answer.

        Returns:
            A future of the caller's own; cancelling it is to want the answer no more.
        """
        ends_at = self._loop.time() + deadline
        key = _Key(endpoint, version is None)
        future: asyncio.Future[Result] = self._loop.create_future()
        delivery = self._under_way.get(key)
        if delivery is None:
            delivery = self._under_way[key] = _Delivery(version)
            delivery.add(future, version, ends_at)
            self._start(key, delivery)
        else:
            delivery.add(future, version, ends_at)
        timer = self._loop.call_at(ends_at, _expire, future, delivery)

        def leave(future: asyncio.Future[Result]) -> None:
            timer.cancel()
            delivery.leave(future)
            if not delivery.is_wanted:
                # Forgotten at once, so that nobody joins a task that is being cancelled.
                self._forget(key, delivery)
                if delivery.task is not None:
                    delivery.task.cancel()

        future.add_done_callback(leave)
        return future

    async def aclose(self) -> None:
        """Give up whatever is under way, telling those who wait; returns when nothing is left."""
        for delivery in list(self._under_way.values()):
            delivery.board()
            delivery.land(no_answer("the publisher was closed"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, key: _Key, delivery: _Delivery) -> None:
        delivery.task = self._loop.create_task(self._deliver(key, delivery))
        self._tasks.add(delivery.task)
        delivery.task.add_done_callback(self._tasks.discard)

    def _forget(self, key: _Key, delivery: _Delivery) -> None:
        if self._under_way.get(key) is delivery:
            del self._under_way[key]

    async def _deliver(self, key: _Key, delivery: _Delivery) -> None:
        fresh = backoff = Backoff(FIRST_WAIT, LONGEST_WAIT)
        try:
            while delivery.waiting:
                result = delivery.last = await self._try(key.endpoint, delivery)
                delivery.tries += 1
                backoff = replace(backoff, failures=backoff.failures + 1)
                wait = self._plan(result, delivery, backoff)
                if wait is not None:
                    delivery.put_off()
                    await self._sleep(wait)
                    continue
                if result.outcome is Outcome.GONE:
                    await self._on_gone(key.endpoint)
                delivery.land(result)
                backoff = fresh
        except Exception as error:
            delivery.fail(error)
        finally:
            # No await since the last look at who waits: nobody can join in between.
            self._forget(key, delivery)

    async def _try(self, endpoint: str, delivery: _Delivery) -> Result:
        origin = endpoint[: endpoint.find("/", len("https://"))]
        while True:
            quiet = self._quiet_for(origin)
            if quiet <= 0.0:
                async with self._slots:
                    if self._quiet_for(origin) <= 0.0:
                        result = await self._send(endpoint, delivery.board())
                        self._hear(origin, result)
                        return result
            elif self._loop.time() + quiet >= delivery.ends_at:
                delivery.board()
                return no_answer("the server asked to be left alone", quiet)
            else:
                await self._sleep(quiet * (1.0 + self._chance() / 2))

    def _hear(self, origin: str, result: Result) -> None:
        # A 503 is the whole server's (a 429 is the endpoint's): no other PUT needs to be told so.
        if result.status == 503 and result.retry_after:
            ends_at = self._loop.time() + min(result.retry_after, MAX_RETRY_AFTER)
            self._quiet_until[origin] = max(ends_at, self._quiet_until.get(origin, 0.0))

    def _quiet_for(self, origin: str) -> float:
        left = self._quiet_until.get(origin, 0.0) - self._loop.time()
        if left <= 0.0:
            self._quiet_until.pop(origin, None)
        return left

    def _plan(self, result: Result, delivery: _Delivery, backoff: Backoff) -> float | None:
        """Return the seconds to the next try, None if there is none."""
        if result.outcome is not Outcome.UNAVAILABLE or delivery.tries >= self._tries:
            return None
        wait = backoff.wait(self._chance(), result.retry_after)
        return wait if self._loop.time() + wait < delivery.ends_at else None


def _expire(future: asyncio.Future[Result], delivery: _Delivery) -> None:
    if not future.done():
        future.set_result(delivery.last)
