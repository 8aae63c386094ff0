"""Own what agents acked lately, so that none is told of it, or of something older, by news that were long on their way.

Nodes tell one another in no order, and what was read from the store may be old when it arrives. What an agent hasn't
acked its outbox knows. Bounded, and so no promise: a client compares versions all the same (§8.3).
"""

from collections.abc import Iterable

from roskva.types import Ack, ChannelId, Channels, Uaid

REMEMBERED = 32_768
"""Acks of each half of the time, at most: those of some seconds at what one core can tell; 9 MB."""


class RecentAcks:
    """The newest version of each channel that was acked here, for ``keep`` seconds at least, and twice that at most.

    The versions of a channel may begin anew: when it is registered again, or when its agent was another node's
    meanwhile. Whoever learns of it says so, by ``forget`` and ``compare``, or updates would be swallowed.
    """

    __slots__ = ("_keep", "_limit", "_newer", "_older", "_turns_at")

    def __init__(self, keep: float, limit: int = REMEMBERED) -> None:
        self._keep = keep
        self._limit = limit
        self._turns_at = 0.0
        self._older: dict[tuple[Uaid, ChannelId], int] = {}
        self._newer: dict[tuple[Uaid, ChannelId], int] = {}

    def __len__(self) -> int:
        return len(self._older) + len(self._newer)

    def note(self, uaid: Uaid, acks: Iterable[Ack]) -> None:
        """Take acks that count."""
        for channel_id, version in acks:
            if not self.covers(uaid, channel_id, version):
                self._newer[uaid, channel_id] = version
        if len(self._newer) >= self._limit:
            self._turn()

    def covers(self, uaid: Uaid, channel_id: ChannelId, version: int) -> bool:
        """Tell whether the agent acked this version, or a later one."""
        if not self._newer and not self._older:
            return False
        key = uaid, channel_id
        return self._newer.get(key, -1) >= version or self._older.get(key, -1) >= version

    def forget(self, uaid: Uaid, channel_id: ChannelId) -> None:
        """Take note that a channel is registered."""
        self._newer.pop((uaid, channel_id), None)
        self._older.pop((uaid, channel_id), None)

    def compare(self, uaid: Uaid, stored: Channels) -> None:
        """Take note of what a hello found: a channel below what was acked is another one than then."""
        if self._newer or self._older:
            for channel_id, channel in stored.items():
                if self.covers(uaid, channel_id, channel.version + 1):
                    self.forget(uaid, channel_id)

    def expire(self, now: float) -> None:
        """Forget what is old enough; ``now`` is monotonic seconds, and comes about every second."""
        if now >= self._turns_at:
            self._turns_at = now + self._keep
            self._turn()

    def _turn(self) -> None:
        self._older, self._newer = self._newer, {}
