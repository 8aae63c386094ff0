"""Own what agents acked lately, so that none is told of it, or of something older, by news that were long on their way.

Nodes tell one another in no order, and what was read from the store may be old when it arrives. What an agent hasn't
acked its outbox knows. Bounded, and so no promise: a client compares versions all the same (§8.3).
"""

from collections.abc import Iterable

from roskva.types import Ack, ChannelId, Channels, Uaid

REMEMBERED = 32_768
"""Acks after which it forgets sooner: those of some seconds at what one core can tell; twice as many are 26 MB."""

_Acked = dict[Uaid, dict[ChannelId, int]]


class RecentAcks:
    """The newest version of each channel that was acked here, for ``keep`` ticks to twice as many, if no flood comes.

    In ticks, not in seconds: to a process that slept, what came meanwhile is not old.
    """

    __slots__ = ("_count", "_keep", "_limit", "_newer", "_older", "_ticks")

    def __init__(self, keep: int, limit: int = REMEMBERED) -> None:
        self._keep = keep
        self._limit = limit
        self._ticks = self._count = 0  # since the turn
        self._older: _Acked = {}
        self._newer: _Acked = {}

    def __len__(self) -> int:
        return sum(len(acked) for half in (self._newer, self._older) for acked in half.values())

    def note(self, uaid: Uaid, acks: Iterable[Ack]) -> None:
        """Take acks that count."""
        acked = self._newer.setdefault(uaid, {})
        for channel_id, version in acks:
            acked[channel_id] = max(version, acked.get(channel_id, version))
            self._count += 1
        if self._count >= self._limit:
            self._turn()

    def covers(self, uaid: Uaid, channel_id: ChannelId, version: int) -> bool:
        """Tell whether the agent acked this version, or a later one."""
        for half in (self._newer, self._older):
            acked = half.get(uaid)
            if acked is not None and acked.get(channel_id, -1) >= version:
                return True
        return False

    def reconcile(self, uaid: Uaid, stored: Channels | None) -> None:
        """Forget what a hello found absent, or lower than it was acked: it is another channel than then.

        Else its updates would be swallowed. Only an agent that was forgotten has such, and it says hello first.
        """
        for half in (self._newer, self._older):
            acked = half.pop(uaid, None)
            if acked is not None and stored is not None:
                half[uaid] = {
                    channel_id: version
                    for channel_id, version in acked.items()
                    if channel_id in stored and stored[channel_id].version >= version
                }

    def tick(self) -> None:
        """Let a second pass; what is old enough is forgotten."""
        self._ticks += 1
        if self._ticks >= self._keep:
            self._turn()

    def _turn(self) -> None:
        self._older, self._newer = self._newer, {}
        self._ticks = self._count = 0
