"""Own the closed loop over foreign servers, by the definition of ``roskva.bench.closed_loop``.

Each publisher publishes to its next subscriber when the last version is answered AND has arrived; it has subscribers of
its own, so that nothing can be coalesced: what was answered well and never arrives is lost.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Final

from bench.references.clients import Publisher, Subscriber
from roskva.bench.histogram import Histogram
from roskva.bench.results import Published
from roskva.bench.waiting import wait_until

_SWEEP_SECONDS: Final = 0.25


class Lane:
    """One publisher and its subscribers. It is a ``clients.Watcher``.

    Args:
        publisher: connected.
        subscribers: at least one.
        result: where its findings go.
        patience: seconds to wait for an answer, and then for the news.
    """

    __slots__ = (
        "_answered_at", "_is_heard", "_patience", "_publisher", "_result", "_sent_at", "_subscriber", "_subscribers",
        "is_idle", "is_over",
    )  # fmt: skip

    def __init__(
        self, publisher: Publisher, subscribers: Sequence[Subscriber], result: Published, patience: float
    ) -> None:
        self._publisher = publisher
        self._subscribers = itertools.cycle(subscribers)
        self._subscriber = subscribers[0]
        self._result = result
        self._patience = patience
        self._sent_at = self._answered_at = 0
        self._is_heard = False
        self.is_over = False
        """Set it to publish no more."""
        self.is_idle = False
        """Whether nothing is under way, and nothing will be."""
        publisher.watcher = self
        for subscriber in subscribers:
            subscriber.watcher = self

    def begin(self) -> None:
        """Publish to the next subscriber."""
        if self.is_over:
            self.is_idle = True
            return
        subscriber = self._subscriber = next(self._subscribers)
        subscriber.newest += 1
        self._result.sent += 1
        self._answered_at, self._is_heard = 0, False
        self._sent_at = time.monotonic_ns()
        self._publisher.publish(subscriber.topic, subscriber.newest)

    def on_heard(self, subscriber: Subscriber, version: int) -> None:
        """Take the news, which may come before the answer."""
        if subscriber is not self._subscriber or version != subscriber.newest or self._is_heard or self.is_idle:
            return
        self._result.latency.record(time.monotonic_ns() - self._sent_at)
        self._is_heard = True
        if self._answered_at:
            self._complete()

    def on_answer(self, status: int) -> None:
        """Take the answer."""
        self._answered_at = time.monotonic_ns()
        if not 200 <= status < 300:
            self._result.refused[str(status)] = self._result.refused.get(str(status), 0) + 1
            self.begin()
            return
        self._result.accepted += 1
        self._result.answers.record(self._answered_at - self._sent_at)
        self._subscriber.accepted = self._subscriber.newest
        if self._is_heard:
            self._complete()

    def sweep(self) -> None:
        """Give up what takes too long: news are lost, and a publisher without an answer ends."""
        waiting_since = self._answered_at or self._sent_at
        if self.is_idle or time.monotonic_ns() - waiting_since < self._patience * 1e9:
            return
        if self._answered_at:
            self._result.lost += 1
            self.begin()
        else:
            self._result.unanswered += 1
            self.is_idle = True

    def _complete(self) -> None:
        self._result.delivered += 1
        self.begin()


async def run(
    subscribers: Sequence[Subscriber], publishers: Sequence[Publisher], seconds: float, warm_up: float, patience: float
) -> Published:
    """Publish for so many seconds, behind a warm-up of which rate and latency don't speak; all are connected."""
    result = Published()
    duplicates_before = sum(subscriber.duplicates for subscriber in subscribers)
    size = min(len(publishers), len(subscribers))
    lanes = [Lane(publishers[number], subscribers[number::size], result, patience) for number in range(size)]
    for lane in lanes:
        lane.begin()
    await _sweep_for(warm_up, lanes)
    delivered_before, cpu_before = result.delivered, time.process_time()
    result.latency, result.answers = Histogram(), Histogram()
    result.began_at = time.monotonic()
    await _sweep_for(seconds, lanes)
    result.ended_at = time.monotonic()
    result.core_share = (time.process_time() - cpu_before) / result.seconds
    result.counted = result.delivered - delivered_before
    await _finish(lanes, patience)
    result.duplicates = sum(subscriber.duplicates for subscriber in subscribers) - duplicates_before
    result.dropped = sum(not subscriber.is_online for subscriber in subscribers)
    result.stale = sum(subscriber.heard < subscriber.accepted for subscriber in subscribers)
    return result


async def _finish(lanes: Sequence[Lane], patience: float) -> None:
    for lane in lanes:
        lane.is_over = True

    def are_idle() -> bool:
        for lane in lanes:
            lane.sweep()
        return all(lane.is_idle for lane in lanes)

    await wait_until(are_idle, 3 * patience)


async def _sweep_for(seconds: float, lanes: Sequence[Lane]) -> None:
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0:
        await asyncio.sleep(min(left, _SWEEP_SECONDS))
        for lane in lanes:
            lane.sweep()
