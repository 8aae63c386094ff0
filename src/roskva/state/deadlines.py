"""Own coarse shared deadlines: one timer for a whole node, and nothing of its own for an idle connection.

A deadline is a membership in the bucket of its second. It may come up to a second late, never early.
"""

import math
from typing import Protocol


class Bucket:
    """All that is due in one second."""

    __slots__ = ("items", "tick")

    def __init__(self, tick: int) -> None:
        self.tick = tick
        self.items: set[Due] = set()


class Due(Protocol):
    """What can have a deadline: it lends a slot for its bucket, which only ``Deadlines`` may touch."""

    bucket: Bucket | None

    def on_deadline(self, now: float) -> None:
        """Act; ``now`` is in monotonic seconds. A new deadline may be set meanwhile."""
        ...


class Deadlines:
    """At most one deadline for each item."""

    __slots__ = ("_buckets", "_tick")

    def __init__(self, now: float) -> None:
        self._tick = math.floor(now)  # every bucket up to here has been expired
        self._buckets: dict[int, Bucket] = {}

    def set(self, item: Due, at: float) -> None:
        """Give the item the deadline ``at`` (monotonic seconds) in place of the one it had."""
        tick = max(math.ceil(at), self._tick + 1)
        bucket = item.bucket
        if bucket is not None:
            if bucket.tick == tick:
                return
            bucket.items.discard(item)
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = Bucket(tick)
        bucket.items.add(item)
        item.bucket = bucket

    def set_earlier(self, item: Due, at: float) -> None:
        """Give the item the deadline ``at`` unless it has an earlier one."""
        if item.bucket is None or item.bucket.tick > at:
            self.set(item, at)

    def clear(self, item: Due) -> None:
        """Take the item's deadline away."""
        if item.bucket is not None:
            item.bucket.items.discard(item)
            item.bucket = None

    def expire(self, now: float) -> list[Due]:
        """Return what is due by ``now``, each without a deadline; the caller calls ``on_deadline`` of each."""
        due: list[Due] = []
        for tick in range(self._tick + 1, math.floor(now) + 1):
            bucket = self._buckets.pop(tick, None)
            if bucket is not None:
                due.extend(bucket.items)
                for item in bucket.items:
                    item.bucket = None
                bucket.items.clear()
        self._tick = max(self._tick, math.floor(now))
        return due
